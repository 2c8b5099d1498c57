"""The results of `nircolor colorize`, as lines or as JSON."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nircolor.app.terminal import describe
from nircolor.errors import NircolorError
from nircolor.texts import abbreviate, count_of

if TYPE_CHECKING:
    from nircolor.app.streams import Paths
    from nircolor.inference import Result


class Report:
    """The results of a run, as lines for the user.

    Args:
        model: Name of the model, as given.
        output: Output, as given.
        streams: Names of the files that stand for standard input and output.
        verbose: Print a line per image.
        quiet: Print errors only.
        as_json: Print the results as JSON.
        dry_run: Nothing is written.
    """

    def __init__(
        self,
        model: str,
        output: str,
        streams: "Paths",
        *,
        verbose: bool,
        quiet: bool,
        as_json: bool,
        dry_run: bool,
    ) -> None:
        self._model, self._verbose, self._quiet, self._as_json = model, verbose, quiet, as_json
        self._output = "standard output" if output == "-" else Path(output)
        self._streams, self._done = streams, "planned" if dry_run else "done"
        self._results: list[Result] = []

    def add(self, result: "Result") -> None:
        """Record a result; with ``--verbose``, print a line about it."""
        from nircolor.app.console import errors

        self._results.append(result)
        if self._verbose and result.error is None:
            line = self._streams.named(line_of(result, self._model))
            errors.print(f"{line}, {result.seconds:.1f} s")

    def conclude(self, work: str) -> None:
        """Print the results as JSON, the summary and the failures; raise the error of a single image."""
        from nircolor.app.console import NAMED, conclude, print_json

        if self._as_json:
            print_json([self._record(result) for result in self._results])
        failures = [(result.job.path, result.error) for result in self._results if result.error is not None]
        if failures and len(self._results) == 1:
            path, error = failures[0]
            raise NircolorError(describe(error, path)) from error
        done = [result.job for result in self._results if result.error is None and not result.skipped]
        clips = [job.clip for job in done if job.clip is not None]
        videos = sum(not clip.frames for clip in clips)
        frames = sum(len(clip.frames) for clip in clips)
        existing = sum(result.reason == "output exists" for result in self._results)
        counted = {"image": len(done) - len(clips) + frames, "video": videos}
        parts = [count_of(n, noun) for noun, n in counted.items() if n or (noun == "image" and not videos)]
        parts.append(work)
        if existing:
            parts.append(f"{existing} skipped")
        for kind in ("colour photograph", "colour video"):
            found = [str(result.job.path) for result in self._results if result.reason == kind]
            if found:
                parts.append(f"{count_of(len(found), kind)} skipped ({abbreviate(found, NAMED)})")
        conclude(f"{', '.join(parts)} -> {self._output}", failures, quiet=self._quiet)

    def _record(self, result: "Result") -> dict[str, Any]:
        """Return a result as plain data: the content of ``--json``, with the same keys for every result."""
        from nircolor.inference import FileSummary

        status = "failed" if result.error is not None else "skipped" if result.skipped else self._done
        error, confidence = None, result.job.confidence
        if result.error is not None:
            error = self._streams.named(describe(result.error, result.job.path))
        empty = dict.fromkeys(field.name for field in fields(FileSummary))
        return {
            "input": self._streams.argument(result.job.path),
            "output": self._streams.argument(result.job.output),
            "confidence": None if confidence is None else str(confidence),
            "status": status,
            "error": error,
            "reason": result.reason or None,
            "model": self._model,
            "seconds": round(result.seconds, 3),
            **(empty if result.summary is None else asdict(result.summary)),
        }


def line_of(result: "Result", model: str) -> str:
    """Describe a result in a line, such as ``a.tif -> out/a.tif: scene, band 1 (850 nm), …``."""
    if result.skipped:
        exists = result.reason == "output exists"
        reason = f"{result.job.output} exists" if exists else f"a {result.reason}"
        return f"{result.job.path}: skipped, {reason}"
    outputs = ", ".join(map(str, result.job.outputs))
    return f"{result.job.path} -> {outputs}: {model}, {result.summary}"
