"""Figures of the server in the text format of Prometheus."""

from pathlib import Path

from nircolor.app.web.store import Store
from nircolor.app.web.work import Queue


def metrics(store: Store, queue: Queue) -> str:
    """Return the figures, one per line after its description."""
    figures = [
        ("images_held", "gauge", "Images on the server.", {"": float(len(store))}),
        ("queue_length", "gauge", "Images that wait.", {"": float(len(queue))}),
        ("images_running", "gauge", "Images that are being colorized.", {"": float(len(queue.running))}),
        (
            "images_finished_total",
            "counter",
            "Images by how they ended.",
            {
                f'{{state="{state}"}}': float(queue.finished[state])
                for state in ("done", "failed", "cancelled")
            },
        ),
        ("pixels_total", "counter", "Pixels colorized.", {"": float(queue.pixels)}),
        ("work_seconds_total", "counter", "Time spent on images.", {"": queue.seconds}),
        ("uploaded_bytes_total", "counter", "Bytes uploaded.", {"": float(store.uploaded)}),
    ]
    lines = []
    for name, kind, text, values in figures:
        lines += [f"# HELP nircolor_{name} {text}", f"# TYPE nircolor_{name} {kind}"]
        lines += [f"nircolor_{name}{labels} {value:.15g}" for labels, value in values.items()]
    resident = _resident_bytes()
    if resident is not None:
        lines += [
            "# HELP process_resident_memory_bytes Resident memory.",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {resident}",
        ]
    return "\n".join(lines) + "\n"


def _resident_bytes() -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return None
