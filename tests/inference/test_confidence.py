"""Confidence of colours: 1 minus the bound of the error, in memory and in files beside the colours."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from nircolor import colorize, weights
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.inference import Colorizer, Job, check_all, colorize_all, plan
from nircolor.modelfile import Size
from tests.imagery.imagery_samples import load, names, noise, save
from tests.tiny_models import bounded

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def _noise(height, width):
    return np.random.default_rng(0).random((1, height, width), dtype=np.float32)


def _png(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, noise(1, 24, 30, seed=seed), "PNG")


def _files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- in memory


@pytest.mark.parametrize("tile_px", [None, 24])
def test_a_float_array(tmp_path, tile_px):
    path = bounded(tmp_path / "a.onnx", size=Size(multiple_of=4, minimum=8, receptive_field_px=6))
    colorizer = Colorizer(path, tile_px=tile_px)
    nir = _noise(50, 70)
    rgb, confidence = colorizer.colorize(nir, confidence=True)
    assert (confidence.shape, confidence.dtype) == ((50, 70), np.float32)
    np.testing.assert_allclose(confidence, 1 - nir[0] / 4, atol=1e-6)
    np.testing.assert_allclose(rgb, colorizer.colorize(nir), atol=1e-6)
    # it is about the colours of the model, whatever their saturation
    pale, same = colorizer.colorize(nir, saturation=0, confidence=True)
    np.testing.assert_array_equal(same, confidence)
    np.testing.assert_allclose(pale[0], pale[1], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_integer_array_and_the_function(tiny, dtype):
    top = np.iinfo(dtype).max
    gray = noise(1, 20, 30, np.dtype(dtype).name)[0]
    rgb, confidence = colorize(gray, model=tiny("bounded"), confidence=True)
    assert (rgb.shape, confidence.shape, confidence.dtype) == ((20, 30, 3), (20, 30), dtype)
    # the bound comes back from the integers
    np.testing.assert_allclose(1 - confidence / top, gray / top / 4, atol=0.51 / top)


@pytest.mark.parametrize(("mode", "expected"), [("L", "L"), ("LA", "LA"), ("F", "L")])
def test_a_pil_image(tiny, mode, expected):
    image_module = pytest.importorskip("PIL.Image")
    gray = noise(1, 20, 30)[0]
    array = {"L": gray, "LA": np.dstack([gray, np.full_like(gray, 77)]), "F": gray / np.float32(255)}[mode]
    rgb, confidence = Colorizer(tiny("bounded")).colorize(image_module.fromarray(array), confidence=True)
    assert rgb.mode == ("RGBA" if mode == "LA" else "RGB")
    assert (confidence.mode, confidence.size) == (expected, (30, 20))
    values = np.asarray(confidence)
    if mode == "LA":
        assert (values[:, :, 1] == 77).all()
        values = values[:, :, 0]
    np.testing.assert_allclose(values / 255, 1 - gray / 255 / 4, atol=0.51 / 255)


def test_bounds_beyond_the_range_are_clipped(tiny):
    colorizer = Colorizer(tiny("bounded"))
    for bound, expected in ((1.5, 0), (-0.2, 1)):
        run = colorizer._engine.run

        def with_bound(*arguments, run=run, bound=bound):
            output = run(*arguments)
            output[3] = bound
            return output

        colorizer._engine.run = with_bound
        assert (colorizer.colorize(_noise(8, 8), confidence=True)[1] == expected).all()


# --- files


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("b.png", "b_confidence.png"),
        ("b.jpg", "b_confidence.png"),
        ("b.tif", "b_confidence.tif"),
        ("b.TIFF", "b_confidence.TIFF"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_file_beside_the_colours(tmp_path, tiny, name, beside, dtype):
    nir = noise(1, 33, 47, dtype)
    path = save(tmp_path / "a.tif", nir)
    Colorizer(tiny("bounded"), tile_px=16).colorize_file(path, tmp_path / name, confidence=True)
    assert names(tmp_path) == sorted(["a.tif", name, beside])
    (colour, profile), (values, gray_profile) = load(tmp_path / name), load(tmp_path / beside)
    assert (values.shape, gray_profile["dtype"]) == ((1, *colour.shape[1:]), profile["dtype"])
    top = np.iinfo(profile["dtype"]).max
    bound = 1 - values[0] / top
    np.testing.assert_allclose(bound, nir[0] / np.iinfo(dtype).max / 4, atol=0.51 / top)
    with rasterio.open(tmp_path / beside) as file:
        text = file.descriptions[0] or file.tags()["Description"]
    assert text.startswith("confidence: 1 minus the bound")
    assert "90% of cases" in text


def test_without_it_there_is_one_file(tmp_path, tiny):
    Colorizer(tiny("bounded")).colorize_file(_png(tmp_path / "a.png"), tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


def test_an_input_is_never_replaced_by_a_confidence(tmp_path, tiny):
    path = _png(tmp_path / "b_confidence.png")
    before = path.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(NircolorError, match=r"b_confidence\.png: is the input itself"):
            Colorizer(tiny("bounded")).colorize_file(
                path, tmp_path / "b.png", confidence=True, overwrite=overwrite
            )
    assert names(tmp_path) == ["b_confidence.png"]
    assert path.read_bytes() == before


# --- models without it


@pytest.mark.parametrize("shipped", [[], ["sure", "surer"]])
def test_a_model_without_it_is_refused_before_anything_else(tmp_path, tiny, monkeypatch, shipped):
    (tmp_path / "weights").mkdir()
    for name in shipped:
        bounded(tmp_path / "weights" / f"{name}.onnx")
    (tmp_path / "weights" / "plain.onnx").write_bytes(tiny("per_pixel").read_bytes())
    monkeypatch.setattr(weights, "_FOLDER", tmp_path / "weights")
    path = _png(tmp_path / "in" / "a.png")
    colorizer = Colorizer("plain")
    models = r"\(--model sure or surer\)" if shipped else ", which no shipped model does"
    match = rf"^--confidence: expected a model that estimates its errors.*{models}, got per_pixel$"
    missing = tmp_path / "missing.png"
    calls = [
        lambda: colorizer.colorize(_noise(8, 8), confidence=True),
        lambda: colorizer.colorize_file(missing, tmp_path / "b.png", confidence=True),
        lambda: colorize(path.parent, tmp_path / "out", model="plain", confidence=True),
    ]
    for call in calls:
        with pytest.raises(NircolorError, match=match):
            call()
    (checked,) = check_all(colorizer.card, plan(path, tmp_path / "out", confidence=True))
    assert str(checked.error).startswith("--confidence")
    assert not (tmp_path / "out").exists()


# --- batches


def test_a_folder(tmp_path, tiny):
    _png(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.tif", noise(1, 9, 9))
    (tmp_path / "in" / "c.png").write_bytes(b"\x89PNG broken")
    results = colorize(tmp_path / "in", tmp_path / "out", model=tiny("bounded"), confidence=True, jobs=2)
    assert [result.error is None for result in results] == [True, True, False]
    assert names(tmp_path / "out") == ["a.png", "a_confidence.png", "b.tif", "b_confidence.tif"]
    assert results[0].job.confidence == tmp_path / "out" / "a_confidence.png"


def test_a_single_file_s_error_is_raised(tmp_path, tiny):
    (tmp_path / "c.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(NircolorError, match=r"c\.png"):
        colorize(tmp_path / "c.png", tmp_path / "out", model=tiny("bounded"), confidence=True)


def test_outputs_that_would_be_one_file_are_refused(tmp_path):
    _png(tmp_path / "in" / "a.png")
    _png(tmp_path / "in" / "a_confidence.png")
    for job in plan(tmp_path / "in", tmp_path / "out", confidence=True):
        assert job.problem.startswith(
            f"the confidence of {tmp_path / 'in' / 'a.png'} and {tmp_path / 'in' / 'a_confidence.png'} -> "
            f"{tmp_path / 'out' / 'a_confidence.png'}: two inputs have one output"
        )
    # without it they are two
    assert len(plan(tmp_path / "in", tmp_path / "out")) == 2
    _png(tmp_path / "two" / "a.png")
    save(tmp_path / "two" / "a.jpg", noise(1, 8, 8), "JPEG")
    for job in plan(tmp_path / "two", tmp_path / "out", confidence=True):
        assert re.search(r"^the confidence of .* and the confidence of .* -> ", job.problem)


def test_an_output_that_is_another_input_is_refused(tmp_path, monkeypatch):
    save(tmp_path / "a.tif", noise(1, 8, 8))
    _png(tmp_path / "a_confidence.png")
    monkeypatch.chdir(tmp_path)
    match = r"^the confidence of a\.tif -> .*a_confidence\.png: the output is another input; choose"
    for output in (".", tmp_path):
        jobs = plan(["a.tif", "a_confidence.png"], output, output_format="jpg", confidence=True)
        assert [bool(re.search(match, job.problem)) for job in jobs] == [True, False]
    # the colours as well: y.png of a folder below goes where the other input is
    _png(tmp_path / "in" / "sub" / "y.png")
    _png(tmp_path / "out" / "sub" / "y.png")
    job, _ = plan(["in", "out/sub"], "out", recursive=True)
    assert job.problem.startswith("in/sub/y.png -> out/sub/y.png: the output is another input")


@pytest.mark.parametrize("confidence", [True, False])
@pytest.mark.parametrize("output_format", [None, "jpg"])
def test_results_of_an_earlier_run_are_left_out(tmp_path, tiny, confidence, output_format):
    _png(tmp_path / "a.png")
    save(tmp_path / "b.tif", noise(1, 9, 9))
    options = {"suffix": "_c", "output_format": output_format}
    colorize(tmp_path, tmp_path, model=tiny("bounded"), confidence=True, **options)
    assert len(names(tmp_path)) == 6
    with pytest.warns(NircolorWarning, match="left out 4 images that end in _c or _c_confidence: results"):
        jobs = plan(tmp_path, tmp_path, confidence=confidence, **options)
    assert [job.path.name for job in jobs] == ["a.png", "b.tif"]


def test_existing_results(tmp_path, tiny):
    path = _png(tmp_path / "a.png")
    colorizer = Colorizer(tiny("bounded"))
    (job,) = plan(path, tmp_path / "out", confidence=True)

    def run(**options):
        (checked,) = check_all(colorizer.card, [job], **options)
        (result,) = colorize_all(colorizer, [job], **options)
        assert (result.skipped, str(result.error)) == (checked.skipped, str(checked.error))
        return result

    assert run().error is None
    assert _files(tmp_path / "out") == ["a.png", "a_confidence.png"]
    assert run(skip_existing=True).skipped
    assert "exists already" in str(run().error)
    assert run(overwrite=True).error is None
    for missing, kept in ((job.confidence, job.output), (job.output, job.confidence)):
        missing.unlink()
        before = kept.read_bytes()
        result = run(skip_existing=True)
        assert not result.skipped
        assert str(result.error) == (
            f"{kept}: exists, but {missing.name} does not; both are written with --overwrite instead of "
            "--skip-existing"
        )
        assert f"{kept}: exists already" in str(run().error)
        assert kept.read_bytes() == before
        assert not missing.exists()
        assert run(overwrite=True).error is None
        assert missing.exists()


def test_a_job_states_whether_the_confidence_is_written(tmp_path, tiny):
    path = _png(tmp_path / "a.png")
    (result,) = colorize_all(Colorizer(tiny("bounded")), [Job(path, tmp_path / "b.png")])
    assert result.error is None
    assert names(tmp_path) == ["a.png", "b.png"]
    assert Job(path, Path("b.png")).outputs == (Path("b.png"),)
