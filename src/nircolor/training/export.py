"""From a checkpoint to a model file: the averaged weights, the network as ONNX, the card inside."""

import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nircolor.errors import NircolorError
from nircolor.modelfile import CARD_KEY, Card, Context, Score, Size, open_session
from nircolor.models.scene import Scene
from nircolor.training.module import SceneTraining

# smaller constants are not worth a Cast node
_HALF_FROM_ELEMENTS = 256


def export(
    checkpoint: Path,
    output: Path,
    *,
    saturation: float = 1.0,
    scores: Path | None = None,
    overwrite: bool = False,
) -> Card:
    """Write the checkpoint's network as ``output``, weights in half precision, with a card.

    Args:
        checkpoint: of `nircolor train`.
        output: the model file.
        saturation: gain on the colours' distance from gray; see `Scene.saturate`.
        scores: JSON list of `modelfile.Score`, for the card.
        overwrite: replace a model that is there.

    Raises:
        NircolorError: no checkpoint or scores, a card that is not one, an output that is there already, or
            the written file computes something else.
    """
    if not checkpoint.is_file():
        raise NircolorError(f"{checkpoint}: no such checkpoint")
    if output.exists() and not overwrite:
        raise NircolorError(f"{output}: exists already; it is replaced only with --overwrite")
    table = _read_scores(scores)
    try:
        module = SceneTraining.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    # torch, pickle and Lightning each have their own for a file that is no checkpoint of ours
    except Exception as error:
        raise NircolorError(f"{checkpoint}: expected a checkpoint of `nircolor train` ({error})") from error
    network = module.network.eval()
    network.saturate(saturation)
    # what will be stored is what is compared below
    network.load_state_dict({key: value.half().float() for key, value in network.state_dict().items()})

    graph = _to_onnx(network)
    _halve_weights(graph)
    partial = output.with_name(f".{output.name}.part")
    try:
        card = _card(network, module, checkpoint, table)
        _save(graph, card, partial)
        card = card.model_copy(update={"bytes_per_px": _measure_bytes_per_px(partial)})
        _save(graph, card, partial)
        _check_parity(network, partial, output)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return card


def _read_scores(path: Path | None) -> tuple[Score, ...]:
    if path is None:
        return ()
    try:
        return TypeAdapter(tuple[Score, ...]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise NircolorError(f"{path}: expected a JSON list of scores ({error})") from error


def _card(network: Scene, module: SceneTraining, checkpoint: Path, scores: tuple[Score, ...]) -> Card:
    about = module.hparams.get("about") or {}
    try:
        return Card(
            **about,
            architecture="scene",
            arguments=module.hparams["network"] or {},
            size=Size(
                multiple_of=network.multiple_of, minimum=network.multiple_of, reach_px=network.reach_px
            ),
            context=Context(size_px=network.context_px),
            # measured on the written file
            bytes_per_px=1.0,
            multiply_adds_per_px=_multiply_adds_per_px(network),
            scores=scores,
        )
    except (TypeError, ValidationError) as error:
        raise NircolorError(
            f"{checkpoint}: its recipe's model.init_args.about does not make a card ({error})"
        ) from error


def _inputs(network: Scene, height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    view = torch.rand(batch, 1, network.context_px, network.context_px, generator=generator)
    edges = torch.tensor([0.1, 0.6, 0.2, 0.9])[None, :, None, None].expand(batch, 4, *view.shape[2:])
    return torch.rand(batch, 1, height, width, generator=generator), torch.cat([view, edges], 1)


def _to_onnx(network: Scene) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=1024)
    rows, columns = (torch.export.Dim(side, min=1, max=4096) for side in ("rows", "columns"))
    multiple = network.multiple_of
    program = torch.onnx.export(
        network,
        _inputs(network, 8 * multiple, 10 * multiple, batch=2),
        input_names=["nir", "context"],
        output_names=["rgb"],
        dynamo=True,
        dynamic_shapes=({0: batch, 2: multiple * rows, 3: multiple * columns}, {0: batch}),
        opset_version=18,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _halve_weights(graph: onnx.ModelProto) -> None:
    """Store large weights as float16 behind a Cast, which the engine folds when it loads them."""
    casts = []
    for weight in graph.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _HALF_FROM_ELEMENTS:
            continue
        name, stored = weight.name, f"{weight.name}_half"
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)


def _save(graph: onnx.ModelProto, card: Card, path: Path) -> None:
    # traces of the exporter: source lines and paths of the machine it ran on
    for part in (
        graph.graph,
        *graph.graph.node,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.value_info,
    ):
        del part.metadata_props[:]
    del graph.metadata_props[:]
    graph.doc_string = ""
    helper.set_model_props(graph, {CARD_KEY: card.model_dump_json()})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _multiply_adds_per_px(network: Scene) -> float:
    """Of the part that grows with the picture: the difference between two tile sizes."""

    def count(side: int) -> int:
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network(*_inputs(network, side, side))
        return counter.get_total_flops() // 2

    small, large = 16 * network.multiple_of, 32 * network.multiple_of
    return round((count(large) - count(small)) / (large**2 - small**2), 1)


def _measure_bytes_per_px(path: Path) -> float:
    """Peak memory of a tile over that of a small one, per pixel, each in a process of its own."""
    small, large = 256, 1024
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = pool.map(_Peak(path), [small, large], chunksize=1)
    # a small network hides in the noise; the tile and its colour alone are four floats
    return max(16.0, round((peaks[1] - peaks[0]) / (large**2 - small**2), 1))


class _Peak:
    """Peak resident memory in bytes of one call at a side; a class since closures do not travel."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, side: int) -> int:
        session, card = open_session(self.path)
        assert card.context is not None
        context = np.zeros((1, 5, card.context.size_px, card.context.size_px), np.float32)
        session.run(None, {"nir": np.zeros((1, 1, side, side), np.float32), "context": context})
        return _peak_bytes()


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # unlike getrusage's, this peak begins anew with the process: ours was begun by one that holds PyTorch
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    # macOS; not on Windows, where training is for WSL
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _check_parity(network: Scene, written: Path, output: Path) -> None:
    session, _ = open_session(written)
    nir, context = _inputs(network, 10 * network.multiple_of, 6 * network.multiple_of)
    with torch.no_grad():
        expected = network(nir, context).numpy()
    got = session.run(None, {"nir": nir.numpy(), "context": context.numpy()})[0]
    difference = float(np.abs(got - expected).max())
    if not difference < 1e-4:
        raise NircolorError(
            f"{output}: the exported network differs from the trained one by {difference:.2g}"
        )
