"""A paired set made of captures: ``nir/``, ``rgb/`` and a manifest of what came from where."""

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError
from nircolor.imagery.calibration import References, find_references
from nircolor.imagery.cube import Cube
from nircolor.imagery.formats import locate
from nircolor.parallel import clear_traceback, in_parallel
from nircolor.spectral.capture import Capture
from nircolor.spectral.synthesis import Outputs, Synthesis, synthesize

MANIFEST = "manifest.json"
_VERSIONS_OF = ("nircolor", "numpy", "colour-science", "rasterio")

Record = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """How one capture went.

    Attributes:
        capture: which.
        record: its entry of the manifest, where it is done.
        skipped: it was done before.
        error: why it failed, or None.
    """

    capture: Capture
    record: Record | None = None
    skipped: bool = False
    error: Exception | None = None


class Manifest:
    """The set's list of pairs, on disk after each; for several threads.

    Raises NircolorError where the folder holds a set that was made otherwise; with ``overwrite`` its files
    are removed, so that pairs of two kinds never lie side by side.
    """

    def __init__(self, folder: Path, synthesis: Synthesis, *, overwrite: bool) -> None:
        self.path = folder / MANIFEST
        self._settings = _settings(synthesis)
        self._lock = threading.Lock()
        self._pairs: dict[str, Record] = {}
        if self.path.exists():
            known = _read(self.path)
            if known["settings"] == self._settings:
                self._pairs = known["pairs"]
            elif not overwrite:
                raise NircolorError(
                    f"{self.path}: the set was made with other settings "
                    f"({_differences(known['settings'], self._settings)}); "
                    "choose another folder, or replace it with --overwrite"
                )
            else:
                for name in known["pairs"]:
                    _remove_pair(folder, name)
                self.path.unlink()

    def holds(self, capture: Capture, source: Record, folder: Path) -> bool:
        """Whether the capture's pair is there, made of the same files, and as it was made.

        The samples are read for it: sizes and times do not tell whether a file is the same.
        """
        record = self._pairs.get(capture.name)
        return (
            record is not None
            and record["source"] == source
            and record["sha256"] == Cube(capture.header).sha256()
            and all(
                (folder / path).is_file() and _sha256(folder / path) == digest
                for path, digest in record["files"].items()
            )
        )

    def knows(self, name: str) -> bool:
        """Whether a pair of this name is the set's own."""
        return name in self._pairs

    def add(self, name: str, record: Record) -> None:
        """Take in a pair and write the list, in the order of names."""
        with self._lock:
            self._pairs[name] = record
            content = {"settings": self._settings, "pairs": dict(sorted(self._pairs.items()))}
            staged = self.path.with_name(f".{MANIFEST}")
            staged.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            staged.replace(self.path)


def synthesize_all(
    captures: Sequence[Capture],
    synthesis: Synthesis,
    folder: Path,
    *,
    parallel: int = 1,
    overwrite: bool = False,
    on_progress: Callable[[Capture, int, int], None] = lambda _capture, _done, _total: None,
) -> Generator[Made, None, None]:
    """Make pairs of captures, ``parallel`` at once, and yield each as it ends.

    Pairs that are there already, of the same files and settings, are passed over; so a run that was
    interrupted goes on. A failed capture leaves nothing behind. Leaving the generator early ends those at
    work within a block.

    Raises:
        NircolorError: the folder cannot be made, or holds a set that was made otherwise.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NircolorError(f"{folder}: cannot be made ({error.strerror or error})") from error
    manifest = Manifest(folder, synthesis, overwrite=overwrite)

    def make(capture: Capture, go_on: Callable[[], None]) -> Made:
        def progress(done: int, total: int) -> None:
            go_on()
            on_progress(capture, done, total)

        try:
            return _make(capture, synthesis, folder, manifest, overwrite, progress)
        except OSError as error:
            where = error.filename or folder
            reason = NircolorError(f"{where}: cannot be read or written ({error.strerror or error})")
            return Made(capture, error=reason)
        # a fault of ours in one capture must not cost the user the others
        except Exception as error:
            clear_traceback(error)
            return Made(capture, error=error)

    return in_parallel(captures, make, parallel)


def _make(
    capture: Capture,
    synthesis: Synthesis,
    folder: Path,
    manifest: Manifest,
    overwrite: bool,
    progress: Callable[[int, int], None],
) -> Made:
    if capture.fault is not None:
        raise NircolorError(capture.fault)
    source = _source(capture, synthesis.references)
    if manifest.holds(capture, source, folder):
        return Made(capture, skipped=True)
    outputs = Outputs.of(capture.name, camera_nir=synthesis.nir_camera is not None)
    with tempfile.TemporaryDirectory(prefix=".nircolor-", dir=folder) as text:
        staging = Path(text)
        measured = synthesize(capture, synthesis, staging, progress)
        files = {path: _sha256(staging / path) for path in outputs.paths()}
        if not (overwrite or manifest.knows(capture.name)):
            _require_free(folder, files)
        for path in outputs.paths():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(folder / path)
    record = {
        "source": source,
        **measured,
        "files": files,
        "versions": {package: version(package) for package in _VERSIONS_OF},
    }
    manifest.add(capture.name, record)
    return Made(capture, record)


def _remove_pair(folder: Path, name: str) -> None:
    # a manifest is a file like any other: nothing outside of the set goes by its word
    if Path(name).name == name:
        for path in Outputs.of(name, camera_nir=True).paths():
            (folder / path).unlink(missing_ok=True)


def _require_free(folder: Path, files: Record) -> None:
    """Files that are there must be what was made: a run may have been killed before it listed them."""
    for path, digest in files.items():
        if (folder / path).exists() and _sha256(folder / path) != digest:
            raise NircolorError(f"{folder / path}: exists already; it is replaced only with --overwrite")


def _source(capture: Capture, references: References | None) -> Record:
    """The capture's header and references, by their contents."""
    source = locate(capture.header)
    found = references or (find_references(source.header) if source.header else None)
    record: Record = {"header": _sha256(source.header or source.data)}
    for kind, header in (found._asdict() if found else {}).items():
        if header is not None:
            # the exposure stands in the header
            record[f"{kind}_header"], record[kind] = _sha256(header), Cube(header).sha256()
    return record


def _settings(synthesis: Synthesis) -> Record:
    response = synthesis.response
    colour: Record = {"observer": "CIE 1931 2°", "illuminant": "D65", "encoding": "sRGB"}
    if response is not None:
        colour = {
            "response": response.path.name,
            "sha256": response.sha256,
            "grid_nm": response.grid_nm and list(response.grid_nm),
            "illuminant": "D65",
            "encoding": "white balanced, sRGB tone curve",
        }
    bands = [band._asdict() for band in synthesis.bands()]
    return {
        "bands": bands,
        "lines": "nearest" if synthesis.nearest else "Gaussian",
        "colour": colour,
        "scale": synthesis.scale,
    }


def _differences(before: Record, now: Record) -> str:
    return ", ".join(f"{key} {before.get(key)}" for key in now if before.get(key) != now[key])


def _read(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(content["settings"], dict) and isinstance(content["pairs"], dict)):
            raise TypeError("settings and pairs are no mappings")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NircolorError(f"{path}: expected the manifest of a set of pairs: {error!r}") from error
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
