"""Open datasets with safe GDAL options, and translate GDAL errors to `NircolorError`.

GDAL looks for files beside an image (``.msk``, ``.ovr``, ``.aux``, world files, …) and opens some of them
with any driver, so that a VRT in one can read local files and make network requests. Images are therefore
opened for reading through ``/vsisubfile/``, where GDAL looks for no such files.
"""

import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import rasterio

# GDAL's errors as rasterio raises them have no public base class
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from nircolor.errors import NircolorError

_ALONE = "/vsisubfile/0,"
_OVERVIEW_DOMAINS = ("OVERVIEWS", "ProxyOverviewRequest")

OPTIONS = {
    # no .aux.xml files, neither read nor written
    "GDAL_PAM_ENABLED": "NO",
    # do not list the folder of an image
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # the shortcut for whole PNG files reports no error for truncated or damaged ones
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # cache of decoded blocks in bytes; GDAL's default of 5% of the memory can be gigabytes
    "GDAL_CACHEMAX": 128 << 20,
    # with more threads, JPEG 2000 that is cut off or damaged reads as zeros, without an error
    "GDAL_NUM_THREADS": "1",
}
# hyperspectral cameras have some hundreds; asking GDAL about each of the millions that a damaged header may
# claim would take minutes
MAX_BANDS = 4096
_opening = threading.Lock()
_EMPTY_VRT = (
    '<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
)


def open_dataset(path: Path | str, mode: str = "r", **options: Any) -> Any:
    """Call `rasterio.open` without its warning about images without a georeference; use inside `gdal_for`.

    Args:
        path: the file. A string is the text of a VRT.
        mode: "r" or "w". For reading, no file beside the image is looked for, except the header of ENVI data.
        **options: for `rasterio.open`; must include the one allowed ``driver``. With ``page=8``, that page
            of a TIFF is opened whose directory begins at byte 8.

    Raises:
        NircolorError: the metadata of the image makes GDAL open another file, or a file of statistics that
            GDAL reads for ENVI data is none.
    """
    page = options.pop("page", None)
    name = path
    if options.get("driver") == "ENVI" and isinstance(path, Path):
        statistics = path.with_suffix(".sta")
        if statistics.exists() and not statistics.is_file():
            raise NircolorError(f"{statistics}: expected a file, got a folder, device or pipe")
    if mode == "r" and isinstance(path, Path):
        # rasterio takes a string that begins with "/vsi" as it is, whatever characters follow
        name = f"{_ALONE}{path}" if page is None else f"GTIFF_DIR:off:{page}:{_ALONE}{path}"
        if options.get("driver") == "GTiff":
            # several blocks are decompressed at a time; unlike in JPEG 2000, errors are not lost
            options["num_threads"] = "ALL_CPUS"
    with _opening, warnings.catch_warnings():  # warning filters are global: one thread at a time
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with _without_standard_error() if options.get("driver") == "JP2OpenJPEG" else nullcontext():
            dataset = rasterio.open(name, mode, **options)
        if mode == "r" and dataset.count <= MAX_BANDS:
            clear_error(dataset)
    # asked for overviews, GDAL would open any file or address that these items name, with any driver
    if mode == "r" and any("OVERVIEW_FILE" in tags_of(dataset, 0, domain) for domain in _OVERVIEW_DOMAINS):
        dataset.close()
        raise NircolorError(f"{path}: its metadata refers to overviews in another file; remove OVERVIEW_FILE")
    return dataset


@contextmanager
def _without_standard_error() -> Iterator[None]:
    """Discard standard error: libgeotiff prints problems of a georeference in JPEG 2000 there."""
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def clear_error(dataset: Any) -> None:
    """Clear GDAL's last error, about damaged metadata such as XMP or EXIF that it ignored.

    The first call of rasterio that asks GDAL for errors would raise it.
    """
    try:
        _ = dataset.colorinterp  # one that asks
    except CPLE_BaseError:
        pass
    except UnicodeDecodeError:
        # rasterio cannot read the message, and keeps the error; opening a dataset clears it
        rasterio.open(_EMPTY_VRT, driver="VRT").close()


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
        if sys.getfilesystemencoding() != "utf-8":
            return "expected a path in UTF-8; set a UTF-8 locale, or the environment variable PYTHONUTF8=1"
        return "expected a path in UTF-8; rename it"
    text = (
        getattr(error, "errmsg", None)
        or getattr(error, "strerror", None)
        or str(error)
        or type(error).__name__
    )
    text = str(text).replace(_ALONE, "")
    text = re.sub(r"\(this (error|warning) can be turned.*", "", " ".join(text.split()))
    if re.match(r"TIFF\w+: ?Write error", text):
        return "write error; is the disk full?"
    return text.strip()[:300]


def crs_from_wkt(text: str, *, esri: bool = False) -> CRS:
    """Parse a coordinate reference system in WKT, of ESRI's dialect if ``esri``; raise `ValueError`."""
    try:
        return CRS.from_wkt(text, morph_from_esri_dialect=esri)
    except CRSError as error:
        # GDAL keeps the error until a CRS is made without one, and rasterio would raise it from its next call
        CRS.from_epsg(4326)
        raise ValueError("no coordinate reference system in WKT") from error


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
