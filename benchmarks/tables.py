"""Write the tables of README.md and docs/ from the reports in results/ and benchmarks/results/.

    python benchmarks/tables.py            # `make tables`
    python benchmarks/tables.py --check    # exit code 1 where a page differs from the reports

A page marks the place of a table: ``<!-- table: NAME -->`` before it, ``<!-- end of table -->`` after it.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/results.md",
    "docs/evaluation.md",
    "docs/captures.md",
    "docs/performance.md",
    "docs/scaling.md",
    "docs/quality.md",
    "docs/field.md",
    "docs/models/satellite.md",
    "docs/models/scene.md",
    "docs/guides/colorize.md",
    "docs/guides/video.md",
    "results/leaks/README.md",
)

PSNR, SSIM, ANGLE, WHOLE, SHARP, COLOUR = (
    "psnr_db",
    "ssim",
    "angular_error_deg",
    "whole_image_rad",
    "gradient_energy_ratio",
    "colourfulness_ratio",
)
TITLES = {
    PSNR: "PSNR dB",
    SSIM: "SSIM",
    ANGLE: "angular error °",
    WHOLE: "whole image rad",
    SHARP: "sharpness",
    COLOUR: "colourfulness",
}
DIGITS = {PSNR: 2, SSIM: 3, ANGLE: 2, WHOLE: 3, SHARP: 2, COLOUR: 2}

# as printed: the NIR-GNN paper's Table I, the structure-aware paper's Table 1
PRINTED = {
    "CNN": "16.17 / .479 / – / .32",
    "NIR-GNN": "16.27 / .514 / – / .32",
    "U-Net, 1 band": "20.59 / .684 / 7.85",
    "S-shape, 1 band": "17.71 / .455 / 16.09",
    "structure-aware, 1 band": "21.79 / .741 / 6.71",
    "U-Net, 3 bands": "24.12 / .738 / 7.00",
    "S-shape, 3 bands": "22.21 / .666 / 9.55",
    "structure-aware, 3 bands": "24.60 / .777 / 6.67",
}

Report = dict[str, Any]


def main() -> None:
    """Write the tables, or compare them with the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = []
    for page in PAGES:
        path = ROOT / page
        old = path.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            stale.append(page)
            if not check:
                path.write_text(new, encoding="utf-8")
    if check and stale:
        sys.exit(f"{', '.join(stale)}: expected the tables of the reports in results/; run `make tables`")


def filled(page: str) -> str:
    """Return the page with every marked table replaced."""

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n\n{TABLES[found[2]]()}\n\n{found[3]}"

    return re.sub(r"(<!-- table: (\S+) -->)\n.*?(<!-- end of table -->)", table, page, flags=re.DOTALL)


def scene() -> str:
    """Format scores of the shipped model and the baselines: all images, and those not in training."""
    report = read("scene")
    subsets = report["summary"][:2]
    titles = [f"{TITLES[key]}, {len(one['images'])} images" for one in subsets for key in (PSNR, SSIM, ANGLE)]
    rows = [
        [f"**`{label}`**" if label == "scene" else label]
        + [value(one["methods"][label][key], key) for one in subsets for key in (PSNR, SSIM, ANGLE)]
        for label in subsets[0]["methods"]
    ]
    return markdown(["", *titles], rows)


def scores(
    name: str,
    keys: Sequence[str],
    subset: int = 0,
    printed: str | None = None,
    only: Sequence[str] | None = None,
) -> str:
    """Format the methods of a report with intervals; ``printed`` is the heading of the published scores."""
    summary = read(name)["summary"][subset]
    rows = [
        [label]
        + ([PRINTED.get(label, "")] if printed else [])
        + [f"{value(of[key], key)} ({interval(of[key], key)})" for key in keys]
        for label, of in summary["methods"].items()
        if only is None or label in only
    ]
    return markdown(["", *([printed] if printed else []), *(TITLES[key] for key in keys)], rows)


def differences(name: str, chosen: Sequence[tuple[str, str]], keys: Sequence[str], subset: int = 0) -> str:
    """Format paired differences with intervals, in bold if the interval excludes zero."""
    found = {
        (one["method"], one["other"]): one["differences"]
        for one in read(name)["summary"][subset]["comparisons"]
    }
    rows = []
    for one, other in chosen:
        # a report compares each method with those before it
        sign, known = (1, found[one, other]) if (one, other) in found else (-1, found[other, one])
        rows.append([f"{one} − {other}", *(difference(known[key], key, sign) for key in keys)])
    return markdown(["", *(TITLES[key] for key in keys)], rows)


def benchmark(name: str, which: int = 0) -> str:
    """Return a table from the page of a benchmark."""
    page = (ROOT / f"benchmarks/results/{name}/{name}.md").read_text(encoding="utf-8")
    return re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)[which].rstrip()


def quality(heading: str, kind: str, page: str = "quality") -> str:
    """Return a table of a page in results/scene: of a data set, with a given text in its head."""
    text = (ROOT / f"results/scene/{page}.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}")[1].split("## ")[0]
    tables: list[str] = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return next(table for table in tables if kind in table.splitlines()[0]).rstrip()


def leaks() -> str:
    """Format how many planted leaks are found, by kind of change: the lowest share of its strengths."""
    planted = json.loads((ROOT / "results/leaks/planted.json").read_text(encoding="utf-8"))["rows"]
    rows = []
    for title, start in LEAK_KINDS.items():
        found = [row for kind, row in planted.items() if kind.startswith(start)]
        shares = [min(row[key] for row in found) for key in ("found_percent", "as_same_photograph_percent")]
        rows.append([title, *(f"{share:g}%" for share in shares)])
    return markdown(["change", "found", "as the same photograph"], rows)


def leaks_in_full() -> str:
    """Format how many planted leaks are found, by kind and strength."""
    planted = json.loads((ROOT / "results/leaks/planted.json").read_text(encoding="utf-8"))["rows"]
    rows = [
        [kind, f"{row['found_percent']:g}%", f"{row['as_same_photograph_percent']:g}%"]
        for kind, row in planted.items()
    ]
    return markdown(["change", "found", "as the same photograph"], rows)


def read(name: str) -> Report:
    """Read a report under results/."""
    report: Report = json.loads((ROOT / f"results/{name}/report.json").read_text(encoding="utf-8"))
    return report


def value(total: dict[str, Any], key: str) -> str:
    """Format a mean or median."""
    return f"{float(total['value']):.{DIGITS[key]}f}"


def interval(total: dict[str, Any], key: str) -> str:
    """Format an interval: ``0.31 to 0.73``."""
    return " to ".join(f"{float(total[end]):.{DIGITS[key]}f}" for end in ("low", "high"))


def difference(found: dict[str, float], key: str, sign: int) -> str:
    """Format ``+0.52 (+0.31 to +0.73)``."""
    low, high = sorted(sign * found[end] for end in ("low", "high"))
    text = f"{sign * found['mean']:+.{DIGITS[key]}f} ({low:+.{DIGITS[key]}f} to {high:+.{DIGITS[key]}f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


VARIANTS = [
    (name, "structure-aware, 3 bands")
    for name in ("without equation (1)", "without equation (2)", "without dense blocks")
]
BANDS = [(f"{one}, 3 bands", f"{one}, 1 band") for one in ("U-Net", "S-shape", "structure-aware")]
NETWORKS = [
    (f"{one}, {bands}", f"{other}, {bands}")
    for bands in ("1 band", "3 bands")
    for one, other in (("structure-aware", "U-Net"), ("U-Net", "S-shape"))
]
SATELLITE = [
    ("satellite", "transfer matrix, 783/842/945 nm"),
    ("satellite", "satellite-1band"),
    ("satellite", "structure-aware, 3 bands"),
]
SATELLITE_SHORT = (
    "NIR copied, 783/842/945 nm",
    "linear ridge, 783/842/945 nm",
    "satellite",
    "satellite-1band",
)
QUALITY = {
    "oracles": ("VCIP 2020", "| known |"),
    "view": ("VCIP 2020", "side of the view"),
    "view-scene": ("RGB-NIR Scene", "side of the view"),
    "size": ("VCIP 2020", "pixels that the network"),
    "size-scene": ("RGB-NIR Scene", "pixels that the network"),
    "mirrored": ("VCIP 2020", "| result |"),
    "halos": ("RGB-NIR Scene", "chroma where"),
    "halos-first": ("RGB-NIR Scene", "chroma where", "quality-first-edition"),
    "noise": ("VCIP 2020", "deviation of the noise"),
    "noise-first": ("VCIP 2020", "deviation of the noise", "quality-first-edition"),
    "confidence": ("VCIP 2020", "bound below"),
    "confidence-scene": ("RGB-NIR Scene", "bound below"),
    "saturation": ("VCIP 2020", "--saturation"),
}
# start of the names of changes in benchmarks/leaks.py
LEAK_KINDS: dict[str, str | tuple[str, ...]] = {
    "rotated by 10°, 30° or 45°": "rotated",
    "scaled by 0.5 to 2": "scaled",
    "squashed, 1:3 to 3:1": "aspect",
    "cropped to 60%, 40% or 20% of the area": ("crop of 60%", "crop of 40%", "crop of 20%"),
    "mirrored, turned by 90°, 180° or 270°": ("mirrored", "turned"),
    "tone curves": ("gamma", "contrast", "s-curve"),
    "noise of 2%, 5% or 10%": "noise",
    "JPEG of quality 50, 20 or 10": "JPEG",
    "cropped to half, mirrored, squashed 2:3, brighter, noise, JPEG 50": "crop of 50%",
}
LEAKS = ("no leak", "8% of samples leaked", "30% of samples leaked")
TABLES: dict[str, Callable[[], str]] = {
    **{f"quality-{name}": partial(quality, *which) for name, which in QUALITY.items()},
    "scene": scene,
    "nirgnn": lambda: scores("nirgnn", (PSNR, SSIM, ANGLE, WHOLE, SHARP, COLOUR), printed="printed"),
    "nirgnn-differences": lambda: differences(
        "nirgnn", [("NIR-GNN", "CNN")], (PSNR, SSIM, ANGLE, WHOLE, SHARP)
    ),
    "structure_aware": lambda: scores(
        "structure_aware", (PSNR, SSIM, ANGLE, SHARP, COLOUR), printed="printed, other data"
    ),
    "structure_aware-differences": lambda: differences(
        "structure_aware", [*NETWORKS, *BANDS, *VARIANTS], (PSNR, SSIM, ANGLE, SHARP)
    ),
    "satellite": lambda: scores("satellite", (PSNR, SSIM, ANGLE, SHARP, COLOUR)),
    "satellite-short": lambda: scores("satellite", (PSNR, SSIM, ANGLE), only=SATELLITE_SHORT),
    "satellite-differences": lambda: differences("satellite", SATELLITE, (PSNR, SSIM, ANGLE, SHARP)),
    "captures": lambda: scores("captures", (PSNR, SSIM, ANGLE, COLOUR)),
    "captures-camera": lambda: scores("captures-camera", (PSNR, SSIM, ANGLE, COLOUR)),
    "field": lambda: scores("field", (PSNR, SSIM, ANGLE, WHOLE, SHARP, COLOUR)),
    "leak_gain": lambda: scores("leak_gain", (PSNR, SSIM, ANGLE, WHOLE), only=LEAKS),
    "leak_gain-differences": lambda: differences(
        "leak_gain", [(one, LEAKS[0]) for one in LEAKS[1:]], (PSNR, SSIM, ANGLE, WHOLE)
    ),
    "leaks": leaks,
    "leaks-in-full": leaks_in_full,
    "synthesize": lambda: benchmark("synthesize"),
    "speed": lambda: benchmark("speed"),
    "large_raster": lambda: benchmark("large_raster"),
    "cluster": lambda: benchmark("cluster"),
    "video": lambda: benchmark("video"),
    "video-rate": lambda: benchmark("video", 1),
    "graph_conv": lambda: benchmark("graph_conv", 1),
    "graph_conv-growth": lambda: benchmark("graph_conv", 2),
    "nirgnn-steps": lambda: benchmark("nirgnn_speed", 1),
    "nirgnn-parts": lambda: benchmark("nirgnn_speed", 2),
    "nirgnn-images": lambda: benchmark("nirgnn_speed", 3),
    "structure_aware-60m": lambda: differences("structure_aware-60m", BANDS, (PSNR, SSIM, ANGLE)),
}


if __name__ == "__main__":
    main()
