"""Train a list of runs one after the other at low priority, and continue where an earlier call was stopped.

    python benchmarks/train_queue.py recipes/queue.txt
    python benchmarks/train_queue.py recipes/queue.txt --status

Each line of the list is a run's name and its arguments for `nircolor train`; `#` starts a comment:

    nirgnn-f33-seed0   --config recipes/nirgnn-f33.yaml --seed_everything 0

A run is stored in `runs/NAME`, its output in `runs/NAME/log.txt`. It saves a checkpoint every 10 minutes and
continues from it after Ctrl-C, a kill or a reboot. A finished run gets the file `runs/NAME/finished` and is
skipped from then on. A run that fails is reported and the next one begins; a later call tries it again.
Start the command once for each CPU core that you can spare: several processes share one list (the process
that trains a run locks it), and one thread per run is the most efficient use of a core.
"""

import argparse
import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_NICENESS = 19
_CHECKPOINT_INTERVAL = "0:10:00"
_LOG_TAIL_LINES = 3


class Run(NamedTuple):
    """One line of the list."""

    name: str
    arguments: list[str]


def main() -> int:
    """Train every unfinished run; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("queue", type=Path, help="list of runs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a run")
    parser.add_argument("--status", action="store_true", help="print the state of each run and exit")
    arguments = parser.parse_args()
    runs = read_queue(arguments.queue)
    if arguments.status:
        print("\n".join(f"{run.name}: {status(arguments.runs / run.name)}" for run in runs))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = []
    for run in runs:
        folder = arguments.runs / run.name
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder) as acquired:
            if acquired and not (folder / "finished").exists() and not train(run, folder, arguments.threads):
                failed.append(run.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def read_queue(path: Path) -> list[Run]:
    """Read the list of runs; a name given twice is an error."""
    lines = [shlex.split(line, comments=True) for line in path.read_text(encoding="utf-8").splitlines()]
    runs = [Run(words[0], words[1:]) for words in lines if words]
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SystemExit(f"{path}: expected a different name for each run, got twice: {', '.join(twice)}")
    return runs


def train(run: Run, folder: Path, threads: int) -> bool:
    """Train one run to its end; return False if it failed. Ctrl-C ends the run and this process."""
    print(f"{run.name}: {status(folder)}, training", flush=True)
    command = [sys.executable, "-m", "nircolor", "train", *run.arguments, "--resume"]
    command += ["--trainer.default_root_dir", str(folder)]
    command += ["--checkpoint.train_time_interval", _CHECKPOINT_INTERVAL]
    count = str(threads)
    limits = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "NUMBA_NUM_THREADS": count}
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        # in its own session, so that `yield_cpu` concerns this run alone
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | limits, start_new_session=True
        )
        yield_cpu(process.pid)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise SystemExit(130) from None
    if code == 0:
        (folder / "finished").touch()
    elif code < 0 or code == 130:
        # the user stopped this run, and does not expect the next one to start
        raise SystemExit(f"{run.name}: stopped; the next call continues it")
    print(f"{run.name}: {status(folder)}", flush=True)
    return code == 0


def yield_cpu(pid: int) -> None:
    """Give a session leader and its threads the lowest priority.

    Where Linux groups processes by session (autogroup), niceness counts only within a group, so the
    group needs it too.
    """
    os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(_NICENESS))


def status(folder: Path) -> str:
    """Return the state of a run in one line."""
    if (folder / "finished").exists():
        return "finished"
    log = folder / "log.txt"
    if not log.exists():
        return "not started"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " | ".join(lines[-_LOG_TAIL_LINES:]) or "started"


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Lock a run's folder; the value is False if another process trains the run."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


if __name__ == "__main__":
    sys.exit(main())
