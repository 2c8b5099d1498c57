"""Run pieces of a layer in parallel on a CPU, one per core.

PyTorch splits each operation among its threads, which synchronize after it and read each other's results from
another core's cache. Here one core runs all operations on a piece.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def on_cores(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """Call ``work`` for each piece, in as many threads as PyTorch may use.

    No gradient is recorded, and autocast is off. An exception of ``work`` is raised here.

    Args:
        work: Function of one piece; PyTorch uses one thread in each call.
        pieces: Arguments of the calls.

    Returns:
        The results, in the order of ``pieces``.

    Example:
        >>> on_cores(lambda piece: piece**2, [1, 2, 3])
        [1, 4, 9]
    """
    threads = torch.get_num_threads()
    inference = torch.is_inference_mode_enabled()

    def run_piece(piece: Piece) -> Result:
        # these settings are per thread
        with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", enabled=False):
            return work(piece)

    if threads == 1 or len(pieces) == 1:
        return [run_piece(piece) for piece in pieces]
    return list(_pool(threads).map(run_piece, pieces))


# one pool per calling thread, so that callers do not wait for each other; it ends with the thread
_thread_local = threading.local()


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of running threads, in each of which PyTorch uses one thread."""
    pools: dict[int, ThreadPoolExecutor] = _thread_local.__dict__.setdefault("pools", {})
    if threads not in pools:
        pools[threads] = pool = ThreadPoolExecutor(threads, "nircolor-cores", initializer=_use_one_thread)
        started = threading.Barrier(threads + 1)
        for _ in range(threads):
            pool.submit(started.wait)
        started.wait()
        # the number is per thread, but threads that start later take the last one that was set
        torch.set_num_threads(threads)
    return pools[threads]


def _use_one_thread() -> None:
    # PyTorch initializes a thread's number on the first query, which would overwrite a number set before
    torch.get_num_threads()
    torch.set_num_threads(1)


# a forked process inherits the pools without their threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _thread_local.__dict__.clear())
