"""Draw the images of README and docs: ``make figures``.

    python docs/scripts/figures.py [-o FOLDER]

`satellite.png` shows the Sentinel-2 patches that ship with the docs (notebooks/sentinel2), `scene.png` the
simulated landscape of ``nircolor demo``; `packages.png` is drawn from the import contract in pyproject.toml,
`colorize.png` from the list below, and `structure_aware_training.png` from the curves in
results/structure_aware-training.
"""

import argparse
import csv
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nircolor.app.demo import read_images
from nircolor.arrays import Floats
from nircolor.imagery import open_raster
from nircolor.inference import Colorizer

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
PATCHES = ("test_711", "test_3872", "test_614", "test_1962", "test_2791", "test_870")
NIR_NM, RGB_NM = (783, 842, 945), (665, 560, 490)
# reflectance that maps to 1.0 in colour, as in training; NIR is shown a little darker than it is
WHITE_RGB, WHITE_NIR = 0.3, 0.55

INK, PAPER = "#24292f", "#ffffff"
FILLS = {"base": "#d7efe9", "extra": "#fdebd0", "torch": "#f8d7da", "app": "#dbe6f7"}

NETWORKS = {
    "structure_aware": ("structure-aware", "#0f766e"),
    "unet": ("U-Net", "#b45309"),
    "sshape": ("S-shape", "#7c3aed"),
}

# package -> the extra that it needs, and its subject
PACKAGES = {
    "app": ("app", "command line, demo"),
    "simulation": ("base", "simulated captures"),
    "evaluation": ("extra", "protocol, baselines, reports"),
    "inference": ("base", "engines, tiling, Colorizer"),
    "training": ("torch", "data, tasks, export"),
    "models": ("torch", "one file per network"),
    "losses": ("torch", "training losses"),
    "pairs": ("extra", "paired data, leaks"),
    "metrics": ("extra", "PSNR, SSIM, …"),
    "modelfile": ("base", "model card, model files"),
    "spectral": ("extra", "captures to pairs"),
    "imagery": ("base", "files to arrays and back"),
    "weights": ("base", "shipped models"),
}
# box: column, row from the bottom, title, text; arrows between them
FLOW = {
    "input": (0, 2, "input file", "PNG, JPEG, TIFF,\nGeoTIFF, ENVI"),
    "raster": (1, 2, "open_raster", "size, bands, wavelengths,\nscale, masks, metadata"),
    "bands": (2, 2, "bands", "picked by the model card,\nscaled to [0, 1]"),
    "tiles": (3, 2, "tiles", "overlapping, sized by\nthe free memory"),
    "view": (2, 1, "context", "the whole image at 352²,\nfor models that take it"),
    "engine": (3, 0, "engine", "ONNX Runtime\nor PyTorch"),
    "blend": (2, 0, "strips", "tiles blended\nwhere they overlap"),
    "writer": (1, 0, "writer", "same place, size, depth;\nalpha, overviews"),
    "output": (0, 0, "output file", "renamed into place\nwhen complete"),
}
ARROWS = ("input raster", "raster bands", "bands tiles", "bands view", "tiles engine", "view engine")
ARROWS += ("engine blend", "blend writer", "writer output")


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=DOCS / "images")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    mpl.rcParams |= {"font.family": "DejaVu Sans", "savefig.facecolor": PAPER, "text.color": INK}
    for name, figure, dpi in (
        ("satellite", satellite(), 150),
        ("scene", scene(), 150),
        ("packages", packages(), 160),
        ("colorize", colorize(), 160),
        ("structure_aware_training", training(), 150),
    ):
        figure.savefig(folder / f"{name}.png", dpi=dpi, metadata={"Software": None})
        plt.close(figure)


def satellite() -> Figure:
    """NIR, colour by `satellite`, and truth of some test patches, in rows."""
    colorizer = Colorizer("satellite")
    columns = []
    for name in PATCHES:
        nir, rgb = (read_patch(DOCS / f"notebooks/sentinel2/{name}.tif", nm) for nm in (NIR_NM, RGB_NM))
        colour = colorizer.colorize(nir)
        gray = np.repeat(nir[1:2], 3, axis=0)
        columns.append((gray / WHITE_NIR, colour, rgb / WHITE_RGB))
    return grid(list(zip(*columns, strict=True)), ("near-infrared", "nircolor", "true colour"), cell=1.3)


def scene() -> Figure:
    """The simulated landscape of the demo: NIR, colour by `scene`, truth."""
    nir, rgb = read_images()
    images = (np.repeat(nir, 3, axis=0), Colorizer("scene").colorize(nir), rgb)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.35))
    for axis, image, title in zip(axes, images, ("near-infrared", "nircolor", "true colour"), strict=True):
        show(axis, image)
        axis.set_title(title, fontsize=9, color=INK)
    figure.subplots_adjust(left=0.003, right=0.997, bottom=0.01, top=0.9, wspace=0.02)
    return figure


def read_patch(path: Path, bands_nm: Sequence[float]) -> Floats:
    """Reflectance in bands of some wavelengths, (bands, height, width)."""
    with open_raster(path, scale=10000) as raster:
        bands = [raster.wavelengths_nm.index(nm) for nm in bands_nm]
        return raster.read(bands=bands)[0]


def grid(rows: Sequence[Sequence[Floats]], titles: Sequence[str], cell: float) -> Figure:
    """Rows of square images, each row with its title at the left."""
    figure, axes = plt.subplots(
        len(rows), len(rows[0]), figsize=(cell * len(rows[0]) + 0.3, cell * len(rows)), squeeze=False
    )
    for line, row, title in zip(axes, rows, titles, strict=True):
        for axis, image in zip(line, row, strict=True):
            show(axis, image)
        line[0].set_ylabel(title, fontsize=9, color=INK)
    figure.subplots_adjust(left=0.035, right=0.998, bottom=0.004, top=0.996, wspace=0.03, hspace=0.03)
    return figure


def show(axis: Axes, image: Floats) -> None:
    """An image (3, height, width) without ticks and frame."""
    axis.imshow(np.moveaxis(image.clip(0, 1), 0, -1), interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def packages() -> Figure:
    """Packages in layers: each may import those below it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in contracts["contracts"] if contract["type"] == "layers")
    rows = [[part.strip().removeprefix("nircolor.") for part in layer.split("|")] for layer in layers]
    rows = [known for row in rows if (known := [name for name in row if name in PACKAGES])]
    figure, axis = canvas(8, 0.62 * len(rows) + 0.75)
    for number, row in enumerate(rows):
        width = 7.6 / len(row)
        for column, name in enumerate(row):
            kind, subject = PACKAGES[name]
            box(
                axis,
                0.2 + column * width,
                0.62 * (len(rows) - number) + 0.05,
                width - 0.1,
                0.52,
                name,
                subject,
                kind,
            )
    legend = {
        "base": "base install",
        "extra": "needs an extra",
        "torch": "PyTorch (extra train)",
        "app": "entry points",
    }
    for column, (kind, text) in enumerate(legend.items()):
        axis.add_patch(
            FancyBboxPatch(
                (0.3 + 1.9 * column, 0.2), 0.2, 0.2, boxstyle="round,pad=0", fc=FILLS[kind], ec=INK, lw=0.6
            )
        )
        axis.text(0.6 + 1.9 * column, 0.3, text, va="center", fontsize=8)
    return figure


def colorize() -> Figure:
    """The way of an image from file to file."""
    width, height, across, up = 1.75, 0.72, 2.15, 1.0
    figure, axis = canvas(3 * across + width + 0.3, 2 * up + height + 0.3)
    corners = {name: (0.15 + at[0] * across, 0.15 + at[1] * up) for name, at in FLOW.items()}
    for name, (_, _, title, text) in FLOW.items():
        kind = "app" if name in ("input", "output") else "base"
        box(axis, *corners[name], width, height, title, text, kind)
    for arrow in ARROWS:
        (x0, y0), (x1, y1) = (corners[name] for name in arrow.split())
        if y0 == y1:
            start = (x0 + (width if x1 > x0 else 0), y0 + height / 2)
            end = (x1 + (0 if x1 > x0 else width), y1 + height / 2)
        else:
            start = (x0 + width / 2, y0) if x0 == x1 else (x0 + width, y0 + height / 2)
            end = (x1 + width / 2, y1 + height) if x0 == x1 else (x1 + width / 4, y1 + height)
        axis.annotate(
            "",
            end,
            start,
            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1, "shrinkA": 1, "shrinkB": 1},
        )
    return figure


def training() -> Figure:
    """Validation PSNR of the networks of the structure-aware paper against steps, means of the seeds."""
    values = defaultdict(list)
    with (ROOT / "results/structure_aware-training/curves.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values[row["row"].rpartition("-")[0], int(row["step"])].append(float(row["val_psnr_db"]))
    figure, axis = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    for bands, style in (("3bands", "-"), ("1band", "--")):
        for network, (title, color) in NETWORKS.items():
            key = f"{network}-{bands}"
            curve = sorted((step, np.mean(found)) for (name, step), found in values.items() if name == key)
            label = f"{title}, {'1 band' if bands == '1band' else '3 bands'}"
            axis.plot(*zip(*curve, strict=True), style, color=color, lw=1.4, label=label)
    axis.set(xlabel="steps of 32 patches", ylabel="validation PSNR, dB", ylim=(17, None))
    axis.legend(fontsize=8, frameon=False, ncols=2, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty drawing, one unit an inch."""
    figure = plt.figure(figsize=(width, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    axis.axis("off")
    return figure, axis


def box(
    axis: Axes, left: float, bottom: float, width: float, height: float, title: str, text: str, kind: str
) -> None:
    """A rounded box with a title and a line below it."""
    axis.add_patch(
        FancyBboxPatch(
            (left, bottom),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc=FILLS[kind],
            ec=INK,
            lw=0.8,
        )
    )
    middle, lines = left + width / 2, text.count("\n") + 1
    axis.text(
        middle,
        bottom + height / 2 + 0.075 * lines,
        title,
        ha="center",
        va="center",
        fontsize=9,
        weight="bold",
    )
    axis.text(middle, bottom + height / 2 - 0.1, text, ha="center", va="center", fontsize=7.5)


if __name__ == "__main__":
    main()
