"""How many disguised leaks `nircolor leaks` finds, how many it invents, and how long it takes.

    python benchmarks/leaks.py DATA -o results/leaks

DATA holds `vcip2020/`, `epfl/`, `photographs/` and `field_scores/`. Writes text and numbers only.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nircolor.arrays import Floats
from nircolor.pairs.compared import ComparedImage, compared_files
from nircolor.pairs.leaks import KINDS, LeakCheck, compare_images

Change = Callable[[Floats, np.random.Generator], Any]


def main() -> None:
    """Run the parts that are asked for, and write one JSON file for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    parser.add_argument("--images", type=int, default=60, help="images for planted and across")
    parser.add_argument(
        "--own",
        type=int,
        default=400,
        help="images for unrelated, which measures the time; others for planted",
    )
    parser.add_argument("--others", type=int, default=2000, help="images to compare these with")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for part in chosen.parts:
        found = _PARTS[part](chosen)
        (chosen.output / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(part, json.dumps(found, indent=1), flush=True)


def _field(chosen: argparse.Namespace) -> dict[str, Any]:
    """The validation images that peers show, against the training folder of SF-GPT."""
    names = {path.stem for path in (chosen.data / "field_scores/mcfnet").iterdir()}
    images = [
        one
        for one in compared_files(chosen.data / "vcip2020/Validation")
        if one.name.removesuffix("_nir.png") in names
    ]
    check = compare_images(images, compared_files(chosen.data / "field_scores/sf-gpt-training-nir"))
    return {
        "images": check.images,
        "others": check.others,
        "summary": check.summary,
        "leaks": [f"{leak.name}: {leak.other}: {leak.description}" for leak in check.leaks],
    }


def _planted(chosen: argparse.Namespace) -> dict[str, Any]:
    """Images under the changes of `PLANTED`, against the originals among other photographs."""
    originals = _spread(
        [
            *compared_files(chosen.data / "vcip2020/NIR"),
            *(one for one in compared_files(chosen.data / "epfl") if one.name.endswith("_rgb.jpg")),
        ],
        chosen.images,
    )
    grays = {one.name: one.read()["image"].mean(axis=0) for one in originals}
    copies = [
        ComparedImage(f"{kind}|{name}", partial(_changed, gray, change, place))
        for kind, change in PLANTED.items()
        for place, (name, gray) in enumerate(grays.items())
    ]
    others = [
        *(_image(name, gray[None]) for name, gray in grays.items()),
        *_spread(compared_files(chosen.data / "photographs"), chosen.own - len(grays)),
    ]
    check = compare_images(copies, others)
    # the best match need not be the original: another of the originals may show the same place
    sources = {
        (leak.name.partition("|")[0], leak.other): leak
        for leak in check.leaks
        if leak.name.partition("|")[2] == leak.other
    }
    rows = {}
    for kind in PLANTED:
        right = [sources[kind, name] for name in grays if (kind, name) in sources]
        rows[kind] = {
            "found_percent": round(100 * len(right) / len(grays), 1),
            "as_same_photograph_percent": round(
                100 * sum(leak.kind != "same place" for leak in right) / len(grays), 1
            ),
            "missed": [name for name in grays if (kind, name) not in sources],
            "as_same_place": {leak.other: leak.description for leak in right if leak.kind == "same place"},
        }
    wrong = {
        f"{leak.name}: {leak.other}: {leak.description}"
        for leak in check.leaks
        if leak.name.partition("|")[2] != leak.other and leak.kind != "same place"
    }
    return {
        "originals": len(grays),
        "others": len(others),
        "rows": rows,
        "other_photographs_as_same_photograph": sorted(wrong),
    }


def _unrelated(chosen: argparse.Namespace) -> dict[str, Any]:
    """NIR images of VCIP against photographs of other sources; every match is false."""
    images = _spread(compared_files(chosen.data / "vcip2020/NIR"), chosen.own)
    others = _spread(compared_files(chosen.data / "photographs"), chosen.others)
    clock, cpu = time.perf_counter(), time.process_time()
    check = compare_images(images, others)
    return {
        "images": check.images,
        "others": check.others,
        "pairs": check.images * check.others,
        "cpu_s": round(time.process_time() - cpu),
        "wall_s": round(time.perf_counter() - clock),
        "cores": os.cpu_count(),
        **_false(check),
    }


def _across(chosen: argparse.Namespace) -> dict[str, Any]:
    """NIR images against the gray of the colour images of the same pairs."""
    rows = {}
    for name, nir, colour in (
        ("vcip2020", "vcip2020/NIR", "vcip2020/RGB-Registered"),
        ("epfl", "epfl", "epfl"),
    ):
        images = [one for one in compared_files(chosen.data / nir) if one.name.endswith("_nir.png")]
        others = [one for one in compared_files(chosen.data / colour) if "_rgb" in one.name]
        keys = {one.name.partition("_rgb")[0] for one in others}
        images = _spread([one for one in images if one.name.removesuffix("_nir.png") in keys], chosen.images)
        check = compare_images(images, others)
        pairs = {
            leak.name: leak
            for leak in check.leaks
            if leak.other.partition("_rgb")[0] == leak.name.removesuffix("_nir.png")
        }
        rows[name] = {
            "images": check.images,
            "others": check.others,
            "found_percent": round(100 * len(pairs) / check.images, 1),
            "as_same_photograph_percent": round(
                100 * sum(leak.kind != "same place" for leak in pairs.values()) / check.images, 1
            ),
        }
    return rows


def _false(check: LeakCheck) -> dict[str, Any]:
    return {
        "matches": {kind: sum(leak.kind == kind for leak in check.leaks) for kind in KINDS},
        "which": [f"{leak.name}: {leak.other}: {leak.description}" for leak in check.leaks],
        "unclear": len(check.unclear),
    }


def _changed(gray: Floats, change: Change, seed: int) -> dict[str, Floats]:
    """Return a changed image, the same each time that it is read."""
    changed = change(gray, np.random.default_rng(seed))
    return {"image": np.ascontiguousarray(changed, dtype=np.float32)[None]}


def _image(name: str, pixels: Floats) -> ComparedImage:
    return ComparedImage(name, lambda: {"image": pixels})


def _spread(images: Sequence[ComparedImage], count: int) -> list[ComparedImage]:
    """Choose images at equal distances in the list."""
    places = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    return [images[place] for place in np.unique(places)]


def _resized(gray: Floats, down: float, across: float) -> Any:
    height, width = gray.shape
    size = max(8, round(width * across)), max(8, round(height * down))
    return np.clip(
        cv2.resize(gray, size, interpolation=cv2.INTER_AREA if min(down, across) < 1 else cv2.INTER_CUBIC),
        0,
        1,
    )


def _rotated(gray: Floats, degrees: float) -> Any:
    height, width = gray.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    result = np.clip(cv2.warpAffine(gray, matrix, (width, height), flags=cv2.INTER_CUBIC), 0, 1)
    angle = np.radians(degrees)
    side = int(min(height, width) / (abs(np.cos(angle)) + abs(np.sin(angle))))
    top, left = (height - side) // 2, (width - side) // 2
    return result[top : top + side, left : left + side]


def _cropped(gray: Floats, area: float, rng: np.random.Generator) -> Any:
    height, width = (round(side * area**0.5) for side in gray.shape)
    top, left = (
        int(rng.integers(0, side - part + 1)) for side, part in zip(gray.shape, (height, width), strict=True)
    )
    return gray[top : top + height, left : left + width]


def _as_jpeg(gray: Floats, quality: int) -> Any:
    _, data = cv2.imencode(".jpg", np.rint(gray * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


def _noisy(gray: Floats, deviation: float, rng: np.random.Generator) -> Any:
    return np.clip(gray + rng.normal(0, deviation, gray.shape), 0, 1)


def _with(function: Callable[..., Any], *values: float) -> Change:
    return lambda gray, _rng: function(gray, *values)


def _random(function: Callable[..., Any], *values: float) -> Change:
    return lambda gray, rng: function(gray, *values, rng)


def _everything(gray: Floats, rng: np.random.Generator) -> Any:
    part = _resized(_cropped(gray, 0.5, rng)[:, ::-1], 0.9, 0.6)
    return _as_jpeg(_noisy(part**0.7, 0.01, rng), 50)


def _enlarged_crop(gray: Floats, area: float, rng: np.random.Generator) -> Any:
    return _resized(_cropped(gray, area, rng), area**-0.5, area**-0.5)


PLANTED: dict[str, Change] = {
    **{f"rotated {degrees}°": _with(_rotated, degrees) for degrees in (10, 30, 45)},
    **{f"scaled {factor}": _with(_resized, factor, factor) for factor in (0.5, 0.7, 1.5, 2)},
    **{
        f"aspect {across}:{down}": _with(_resized, down / max(across, down), across / max(across, down))
        for across, down in ((1, 3), (1, 2), (2, 3), (3, 2), (2, 1), (3, 1))
    },
    **{f"crop of {area:.0%}": _random(_cropped, area) for area in (0.6, 0.4, 0.2)},
    "crop of 20%, enlarged": _random(_enlarged_crop, 0.2),
    "mirrored left to right": _with(np.fliplr),
    "mirrored top to bottom": _with(np.flipud),
    **{f"turned {90 * turns}°": _with(np.rot90, turns) for turns in (1, 2, 3)},
    **{f"gamma {gamma}": _with(np.power, gamma) for gamma in (0.5, 2)},
    "contrast of 20%": _with(lambda gray: np.rint(255 * (0.4 + 0.2 * gray)) / 255),
    "s-curve": _with(lambda gray: 1 / (1 + np.exp(-8 * (gray - 0.5)))),
    **{f"noise {deviation}": _random(_noisy, deviation) for deviation in (0.02, 0.05, 0.1)},
    **{f"JPEG {quality}": _with(_as_jpeg, quality) for quality in (50, 20, 10)},
    "crop of 50%, mirrored, squashed 2:3, gamma 0.7, noise 0.01, JPEG 50": _everything,
}
_PARTS = {"field": _field, "planted": _planted, "unrelated": _unrelated, "across": _across}

if __name__ == "__main__":
    main()
