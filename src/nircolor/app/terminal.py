"""Standard streams: text that a terminal may not or cannot show, streams that are closed or full."""

import codecs
import errno
import io
import os
import shlex
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from nircolor.errors import NircolorError

# 128 + SIGPIPE, as a shell reports of a program whose reader has gone
_READER_GONE: Final = 141
# name of the error handler of encodings that writes characters they lack in ASCII
IN_ASCII: Final = "nircolor-ascii"
_ASCII: Final = {
    "…": "...", "×": "x", "µ": "u", "μ": "u", "°": " deg", "–": "-", "—": "-", "−": "-", "→": "->", "²": "2",
    "³": "3", "Δ": "d", "≥": ">=", "≤": "<=", "±": "+-", "·": "*", "’": "'", "‘": "'", "“": '"', "”": '"',
}  # fmt: skip


def printable(text: str) -> str:
    r"""Escape control characters, line breaks and changes of text direction, which a terminal would act on.

    File names, cards and headers come from others. Bytes of a name that are not valid text are escaped too.

    Examples:
        >>> print(printable("a\x1b[2Jb\nc"))
        a\x1b[2Jb\nc
        >>> print(printable("\udcff\u202egnp.exe"))
        \xff\u202egnp.exe
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def shell_quoted(text: str) -> str:
    r"""Quote a word for a shell, in printable characters only.

    Examples:
        >>> print(shell_quoted("a b.png"), shell_quoted("a\x1b[31m.png"))
        'a b.png' $'a\x1b[31m.png'
    """
    if text.isprintable():
        return shlex.quote(text)
    characters = (
        one
        if one.isprintable() and one not in "'\\"
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(one))
        for one in text
    )
    return f"$'{''.join(characters)}'"


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name, see os.fsdecode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(character) or _escape(character) for character in text), error.end


codecs.register_error(IN_ASCII, _in_ascii)


def describe(error: BaseException, path: Path | None = None) -> str:
    """Describe an exception in one line; an unexpected one as a bug, so that it is reported.

    Args:
        error: The exception.
        path: The file that was in work.
    """
    place = "" if path is None else f"{path}: "
    if isinstance(error, NircolorError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        name = place if error.filename is None else f"{os.fsdecode(error.filename)}: "
        text = f"{name}{error.strerror}"
    elif isinstance(error, MemoryError):
        text = f"{place}out of memory"
    else:
        reason = f": {error}" if str(error) else ""
        text = f"{place}unexpected {type(error).__name__}{reason} (a bug in nircolor; --debug shows where)"
    return printable(" ".join(text.splitlines()))


def show(text: str) -> None:
    """Print lines of text to standard output, escaped. Parts that come from others must be `printable`."""
    print(*map(printable, text.split("\n")), sep="\n")


def print_error(message: str) -> None:
    """Print one line to standard error, in red on a terminal."""
    line = f"error: {printable(message)}"
    with suppress(OSError):
        coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        print(f"\x1b[31m{line}\x1b[0m" if coloured else line, file=sys.stderr, flush=True)


def print_traceback(error: BaseException) -> None:
    """Print a traceback to standard error."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    with suppress(OSError):
        print(*map(printable, lines), sep="\n", file=sys.stderr)


class _StandardOutput(io.FileIO):
    """Standard output that is named in its own errors."""

    reader_gone = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.reader_gone |= error.errno == errno.EPIPE
            raise OSError(error.errno, error.strerror, "standard output") from None


_output: _StandardOutput | None = None
# file descriptor of `sys.stderr`; what is written to 2 is hidden
error_file = 2


def is_debug() -> bool:
    """Return whether the command line has ``--debug``, which is accepted anywhere on it."""
    return "--debug" in sys.argv


def prepare_streams() -> None:
    """Replace closed streams, write unsupported characters as ASCII, and hide the output of libraries.

    The next file that is opened would take the place of a closed stream, with all that is printed there.
    GDAL's libraries and others print to standard error below Python: hidden except with ``--debug``, since
    their errors are raised as exceptions too. A second call does nothing.
    """
    global _output, error_file
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # writing to standard output fails, to standard error does not
            os.open(os.devnull, os.O_RDWR if number == 2 else os.O_RDONLY)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and sys.stderr is not None and not is_debug():
        error_file = os.dup(2)
        sys.stderr = open(error_file, "w", 1, sys.stderr.encoding, closefd=False)  # noqa: SIM115
        _redirect(2, os.devnull)
        sys.unraisablehook = lambda _problem: None
    # not where a test has replaced it
    if sys.stdout is sys.__stdout__:
        encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
        _output = _StandardOutput(1, "w", closefd=False)
        buffer = io.BufferedWriter(_output)
        sys.stdout = io.TextIOWrapper(buffer, encoding=encoding, line_buffering=_output.isatty())
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=IN_ASCII)


def hide_undecodable_messages() -> None:
    """Print nothing where rasterio cannot decode a message of GDAL; it raises GDAL's error all the same."""
    sys.excepthook = _show_exception
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _show_unraisable


def _show_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # one that ends a program has a traceback
    if not (kind is UnicodeDecodeError and trace is None):
        sys.__excepthook__(kind, error, trace)


def _show_unraisable(unraisable: Any) -> None:
    if unraisable.object != "rasterio._env.log_error":
        sys.__unraisablehook__(unraisable)


def finish(code: int) -> int:
    """Flush the streams before the process exits.

    Returns:
        The exit code: ``code``, or another if standard output could not be written.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if code == 0 and not isinstance(error, BrokenPipeError):
            print_error(describe(error))
        code = code or 2
        _discard(sys.stdout)
    if _output is not None and _output.reader_gone:
        code = _READER_GONE
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(sys.stderr)
    return code


def _discard(stream: TextIO) -> None:
    """Drop output that could not be written; Python would try again when it exits."""
    with suppress(OSError, ValueError):
        _redirect(stream.fileno(), os.devnull)


def _redirect(number: int, path: str) -> None:
    target = os.open(path, os.O_WRONLY)
    os.dup2(target, number)
    os.close(target)


def show_libraries() -> None:
    """Show the output of libraries and child processes on standard error, for training."""
    os.dup2(error_file, 2)
