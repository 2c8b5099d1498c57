"""Make a paired data set from captures: folders ``nir/`` and ``rgb/``, and a manifest."""

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nircolor.errors import DiskFullError, NircolorError, NircolorWarning
from nircolor.extras import require
from nircolor.imagery.cube import Cube
from nircolor.imagery.files.locate import locate
from nircolor.imagery.output.placing import system_error
from nircolor.imagery.values.calibration import References, find_references
from nircolor.parallel import Progress, clear_traceback, in_parallel
from nircolor.spectral.capture import Capture, find_captures
from nircolor.spectral.response import CameraResponse, colour_science, read_response
from nircolor.spectral.synthesis import PairFiles, SynthesisSettings, write_pair
from nircolor.staging import committing, staging_folder

MANIFEST = "manifest.json"
_VERSIONS_OF = ("nircolor", "numpy", "colour-science", "rasterio")
# warn above this share of a capture's pixels; below it, glints are the usual cause
_CLIPPED_SHARE = 0.01
_CLIPPED_WORDS = {
    "saturated": "saturated in the capture",
    "nir": "brighter than white in the near-infrared",
    "rgb": "outside of the colours that sRGB can represent",
}

Record = dict[str, Any]


@dataclass(frozen=True)
class SynthesizedPair:
    """Result of one capture.

    Attributes:
        capture: The capture.
        files: Paths of the pair's files: ``nir/NAME.tif``, ``rgb/NAME.png`` and, for a
            camera response with an NIR channel, ``camera_nir/NAME.tif``. Empty if the capture failed.
        record: The pair's entry in the manifest: size, clipped pixels, hashes, versions. None if it failed.
        skipped: The pair existed and was up to date.
        error: The exception that made the capture fail, or None.
    """

    capture: Capture
    files: tuple[Path, ...] = ()
    record: Record | None = None
    skipped: bool = False
    error: Exception | None = None


def synthesize(
    captures: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    bands_nm: Sequence[float] = (780.0, 850.0, 940.0),
    fwhm_nm: float = 10.0,
    nearest: bool = False,
    response: CameraResponse | str | os.PathLike[str] | None = None,
    response_nm: tuple[float, float, float] | None = None,
    dark: str | os.PathLike[str] | None = None,
    white: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> list[SynthesizedPair]:
    """Make pairs of NIR bands and colour from hyperspectral captures.

    Every capture is calibrated to reflectance with its dark and white references and written as a pair:
    ``nir/NAME.tif`` holds the NIR bands (reflectance × 10,000 in 16 bits, with wavelengths), ``rgb/NAME.png``
    the colour. The folder is a data set for `nircolor train` and `nircolor evaluate`. ``manifest.json`` in it
    lists settings, sources and hashes. A pair that exists and is up to date is skipped, so an interrupted run
    continues where it stopped. The files do not depend on the order of the captures or on ``jobs``.

    This follows Park et al., "Multi-Band NIR Colorization Using Structure-Aware Network", section IV.

    Args:
        captures: ENVI headers, folders of SPECIM captures, or folders of either; one path or several.
        output: Folder of the data set, created if needed.
        bands_nm: Centres of the NIR bands in nm, between 300 and 2600.
        fwhm_nm: Full width at half maximum of the Gaussian bands in nm.
        nearest: Use the nearest band of the capture, at most half of ``fwhm_nm`` away, instead of a Gaussian.
        response: Response curves of the camera whose colour is computed, or a CSV file of them
            (see `read_response`). Default: sRGB of the CIE 1931 observer under D65.
        response_nm: First and last wavelength and step in nm, for a CSV file without a column of wavelengths.
        dark: Header of the dark reference to use for all captures, instead of those beside each.
        white: Header of the white reference to use for all captures; given together with ``dark``.
        scale: Value that stands for a reflectance of 1, for captures that hold reflectance.
        jobs: Number of captures processed in parallel.
        overwrite: Replace a data set that was made with other settings.
        on_progress: Called with the number of captures done, including parts of unfinished ones, and their
            total.

    Returns:
        One result per capture, in the order in which the captures were found. If some of several captures
        fail, the others are finished and the result has the error.

    Raises:
        NircolorError: An argument is invalid, no capture was found, the only capture failed, or ``output``
            holds a data set with other settings.

    Examples:
        >>> import tempfile
        >>> from nircolor.simulation import simulate_captures
        >>> folder = tempfile.mkdtemp()
        >>> headers = simulate_captures(f"{folder}/captures", count=1, lines=8, samples=16)
        >>> (pair,) = synthesize(f"{folder}/captures", f"{folder}/data", bands_nm=(780, 940))
        >>> [path.relative_to(folder).as_posix() for path in pair.files]
        ['data/nir/still_000.tif', 'data/rgb/still_000.png']
    """
    require("colour", extra="spectral", what="nircolor synthesize")
    settings = SynthesisSettings(
        bands_nm=_checked_bands(bands_nm),
        fwhm_nm=float(fwhm_nm),
        nearest=nearest,
        response=_response(response, response_nm),
        references=_references(dark, white, scale),
        scale=scale,
    )
    # load it before the threads start: the import changes the warning filters, which is not thread-safe
    colour_science()
    paths = [captures] if isinstance(captures, str | os.PathLike) else captures
    found = find_captures(paths)
    done = dict.fromkeys((capture.name for capture in found), 0.0)
    lock = threading.Lock()

    def report(capture: Capture, share: float) -> None:
        if on_progress is not None:
            with lock:
                done[capture.name] = share
                on_progress(sum(done.values()), len(found))

    results: dict[str, SynthesizedPair] = {}
    jobs = min(max(jobs, 1), len(found))
    with closing(_synthesize_each(found, settings, Path(output), jobs, overwrite, report)) as running:
        for result in running:
            results[result.capture.name] = result
            report(result.capture, 1.0)
            _warn_of_clipping(result)
    ordered = [results[capture.name] for capture in found]
    if len(ordered) == 1 and ordered[0].error is not None:
        raise ordered[0].error
    return ordered


def _checked_bands(bands_nm: Sequence[float]) -> tuple[float, ...]:
    bands = tuple(float(nm) for nm in bands_nm)
    if not bands or not all(300 < nm < 2600 for nm in bands) or len(set(bands)) < len(bands):
        listed = ", ".join(f"{nm:g}" for nm in bands) or "none"
        raise NircolorError(f"--bands: expected different wavelengths from 300 to 2600 nm, got {listed}")
    return bands


def _response(
    response: CameraResponse | str | os.PathLike[str] | None, grid_nm: tuple[float, float, float] | None
) -> CameraResponse | None:
    if isinstance(response, str | os.PathLike):
        return read_response(response, grid_nm)
    if grid_nm is not None:
        raise NircolorError("--response-nm: expected --response with a CSV file, got none")
    return response


def _references(
    dark: str | os.PathLike[str] | None, white: str | os.PathLike[str] | None, scale: float | None
) -> References | None:
    if dark is None and white is None:
        return None
    if dark is None or white is None:
        raise NircolorError("--dark and --white: expected both or neither, got one")
    if scale is not None:
        raise NircolorError(
            "--scale: expected either raw captures with --dark and --white, or reflectance with --scale"
        )
    return References(Path(dark), Path(white))


def _warn_of_clipping(result: SynthesizedPair) -> None:
    if result.record is None or result.skipped:
        return
    pixels = result.record["lines"] * result.record["samples"]
    for kind, count in result.record["clipped_pixels"].items():
        if count > _CLIPPED_SHARE * pixels:
            problem = f"{count / pixels:.0%} of the pixels are {_CLIPPED_WORDS[kind]}"
            warnings.warn(NircolorWarning(problem, path=result.capture.header), stacklevel=3)


def _synthesize_each(
    captures: Sequence[Capture],
    settings: SynthesisSettings,
    folder: Path,
    jobs: int,
    overwrite: bool,
    report: Callable[[Capture, float], None],
) -> Generator[SynthesizedPair, None, None]:
    """Yield the result of each capture when it is done; closing the generator stops the others."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NircolorError(f"{folder}: cannot be created ({error.strerror or error})") from error
    manifest = _Manifest(folder, settings, overwrite=overwrite)

    def make(capture: Capture, check_cancelled: Callable[[], None]) -> SynthesizedPair:
        def on_progress(lines: float, total: float) -> None:
            check_cancelled()
            report(capture, lines / total)

        try:
            return _make_pair(capture, settings, manifest, overwrite, on_progress)
        except OSError as error:
            reason = system_error(error, folder)
            if isinstance(reason, DiskFullError):
                raise reason from error
            return SynthesizedPair(capture, error=reason)
        except DiskFullError:
            raise
        # an unexpected error in one capture must not lose the others
        except Exception as error:
            clear_traceback(error)
            return SynthesizedPair(capture, error=error)

    return in_parallel(captures, make, jobs)


def _make_pair(
    capture: Capture,
    settings: SynthesisSettings,
    manifest: "_Manifest",
    overwrite: bool,
    on_progress: Progress,
) -> SynthesizedPair:
    if capture.fault is not None:
        raise NircolorError(capture.fault)
    folder = manifest.path.parent
    files = PairFiles.named(capture.name, camera_nir=settings.nir_camera is not None).paths()
    written = tuple(folder / path for path in files)
    source = _source(capture, settings.references)
    up_to_date = manifest.find(capture, source, files)
    if up_to_date is not None:
        return SynthesizedPair(capture, written, up_to_date, skipped=True)
    with staging_folder(folder) as draft:
        measured = write_pair(capture, settings, draft, on_progress)
        hashes = {path: _sha256(draft / path) for path in files}
        if not (overwrite or capture.name in manifest):
            _require_free(folder, hashes)
        record = {
            "source": source,
            **measured,
            "files": hashes,
            "versions": {package: version(package) for package in _VERSIONS_OF},
        }
        with committing():
            for path in files:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).replace(folder / path)
            manifest.add(capture.name, record)
    return SynthesizedPair(capture, written, record)


class _Manifest:
    """List of the pairs in a data set, written to disk after each pair. Safe to use from several threads.

    Args:
        folder: Folder of the data set.
        settings: Settings of this run.
        overwrite: Remove the files of a data set that was made with other settings, so that one folder never
            holds pairs of two kinds.

    Raises:
        NircolorError: The folder holds a data set with other settings, and ``overwrite`` is false.
    """

    def __init__(self, folder: Path, settings: SynthesisSettings, *, overwrite: bool) -> None:
        self.path = folder / MANIFEST
        self._settings = _describe(settings)
        self._lock = threading.Lock()
        self._pairs: dict[str, Record] = {}
        if not self.path.exists():
            return
        existing = _read_manifest(self.path)
        if existing["settings"] == self._settings:
            self._pairs = existing["pairs"]
        elif overwrite:
            for name in existing["pairs"]:
                _remove_pair(folder, name)
            self.path.unlink()
        else:
            raise NircolorError(
                f"{self.path}: the data set was made with other settings "
                f"({_differences(existing['settings'], self._settings)}); "
                "choose another folder, or replace it with --overwrite"
            )

    def __contains__(self, name: str) -> bool:
        return name in self._pairs

    def find(self, capture: Capture, source: Record, files: Sequence[str]) -> Record | None:
        """Return the entry of a capture if its pair is unchanged and was made from the same files.

        This reads the capture's samples: neither size nor modification time shows reliably that a file is the
        same.
        """
        record = self._pairs.get(capture.name)
        unchanged = (
            record is not None
            and record["source"] == source
            and record["sha256"] == Cube(capture.header).sha256()
            # only files of this data set: a manifest is untrusted input
            and set(record["files"]) == set(files)
            and all(
                (self.path.parent / path).is_file() and _sha256(self.path.parent / path) == digest
                for path, digest in record["files"].items()
            )
        )
        return record if unchanged else None

    def add(self, name: str, record: Record) -> None:
        """Add or replace an entry and write the manifest, sorted by name."""
        with self._lock, staging_folder(self.path.parent) as draft:
            self._pairs[name] = record
            # another run may have added pairs meanwhile
            if self.path.exists() and (existing := _read_manifest(self.path))["settings"] == self._settings:
                self._pairs = existing["pairs"] | self._pairs
            content = {"settings": self._settings, "pairs": dict(sorted(self._pairs.items()))}
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (draft / MANIFEST).write_text(text, encoding="utf-8")
            (draft / MANIFEST).replace(self.path)


def _remove_pair(folder: Path, name: str) -> None:
    # a manifest is untrusted input: remove only files inside the data set
    if Path(name).name == name:
        for path in PairFiles.named(name, camera_nir=True).paths():
            (folder / path).unlink(missing_ok=True)


def _require_free(folder: Path, hashes: Record) -> None:
    """Raise an error if files exist with other contents; a killed run leaves files without listing them."""
    for path, digest in hashes.items():
        if (folder / path).exists() and _sha256(folder / path) != digest:
            raise NircolorError(f"{folder / path}: exists already; it is replaced only with --overwrite")


def _source(capture: Capture, references: References | None) -> Record:
    """Hash the capture's header, and headers and samples of its references."""
    source = locate(capture.header)
    found = references or (find_references(source.header) if source.header else None)
    record: Record = {"header": _sha256(source.header or source.data)}
    for kind, header in (found._asdict() if found else {}).items():
        if header is not None:
            # the header holds the exposure time
            record[f"{kind}_header"], record[kind] = _sha256(header), Cube(header).sha256()
    return record


def _describe(settings: SynthesisSettings) -> Record:
    """Convert the settings to their form in the manifest."""
    response = settings.response
    colour: Record = {"observer": "CIE 1931 2°", "illuminant": "D65", "encoding": "sRGB"}
    if response is not None:
        colour = {
            "response": response.path.name,
            "sha256": response.sha256,
            "grid_nm": response.grid_nm and list(response.grid_nm),
            "illuminant": "D65",
            "encoding": "white balanced, sRGB tone curve",
        }
    return {
        "bands": [band._asdict() for band in settings.bands()],
        "band_shape": "nearest" if settings.nearest else "Gaussian",
        "colour": colour,
        "scale": settings.scale,
    }


def _differences(before: Record, now: Record) -> str:
    changed = (f"{key} {before.get(key)}" for key in now if before.get(key) != now[key])
    return " ".join(", ".join(changed).split())


def _read_manifest(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(content["settings"], dict) and isinstance(content["pairs"], dict)):
            raise TypeError("settings and pairs are not mappings")
        for name, record in content["pairs"].items():
            if not (isinstance(record["files"], dict) and {"source", "sha256"} <= record.keys()):
                raise TypeError(f"the pair {name} is no record")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NircolorError(f"{path}: expected the manifest of a data set: {error!r}") from error
    settings = content["settings"]
    if "lines" in settings:  # the key's name up to version 0.1
        settings["band_shape"] = settings.pop("lines")
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
