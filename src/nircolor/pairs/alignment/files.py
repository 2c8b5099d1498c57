"""`align`: register the images of two folders, or two images, and write them as a paired data set."""

import hashlib
import json
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nircolor.arrays import Array, Floats, Mask
from nircolor.errors import (
    ColourPhotographError,
    DiskFullError,
    NircolorError,
    NircolorWarning,
    OutputExistsError,
)
from nircolor.imagery import Raster, open_raster
from nircolor.imagery.bands.converted import refuse_one_tint
from nircolor.imagery.files.locate import locate
from nircolor.imagery.output.placing import system_error
from nircolor.pairs.alignment.picture import residual_picture
from nircolor.pairs.alignment.register import LARGEST_PX, Gray, Registration, register
from nircolor.pairs.alignment.warp import Frame, resample
from nircolor.pairs.opened_set import match_folders
from nircolor.pairs.pair import Pair
from nircolor.parallel import Progress, clear_traceback, in_parallel
from nircolor.staging import committing, staging_folder

MANIFEST = "alignment.json"
# columns and rows that `cv2.remap` can address
_LARGEST_SIDE = 32_766
# rows of the colour image that are resampled at a time
_ROWS = 256
# wavelengths that make `open_raster` read three channels as they are
_RGB_NM = (620.0, 550.0, 460.0)
# a smaller part of the NIR image with valid colour is of no use
_MIN_VALID = 0.1


@dataclass(frozen=True)
class AlignedPair:
    """Result of one pair.

    Attributes:
        pair: The files that were registered.
        residual_px: Median displacement that remains, in pixels of the NIR image; None if the pair failed.
        valid: Part of the NIR image that has colour and fits; None if the pair failed.
        skipped: The pair existed and was up to date.
        error: The exception that made the pair fail, or None.
    """

    pair: Pair
    residual_px: float | None = None
    valid: float | None = None
    skipped: bool = False
    error: Exception | None = None


def align(
    nir: str | os.PathLike[str],
    rgb: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    converted: bool = False,
    jobs: int = 1,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> list[AlignedPair]:
    """Register NIR and colour images of two cameras, or of two exposures, into a paired data set.

    The colour image is resampled to the pixels of the NIR image: by a homography with the radial distortion
    of both lenses, and smooth local shifts for what these do not explain, such as parallax. Directions of
    gradients are compared, not intensities, which differ between NIR and colour.

    ``nir/NAME`` is a copy of the NIR file, ``rgb/NAME.png`` the registered colour in the bit depth of its
    file, ``mask/NAME.png`` is 255 where both images are valid and fit, ``residuals/NAME.png`` shows both
    images interleaved and the displacement that remains. ``alignment.json`` lists residuals and transforms.

    Args:
        nir: A NIR image, or a folder of them.
        rgb: The colour image, or a folder of them; files of two folders are matched by name.
        output: Folder of the data set, created if needed.
        converted: Take NIR images in colour as those of a converted camera: ``nir/NAME.png`` is the mean of
            the channels instead of a copy.
        jobs: Number of pairs processed in parallel.
        overwrite: Replace existing pairs.
        on_progress: Called with the number of pairs done and their total.

    Returns:
        One result per pair, in the order of their names. If some of several pairs fail, the others are
        finished and the result has the error.

    Raises:
        NircolorError: The inputs are not two images or two folders of matching names, or the only pair
            failed.
    """
    pairs = _find_pairs(Path(nir), Path(rgb))
    folder = Path(output)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NircolorError(f"{folder}: cannot be created ({error.strerror or error})") from error
    manifest = _Manifest(folder)
    results: dict[str, AlignedPair] = {}
    try:
        with closing(_align_each(pairs, manifest, converted, jobs, overwrite)) as running:
            for result in running:
                results[result.pair.name] = result
                if on_progress is not None:
                    on_progress(len(results), len(pairs))
    finally:
        if is_new:
            # only an empty folder can be removed
            with suppress(OSError):
                folder.rmdir()
    ordered = [results[pair.name] for pair in pairs]
    if len(ordered) == 1 and ordered[0].error is not None:
        raise ordered[0].error
    return ordered


def _find_pairs(nir: Path, rgb: Path) -> list[Pair]:
    if nir.is_dir() and rgb.is_dir():
        return match_folders(nir, rgb, None, None).pairs()
    for path, other in ((nir, rgb), (rgb, nir)):
        if not path.exists():
            raise NircolorError(f"{path}: expected an image or a folder, found nothing there")
        if path.is_dir():
            raise NircolorError(f"{other}: expected a folder as {path}, got a file")
    return [Pair(nir.stem, nir, rgb)]


def _align_each(
    pairs: Sequence[Pair], manifest: "_Manifest", converted: bool, jobs: int, overwrite: bool
) -> Generator[AlignedPair, None, None]:
    def make(pair: Pair, check_cancelled: Callable[[], None]) -> AlignedPair:
        check_cancelled()
        try:
            return _align_pair(pair, manifest, converted, overwrite, check_cancelled)
        except OSError as error:
            reason = system_error(error, manifest.path.parent)
            if isinstance(reason, DiskFullError):
                raise reason from error
            return AlignedPair(pair, error=reason)
        except DiskFullError:
            raise
        # an unexpected error in one pair must not lose the others
        except Exception as error:
            clear_traceback(error)
            return AlignedPair(pair, error=error)

    return in_parallel(pairs, make, min(max(jobs, 1), len(pairs)))


def _align_pair(
    pair: Pair,
    manifest: "_Manifest",
    converted: bool,
    overwrite: bool,
    check_cancelled: Callable[[], None],
) -> AlignedPair:
    folder = manifest.path.parent
    source = {"nir": _sha256(locate(pair.nir).data), "rgb": _sha256(locate(pair.rgb).data)}
    known = manifest.find(pair.name, source)
    if known is not None and not overwrite:
        return AlignedPair(pair, known["residual_px"]["median"], known["valid"], skipped=True)
    opened, is_colour = _open_nir(pair, converted)
    with opened as nir, _open_rgb(pair) as rgb:
        copies = {} if is_colour else _copies_of(pair)
        nir_files = [f"nir/{pair.name}.png"] if is_colour else list(copies)
        written = [*nir_files, *(f"{kind}/{pair.name}.png" for kind in ("rgb", "mask", "residuals"))]
        for path in written:
            if not overwrite and (folder / path).exists():
                raise OutputExistsError(
                    f"{folder / path}: exists already; it is replaced only with --overwrite"
                )
        # NIR of an older run in another format would be a second image of this name
        stale = [path for path in manifest.nir_files(pair.name) if path not in written]
        frame, colour_frame = Frame(nir.width, nir.height), Frame(rgb.width, rgb.height)
        for raster in (nir, rgb):
            if max(raster.width, raster.height) > _LARGEST_SIDE:
                raise NircolorError(
                    f"{raster.path}: expected sides of at most {_LARGEST_SIDE} px to align, "
                    f"got {raster.width} × {raster.height}"
                )
        nir_gray, nir_valid = _reduced(nir, LARGEST_PX)
        colour_gray, colour_valid = _reduced(rgb, 2 * LARGEST_PX)
        refuse_one_tint(colour_gray[:, colour_valid], pair.rgb)
        try:
            found = register(Gray(nir_gray.mean(0), nir_valid), Gray(_luminance(colour_gray), colour_valid))
        except NircolorError as error:
            raise NircolorError(f"{pair.rgb}: cannot be aligned with {pair.nir}: {error}") from error
        check_cancelled()
        (mean, *_), whole = nir.read(bands=[0])
        colour, mask = _registered(found, rgb, frame, colour_frame, whole)
        nir_dtype, dtype = (np.uint8 if one.depth == 8 else np.uint16 for one in (nir, rgb))
    valid = float(mask.mean())
    if valid < _MIN_VALID:
        raise NircolorError(
            f"{pair.rgb}: expected colour for at least {_MIN_VALID:.0%} of {pair.nir}, got {valid:.0%}"
        )
    scale = frame.width / found.frame.width
    distances = found.distances * scale
    residual = {
        "median": round(float(np.median(distances)), 3),
        "p90": round(float(np.percentile(distances, 90)), 3),
        "blocks": len(distances),
    }
    picture = residual_picture(found, nir_gray.mean(0), colour, mask)
    with staging_folder(folder) as draft:
        for path, original in copies.items():
            _place(draft / path)
            shutil.copyfile(original, draft / path)
        if is_colour:
            _save(draft / nir_files[0], np.rint(mean * np.iinfo(nir_dtype).max).astype(nir_dtype))
        _save(draft / f"rgb/{pair.name}.png", np.rint(colour * np.iinfo(dtype).max).astype(dtype))
        _save(draft / f"mask/{pair.name}.png", np.where(mask, np.uint8(255), np.uint8(0)))
        _save(draft / f"residuals/{pair.name}.png", picture)
        record = {
            "nir": pair.nir.name,
            "rgb": pair.rgb.name,
            "source": source,
            "nir_files": nir_files,
            "size": [frame.width, frame.height],
            "residual_px": residual,
            "valid": round(valid, 4),
            "transform": found.warp.describe(),
        }
        with committing():
            for path in stale:
                (folder / path).unlink(missing_ok=True)
            for path in written:
                _place(folder / path)
                (draft / path).replace(folder / path)
            manifest.add(pair.name, record)
    return AlignedPair(pair, residual["median"], valid)


def _open_nir(pair: Pair, converted: bool) -> tuple[Raster, bool]:
    """Open the NIR image; return whether it is a colour image as well, of which the mean is read."""
    try:
        return _quietly(pair.nir, refuse_colour=True), False
    except ColourPhotographError as error:
        if converted:
            return _quietly(pair.nir, converted=True), True
        raise NircolorError(
            f"{pair.nir}: expected the NIR image, got a colour photograph (its channels differ); --from "
            "converted takes it as the image of a camera without its infrared filter"
        ) from error


def _open_rgb(pair: Pair) -> Raster:
    raster = _quietly(pair.rgb)
    if raster.bands == 1:
        raster.close()
        raise NircolorError(f"{pair.rgb}: expected the colour image, got a gray one")
    if raster.bands != 3:
        raster.close()
        raise NircolorError(f"{pair.rgb}: expected the 3 bands of a colour image, got {raster.bands}")
    return raster


def _quietly(path: Path, *, refuse_colour: bool = False, converted: bool = False) -> Raster:
    with warnings.catch_warnings():
        # the pixels are copied as they are, whatever their scale
        warnings.simplefilter("ignore", NircolorWarning)
        return open_raster(path, refuse_colour=refuse_colour, converted=converted)


def _reduced(raster: Raster, side: int) -> tuple[Floats, Mask]:
    longest = max(raster.width, raster.height)
    if longest <= side:
        return raster.read()
    shape = (max(1, round(raster.height * side / longest)), max(1, round(raster.width * side / longest)))
    return raster.read(out_shape=shape)


def _luminance(rgb: Floats) -> Floats:
    return np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), rgb, 1)


def _registered(
    found: Registration, raster: Raster, frame: Frame, colour_frame: Frame, nir_valid: Mask
) -> tuple[Floats, Mask]:
    """Resample the colour image to the NIR image: colour (h, w, 3) and the pixels that are valid and fit."""
    shrinkage = found.warp.shrinkage(frame, colour_frame)
    shape = None
    if shrinkage > 1.2:
        # means of pixels, so that resampling does not skip any
        shape = (max(1, round(raster.height / shrinkage)), max(1, round(raster.width / shrinkage)))
    values, valid = raster.read(out_shape=shape)
    source = Frame(values.shape[2], values.shape[1])
    image = np.ascontiguousarray(values.transpose(1, 2, 0))
    colour = np.empty((frame.height, frame.width, 3), np.float32)
    mask = np.empty((frame.height, frame.width), bool)
    for row in range(0, frame.height, _ROWS):
        rows = row, min(frame.height, row + _ROWS)
        maps = found.warp.maps(frame, source, rows)
        # black would be taken for the padding of a registered image, and warned of, where the pairs are read
        near = resample(image, maps, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        colour[slice(*rows)] = np.clip(near, 0, 1)
        mask[slice(*rows)] = resample(valid.astype(np.float32), maps) > 0.99
    fitting = cv2.resize(
        found.fitting().astype(np.uint8), (frame.width, frame.height), interpolation=cv2.INTER_NEAREST
    )
    return colour, mask & nir_valid & (fitting > 0)


def _copies_of(pair: Pair) -> dict[str, Path]:
    """Return the files that hold the NIR image, by their path in the data set."""
    found = locate(pair.nir)
    data_suffix = found.data.suffix or ".dat"
    copies = {f"nir/{pair.name}{data_suffix}": found.data}
    if found.header is not None:
        copies[f"nir/{pair.name}.hdr"] = found.header
    for suffix in (".aux.xml", ".msk"):
        beside = found.data.with_name(found.data.name + suffix)
        if beside.is_file() and not beside.is_symlink():
            copies[f"nir/{pair.name}{data_suffix}{suffix}"] = beside
    return copies


def _place(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)


def _save(path: Path, image: Array) -> None:
    """Write a gray image (h, w), or a colour one (h, w, 3), as PNG."""
    _place(path)
    ordered = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".png", ordered)[1].tobytes())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Manifest:
    """List of the registered pairs, written to disk after each. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self._lock = threading.Lock()
        self._pairs = self._read()

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            pairs: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))["pairs"]
            for record in pairs.values():
                float(record["residual_px"]["median"]), float(record["valid"])
                if not (isinstance(record["source"], dict) and isinstance(record["nir_files"], list)):
                    raise TypeError("a pair is no record")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise NircolorError(f"{self.path}: expected the list of aligned pairs: {error!r}") from error
        return pairs

    def find(self, name: str, source: dict[str, str]) -> Any:
        """Return the entry of a pair if it was made from the same files and all of its files exist."""
        record = self._pairs.get(name)
        if record is None or record["source"] != source:
            return None
        made = [f"{kind}/{name}.png" for kind in ("rgb", "mask")]
        paths = [*self.nir_files(name), *made]
        return record if all((self.path.parent / path).is_file() for path in paths) else None

    def nir_files(self, name: str) -> list[str]:
        """Return the NIR files of a pair; a manifest is untrusted input, so only those with its name."""
        listed = self._pairs.get(name, {}).get("nir_files", [])
        return [path for path in listed if isinstance(path, str) and path.startswith(f"nir/{name}.")]

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Add or replace an entry and write the file, sorted by name."""
        with self._lock, staging_folder(self.path.parent) as draft:
            # another run may have added pairs meanwhile
            self._pairs = self._read() | self._pairs | {name: record}
            text = json.dumps({"pairs": dict(sorted(self._pairs.items()))}, indent=2, ensure_ascii=False)
            (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
            (draft / MANIFEST).replace(self.path)
