"""Jobs side by side: all are done, few at a time, and none goes on when nobody waits for it."""

import threading
import time

import pytest

from nircolor.parallel import in_parallel


@pytest.mark.parametrize("parallel", [1, 3])
def test_all_are_done_and_no_more_at_once_than_asked(parallel):
    lock, working, most = threading.Lock(), 0, 0

    def run(job, _go_on):
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


def test_whoever_leaves_ends_what_is_at_work():
    begun, steps = threading.Event(), []

    def run(job, go_on):
        while job == "endless":
            begun.set()
            go_on()
            steps.append(time.sleep(0.001))
        begun.wait(10)
        return job

    running = in_parallel(["short", "endless", "never begun"], run, 2)
    assert next(running) == "short"
    running.close()
    ended = len(steps)
    time.sleep(0.05)
    assert len(steps) == ended


def test_a_job_that_raises_ends_the_whole():
    def run(job, _go_on):
        raise ZeroDivisionError(job)

    with pytest.raises(ZeroDivisionError):
        list(in_parallel([1, 2], run, 2))
