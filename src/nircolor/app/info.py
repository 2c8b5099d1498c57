"""Commands `nircolor models` and `nircolor info`."""

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from nircolor.app.fitting import DEFAULT_MODEL, Fit, fits_of, shipped_cards
from nircolor.app.options import (
    Bands,
    Json,
    MaxPixels,
    NodataValue,
    Offset,
    Reflectance,
    Scale,
    Source,
    parse_bands,
    parse_nodata,
)
from nircolor.app.tables import (
    LISTED_BANDS,
    MANY_BANDS,
    card_table,
    console,
    expected,
    forms_of,
    grid,
    image_table,
    print_groups,
    video_table,
)
from nircolor.app.terminal import shell_quoted
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.texts import count_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nircolor.imagery import Raster
    from nircolor.modelfile import Card

# side of the reduced image from which ranges are computed
_REDUCED_PX: Final = 512

AllDetails = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show all: the whole card of each model, why models do not fit."),
]


def models(verbose: AllDetails = False, as_json: Json = False) -> None:
    """List the shipped models, the default first.

    \b
    nircolor models
    nircolor models --verbose
    nircolor models --json
    """
    from nircolor.weights import shipped_models

    cards, paths = shipped_cards(), shipped_models()
    if as_json:
        from nircolor.app.console import print_json

        print_json([_card_record(card, paths[card.name]) for card in cards])
        return
    screen = console()
    if verbose:
        for card in cards:
            screen.print(card_table(card, paths[card.name]))
        return
    from nircolor.modelfile import describe_bands

    table = grid()
    for card in cards:
        table.add_row(f"{card.name}{' (default)' if card.name == DEFAULT_MODEL else ''}", card.summary)
        table.add_row("", f"{describe_bands(card.bands)}, {expected(card)}; weights: {card.licence.weights}")
    screen.print(table)


def info(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Image, video, product, folder or pattern of images, model file or name of a shipped model; "
            "the bands of one image as FILE@NM; - reads an image from standard input.",
        ),
    ],
    bands: Bands = None,
    scale: Scale = None,
    offset: Offset = None,
    reflectance: Reflectance = None,
    nodata: NodataValue = None,
    source: Source = None,
    max_pixels: MaxPixels = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Include the images in subfolders of folders.")
    ] = False,
    verbose: AllDetails = False,
    as_json: Json = False,
) -> None:
    """Show what is read from images and how to colorize them, or the card of a model.

    The values listed are those after scaling. The command that is shown colorizes the image. Of several
    images, those that are read in the same way are listed together.

    \b
    nircolor info night.png
    nircolor info my_images/ --recursive
    nircolor info flight.tif --bands 780,850,940
    nircolor info b7.tif@783 b8.tif@842
    nircolor info landsat.tif --scale 0.0000275 --offset -0.2
    nircolor info satellite
    """
    wavelengths, invalid_value = parse_bands(bands), parse_nodata(nodata)
    from nircolor.app.console import conclude, print_json, show_warnings
    from nircolor.app.streams import open_input
    from nircolor.imagery import join_bands, open_raster, stack_path
    from nircolor.imagery.video import is_video
    from nircolor.inference import Reading, find_inputs, is_glob
    from nircolor.inference.video import inspect_video
    from nircolor.modelfile import is_model_file, read_card
    from nircolor.weights import shipped_models, similar_model

    name, *more = join_bands(names)
    path = Path(name)
    if name != "-" and not path.exists():
        path = shipped_models().get(name, path)
    if name != "-" and not path.exists() and (near := similar_model(name)) is not None:
        raise NircolorError(f"{name}: no such file or model; did you mean {near}?")
    if not more and is_model_file(path):
        card = read_card(path)
        if as_json:
            print_json(_card_record(card, path))
        else:
            console().print(card_table(card, path))
        return
    if not more and name != "-" and is_video(path):
        reading = Reading(
            wavelengths, scale, offset, reflectance, None, invalid_value, max_pixels, source is not None
        )
        with show_warnings():
            content = inspect_video(read_card(shipped_models()[DEFAULT_MODEL]), path, reading)
        command = f"nircolor colorize {_input_and_output(name)} --model {DEFAULT_MODEL}"
        content["recommended"] = {
            "model": DEFAULT_MODEL,
            "command": command if bands is None else f"{command} --bands {shlex.quote(bands)}",
        }
        if as_json:
            print_json(content)
        else:
            console().print(video_table(content))
        return
    given = _as_text(bands, scale, offset, reflectance, nodata, max_pixels, source)
    cards = shipped_cards()

    def describe(file: Path, paths: str) -> dict[str, Any]:
        """Describe an image, and warn of what is doubtful about it."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NircolorWarning)
            raster = open_raster(
                file,
                bands_nm=wavelengths,
                scale=scale,
                offset=offset,
                reflectance=reflectance,
                nodata=invalid_value,
                max_pixels=max_pixels,
                converted=source is not None,
            )
        found = [one.message for one in caught if isinstance(one.message, NircolorWarning)]
        advised = " --from converted" if any("--from converted" in one.problem for one in found) else ""
        with raster:
            content = _describe(raster, fits_of(raster, cards), paths, given + advised)
            # warnings about the values depend on the model
            general = raster.values.warning(None)
        found = [one for one in found if f"{one.path}: {one.problem}" != general]
        found += [NircolorWarning(text.removeprefix(f"{file}: "), path=file) for text in content["warnings"]]
        for one in found:
            warnings.warn(one, stacklevel=2)
        content["warnings"] = [str(one) for one in found]
        return content

    if more:
        for one in (name, *more):
            is_model = one in shipped_models() and not Path(one).exists()
            if one == "-" or is_model or is_model_file(Path(one)):
                kind = "standard input" if one == "-" else "a model"
                raise NircolorError(
                    f"{one}: expected several images, or {kind} alone, got {len(more) + 1} names"
                )
    if more or is_glob(name) or (path.is_dir() and stack_path(path) is None):
        with show_warnings(unit="images") as shown:
            files = find_inputs([name, *more], recursive=recursive)
            contents, failures = [], []
            for file in files:
                try:
                    contents.append(describe(file, _input_and_output(str(file))))
                except (NircolorError, OSError) as error:
                    failures.append((file, error))
            if as_json:
                print_json(contents)
            else:
                paths = f"{_input_and_output(name)}{' --recursive' if recursive else ''}"
                print_groups(contents, None if more or failures else paths)
            shown.close()
            if failures:
                conclude(count_of(len(contents), "image"), failures)
        return
    if recursive:
        raise NircolorError(f"--recursive: expected a folder, got {name}")
    with show_warnings(), open_input(name) as streams:
        file = Path(streams.inputs[0])
        content = describe(file, _input_and_output(name))
        content["file"] = streams.argument(file)
        content["warnings"] = [streams.named(text) for text in content["warnings"]]
    if as_json:
        print_json(content)
    else:
        console().print(image_table(content, verbose))


def _input_and_output(name: str) -> str:
    """Return the arguments of `nircolor colorize` for an image."""
    if name == "-":
        return "- -o colour.png"
    return f"{shell_quoted(f'./{name}' if name.startswith('-') else name)} -o colour/"


def _as_text(
    bands: str | None,
    scale: float | None,
    offset: float | None,
    reflectance: bool | None,
    nodata: str | None,
    max_pixels: int | None,
    source: str | None,
) -> str:
    """Return the user's options as text to append to a command."""
    from numpy import format_float_positional

    def plain(number: float) -> str:
        return format_float_positional(number, trim="-")

    parts = [] if bands is None else ["--bands", shlex.quote(bands)]
    parts += [] if scale is None else ["--scale", plain(scale)]
    parts += [] if offset is None else ["--offset", plain(offset)]
    parts += [] if reflectance is None else ["--reflectance" if reflectance else "--no-reflectance"]
    parts += [] if nodata is None else ["--nodata", shlex.quote(nodata)]
    parts += [] if max_pixels is None else ["--max-pixels", str(max_pixels)]
    parts += [] if source is None else ["--from", source]
    return "".join(f" {part}" for part in parts)


def _describe(raster: "Raster", fits: list[Fit], paths: str, given: str) -> dict[str, Any]:
    """Return the properties of an image as plain data: the content of ``--json``."""
    import numpy as np

    from nircolor.inference.outputs import NO_PIXELS

    def command(fit: Fit) -> str | None:
        if fit.reason is not None:
            return None
        return f"nircolor colorize {paths} --model {fit.card.name}{given}{fit.options}"

    shape = (min(raster.height, _REDUCED_PX), min(raster.width, _REDUCED_PX))
    listed = list(range(raster.bands))
    if raster.bands > MANY_BANDS:
        listed = np.linspace(0, raster.bands - 1, LISTED_BANDS).round().astype(int).tolist()
    read, valid = raster.read(None, listed, shape)
    percentiles = {index: _percentiles(band[valid]) for index, band in zip(listed, read, strict=True)}
    black, white = raster.black_white
    best = fits[0] if fits and fits[0].reason is None else None
    nodata = raster.nodata
    notes = [best.note] if best is not None and best.note else []
    if best is None and raster.values.product is not None:
        notes.append(
            f"{raster.path}: no model that ships is for these bands of {raster.values.product.name}; "
            "`nircolor train` makes one from products with colour bands, and `nircolor models` lists the "
            "bands that each model takes"
        )
    if not valid.any():
        notes.append(f"{raster.path}: {NO_PIXELS}")
    return {
        "file": str(raster.path),
        "format": raster.driver,
        "width": raster.width,
        "height": raster.height,
        "dtype": str(raster.dtype),
        "orientation": raster.orientation,
        "crs": None if raster.crs is None else raster.crs.to_string(),
        "transform": list(raster.transform)[:6] if raster.is_georeferenced else None,
        "nodata": nodata if nodata is None or np.isfinite(nodata) else str(nodata),
        "alpha": raster.has_alpha,
        "mask": raster.has_mask,
        "valid_fraction": round(float(valid.mean()), 6),
        "scale": {
            "zero": float(np.mean(black[0])),
            "one": float(np.mean(white[0])),
            "rule": raster.scale_rule,
            "source": raster.values.scale.source,
        },
        "reflectance": raster.is_reflectance,
        "product": None if raster.values.product is None else raster.values.product.name,
        "bands": [
            {
                "number": index + 1,
                "name": raster.names[index],
                "wavelength_nm": raster.wavelengths_nm[index],
                "wavelength_from": raster.wavelength_sources[index],
                "percentiles_1_50_99": percentiles.get(index),
            }
            for index in range(raster.bands)
        ],
        "recommended": None if best is None else {"model": best.card.name, "command": command(best)},
        "models": [
            {
                "name": fit.card.name,
                "summary": fit.card.summary,
                "fits": fit.reason is None,
                "reason": fit.reason,
                "command": command(fit),
                "expects": expected(fit.card),
            }
            for fit in fits
        ],
        "warnings": notes,
    }


def _percentiles(values: "NDArray[np.float32]") -> list[float] | None:
    import numpy as np

    if not values.size:
        return None
    return [round(float(value), 6) for value in np.percentile(values, (1, 50, 99))]


def _card_record(card: "Card", path: Path) -> dict[str, Any]:
    files = [str(form) for form in forms_of(path)]
    return {**card.model_dump(mode="json"), "default": card.name == DEFAULT_MODEL, "files": files}
