"""Tables of images and of models' cards, as `nircolor info` and `nircolor models` print them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nircolor.texts import abbreviate, count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from nircolor.modelfile import Card

# of an image with more bands than the first number (a hyperspectral cube), only the second number is listed
MANY_BANDS: Final = 16
LISTED_BANDS: Final = 8
# images, and their sizes, that are named of a group
_NAMED_IMAGES = 3


def console() -> "Console":
    """Make the console that tables are printed on."""
    from nircolor.app.console import Screen

    # no line breaks if the output is not a terminal
    return Screen(width=None if sys.stdout.isatty() else 10_000)


def grid() -> "Table":
    """Make a table of titles and texts."""
    from nircolor.app.console import EscapedTable

    table = EscapedTable.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def expected(card: "Card") -> str:
    """Return the values that a model expects, in words."""
    return "reflectance" if card.encoding == "reflectance" else "values encoded like a photograph"


def forms_of(path: Path) -> list[Path]:
    """List the files of a model: the given one and, where it ships in two forms, the other one."""
    from nircolor.weights import find_weights, shipped_models

    is_shipped = shipped_models().get(path.stem) == path
    return list(dict.fromkeys([path, find_weights(path.stem)])) if is_shipped else [path]


def card_table(card: "Card", path: Path) -> "Table":
    """Lay out the card of a model, whose file is ``path``."""
    from nircolor.modelfile import describe_bands

    table = grid()
    table.add_row("model", f"{card.name}: {card.summary}")
    table.add_row("bands", f"{describe_bands(card.bands)}, {expected(card)}")
    if card.white_reflectance is not None:
        table.add_row("colour", f"1.0 means a reflectance of {card.white_reflectance:g}")
    if card.error_quantile is not None:
        table.add_row("confidence", f"bounds {card.error_quantile:.0%} of the errors (--confidence)")
    work = f"{card.multiply_adds_per_px:,.0f} multiply-adds per pixel"
    if card.working_pixels is not None:
        work += f" of at most {card.working_pixels:,}"
    table.add_row("network", f"{card.architecture}, {work}, runs in {card.engine}")
    uses = {".onnx": "to run", ".safetensors": "to run or to train further, in PyTorch"}
    for form in forms_of(path):
        table.add_row("file", f"{form} ({uses.get(form.suffix.lower(), 'to run')})")
    table.add_row("trained on", card.licence.training_data)
    table.add_row("weights", card.licence.weights)
    for score in card.scores:
        values = f"PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, angle {score.angular_error_deg:.2f}°"
        table.add_row("scores", f"{score.data}: {values} ({score.source})")
    return table


def image_table(content: dict[str, Any], verbose: bool) -> "Table":
    """Lay out the result of `nircolor info --json`."""
    table = grid()
    bands, models = content["bands"], content["models"]
    table.add_row("file", f"{content['file']} ({content['format']})")
    count = count_of(len(bands), "band")
    table.add_row("size", f"{content['width']} × {content['height']} px, {count}, {content['dtype']}")
    if content["orientation"] != 1:
        table.add_row("orientation", f"EXIF {content['orientation']}, is applied")
    for title, text in _value_rows(content):
        table.add_row(title, text)
    listed = [band for band in bands if band["percentiles_1_50_99"] is not None or len(bands) <= MANY_BANDS]
    for band in listed:
        title = "band" if len(listed) == len(bands) else f"band {band['number']}"
        table.add_row(title, f"{_band_title(band)}, {_range(band['percentiles_1_50_99'])}")
    sources = dict.fromkeys(band["wavelength_from"] for band in bands if band["wavelength_from"])
    if sources:
        table.add_row("wavelengths", f"from {', '.join(sources)}")
    if content["valid_fraction"] < 1:
        table.add_row("valid", f"{content['valid_fraction']:.1%} of the pixels")
    for model in models if verbose else models[:1]:
        text = f"fits: {model['command']}" if model["fits"] else f"does not fit: {model['reason']}"
        table.add_row(f"model {model['name']}", text)
    return table


def video_table(content: dict[str, Any]) -> "Table":
    """Lay out the result of `nircolor info --json` for a video."""
    table = grid()
    frames, seconds = content["frames"], content["seconds"]
    table.add_row("file", f"{content['file']} (video, {content['codec']})")
    table.add_row("size", f"{content['width']} × {content['height']} px")
    count = "unknown number of frames" if frames is None else count_of(frames, "frame")
    length = "" if seconds is None else f", {seconds:g} s"
    table.add_row("length", f"{count} at {content['frames_per_second']:g} per second{length}")
    table.add_row("values", f"{content['pixel_format']}, {content['bits']} bits")
    if content["sound"]:
        table.add_row("sound", "is copied where the format of the output holds it")
    best = content["recommended"]
    table.add_row(f"model {best['model']}", f"fits: {best['command']}")
    return table


def print_groups(contents: "Sequence[dict[str, Any]]", paths: str | None) -> None:
    """Print a table for all images that are read in the same way.

    Args:
        contents: Results of `nircolor info --json`.
        paths: Arguments of `nircolor colorize` for all images, where one command can be given.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for content in contents:
        groups.setdefault(str(_common_rows(content)), []).append(content)
    screen = console()
    for number, group in enumerate(groups.values()):
        if number:
            screen.print()
        table = grid()
        names = abbreviate([content["file"] for content in group], _NAMED_IMAGES)
        formats = ", ".join(dict.fromkeys(content["format"] for content in group))
        table.add_row(count_of(len(group), "image"), f"{names} ({formats})")
        sizes = dict.fromkeys(f"{content['width']} × {content['height']}" for content in group)
        table.add_row("size", f"{abbreviate(list(sizes), _NAMED_IMAGES)} px")
        for title, text in _common_rows(group[0])[:-1]:
            table.add_row(title, text)
        model = group[0]["models"][0]
        if not model["fits"]:
            text = f"does not fit: {model['reason']}"
        elif paths is not None and len(groups) == 1:
            text = f"fits: nircolor colorize {paths}{_options_of(model)}"
        else:
            text = f"fits, with{_options_of(model)}"
        table.add_row(f"model {model['name']}", text)
        screen.print(table)


def _common_rows(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows that images have in common if they are read in the same way."""
    bands, model = content["bands"], content["models"][0]
    named = [_band_title(band) if band["wavelength_nm"] is not None else band["name"] for band in bands]
    known = [name for name in named if name]
    listed = f" ({abbreviate(known, 5, 5)})" if known else ""
    return [
        ("bands", f"{count_of(len(bands), 'band')}, {content['dtype']}{listed}"),
        *_value_rows(content),
        ("for", _options_of(model) if model["fits"] else f"{model['name']}: {model['reason']}"),
    ]


def _options_of(model: dict[str, Any]) -> str:
    """Return the options of the command that colorizes an image."""
    found: str = model["command"].rpartition(f" --model {model['name']}")[2]
    return f" --model {model['name']}{found}"


def _value_rows(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows about the scale and the meaning of the values, and about the place of an image."""
    rows = [
        ("1.0 means", f"{content['scale']['one']:g} ({content['scale']['rule']})"),
        ("reflectance", _reflectance(content)),
    ]
    if content["product"]:
        rows.append(("recognized", content["product"]))
    if content["transform"]:
        rows.append(("georeference", content["crs"] or "without a coordinate reference system"))
    if content["nodata"] is not None:
        rows.append(("nodata", _plain(content["nodata"])))
    return rows


def _plain(number: float | str) -> str:
    return number if isinstance(number, str) else f"{number:.10g}"


def _band_title(band: dict[str, Any]) -> str:
    """Return the name and the wavelength of a band, the latter once."""
    nm = band["wavelength_nm"]
    wavelength = "wavelength unknown" if nm is None else f"{nm:g} nm"
    name = band["name"] if nm is None or band["name"] not in (f"{nm:g}", f"{nm:g} nm") else None
    return f"{name or ''} {wavelength}".strip()


def _reflectance(content: dict[str, Any]) -> str:
    if content["reflectance"] is not None:
        developed = content["scale"]["source"] == "developed"
        reason = "camera raw is developed like a photograph" if developed else "--no-reflectance"
        return "yes" if content["reflectance"] else f"no ({reason})"
    if content["scale"]["source"] == "counts":
        return "no (counts of a camera, linear in light)"
    if not content["recommended"]:
        return "not stated"
    return f"not stated; {content['recommended']['model']} takes {content['models'][0]['expects']}"


def _range(percentiles: list[float] | None) -> str:
    if percentiles is None:
        return "no valid pixels"
    low, middle, high = percentiles
    return f"percentiles 1, 50, 99: {low:.3f}, {middle:.3f}, {high:.3f}"
