"""Mutations of JSON and of model files, whose cards are JSON."""

import json
import struct
from random import Random
from typing import Any

from fuzzing.mutations import CANARY_FILE, CANARY_URL, mutate_bytes, mutate_text

_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    -0.0,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    2**31,
    2**63,
    10**40,
    10**9,
    "",
    "a",
    "scene",
    "../x",
    "a\nb",
    "\x1b[31m",
    "\0",
    "\ud800",
    "é" * 3,
    "1" * 5000,
    CANARY_FILE.decode(),
    CANARY_URL.decode(),
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    [1] * 3000,
)


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Replace, remove or add one value anywhere in a JSON document."""
    if rng.random() < 0.15:
        return mutate_text(rng, data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_text(rng, data)
    holders: list[dict[str, Any] | list[Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            holders.append(one)
            waiting += one.values() if isinstance(one, dict) else one
    if not holders:
        return mutate_text(rng, data)
    holder = rng.choice(holders)
    value = rng.choice(_VALUES)
    if rng.random() < 0.02:
        for _ in range(900):
            value = [value]
    if isinstance(holder, dict):
        key = rng.choice([*holder, "unknown", "\x1b[2J", ""])
        if rng.random() < 0.2:
            holder.pop(key, None)
        else:
            holder[key] = value
    elif rng.random() < 0.5 or not holder:
        holder.insert(rng.randrange(len(holder) + 1), value)
    else:
        holder[rng.randrange(len(holder))] = value
    return json.dumps(document).encode("utf-8", "surrogatepass")


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """Mutate the header of a `.safetensors` file or the card in it, with the length right."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.25 or length > len(data):
        return mutate_bytes(rng, data)
    header = data[8 : 8 + length]
    try:
        document = json.loads(header)
        metadata = document["__metadata__"]
        key = rng.choice(sorted(metadata))
        card = metadata[key].encode()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        card = b""
    if card and rng.random() < 0.5:
        metadata[key] = mutate_json(rng, card).decode("utf-8", "replace")
        header = json.dumps(document).encode()
    else:
        header = mutate_json(rng, header)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def mutate_onnx(rng: Random, data: bytes) -> bytes:
    """Mutate the card, an operator, an attribute, a tensor or the inputs of an ONNX model."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    # protobuf's errors have no public base class
    except Exception:
        return mutate_bytes(rng, data)
    graph = model.graph
    match rng.randrange(8):
        case 0 | 1 | 2 if model.metadata_props:
            entry = rng.choice(model.metadata_props)
            # protobuf returns bytes where the text is not UTF-8
            value = entry.value if isinstance(entry.value, bytes) else entry.value.encode()
            entry.value = mutate_json(rng, value).decode("utf-8", "replace")
        case 3 if graph.node:
            node = rng.choice(graph.node)
            node.op_type = rng.choice(
                ("Conv", "Reshape", "Tile", "Expand", "Resize", "Loop", "If", "Pad", "Nope", "Add", "")
            )
        case 4 if graph.node:
            node = rng.choice(graph.node)
            names = [name for one in graph.node for name in (*one.input, *one.output)]
            if node.input:
                node.input[rng.randrange(len(node.input))] = rng.choice(names)
        case 5 if graph.initializer:
            tensor = rng.choice(graph.initializer)
            kind = rng.randrange(4)
            if kind == 0:
                tensor.data_type = rng.randrange(24)
            elif kind == 1:
                tensor.dims.append(rng.choice((0, 1, 2, -1, 2**31, 2**62)))
            elif kind == 2:
                tensor.raw_data = mutate_bytes(rng, tensor.raw_data)
            else:
                tensor.data_location = onnx.TensorProto.EXTERNAL
                place = rng.choice((CANARY_FILE.decode(), "../canary", "/dev/zero", "model.onnx", ""))
                tensor.external_data.add(key="location", value=place)
        case 6 if graph.input:
            one = rng.choice([*graph.input, *graph.output])
            if rng.random() < 0.3:
                one.name = rng.choice(("nir", "context", "x", ""))
            dims = one.type.tensor_type.shape.dim
            if dims:
                rng.choice(dims).dim_value = rng.choice((0, 1, 3, -1, 2**40))
        case _:
            return mutate_bytes(rng, data)
    return model.SerializeToString()
