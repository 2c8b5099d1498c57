"""Feed mutated files to nircolor: images, sidecars, captures, models, recipes and tables.

    python benchmarks/fuzz.py -n 20000 -o benchmarks/results/fuzz
    python benchmarks/fuzz.py --only 1234          # one case again, with its traceback

Every case must end well or with a `NircolorError` of one line, within 5 s and 1 GB, without other warnings or
output, without leaving files behind, and without touching files or addresses that the input names. Anything
else is a failure: its files are saved into `fuzz-failures/`, and it can be run again by its number.

A case depends on --seed and its number only (and on the versions of GDAL and NumPy that write the seeds).
Cases run in worker processes, which are restarted after a crash or a hang. Linux only.
"""

import argparse
import json
import os
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rasterio
from fuzzing.cases import make_case
from fuzzing.seed import Seed
from fuzzing.seeds import make_seeds
from fuzzing.worker import MOST_MB, Outcome, work

START_S = 120.0
_GOOD = ("ok", "refused")
_BAD = (
    "crash", "hang", "litter", "exception", "warning", "output", "message", "values", "memory", "opened",
    "network", "changed input", "exit code",
)  # fmt: skip
_SAVED_PER_CAUSE, _REPORT_S = 3, 30


def main() -> None:
    """Run the cases, save the failures and write the report; exit code 1 if there are failures."""
    arguments = _arguments()
    if arguments.worker:
        first, step, end = arguments.worker
        work(arguments.seed, range(first, end, step), arguments.kind, arguments.target, arguments.scratch)
        return
    first, count = (arguments.only, 1) if arguments.only is not None else (arguments.first, arguments.number)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="nircolor-fuzz-", dir=_memory_folder()) as scratch:
        run = Run(arguments.seed, arguments.kind, arguments.target, arguments.limit, Path(scratch))
        outcomes = run.all(first, first + count, arguments.workers)
    failures = [outcome for outcome in outcomes if outcome.status not in _GOOD]
    if failures:
        _save(failures, make_seeds(arguments.kind), arguments.seed, arguments.failures)
        print(f"failures are in {arguments.failures}")
    if arguments.only is not None:
        (outcome,) = outcomes
        print(f"{outcome.kind}, {outcome.status}: {outcome.detail}\n{outcome.text}")
        sys.exit(1 if failures else 0)
    of_kind: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        of_kind[outcome.kind].append(outcome)
    packages = ("nircolor", "numpy", "onnxruntime", "rasterio", "safetensors", "torch")
    results = {
        "command": shlex.join(["python", *sys.argv]),
        "commit": _commit(),
        "versions": {package: version(package) for package in packages} | {"GDAL": rasterio.__gdal_version__},
        "seed": arguments.seed,
        "limit_s": arguments.limit,
        "seconds": round(time.perf_counter() - start, 1),
        "kinds": {kind: _counts(found) for kind, found in sorted(of_kind.items())}
        | {"all": _counts(outcomes)},
        "failures": _grouped(failures),
    }
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        (arguments.output / "fuzz.json").write_text(text, encoding="utf-8")
        (arguments.output / "fuzz.md").write_text(report(results), encoding="utf-8")
    print(report(results))
    sys.exit(1 if failures else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--number", type=int, default=20_000, help="number of mutations")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", type=int, metavar="N", help="run one case and print its traceback")
    parser.add_argument("--seed", type=int, default=0, help="of the run")
    parser.add_argument(
        "--kind", action="append", default=[], help="kind of file, such as tiff; default: all"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--limit", type=float, default=5.0, metavar="S", help="seconds after which a case hangs"
    )
    parser.add_argument("-o", "--output", type=Path, help="folder for the results")
    parser.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="folder for failed cases"
    )
    parser.add_argument(
        "--target", metavar="MODULE:FUNCTION", help="run this instead of nircolor, to test the script"
    )
    # used by this script for its worker processes: first case, step, end
    parser.add_argument("--worker", type=int, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


class Run:
    """Workers that run the cases of one seed.

    Args:
        seed: Seed of the run.
        kinds: Kinds of seeds to use; all where it is empty.
        target: `module:function` to run instead of nircolor, or None.
        limit_s: Time after which a case hangs.
        scratch: Folder for the files of the cases.
    """

    def __init__(
        self, seed: int, kinds: Sequence[str], target: str | None, limit_s: float, scratch: Path
    ) -> None:
        self._seed, self._kinds, self._target, self._limit_s, self._scratch = (
            seed,
            kinds,
            target,
            limit_s,
            scratch,
        )
        self._outcomes: list[Outcome] = []

    def all(self, first: int, end: int, workers: int) -> list[Outcome]:
        """Run cases `first` to `end - 1` in parallel and return their outcomes by number."""
        workers = max(1, min(workers, end - first))
        with ThreadPoolExecutor(workers) as pool:
            running = {pool.submit(self._share, first + i, workers, end) for i in range(workers)}
            while running:
                done, running = wait(running, timeout=_REPORT_S)
                bad = sum(outcome.status not in _GOOD for outcome in self._outcomes)
                print(f"{len(self._outcomes)} of {end - first} cases, {bad} failures", flush=True)
                for future in done:
                    future.result()
        return sorted(self._outcomes, key=lambda outcome: outcome.index)

    def _share(self, first: int, step: int, end: int) -> None:
        """Run every `step`-th case; a hang, which a busy machine can cause, counts if it happens again."""
        number = first % step
        for outcome in self._outcomes_of(first, step, end, number):
            if outcome.status == "hang":
                outcome = next(self._outcomes_of(outcome.index, 1, outcome.index + 1, number + step))
            if outcome.status not in _GOOD:
                print(f"case {outcome.index}, {outcome.status}: {outcome.detail}", flush=True)
            self._outcomes.append(outcome)

    def _outcomes_of(self, first: int, step: int, end: int, number: int) -> Iterator[Outcome]:
        """Yield the outcomes of workers, of which a new one follows each that crashes or hangs."""
        while first < end:
            for outcome in self._worker(first, step, end, number):
                yield outcome
                first = outcome.index + step

    def _worker(self, first: int, step: int, end: int, number: int) -> Iterator[Outcome]:
        """Yield the outcomes of one worker process until it ends; the last one may be a crash or a hang."""
        command = [sys.executable, __file__, "--seed", str(self._seed), "--scratch", str(self._scratch)]
        command += [word for kind in self._kinds for word in ("--kind", kind)]
        command += ["--target", self._target] if self._target else []
        command += ["--worker", str(first), str(step), str(end)]
        index = first
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"NIRCOLOR_FUZZ_WORKER": f"{number:02}"},
            )
            assert process.stdout is not None
            try:
                lines = _lines(process, self._limit_s)
                if next(lines, None) is None:
                    errors.seek(0)
                    raise RuntimeError(f"a worker did not start: {errors.read().decode()[-3000:]}")
                for line in lines:
                    content = json.loads(line)
                    if "error" in content:
                        raise RuntimeError(content["error"])
                    yield Outcome(**content)
                    index += step
                if index < end:
                    yield Outcome(index, "", "crash", f"signal {-process.wait()}")
            except TimeoutError:
                yield Outcome(index, "", "hang", f"more than {self._limit_s:g} s", self._limit_s)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()


def _lines(process: "subprocess.Popen[bytes]", limit_s: float) -> Iterator[bytes]:
    """Yield the lines that a worker prints, the first of which may take longer.

    Raises:
        TimeoutError: A line took more time of the processor than the limit, or four times as long in all: the
            machine may be busy.
    """
    assert process.stdout is not None
    descriptor, pending, first = process.stdout.fileno(), b"", True
    while True:
        start, start_cpu = time.monotonic(), _cpu_s(process.pid)
        while not select.select([descriptor], [], [], 0.5)[0]:
            waited, used = time.monotonic() - start, _cpu_s(process.pid) - start_cpu
            if waited > START_S or (not first and (waited > 4 * limit_s or used > limit_s)):
                raise TimeoutError
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return
        *lines, pending = (pending + piece).split(b"\n")
        first &= not lines
        yield from lines


def _cpu_s(pid: int) -> float:
    """Return the time of the processor that a process has used, in seconds; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _save(failures: Sequence[Outcome], seeds: Sequence[Seed], run_seed: int, folder: Path) -> None:
    """Write the files of failed cases, the first few of each cause, with a report beside them."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for outcome in failures:
        case = make_case(seeds, run_seed, outcome.index)
        outcome.kind = case.seed.kind
        cause = (outcome.kind, outcome.status, outcome.detail)
        seen[cause] += 1
        if seen[cause] > _SAVED_PER_CAUSE:
            continue
        place = folder / f"{run_seed}-{outcome.index}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        case.write(place)
        lines = [
            f"{outcome.status}: {outcome.detail}",
            f"open {case.entry!r}",
            *case.mutations,
            "",
            outcome.text,
        ]
        (place / "failure.txt").write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")


def _grouped(failures: Sequence[Outcome]) -> list[dict[str, Any]]:
    """List the causes of failures, the most frequent first, with the first cases of each."""
    causes: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in failures:
        causes[outcome.status, outcome.detail].append(outcome)
    return [
        {
            "status": status,
            "detail": detail,
            "kinds": sorted({outcome.kind for outcome in outcomes}),
            "cases": len(outcomes),
            "first": [outcome.index for outcome in outcomes[:5]],
        }
        for (status, detail), outcomes in sorted(causes.items(), key=lambda item: -len(item[1]))
    ]


def _counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count the outcomes of one kind of file by status."""
    statuses = Counter(outcome.status for outcome in outcomes)
    return {
        "mutations": len(outcomes),
        **{status: statuses[status] for status in (*_GOOD, *_BAD)},
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "slowest_s": max((outcome.seconds for outcome in outcomes), default=0),
        "slowest": max(outcomes, key=lambda outcome: outcome.seconds).index if outcomes else None,
    }


def report(results: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    shown = ("mutations", *_GOOD, "crash", "hang", "litter", "other", "seconds")
    lines = [
        "# Mutated files",
        "",
        f"`{results['command']}` on commit {results['commit']}; {versions}",
        "",
        f"| kind | {' | '.join(shown)} |",
        f"|---|{'---:|' * len(shown)}",
    ]
    for kind, counts in results["kinds"].items():
        others = sum(counts[status] for status in _BAD if status not in ("crash", "hang", "litter"))
        row = [f"{(counts | {'other': others})[name]:,}" for name in shown]
        lines.append(f"| {kind} | {' | '.join(row)} |")
    lines += [
        "",
        "ok: read and, for a part, colorized; refused: an error of one line; crash: the process ended; hang: "
        f"more than {results['limit_s']:g} s; other: another exception or warning, output of a library, more "
        f"than {MOST_MB} MB, a file opened or an address asked that the input names. The slowest case took "
        f"{results['kinds']['all']['slowest_s']:.1f} s (number {results['kinds']['all']['slowest']}).",
        "",
    ]
    if results["failures"]:
        lines += ["| failure | kinds | cases | first |", "|---|---|---:|---|"]
        for cause in results["failures"]:
            detail = f"{cause['status']}: {cause['detail']}".replace("|", "\\|").replace("\n", " ")
            cases = ", ".join(map(str, cause["first"]))
            lines.append(f"| {detail} | {', '.join(cause['kinds'])} | {cause['cases']} | {cases} |")
        lines.append("")
    return "\n".join(lines)


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _memory_folder() -> str | None:
    """Return a folder in memory where there is one: a run writes and removes many files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    main()
