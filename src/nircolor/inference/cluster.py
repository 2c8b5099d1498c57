"""Colorize many files on a cluster of Ray: one model per worker, files from folders or object storage.

Addresses such as ``s3://bucket/folder`` are read and written by fsspec, and only here: a worker copies a file
to its own disk, colorizes it as any local file, and copies the result to its place, where it appears
complete. GDAL opens no address itself. A killed worker is started again, and its file is colorized again.
"""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nircolor.errors import ColourPhotographError, NircolorError, OutputExistsError
from nircolor.extras import require
from nircolor.imagery import is_image, output_path_for
from nircolor.inference.colorizer import Colorizer
from nircolor.inference.planning import OutputFormat, plan
from nircolor.modelfile import read_card
from nircolor.weights import find_model

# how often a file is tried whose worker dies, as one that needs too much memory
_RETRIES = 2
# files that wait at each worker, so that none is idle between two
_QUEUED = 2
# the manifest is written after this many files or seconds
_RECORDS, _SECONDS = 1000, 5.0
MANIFEST = "nircolor-manifest"


@dataclass(frozen=True)
class Task:
    """A file to colorize.

    Attributes:
        input: Path or address.
        output: Path or address of the result.
        bytes: Length of the input.
        beside: Addresses of files that belong to it, such as the data of an ENVI header.
    """

    input: str
    output: str
    bytes: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a file: a line of the manifest.

    Attributes:
        input, output, bytes: As of the `Task`.
        status: "done", "skipped" or "failed".
        error: Message of the error.
        seconds: Time that the worker took, copies included.
    """

    input: str
    output: str
    bytes: int
    status: str
    error: str = ""
    seconds: float = 0.0


def is_address(text: str) -> bool:
    """Whether a text is an address of object storage, such as ``s3://bucket/folder``."""
    return "://" in text


class _Storage:
    """A file system, local or remote, with errors as `NircolorError`."""

    def __init__(self, root: str) -> None:
        import fsspec

        self._root = root
        try:
            self.fs, self.path = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as error:
            raise NircolorError(f"{root}: cannot be opened ({error})") from error

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the file system."""
        try:
            return getattr(self.fs, name)(*arguments, **options)
        except FileNotFoundError as error:
            raise NircolorError(f"{self._root}: no such file, folder or bucket") from error
        except PermissionError as error:
            raise NircolorError(
                f"{self._root}: access denied ({_first_line(error)}); check the credentials and the "
                "rights of this account"
            ) from error
        # fsspec's file systems raise errors of their own libraries
        except Exception as error:
            raise NircolorError(f"{self._root}: cannot be reached ({_first_line(error)})") from error

    def address(self, path: str) -> str:
        """Return the full address of a path that the file system lists."""
        return str(self.fs.unstrip_protocol(path)) if is_address(self._root) else path


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def plan_tasks(
    inputs: Sequence[str],
    output: str,
    *,
    recursive: bool = False,
    suffix: str = "",
    output_format: OutputFormat | None = None,
) -> list[Task]:
    """Find the images of files, folders and addresses, and the output of each.

    Raises:
        NircolorError: Nothing is found, an address cannot be listed, or outputs are the same file.
    """
    tasks: list[Task] = []
    for given in inputs:
        if is_address(given):
            tasks += _remote_tasks(given, output, recursive, suffix, output_format)
            continue
        # planned as for a local folder, which stands for an address
        root = "\0" if is_address(output) else output
        for job in plan(
            [given], root.replace("\0", "outputs/"), recursive=recursive, suffix=suffix,
            output_format=output_format,
        ):  # fmt: skip
            target = str(job.output.absolute())
            if is_address(output):
                target = f"{output.rstrip('/')}/{job.output.relative_to('outputs').as_posix()}"
            size = job.path.stat().st_size if job.path.exists() else 0
            tasks.append(Task(str(job.path.absolute()), target, size))
    outputs = [task.output for task in tasks]
    if len(set(outputs)) < len(outputs):
        twice = next(one for one in outputs if outputs.count(one) > 1)
        raise NircolorError(f"{twice}: two inputs would be written to it; colorize them into different ones")
    return tasks


def _remote_tasks(
    given: str, output: str, recursive: bool, suffix: str, output_format: OutputFormat | None
) -> Iterator[Task]:
    storage = _Storage(given)
    listed = storage.call("find", storage.path, maxdepth=None if recursive else 1, detail=True)
    if not listed and not storage.call("exists", storage.path):
        raise NircolorError(f"{given}: no such file, folder or bucket")
    root = Path("/" + storage.path.strip("/"))
    files = {name: details for name, details in listed.items() if details["type"] == "file"}
    if set(files) == {storage.path}:
        root = root.parent
    by_stem: dict[str, list[str]] = {}
    for name in files:
        by_stem.setdefault(name.rpartition(".")[0], []).append(name)
    count = 0
    for name, details in sorted(files.items()):
        path = Path("/" + name)
        is_header = path.suffix.lower() == ".hdr"
        beside = [one for one in by_stem[name.rpartition(".")[0]] if one != name]
        if not (is_image(path) or (is_header and beside)) or MANIFEST in path.parts:
            continue
        count += 1
        below = output_path_for(path, "/outputs/", root=root)
        extension = f".{output_format}" if output_format else below.suffix
        below = below.with_name(f"{below.stem}{suffix}{extension}").relative_to("/outputs")
        target = f"{output.rstrip('/')}/{below.as_posix()}"
        yield Task(
            storage.address(name),
            target if is_address(output) else str(Path(target).absolute()),
            int(details["size"]),
            tuple(storage.address(one) for one in beside),
        )
    if not count:
        hint = "" if recursive else " (--recursive looks into its folders)"
        raise NircolorError(f"{given}: expected images, found none{hint}")


class Manifest:
    """Record of the finished files, in parts ``OUTPUT/nircolor-manifest/….jsonl``, to continue from."""

    def __init__(self, output: str) -> None:
        self._storage = _Storage(output)
        self._folder = f"{self._storage.path.rstrip('/')}/{MANIFEST}"
        self._run, self._part, self._lines = uuid.uuid4().hex[:8], 0, [""]
        self._written = time.monotonic()
        # fails before any work where the output may not be written to
        self.flush()

    def finished(self) -> set[tuple[str, int]]:
        """Return input and length of the files that earlier runs finished."""
        found = set()
        for path in self._storage.call("find", self._folder):
            for line in self._storage.call("cat_file", path).decode().splitlines():
                with suppress(ValueError, KeyError):
                    record = json.loads(line)
                    if record["status"] == "done":
                        found.add((record["input"], record["bytes"]))
        return found

    def add(self, outcome: Outcome) -> None:
        """Record a file."""
        self._lines.append(json.dumps(asdict(outcome)))
        if len(self._lines) >= _RECORDS or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was recorded."""
        if self._lines:
            path = f"{self._folder}/{self._run}-{self._part:06}.jsonl"
            self._storage.call("makedirs", self._folder, exist_ok=True)
            self._storage.call("pipe_file", path, "\n".join([*self._lines, ""]).encode())
            self._part, self._lines, self._written = self._part + 1, [], time.monotonic()


class Worker:
    """A process with a loaded model; an actor of Ray."""

    def __init__(self, model: str, tile_px: int | None, options: dict[str, Any], skip_existing: bool) -> None:
        # each worker computes on one core
        self._colorizer = Colorizer(model, tile_px=tile_px, jobs=os.cpu_count() or 1)
        self._options, self._skip_existing = options, skip_existing

    def run(self, task: Task) -> Outcome:
        """Colorize a file."""
        start = time.perf_counter()
        status, message = "done", ""
        try:
            status = self._run(task)
        except ColourPhotographError:
            status = "skipped"
        # a bug that one file triggers must not stop the others
        except Exception as error:
            status, message = "failed", _first_line(error)
        return Outcome(
            task.input, task.output, task.bytes, status, message, round(time.perf_counter() - start, 3)
        )

    def _run(self, task: Task) -> str:
        is_remote = is_address(task.output)
        exists = (
            _Storage(task.output).call("exists", task.output) if is_remote else Path(task.output).exists()
        )
        if exists and self._skip_existing:
            return "skipped"
        if exists and is_remote and not self._options.get("overwrite"):
            raise OutputExistsError(f"{task.output}: exists already; it is replaced only with --overwrite")
        with tempfile.TemporaryDirectory(prefix="nircolor-") as folder:
            path, output = Path(task.input), Path(task.output)
            if is_address(task.input):
                path = Path(folder, "in", task.input.rpartition("/")[2])
                path.parent.mkdir()
                for address in (task.input, *task.beside):
                    storage = _Storage(address)
                    storage.call("get_file", storage.path, str(path.with_name(address.rpartition("/")[2])))
            if is_remote:
                output = Path(folder, "out", task.output.rpartition("/")[2])
            try:
                self._colorizer.colorize_file(path, output, **self._options)
            except NircolorError as error:
                text = str(error).replace(str(path), task.input).replace(str(output), task.output)
                raise NircolorError(text) from error
            if is_remote:
                storage = _Storage(task.output)
                storage.call("put_file", str(output), storage.path)
        return "done"


def colorize_on_cluster(
    tasks: Sequence[Task],
    output: str,
    *,
    address: str = "auto",
    model: str = "scene",
    tile_px: int | None = None,
    workers: int | None = None,
    skip_existing: bool = False,
    options: dict[str, Any] | None = None,
) -> Generator[Outcome, None, None]:
    """Colorize files on a cluster of Ray and yield what became of each, in order of completion.

    Args:
        tasks: As from `plan_tasks`.
        output: Output folder or address, where the manifest is written.
        address: Address of a cluster; "auto" for that of the environment variable RAY_ADDRESS, or else for
            one on this machine, which ends with the run.
        model: Name of a shipped model, or path of a model file on all machines.
        tile_px: Side of the tiles.
        workers: Number of workers; by default one per CPU of the cluster.
        skip_existing: Leave out files that the manifest has as done, and those whose output exists.
        options: For `Colorizer.colorize_file`.

    Raises:
        NircolorError: The cluster cannot be reached or is gone, or the output may not be written to.
    """
    require("ray", extra="cluster", what="--cluster")
    # no usage data to the makers of Ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.exceptions import RayActorError, RayError

    read_card(find_model(model))
    manifest = Manifest(output)
    if skip_existing:
        finished = manifest.finished()
        for task in [task for task in tasks if (task.input, task.bytes) in finished]:
            yield Outcome(task.input, task.output, task.bytes, "skipped")
        tasks = [task for task in tasks if (task.input, task.bytes) not in finished]
    if not tasks:
        return
    is_own = not ray.is_initialized()
    try:
        if is_own:
            ray.init(
                address=None if address == "auto" else address,
                log_to_driver=False,
                logging_level="CRITICAL",
                **(
                    {"include_dashboard": False}
                    if address == "auto" and "RAY_ADDRESS" not in os.environ
                    else {}
                ),
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NircolorError(
            f"--cluster {address}: no cluster of Ray there ({_first_line(error)}); start one with `ray start "
            "--head`, or take --cluster auto"
        ) from error
    try:
        cpus = int(ray.cluster_resources().get("CPU", 1))
        count = max(1, min(workers or cpus, cpus, len(tasks)))
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(Worker)
        actors = [remote.remote(model, tile_px, options or {}, skip_existing) for _ in range(count)]
        waiting = iter(tasks)
        running: dict[Any, tuple[Any, Task]] = {}

        def submit(actor: Any) -> None:
            task = next(waiting, None)
            if task is not None:
                running[actor.run.remote(task)] = actor, task

        for _ in range(_QUEUED):
            for actor in actors:
                submit(actor)
        while running:
            ready, _ = ray.wait(list(running), num_returns=1, timeout=10)
            for reference in ready:
                actor, task = running.pop(reference)
                try:
                    outcome = ray.get(reference)
                except RayActorError:
                    if not any(node["Alive"] for node in ray.nodes()):
                        raise
                    message = f"{task.input}: its worker died {_RETRIES + 1} times (out of memory?)"
                    outcome = Outcome(task.input, task.output, task.bytes, "failed", message)
                manifest.add(outcome)
                submit(actor)
                yield outcome
    except (RayError, ConnectionError) as error:
        raise NircolorError(
            f"--cluster {address}: the cluster is gone ({_first_line(error)}); run the command again with "
            "--skip-existing to continue"
        ) from error
    finally:
        manifest.flush()
        if is_own:
            ray.shutdown()
