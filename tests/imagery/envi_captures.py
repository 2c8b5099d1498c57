"""Small ENVI cubes in any order of storage, and captures of a sensor whose dark and white are known."""

from pathlib import Path

import numpy as np

_KINDS = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "u2": 12, "u4": 13, "i8": 14, "u8": 15}
# of (lines, bands, samples), the axes in the order in which a file holds them
_AXES = {"bil": (0, 1, 2), "bip": (0, 2, 1), "bsq": (1, 0, 2)}


def save_cube(
    header: Path,
    cube: np.ndarray,
    interleave: str = "bil",
    order: str = "<",
    offset: int = 0,
    **fields: object,
) -> Path:
    """Write (lines, bands, samples) beside `header`, which it returns.

    `fields` are the header's others, spelled as given but with spaces for underscores; None takes one away.
    """
    lines, bands, samples = cube.shape
    known: dict[str, object] = {
        "samples": samples, "lines": lines, "bands": bands, "header offset": offset,
        "file type": "ENVI Standard", "data type": _KINDS[cube.dtype.str[1:]], "interleave": interleave,
        "byte order": int(order == ">"),
    }  # fmt: skip
    known |= {name.replace("_", " "): value for name, value in fields.items()}
    stored = cube.transpose(_AXES[interleave] if interleave in _AXES else _AXES["bil"])
    header.parent.mkdir(parents=True, exist_ok=True)
    header.with_suffix(".raw").write_bytes(
        b"\xa5" * offset + stored.astype(cube.dtype.newbyteorder(order)).tobytes()
    )
    text = "".join(f"{name} = {value}\n" for name, value in known.items() if value is not None)
    header.write_text(f"ENVI\n{text}", encoding="utf-8")
    return header


def listed(numbers) -> str:
    """As an ENVI header writes a list."""
    return "{" + ", ".join(f"{number:g}" for number in numbers) + "}"


def save_references(
    header: Path, dark: np.ndarray, white: np.ndarray, *, white_tint: float | None = None, **fields: object
) -> None:
    """Dark and white, each (lines, bands, samples), beside the header of a capture."""
    save_cube(header.with_name(f"DARKREF_{header.name}"), dark, **fields)
    if white_tint is not None:
        fields["TINT"] = white_tint
    save_cube(header.with_name(f"WHITEREF_{header.name}"), white, **fields)


def flat(value: float, lines: int = 2, bands: int = 1, samples: int = 4, dtype: str = "u2") -> np.ndarray:
    """A cube of one value, (lines, bands, samples)."""
    return np.full((lines, bands, samples), value, dtype)
