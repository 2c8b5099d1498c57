"""Jobs side by side in threads, ended within a step when whoever waits for them leaves."""

import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Cancelled(BaseException):
    """Raised inside a job to end it; a BaseException so that nothing takes it for a failure."""


def in_parallel(
    jobs: Iterable[Job], run: Callable[[Job, Callable[[], None]], Result], parallel: int
) -> Generator[Result, None, None]:
    """Run jobs, ``parallel`` at once, and yield what each returns as it ends.

    Args:
        jobs: in the order in which they are begun.
        run: does one; it is given the job and a function to call now and then, which raises `Cancelled`
            once the generator was left early (Ctrl-C). What it raises otherwise ends the whole.
        parallel: threads.
    """
    left = threading.Event()

    def go_on() -> None:
        if left.is_set():
            raise Cancelled

    with ThreadPoolExecutor(parallel) as pool:
        running: set[Future[Result]] = set()
        todo = iter(jobs)
        try:
            while True:
                # few at a time: a folder may hold a million images
                running |= {
                    pool.submit(run, job, go_on)
                    for _, job in zip(range(parallel - len(running)), todo, strict=False)
                }
                if not running:
                    return
                # on Windows a wait without end does not hear Ctrl-C
                done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            left.set()


def let_go(error: BaseException | None) -> None:
    """Drop the arrays that an error's traceback holds: a thousand damaged files must fit in memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
