"""Tests of ``.onnx`` model files: the card is kept, and bad files are refused in one line."""

import json
import subprocess
import sys

import pytest
from onnx import helper
from pydantic import ValidationError

from nircolor.errors import NircolorError
from nircolor.modelfile import Band, Card, CardScore, Context, open_session, read_card
from tests.tiny_models import BROAD, make_card, per_pixel, position, save_model

_IDENTITY = [helper.make_node("Concat", ["nir", "nir", "nir"], ["rgb"], axis=1)]


def _refused(path, match):
    with pytest.raises(NircolorError, match=match) as caught:
        read_card(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line


def test_a_card_survives_writing_and_reading(tmp_path):
    card = make_card(
        "a_model.v1-2",
        bands=(Band(center_nm=780.5, fwhm_nm=20, tolerance_nm=10),),
        arguments={"widths": [24, 32], "dropout": 0.1},
        encoding="reflectance",
        scores=(
            CardScore(data="a set", psnr_db=16.3, ssim=0.54, angular_error_deg=6.0, source="results/a.json"),
        ),
    )
    assert read_card(save_model(tmp_path / "a.onnx", card, _IDENTITY)) == card


def test_context_is_read_and_the_session_has_its_input(tmp_path):
    session, card = open_session(position(tmp_path / "a.onnx", side=16))
    assert card.context == Context(size_px=16)
    assert [i.name for i in session.get_inputs()] == ["nir", "context"]


def test_narrow_and_broad():
    assert BROAD[0].is_broad
    assert not Band(center_nm=850, fwhm_nm=50, tolerance_nm=10).is_broad


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Not A Name"},
        {"name": "../escape"},
        {"bands": []},
        {"encoding": "jpeg"},
        {"card_version": 2},
        {"bytes_per_px": 0},
        {"size": {"multiple_of": 0, "minimum": 1, "receptive_field_px": 0}},
        {"size": {"multiple_of": 1, "minimum": 1, "receptive_field_px": -1}},
        {"context": {"size_px": 4}},
        {"invented": True},
        {"licence": {"weights": "free", "training_data": "mine", "invented": 1}},
    ],
)
def test_invalid_cards_are_refused(tmp_path, change):
    fields = json.loads(make_card().model_dump_json()) | change
    with pytest.raises(ValidationError):
        Card.model_validate(fields)
    path = save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=json.dumps(fields))
    _refused(path, f"the model's card is not valid at {next(iter(change))}")


_SIZE = {"multiple_of": 4, "minimum": 8, "receptive_field_px": 0}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"size": _SIZE | {"multiple_of": 10**9}}, "size.multiple_of: Input should be less than or"),
        ({"size": _SIZE | {"minimum": 10**9}}, "size.minimum: Input should be less than or equal to 8192"),
        ({"size": _SIZE | {"receptive_field_px": 10**9}}, "size.receptive_field_px: Input should be less"),
        ({"size": _SIZE | {"overlap_px": 10**9}}, "size.overlap_px: Input should be less"),
        ({"context": {"size_px": 10**6}}, "context.size_px: Input should be less than or equal to 4096"),
        ({"bytes_per_px": 1e12}, "bytes_per_px: Input should be less"),
        ({"bytes_per_px": "Infinity"}, "bytes_per_px: Input should be less"),
        ({"multiply_adds_per_px": 1e300}, "multiply_adds_per_px: Input should be less"),
        ({"size": _SIZE | {"receptive_field_px": 8192}}, "card: the inputs of the network take 1.1 GB"),
        ({"size": _SIZE | {"overlap_px": 16384}}, "card: the inputs of the network take 2.4 GB, expected"),
        ({"context": {"size_px": 4096}, "bands": [BROAD[0].model_dump()] * 20}, "card: the inputs"),
        ({"bands": [BROAD[0].model_dump()] * 2000}, "bands: Tuple should have at most 1024 items"),
        ({"bands": [{"center_nm": 1e300, "fwhm_nm": 1, "tolerance_nm": 1}]}, "bands.0.center_nm: Input"),
        ({"name": "a" * 10_000}, "name: String should have at most 200 characters"),
        ({"summary": "a" * 10_000}, "summary: String should have at most 2000 characters"),
        ({"architecture": "a" * 10_000}, "architecture: String should have at most 200"),
        ({"arguments": {"a": "a" * (2 << 20)}}, "expected a card of at most 1 MiB, got 2.0 MiB"),
    ],
)  # fmt: skip
def test_cards_have_upper_bounds(tmp_path, change, match):
    fields = json.loads(make_card().model_dump_json()) | change
    path = save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=json.dumps(fields))
    _refused(path, match)


def test_a_card_of_deeply_nested_json(tmp_path):
    text = '{"arguments": ' + "[" * 100_000
    _refused(
        save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=text), "card is not valid at card"
    )


def test_a_card_without_a_licence_is_refused(tmp_path):
    fields = json.loads(make_card().model_dump_json())
    del fields["licence"]
    path = save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=json.dumps(fields))
    _refused(path, "not valid at licence: Field required")


def test_a_card_cannot_be_changed():
    with pytest.raises(ValidationError):
        make_card().name = "another"


def test_files_that_are_not_models(tmp_path):
    _refused(tmp_path / "missing.onnx", "no such model file")
    _refused(tmp_path, "no such model file")
    (tmp_path / "empty.onnx").touch()
    _refused(tmp_path / "empty.onnx", "expected an ONNX model file")
    (tmp_path / "text.onnx").write_text("Dear Sir or Madam")
    _refused(tmp_path / "text.onnx", "expected an ONNX model file")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_model(tmp_path, share):
    path = per_pixel(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    _refused(path, "expected a")


def test_a_foreign_onnx_file(tmp_path):
    _refused(save_model(tmp_path / "a.onnx", None, _IDENTITY), "an ONNX file without a card")
    _refused(save_model(tmp_path / "b.onnx", None, _IDENTITY, card_text="{"), "card is not valid at card")


def test_a_network_with_other_inputs_than_its_card(tmp_path):
    three = make_card(bands=BROAD * 3)
    path = save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=three.model_dump_json())
    _refused(path, r"expected a network with float inputs \{'nir': 3\}.*, as in its card, got \{'nir': 1\}")
    wants_view = make_card(context=Context(size_px=16))
    path = save_model(tmp_path / "b.onnx", make_card(), _IDENTITY, card_text=wants_view.model_dump_json())
    _refused(path, r"\{'nir': 1, 'context': 5\}")


def test_a_damaged_model_prints_nothing_else(tmp_path):
    # onnxruntime writes to the standard error behind Python's back
    path = tmp_path / "a.onnx"
    path.write_text("Dear Sir or Madam")
    code = f"from pathlib import *; from nircolor.modelfile import *; read_card({path!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "NircolorError" in done.stderr
    assert "[E:onnxruntime" not in done.stderr
    assert not done.stdout


def test_cards_of_version_0_1_are_read(tmp_path):
    fields = make_card().model_dump(mode="json")
    fields["size"]["reach_px"] = 75
    del fields["size"]["receptive_field_px"]
    path = save_model(tmp_path / "a.onnx", make_card(), _IDENTITY, card_text=json.dumps(fields))
    assert read_card(path).size.receptive_field_px == 75


def test_text_that_is_not_utf_8(tmp_path, capfd):
    path = per_pixel(tmp_path / "a.onnx")
    content = path.read_bytes()
    for text in (b"for tests", b"Concat"):
        path.write_bytes(content.replace(text, b"\xf8" + text[1:]))
        _refused(path, "expected an ONNX model file, got one that cannot be loaded")
    # onnxruntime prints that it falls back from the CPU to the CPU
    assert capfd.readouterr() == ("", "")
