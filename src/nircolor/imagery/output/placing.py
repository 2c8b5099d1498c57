"""Move complete files into place: never over an input, and several files together or none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nircolor import staging
from nircolor.errors import DiskFullError, NircolorError, OutputExistsError
from nircolor.imagery.gdal import gdal_for


@dataclass(frozen=True)
class Finished:
    """A complete file that is to be moved into place.

    Attributes:
        whole: the file, in a hidden folder beside its place.
        path: its place.
        source: the input that it was made from.
        overwrite: replace an existing file.
    """

    whole: Path
    path: Path
    source: Path
    overwrite: bool


@contextmanager
def writing_to(path: Path, size: int = 0) -> Iterator[None]:
    """Context for calls that write an output; their errors become `NircolorError`, or `DiskFullError`.

    Args:
        path: the output.
        size: bytes that it takes at most.
    """
    try:
        with gdal_for(path, "cannot be written"):
            yield
    except NircolorError as error:
        problem = staging.reason_if_full(error, path.absolute().parent, size)
        if problem is None or isinstance(error, OutputExistsError):
            raise
        raise DiskFullError(f"{path}: cannot be written ({problem})") from error


def system_error(error: OSError, folder: Path) -> NircolorError:
    """Return an error of reading or writing a file as one of nircolor, `DiskFullError` for a full disk.

    Args:
        error: The error.
        folder: Place to name where the error names no file.
    """
    text = f"{error.filename or folder}: cannot be read or written ({error.strerror or error})"
    return DiskFullError(text) if error.errno in staging.DISK_FULL else NircolorError(text)


def check_free(path: Path, source: Path, overwrite: bool) -> None:
    """Raise `NircolorError` if `path` exists and may not be replaced."""
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise NircolorError(f"{path}: expected an output file, got a folder")
    # also by a link, and by a name in other letters where the file system ignores case
    if source.exists() and path.exists() and path.samefile(source):
        raise NircolorError(
            f"{path}: is the input itself, which is never replaced; name another output, or add to its name "
            "with --suffix _colour"
        )
    if overwrite:
        return
    raise _exists(path)


def put(files: list[Finished]) -> None:
    """Move files into place. If one of them cannot be moved, none is, and what they replace is restored.

    Raises:
        NircolorError: a place is taken, also by a file that appeared meanwhile, or cannot be written to.
    """
    # file, whether it replaces another one, and that one, where the file system has links
    placed: list[tuple[Finished, bool, Path | None]] = []
    with staging.committing():
        for file in files:
            check_free(file.path, file.source, file.overwrite)
        try:
            for file in files:
                existed = os.path.lexists(file.path)
                kept = _keep(file) if existed and len(files) > 1 else None
                with writing_to(file.path):
                    _move(file)
                placed.append((file, existed, kept))
        except BaseException:
            for file, existed, kept in placed:
                with suppress(OSError):
                    if kept is not None:
                        os.replace(kept, file.path)  # noqa: PTH105 - atomic
                    elif not existed:
                        file.path.unlink()
            raise


def _keep(file: Finished) -> Path | None:
    """Link the file that is replaced into the hidden folder."""
    kept = file.whole.with_name(f"replaced{file.path.suffix}")
    try:
        os.link(file.path, kept, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return None
    return kept


def _move(file: Finished) -> None:
    if file.overwrite or not _link(file.whole, file.path):
        os.replace(file.whole, file.path)  # noqa: PTH105 - atomic


def _link(whole: Path, path: Path) -> bool:
    """Link a file to its place; unlike a rename, this never replaces a file.

    Returns:
        Whether it was done; not on file systems without links.

    Raises:
        NircolorError: the place is taken.
    """
    try:
        os.link(whole, path)
    except FileExistsError as error:
        raise _exists(path) from error
    except (OSError, NotImplementedError):
        return False
    return True


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path}: exists already; it is replaced only with --overwrite")
