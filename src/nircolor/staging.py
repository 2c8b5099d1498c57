"""Hidden folders for unfinished outputs.

A folder is removed when its block ends, and by `remove_all` when the process stops early. Folders of a killed
process are removed by the next one that writes to the same place: each folder holds a file that its owner
keeps locked, and the system releases the lock of a dead process.
"""

import errno
import os
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX = ".nircolor-"
_OWNER = "owner"
# an owner file is written right after its folder is made
_NEW_SECONDS = 60
# a full disk or quota, or a read-only file system: no other file can be written either
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# written to find out whether a disk is full; more than GDAL writes at a time
_PROBE_BYTES = 16 << 20
# held while a folder is made and while outputs are moved into place
_busy = threading.RLock()
# set once by `remove_all`: a thread that makes folders without a pause would hardly ever leave it the lock
_is_stopping = threading.Event()
# folders of this process, with their open owner files
_live: dict[Path, int] = {}
_swept: set[Path] = set()


@contextmanager
def staging_folder(parent: Path) -> Generator[Path, None, None]:
    """Context with an empty folder for files that are moved out when complete.

    It lies in a hidden folder inside ``parent``, which is made if needed.

    Raises:
        OSError: The folder cannot be made.

    Examples:
        >>> with tempfile.TemporaryDirectory() as parent, staging_folder(Path(parent)) as folder:
        ...     folder.is_dir(), list(folder.iterdir()), parent in str(folder)
        (True, [], True)
    """
    folder = create(parent)
    try:
        files = folder / "files"
        files.mkdir()
        yield files
    finally:
        remove(folder)


def create(parent: Path) -> Path:
    """Create a hidden folder, for callers without a ``with`` block; `remove` removes it."""
    if _is_stopping.is_set():
        # until the process ends
        threading.Event().wait()
    with _busy:
        parent.mkdir(parents=True, exist_ok=True)
        if parent not in _swept:
            _swept.add(parent)
            _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            owner = os.open(folder / _OWNER, os.O_CREAT | os.O_RDWR, 0o600)
            _live[folder] = owner
            if sys.platform != "win32":
                # a file system without locks: nobody removes the folder after a crash
                with suppress(OSError):
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(owner, socket.gethostname().encode())
        except BaseException:
            remove(folder)
            raise
    return folder


def remove(folder: Path) -> None:
    """Remove a folder made by `create`; a second call does nothing."""
    owner = _live.get(folder)
    if sys.platform == "win32" and owner is not None:
        # an open file cannot be removed
        os.close(owner)
        owner = None
    shutil.rmtree(folder, ignore_errors=True)
    # the lock is released last
    _live.pop(folder, None)
    if owner is not None:
        os.close(owner)
        # walking through a folder takes open files too, of which there may be no more
        _remove_file_by_file(folder)


def _remove_file_by_file(folder: Path) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with suppress(OSError):
                Path(parent, name).unlink()
        for name in folders:
            with suppress(OSError):
                Path(parent, name).rmdir()
    with suppress(OSError):
        folder.rmdir()


def reason_if_full(error: BaseException, folder: Path, size: int = 0) -> str | None:
    """Return the system's message where a file could not be written because nothing more can be written.

    Libraries such as GDAL do not tell why they could not write. So the folder is tried, in which the
    unfinished file still takes its space.

    Args:
        error: The error of writing.
        folder: The folder that was written to.
        size: Bytes that the file takes at most, with which a disk that has fewer left counts as full.

    Returns:
        The message, such as "No space left on device"; None for another kind of error.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in DISK_FULL:
            return os.strerror(cause.errno)  # type: ignore[attr-defined]
        cause = cause.__cause__ or cause.__context__
    try:
        if shutil.disk_usage(folder).free < size:
            return os.strerror(errno.ENOSPC)
        with tempfile.TemporaryFile(dir=folder, prefix=_PREFIX) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            # quotas of shared file systems are checked late
            os.fsync(file.fileno())
    except OSError as problem:
        if problem.errno in DISK_FULL:
            return os.strerror(problem.errno)
    return None


@contextmanager
def committing() -> Generator[None, None, None]:
    """Context for moving several files into place, which `remove_all` does not interrupt. Keep it short."""
    with _busy:
        yield


def remove_all(timeout: float = 0.5) -> None:
    """Remove the folders of this process, from any thread, while others may still write into them.

    Call it right before `os._exit`: no folder can be made afterwards.

    Args:
        timeout: Seconds to wait for `committing` blocks.
    """
    _is_stopping.set()
    _busy.acquire(timeout=timeout)  # and never released
    until = time.monotonic() + timeout
    for folder in list(_live):
        moved = folder.with_name(f"{folder.name}-stopped")
        # other threads do not find the folder under another name, and so cannot add files
        with suppress(OSError):
            folder.rename(moved)
        for path in (moved, folder):
            shutil.rmtree(path, ignore_errors=True)
            while path.exists() and time.monotonic() < until:
                shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of dead processes of this host."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if folder not in _live and folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        # in a folder that everybody may write to, the file may be a link or a pipe of somebody else
        owner = os.open(
            folder / _OWNER, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except FileNotFoundError:
        if time.time() - folder.stat().st_mtime > _NEW_SECONDS:
            # its owner died in between; anything but an empty folder is not ours
            folder.rmdir()
        return
    try:
        # locks do not reach other hosts on every shared file system
        status = os.fstat(owner)
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            return
        host = os.read(owner, 300)
        is_new = time.time() - folder.stat().st_mtime < _NEW_SECONDS
        if host != socket.gethostname().encode() and (host or is_new):
            return
        if sys.platform != "win32":
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(owner)
    if sys.platform == "win32":
        # fails where the owner has it open
        (folder / _OWNER).unlink()
        shutil.rmtree(folder, ignore_errors=True)
