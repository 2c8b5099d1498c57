"""Files to colorize on a cluster, and what became of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nircolor.errors import NircolorError
from nircolor.imagery import is_image, output_path_for
from nircolor.inference.cluster.storage import MANIFEST, Storage, is_address
from nircolor.inference.planning import OutputFormat, plan, two_inputs


@dataclass(frozen=True)
class Task:
    """A file to colorize.

    Attributes:
        input: Path or address.
        output: Path or address of the result.
        bytes: Length of the input.
        beside: Addresses of files that belong to it, such as the data of an ENVI header.
        problem: Why it cannot be colorized; empty for most.
    """

    input: str
    output: str
    bytes: int
    beside: tuple[str, ...] = ()
    problem: str = ""


# status of a file after which no other one can be written
DISK_FULL = "disk full"


@dataclass(frozen=True)
class Outcome:
    """What became of a file: a line of the manifest.

    Attributes:
        input, output, bytes: As of the `Task`.
        status: "done", "skipped" or "failed".
        error: Message of the error.
        seconds: Time from the start of its work to the end, copies included.
        warnings: Problems that did not stop the work.
    """

    input: str
    output: str
    bytes: int
    status: str
    error: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


def plan_tasks(
    inputs: Sequence[str],
    output: str,
    *,
    recursive: bool = False,
    suffix: str = "",
    output_format: OutputFormat | None = None,
    confidence: bool = False,
) -> list[Task]:
    """Find the images of files, folders and addresses, and the output of each.

    Raises:
        NircolorError: Nothing is found, or an address cannot be listed.
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
            output_format=output_format, confidence=confidence,
        ):  # fmt: skip
            target = str(job.output.absolute())
            if is_address(output):
                target = f"{output.rstrip('/')}/{job.output.relative_to('outputs').as_posix()}"
            size = job.path.stat().st_size if job.path.exists() else 0
            tasks.append(Task(str(job.path.absolute()), target, size, problem=job.problem))
    by_output: dict[str, list[str]] = {}
    for task in tasks:
        by_output.setdefault(task.output, []).append(task.input)
    problems = {
        output: f"{' and '.join(names)} -> {output}: {two_inputs(map(Path, names), output_format)}"
        for output, names in by_output.items()
        if len(names) > 1
    }
    return [replace(task, problem=problems.get(task.output, task.problem)) for task in tasks]


def _remote_tasks(
    given: str, output: str, recursive: bool, suffix: str, output_format: OutputFormat | None
) -> Iterator[Task]:
    storage = Storage(given)
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
