"""Tests of `plan` and `colorize_all`: outputs of inputs, and failures that do not stop a batch."""

import errno
import re
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

from nircolor import staging
from nircolor.errors import DiskFullError, NircolorError, NircolorWarning
from nircolor.imagery.output import placing
from nircolor.inference import Colorizer
from nircolor.inference.batch import colorize_all
from nircolor.inference.planning import Job, plan
from tests.imagery.imagery_samples import load, names, noise, save, save_envi


def _png(path: Path, seed: int = 0, size: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, noise(1, size, size, seed=seed), "PNG")


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- plan


def test_a_file_goes_into_a_folder_or_a_file(tmp_path):
    path = _png(tmp_path / "a.png")
    assert plan([str(path)], tmp_path / "out") == [Job(path, tmp_path / "out" / "a.png")]
    assert plan([str(path)], tmp_path / "b.tif") == [Job(path, tmp_path / "b.tif")]


def test_a_folder_keeps_its_folders(tmp_path, monkeypatch):
    for name in ("a.png", "sub/a.png", "sub/deep/b.PNG", ".hidden/c.png", "notes.txt"):
        _png(tmp_path / "in" / name)
    flat = plan([str(tmp_path / "in")], tmp_path / "out")
    assert [job.output.relative_to(tmp_path).as_posix() for job in flat] == ["out/a.png"]
    deep = plan([str(tmp_path / "in")], tmp_path / "out", recursive=True)
    assert [job.output.relative_to(tmp_path).as_posix() for job in deep] == [
        "out/a.png", "out/sub/a.png", "out/sub/deep/b.PNG"
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path / "in")
    assert [job.output for job in plan(["."], Path("../out"), recursive=True)] == [
        Path("../out/a.png"), Path("../out/sub/a.png"), Path("../out/sub/deep/b.PNG")
    ]  # fmt: skip


def test_an_envi_capture_in_a_folder_is_one_image(tmp_path):
    save_envi(tmp_path / ".", noise(1, 4, 4), "cube")
    (job,) = plan([str(tmp_path)], tmp_path / "out")
    assert job == Job(tmp_path / "cube.hdr", tmp_path / "out" / "cube.tif")


def test_patterns(tmp_path, monkeypatch):
    for name in ("a1.png", "a2.png", "b.png", ".a3.png", "deep/down/a4.png", "a_folder/x.png"):
        _png(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert [job.path.name for job in plan(["a*"], Path("out"))] == ["a1.png", "a2.png"]
    assert [job.path.name for job in plan([str(tmp_path / "[ab]*.png")], Path("out"))] == [
        "a1.png", "a2.png", "b.png"
    ]  # fmt: skip
    assert [job.path.name for job in plan(["**/a?.png"], Path("out"))] == ["a1.png", "a2.png", "a4.png"]
    assert [job.path.name for job in plan(["b.png", "a*.png"], Path("out"))] == ["b.png", "a1.png", "a2.png"]


def test_a_pattern_takes_the_images_that_its_folder_gives_and_names_the_others(tmp_path):
    save_envi(tmp_path, noise(1, 4, 4), "cube")
    for name in ("a.png", "b.TIF"):
        _png(tmp_path / name)
    for name in ("notes.txt", "a.png.aux.xml", ".hidden.png"):
        (tmp_path / name).write_text("x")
    folder = plan([tmp_path], tmp_path / "out")
    with pytest.warns(NircolorWarning, match=r"left out 2 files that are not images: .*a\.png\.aux\.xml"):
        assert plan([str(tmp_path / "*")], tmp_path / "out") == folder
    # a named file is tried whatever its name
    assert len(plan([tmp_path / "notes.txt"], tmp_path / "out")) == 1
    with pytest.raises(NircolorError, match="found none among 1 files"):
        plan([str(tmp_path / "*.txt")], tmp_path / "out")


def test_files_that_cannot_be_read_are_counted_and_named(tmp_path):
    _png(tmp_path / "a.png")
    for name in ("b.gif", "c.PSD", "d.pbm", "e.txt"):
        (tmp_path / name).write_text("x")
    summary = (
        r"^.*: left out 3 files that cannot be read: b\.gif, c\.PSD, d\.pbm "
        r"\(GIF: save as PNG or 16-bit TIFF; Photoshop: save as PNG or 16-bit TIFF; "
        r"one-bit PNM: save as PNG\)$"
    )
    with pytest.warns(NircolorWarning, match=summary):
        assert len(plan([tmp_path], tmp_path / "out")) == 1
    with pytest.warns(NircolorWarning) as caught:
        assert len(plan([str(tmp_path / "*")], tmp_path / "out")) == 1
    assert [str(warning.message).split(": ")[1] for warning in caught] == [
        "left out 3 files that cannot be read", "left out 1 file that is no image"
    ]  # fmt: skip


def test_an_envi_image_named_by_header_and_data_is_one_job(tmp_path):
    for name in "ab":
        save_envi(tmp_path, noise(1, 4, 4), name)
    data, headers = ([tmp_path / f"{name}{end}" for name in "ab"] for end in (".raw", ".hdr"))
    out = tmp_path / "out"
    assert [job.path for job in plan(data, out)] == data
    assert [job.path for job in plan([str(tmp_path / "*.raw")], out)] == data
    assert [job.path for job in plan([*data, *headers], out)] == headers
    assert [job.path for job in plan([str(tmp_path / "*.raw"), str(tmp_path / "*.hdr")], out)] == headers
    assert [job.path for job in plan([str(tmp_path / "?.*")], out)] == headers
    assert {job.output.name for job in plan(data, out)} == {"a.tif", "b.tif"}


def test_formats_that_are_not_written_get_one_that_is(tmp_path):
    names = {
        "a.bmp": "a.png",
        "b.pgm": "b.png",
        "c.ppm": "c.png",
        "d.webp": "d.png",
        "e.jp2": "e.tif",
        "f.npy": "f.tif",
    }
    for name in names:
        (tmp_path / name).write_text("x")
    jobs = plan([tmp_path], tmp_path / "out")
    assert {job.path.name: job.output.name for job in jobs} == names
    (tmp_path / "a.png").write_text("x")
    one = next(job for job in plan([tmp_path], tmp_path / "out") if job.path.name == "a.png")
    assert re.search(r"a\.bmp and .*a\.png -> .*out/a\.png: two inputs have one output; col", one.problem)


def test_references_of_a_capture_are_left_out_of_a_pattern(tmp_path):
    for name in ("capture", "DARKREF_capture", "WHITEREF_capture"):
        save_envi(tmp_path, noise(1, 4, 4), name)
    with pytest.warns(NircolorWarning, match="left out"):
        found = plan([str(tmp_path / "*.hdr")], tmp_path / "out")
    assert found == plan([tmp_path], tmp_path / "out")
    assert len(found) == 1


def test_paths_are_strings_or_path_objects(tmp_path):
    path = _png(tmp_path / "in" / "a.png")
    expected = [Job(path, tmp_path / "out" / "a.png")]
    for given in (path, str(path), [path], [str(path)], path.parent, str(path.parent)):
        for output in (tmp_path / "out", str(tmp_path / "out")):
            assert plan(given, output) == expected


def test_an_existing_name_with_wildcards_is_not_a_pattern(tmp_path):
    path = _png(tmp_path / "a[1]*.png")
    assert [job.path for job in plan([str(path)], tmp_path / "out")] == [path]


@pytest.mark.parametrize("text", ["*.png", "**.png", "[", "nowhere/*/*.tif"])
def test_patterns_that_match_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NircolorError, match="expected images that match, found none"):
        plan([text], Path("out"))


def test_folders_without_images(tmp_path):
    _png(tmp_path / "sub" / "a.png")
    with pytest.raises(NircolorError, match=rf"{tmp_path}: expected images .* found none \(--recursive"):
        plan([str(tmp_path)], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NircolorError, match=r"found none$"):
        plan([str(tmp_path / "empty")], tmp_path / "out", recursive=True)


def test_a_missing_file_is_a_job_that_will_fail(tmp_path):
    assert plan([str(tmp_path / "a.png")], tmp_path / "out") == [
        Job(tmp_path / "a.png", tmp_path / "out" / "a.png")
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("x/a.png", "y/a.png"), ("x/a.png", "y/A.PNG"), ("x/ß.png", "y/SS.png")]
)
def test_two_inputs_to_one_output(tmp_path, one, other):
    inputs = [str(_png(tmp_path / name)) for name in (one, other)]
    other_input = str(_png(tmp_path / "x" / "c.png"))
    jobs = plan([*inputs, other_input], tmp_path / "out")
    *same, other_job = jobs
    for job in same:
        assert job.problem.startswith(f"{inputs[0]} and {inputs[1]} -> {tmp_path / 'out'}")
    assert other_job.problem == ""


def test_a_capture_and_a_tiff_of_one_name(tmp_path):
    save_envi(tmp_path, noise(1, 4, 4), "a")
    save(tmp_path / "a.tif", noise(1, 4, 4))
    for job in plan([str(tmp_path)], tmp_path / "out"):
        assert re.search(r"a\.hdr and .*a\.tif -> .*a\.tif: two inputs have one output; col", job.problem)


def test_an_image_named_twice_is_one_job(tmp_path):
    path = _png(tmp_path / "a.png")
    assert len(plan([str(path), str(tmp_path), str(tmp_path / "*.png")], tmp_path / "out")) == 1


def test_several_images_into_one_file(tmp_path):
    inputs = [str(_png(tmp_path / name)) for name in ("a.png", "b.png")]
    with pytest.raises(NircolorError, match=r"c\.png: expected a folder for 2 images, got a file name"):
        plan(inputs, tmp_path / "c.png")


def test_outputs_of_an_earlier_run_are_left_out(tmp_path, monkeypatch):
    for name in ("a.png", "sub/b.png", "colour/a.png", "colour/sub/b.png"):
        _png(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for folder, output in ((".", "colour"), (str(tmp_path), "colour"), ("sub/..", "./colour/")):
        jobs = plan([folder], Path(output), recursive=True)
        assert [job.path.name for job in jobs] == ["a.png", "b.png"]
    # a folder that is named itself is read
    assert len(plan(["colour"], Path("colour"), recursive=True)) == 2
    assert len(plan(["colour"], Path("elsewhere"), recursive=True)) == 2


# --- colorize_all


def _run(model, jobs, **options):
    parallel = options.get("parallel", 1)
    return list(colorize_all(Colorizer(model, tile_px=16, jobs=parallel), jobs, **options))


def _images(tmp_path, count=6):
    for i in range(count):
        _png(tmp_path / "in" / f"{i}.png", seed=i, size=30 + i)
    return plan([str(tmp_path / "in")], tmp_path / "out")


def test_a_failing_image_does_not_stop_the_others(tmp_path, tiny):
    jobs = _images(tmp_path)
    jobs[0].path.write_text("no image")
    damaged = jobs[3].path
    damaged.write_bytes(damaged.read_bytes()[:-300])
    results = _run(tiny("per_pixel"), jobs)
    assert [result.job.path.name for result in results if result.error] == ["0.png", "3.png"]
    assert all(isinstance(result.error, NircolorError) for result in results if result.error)
    assert names(tmp_path / "out") == ["1.png", "2.png", "4.png", "5.png"]


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_full_disk_ends_a_batch(tmp_path, tiny, monkeypatch, parallel):
    jobs = _images(tmp_path)
    make, made = staging.create, []

    def fill(folder):
        made.append(folder)
        if len(made) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(folder)

    monkeypatch.setattr(staging, "create", fill)
    with pytest.raises(DiskFullError, match=r"out/\d\.png: cannot be written \(No space left on device\)$"):
        _run(tiny("per_pixel"), jobs, parallel=parallel)
    # in any order where two run at a time
    assert len(names(tmp_path / "out")) == 2
    # one file more at most is in work for each thread
    assert len(made) <= 2 + parallel


def test_an_unexpected_exception_does_not_stop_the_others(tmp_path, tiny, monkeypatch):
    jobs = _images(tmp_path, 3)
    colorizer = Colorizer(tiny("per_pixel"))
    real = colorizer.colorize_file

    def sometimes(path, *args, **kwargs):
        if path.name == "1.png":
            raise ZeroDivisionError("oops")
        real(path, *args, **kwargs)

    monkeypatch.setattr(colorizer, "colorize_file", sometimes)
    errors = [result.error for result in colorize_all(colorizer, jobs)]
    assert errors[0] is errors[2] is None
    assert isinstance(errors[1], ZeroDivisionError)


def test_results_do_not_depend_on_order_and_parallelism(tmp_path, tiny):
    jobs = _images(tmp_path)
    _run(tiny("box"), jobs)
    expected = {job.output.name: job.output.read_bytes() for job in jobs}
    backwards = [Job(job.path, tmp_path / "three" / job.output.name) for job in reversed(jobs)]
    results = _run(tiny("box"), backwards, parallel=3)
    assert {result.job for result in results} == set(backwards)
    assert {path.name: path.read_bytes() for path in (tmp_path / "three").iterdir()} == expected


def test_as_many_run_at_once_as_asked(tmp_path, tiny, monkeypatch):
    jobs = _images(tmp_path, 7)
    colorizer = Colorizer(tiny("per_pixel"), jobs=3)
    together = threading.Barrier(3, timeout=20)
    at_work, most = set(), []

    def meet(path, *_args, **_kwargs):
        at_work.add(path)
        most.append(len(at_work))
        if int(path.stem) < 3:
            together.wait()
        at_work.discard(path)

    monkeypatch.setattr(colorizer, "colorize_file", meet)
    assert len(list(colorize_all(colorizer, jobs, parallel=3))) == 7
    assert max(most) == 3


def test_names_that_are_not_ascii(tmp_path, tiny):
    _png(tmp_path / "近赤外 画像" / "été ñ %20 #1 [x].png")
    jobs = plan([str(tmp_path / "近赤外 画像")], tmp_path / "выход 1")
    assert [result.error for result in _run(tiny("per_pixel"), jobs)] == [None]
    assert names(tmp_path / "выход 1") == ["été ñ %20 #1 [x].png"]


def test_skip_existing_and_overwrite(tmp_path, tiny):
    jobs = _images(tmp_path, 3)
    jobs[1].output.parent.mkdir()
    jobs[1].output.write_text("mine")
    refused = _run(tiny("per_pixel"), jobs)
    assert "replaced only with --overwrite" in str(refused[1].error)
    assert jobs[1].output.read_text() == "mine"
    skipped = _run(tiny("per_pixel"), jobs, skip_existing=True)
    assert [result.skipped for result in skipped] == [True, True, True]
    assert jobs[1].output.read_text() == "mine"
    assert [result.error for result in _run(tiny("per_pixel"), jobs, overwrite=True)] == [None] * 3
    assert load(jobs[1].output)[0].shape == (3, 31, 31)


def test_the_input_is_never_its_own_output(tmp_path, tiny):
    jobs = _images(tmp_path, 1)
    before = jobs[0].path.read_bytes()
    (result,) = _run(tiny("per_pixel"), [Job(jobs[0].path, jobs[0].path)])
    assert "is the input itself" in str(result.error)
    assert jobs[0].path.read_bytes() == before
    (result,) = _run(tiny("per_pixel"), [Job(jobs[0].path, jobs[0].path)], overwrite=True)
    assert "is the input itself, which is never replaced" in str(result.error)
    assert jobs[0].path.read_bytes() == before


def test_depth_and_reading_reach_the_image(tmp_path, tiny):
    jobs = _images(tmp_path, 1)
    _run(tiny("per_pixel"), jobs, depth=16)
    assert load(jobs[0].output)[1]["dtype"] == "uint16"


@pytest.mark.parametrize("parallel", [1, 3])
def test_closing_early_leaves_no_partial_image(tmp_path, tiny, parallel):
    jobs = _images(tmp_path, 8)
    running = colorize_all(Colorizer(tiny("per_pixel"), tile_px=8), jobs, parallel=parallel)
    first = next(running)
    running.close()
    assert first.error is None
    kept = names(tmp_path / "out")
    assert first.job.output.name in kept
    assert len(kept) < 8
    assert all(name.endswith(".png") for name in kept)
    for name in kept:
        assert load(tmp_path / "out" / name)[0].shape[0] == 3


@pytest.mark.parametrize("skip_existing", [True, False])
def test_an_output_that_another_run_finishes_meanwhile(tmp_path, tiny, monkeypatch, skip_existing):
    jobs = plan([str(_png(tmp_path / "a.png"))], tmp_path / "out")

    def finish(_done, _total):
        (tmp_path / "out" / "a.png").write_text("the other run's")

    colorizer = Colorizer(tiny("per_pixel"))
    # even where it appears right before the output is renamed
    monkeypatch.setattr(placing, "check_free", lambda *_: None)
    (result,) = colorize_all(colorizer, jobs, skip_existing=skip_existing, progress_for=lambda _job: finish)
    assert result.skipped is skip_existing
    assert (result.error is None) is skip_existing
    assert _files(tmp_path / "out") == ["a.png"]
    assert (tmp_path / "out" / "a.png").read_text() == "the other run's"


def test_an_interrupt_in_a_callback_leaves_no_partial_image(tmp_path, tiny):
    jobs = _images(tmp_path, 4)

    def stop(job):
        def on_progress(_done, _total):
            if job.path.name == "2.png":
                raise KeyboardInterrupt

        return on_progress

    with pytest.raises(KeyboardInterrupt):
        list(colorize_all(Colorizer(tiny("per_pixel"), tile_px=8), jobs, progress_for=stop))
    assert names(tmp_path / "out") == ["0.png", "1.png"]


def test_closing_stops_running_images_within_a_tile(tmp_path, tiny):
    _png(tmp_path / "in" / "0.png", size=8)
    _png(tmp_path / "in" / "1.png", size=400)
    jobs = plan([str(tmp_path / "in")], tmp_path / "out")
    tiles = []
    begun, go_on = threading.Event(), threading.Event()

    def wait(job):
        def on_progress(_done, _total):
            if job.path.name == "1.png":
                tiles.append(job)
                begun.set()
                go_on.wait(20)

        return on_progress

    running = colorize_all(Colorizer(tiny("per_pixel"), tile_px=8), jobs, parallel=2, progress_for=wait)
    next(running)
    assert begun.wait(20)
    threading.Timer(0.2, go_on.set).start()
    running.close()
    assert len(tiles) == 1
    assert names(tmp_path / "out") == ["0.png"]


def test_failures_release_their_arrays(tmp_path, tiny):
    array = noise(1, 700, 700)
    whole = save(tmp_path / "a.png", array, "PNG").read_bytes()
    jobs = []
    for i in range(8):
        path = tmp_path / f"{i}.png"
        path.write_bytes(whole[:-200])
        jobs.append(Job(path, tmp_path / "out" / path.name))
    colorizer = Colorizer(tiny("per_pixel"), tile_px=256)
    tracemalloc.start()
    results = list(colorize_all(colorizer, jobs))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert all(isinstance(result.error, NircolorError) for result in results)
    assert held < 700 * 700 * 4


def test_no_jobs(tiny):
    assert _run(tiny("per_pixel"), []) == []


def test_invalid_pixels_of_a_float_tiff_become_transparent(tmp_path, tiny):
    array = np.full((1, 30, 30), 0.5, np.float32)
    array[0, 5:10, 5:10] = np.nan
    path = save(tmp_path / "a.tif", array, nodata=np.nan)
    _run(tiny("box"), [Job(path, tmp_path / "out" / "a.png")])
    rgba, _ = load(tmp_path / "out" / "a.png")
    assert len(rgba) == 4
    assert (rgba[3, 5:10, 5:10] == 0).all()
    assert (rgba[3] == 0).sum() == 25
    # no black halo around the hole
    assert (rgba[0, 4, 4:11] > 0.49 * 65535).all()


def test_a_link_to_itself_is_left_to_fail_like_an_image(tmp_path):
    (tmp_path / "b.png").symlink_to("b.png")
    assert [job.path.name for job in plan([tmp_path], tmp_path / "out")] == ["b.png"]


def test_a_georeference_that_the_output_cannot_hold_is_a_warning(tmp_path, tiny):
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    path = save(tmp_path / "a.tif", noise(1, 30, 30), **place)
    colorizer = Colorizer(tiny("per_pixel"))
    with pytest.warns(NircolorWarning, match="georeference does not fit into PNG"):
        colorizer.colorize_file(path, tmp_path / "b.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NircolorWarning)
        colorizer.colorize_file(path, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.transform == place["transform"]
