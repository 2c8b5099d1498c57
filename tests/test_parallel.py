"""Tests of `in_parallel`: all jobs run, with bounded concurrency, and stop when the caller stops."""

import threading
import time

import pytest

from nircolor.parallel import in_parallel


@pytest.mark.parametrize("parallel", [1, 3])
def test_runs_every_job_with_bounded_concurrency(parallel):
    lock, working, most = threading.Lock(), 0, 0

    def run(job, _check_cancelled):
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.01)
        with lock:
            working -= 1
        return job * 10

    assert sorted(in_parallel(iter(range(8)), run, parallel)) == list(range(0, 80, 10))
    assert most == parallel


def test_closing_the_generator_stops_running_jobs():
    begun, steps = threading.Event(), []

    def run(job, check_cancelled):
        while job == "endless":
            begun.set()
            check_cancelled()
            steps.append(time.sleep(0.001))
        begun.wait(10)
        return job

    running = in_parallel(["short", "endless", "never begun"], run, 2)
    assert next(running) == "short"
    running.close()
    ended = len(steps)
    time.sleep(0.05)
    assert len(steps) == ended


def test_an_exception_in_a_job_ends_the_iteration():
    def run(job, _check_cancelled):
        raise ZeroDivisionError(job)

    with pytest.raises(ZeroDivisionError):
        list(in_parallel([1, 2], run, 2))
