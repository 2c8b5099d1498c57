"""Entry point of the command line.

Commands import slow packages inside their functions, so that ``nircolor --help`` is fast.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from nircolor import __version__
from nircolor.app import stopping, terminal
from nircolor.app.align import align
from nircolor.app.colorize import colorize
from nircolor.app.evaluate import evaluate
from nircolor.app.finetune import finetune
from nircolor.app.info import info, models
from nircolor.app.leaks import leaks
from nircolor.app.options import OutputFolder
from nircolor.app.serve import serve
from nircolor.app.synthesize import synthesize
from nircolor.app.terminal import printable
from nircolor.app.training import TRAIN_SETTINGS, export, train
from nircolor.app.usage import RUN, Command, Group, complete_model, in_one_line
from nircolor.errors import DiskFullError

app = typer.Typer(
    name="nircolor",
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    # plain text: rich's boxes take longer to import than all else that the help needs
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"nircolor {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def nircolor(
    context: typer.Context,
    # only for --help: `main` removes the option from the command line
    debug: Annotated[  # noqa: ARG001
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Colorize near-infrared images.

    \b
    nircolor colorize night.png -o night_colour.png
    nircolor colorize images/ -o colour/
    nircolor info night.png
    nircolor COMMAND --help
    """
    # here, because Typer sets a hook of its own when it is called
    terminal.hide_undecodable_messages()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def demo(
    output: OutputFolder = Path("nircolor-demo"),
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A model for one NIR band: scene, satellite-1band or the path of a model file.",
            rich_help_panel=RUN,
            autocompletion=complete_model,
        ),
    ] = "scene",
) -> None:
    """Colorize a simulated landscape and write a web page that compares the result with the true colours.

    \b
    nircolor demo
    nircolor demo -o page/ --model mine.onnx
    """
    from nircolor.app.demo import run

    terminal.show(f"Open {printable(str(run(output, model).resolve()))} in a browser.")


for title, functions in {
    "Colorize": (colorize, serve, models, info, demo),
    "Evaluate": (evaluate, leaks),
    "Train": (align, synthesize, finetune, train, export),
}.items():
    for function in functions:
        settings = TRAIN_SETTINGS if function is train else {}
        app.command(cls=Command, rich_help_panel=title, **settings)(function)


def main() -> None:
    """Run the command line.

    `nircolor.__main__` prepares the streams and signals before this module is imported.

    Exit codes: 0 for success; 1 if some files of a batch failed (for ``leaks``: if images are shared); 2 for
    any other error, reported in one line (``--debug`` adds the traceback); 130 after Ctrl-C, SIGTERM or
    SIGHUP; 141 if the reader of standard output has gone.
    """
    # rasterio imports it where it is installed, for a sixth of the time of all imports, and uses it for S3
    # only
    if find_spec("boto3") is not None:
        sys.modules.setdefault("boto3", _ImportedWhenUsed("boto3"))
    sys.exit(terminal.finish(_run()))


class _ImportedWhenUsed(ModuleType):
    """Stand-in for a package, which is imported when an attribute is read.

    `importlib.util.LazyLoader` imports the package already at the next ``import`` statement.
    """

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def _run() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(arguments, prog_name="nircolor", standalone_mode=False)
    except typer.Abort:
        return 130
    except SystemExit as error:
        code = error.code if isinstance(error.code, int | None) else 1
    except Exception as error:
        # Typer's exceptions for mistakes in the arguments have no common class in all its versions
        usage = hasattr(error, "format_message")
        if terminal.is_debug() and not usage:
            terminal.print_traceback(error)
        # a full disk ends a batch as a signal does
        note = stopping.note() if isinstance(error, DiskFullError) else ""
        terminal.print_error(in_one_line(error) if usage else f"{terminal.describe(error)}{note}")
        return 2
    return code if isinstance(code, int) else 0
