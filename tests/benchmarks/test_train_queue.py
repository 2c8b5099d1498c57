"""The training queue, with a stand-in for `nircolor train` that ends as a file in the run says."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_queue.py"

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the queue locks files the POSIX way"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="a source distribution has no benchmarks"),
]

# ends with the code in the run's file `code`, by default 0; a negative one is a signal
TRAIN = """
import os, sys, pathlib
folder = pathlib.Path(sys.argv[sys.argv.index("--trainer.default_root_dir") + 1])
print("arguments:", *sys.argv[1:], flush=True)
with open("order.txt", "a") as file:
    print(folder.name, os.environ["OMP_NUM_THREADS"], os.nice(0), file=file)
code = int((folder / "code").read_text()) if (folder / "code").exists() else 0
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@pytest.fixture
def queue(tmp_path):
    (tmp_path / "nircolor").mkdir()
    (tmp_path / "nircolor" / "__init__.py").touch()
    (tmp_path / "nircolor" / "__main__.py").write_text(TRAIN)
    (tmp_path / "queue.txt").write_text(
        "# the rows of a table\n\na  --config a.yaml\nb  --config 'b c.yaml' --seed_everything 1  # twice\n"
    )
    for name in "ab":
        (tmp_path / "runs" / name).mkdir(parents=True)

    def call(*options):
        return subprocess.run(
            [sys.executable, SCRIPT, "queue.txt", *options],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return tmp_path, call


def test_runs_are_trained_in_order_at_low_priority_and_once(queue):
    folder, call = queue
    assert call("--threads", "2").returncode == 0
    assert call().returncode == 0
    assert (folder / "order.txt").read_text().split() == ["a", "2", "19", "b", "2", "19"]
    log = (folder / "runs/b/log.txt").read_text()
    assert "arguments: train --config b c.yaml --seed_everything 1 --resume" in log
    assert call("--status").stdout.split("\n")[:2] == ["a: finished", "b: finished"]


def test_a_failed_run_does_not_stop_the_next_and_is_tried_again(queue):
    folder, call = queue
    (folder / "runs/a/code").write_text("2")
    done = call()
    assert done.returncode == 1
    assert "failed: a" in done.stdout
    assert not (folder / "runs/a/finished").exists()
    assert (folder / "runs/b/finished").exists()
    (folder / "runs/a/code").write_text("0")
    assert call().returncode == 0
    assert [line[0] for line in (folder / "order.txt").read_text().splitlines()] == ["a", "b", "a"]


def test_a_killed_run_is_continued_by_the_next_call(queue):
    folder, call = queue
    (folder / "runs/a/code").write_text("-9")
    done = call()
    assert done.returncode == 1
    assert "a: stopped; the next call continues it" in done.stderr
    assert not (folder / "runs/b/finished").exists()
    (folder / "runs/a/code").unlink()
    assert call().returncode == 0
    assert (folder / "runs/a/finished").exists()
    assert (folder / "runs/b/finished").exists()


def test_a_run_of_another_process_is_left_alone(queue):
    import fcntl

    folder, call = queue
    with (folder / "runs/a/lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert call().returncode == 0
    assert (folder / "order.txt").read_text().split()[0] == "b"
    assert not (folder / "runs/a/finished").exists()


def test_a_name_given_twice_is_refused(queue):
    folder, call = queue
    (folder / "queue.txt").write_text("a --config a.yaml\na --config b.yaml\n")
    done = call()
    assert done.returncode == 1
    assert "queue.txt: expected a different name for each run, got twice: a" in done.stderr
