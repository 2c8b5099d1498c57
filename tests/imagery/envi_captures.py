"""Write small ENVI cubes with any interleave, and captures with dark and white references."""

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
    """Write a cube (lines, bands, samples) and its header; return the header.

    `fields` are further fields of the header, with underscores for spaces; None removes a field.
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
    """Format numbers as a list in an ENVI header."""
    return "{" + ", ".join(f"{number:g}" for number in numbers) + "}"


def save_references(
    header: Path, dark: np.ndarray, white: np.ndarray, *, white_tint: float | None = None, **fields: object
) -> None:
    """Write dark and white, each (lines, bands, samples), beside the header of a capture."""
    save_cube(header.with_name(f"DARKREF_{header.name}"), dark, **fields)
    if white_tint is not None:
        fields["TINT"] = white_tint
    save_cube(header.with_name(f"WHITEREF_{header.name}"), white, **fields)


def flat(value: float, lines: int = 2, bands: int = 1, samples: int = 4, dtype: str = "u2") -> np.ndarray:
    """Return a cube (lines, bands, samples) of one value."""
    return np.full((lines, bands, samples), value, dtype)


class Sensor:
    """A simulated line scanner with known dark counts and gains."""

    def __init__(self, bands=3, samples=24, seed=0):
        rng = np.random.default_rng(seed)
        self.dark = rng.integers(80, 140, (bands, samples)).astype(float)
        # counts above the dark at reflectance 1 and an exposure of 1 ms
        self.signal = rng.integers(1200, 2400, (bands, samples)).astype(float)

    def shot(self, reflectance, tint=1.0, dark=None):
        """Return the counts (lines, bands, samples) for reflectance of the same shape."""
        return np.rint((self.dark if dark is None else dark) + self.signal * reflectance * tint)

    def save(self, header, reflectance, *, tint=1.0, white_tint=1.0, white_dark=None, **fields):
        lines = np.ones((40, *self.dark.shape))
        # noise with a sum of 0 over the lines, more of which are written than are read at once
        swing = 3 * np.where(np.arange(40) % 2, 1, -1)[:, None, None]
        save_cube(header, self.shot(reflectance, tint).astype("u2"), tint=tint, **fields)
        save_references(
            header,
            (self.dark * lines + swing).astype("u2"),
            (self.shot(lines, white_tint, white_dark) + swing).astype("u2"),
            white_tint=white_tint,
            tint=tint,
            **fields,
        )
        return header


def random_scene(lines=9, bands=3, samples=24, seed=1):
    return np.random.default_rng(seed).random((lines, bands, samples))
