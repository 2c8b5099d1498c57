"""`on_cores`: order of results, exceptions, and settings of threads."""

import multiprocessing
import os
import threading

import pytest
import torch

from nircolor.models.graph.cores import on_cores


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


def test_callers_in_different_threads_do_not_wait_for_each_other():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    together = threading.Barrier(4, timeout=10)

    def call(_=None):
        on_cores(lambda _: together.wait(), range(2))

    other = threading.Thread(target=call)
    try:
        other.start()
        call()
        other.join(10)
        assert not other.is_alive()
    finally:
        torch.set_num_threads(before)


def test_results_come_in_order(threads):  # noqa: ARG001
    assert on_cores(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert on_cores(lambda n: n, []) == []


def test_as_many_pieces_run_at_once_as_there_are_threads(threads):
    together = threading.Barrier(threads, timeout=10)
    on_cores(lambda _: together.wait(), range(threads))


def test_pieces_use_one_thread_each_and_other_threads_keep_their_number(threads):
    if threads > 1:
        assert on_cores(lambda _: torch.get_num_threads(), range(2)) == [1, 1]

    def number_in_a_new_thread():
        seen = []
        new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        new.start()
        new.join()
        return seen[0]

    # while pieces run, and after
    assert on_cores(lambda _: number_in_a_new_thread(), range(4)) == [threads] * 4
    assert number_in_a_new_thread() == threads


def test_no_gradient_is_recorded_and_autocast_is_off(threads):  # noqa: ARG001
    weight = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        for product in on_cores(lambda n: weight @ weight * n, range(1, 3)):
            assert not product.requires_grad
            assert product.dtype == torch.float32


def test_inference_mode_reaches_the_pieces(threads):  # noqa: ARG001
    with torch.inference_mode():
        out = torch.zeros(3)
        # raises outside of inference mode
        on_cores(lambda n: out[n].add_(n), range(3))
    assert out.tolist() == [0, 1, 2]


def test_an_exception_is_raised_in_the_caller(threads):  # noqa: ARG001
    def fail_at_2(n):
        if n == 2:
            raise MemoryError("out of memory")

    with pytest.raises(MemoryError, match="out of memory"):
        on_cores(fail_at_2, range(4))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_starts_its_own_threads():
    """The threads of its parent are gone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert on_cores(lambda n: n, range(4)) == [0, 1, 2, 3]
        child = multiprocessing.get_context("fork").Process(target=on_cores, args=(abs, range(4)))
        child.start()
        child.join(20)
        assert child.exitcode == 0
    finally:
        child.kill()
        torch.set_num_threads(before)
