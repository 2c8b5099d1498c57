"""Commands `nircolor train` and `nircolor export`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nircolor.app import stopping, terminal

# all arguments are passed to LightningCLI, including --help
TRAIN_SETTINGS: Final[dict[str, Any]] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    "add_help_option": False,
}


def train(context: typer.Context) -> None:
    """Train a network from a recipe (extra: train).

    The arguments are those of LightningCLI; --help lists them. --resume continues from the last checkpoint.

    \b
    nircolor train --config recipes/scene.yaml
    nircolor train --config recipes/scene.yaml --resume
    nircolor train --config recipes/scene.yaml --trainer.max_steps 1000
    """
    from nircolor.app.console import show_warnings
    from nircolor.extras import require

    require("lightning", extra="train", what="nircolor train")
    from nircolor.training.cli import train_from_arguments as run

    arguments = list(context.args)
    resume = "--resume" in arguments
    stopping.raise_instead()
    terminal.show_libraries()
    try:
        with show_warnings(unit="images", options=False, others=True):
            run([argument for argument in arguments if argument != "--resume"], resume=resume)
    except KeyboardInterrupt:
        typer.secho("interrupted; --resume continues from the last checkpoint", err=True)
        sys.exit(130)


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint written by `nircolor train`.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Model file: .onnx to run without PyTorch, .safetensors to run or fine-tune in PyTorch.",
        ),
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in half precision: half the file size.")
    ] = False,
    saturation: Annotated[
        float,
        typer.Option(min=0, help="Factor applied to the colours' distance from gray; 1 changes nothing."),
    ] = 1.0,
    scores: Annotated[
        Path | None, typer.Option(metavar="JSON", help="List of scores for the model card.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model file.")] = False,
) -> None:
    """Export a checkpoint as a model file (extra: train).

    \b
    nircolor export runs/scene/last.ckpt -o scene.onnx --half
    """
    from nircolor.extras import require

    require("torch", extra="train", what="nircolor export")
    terminal.show_libraries()
    from nircolor.training.exporting import export as run

    done = run(checkpoint, output, half=half, saturation=saturation, scores=scores, overwrite=overwrite)
    rounding = (
        "" if done.rounding is None else f", half precision changes colours by up to {done.rounding:.1g}"
    )
    typer.echo(f"{output}: {done.card.name}, {output.stat().st_size / 1e6:.1f} MB{rounding}")
