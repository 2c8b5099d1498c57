"""Tests of `nircolor models` and `nircolor info`."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from onnx import helper

from nircolor.modelfile import Card, CardScore, describe_bands, read_card
from nircolor.weights import shipped_models
from tests.imagery.imagery_samples import load, noise, save, save_envi
from tests.tiny_models import THREE, make_card, save_model


def test_models_lists_the_default_first_in_two_lines_each(nircolor):
    outcome = nircolor("models")
    assert (outcome.code, outcome.err) == (0, "")
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert len(lines) == 2 * len(shipped_models())
    assert lines[0].startswith("scene (default) photographs")
    assert outcome.out.count("(default)") == 1
    for name, path in shipped_models().items():
        card = read_card(path)
        (first,) = (i for i, line in enumerate(lines) if line.split()[0] == name)
        assert lines[first].endswith(card.summary)
        assert describe_bands(card.bands) in lines[first + 1]
        assert lines[first + 1].endswith(card.licence.weights)


def test_models_with_all_details(nircolor):
    outcome = nircolor("models", "--verbose")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("model       scene: ")
    assert "250 nm wide), values encoded like a photograph" in outcome.out
    for name, path in shipped_models().items():
        card = read_card(path)
        words = (describe_bands(card.bands), card.licence.weights, card.licence.training_data)
        for text in (f"{name}: {card.summary}", *words):
            assert text in outcome.out


def test_models_as_json(nircolor):
    cards = json.loads(nircolor("models", "--json").out)
    assert [card.pop("default") for card in cards] == [True, False, False]
    files = [card.pop("files") for card in cards]
    for card, paths in zip(cards, files, strict=True):
        path = shipped_models()[card["name"]]
        forms = [path, path.with_suffix(".safetensors")]
        assert paths == [str(form) for form in forms if form.exists()]
        assert Card.model_validate(card) == read_card(path)
    described = json.loads(nircolor("info", "scene", "--json").out)
    assert described == {**cards[0], "default": True, "files": files[0]}


def test_info_lists_the_forms_of_a_shipped_model(nircolor, tmp_path, tiny, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("per_pixel", "box"):
        (weights / f"{name}.onnx").write_bytes(tiny(name).read_bytes())
    full = weights / "per_pixel.safetensors"
    full.touch()
    monkeypatch.setattr("nircolor.weights._FOLDER", weights)
    for word in ("per_pixel", weights / "per_pixel.onnx"):
        out = nircolor("info", word).out
        assert f"file        {weights / 'per_pixel.onnx'} (to run)" in out
        assert f"file        {full} (to run or to train further, in PyTorch)" in out
    assert nircolor("info", "box").out.count("file  ") == 1
    # another file of this name is not that model
    other = tmp_path / "per_pixel.onnx"
    other.write_bytes(tiny("per_pixel").read_bytes())
    assert json.loads(nircolor("info", other, "--json").out)["files"] == [str(other)]


def test_info_of_a_model_file(nircolor, tmp_path):
    score = CardScore(data="a set", psnr_db=16.3, ssim=0.54, angular_error_deg=6.0, source="results/a.json")
    card = make_card("own", bands=THREE, summary="for [red] bands", scores=(score,))
    path = save_model(tmp_path / "OWN.ONNX", card, [helper.make_node("Identity", ["nir"], ["rgb"])])
    outcome = nircolor("info", path)
    assert outcome.code == 0
    assert "own: for [red] bands" in outcome.out
    assert "a set: PSNR 16.30 dB, SSIM 0.540, angle 6.00° (results/a.json)" in outcome.out
    assert "3 bands (780 nm; 850 nm; 940 nm)" in outcome.out
    assert "as you like" in outcome.out


def test_info_of_a_shipped_model(nircolor):
    outcome = nircolor("info", "satellite")
    assert (outcome.code, outcome.err) == (0, "")
    assert "3 bands (783 nm; 842 nm; 945 nm)" in outcome.out


def test_info_of_a_cube(nircolor, tmp_path):
    header = save_envi(
        tmp_path, np.full((3, 8, 9), 0.25, np.float32), wavelength="{651.25, 780, 850}", wavelength_units="nm"
    )
    outcome = nircolor("info", header)
    assert outcome.code == 0
    assert f"{header} (ENVI)" in outcome.out
    assert "9 × 8 px, 3 bands, float32" in outcome.out
    assert "651.25 nm, percentiles 1, 50, 99: 0.250, 0.250, 0.250" in outcome.out
    assert "1.0 means" in outcome.out
    assert f"fits: nircolor colorize {header} -o colour/ --model scene" in outcome.out


def test_info_explains_why_a_model_does_not_fit(nircolor, tmp_path):
    header = save_envi(tmp_path, noise(1, 8, 9), wavelength="{1500}", wavelength_units="nm")
    outcome = nircolor("info", header)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert "model scene does not fit: expected a band at 850 ± 125 nm for model scene" in text
    assert "fits" in nircolor("info", header, "--bands", "850").out


def test_info_of_invalid_pixels(nircolor, tmp_path):
    array = np.full((1, 10, 10), 0.5, np.float32)
    array[0, :4] = np.nan
    assert "60.0% of the pixels" in nircolor("info", save(tmp_path / "a.tif", array)).out
    array[:] = np.nan
    outcome = nircolor("info", save(tmp_path / "b.tif", array))
    assert outcome.code == 0
    assert "no valid pixels" in outcome.out


def test_info_of_a_georeferenced_image(nircolor, tmp_path):
    path = save(tmp_path / "a.tif", noise(1, 8, 8), crs="EPSG:32632")
    assert "EPSG:32632" in nircolor("info", path).out


def test_file_names_are_printed_unchanged(nircolor, tmp_path):
    path = save(tmp_path / "a [red] b[] :sun: é.tif", noise(1, 8, 8))
    outcome = nircolor("info", path)
    assert outcome.code == 0
    assert f"{path} (GTiff)" in outcome.out
    assert f"colorize '{path}' -o" in outcome.out


def test_warnings_are_one_line(nircolor, tmp_path):
    outcome = nircolor("info", save(tmp_path / "a.tif", noise(1, 8, 8, "uint16") // 16))
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"warning: {tmp_path / 'a.tif'}: uint16 without a value of 16384")


@pytest.mark.parametrize("name", ["missing.png", "missing.onnx", "text.png", "text.onnx"])
def test_files_that_are_neither_image_nor_model(nircolor, tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("Dear Sir or Madam")
    assert nircolor.refused("info", tmp_path / name).startswith(f"{tmp_path / name}: ")


def test_ranges_come_from_a_reduced_view(nircolor, tmp_path):
    stripes = np.zeros((1, 1024, 512), np.uint8)
    stripes[0, ::2] = 255
    path = save(tmp_path / "a.tif", stripes)
    assert "percentiles 1, 50, 99: 0.500, 0.500, 0.500" in nircolor("info", path).out


def test_a_selection_of_the_bands_of_a_cube_is_listed(nircolor, tmp_path):
    wavelengths = ", ".join(str(nm) for nm in range(400, 1000, 3))
    header = save_envi(tmp_path, noise(200, 8, 9), wavelength=f"{{{wavelengths}}}", wavelength_units="nm")
    outcome = nircolor("info", header)
    assert "200 bands" in outcome.out
    bands = [line.split()[1] for line in outcome.out.splitlines() if line.startswith("band ")]
    assert len(bands) == 8
    assert (bands[0], bands[-1]) == ("1", "200")
    assert " 997 nm, percentiles 1, 50, 99: " in outcome.out


# --- the recommended command


def command_in(outcome):
    """Return the words after `nircolor` of the one command that is shown."""
    (line,) = (line for line in outcome.out.splitlines() if "nircolor colorize" in line)
    return shlex.split(line[line.index("nircolor colorize") :])[1:]


def stored(path, dtype="uint16", value=3000, bands=(None,), tags=(), **options):
    """Write an image with band names; some rows have another value, so that it is no plain surface."""

    def setup(dataset):
        dataset.descriptions = bands
        for index, nm in enumerate(tags, 1):
            dataset.update_tags(index, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{nm / 1000:g}")

    array = np.full((len(bands), 40, 50), value, dtype)
    array[:, :9] = np.asarray(value * 0.5, dtype)
    return save(path, array, setup=setup, **options)


LANDSAT = "LC08_L2SP_192028_20210715_20210721_02_T1_SR_B5.TIF"
LANDSAT_5 = "LT05_L2SP_192028_19980715_20200721_02_T1_SR_B4.TIF"
UTM = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("a.tif", {"dtype": "uint8", "value": 200}, "scene"),
        ("a.tif", {"dtype": "float32", "value": 0.5}, "scene"),
        ("a.tif", {"dtype": "float32", "value": 0.5, "tags": (850,)}, "scene"),
        ("s2.tif", {"bands": ("B07", "B08", "B09")}, "satellite --scale 10000"),
        ("s2.tif", {"bands": ("B04", "B08", "B8A"), "value": 17000}, "satellite-1band --scale 10000"),
        ("a.tif", {"bands": (None,) * 3, "tags": (783, 842, 945), **UTM}, "satellite --scale 10000"),
        ("a.tif", {"tags": (842,), "dtype": "float32", "value": 0.3, **UTM}, "satellite-1band"),
        ("a.tif", {"tags": (842,)}, "scene"),
        (LANDSAT_5, {"value": 17000}, "satellite-1band --scale 0.0000275 --offset -0.2"),
    ],
)
def test_the_command_shown_is_the_best_and_works(nircolor, tmp_path, monkeypatch, name, image, expected):
    monkeypatch.chdir(tmp_path)
    path = stored(tmp_path / name, **image)
    outcome = nircolor("info", path)
    assert outcome.code == 0
    words = command_in(outcome)
    assert words == ["colorize", str(path), "-o", "colour/", "--model", *expected.split()]
    assert nircolor(*words).code == 0
    colour, _ = load(tmp_path / "colour" / name)
    assert colour.shape == (3, 40, 50)
    if "scene" not in expected:
        # neither nearly black nor white
        assert 0.02 < np.mean(colour[:, 20:] / np.iinfo(colour.dtype).max) < 0.9


@pytest.mark.parametrize("band", [None, "SR_B5"])
def test_no_model_is_recommended_for_another_band_of_a_satellite(nircolor, tmp_path, band):
    """865 nm is not 842 ± 15, whether the band or the file has the name, and scene is for photographs."""
    outcome = nircolor("info", stored(tmp_path / LANDSAT, value=17000, bands=(band,)))
    assert outcome.code == 0
    assert "nircolor colorize" not in outcome.out
    assert "no model that ships is for these bands of Landsat Collection 2 surface" in outcome.err


def test_the_command_keeps_the_options_given(nircolor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = stored(tmp_path / "-a b.tif", bands=(None,) * 2, value=20000)
    options = ["--bands", "560,842", "--scale", "0.0000275", "--offset", "-0.2", "--no-reflectance"]
    options += ["--nodata", "7", "--max-pixels", "5000"]
    words = command_in(nircolor("info", path, *options))
    assert words == ["colorize", str(path), "-o", "colour/", "--model", "scene", *options]
    assert nircolor(*words).code == 0
    assert command_in(nircolor("info", "./-a b.tif", "--bands", "nir=2"))[1] == "./-a b.tif"


def test_values_that_are_not_stated_are_said_to_be(nircolor, tmp_path):
    header = save_envi(tmp_path, np.full((1, 8, 9), 0.25, np.float32), wavelength="{850}")
    outcome = nircolor("info", header)
    assert "not stated; scene takes values encoded like a photograph" in outcome.out
    assert "add --reflectance" in outcome.err
    for option, text in (("--reflectance", "reflectance   yes"), ("--no-reflectance", "reflectance   no")):
        outcome = nircolor("info", header, option)
        assert text.split() == outcome.out.splitlines()[3].split()[:2]
        assert outcome.err == ""


def test_where_wavelengths_come_from(nircolor, tmp_path):
    path = stored(tmp_path / "a.tif", bands=("B04", "B08", "B8A"))
    assert "wavelengths from known sensor" in " ".join(nircolor("info", path).out.split())
    given = nircolor("info", path, "--bands", "665,842,865")
    assert "wavelengths from --bands" in " ".join(given.out.split())


def test_other_models_are_explained_with_verbose(nircolor, tmp_path):
    path = save(tmp_path / "a.png", noise(1, 8, 9), "PNG")
    assert "satellite" not in nircolor("info", path).out
    text = " ".join(nircolor("info", path, "--verbose").out.split())
    assert "model satellite does not fit: expected 3 bands" in text
    assert "model satellite-1band fits: nircolor colorize" in text


def test_json_of_an_image(nircolor, tmp_path):
    path = stored(tmp_path / "s2.tif", bands=("B07", "B08", "B09"), nodata=0, **UTM)
    outcome = nircolor("info", path, "--json")
    content = json.loads(outcome.out)
    assert list(content) == [
        "file", "format", "width", "height", "dtype", "orientation", "crs", "transform", "nodata", "alpha",
        "mask", "valid_fraction", "scale", "reflectance", "product", "bands", "recommended", "models",
        "warnings",
    ]  # fmt: skip
    assert (content["width"], content["height"], content["dtype"], content["nodata"]) == (50, 40, "uint16", 0)
    assert (content["crs"], content["transform"]) == ("EPSG:32632", [10, 0, 500000, 0, -10, 5000000])
    assert content["scale"] == {
        "zero": 0, "one": 65535, "rule": "uint16 integers: 65535 maps to 1", "source": "type",
    }  # fmt: skip
    assert content["reflectance"] is None
    assert [band["wavelength_nm"] for band in content["bands"]] == [783, 842, 945]
    assert [band["wavelength_from"] for band in content["bands"]] == ["known sensor"] * 3
    assert content["recommended"]["model"] == content["models"][0]["name"] == "satellite"
    assert [model["fits"] for model in content["models"]] == [True, True, False]
    assert [line in outcome.err for line in content["warnings"]] == [True]
    scaled = json.loads(nircolor("info", path, "--json", "--scale", 10000, "--reflectance").out)
    assert (scaled["reflectance"], scaled["scale"]["source"], scaled["warnings"]) == (True, "user", [])
    assert scaled["bands"][0]["percentiles_1_50_99"] == pytest.approx([0.15, 0.3, 0.3])


def test_json_of_an_image_without_valid_pixels(nircolor, tmp_path):
    path = save(tmp_path / "a.tif", np.full((1, 8, 9), np.nan, np.float32), nodata=np.nan)
    content = json.loads(nircolor("info", path, "--json").out)
    assert (content["nodata"], content["valid_fraction"]) == ("nan", 0)
    assert content["bands"][0]["percentiles_1_50_99"] is None


@pytest.mark.parametrize("name", ["esc\x1b[31mred.png", "two\nlines.png", "it's\ttab.png"])
def test_the_command_works_for_names_with_control_characters(nircolor, tmp_path, name):
    path = save(tmp_path / name, noise(1, 24, 24), "PNG")
    command = json.loads(nircolor("info", path, "--json").out)["recommended"]["command"]
    assert command.isprintable()
    assert command in nircolor("info", path).out
    # what a shell makes of it
    script = f'set -- {command}; printf "%s" "$3"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout == os.fsencode(path)


def test_a_warning_has_a_name_with_a_line_break_once(nircolor, tmp_path):
    path = save(tmp_path / "two\nlines.tif", noise(1, 24, 24, np.uint16) // 16)
    done = nircolor("info", path)
    assert done.err.count("lines.tif") == 1
    assert f"warning: {tmp_path / 'two'}\\nlines.tif: uint16 without" in done.err


def test_an_image_from_standard_input(nircolor, tmp_path, monkeypatch):
    path = save(tmp_path / "a.tif", noise(1, 24, 24, dtype=np.uint16) // 16, "GTiff")
    for words in ([], ["--json"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        done = nircolor("info", "-", *words)
        assert done.code == 0
        assert ".nircolor-" not in done.out + done.err
        assert "nircolor colorize - -o colour.png --model scene" in done.out
    assert done.err.startswith("warning: standard input: uint16 without a value of 16384 or more")
    content = json.loads(done.out)
    assert content["file"] == "-"
    assert content["warnings"][0].startswith("standard input: uint16")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"no image")))
    assert nircolor.refused("info", "-").startswith("standard input: expected a PNG")


def test_the_command_for_a_converted_camera(nircolor, tmp_path):
    red = np.stack([noise(1, 64, 64)[0] // factor for factor in (1, 2, 2)])
    save(tmp_path / "a.png", red)
    done = nircolor("info", tmp_path / "a.png")
    assert "looks like the red-tinted image" in done.err
    assert done.out.rstrip().endswith("--model scene --from converted")


@pytest.fixture
def box(tmp_path):
    """A folder of images of three kinds, with files that are no images and a damaged one."""
    folder = tmp_path / "box"
    folder.mkdir()
    for number in range(4):
        save(folder / f"IMG_{number}.png", noise(1, 20 + number, 24), driver="PNG")
    for name in ("a.tif", "b.tif"):
        save(
            folder / name, noise(1, 16, 16, "uint16") // 20, setup=lambda f: f.set_band_description(1, "B08")
        )
    save(folder / "rgbn.tif", noise(4, 16, 16))
    (folder / "cut.png").write_bytes((folder / "IMG_0.png").read_bytes()[:100])
    (folder / "notes.txt").write_text("x")
    (folder / "clip.mp4").write_bytes(b"x")
    return folder


def test_images_of_a_folder_that_are_read_alike_are_listed_together(nircolor, box):
    done = nircolor("info", box)
    assert done.code == 1
    blocks = [[line.split(maxsplit=2) for line in block.splitlines()] for block in done.out.split("\n\n")]
    assert [block[0][:2] for block in blocks] == [["4", "images"], ["2", "images"], ["1", "image"]]
    photographs, satellite, unknown = (" ".join(block.split()) for block in done.out.split("\n\n"))
    assert f"{box / 'IMG_0.png'}, {box / 'IMG_1.png'}, {box / 'IMG_2.png'}, … (PNG) size" in photographs
    assert "size 24 × 20, 24 × 21, 24 × 22, … px" in photographs
    assert photographs.endswith("model scene fits, with --model scene")
    assert "bands 1 band, uint16 (B08 842 nm)" in satellite
    assert satellite.endswith("model satellite-1band fits, with --model satellite-1band --scale 10000")
    assert "such as --bands nir=4" in unknown
    assert "warning: 2 images: the scale of the values is not stated; --scale 10000 is for" in done.err
    assert "clip.mp4" in done.err
    assert f"{box / 'cut.png'}: the image is damaged" in done.err


def test_json_of_a_folder_has_what_is_said_of_each_image(nircolor, box):
    (box / "cut.png").unlink()
    done = nircolor("info", box, "--json")
    assert done.code == 0
    listed = json.loads(done.out)
    assert [Path(one["file"]).name for one in listed] == [
        "IMG_0.png", "IMG_1.png", "IMG_2.png", "IMG_3.png", "a.tif", "b.tif", "rgbn.tif",
    ]  # fmt: skip
    for one in listed:
        assert one == json.loads(nircolor("info", one["file"], "--json").out)


def test_the_command_for_a_folder_of_one_kind_colorizes_it(nircolor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    save(tmp_path / "deep" / "a.png", noise(1, 16, 16))
    save(tmp_path / "deep" / "er" / "b.png", noise(1, 16, 16))
    for words, count in ((["deep"], "1 image"), (["deep", "-r"], "2 images"), (["deep/*.png"], "1 image")):
        done = nircolor("info", *words)
        assert done.out.startswith(f"{count} ")
        (command,) = (line.partition("fits: ")[2] for line in done.out.splitlines() if "fits: " in line)
        assert nircolor(*shlex.split(command)[1:], "--overwrite").code == 0
        assert (tmp_path / "colour" / ("er/b.png" if "-r" in words else "a.png")).exists()


@pytest.mark.parametrize(("one", "kind"), [("scene", "a model"), ("-", "standard input")])
def test_a_model_or_standard_input_is_described_alone(nircolor, tmp_path, one, kind):
    path = save(tmp_path / "a.png", noise(1, 16, 16))
    assert f"{one}: expected several images, or {kind} alone" in nircolor.refused("info", path, one)


def test_a_folder_without_images_has_no_info(nircolor, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    done = nircolor("info", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "expected images in this folder, found none" in done.err
    save(tmp_path / "a.png", noise(1, 16, 16))
    assert "--recursive: expected a folder" in nircolor("info", tmp_path / "a.png", "-r").err


def test_a_mistyped_model_is_suggested(nircolor):
    assert (
        nircolor.refused("info", "sattelite") == "sattelite: no such file or model; did you mean satellite?"
    )
    line = nircolor.refused("colorize", "a.png", "-o", "b.png", "-m", "sceen")
    assert line.endswith("; did you mean scene?")


@pytest.mark.parametrize("words", [["models"], ["models", "-v"], ["info", "scene"]])
def test_no_line_ends_in_blanks_without_a_terminal(nircolor, words):
    lines = nircolor(*words).out.splitlines()
    assert lines
    assert all(line == line.rstrip() for line in lines)
