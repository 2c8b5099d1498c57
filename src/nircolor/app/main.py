"""Entry point of the command line.

Commands import slow packages inside their functions, so that ``nircolor --help`` is fast.
"""

import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from nircolor import __version__
from nircolor.app.colorize import colorize
from nircolor.app.evaluate import evaluate
from nircolor.app.info import info, models
from nircolor.app.leaks import leaks
from nircolor.app.options import OutputFolder, ShippedModel
from nircolor.app.synthesize import synthesize
from nircolor.app.training import TRAIN_SETTINGS, export, train
from nircolor.errors import NircolorError

app = typer.Typer(
    name="nircolor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"nircolor {__version__}")
        raise typer.Exit


@app.callback()
def nircolor(
    # only for --help: `main` removes the option from the command line
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Colorize near-infrared images.

    \b
    nircolor colorize night.png -o night_colour.png
    nircolor colorize images/ -o colour/
    """


def demo(output: OutputFolder = Path("nircolor-demo"), model: ShippedModel = "scene") -> None:
    """Colorize a simulated landscape and write a web page that compares the result with the true colours."""
    from nircolor.app.demo import run

    typer.echo(f"Open {run(output, model).resolve()} in a browser.")


app.command(rich_help_panel="Colorize")(colorize)
app.command(rich_help_panel="Colorize")(models)
app.command(rich_help_panel="Colorize")(info)
app.command(rich_help_panel="Colorize")(demo)
app.command(rich_help_panel="Evaluate")(evaluate)
app.command(rich_help_panel="Evaluate")(leaks)
app.command(rich_help_panel="Train")(synthesize)
app.command(rich_help_panel="Train", **TRAIN_SETTINGS)(train)
app.command(rich_help_panel="Train")(export)


def main() -> None:
    """Run the command line.

    Exit codes: 0 for success; 1 if some files of a batch failed (for ``leaks``: if images are shared); 2 for
    any other error, reported in one line (``--debug`` adds the traceback); 130 after Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # accepted anywhere on the command line, not only before the command
    debug = "--debug" in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != "--debug"])
    # OSError: raised before an image is processed, for example for a folder without read permission
    except (NircolorError, OSError) as error:
        if debug:
            traceback.print_exception(error)
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
