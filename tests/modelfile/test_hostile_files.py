"""Model files that would read other files, or that do not run, are refused in one line."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
from nircolor.modelfile import open_session, read_card
from nircolor.modelfile.onnx_scan import external_tensor
from tests.tiny_models import make_card, per_pixel, save_model


def _external(name="half", location="weights.bin"):
    tensor = numpy_helper.from_array(np.float32(0.5), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def _graph(*nodes):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "g", [], [value])


def _model(place):
    """A model with an external tensor somewhere."""
    constant = helper.make_node("Constant", [], ["x"], value=_external())
    if place == "initializer":
        return helper.make_model(helper.make_graph([], "g", [], [], [_external()]))
    if place == "constant":
        return helper.make_model(_graph(constant))
    if place == "subgraph":
        node = helper.make_node(
            "If", ["c"], ["x"], then_branch=_graph(constant), else_branch=_graph(constant)
        )
        return helper.make_model(_graph(node))
    if place == "sparse":
        sparse = onnx.SparseTensorProto(values=_external(), indices=_external("i"), dims=[1])
        return helper.make_model(helper.make_graph([], "g", [], [], sparse_initializer=[sparse]))
    opset = [helper.make_opsetid("", 18)]
    function = helper.make_function("mine", "f", [], ["x"], [constant], opset)
    return helper.make_model(_graph(), functions=[function])


@pytest.mark.parametrize("place", ["initializer", "constant", "subgraph", "sparse", "function"])
def test_external_data_are_found_wherever_they_are(place):
    assert external_tensor(_model(place).SerializeToString()) == "half"


@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "../secret", "fifo", ""])
def test_a_model_that_names_another_file_is_refused(tmp_path, location):
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    path = per_pixel(tmp_path / "a.onnx")
    model = onnx.load(path)
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        [_external("half", location), numpy_helper.from_array(np.float32(1), "one")]
    )
    onnx.save(model, path)
    for read in (read_card, open_session, Colorizer):
        with pytest.raises(
            NircolorError, match=r"a\.onnx: expected all weights inside the file, got half in"
        ):
            read(path)


def test_shipped_models_have_no_external_data(tmp_path):
    assert external_tensor(per_pixel(tmp_path / "a.onnx").read_bytes()) is None


_MESSAGE_OF_200 = bytes([0x3A, 200, 1])


@pytest.mark.parametrize(
    "content",
    [b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x0a\x01", b"\x08", b"\x3b", _MESSAGE_OF_200 * 60],
)
def test_other_content_is_no_protocol_buffer(content):
    with pytest.raises(ValueError, match=r"a (field|number)"):
        external_tensor(content)


def test_nested_graphs():
    content = b""
    for _ in range(100):
        for key in (0x32, 0x2A, 0x0A):  # a graph in an attribute in a node
            content = bytes([key]) + _varint(len(content)) + content
    with pytest.raises(ValueError, match="nested too deeply"):
        external_tensor(b"\x3a" + _varint(len(content)) + content)


def _varint(value):
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F)
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


def _failing(path):
    nodes = [
        helper.make_node("Reshape", ["nir", "shape"], ["x"]),
        helper.make_node("Concat", ["x", "x", "x"], ["rgb"], axis=1),
    ]
    return save_model(path, make_card(), nodes, shape=np.array([1, 1, 7, 7]))


def test_onnxruntime_prints_nothing(tmp_path):
    path = _failing(tmp_path / "a.onnx")
    code = f"""
import numpy as np
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
try:
    Colorizer({str(path)!r}).colorize(np.zeros((1, 16, 16), np.float32))
except NircolorError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith(
        f"{path}: fails on a tile of (1, 16, 16) (Non-zero status code returned while"
    )
    assert "onnxruntime_src" not in done.stdout


def test_nan_from_a_network_is_an_error(tmp_path):
    nodes = [
        helper.make_node("Log", ["minus"], ["nan"]),
        helper.make_node("Mul", ["nir", "nan"], ["x"]),
        helper.make_node("Concat", ["x", "x", "x"], ["rgb"], axis=1),
    ]
    colorizer = Colorizer(save_model(tmp_path / "a.onnx", make_card(), nodes, minus=-1.0))
    with pytest.raises(NircolorError, match="expected numbers from the network, got NaN or infinity"):
        colorizer.colorize(np.ones((1, 16, 16), np.float32))


def test_a_damaged_model_is_refused_before_pytorch_is_imported(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\xff" * 100)
    code = f"""
import sys
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
try:
    Colorizer({str(path)!r})
except NircolorError:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_field_numbers_beyond_32_bits_are_refused():
    # readers of protocol buffers drop the upper bits: this is field 14, the place of a tensor's values
    with pytest.raises(ValueError, match="field number"):
        external_tensor(_varint((14 << 3) + (1 << 32)) + _varint(1))
