"""Commands `nircolor train` and `nircolor export`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nircolor.app import stopping, terminal
from nircolor.errors import NircolorError

# all other arguments are passed to LightningCLI
TRAIN_SETTINGS: Final[dict[str, Any]] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}
}


def train(
    context: typer.Context,
    config: Annotated[
        list[str] | None,
        typer.Option(
            metavar="YAML",
            help="Recipe. The run is kept in runs/NAME for a recipe NAME.yaml.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint of the run.")
    ] = False,
    new: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML", help="Write a recipe to start from, with comments, instead of training."
        ),
    ] = None,
    like: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="Template for --new: pairs (two folders of images, a small U-Net), pairs-scene (the network "
            "of the model scene), captures (pairs by `nircolor synthesize`) or captures-camera.",
        ),
    ] = "pairs",
    all_options: Annotated[
        bool, typer.Option("--help-all", help="List all options, those of LightningCLI, and exit.")
    ] = False,
) -> None:
    """Train a network from a recipe (extra: train).

    Every key of the recipe can be overridden by an option, and all options of Lightning's Trainer are
    available: --help-all lists them.

    \b
    nircolor train --new mine.yaml
    nircolor train --config mine.yaml
    nircolor train --config mine.yaml --resume
    nircolor train --config mine.yaml --trainer.max_steps 1000
    """
    if new is not None and (config or resume or context.args):
        raise NircolorError(
            "--new: expected no other recipe and no options of a training, since nothing is trained"
        )
    if new is not None:
        from nircolor.training.templates import write_template

        path = write_template(new, like)
        command = f"nircolor train --config {terminal.shell_quoted(str(path))}"
        terminal.show(terminal.printable(f"{path}: fill in the texts and paths, then: {command}"))
        return
    from nircolor.app.console import show_warnings
    from nircolor.extras import require

    require("lightning", extra="train", what="nircolor train")
    from nircolor.training.cli import train_from_arguments as run

    arguments = [f"--config={recipe}" for recipe in config or []] + context.args
    if all_options:
        arguments.append("--help")
    stopping.raise_instead()
    terminal.show_libraries()
    try:
        with show_warnings(unit="images", options=False, others=True):
            run(arguments, resume=resume)
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
    scores: Annotated[
        Path | None, typer.Option(metavar="JSON", help="List of scores for the model card.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Take name, summary and licence from the card of this recipe, if they have changed since "
            "the training.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model file.")] = False,
) -> None:
    """Export a checkpoint as a model file (extra: train).

    \b
    nircolor export runs/mine/checkpoints/last.ckpt -o mine.onnx
    nircolor export runs/mine/checkpoints/last.ckpt -o mine.onnx --half
    """
    from nircolor.extras import require

    require("torch", extra="train", what="nircolor export")
    terminal.show_libraries()
    from nircolor.training.exporting import export as run

    done = run(
        checkpoint,
        output,
        half=half,
        scores=scores,
        recipe=recipe,
        overwrite=overwrite,
    )
    rounding = (
        "" if done.rounding is None else f", half precision changes colours by up to {done.rounding:.1g}"
    )
    terminal.show(
        f"{terminal.printable(str(output))}: {done.card.name}, {output.stat().st_size / 1e6:.1f} MB{rounding}"
    )
