"""Stop a command at Ctrl-C, SIGTERM or SIGHUP within a second, without leaving unfinished files.

Python runs signal handlers in the main thread, between two instructions: they wait for a call into GDAL that
takes ten seconds, and an exception raised there can hit any line, such as one that cleans up. So a thread
waits for the signal, removes the unfinished files and ends the process. No output is incomplete at any time:
outputs are renamed into place.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final

from nircolor import staging
from nircolor.app import terminal

EXIT_CODE: Final = 130
# the system ends the process after this time, if removing files or writing to a terminal hangs
_LAST_RESORT_SECONDS: Final = 5
_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]

_before: dict[int, Any] = {}
_note = ""
# called before the process ends; a call that takes longer is abandoned
_last_calls: list[Callable[[], None]] = []
_LAST_CALLS_SECONDS: Final = 0.3


def install() -> None:
    """Stop the process at a signal from now on. Signals that are ignored (``nohup``) stay ignored."""
    if _before or threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe()
    # on Windows only from Python 3.12 on; a full pipe means that a signal waits already
    if sys.platform != "win32" or sys.version_info >= (3, 12):
        os.set_blocking(writing, False)
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            # a handler is needed for the number to arrive in the pipe
            _before[number] = signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), name="stopping", daemon=True).start()


def uninstall() -> None:
    """Return to the handlers before `install`."""
    if not _before:
        return
    os.close(signal.set_wakeup_fd(-1))  # ends the thread
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()


def raise_instead() -> None:
    """Raise `KeyboardInterrupt` at a signal, for training: Lightning saves the run before it ends."""
    uninstall()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def promise(note: str) -> None:
    """Set the note that is printed when the process has stopped, such as ``finished images are kept``."""
    global _note
    _note = note


def note() -> str:
    """Return the note set by `promise`, after "; " where there is one."""
    return f"; {_note}" if _note else ""


@contextmanager
def calling(function: Callable[[], None]) -> Generator[None, None, None]:
    """Context in which a signal calls a function before the process ends, such as to print held warnings."""
    _last_calls.append(function)
    try:
        yield
    finally:
        _last_calls.remove(function)


def _wait(pipe: int) -> None:
    with os.fdopen(pipe, "rb", buffering=0) as signals:
        while received := signals.read(1):
            # the pipe gets every signal with a handler, as that of a resized terminal
            if received[0] in _before:
                _stop()


def _stop() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, _LAST_RESORT_SECONDS)
    # progress bars hide the cursor
    _say("\x1b[?25h\nstopping…" if os.isatty(terminal.error_file) else "stopping…")
    staging.remove_all()
    for function in _last_calls:
        # in a thread: it may wait for a lock of one that is stuck
        caller = threading.Thread(target=function, daemon=True)
        caller.start()
        caller.join(_LAST_CALLS_SECONDS)
    _say(f"interrupted{note()}")
    os._exit(EXIT_CODE)


def _say(line: str) -> None:
    """Write to standard error without Python's locks, which another thread may hold."""
    # not `sys.stderr`, which progress bars replace
    encoding = "ascii" if sys.__stderr__ is None else sys.__stderr__.encoding
    with suppress(OSError):
        os.write(terminal.error_file, f"{line}\n".encode(encoding, terminal.IN_ASCII))
