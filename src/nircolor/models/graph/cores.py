"""Pieces of a layer side by side on a CPU, a core each.

PyTorch splits every operation among its threads, which meet after each and pass what they made from cache to
cache. Here a core takes a piece from its first operation to its last.
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
    """Do ``work`` for each piece, as many at once as PyTorch may use threads; results in the pieces' order.

    No gradient is recorded, and autocast is off. What ``work`` raises is raised here.
    """
    threads = torch.get_num_threads()
    inference = torch.is_inference_mode_enabled()

    def alone(piece: Piece) -> Result:
        # each belongs to a thread
        with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", enabled=False):
            return work(piece)

    if threads == 1 or len(pieces) == 1:
        return [alone(piece) for piece in pieces]
    return list(_pool(threads).map(alone, pieces))


# of each thread that calls, so that callers do not wait for each other; it ends with its thread
_own = threading.local()


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that PyTorch leaves alone, all of them begun."""
    pools: dict[int, ThreadPoolExecutor] = _own.__dict__.setdefault("pools", {})
    if threads not in pools:
        pools[threads] = pool = ThreadPoolExecutor(threads, "nircolor-cores", initializer=_take_one_thread)
        begun = threading.Barrier(threads + 1)
        for _ in range(threads):
            pool.submit(begun.wait)
        begun.wait()
        # a thread's number is its own, but threads that begin later start from the last that was set
        torch.set_num_threads(threads)
    return pools[threads]


def _take_one_thread() -> None:
    # to ask makes PyTorch give this thread a number, which it would do later and undo what is set
    torch.get_num_threads()
    torch.set_num_threads(1)


# a forked process has the pools, and not their threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _own.__dict__.clear())
