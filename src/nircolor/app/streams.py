"""``-`` as input and output of `nircolor colorize`: an image from standard input, or to standard output."""

import errno
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.staging import staging_folder

_STREAM = "-"
_INPUT, _OUTPUT = "standard input", "standard output"
# extensions of the outputs for images whose names are not known
_BY_DRIVER = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "BMP": ".png",
    "PNM": ".png",
    "WEBP": ".png",
    "CameraRaw": ".png",
}


@dataclass(frozen=True)
class Paths:
    """Files that stand for the streams.

    Attributes:
        inputs: Inputs, with a file in place of standard input.
        output: Output, a file in place of standard output.
        sends: Whether the output goes to standard output.
        folder: The temporary folder with these files; None without streams.
    """

    inputs: list[str]
    output: str
    sends: bool = False
    folder: Path | None = None

    def named(self, text: str) -> str:
        """Name the streams in a text instead of the files."""
        return text if self.folder is None else _named(text, self.folder)

    def argument(self, path: Path) -> str:
        """Return a path as the user would give it: ``-`` for the streams."""
        return _STREAM if self.folder is not None and path.parent == self.folder else str(path)

    def send(self) -> None:
        """Copy the output to standard output, if it goes there and has been written."""
        if not self.sends or not Path(self.output).exists():
            return
        with Path(self.output).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def open_streams(inputs: Sequence[str], output: str, output_format: str | None) -> Iterator[Paths]:
    """Store standard input in a temporary file, and choose one for standard output.

    Messages name the streams instead of these files; call it inside `console.show_warnings`.

    Args:
        inputs: Inputs of the command.
        output: Output of the command, as given.
        output_format: Format of the output; by default that of the input, TIFF where it cannot be written.

    Raises:
        NircolorError: ``-`` is not the only input, a stream is a terminal, or the output has no name.
    """
    from nircolor.imagery import stack_path

    reads, sends = _STREAM in inputs, output == _STREAM
    if not (reads or sends):
        yield Paths(list(inputs), output)
        return
    if len(inputs) > 1:
        raise NircolorError(
            f"-: expected one input with standard {'input' if reads else 'output'}, got {len(inputs)}"
        )
    if sends and sys.stdout.isatty():
        raise NircolorError("-o -: an image is not written to a terminal; redirect it, as with > colour.png")
    if sends and Path(inputs[0]).is_dir() and stack_path(inputs[0]) is None:
        raise NircolorError(f"-o -: expected one image, got the folder {inputs[0]}")
    with staging_folder(Path(tempfile.gettempdir())) as folder, _naming_streams(folder):
        source = _spool(folder / _INPUT) if reads else Path(inputs[0])
        extension = f".{output_format}" if output_format else _extension(source, reads)
        if sends:
            output = str(folder / f"{_OUTPUT}{extension}")
        elif Path(output).is_dir() or not Path(output).suffix:
            raise NircolorError(f"{output}: expected a file name, or -, for the image from {_INPUT}")
        yield Paths([str(source)], output, sends, folder)


@contextmanager
def open_input(file: str) -> Iterator[Paths]:
    """Store standard input in a temporary file if the only input is ``-``, as `open_streams` does."""
    if file != _STREAM:
        yield Paths([file], "")
        return
    with staging_folder(Path(tempfile.gettempdir())) as folder, _naming_streams(folder):
        yield Paths([str(_spool(folder / _INPUT))], "", folder=folder)


def _spool(path: Path) -> Path:
    expected = "-: expected an image from standard input, as with < night.png"
    if sys.stdin is None:
        raise NircolorError(f"{expected}, but standard input is closed")
    if sys.stdin.isatty():
        raise NircolorError(f"{expected}, got a terminal")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NircolorError(_temporary_folder(error.strerror)) from error
        raise NircolorError(f"{_INPUT}: cannot be read ({error.strerror})") from error
    with path.open("rb") as file:
        if file.read(4) == b"ENVI":
            raise NircolorError(f"{_INPUT}: an ENVI header needs the data file beside it; name the file")
    return path


def _extension(source: Path, reads: bool) -> str:
    from nircolor.imagery import output_path_for
    from nircolor.imagery.files.locate import locate
    from nircolor.imagery.video import is_video

    if is_video(source):
        return ".mkv"
    return _BY_DRIVER.get(locate(source).driver, ".tif") if reads else output_path_for(source, "").suffix


def _temporary_folder(reason: str | None) -> str:
    return (
        f"{tempfile.gettempdir()}: the temporary folder cannot be written ({reason}); "
        "the environment variable TMPDIR names another"
    )


def _named(text: str, folder: Path) -> str:
    # a problem of the disk, not of standard output
    full = re.fullmatch(rf"{re.escape(str(folder / _OUTPUT))}\.\w+: cannot be written \((.*)\)", text)
    if full:
        return _temporary_folder(full[1])
    return re.sub(rf"{re.escape(str(folder))}[/\\]({_INPUT}|{_OUTPUT})(?:\.\w+)?", r"\1", text)


@contextmanager
def _naming_streams(folder: Path) -> Iterator[None]:
    """Name the streams in errors and warnings, instead of files in a temporary folder."""
    show: Any = warnings.showwarning

    def named(text: object) -> str:
        return _named(str(text), folder)

    def show_named(message: Warning | str, *details: Any, **options: Any) -> None:
        if isinstance(message, NircolorWarning):
            path = None if message.path is None else named(message.path)
            message = NircolorWarning(named(message.problem), path=path)
        show(message, *details, **options)

    warnings.showwarning = show_named
    try:
        yield
    except NircolorError as error:
        raise NircolorError(named(error)) from error
