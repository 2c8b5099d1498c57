"""Put `nircolor serve` under load: are requests lost or mixed up, does memory grow, is anything left?

    python benchmarks/serve_load.py -o benchmarks/results/serve_load

Writes serve_load.md and serve_load.json. Eight clients send fifty different images, three times; each result
is compared with that of the command line, byte for byte. Then the server is killed in the middle of its work
and started again.
"""

import argparse
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from speed import machine, page

from nircolor import Colorizer

BOUNDARY = "nircolor-load"
HEIGHT, WIDTH = 240, 320


def main() -> None:
    """Run the load and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--requests", type=int, default=50, help="images of a round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(Path(folder, "images"), arguments.requests)
        expected = colorized(images, Path(folder, "expected"))
        assert len(set(expected)) == len(expected)
        results: dict[str, Any] = {
            "command": shlex.join(["python", *sys.argv]),
            "machine": machine(),
            "versions": {p: version(p) for p in ("nircolor", "onnxruntime", "fastapi", "uvicorn")},
            "image": f"{WIDTH} × {HEIGHT} px, 16-bit TIFF",
            "requests": arguments.requests,
            "clients": arguments.clients,
            "rounds": [],
        }
        temporary = Path(folder, "temporary")
        temporary.mkdir()
        with serving(temporary) as (address, _):
            post(address, images[0])
            results["memory_mb_before"] = memory_mb(address)
            for _ in range(arguments.rounds):
                results["rounds"].append(one_round(address, images, expected, arguments.clients))
                print(results["rounds"][-1], file=sys.stderr, flush=True)
        results["left_after_stop"] = len(list(temporary.iterdir()))
        results |= killed(temporary, images)
    write(arguments.output, results)


def write_images(folder: Path, count: int) -> list[Path]:
    """Write different images: smooth shapes with noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / 100
    paths = []
    for number in range(count):
        a, b, c = random.uniform(0.5, 2, 3)
        values = 0.5 + 0.3 * np.sin(a * rows + number) * np.cos(b * columns * c)
        values += random.normal(0, 0.03, values.shape)
        path = folder / f"{number}.tif"
        profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 1, "dtype": "uint16"}
        with rasterio.open(path, "w", **profile) as file:
            file.write((values.clip(0, 1) * 65535).astype(np.uint16)[None])
        paths.append(path)
    return paths


def colorized(images: list[Path], folder: Path) -> list[bytes]:
    """Colorize the images without a server."""
    folder.mkdir()
    colorizer = Colorizer("scene")
    for path in images:
        colorizer.colorize_file(path, folder / path.name)
    return [(folder / path.name).read_bytes() for path in images]


@contextmanager
def serving(temporary: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run a server with a folder for temporary files; yield its address and process."""
    code = "from nircolor.__main__ import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found is not None
        yield found[0], process
    finally:
        process.terminate()
        process.wait(20)


def post(address: str, path: Path, *, to: str = "api/colorize") -> bytes:
    """Send an image and return the answer."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    ).encode()
    request = urllib.request.Request(
        address + to,
        head + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        content: bytes = answer.read()
    return content


def one_round(address: str, images: list[Path], expected: list[bytes], clients: int) -> dict[str, Any]:
    """Send all images from several clients at once."""
    seconds: list[float] = []
    outcomes: list[bool | None] = []

    def send(number: int) -> None:
        start = time.perf_counter()
        try:
            outcomes.append(post(address, images[number]) == expected[number])
        except OSError:
            outcomes.append(None)
        seconds.append(time.perf_counter() - start)

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(send, range(len(images))))
    total = time.perf_counter() - start
    return {
        "right": outcomes.count(True),
        "wrong": outcomes.count(False),
        "lost": outcomes.count(None),
        "seconds": round(total, 1),
        "median_s": round(statistics.median(seconds), 2),
        "slowest_s": round(max(seconds), 2),
        "memory_mb": memory_mb(address),
    }


def memory_mb(address: str) -> int:
    """Resident memory of the server."""
    with urllib.request.urlopen(address + "metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = re.search(r"^process_resident_memory_bytes (\d+)", text, re.MULTILINE)
    assert found is not None
    return round(int(found[1]) / 1e6)


def killed(temporary: Path, images: list[Path]) -> dict[str, int]:
    """Kill a server that holds images and works on one; start another, and look for what is left."""
    with serving(temporary) as (address, process):
        for path in images[:5]:
            key = json.loads(post(address, path, to="api/images"))["id"]
            start = urllib.request.Request(
                f"{address}api/images/{key}/run", b"{}", {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(start, timeout=20).close()
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    left = sum(path.is_file() for path in temporary.rglob("*"))
    with serving(temporary) as (address, _):
        # the folder of the new server
        after = len(list(temporary.iterdir())) - 1
        post(address, images[0])
    return {"files_left_by_kill": left, "folders_left_after_restart": after}


def write(folder: Path, results: dict[str, Any]) -> None:
    """Write the results as JSON and Markdown."""
    rounds = results["rounds"]
    rows = {
        "images": f"{results['requests']} a round, {results['image']}, from {results['clients']} clients",
        "results equal to those of the command line": " / ".join(str(one["right"]) for one in rounds),
        "wrong results": " / ".join(str(one["wrong"]) for one in rounds),
        "lost requests": " / ".join(str(one["lost"]) for one in rounds),
        "time of a round": " / ".join(f"{one['seconds']} s" for one in rounds),
        "median time of a request": " / ".join(f"{one['median_s']} s" for one in rounds),
        "memory before": f"{results['memory_mb_before']} MB",
        "memory after each round": " / ".join(f"{one['memory_mb']} MB" for one in rounds),
        "files left after a stop": str(results["left_after_stop"]),
        "files left by a killed server": str(results["files_left_by_kill"]),
        "of these after the next start": str(results["folders_left_after_restart"]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / "serve_load.json").write_text(content, "utf-8")
    text = page("`nircolor serve` under load", results, rows)
    (folder / "serve_load.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
