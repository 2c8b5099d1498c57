"""Processes of a cluster: workers that colorize, and writers of large rasters."""

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nircolor.arrays import Floats, Mask
from nircolor.errors import (
    ColourPhotographError,
    DiskFullError,
    NircolorError,
    NircolorWarning,
    OutputExistsError,
    first_line,
)
from nircolor.imagery import Raster
from nircolor.imagery.video import is_video
from nircolor.inference.cluster.storage import Storage, is_address
from nircolor.inference.cluster.tasks import DISK_FULL, Outcome, Task
from nircolor.inference.colorizer import Colorizer
from nircolor.inference.confidence import confidence_path
from nircolor.inference.outputs import writing
from nircolor.inference.reading import opened
from nircolor.inference.sources import RasterSource
from nircolor.inference.streaming import Blending, Part, rows_of_tiles
from nircolor.modelfile import Card, read_card
from nircolor.staging import staging_folder
from nircolor.weights import find_model

# a file of fewer bytes is not opened to find out its size in pixels: no image is compressed more
_MOST_PX_PER_BYTE = 32


@dataclass(frozen=True)
class Settings:
    """What is the same for all files of a run.

    Attributes:
        model: Name of a shipped model, or path of a model file.
        tile_px: Side of the tiles; None to choose it by the free memory.
        options: For `Colorizer.colorize_file`.
        skip_existing: Leave out files whose output exists.
        split_px: Rasters of at least this many pixels are colorized by several workers; None for never.
        started: Time at which the run started, in seconds since 1970.
    """

    model: str
    tile_px: int | None
    options: dict[str, Any]
    skip_existing: bool
    split_px: int | None
    started: float

    @property
    def confidence(self) -> bool:
        """Whether the confidence is written as well."""
        return bool(self.options.get("confidence"))

    def opened(self, card: Card, path: Path) -> AbstractContextManager[tuple[Raster, RasterSource]]:
        """Open a file, as `Colorizer.colorize_file` does."""
        return opened(card, path, self.options.get("reading"), bool(self.options.get("skip_colour")))

    def status_after(self, error: Exception, task: Task) -> tuple[str, str]:
        """Return the status of a file whose work has ended with an error, and the message."""
        if isinstance(error, ColourPhotographError):
            return "skipped", ""
        # the process that wrote it died before it could say so, and its work was given out again
        if isinstance(error, OutputExistsError) and self._was_written_in_this_run(task):
            return "done", ""
        # the hidden folders of addresses are on the disk of one worker, which others need not share
        if isinstance(error, DiskFullError) and not is_address(task.output):
            return DISK_FULL, _message(error, task)
        return "failed", _message(error, task)

    def _was_written_in_this_run(self, task: Task) -> bool:
        """Whether all files of an output are there, and no older than the run."""
        if is_address(task.output):
            # the last of the files to be copied there
            written: float = Storage(task.output).call("modified", task.output).timestamp()
            return written >= self.started
        output = Path(task.output)
        files = (output, confidence_path(output)) if self.confidence else (output,)
        return all(file.exists() and file.stat().st_mtime >= self.started for file in files)


@dataclass(frozen=True)
class Large:
    """A large raster, whose rows of tiles are colorized by several workers.

    Attributes:
        task: The file.
        part: Size of the image, its reduced view and the values of invalid pixels.
        tile_px: Longest side of a tile.
        strips: Number of rows of tiles.
        seconds: Time that this took to find out.
    """

    task: Task
    part: Part
    tile_px: int
    strips: int
    seconds: float


class Worker:
    """A process with a loaded model; an actor of Ray."""

    def __init__(self, settings: Settings) -> None:
        # each worker computes on one core
        self._colorizer = Colorizer(settings.model, tile_px=settings.tile_px, jobs=os.cpu_count() or 1)
        self._settings = settings
        self._open: _Open | None = None

    def run(self, task: Task) -> Outcome | Large:
        """Colorize a file, or find out how to divide it where it is a large raster."""
        start, found = time.perf_counter(), None
        with collected_warnings() as shown:
            status, message = "done", ""
            try:
                if self._is_there(task):
                    status = "skipped"
                elif (found := self._large(task)) is None:
                    with self._fetched(task) as path, delivered(task) as output:
                        self._colorizer.colorize_file(path, output, **self._settings.options)
                    self.close()
            # a bug that one file triggers must not stop the others
            except Exception as error:
                status, message = self._settings.status_after(error, task)
        seconds = round(time.perf_counter() - start, 3)
        if found is not None:
            return Large(task, *found, seconds)
        return Outcome(task.input, task.output, task.bytes, status, message, seconds, tuple(shown))

    def strip(self, large: Large, index: int) -> tuple[Floats, Mask] | str:
        """Colorize a row of tiles of a large raster (see `streaming.colorize_strip`), or return an error."""
        try:
            return self._colorizer.colorize_strip(
                self._opened(large.task).source,
                large.tile_px,
                index,
                large.part,
                with_error=self._settings.confidence,
            )
        except Exception as error:
            text = _message(error, large.task)
            return text if self._open is None else text.replace(str(self._open.path), large.task.input)

    def close(self) -> None:
        """Close the raster that is open, and remove its copy."""
        if self._open is not None:
            self._open.stack.close()
            self._open = None

    def _is_there(self, task: Task) -> bool:
        if not is_address(task.output):
            exists = Path(task.output).exists()
        else:
            exists = Storage(task.output).call("exists", task.output)
            if exists and not (self._settings.skip_existing or self._settings.options.get("overwrite")):
                raise OutputExistsError(
                    f"{task.output}: exists already; it is replaced only with --overwrite"
                )
        return exists and self._settings.skip_existing

    def _large(self, task: Task) -> tuple[Part, int, int] | None:
        """Return the part, side of tiles and number of rows of a large raster; None for another file."""
        settings = self._settings
        if settings.split_px is None or is_video(Path(task.input)):
            return None
        # colours that are computed at a reduced size take little longer than reading and writing
        if self._colorizer.card.working_pixels is not None:
            return None
        # a folder is a product; a header is one of several files
        is_one_file = not (task.beside or task.input.lower().endswith(".hdr") or Path(task.input).is_dir())
        if is_one_file and task.bytes * _MOST_PX_PER_BYTE < settings.split_px:
            return None
        source = self._opened(task).source
        if source.height * source.width < settings.split_px:
            return None
        tile_px = self._colorizer.tile_for(source)
        down, _ = rows_of_tiles(self._colorizer.card, source.height, source.width, tile_px)
        if len(down.starts) == 1:
            return None
        return self._colorizer.whole_part(source, tile_px), tile_px, len(down.starts)

    @contextmanager
    def _fetched(self, task: Task) -> Iterator[Path]:
        """As `fetched`, with the copy that is there already."""
        if self._open is not None and self._open.task == task:
            yield self._open.path
        else:
            with fetched(task) as path:
                yield path

    def _opened(self, task: Task) -> "_Open":
        """Open a raster, or return the one that is open."""
        if self._open is None or self._open.task != task:
            self.close()
            with ExitStack() as stack:
                path = stack.enter_context(fetched(task))
                _, source = stack.enter_context(self._settings.opened(self._colorizer.card, path))
                self._open = _Open(task, path, source, stack.pop_all())
        return self._open


@dataclass(frozen=True)
class _Open:
    """A raster that is kept open, since more of its rows are likely to follow, and what closes it."""

    task: Task
    path: Path
    source: RasterSource
    stack: ExitStack


class LargeWriter:
    """A process that joins and writes the rows of a large raster; an actor of Ray."""

    def __init__(self, settings: Settings, large: Large) -> None:
        self._settings, self._large = settings, large
        self._start = time.perf_counter() - large.seconds
        self._stack = ExitStack()
        self._shown: list[str] = []

    def add(self, index: int, strip: tuple[Floats, Mask] | str) -> Outcome | None:
        """Write the next row of tiles; after the last one, or an error, return what became of the file."""
        task, status, message = self._large.task, "done", ""
        try:
            with self._stack:
                if isinstance(strip, str):
                    raise NircolorError(strip)
                if index == 0:
                    self._open()
                # arrays of Ray's shared memory are read-only
                colour, valid = self._blending.add(strip[0].copy(), strip[1])
                self._write(self._top, colour, valid)
                self._top += len(valid)
                if index + 1 < self._large.strips:
                    self._stack = self._stack.pop_all()
                    return None
        except Exception as error:
            status, message = self._settings.status_after(error, task)
        seconds = round(time.perf_counter() - self._start, 3)
        return Outcome(task.input, task.output, task.bytes, status, message, seconds, tuple(self._shown))

    def _open(self) -> None:
        settings, large = self._settings, self._large
        options = {
            name: value
            for name, value in settings.options.items()
            if name not in ("reading", "skip_colour", "saturation")
        }
        card = read_card(find_model(settings.model))
        part = large.part
        down, _ = rows_of_tiles(card, part.height, part.width, large.tile_px)
        self._blending = Blending(down, part.height, settings.options.get("saturation", 1.0))
        self._top = 0
        self._shown = self._stack.enter_context(collected_warnings())
        path = self._stack.enter_context(fetched(large.task))
        raster, _ = self._stack.enter_context(settings.opened(card, path))
        output = self._stack.enter_context(delivered(large.task))
        self._write = self._stack.enter_context(writing(card, raster, output, **options))

    def discard(self) -> None:
        """Remove what was written of an unfinished output."""
        with suppress(_DiscardedError), self._stack:
            raise _DiscardedError


class _DiscardedError(Exception):
    """Ends the contexts of an unfinished output."""


@contextmanager
def fetched(task: Task) -> Iterator[Path]:
    """Context with the path of a file: a copy in a hidden folder where it has an address."""
    if not is_address(task.input):
        yield Path(task.input)
        return
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        for address in (task.input, *task.beside):
            storage = Storage(address)
            storage.call("get_file", storage.path, str(folder / _name(address)))
        path = folder / _name(task.input)
        with _named(path, task.input):
            yield path


@contextmanager
def delivered(task: Task) -> Iterator[Path]:
    """Context with the path to write to; for an address, the files are copied there at the end.

    The output itself is the last of them: where it is, the others are too.
    """
    if not is_address(task.output):
        yield Path(task.output)
        return
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        path = folder / _name(task.output)
        with _named(path, task.output):
            yield path
        for file in sorted(folder.iterdir(), key=lambda file: (file == path, file)):
            storage = Storage(f"{task.output.rpartition('/')[0]}/{file.name}")
            storage.call("put_file", str(file), storage.path)


@contextmanager
def _named(copy: Path, address: str) -> Iterator[None]:
    """Context whose errors name an address instead of its copy."""
    try:
        yield
    except NircolorError as error:
        raise type(error)(str(error).replace(str(copy), address)) from error


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Context that collects the problems of `NircolorWarning`s."""
    problems: list[str] = []
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        try:
            yield problems
        finally:
            messages = [warning.message for warning in shown]
            problems += [one.problem for one in messages if isinstance(one, NircolorWarning)]


def _message(error: Exception, task: Task) -> str:
    """Return the message of an error of nircolor, or describe another one."""
    if isinstance(error, NircolorError):
        return str(error)
    return f"{task.input}: unexpected {type(error).__name__}: {first_line(error)[:200]}"


def _name(address: str) -> str:
    return address.rpartition("/")[2]
