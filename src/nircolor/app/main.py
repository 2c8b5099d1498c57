"""The command line. Imports inside the commands keep ``nircolor --help`` instant."""

import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer

from nircolor import __version__
from nircolor.errors import NircolorError

app = typer.Typer(
    name="nircolor",
    help="Near-infrared images to colour.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Model = Annotated[
    str, typer.Option("--model", "-m", help="A model that ships (see `nircolor models`) or a model file.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "coreml", "openvino"],
    typer.Option(help="Where to run; auto takes a GPU where the model can run on one."),
]
Bands = Annotated[
    str | None,
    typer.Option(
        "--bands", metavar="NM,…", help="Wavelengths of the file's bands in nm, where it does not say them."
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(help="Value that means 1.0, e.g. 4095 for 12-bit data. Default: by the file's type."),
]
Stretch = Annotated[
    str | None,
    typer.Option(metavar="LOW,HIGH", help="Stretch between two percentiles, e.g. 1,99. Default: none."),
]
_SET = (
    "a folder in VCIP's layout, of NAME_nir and NAME_rgb images, with nir/ and rgb/ in it, or of "
    "multi-band files; two folders as NIR,RGB; or a recipe"
)
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder, or for one image a file.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nircolor {__version__}")
        raise typer.Exit


@app.callback()
def common(
    # for --help; `main` below takes it off the line
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Near-infrared images to colour."""


@app.command()
def colorize(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Images, folders or globs.")],
    output: Output,
    model: Model = "scene",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out images whose output is there.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Images at once.")] = 1,
    bands: Bands = None,
    scale: Scale = None,
    stretch: Stretch = None,
    depth: Annotated[
        Literal["8", "16"] | None, typer.Option(help="Bits a channel. Default: as the input.")
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(min=1, metavar="PX", help="Side of the tiles. Default: from the free memory."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Colour images: same name, size and place; PNG, JPEG, TIFF, GeoTIFF or ENVI in."""
    if skip_existing and overwrite:
        raise typer.BadParameter("--skip-existing and --overwrite: expected one of them")
    from nircolor.app import colorize as command
    from nircolor.inference import Reading

    command.run(
        inputs,
        output,
        model=model,
        device=device,
        tile_px=tile,
        parallel=jobs,
        recursive=recursive,
        skip_existing=skip_existing,
        overwrite=overwrite,
        depth=None if depth is None else int(depth),
        debug="--debug" in sys.argv,
        reading=Reading(_numbers(bands, "--bands"), scale, _pair(stretch, "--stretch")),
    )


@app.command()
def models() -> None:
    """List the models that ship: for which bands, from which data, under which licence."""
    from nircolor.app import listing

    listing.print_models()


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A image, or a model file.")],
    bands: Bands = None,
    scale: Scale = None,
) -> None:
    """Show what a image holds (bands, wavelengths, range) and which models fit it."""
    from nircolor.app import listing

    listing.print_info(file, bands_nm=_numbers(bands, "--bands"), scale=scale)


@app.command()
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models that ship, model files, folders of colorized images, or patterns like "
            "'out/*_fake_B.png' (* is the pair's name). LABEL=MODEL names it; one label for several: "
            "runs of one method.",
        ),
    ],
    data: Annotated[str, typer.Option(metavar="SET", help=f"Pairs to score on: {_SET}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")],
    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET",
            help="What models were trained on: baselines learn from it, leaks are looked for in it.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Of the set. Default: validation in VCIP's layout, test where there is one."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV of pairs with their group (place) and split, for both sets.")
    ] = None,
    average: Annotated[
        int, typer.Option(min=1, metavar="PX", help="Compare means over windows of so many pixels.")
    ] = 1,
    same_scale: Annotated[
        bool, typer.Option("--same-scale", help="Look for leaks at one scale: quicker, for satellite data.")
    ] = False,
    images: Annotated[
        int, typer.Option(min=0, metavar="N", help="Images in the report; 0: none, numbers only.")
    ] = 24,
    given_gray: Annotated[
        bool,
        typer.Option(
            "--given-gray", help="Add a transfer matrix that is given the gray version of the truth as well."
        ),
    ] = False,
    figure: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Lay these images out as a figure, figure.png.")
    ] = None,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report that is there.")] = False,
) -> None:
    """Score models and other people's colorized images under one protocol (extra: evaluate)."""
    from nircolor.extras import require

    for package in ("skimage", "matplotlib", "jinja2", "yaml"):
        require(package, extra="evaluate", what="nircolor evaluate")
    from nircolor.app import evaluate as command

    command.run(
        models,
        data,
        output,
        training=train or [],
        split=split,
        table=table,
        average_px=average,
        same_scale=same_scale,
        images=images,
        given_gray=given_gray,
        figure=[name.strip() for name in figure.split(",")] if figure else [],
        device=device,
        overwrite=overwrite,
        command=shlex.join(["nircolor", *sys.argv[1:]]),
    )


@app.command()
def leaks(
    first: Annotated[str, typer.Argument(metavar="SET", help="What is evaluated on: a set, or a folder.")],
    second: Annotated[str, typer.Argument(metavar="OTHER", help="What is trained on: a set, or a folder.")],
    same_scale: Annotated[
        bool,
        typer.Option("--same-scale", help="Do not look for enlarged crops: quicker, for satellite data."),
    ] = False,
    table: Annotated[Path | None, typer.Option(help="CSV of pairs with their split, for both sets.")] = None,
) -> None:
    """List images that two sets share: copies, re-encodings, shifts, crops (extra: evaluate)."""
    from nircolor.extras import require

    require("skimage", extra="evaluate", what="nircolor leaks")
    from nircolor.app import leaks as command

    command.run(first, second, same_scale=same_scale, table=table)


@app.command()
def synthesize(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAPTURE...",
            help="ENVI cubes (.hdr), SPECIM's capture folders, or folders of these.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DATASET", help="Folder for the pairs.")],
    bands: Annotated[
        str, typer.Option("--bands", metavar="NM,…", help="Near-infrared bands to make.")
    ] = "780,850,940",
    fwhm: Annotated[
        float, typer.Option(min=1, metavar="NM", help="Their width: full width at half maximum.")
    ] = 10.0,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Take the cube's nearest line, within half of --fwhm.")
    ] = False,
    response: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Colour as a camera of this response sees it: wavelength, red, green, blue and, it may be, "
            "near-infrared. Default: the CIE 1931 observer, sRGB.",
        ),
    ] = None,
    response_nm: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP", help="Wavelengths of its rows, where it has no column of them."
        ),
    ] = None,
    dark: Annotated[
        Path | None, typer.Option(help="Dark reference for all captures, instead of those beside them.")
    ] = None,
    white: Annotated[Path | None, typer.Option(help="White reference for all captures.")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Value that means a reflectance of 1, for cubes of reflectances.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Captures at once.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a set that was made otherwise.")
    ] = False,
) -> None:
    """Make paired NIR and RGB data from hyperspectral captures (extra: spectral)."""
    from nircolor.app.synthesize import run

    run(
        captures,
        output,
        bands_nm=_numbers(bands, "--bands") or (),
        fwhm_nm=fwhm,
        nearest=nearest,
        response=response,
        response_nm=_grid(response_nm),
        dark=dark,
        white=white,
        scale=scale,
        jobs=jobs,
        overwrite=overwrite,
    )


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page.")] = Path(
        "nircolor-demo"
    ),
    model: Model = "scene",
) -> None:
    """Colorize a simulated landscape and write a page that compares it with the true colours."""
    from nircolor.app.demo import run

    typer.echo(f"Open {run(output, model).resolve()} in a browser.")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def train(context: typer.Context) -> None:
    """Train from a recipe: --config recipes/scene.yaml [--resume] [--trainer.max_steps N …] (extra: train)"""
    from nircolor.extras import require

    require("lightning", extra="train", what="nircolor train")
    from nircolor.training.cli import train as run

    arguments = list(context.args)
    resume = "--resume" in arguments
    try:
        run([argument for argument in arguments if argument != "--resume"], resume=resume)
    except KeyboardInterrupt:
        typer.secho("interrupted; --resume goes on from the last checkpoint", err=True)
        sys.exit(130)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of `nircolor train`.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The model file: .onnx, or .safetensors for one that runs in PyTorch."
        ),
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in half precision, in half the space.")
    ] = False,
    saturation: Annotated[float, typer.Option(min=0, help="Gain on the colours' distance from gray.")] = 1.0,
    scores: Annotated[Path | None, typer.Option(help="JSON list of scores for the card.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
) -> None:
    """Make a model file of a checkpoint (extra: train)."""
    from nircolor.extras import require

    require("torch", extra="train", what="nircolor export")
    from nircolor.training.export import export as run

    done = run(checkpoint, output, half=half, saturation=saturation, scores=scores, overwrite=overwrite)
    rounding = (
        "" if done.rounding is None else f", half precision changes colours by up to {done.rounding:.1g}"
    )
    typer.echo(f"{output}: {done.card.name}, {output.stat().st_size / 1e6:.1f} MB{rounding}")


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2; ``--debug`` shows the traceback.

    Ctrl-C and SIGTERM end with exit code 130.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # wherever on the line it stands
    debug = "--debug" in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"])
    # OSError: what the system refuses before a image is at work, such as a folder that may not be entered
    except (NircolorError, OSError) as error:
        if debug:
            traceback.print_exception(error)
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise NircolorError(f"{option}: expected numbers with commas between, got {text!r}") from None


def _grid(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        first, last, step = (float(part) for part in text.split(":"))
    except ValueError:
        first, last, step = 0, 0, 0
    if not (0 < first < last and 0 < step <= last - first):
        raise NircolorError(f"--response-nm: expected FIRST:LAST:STEP in nm, got {text!r}")
    return first, last, step


def _pair(text: str | None, option: str) -> tuple[float, float] | None:
    numbers = _numbers(text, option)
    if numbers is None:
        return None
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= 100:
        raise NircolorError(f"{option}: expected two percentiles, low then high, got {text!r}")
    return numbers[0], numbers[1]
