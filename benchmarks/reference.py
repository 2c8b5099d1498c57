"""Effect of `--reference` on the colours: the same camera at another time, another picture of the place, and
one of another place.

DATA holds `epfl/` (the RGB-NIR Scene data set) and `scenes.csv`. Three kinds of references are measured:

- simulated: the colour of the pair as a fixed camera takes it at another time: moved, turned, with another
  exposure and white balance, as JPEG, and with objects of another pair pasted into it (ghosts if they show)
  and other ones into the NIR image and the truth. By night the NIR image is dark, noisy, and falls off
  from the middle as under an infrared lamp.
- same place: each other image of the same `scene_group`. Most overlap in a part of the view.
- unrelated: an image of another group. It has to be refused.

The constants of `nircolor.inference.reference` were fitted to simulated references of five pairs and chosen
on six others; the groups of these are left out. `scene` was trained on all of these pairs, so its own
error here is lower than on new images. `--model` measures another model, such as the base of
`benchmarks/finetune.py`, `--kinds` some of the kinds, `--only` the pairs whose names begin like this.

Where a reference matches, three more are measured: the share of the image that takes its colours, the error
there (weight above 0.5), and the error of the better one of reference and model at each pixel, which is
chosen with the truth. Without a transform of the model's colours, as by night, no weights do much better.

    python benchmarks/reference.py /data -o results/reference
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nircolor.arrays import Floats, Mask
from nircolor.errors import NircolorWarning
from nircolor.imagery import encode_png, open_raster
from nircolor.inference import Colorizer, Reference
from nircolor.inference.sources import ArraySource
from nircolor.pairs import Pair, Scenes

_NIGHTS = {"day": None, "night": 0.01, "noisy night": 0.03}
_KINDS = ("simulated", "same", "other")
_FITTED = (
    "street/0001", "country/0015", "urban/0019", "forest/0022", "water/0018", "country/0027", "field/0024",
    "indoor/0011", "indoor/0016", "country/0045", "urban/0005",
)  # fmt: skip


def main() -> None:
    """Run the benchmark and write ``reference.json`` and ``reference.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--simulated", type=int, default=6, help="number of simulated references")
    parser.add_argument("--model", default="scene", help="name or file of the model")
    parser.add_argument("--kinds", nargs="+", default=_KINDS, choices=_KINDS, help="kinds of references")
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of the names of pairs")
    parser.add_argument("--images", type=Path, help="folder for images of what was simulated")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = options.data / "scenes.csv"
    pairs = Scenes(options.data / "epfl", table=table, drop_flagged=True).pairs()
    colorizer = Colorizer(options.model)
    rows: list[dict[str, Any]] = []
    options.output.mkdir(parents=True, exist_ok=True)
    chosen = options.simulated if "simulated" in options.kinds else 0
    for row in _measured(
        colorizer, pairs, chosen, options.output, options.images, options.kinds, options.only
    ):
        print(json.dumps(row), flush=True)
        rows.append(row)
        (options.output / "reference.json").write_text(json.dumps(rows, indent=1) + "\n")
        (options.output / "reference.md").write_text(_summary(rows, Path(options.model).name))


def _measured(
    colorizer: Colorizer,
    pairs: list[Pair],
    simulated: int,
    draft: Path,
    images: Path | None,
    kinds: Sequence[str] = _KINDS,
    only: Sequence[str] = ("",),
) -> Any:
    groups: dict[str, list[Pair]] = {}
    for pair in (one for one in pairs if one.name.startswith(tuple(only))):
        groups.setdefault(str(pair.place), []).append(pair)
    seen = {place for place, members in groups.items() if any(one.name in _FITTED for one in members)}
    groups = {place: members for place, members in groups.items() if place not in seen}
    names = sorted(groups)
    file = draft / ".reference.png"
    together = [pair for name in names for pair in groups[name] if len(groups[name]) > 1]
    try:
        for index, name in enumerate(names[: 2 * simulated : 2]):
            pair, other = groups[name][0], groups[names[names.index(name) - 5]][0]
            condition = list(_NIGHTS)[index % 3]
            rng = np.random.default_rng([19, index])
            nir, truth, colour, only_nir, only_colour = simulate(pair, other, rng, _NIGHTS[condition])
            file.write_bytes(encode_png(colour).data)
            row = _row(colorizer, pair, nir, truth, file, {"simulated": condition, "reference": pair.name})
            outputs = row.pop("outputs")
            for kind, changed in (("only in NIR", only_nir), ("only in the reference", only_colour)):
                inside = changed > 0.98
                row[kind] = [_psnr(output, truth, inside) for output in outputs]
            if images is not None:
                images.mkdir(parents=True, exist_ok=True)
                sheet = np.concatenate([np.repeat(nir, 3, 0), colour, truth, *outputs], 2)
                (images / f"{index:02d}.png").write_bytes(encode_png(sheet).data)
            yield row
        for index, pair in enumerate(together):
            if "same" not in kinds and "other" not in kinds:
                continue
            nir, truth, valid = _read(pair)
            without = colorizer.colorize(nir, valid)
            others = [("same", other) for other in groups[str(pair.place)] if other is not pair]
            others = others if "same" in kinds else []
            if index % 2 == 0 and "other" in kinds:
                others.append(("other", together[(index + 5) % len(together)]))
            for place, other in others:
                labels = {"reference": other.name, "place": place}
                row = _row(colorizer, pair, nir, truth, other.rgb, labels, valid, without)
                row.pop("outputs")
                yield row
    finally:
        file.unlink(missing_ok=True)


def _row(
    colorizer: Colorizer,
    pair: Pair,
    nir: Floats,
    truth: Floats,
    reference: Path,
    labels: dict[str, str],
    valid: Mask | None = None,
    without: Floats | None = None,
) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NircolorWarning)
        without = colorizer.colorize(nir, valid) if without is None else without
        with_it = colorizer.colorize(nir, valid, reference=Reference(reference))
    inside = np.ones(nir.shape[1:], bool) if valid is None else valid
    used = not any("cannot be matched" in str(one.message) for one in caught)
    matched = _matched(colorizer, nir, truth, inside, reference, without, with_it) if used else {}
    return {
        "pair": pair.name,
        **labels,
        "used": used,
        **matched,
        "psnr": [_psnr(one, truth, inside) for one in (without, with_it)],
        "psnr_exposed": [_psnr(_exposed(one, truth, inside), truth, inside) for one in (without, with_it)],
        "outputs": (without, with_it),
    }


def _matched(
    colorizer: Colorizer,
    nir: Floats,
    truth: Floats,
    inside: Mask,
    reference: Path,
    without: Floats,
    with_it: Floats,
) -> dict[str, Any]:
    """Return the mean weight of the reference, the errors where it is above 0.5, and the bound."""
    transfer = Reference(reference).transfer(
        ArraySource(nir, inside), lambda reduced: colorizer.colorize(*reduced.rows(0, reduced.height))
    )
    assert transfer is not None
    height, width = inside.shape
    weight = cv2.resize(transfer.match, (width, height))
    moved, covered = transfer.reference.rows(0, height)
    colours = np.minimum(transfer.gain * moved.transpose(2, 0, 1), 1)
    errors = [((one - truth) ** 2).sum(0) for one in (without, colours)]
    best = np.where(covered & (errors[1] < errors[0]), colours, without)
    return {
        "share": round(float(weight[inside].mean()), 3),
        "psnr_matched": [_psnr(one, truth, inside & (weight > 0.5)) for one in (without, with_it)],
        "psnr_best": [_psnr(one, truth, inside) for one in (without, best)],
    }


def _psnr(image: Floats, truth: Floats, inside: Mask) -> float | None:
    if not inside.any():
        return None
    return round(float(-10 * np.log10(((image - truth)[:, inside] ** 2).mean())), 2)


def _exposed(image: Floats, truth: Floats, inside: Mask) -> Floats:
    """Return an image with the gain of each channel that brings it closest to the truth."""
    seen, wanted = image[:, inside], truth[:, inside]
    return image * ((seen * wanted).sum(1) / (seen**2).sum(1))[:, None, None]


def _read(pair: Pair) -> tuple[Floats, Floats, Mask]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NircolorWarning)
        with open_raster(pair.nir) as raster:
            nir, valid = raster.read()
        with open_raster(pair.rgb) as raster:
            rgb, _ = raster.read()
    if pair.mask is not None:
        with open_raster(pair.mask, nodata="declared") as raster:
            valid &= raster.read()[0][0] > 0.5
    return nir, rgb, valid


def simulate(
    pair: Pair, other: Pair, rng: np.random.Generator, noise: float | None
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return NIR, truth, reference, and where objects were pasted into NIR and into the reference."""
    (nir, truth, _), (other_nir, other_rgb, _) = _read(pair), _read(other)
    height, width = nir.shape[1:]
    reference = truth.copy()
    rows, columns = np.arange(height) % other_nir.shape[1], np.arange(width) % other_nir.shape[2]
    other_nir, other_rgb = other_nir[:, rows][:, :, columns], other_rgb[:, rows][:, :, columns]
    masks = np.zeros((2, height, width), np.float32)
    for index, mask in enumerate((*masks, *masks)):
        shape = _blob(height, width, rng)
        shift = int(rng.integers(height)), int(rng.integers(width))
        near, colour = (np.roll(one, shift, (1, 2)) for one in (other_nir, other_rgb))
        if index % 2 == 0:
            nir, truth = nir + shape * (near - nir), truth + shape * (colour - truth)
        else:
            reference = reference + shape * (colour - reference)
        np.maximum(mask, shape, out=mask)
    gain = rng.uniform(0.85, 1.2) * np.exp(rng.normal(0, 0.05, (3, 1, 1)))
    reference = np.clip(reference ** rng.uniform(0.9, 1.1) * gain, 0, 1).astype(np.float32)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-1.5, 1.5), rng.uniform(0.97, 1.05))
    turn[:, 2] += rng.uniform(-0.02, 0.02, 2) * width
    moved = cv2.warpAffine(
        reference.transpose(1, 2, 0),
        turn,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    coded = cv2.imencode(".jpg", np.rint(np.clip(moved, 0, 1) * 255).astype(np.uint8))[1]
    colour = cv2.imdecode(coded, cv2.IMREAD_COLOR).transpose(2, 0, 1).astype(np.float32) / 255
    if noise is not None:
        y, x = np.mgrid[:height, :width]
        lamp = 0.45 / (1 + ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (0.4 * width) ** 2)
        nir = nir * lamp + rng.normal(0, noise, nir.shape)
    nir = (np.rint(np.clip(nir, 0, 1) * 255) / 255).astype(np.float32)
    return nir, np.asarray(truth, np.float32), colour, masks[0], masks[1]


def _blob(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Return the mask of a round object, (h, w)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    down, right = y - rng.uniform(0.15, 0.85) * height, (x - rng.uniform(0.15, 0.85) * width)
    angle = np.arctan2(down, right)
    waves = sum(rng.normal(0, 0.1) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 7))
    outline = rng.uniform(0.03, 0.1) * width * (1 + waves)
    inside = (np.hypot(down, right * rng.uniform(0.7, 1.4)) < outline).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), 0.8), np.float32)


def _summary(rows: list[dict[str, Any]], model: str) -> str:
    def gain(chosen: list[dict[str, Any]], key: str) -> str:
        pairs = [row[key] for row in chosen if row.get(key) and None not in row[key]]
        if not pairs:
            return "none"
        before, after = np.array(pairs).mean(0)
        return f"{before:.2f} → {after:.2f} ({after - before:+.2f})"

    lines = [
        "# Effect of a reference on the colours",
        "",
        f"By `benchmarks/reference.py` with `{model}`, which describes what is measured: mean PSNR in dB "
        "without → with the reference, on pairs of the RGB-NIR Scene data set, which `scene` was trained on, "
        "unlike the bases of `benchmarks/finetune.py` on the kinds that they leave out. With the exposure "
        "fitted, each channel has the gain that suits the result best: a reference has its own exposure.",
        "",
        "| reference | images | used | whole image | the same, exposure fitted | objects only in NIR "
        "| objects only in the reference |",
        "|---|---|---|---|---|---|---|",
    ]

    def line(label: str, chosen: list[dict[str, Any]]) -> None:
        used = sum(row["used"] for row in chosen)
        keys = ("psnr", "psnr_exposed", "only in NIR", "only in the reference")
        cells = [gain(chosen, key) for key in keys]
        lines.append(f"| {label} | {len(chosen)} | {used} | {' | '.join(cells)} |")

    for condition in _NIGHTS:
        line(f"simulated, {condition}", [row for row in rows if row.get("simulated") == condition])
    same = [row for row in rows if row.get("place") == "same"]
    line("same place, all", same)
    line("same place, those that match", [row for row in same if row["used"]])
    line("another place", [row for row in rows if row.get("place") == "other"])
    matching = [row for row in same if row["used"]]
    if matching:
        share = np.mean([row["share"] for row in matching])
        lines += [
            "",
            f"Of the {len(matching)} images whose reference of the same place matches, {share:.0%} take its "
            f"colours (mean weight). Where the weight is above 0.5: {gain(matching, 'psnr_matched')} dB. If "
            "the better one of reference and model were known at each pixel, the whole image would have: "
            f"{gain(matching, 'psnr_best')} dB.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
