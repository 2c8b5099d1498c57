"""Give the files of a run to the workers of a cluster."""

import atexit
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nircolor.errors import DiskFullError, NircolorError, first_line
from nircolor.extras import require
from nircolor.inference.cluster.storage import Manifest
from nircolor.inference.cluster.tasks import DISK_FULL, Outcome, Task
from nircolor.inference.cluster.worker import Large, LargeWriter, Settings, Worker
from nircolor.modelfile import read_card
from nircolor.weights import find_model, shipped_models

# how often work is done again whose process dies, as one that needs too much memory
_RETRIES = 2
# files that wait at each worker, so that none is idle between two
_QUEUED = 2
# rasters from this size on are colorized by several workers: it takes about a minute on one core
SPLIT_PX = 64_000_000
_CLOSE_SECONDS = 10


class ClusterGoneError(NircolorError):
    """The cluster does not answer any more. Ray may crash this process when Python ends."""


def colorize_on_cluster(
    tasks: Sequence[Task],
    output: str,
    *,
    address: str = "auto",
    model: str = "scene",
    tile_px: int | None = None,
    workers: int | None = None,
    split_px: int | None = SPLIT_PX,
    skip_existing: bool = False,
    options: dict[str, Any] | None = None,
) -> Generator[Outcome, None, None]:
    """Colorize files on a cluster of Ray and yield what became of each, in order of completion.

    Args:
        tasks: As from `plan_tasks`.
        output: Output folder or address, where the manifest is written.
        address: Address of a cluster; "auto" for that of the environment variable RAY_ADDRESS, or else for
            one on this machine, which ends with the run.
        model: Name of a shipped model, or path of a model file on all machines.
        tile_px: Side of the tiles.
        workers: Number of workers; by default one per CPU of the cluster.
        split_px: Rasters of at least this many pixels are colorized by several workers; None for never.
        skip_existing: Leave out files that the manifest has as done, and those whose output exists.
        options: For `Colorizer.colorize_file`.

    Raises:
        NircolorError: The cluster cannot be reached or is gone, or the output may not be written to.
        DiskFullError: No more outputs can be written to a folder.
    """
    require("ray", extra="cluster", what="--cluster")
    # no usage data to the makers of Ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.exceptions import RayError

    read_card(find_model(model))
    if model not in shipped_models():
        # workers have working folders of their own
        model = str(Path(model).absolute())
    manifest = Manifest(output)
    if skip_existing:
        finished = manifest.finished()
        for task in [task for task in tasks if (task.input, task.bytes) in finished]:
            yield Outcome(task.input, task.output, task.bytes, "skipped")
        tasks = [task for task in tasks if (task.input, task.bytes) not in finished]
    for task in tasks:
        if task.problem:
            outcome = Outcome(task.input, task.output, task.bytes, "failed", task.problem)
            manifest.add(asdict(outcome))
            yield outcome
    tasks = [task for task in tasks if not task.problem]
    if not tasks:
        manifest.flush()
        return
    is_own = not ray.is_initialized()
    if is_own:
        _connect(address)
    run, is_gone, is_full = None, False, False
    try:
        cpus = int(ray.cluster_resources().get("CPU", 1))
        count = max(1, min(workers or cpus, cpus))
        split_px = split_px if count > 1 else None
        settings = Settings(model, tile_px, options or {}, skip_existing, split_px, time.time())
        run = _Run(tasks, settings, count)
        for outcome in run.outcomes():
            if outcome.status == DISK_FULL:
                is_full = True
                raise DiskFullError(outcome.error)
            manifest.add(asdict(outcome))
            yield outcome
    except (RayError, OSError) as error:
        is_gone = True
        raise ClusterGoneError(
            f"--cluster {address}: the cluster is gone ({first_line(error)[:200]}); run the command again "
            "with --skip-existing to continue"
        ) from error
    finally:
        with suppress(NircolorError) if is_full else nullcontext():
            manifest.flush()
        # calls to a cluster that is gone take a minute, after which Ray ends this process
        if is_gone:
            atexit.unregister(ray.shutdown)
        else:
            if run is not None:
                run.close()
            if is_own:
                ray.shutdown()


def _connect(address: str) -> None:
    """Connect to a cluster, or start one on this machine."""
    import ray

    starts = address == "auto" and "RAY_ADDRESS" not in os.environ
    try:
        ray.init(
            address=None if address == "auto" else address,
            log_to_driver=False,
            logging_level="CRITICAL",
            **({"include_dashboard": False} if starts else {}),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        if _is_unauthenticated(error):
            raise NircolorError(
                f"--cluster {address}: the cluster of Ray there expects a token; set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN to that of the cluster"
            ) from error
        raise NircolorError(
            f"--cluster {address}: no cluster of Ray there ({first_line(error)[:200]}); start one with `ray "
            "start --head`, or take --cluster auto"
        ) from error


def _check_reachable() -> None:
    """Raise `ConnectionError` where the head of the cluster does not answer.

    Ray itself waits for a minute, and then ends this process without a message.
    """
    import ray

    # not for the client of Ray (ray://), which raises an error itself
    address = getattr(ray.get_runtime_context(), "gcs_address", None)
    if address and ":" in address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=20):
            pass


def _is_unauthenticated(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is about Ray's token; Ray wraps it in others as text."""
    return error is not None and (
        "auth" in type(error).__name__.lower()
        or "InvalidAuthToken" in str(error)
        or _is_unauthenticated(error.__cause__ or error.__context__)
    )


@dataclass
class _Splitting:
    """A large raster in work.

    Attributes:
        large: The raster.
        writer: The actor that joins its rows.
        sent: Number of rows of tiles that were given to workers.
        strips: Those that are finished and wait for the ones before them.
        added: Number of rows that the writer has written.
        attempts: How often the work was started.
        is_ended: Whether the raster is finished, or has failed.
    """

    large: Large
    writer: Any
    sent: int = 0
    strips: dict[int, Any] = field(default_factory=dict)
    added: int = 0
    attempts: int = 1
    is_ended: bool = False


class _Run:
    """The workers of a run, and what each of them does."""

    def __init__(self, tasks: Sequence[Task], settings: Settings, count: int) -> None:
        import ray

        self._settings = settings
        self._waiting = iter(tasks)
        worker = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(Worker)
        self._workers = [worker.remote(settings) for _ in range(count)]
        # takes no CPU: it waits for the workers most of the time
        self._writer = ray.remote(num_cpus=0, max_restarts=0)(LargeWriter)
        self._busy: Counter[int] = Counter()
        self._splittings: deque[_Splitting] = deque()
        # reference -> worker, file or raster, and number of a row; a worker of -1 is the writer of the raster
        self._running: dict[Any, tuple[int, Task | _Splitting, int]] = {}

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Give work to the workers until all is done, and yield what became of each file."""
        import ray

        self._fill()
        while self._running:
            # not fetched to this machine: rows of large rasters go from worker to writer
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=5, fetch_local=False)
            if not ready:
                _check_reachable()
            for reference in ready:
                outcome = self._receive(reference, *self._running.pop(reference))
                self._fill()
                if outcome is not None:
                    yield outcome

    def close(self) -> None:
        """Let the processes remove what they have not finished, as far as they still answer."""
        import ray

        # those that are in the middle of something are not waited for
        idle = [worker.close.remote() for i, worker in enumerate(self._workers) if not self._busy[i]]
        unfinished = [one.writer.discard.remote() for one in self._splittings if not one.is_ended]
        with suppress(Exception):
            ray.wait([*idle, *unfinished], num_returns=len(idle) + len(unfinished), timeout=_CLOSE_SECONDS)
        for actor in (*self._workers, *(one.writer for one in self._splittings)):
            with suppress(Exception):
                ray.kill(actor)

    def _fill(self) -> None:
        """Give work to all workers that have little."""
        for depth in range(_QUEUED):
            for i, worker in enumerate(self._workers):
                if self._busy[i] != depth:
                    continue
                splitting = self._next_splitting()
                if splitting is not None:
                    # rows take long: one that waits at a busy worker would come late
                    if depth == 0:
                        index = splitting.sent
                        splitting.sent += 1
                        self._running[worker.strip.remote(splitting.large, index)] = i, splitting, index
                        self._busy[i] += 1
                elif (task := next(self._waiting, None)) is not None:
                    self._running[worker.run.remote(task)] = i, task, 0
                    self._busy[i] += 1

    def _next_splitting(self) -> _Splitting | None:
        """Return the first raster with a row to give out: rows that wait for the writer take memory."""
        for one in self._splittings:
            if one.sent < one.large.strips and one.sent < one.added + 2 * len(self._workers):
                return one
        return None

    def _receive(self, reference: Any, i: int, work: Task | _Splitting, index: int) -> Outcome | None:
        """Take the result of a call."""
        import ray
        from ray.exceptions import RayError

        if i >= 0:
            self._busy[i] -= 1
        if isinstance(work, _Splitting) and i >= 0:
            if not work.is_ended:
                work.strips[index] = reference
                self._add(work)
            return None
        try:
            result = ray.get(reference)
        except RayError:
            _check_reachable()
            if not any(node["Alive"] for node in ray.nodes()):
                raise
            return self._died(work)
        if isinstance(work, Task):
            if isinstance(result, Large):
                self._splittings.append(_Splitting(result, self._writer.remote(self._settings, result)))
                return None
            return result
        if work.is_ended:
            return None
        work.added += 1
        self._add(work)
        if result is not None:
            self._end(work)
        return result

    def _add(self, splitting: _Splitting) -> None:
        """Give rows to the writer, in order."""
        index = splitting.added
        if index in splitting.strips:
            strip = splitting.strips.pop(index)
            self._running[splitting.writer.add.remote(index, strip)] = -1, splitting, index

    def _died(self, work: Task | _Splitting) -> Outcome | None:
        """Start the work of a dead process again, or give up."""
        task = work.large.task if isinstance(work, _Splitting) else work
        if isinstance(work, _Splitting):
            if work.is_ended:
                return None
            self._end(work)
            if work.attempts <= _RETRIES:
                again = _Splitting(work.large, self._writer.remote(self._settings, work.large))
                again.attempts = work.attempts + 1
                self._splittings.append(again)
                return None
        message = f"{task.input}: its worker died {_RETRIES + 1} times (out of memory?)"
        return Outcome(task.input, task.output, task.bytes, "failed", message)

    def _end(self, splitting: _Splitting) -> None:
        import ray

        splitting.is_ended = True
        splitting.strips.clear()
        self._splittings.remove(splitting)
        ray.kill(splitting.writer)
