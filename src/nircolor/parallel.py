"""Run jobs in parallel threads that stop promptly when the caller stops; the type of progress callbacks."""

import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeAlias, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

# Progress callback of every long-running function: the amount done so far and the total, in one unit (pixels,
# rows, pairs). It may be called from several threads, and may raise to stop the work.
Progress: TypeAlias = Callable[[float, float], None]


class Cancelled(BaseException):
    """Raised inside a job to stop it. A BaseException, so that no handler mistakes it for a failure."""


def in_parallel(
    jobs: Iterable[JobT], run: Callable[[JobT, Callable[[], None]], ResultT], parallel: int
) -> Generator[ResultT, None, None]:
    """Run jobs in threads and yield their results in order of completion.

    Closing the generator early (Ctrl-C) stops the running jobs the next time they check for it.

    Args:
        jobs: Jobs, in the order in which they are started. An iterator is consumed as threads become free.
        run: Called with a job and a function ``check_cancelled``, which the job should call regularly: it
            raises `Cancelled` once the generator is closed. Any other exception ends the iteration.
        parallel: Number of threads.

    Yields:
        What ``run`` returned.

    Examples:
        >>> sorted(in_parallel([1, 2, 3], lambda job, check_cancelled: job**2, parallel=2))
        [1, 4, 9]
    """
    closed = threading.Event()

    def check_cancelled() -> None:
        if closed.is_set():
            raise Cancelled

    with ThreadPoolExecutor(parallel) as pool:
        running: set[Future[ResultT]] = set()
        waiting = iter(jobs)
        try:
            while True:
                # submit only as many as there are threads: a folder may hold a million images
                running |= {
                    pool.submit(run, job, check_cancelled)
                    for _, job in zip(range(parallel - len(running)), waiting, strict=False)
                }
                if not running:
                    return
                # a wait without a timeout cannot be interrupted by Ctrl-C on Windows
                done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            closed.set()


def clear_traceback(error: BaseException | None) -> None:
    """Release the arrays that an error's traceback refers to, so that many failures fit in memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
