"""Exception and warning for mistakes in the user's input, each with a one-line message."""

import os
from typing import Final

# characters; no message of nircolor's own is as long
_LONGEST: Final = 1500


class NircolorError(Exception):
    """Error in the user's input. The message is one line: the file, what was expected and what was found.

    The command line prints the message without a traceback and exits with code 2; in a batch the other
    files continue and the exit code is 1, except after a `DiskFullError`.

    Args:
        message: The line. A very long one, as with a damaged file's content in it, is cut; line breaks are
            escaped.
    """

    def __init__(self, message: str) -> None:
        line = _escaped(message)
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …")


class OutputExistsError(NircolorError):
    """The output exists and may not be replaced; it may have appeared while its image was processed."""


class DiskFullError(NircolorError):
    """Nothing more can be written: a full disk or quota, or a read-only file system. It ends a batch."""


class ColourPhotographError(NircolorError):
    """The image is a colour photograph, or the video in colour, which the caller did not want."""


class NircolorWarning(UserWarning):
    """Doubt about the user's input that does not stop the work. The command line prints it in one line.

    Args:
        problem: Text without the file: what was found, then after a semicolon what to do about it.
        path: File concerned. The same problem of many files is printed as one line.

    Example:
        >>> print(NircolorWarning("holds 2 pages; give --bands to read them", path="a.tif"))
        a.tif: holds 2 pages; give --bands to read them
    """

    def __init__(self, problem: str, *, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__(_escaped(problem if path is None else f"{os.fspath(path)}: {problem}"))
        self.problem, self.path = problem, None if path is None else os.fspath(path)


def _escaped(text: str) -> str:
    """Escape line breaks, which the names and headers of files may hold."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type where the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
