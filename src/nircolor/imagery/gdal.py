"""The one place in this room that sets GDAL's options and turns its errors into one line for the user."""

import math
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio

# GDAL's errors as rasterio raises them have no public base class
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from nircolor.errors import NircolorError

OPTIONS = {
    # no .aux.xml beside what is read or written
    "GDAL_PAM_ENABLED": "NO",
    # the shortcut for whole PNG files returns a truncated or damaged one without an error
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # decoded blocks kept, in bytes; GDAL's default of 5% of the memory is gigabytes on a big machine
    "GDAL_CACHEMAX": 128 << 20,
}
_opening = threading.Lock()


def open_dataset(path: Path, mode: str = "r", **options: Any) -> Any:
    """`rasterio.open` without its reminder that a photograph has no georeference.

    A `Path` is never taken apart as an address; `options` must name the one `driver` allowed. Call
    it inside `gdal_for`.
    """
    with _opening, warnings.catch_warnings():  # the filters belong to the process: one thread at a time
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **options)


@contextmanager
def gdal_for(path: Path, problem: str) -> Iterator[None]:
    """Run GDAL calls under `OPTIONS`; their errors become `NircolorError("{path}: {problem} (why)")`."""
    try:
        with rasterio.Env(**OPTIONS):
            yield
    except MemoryError as error:
        raise NircolorError(f"{path}: out of memory ({reason(error)})") from error
    except (RasterioError, CPLE_BaseError, OSError, UnicodeError) as error:
        raise NircolorError(f"{path}: {problem} ({reason(error)})") from error


def reason(error: BaseException) -> str:
    """What GDAL said first, in one line, without its codes and advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (
        getattr(error, "errmsg", None)
        or getattr(error, "strerror", None)
        or str(error)
        or type(error).__name__
    )
    text = re.sub(r"\(this (error|warning) can be turned.*", "", " ".join(str(text).split()))
    return text.strip()[:300]


def tags_of(dataset: Any, band: int = 0, domain: str | None = None) -> dict[str, str]:
    """Tags of a dataset (`band` 0) or band; none where they are not text as GDAL promises (UTF-8)."""
    try:
        return dict(dataset.tags(band, ns=domain))
    except UnicodeDecodeError:
        return {}


def descriptions_of(dataset: Any) -> tuple[str | None, ...]:
    """The band names; None where they are not UTF-8, as in ENVI headers that say "µm" in Latin-1."""
    try:
        return tuple(dataset.descriptions)
    except UnicodeDecodeError:
        return (None,) * int(dataset.count)


def positive_number(text: str | None) -> float | None:
    """The value of a tag that must be finite and above 0; None for anything else."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
