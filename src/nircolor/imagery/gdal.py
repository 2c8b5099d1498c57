"""Open datasets with safe GDAL options, and translate GDAL errors to `NircolorError`."""

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
    # no .aux.xml files, neither read nor written
    "GDAL_PAM_ENABLED": "NO",
    # the shortcut for whole PNG files reports no error for truncated or damaged ones
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # cache of decoded blocks in bytes; GDAL's default of 5% of the memory can be gigabytes
    "GDAL_CACHEMAX": 128 << 20,
    # with more threads, JPEG 2000 that is cut off or damaged reads as zeros, without an error
    "GDAL_NUM_THREADS": "1",
}
_opening = threading.Lock()


def open_dataset(path: Path | str, mode: str = "r", **options: Any) -> Any:
    """Call `rasterio.open` without its warning about images without a georeference; use inside `gdal_for`.

    Args:
        path: the file; rasterio does not interpret a `Path` as a URL. A string is the text of a VRT.
        mode: "r" or "w".
        **options: for `rasterio.open`; must include the one allowed ``driver``.
    """
    with _opening, warnings.catch_warnings():  # warning filters are global: one thread at a time
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **options)


@contextmanager
def gdal_for(path: Path, problem: str) -> Iterator[None]:
    """Context for GDAL calls under `OPTIONS`; errors become `NircolorError("{path}: {problem} (reason)")`."""
    try:
        with rasterio.Env(**OPTIONS):
            yield
    except MemoryError as error:
        raise NircolorError(f"{path}: out of memory ({reason(error)})") from error
    except (RasterioError, CPLE_BaseError, OSError, UnicodeError) as error:
        raise NircolorError(f"{path}: {problem} ({reason(error)})") from error


def reason(error: BaseException) -> str:
    """Return the first message in a chain of GDAL or OS errors as one line, without codes and advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    # rasterio passes paths to GDAL as UTF-8
    if isinstance(error, UnicodeEncodeError):
        return "expected a path in UTF-8; rename it"
    text = (
        getattr(error, "errmsg", None)
        or getattr(error, "strerror", None)
        or str(error)
        or type(error).__name__
    )
    text = re.sub(r"\(this (error|warning) can be turned.*", "", " ".join(str(text).split()))
    return text.strip()[:300]


def tags_of(dataset: Any, band: int = 0, domain: str | None = None) -> dict[str, str]:
    """Return the tags of a dataset (band 0) or of a band; none where they are not valid UTF-8."""
    try:
        return dict(dataset.tags(band, ns=domain))
    except UnicodeDecodeError:
        return {}


def descriptions_of(dataset: Any) -> tuple[str | None, ...]:
    """Return the band descriptions; all None where they are not UTF-8, as "µm" in Latin-1 ENVI headers."""
    try:
        return tuple(dataset.descriptions)
    except UnicodeDecodeError:
        return (None,) * int(dataset.count)


def positive_number(text: str | None) -> float | None:
    """Parse a tag as a finite number above 0; return None for anything else."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
