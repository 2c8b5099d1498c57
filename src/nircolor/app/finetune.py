"""Command `nircolor finetune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nircolor.app import terminal
from nircolor.app.options import SET_FORMATS, Json, Quiet, SplitTable, parse_numbers
from nircolor.app.usage import IN, OUT, RUN, complete_model, whole
from nircolor.texts import count_of

if TYPE_CHECKING:
    from nircolor.training.finetuning import FineTuned


def finetune(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Shipped model (see `nircolor models`) or model file to start from.",
            autocompletion=complete_model,
        ),
    ],
    pairs: Annotated[
        str, typer.Argument(metavar="PAIRS", help=f"Five or more registered pairs: {SET_FORMATS}.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Model file: .onnx to run without PyTorch, .safetensors to run or fine-tune in PyTorch.",
            rich_help_panel=OUT,
        ),
    ],
    bands: Annotated[
        str | None,
        typer.Option(
            "--bands",
            metavar="NM,…",
            help="Wavelengths of the near-infrared bands that the new model takes. Default: those of MODEL.",
            rich_help_panel=IN,
        ),
    ] = None,
    holdout: Annotated[
        int | None,
        typer.Option(
            "--holdout",
            parser=whole(2),
            metavar="N",
            help="Number of pairs to hold out for the scores. Default: a fifth, at least 2.",
            rich_help_panel=RUN,
        ),
    ] = None,
    order: Annotated[
        Literal["time", "name"] | None,
        typer.Option(
            "--order",
            help="Hold out the last pairs by EXIF date, or by name. Default: by date if the files have one.",
            rich_help_panel=RUN,
        ),
    ] = None,
    table: SplitTable = None,
    steps: Annotated[
        int,
        typer.Option(
            "--steps",
            parser=whole(1),
            metavar="N",
            help="Largest number of training steps.",
            rich_help_panel=RUN,
        ),
    ] = 200,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing model file.", rich_help_panel=OUT)
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to a few pairs of your own camera (extras: train and evaluate).

    Some pairs are held out and scored before and after. A model that did not get better is not written.

    \b
    nircolor finetune scene pairs/ -o my-model.onnx
    nircolor finetune satellite pairs/ --bands 740,842 -o my-model.onnx
    nircolor colorize night/ -m my-model.onnx -o colour/
    """
    from nircolor.extras import require

    for package in ("torch", "lightning", "onnx", "skimage", "yaml"):
        require(package, extra="train,evaluate", what="nircolor finetune")
    terminal.show_libraries()
    from nircolor.app.console import ProgressBar, conclude, show_warnings
    from nircolor.training.finetuning import NotBetterError
    from nircolor.training.finetuning import finetune as run

    try:
        with (
            show_warnings(unit="images", options=False, quiet=quiet),
            ProgressBar("steps", quiet=quiet) as bar,
        ):
            result = run(
                model,
                pairs,
                output,
                bands_nm=parse_numbers(bands, "--bands"),
                holdout=holdout,
                order=order,
                table=table,
                steps=steps,
                overwrite=overwrite,
                on_progress=bar.update,
            )
    except NotBetterError as error:
        _report(error.result, as_json)
        raise
    _report(result, as_json)
    trained_on = count_of(len(result.trained_on), "pair")
    conclude(
        f"{trained_on}, {count_of(result.steps, 'step')} of training -> {output}",
        result.failures,
        quiet=quiet,
    )


def _report(result: "FineTuned", as_json: bool) -> None:
    """Print the scores of the pairs held out."""
    if as_json:
        from nircolor.app.console import print_json

        print_json(record(result))
        return
    how = "named by the table" if result.order is None else f"the last by {result.order}"
    width = max(len(terminal.printable(one.name)) for one in result.held_out)
    width = max(width, len("mean"))
    lines = [
        f"{count_of(len(result.held_out), 'pair')} held out ({how}), {result.base} -> fine-tuned:",
        f"{'':{width}}       PSNR, dB            SSIM     angular error, °",
    ]
    means = result.means()
    rows = [(one.name, one.before, one.after) for one in result.held_out]
    for name, before, after in [*rows, ("mean", *means)]:
        cells = [
            f"{before.psnr_db:5.2f} -> {after.psnr_db:5.2f}",
            f"{before.ssim:.3f} -> {after.ssim:.3f}",
            f"{before.angular_error_deg:5.2f} -> {after.angular_error_deg:5.2f}",
        ]
        lines.append("  ".join([f"{terminal.printable(name):{width}}", *cells]))
    terminal.show("\n".join(lines))


def record(result: "FineTuned") -> dict[str, Any]:
    """Return a result as plain data, for JSON."""
    before, after = result.means()
    return {
        "base": result.base,
        "model": None if result.card is None else result.card.name,
        "steps": result.steps,
        "trained_on": result.trained_on,
        "held_out_by": result.order or "table",
        "held_out": [
            {"name": one.name, "before": one.before._asdict(), "after": one.after._asdict()}
            for one in result.held_out
        ],
        "before": before._asdict(),
        "after": after._asdict(),
        "failures": [{"path": str(path), "error": str(error)} for path, error in result.failures],
    }
