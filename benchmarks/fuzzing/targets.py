"""What is run on a mutated input, as a user's program and the command line do it."""

import inspect
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from nircolor.errors import NircolorError

# larger images are read in part only
_WHOLE_PX = 2_000_000
# characters that move the cursor, start escape sequences or turn text around, apart from a line's end
CONTROLS = {*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e"} - {"\n"}


_OPTIONS = (
    (),
    (),
    (),
    ("--bands", "850"),
    ("--bands", "nir=1"),
    ("--scale", "10000"),
    ("--scale", "0.0001", "--offset", "-0.1"),
    ("--nodata", "0"),
    ("--stretch", "1,99"),
    ("--reflectance",),
    ("--max-pixels", "100"),
)


class Wrong(Exception):  # noqa: N818 - a finding, not an error of this program
    """A result that is wrong without an exception: `kind` is the row of the report."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


# files and folders that a run may leave behind, and the exit code where it was a command
Ran = tuple[list[Path], int | None]


def run_target(target: str, path: Path, rng: Random, tools: Path) -> Ran:
    """Run nircolor on an input.

    Args:
        target: Kind of input, of `seeds.Target`.
        path: The file to open.
        rng: Chooses options and the way in which the input is used.
        tools: Folder with a model and an image that are not mutated.

    Returns:
        Files and folders that the run may leave behind, and the exit code where it was a command.

    Raises:
        Wrong: A result is wrong.
        NircolorError: The input is refused.
    """
    return _TARGETS[target](path, rng, tools)


def _image(path: Path, rng: Random, tools: Path) -> Ran:
    from nircolor.imagery import image_size, open_raster

    output = path.parent / "out" / f"b{rng.choice(('.png', '.tif', '.jpg'))}"
    chance = rng.random()
    if chance < 0.012:  # the command line takes ten times as long
        return [], _command("info", path, *rng.choice((("--json",), ("--bands", "nir=1"), (), ())))
    model = ("--model", tools / "tiny.onnx")
    if chance < 0.03:
        return [output], _command("colorize", path, "-o", output, *model, *rng.choice(_OPTIONS))
    if chance < 0.045:
        folder = path.parent / "out"
        words = rng.choice(((), ("--skip-colour",), ("--format", "png"), ("--dry-run",)))
        return [folder], _command("colorize", path.parent, "-o", folder, "--recursive", *model, *words)
    size = image_size(path)
    options = _reading(rng)
    with open_raster(path, **options) as raster:
        height, width = raster.height, raster.width
        if (height, width) != size:
            raise Wrong("values", f"image_size says {size}, open_raster {(height, width)}")
        row0, col0 = rng.randrange(height), rng.randrange(width)
        row1, col1 = min(height, row0 + rng.choice((1, 8, 64))), min(width, col0 + rng.choice((1, 8, 64)))
        bands = rng.sample(range(raster.bands), min(raster.bands, rng.choice((1, 2, 4))))
        _check_values(*raster.read((row0, row1, col0, col1), bands), (len(bands), row1 - row0, col1 - col0))
        if height * width * raster.bands <= _WHOLE_PX:
            shape = (rng.randrange(1, 40), rng.randrange(1, 40))
            _check_values(*raster.read(out_shape=shape), (raster.bands, *shape))
        small = height * width <= _WHOLE_PX
    if small and chance > 0.8:
        from nircolor.inference.reading import Reading

        reading = Reading(
            **{name: options[name] for name in inspect.signature(Reading).parameters if name in options}
        )
        _tiny_model(tools).colorize_file(path, output, reading=reading)
        if image_size(output) != size:
            raise Wrong("values", f"an output of {image_size(output)} for an input of {size}")
        return [output], None
    return [], None


def _check_values(values: Any, valid: Any, shape: tuple[int, ...]) -> None:
    if (
        values.shape != shape
        or valid.shape != shape[1:]
        or values.dtype != np.float32
        or valid.dtype != np.bool_
    ):
        raise Wrong(
            "values", f"{values.shape} {values.dtype} and {valid.shape} {valid.dtype} instead of {shape}"
        )
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise Wrong("values", "values that are not in [0, 1]")


def _reading(rng: Random) -> dict[str, Any]:
    """Choose options of `open_raster`, mostly none."""
    from nircolor.imagery import open_raster

    if rng.random() < 0.8:
        return {}
    choices: dict[str, tuple[Any, ...]] = {
        "bands_nm": ([850.0], [660.0, 850.0], [660.0, 560.0, 480.0, 842.0]),
        "scale": (1.0, 255.0, 10_000.0, 1e-30, 1e30),
        "offset": (0.0, -0.1, 1e30),
        "reflectance": (True, False),
        "stretch": ((1.0, 99.0), (0.0, 100.0)),
        "nodata": (0.0, -9999.0, 1e300),
        "max_pixels": (100, 10**9),
        "encoding": ("gamma", "reflectance"),
        "refuse_colour": (True,),
    }
    known = [name for name in choices if name in inspect.signature(open_raster).parameters]
    name = rng.choice(known)
    return {name: rng.choice(choices[name])}


def _model(path: Path, rng: Random, tools: Path) -> Ran:
    from nircolor import Colorizer
    from nircolor.modelfile import read_card

    chance = rng.random()
    if chance < 0.05:
        return [], _command("info", path)
    if chance < 0.08:
        output = path.parent / "b.png"
        return [output], _command("colorize", tools / "gray.png", "-o", output, "--model", path)
    card = read_card(path)
    if len(card.bands) > 16:
        raise NircolorError("more bands than this target gives")
    rgb = Colorizer(path).colorize(np.full((len(card.bands), 9, 13), 0.5, np.float32))
    if rgb.shape != (3, 9, 13) or rgb.dtype != np.float32:
        raise Wrong("values", f"colours {rgb.shape} {rgb.dtype}")
    return [], None


def _recipe(path: Path, rng: Random, tools: Path) -> Ran:  # noqa: ARG001
    from nircolor.pairs import open_set
    from nircolor.pairs.recipe import read_recipe

    before = Path.cwd()
    # the paths in a recipe are relative to the working directory
    os.chdir(path.parent)
    try:
        read_recipe(path)
        open_set(path, rng.choice(("evaluated", "training")), split=rng.choice((None, None, "test", "train")))
    finally:
        os.chdir(before)
    return [], None


def _set(path: Path, rng: Random, tools: Path) -> Ran:  # noqa: ARG001
    from nircolor.pairs import Folders, open_set
    from nircolor.pairs.splits import split_pairs

    if rng.random() < 0.3:
        open_set(path.parent, "training", table=path)
        return [], None
    dataset = rng.choice((None, None, "vcip"))
    pairs = Folders(
        path.parent / "nir", path.parent / "rgb", table=path, dataset=dataset, drop_flagged=rng.random() < 0.5
    ).pairs()
    split_pairs(pairs, 0.5)
    return [], None


def _capture(path: Path, rng: Random, tools: Path) -> Ran:
    if rng.random() < 0.7:
        return _image(path, rng, tools)
    return _synthesis(path, rng, tools)


def _synthesis(path: Path, rng: Random, tools: Path) -> Ran:  # noqa: ARG001
    """Synthesize pairs; where the entry is a manifest, from the unchanged capture beside it."""
    from nircolor.spectral import synthesize

    captures = path if path.suffix == ".hdr" else path.parent.parent / "a.hdr"
    output = path.parent / "out" if path.suffix == ".hdr" else path.parent
    if rng.random() < 0.1:
        return [output], _command("synthesize", captures, "-o", output, "--bands", "780,850")
    overwrite = rng.random() < 0.3
    try:
        for pair in synthesize(captures, output, bands_nm=(780, 850), overwrite=overwrite):
            if pair.error is not None:
                raise pair.error
    except NircolorError:
        if not overwrite:
            raise
        # the old data set may be gone
    return [output], None


def _command(*words: object) -> int:
    """Run the command line in this process and return its exit code; the caller checks its output."""
    from nircolor.__main__ import main

    before = sys.argv
    sys.argv = ["nircolor", *map(str, words)]
    try:
        main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    if code not in (None, 0, 1, 2):
        raise Wrong("exit code", f"exit code {code} of nircolor {words[0]}")
    return int(code or 0)


@cache
def _tiny_model(tools: Path) -> Any:
    from nircolor import Colorizer

    return Colorizer(tools / "tiny.onnx")


_TARGETS: dict[str, Callable[[Path, Random, Path], Ran]] = {
    "image": _image,
    "model": _model,
    "recipe": _recipe,
    "set": _set,
    "capture": _capture,
    "manifest": _synthesis,
}
