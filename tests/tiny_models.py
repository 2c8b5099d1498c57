"""Tiny ONNX model files with outputs that are easy to compute by hand."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nircolor.modelfile import CARD_KEY, Band, Card, Context, Licence, Size

BROAD = (Band(center_nm=850, fwhm_nm=250, tolerance_nm=125),)
THREE = tuple(Band(center_nm=nm, fwhm_nm=25, tolerance_nm=15) for nm in (780, 850, 940))


def make_card(name: str = "tiny", *, bands: tuple[Band, ...] = BROAD, **fields: object) -> Card:
    """A valid card for tests; ``fields`` replace its defaults."""
    known = {
        "summary": "for tests",
        "architecture": "tiny",
        "arguments": {},
        "encoding": "gamma",
        "size": Size(multiple_of=4, minimum=8, receptive_field_px=0),
        "bytes_per_px": 100.0,
        "multiply_adds_per_px": 10.0,
        "licence": Licence(weights="as you like", training_data="none"),
    }
    return Card(name=name, bands=bands, **(known | fields))


def per_pixel(path: Path, **fields: object) -> Path:
    """(n, n/2, 1 - n) of one broad band: shows colours that are swapped, shifted or scaled."""
    nodes = [
        helper.make_node("Mul", ["nir", "half"], ["green"]),
        helper.make_node("Sub", ["one", "nir"], ["blue"]),
        helper.make_node("Concat", ["nir", "green", "blue"], ["rgb"], axis=1),
    ]
    return save_model(path, make_card("per_pixel", **fields), nodes, half=0.5, one=1.0)


def bounded(path: Path, **fields: object) -> Path:
    """`per_pixel` with a bound of the error of n/4 as the fourth channel."""
    nodes = [
        helper.make_node("Mul", ["nir", "half"], ["green"]),
        helper.make_node("Sub", ["one", "nir"], ["blue"]),
        helper.make_node("Mul", ["nir", "quarter"], ["bound"]),
        helper.make_node("Concat", ["nir", "green", "blue", "bound"], ["rgb"], axis=1),
    ]
    card = make_card("bounded", error_quantile=0.9, **fields)
    return save_model(path, card, nodes, half=0.5, one=1.0, quarter=0.25)


def box(path: Path, receptive_field_px: int = 32) -> Path:
    """Means over 9×9 px with zero padding; a radius of 32 px keeps the padding out of the blend."""
    weights = np.full((3, 1, 9, 9), 1 / 81, np.float32) * np.float32([1, 0.5, 0.25])[:, None, None, None]
    nodes = [helper.make_node("Conv", ["nir", "weights"], ["rgb"], pads=[4, 4, 4, 4])]
    card = make_card("box", size=Size(multiple_of=8, minimum=24, receptive_field_px=receptive_field_px))
    return save_model(path, card, nodes, weights=weights)


def position(path: Path, side: int = 16, working_pixels: int | None = None) -> Path:
    """A pixel's row and column, 0 to 1 across the image, from the tile's edges; then the view's mean."""
    nodes = [
        helper.make_node("Split", ["context"], ["view", "t", "b", "l", "r"], axis=1, num_outputs=5),
        helper.make_node("ReduceMean", ["view", "hw"], ["mean"]),
        helper.make_node("Mul", ["nir", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        helper.make_node("Add", ["zeros", "mean"], ["blue"]),
    ]
    for axis, low, high in (("row", "t", "b"), ("column", "l", "r")):
        nodes += [
            helper.make_node("CumSum", ["ones", f"{axis}_axis"], [f"{axis}_count"]),
            helper.make_node("ReduceMax", [f"{axis}_count", "hw"], [f"{axis}_size"]),
            helper.make_node("Sub", [f"{axis}_count", "half"], [f"{axis}_center"]),
            helper.make_node("Div", [f"{axis}_center", f"{axis}_size"], [f"{axis}_share"]),
            helper.make_node("ReduceMean", [low, "hw"], [f"{axis}_low"]),
            helper.make_node("ReduceMean", [high, "hw"], [f"{axis}_high"]),
            helper.make_node("Sub", [f"{axis}_high", f"{axis}_low"], [f"{axis}_span"]),
            helper.make_node("Mul", [f"{axis}_share", f"{axis}_span"], [f"{axis}_offset"]),
            helper.make_node("Add", [f"{axis}_low", f"{axis}_offset"], [f"{axis}_position"]),
        ]
    nodes.append(helper.make_node("Concat", ["row_position", "column_position", "blue"], ["rgb"], axis=1))
    size = Size(multiple_of=4, minimum=8, receptive_field_px=6)
    card = make_card("position", size=size, context=Context(size_px=side, working_pixels=working_pixels))
    constants = {"zero": 0.0, "one": 1.0, "half": 0.5, "hw": np.int64([2, 3])}
    return save_model(path, card, nodes, **constants, row_axis=np.int64(2), column_axis=np.int64(3))


def three_bands(path: Path) -> Path:
    """The bands at 780, 850 and 940 nm as red, green and blue."""
    return save_model(path, make_card("three", bands=THREE), [helper.make_node("Identity", ["nir"], ["rgb"])])


def save_model(
    path: Path,
    card: Card | None,
    nodes: list[onnx.NodeProto],
    *,
    card_text: str | None = None,
    sides: tuple[object, object] = ("h", "w"),
    **constants: object,
) -> Path:
    """Write a graph from `nir` (and `context`) to `rgb` with its card, or `card_text` in its place."""
    bands = len(card.bands) if card else 1
    inputs = [helper.make_tensor_value_info("nir", TensorProto.FLOAT, ["n", bands, *sides])]
    if card is not None and card.context is not None:
        shape = ["n", bands + 4, card.context.size_px, card.context.size_px]
        inputs.append(helper.make_tensor_value_info("context", TensorProto.FLOAT, shape))
    arrays = {k: np.float32(v) if isinstance(v, float) else np.asarray(v) for k, v in constants.items()}
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    output = helper.make_tensor_value_info("rgb", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    text = card.model_dump_json() if card is not None and card_text is None else card_text
    if text is not None:
        helper.set_model_props(model, {CARD_KEY: text})
    onnx.save(model, path)
    return path
