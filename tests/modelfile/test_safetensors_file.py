"""Tests of ``.safetensors`` model files: card and weights are kept, and bad files are refused in one line."""

import json
import struct

import numpy as np
import pytest
import safetensors.numpy as safetensors_numpy

from nircolor import extras
from nircolor.errors import NircolorError
from nircolor.modelfile import CARD_KEY, Context, read_card, read_safetensors, write_safetensors
from tests.tiny_models import THREE, make_card, per_pixel

_CARD = make_card("a_model", bands=THREE, engine="torch", context=Context(size_px=16))
_TENSORS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv.half": np.float16([0.5, -2]),
    "norm.count": np.array(7),
}


def _saved(path, card=_CARD):
    write_safetensors(_TENSORS, path, card)
    return path


def _by_hand(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _refused(path, match):
    lines = []
    for read in (read_card, read_safetensors):
        with pytest.raises(NircolorError, match=match) as caught:
            read(path)
        lines.append(str(caught.value))
    assert lines[0] == lines[1]
    assert lines[0].startswith(f"{path}: ")
    assert "\n" not in lines[0]


def test_card_and_weights_survive_writing_and_reading(tmp_path):
    tensors, card = read_safetensors(_saved(tmp_path / "A.SafeTensors"))
    assert card == read_card(tmp_path / "A.SafeTensors") == _CARD
    assert tensors.keys() == _TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == _TENSORS[name].dtype
        np.testing.assert_array_equal(tensor, _TENSORS[name])


def test_weights_that_are_not_contiguous(tmp_path):
    weights = _TENSORS["conv.weight"].transpose(2, 0, 1)
    write_safetensors({"a": weights, "b": weights[::2]}, tmp_path / "a.safetensors", _CARD)
    tensors, _ = read_safetensors(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(tensors["a"], weights)
    np.testing.assert_array_equal(tensors["b"], weights[::2])


def test_reading_the_card_reads_no_weights(tmp_path):
    assert read_safetensors(_saved(tmp_path / "a.safetensors"), weights=False) == ({}, _CARD)


def test_files_that_are_not_models(tmp_path):
    _refused(tmp_path / "missing.safetensors", "no such model file")
    (tmp_path / "folder.safetensors").mkdir()
    _refused(tmp_path / "folder.safetensors", "no such model file")
    path = tmp_path / "a.safetensors"
    path.touch()
    _refused(path, "expected a safetensors model file")
    path.write_text("Dear Sir or Madam")
    _refused(path, "expected a safetensors model file")
    per_pixel(path)
    _refused(path, "expected a safetensors model file")


@pytest.mark.parametrize("share", [0.005, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model(tmp_path, share):
    path = _saved(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    _refused(path, "expected a safetensors model file, got one that cannot be loaded")


def test_a_header_that_promises_more_than_there_is(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    _refused(path, "cannot be loaded")
    _refused(_by_hand(path, {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}), "cannot be")


def test_foreign_files(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_numpy.save_file(_TENSORS, path)
    _refused(path, "a nircolor model file, got a safetensors file without a card")
    safetensors_numpy.save_file(_TENSORS, path, {"format": "pt"})
    _refused(path, "without a card")
    bfloat16 = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    _refused(_by_hand(path, bfloat16, b"0000"), "without a card")


@pytest.mark.parametrize("metadata", [{CARD_KEY: 3}, [CARD_KEY]])
def test_metadata_that_are_not_text(tmp_path, metadata):
    _refused(_by_hand(tmp_path / "a.safetensors", {"__metadata__": metadata}), "cannot be loaded")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "card"),
        ("3", "card"),
        ('{"name": "Not A Name"}', "name"),
        ('{"engine": "tensorflow"}', "engine"),
    ],
)
def test_invalid_cards(tmp_path, text, where):
    path = tmp_path / "a.safetensors"
    if text.startswith('{"'):
        text = json.dumps(json.loads(_CARD.model_dump_json()) | json.loads(text))
    safetensors_numpy.save_file(_TENSORS, path, {CARD_KEY: text})
    _refused(path, f"the model's card is not valid at {where}: ")


def test_the_card_of_another_kind_of_file(tmp_path):
    card = make_card(engine="onnxruntime")
    _refused(
        _saved(tmp_path / "a.safetensors", card),
        "the card asks for onnxruntime, but a safetensors file runs in torch",
    )
    path = per_pixel(tmp_path / "a.onnx", engine="torch")
    with pytest.raises(NircolorError, match=r"asks for torch, but an ONNX file runs in onnxruntime"):
        read_card(path)


def test_types_that_numpy_lacks(tmp_path):
    header = {
        "__metadata__": {CARD_KEY: _CARD.model_dump_json()},
        "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
    }
    path = _by_hand(tmp_path / "a.safetensors", header, b"0000")
    assert read_card(path) == _CARD
    with pytest.raises(NircolorError, match=r"a\.safetensors: .* cannot be loaded .*bfloat16"):
        read_safetensors(path)


def test_without_safetensors_the_error_names_the_install(tmp_path, monkeypatch):
    path = _saved(tmp_path / "a.safetensors")
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    _refused(path, r"a \.safetensors model needs more than the base install: .*\[train\]'")
    # shipped models need no extra
    read_card(per_pixel(tmp_path / "a.onnx"))
