"""Look through an ONNX file without loading it, for references to other files.

ONNX Runtime would read weights from any file beside the model that it names. The file is a protocol buffer:
fields with a number, a type and a value, where a value may be a message with fields of its own.
"""

from collections.abc import Iterator

# messages that can hold tensors, with the fields that lead there, by number (see onnx.proto)
_GRAPH, _NODE, _ATTRIBUTE, _SPARSE, _FUNCTION, _TENSOR = (
    "graph",
    "node",
    "attribute",
    "sparse",
    "function",
    "tensor",
)
_FIELDS = {
    "model": {7: _GRAPH, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_MAX_DEPTH = 32


def external_tensor(content: bytes) -> str | None:
    """Return the name of a tensor whose values are in another file, or None.

    Raises:
        ValueError: The content is not a protocol buffer.
    """
    return _find(memoryview(content), "model", 0)


def _find(message: memoryview, kind: str, depth: int) -> str | None:
    if depth > _MAX_DEPTH:
        raise ValueError("graphs are nested too deeply")
    name, external = "", False
    for number, value in _fields(message):
        if kind == _TENSOR:
            if number == _NAME and isinstance(value, memoryview):
                name = bytes(value).decode("utf-8", "replace")
            external |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and _is_external(value))
        elif isinstance(value, memoryview) and number in _FIELDS[kind]:
            found = _find(value, _FIELDS[kind][number], depth + 1)
            if found is not None:
                return found
    return name or "a tensor" if external else None


def _is_external(location: int | memoryview) -> bool:
    # an enumeration is a number of 32 bits
    return isinstance(location, int) and location & 0xFFFFFFFF == 1


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field: an integer, or bytes for messages and text."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key >> 32:
            # readers of protocol buffers would drop the upper bits, and read another field
            raise ValueError("a field number is too large")
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown type {kind}")
        if length > len(message) - position:
            raise ValueError("a field is longer than the file")
        if kind == 2:
            yield key >> 3, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Decode a number of 7 bits per byte, the lowest first; return it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has no end")
