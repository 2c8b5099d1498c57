"""Tests of `nircolor colorize` with bad input: a one-line error, exit code 2, nothing written."""

from pathlib import Path

import numpy as np
import pytest

from nircolor import staging
from tests.app.command_line import files, gray_png, process, truncated_png
from tests.imagery.imagery_samples import load, noise, png_bytes, save, save_envi


def _empty(folder):
    (folder / "a.png").touch()
    return folder / "a.png"


def _text(folder):
    (folder / "a.png").write_text("Dear Sir or Madam")
    return folder / "a.png"


def _zero_sized(folder):
    (folder / "a.png").write_bytes(png_bytes([], 0, 8, 0))
    return folder / "a.png"


def _two_bands(folder):
    return save(folder / "a.tif", noise(2, 20, 20))


def _out_of_tolerance(folder):
    return save_envi(folder, noise(1, 20, 20), wavelength="{1500}", wavelength_units="nm")


def _a_vrt(folder):
    gray_png(folder / "b.png")
    (folder / "a.png").write_text('<VRTDataset rasterXSize="24" rasterYSize="24"></VRTDataset>')
    return folder / "a.png"


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (truncated_png, "damaged or cut off"),
        (_empty, "the file is empty"),
        (_text, "expected a PNG, JPEG, TIFF, ENVI, "),
        (_zero_sized, ""),
        (
            _two_bands,
            "expected 1 band (850 nm, 250 nm wide) for model scene, got 2 bands without wavelengths",
        ),
        (_out_of_tolerance, "expected a band at 850 ± 125 nm for model scene, got 1 band at 1500 nm"),
        (_a_vrt, "VRT files are not read"),
        (lambda folder: folder / "missing.png", "no such file"),
    ],
)
def test_bad_images(nircolor, tmp_path, make, match):
    path = make(tmp_path)
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out")
    assert line.startswith(f"{path}: ")
    assert match in line
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == []


def test_an_unreadable_image(nircolor, tmp_path, monkeypatch):
    path = gray_png(tmp_path / "a.png")
    real = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    assert (
        nircolor.refused("colorize", path, "-o", tmp_path / "out")
        == f"{path}: cannot be read (Permission denied)"
    )


def test_a_folder_without_permission(nircolor, tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", refuse)
    line = nircolor.refused("colorize", tmp_path / "a.png", "-o", tmp_path / "out")
    assert line == f"{tmp_path / 'a.png'}: Permission denied"


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "unknown"])
def test_bad_models(nircolor, tmp_path, tiny, kind):
    model = tmp_path / "model.onnx"
    if kind == "text":
        model.write_text("Dear Sir or Madam")
    elif kind == "cut":
        model.write_bytes(tiny("box").read_bytes()[:200])
    elif kind == "unknown":
        model = Path("sceen")
    line = nircolor.refused("colorize", gray_png(tmp_path / "a.png"), "-o", tmp_path / "out", "-m", model)
    assert line.startswith(f"{model}: ")
    assert not (tmp_path / "out").exists()


def test_an_unavailable_device(nircolor, tmp_path):
    line = nircolor.refused(
        "colorize", gray_png(tmp_path / "a.png"), "-o", tmp_path / "out", "--device", "openvino"
    )
    assert line.startswith("--device openvino: ")


def test_an_empty_folder(nircolor, tmp_path):
    assert "found none" in nircolor.refused("colorize", tmp_path, "-o", tmp_path / "out")


def test_two_inputs_to_one_output(nircolor, tmp_path):
    paths = [gray_png(tmp_path / name) for name in ("x/a.png", "y/A.png")]
    outcome = nircolor("colorize", *paths, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.splitlines()[1:] == [
        "2 failed:",
        f"  2 files: {paths[0]} and {paths[1]} -> {tmp_path / 'out' / 'a.png'}: two inputs have one output; "
        "colorize one of them with --suffix, or into another folder",
    ]
    assert not (tmp_path / "out").exists()


def test_inputs_and_existing_outputs_are_not_overwritten(nircolor, tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    before = path.read_bytes()
    model = ("-m", tiny("per_pixel"))
    for output in (tmp_path, path):
        assert "is the input itself" in nircolor.refused("colorize", path, "-o", output, *model)
        assert "never replaced" in nircolor.refused("colorize", path, "-o", output, *model, "--overwrite")
    other = gray_png(tmp_path / "b.png", seed=1)
    assert "exists already" in nircolor.refused("colorize", path, "-o", other, *model)
    assert path.read_bytes() == before
    assert nircolor("colorize", path, "-o", other, *model, "--overwrite").code == 0
    np.testing.assert_array_equal(load(other)[0][0], load(path)[0][0])


@pytest.mark.parametrize("output", ["file", "file/below", "b.gif/a.png"])
def test_an_output_folder_that_is_a_file(nircolor, tmp_path, tiny, output):
    for name in ("file", "b.gif"):
        (tmp_path / name).write_text("mine")
    line = nircolor.refused(
        "colorize", gray_png(tmp_path / "a.png"), "-o", tmp_path / output, "-m", tiny("per_pixel")
    )
    assert "cannot be written" in line
    assert line.endswith("is not a folder)")
    assert files(tmp_path) == ["a.png", "b.gif", "file"]


@pytest.mark.parametrize("output", ["out.jpgg", "out.xyz", "out.bmp", "results.v2"])
def test_a_mistyped_extension_makes_no_folder(nircolor, tmp_path, tiny, output):
    path, words = gray_png(tmp_path / "a.png"), ("-m", tiny("per_pixel"), "-o")
    line = nircolor.refused("colorize", path, *words, tmp_path / output)
    assert line == (
        f"{tmp_path / output}: expected a folder, or a name that ends in .png, .jpg, .jpeg, .tif, .tiff; "
        f"a folder of this name is {tmp_path / output}/"
    )
    assert nircolor("colorize", path, *words, f"{tmp_path / output}/").code == 0
    assert (tmp_path / output / "a.png").is_file()
    # the folder exists now
    path = gray_png(tmp_path / "b.png")
    assert nircolor("colorize", path, *words, tmp_path / output).code == 0


def test_folders_for_several_images_may_have_a_dot(nircolor, tmp_path, tiny):
    paths = [gray_png(tmp_path / name) for name in ("a.png", "b.png")]
    assert nircolor("colorize", *paths, "-o", tmp_path / "results.v2", "-m", tiny("per_pixel")).code == 0
    assert files(tmp_path / "results.v2") == ["a.png", "b.png"]


def test_a_read_only_output_folder(nircolor, tmp_path, tiny, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(staging.tempfile, "mkdtemp", refuse)
    line = nircolor.refused(
        "colorize", gray_png(tmp_path / "a.png"), "-o", tmp_path / "out", "-m", tiny("per_pixel")
    )
    assert line == f"{tmp_path / 'out' / 'a.png'}: cannot be written (Read-only file system)"


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_full_disk(tmp_path, tiny, name):
    """Files are limited to 100 kB, which fails like a full disk."""
    resource = pytest.importorskip("resource", reason="limits are set the POSIX way")
    path = save(tmp_path / "in.tif", noise(1, 600, 600))
    (tmp_path / "out").mkdir()
    ran = process(
        "colorize", path, "-o", tmp_path / "out" / name, "-m", tiny("per_pixel"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    _, err = ran.communicate(timeout=60)
    assert ran.returncode == 2, err
    # libtiff may print a line of its own first
    assert err.splitlines()[-1].startswith(f"error: {tmp_path / 'out' / name}: ")
    assert "Traceback" not in err
    assert files(tmp_path / "out") == []


def test_skip_existing_fails_for_outputs_that_are_their_inputs(nircolor, tmp_path, tiny):
    folder = tmp_path / "in"
    paths = [gray_png(folder / f"{i}.png", seed=i) for i in range(2)]
    before = [path.read_bytes() for path in paths]
    outcome = nircolor("colorize", folder, "-o", folder, "-m", tiny("per_pixel"), "--skip-existing")
    assert outcome.code == 1
    assert "2 files in" in outcome.err
    assert ": 0.png, 1.png: is the input itself" in outcome.err
    assert [path.read_bytes() for path in paths] == before


def test_an_output_name_in_an_unsupported_format(nircolor, tmp_path, tiny):
    path = gray_png(tmp_path / "a.png")
    line = nircolor.refused("colorize", path, "-o", tmp_path / "out.bmp", "-m", tiny("per_pixel"))
    assert "out.bmp: expected a folder, or a name that ends in .png" in line
    assert files(tmp_path) == ["a.png"]


def test_skip_and_overwrite_exclude_each_other(nircolor, tmp_path):
    path = gray_png(tmp_path / "a.png")
    outcome = nircolor("colorize", path, "-o", tmp_path / "b", "--skip-existing", "--overwrite")
    assert outcome.code == 2
    assert "expected either --skip-existing or --overwrite" in outcome.err
