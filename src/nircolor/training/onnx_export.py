"""Convert a network to ONNX with variable image and batch size."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from nircolor.modelfile import CARD_KEY, Card
from nircolor.models import Network
from nircolor.training.costs import random_inputs

# Smaller constants stay in single precision: a Cast node takes more space.
_HALF_FROM_ELEMENTS = 256
_LARGEST_PX = 65536


def to_onnx(network: Network, card: Card) -> onnx.ModelProto:
    """Trace a network in eval mode; the card defines its inputs and their sizes."""
    size = card.size
    batch = torch.export.Dim("batch", min=1, max=1024)
    rows, columns = (
        size.multiple_of
        * torch.export.Dim(side, min=size.fit(1) // size.multiple_of, max=_LARGEST_PX // size.multiple_of)
        for side in ("rows", "columns")
    )
    inputs = random_inputs(card, size.fit(96), size.fit(128), batch=2)
    shapes = ({0: batch, 2: rows, 3: columns}, {0: batch})
    # hints about torchvision, which is not needed, and deprecation warnings of the exporter itself
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            tuple(map(torch.from_numpy, inputs)),
            input_names=["nir", "context"][: len(inputs)],
            output_names=["rgb"],
            dynamo=True,
            dynamic_shapes=shapes[: len(inputs)],
            opset_version=18,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def halve_graph(graph: onnx.ModelProto) -> None:
    """Store large weights as float16 followed by a Cast node, which ONNX Runtime folds when it loads them."""
    casts = []
    for weight in graph.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _HALF_FROM_ELEMENTS:
            continue
        name, stored = weight.name, f"{weight.name}_half"
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)


def write_onnx(graph: onnx.ModelProto, path: Path, card: Card) -> None:
    """Write graph and card to ``path``, which is replaced if it exists."""
    # remove the exporter's source lines and paths
    for part in (
        graph.graph,
        *graph.graph.node,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.value_info,
    ):
        del part.metadata_props[:]
    del graph.metadata_props[:]
    graph.doc_string = ""
    helper.set_model_props(graph, {CARD_KEY: card.model_dump_json()})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
