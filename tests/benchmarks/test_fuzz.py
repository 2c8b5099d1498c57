"""The fuzzing script, with planted faults that it must find, and unchanged seeds that must pass."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pytest

from nircolor.errors import NircolorError, NircolorWarning

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the script reads /proc and uses inotify"),
    pytest.mark.skipif(not BENCHMARKS.exists(), reason="a source distribution has no benchmarks"),
]


@pytest.fixture
def fuzzing(monkeypatch):
    # not the number of a worker of a run at the same time
    monkeypatch.setenv("NIRCOLOR_FUZZ_WORKER", "97")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzzing.cases
    import fuzzing.seeds
    import fuzzing.worker

    return fuzzing


@pytest.fixture
def judged(fuzzing, tmp_path):
    """Run a function in place of nircolor and return the outcome."""
    plain = fuzzing.cases.Seed("png", "gray", "image", "a.png", {"a.png": b"..."})

    def judge(run, seed=plain):
        case = fuzzing.cases.Case(seed, 7, seed.entry, dict(seed.files), Random(4))
        # pytest has replaced the streams; what a library prints goes to the descriptor
        saved = os.dup(2)
        with (tmp_path / "caught").open("w+b") as caught:
            os.dup2(caught.fileno(), 2)
            judge = fuzzing.worker.Judge(run, caught.fileno(), tmp_path, tmp_path)
            try:
                return judge.run(case)
            finally:
                judge.close()
                os.dup2(saved, 2)
                os.close(saved)

    return judge


def _raise(error):
    raise error


def _plant(name, content):
    return lambda path: (path.parent / name).write_bytes(content)


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [
        (lambda _: None, "ok", ""),
        (lambda _: warnings.warn(NircolorWarning("dark"), stacklevel=1), "ok", ""),
        (lambda _: _raise(NircolorError("a.png: no image")), "refused", "a.png: no image"),
        (lambda _: warnings.warn(NircolorWarning("a" * 5000), stacklevel=1), "message", "5 thousand"),
        (lambda _: _raise(ValueError("bad 12")), "exception", "ValueError in ?: bad N"),
        (lambda _: _raise(KeyboardInterrupt()), "exception", "KeyboardInterrupt"),
        (lambda _: np.float32(1e30) * np.float32([1e30]), "warning", "RuntimeWarning at test_fuzz"),
        (lambda _: os.write(2, b"libpng warning: x"), "output", "printed libpng warning"),
        (_plant("b.png", b"..."), "litter", "b.png"),
        (lambda path: (path.parent / ".nircolor-x").mkdir(), "litter", ".nircolor-x"),
        (_plant("a.png", b"changed"), "changed input", "a.png"),
        (lambda _: Path("/tmp/nircolor-fuzz-canary-97.tif").read_bytes(), "opened", "outside"),
    ],
)
def test_a_planted_fault_is_found(judged, fault, status, detail):
    def run(*arguments):
        fault(arguments[1])
        return [], None

    outcome = judged(run)
    assert (outcome.index, outcome.status) == (7, status), outcome
    assert detail in outcome.detail


def test_a_network_request_and_the_use_of_memory_are_found(fuzzing, judged, monkeypatch):
    import socket

    monkeypatch.setattr(fuzzing.worker, "MOST_MB", 50)
    assert judged(lambda *_: ([], bool(np.ones(20_000_000).sum()) or None)).status == "memory"

    def ask(*_):
        socket.create_connection(("127.0.0.1", 47897), timeout=1).close()
        return [], None

    assert judged(ask).status == "network"


def test_seeds_that_are_not_mutated_pass(fuzzing, judged, tmp_path):
    (tmp_path / "tiny.onnx").write_bytes(fuzzing.seeds.tiny_onnx())
    kinds = ["png", "jpeg", "tiff", "bmp", "pnm", "webp", "jp2", "npy", "sidecars", "envi", "captures"]
    for seed in fuzzing.seeds.make_seeds(kinds):
        outcome = judged(fuzzing.worker.run_target, seed)
        # CMYK is refused
        assert outcome.status == "ok" or "CMYK" in outcome.detail, (seed.name, outcome)


def test_cases_depend_on_seed_and_number_only(fuzzing):
    seeds = fuzzing.seeds.make_seeds(["png", "sidecars", "envi"])
    for index in range(30):
        first, again = (fuzzing.cases.make_case(seeds, 3, index) for _ in range(2))
        assert (first.files, first.specials, first.entry) == (again.files, again.specials, again.entry)
    other = [fuzzing.cases.make_case(seeds, 4, index).files for index in range(30)]
    assert other != [fuzzing.cases.make_case(seeds, 3, index).files for index in range(30)]


PLANTED = """
import os, time
from pathlib import Path

def run(target, path, rng, tools):
    if "warm-" not in str(path):
        with open("calls", "a+") as file:
            file.write("x")
            file.flush()
            number = file.tell()
        if number == 2:
            os.kill(os.getpid(), 11)
        if number in (3, 4):  # a hang counts if it happens again
            time.sleep(60)
    return [], None
"""


def test_crashes_and_hangs_are_found_and_the_run_goes_on(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    words = "-n 3 --kind npy --workers 1 --limit 0.3 --target planted:run -o results"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "fuzz.py", *words.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    results = json.loads((tmp_path / "results/fuzz.json").read_text())
    counts = results["kinds"]["npy"]
    assert [counts[status] for status in ("mutations", "ok", "crash", "hang")] == [3, 1, 1, 1]
    assert {(cause["detail"], *cause["first"]) for cause in results["failures"]} == {
        ("signal 11", 1),
        ("more than 0.3 s", 2),
    }
    assert "hang: more than 0.3 s" in (tmp_path / "fuzz-failures/0-2/failure.txt").read_text()
    assert (tmp_path / "fuzz-failures/0-1/a.npy").exists()
    assert "| npy | 3 | 1 | 0 | 1 | 1 | 0 | 0 |" in (tmp_path / "results/fuzz.md").read_text()
