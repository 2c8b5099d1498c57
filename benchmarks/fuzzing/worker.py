"""Run cases in this process and judge each; the driver restarts the process after a crash or a hang."""

import contextlib
import ctypes
import importlib
import json
import os
import re
import resource
import select
import shutil
import socket
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np

from fuzzing.cases import Case, make_case
from fuzzing.mutations import CANARY_FILE, CANARY_URL
from fuzzing.seed import Seed
from fuzzing.seeds import make_seeds, tiny_onnx
from fuzzing.targets import CONTROLS, Ran, Wrong, run_target
from nircolor.app.terminal import hide_undecodable_messages
from nircolor.errors import NircolorError

# growth of the process's memory during one case, in MB, and its largest address space
MOST_MB, ADDRESS_SPACE = 1024, 12 << 30
_LONGEST_MESSAGE = 2000
_IN_OPEN = 0x20  # of inotify


Runner = Callable[[str, Path, Random, Path], Ran]


@dataclass
class Outcome:
    """Result of a case.

    Attributes:
        index: Number of the case.
        kind: Kind of its seed.
        status: "ok", "refused", or the kind of failure.
        detail: One line that is equal for failures of the same cause, as far as can be told.
        seconds: Time of the run.
        text: More about a failure: the traceback or the output.
    """

    index: int
    kind: str
    status: str
    detail: str = ""
    seconds: float = 0.0
    text: str = ""


def work(
    run_seed: int, indices: Sequence[int], kinds: Sequence[str], target: str | None, scratch: Path
) -> None:
    """Run cases and write each outcome as a line of JSON to standard output.

    Args:
        run_seed: Seed of the run.
        indices: Numbers of the cases.
        kinds: Kinds of seeds to use; all where it is empty.
        target: `module:function` to run instead of `targets.run_target`, or None.
        scratch: Folder for the files of the cases.
    """
    results = os.fdopen(os.dup(1), "w", buffering=1)
    seeds = make_seeds(kinds)
    run = run_target
    if target is not None:
        module, _, name = target.partition(":")
        run = getattr(importlib.import_module(module), name)
    with tempfile.TemporaryFile() as caught, _tools(scratch) as tools:
        # what nircolor or a C library prints during a case
        os.dup2(caught.fileno(), 1)
        os.dup2(caught.fileno(), 2)
        _warm_up(run, seeds, tools, scratch)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        # without the command line, rasterio prints these, which is harmless
        hide_undecodable_messages()
        judge = Judge(run, caught.fileno(), scratch, tools)
        print(json.dumps({"ready": sorted({seed.kind for seed in seeds})}), file=results)
        for index in indices:
            try:
                outcome = judge.run(make_case(seeds, run_seed, index))
            # a fault of this script, not a finding
            except Exception as error:
                print(json.dumps({"error": f"case {index}: {_trace(error)}"}), file=results)
                raise
            print(json.dumps(asdict(outcome)), file=results)
        judge.close()


@contextmanager
def _tools(scratch: Path) -> Iterator[Path]:
    """Write a model and an image that are not mutated."""
    from nircolor.imagery import encode_png

    folder = Path(tempfile.mkdtemp(prefix="tools-", dir=scratch))
    (folder / "tiny.onnx").write_bytes(tiny_onnx())
    (folder / "gray.png").write_bytes(encode_png(np.full((1, 9, 13), 0.5, np.float32)).data)
    yield folder
    shutil.rmtree(folder)


def _warm_up(run: Runner, seeds: Sequence[Seed], tools: Path, scratch: Path) -> None:
    """Import all packages and fill caches, so that neither counts as time or memory of a case."""
    for seed in {seed.target: seed for seed in seeds}.values():
        folder = Path(tempfile.mkdtemp(prefix="warm-", dir=scratch))
        case = Case(seed, 0, seed.entry, dict(seed.files), Random(0))
        with contextlib.suppress(NircolorError):
            run(seed.target, case.write(folder), Random(1), tools)
        shutil.rmtree(folder)


class Judge:
    """Run cases, each in a folder of its own, and find out what went wrong.

    Args:
        run: `targets.run_target`, or a function in its place.
        caught: File descriptor of the file to which standard output and standard error go.
        scratch: Folder for the cases.
        tools: Folder of the files that are not mutated.
    """

    def __init__(self, run: Runner, caught: int, scratch: Path, tools: Path) -> None:
        self._run, self._caught, self._tools = run, caught, tools
        self._folder = Path(tempfile.mkdtemp(prefix="case-", dir=scratch))
        canary = Path(CANARY_FILE.decode())
        canary.write_bytes(_canary_image())
        self._canary = _FileWatch(canary)
        self._server = _listen()

    def close(self) -> None:
        """Stop watching."""
        self._canary.close()
        if self._server is not None:
            self._server.close()

    def run(self, case: Case) -> Outcome:
        """Write a case, run it and judge the result."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        outcome = Outcome(case.index, case.seed.kind, "ok")
        try:
            entry = case.write(self._folder)
        except (OSError, ValueError) as error:  # a name that this file system refuses
            return Outcome(case.index, case.seed.kind, "ok", f"not written: {error}")
        before = _listing(self._folder)
        _reset_output(self._caught)
        self._canary.was_opened(), self._was_asked()  # those of the case before
        base_mb = _peak_mb(reset=True)
        allowed: list[Path] = []
        code: int | None = None
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                allowed, code = self._run(case.seed.target, entry, case.rng, self._tools)
            except NircolorError as error:
                outcome.status, outcome.detail = "refused", str(error)
            except Wrong as wrong:
                outcome.status, outcome.detail, outcome.text = wrong.kind, str(wrong), _trace(wrong)
            # the point of the run: no exception but NircolorError
            except BaseException as error:
                outcome.status, outcome.detail, outcome.text = "exception", _signature(error), _trace(error)
        outcome.seconds = round(time.perf_counter() - start, 4)
        if outcome.status in ("ok", "refused"):
            try:
                self._judge(outcome, given, before, allowed, code, _peak_mb() - base_mb)
            except Wrong as wrong:
                outcome.status, outcome.detail = wrong.kind, str(wrong)
        return outcome

    def _judge(
        self,
        outcome: Outcome,
        given: Sequence[warnings.WarningMessage],
        before: dict[str, tuple[int, int]],
        allowed: Sequence[Path],
        code: int | None,
        grown_mb: float,
    ) -> None:
        """Raise `Wrong` for the first fault beyond exceptions; set the status of a command."""
        foreign = [one for one in given if not type(one.message).__name__.startswith("Nircolor")]
        if foreign:
            where = f"{Path(foreign[0].filename).name}:{foreign[0].lineno}"
            raise Wrong("warning", f"{foreign[0].category.__name__} at {where}: {foreign[0].message}")
        for message in [outcome.detail, *(str(one.message) for one in given)]:
            _check_message(message)
        output = _output(self._caught)
        outcome.text = output
        if code is None and output:
            raise Wrong("output", f"printed {_general(output.splitlines()[0])}")
        if code is not None:
            _check_output(output, code)
            outcome.status = "ok" if code == 0 else "refused"
        after = _listing(self._folder)
        kept = [str(path.relative_to(self._folder)) for path in allowed] if outcome.status == "ok" else []
        left = [
            name
            for name in after.keys() - before.keys()
            if not any(name == path or name.startswith(f"{path}/") for path in kept) or "/." in f"/{name}"
            # an empty folder that the user named is no litter
            if after[name] != _FOLDER or "/." in f"/{name}"
        ]
        if left and not (code == 1 and not any("/." in f"/{name}" for name in left)):
            raise Wrong("litter", f"left behind: {_general(' '.join(sorted(left)))}")
        changed = [name for name in before if after.get(name) != before[name] and name not in kept]
        if changed and not any(name.startswith(f"{path}/") for path in kept for name in changed):
            raise Wrong("changed input", f"changed or removed: {' '.join(changed)}")
        if grown_mb > MOST_MB:
            raise Wrong("memory", f"grew by more than {MOST_MB} MB")
        if self._canary.was_opened():
            raise Wrong("opened", "opened a file outside the folder")
        if self._was_asked():
            raise Wrong("network", "made a network request")

    def _was_asked(self) -> bool:
        """Return whether a network request was made since the last call."""
        if self._server is None or not select.select([self._server], [], [], 0)[0]:
            return False
        self._server.accept()[0].close()
        return True


def _check_message(message: str) -> None:
    """Judge an error or warning; the command line escapes control characters when it prints them."""
    if "\n" in message:
        raise Wrong("message", f"line breaks in {_general(message)!r}")
    if len(message) > _LONGEST_MESSAGE:
        raise Wrong("message", f"{len(message) // 1000} thousand characters in {_general(message[:200])!r}")


def _check_output(output: str, code: int) -> None:
    """Judge what a command printed."""
    for sign in ("Traceback (most recent call last)", "a bug in nircolor", "Error: ", "Exception"):
        if sign in output and not (sign == "Error: " and "error: " in output):
            line = next(line for line in output.splitlines() if sign in line)
            raise Wrong("output", f"printed {_general(line)!r}")
    if set(output) & CONTROLS:
        raise Wrong("message", f"control characters in {_general(output[:300])!r}")
    if code == 2 and len(output.splitlines()) > 10:
        raise Wrong("output", f"{len(output.splitlines())} lines for an error")


def _signature(error: BaseException) -> str:
    """Return type, message and the innermost place inside nircolor."""
    places = [
        f"{frame.filename.rpartition('nircolor/')[2]}:{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/nircolor/" in frame.filename
    ]
    return f"{type(error).__name__} in {places[-1] if places else '?'}: {_general(str(error))}"


def _general(text: str) -> str:
    """Shorten a text and leave out numbers and paths, so that equal faults have equal texts."""
    text = re.sub(r"(/[^\s/]+)+/", "", text[:400])
    return re.sub(r"\d+(\.\d+)?", "N", text)[:160]


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]


# a folder's entry in a listing: its size and time change with its files
_FOLDER = (0, 0)


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of all entries below a folder; links are not followed."""
    found: dict[str, tuple[int, int]] = {}
    waiting = [folder]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            status = entry.stat(follow_symlinks=False)
            is_folder = entry.is_dir(follow_symlinks=False)
            found[str(Path(entry.path).relative_to(folder))] = (
                _FOLDER if is_folder else (status.st_size, status.st_mtime_ns)
            )
            if is_folder:
                waiting.append(Path(entry.path))
    return found


def _reset_output(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)


def _output(descriptor: int) -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, min(size, 200_000), 0).decode("utf-8", "replace") if size else ""


def _peak_mb(*, reset: bool = False) -> float:
    """Return the peak of the resident memory, or its current value after a reset of the peak."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class _FileWatch:
    """Tell whether a file was opened, by this or another process, with Linux's inotify."""

    def __init__(self, path: Path) -> None:
        self._path = path
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"{path} cannot be watched")

    def close(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    def was_opened(self) -> bool:
        try:
            return bool(os.read(self._descriptor, 4096))
        except BlockingIOError:
            return False


def _listen() -> socket.socket | None:
    """Listen at the address of `CANARY_URL`; None where another run does."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", int(CANARY_URL.rpartition(b":")[2].strip(b"/"))))
    except OSError:
        return None
    server.listen()
    return server


def _canary_image() -> bytes:
    """Return a file that GDAL opens: a TIFF of one pixel."""
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return b"II*\0" + struct.pack("<IIH", 12, 0, len(tags)) + entries + b"\0" * 4
