"""All seeds, those of models and data sets, and the mutations that suit a file."""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fuzzing import containers, documents
from fuzzing.images import DRAWINGS, drawn, images
from fuzzing.mutations import Mutation, mutate_bytes, mutate_text
from fuzzing.seed import Seed
from fuzzing.side_files import capture, captures, envi, side_files
from fuzzing.tiff import mutate_tiff
from nircolor.modelfile import CARD_KEY, Band, Card, Licence, Size, write_safetensors


def mutation_for(name: str) -> tuple[Mutation, ...]:
    """Return the mutations that suit a file, by its name; the likelier ones are named several times."""
    lower = name.lower()
    if lower.endswith(
        (
            ".aux.xml",
            ".tfw",
            ".pgw",
            ".jgw",
            ".wld",
            ".prj",
            ".hdr",
            ".csv",
            ".yaml",
            ".rpb",
            ".txt",
            ".imd",
            ".xml",
        )
    ):
        return (mutate_text, mutate_text, mutate_text, mutate_bytes)
    by_suffix: dict[str, Mutation] = {
        ".png": containers.mutate_png,
        ".jpg": containers.mutate_jpeg,
        ".tif": mutate_tiff,
        ".msk": mutate_tiff,
        ".ovr": mutate_tiff,
        ".webp": containers.mutate_riff,
        ".jp2": containers.mutate_boxes,
        ".pgm": containers.mutate_pnm,
        ".ppm": containers.mutate_pnm,
        ".npy": containers.mutate_npy,
        ".json": documents.mutate_json,
        ".onnx": documents.mutate_onnx,
        ".safetensors": documents.mutate_safetensors,
    }
    special = by_suffix.get(Path(lower).suffix)
    return (mutate_bytes,) if special is None else (special, special, mutate_bytes)


def make_seeds(kinds: Sequence[str] = ()) -> list[Seed]:
    """Write the seeds of some kinds, or all; formats that this rasterio cannot write are left out."""
    with tempfile.TemporaryDirectory(prefix="nircolor-seeds-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeds = [
            seed
            for function, made in _GROUPS.items()
            # PyTorch and colour-science take seconds to import
            if not kinds or not made or set(made) & set(kinds)
            for seed in function(Path(folder))
        ]
    return [seed for seed in seeds if not kinds or seed.kind in kinds]


def tiny_card(engine: Literal["onnxruntime", "torch"] = "onnxruntime", **fields: Any) -> Card:
    """Return the card of a tiny model."""
    known: dict[str, Any] = {
        "name": "tiny",
        "summary": "for fuzzing",
        "bands": (Band(center_nm=850, fwhm_nm=250, tolerance_nm=125),),
        "encoding": "gamma",
        "licence": Licence(weights="none", training_data="none"),
        "architecture": "tiny",
        "arguments": {},
        "engine": engine,
        "size": Size(multiple_of=4, minimum=8, receptive_field_px=2),
        "bytes_per_px": 100.0,
        "multiply_adds_per_px": 10.0,
    }
    return Card(**known | fields)


def tiny_onnx() -> bytes:
    """Return an ONNX model of one 3 × 3 convolution with its card."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((3, 1, 3, 3), 1 / 9, np.float32), "weights")
    node = helper.make_node("Conv", ["nir", "weights"], ["rgb"], pads=[1, 1, 1, 1])
    nir, rgb = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", bands, "h", "w"])
        for name, bands in (("nir", 1), ("rgb", 3))
    )
    model = helper.make_model(
        helper.make_graph([node], "tiny", [nir], [rgb], [weights]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    helper.set_model_props(model, {CARD_KEY: tiny_card().model_dump_json()})
    return bytes(model.SerializeToString())


def _onnx_models(root: Path) -> Iterator[Seed]:  # noqa: ARG001
    yield Seed("onnx models", "tiny", "model", "a.onnx", {"a.onnx": tiny_onnx()})


def _safetensors_models(root: Path) -> Iterator[Seed]:
    from nircolor.models import build

    arguments = {"width": 2}
    network = build("unet", arguments)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    size = Size(
        multiple_of=network.multiple_of,
        minimum=network.minimum_px,
        receptive_field_px=network.receptive_field_px,
    )
    card = tiny_card("torch", architecture="unet", arguments=arguments, size=size)
    write_safetensors(tensors, root / "a.safetensors", card)
    content = (root / "a.safetensors").read_bytes()
    yield Seed("safetensors models", "unet", "model", "a.safetensors", {"a.safetensors": content})


_RECIPE = b"""base: base.yaml
bands:
  - {center_nm: 850, fwhm_nm: 250, tolerance_nm: 125}
sets:
  - class_path: nircolor.pairs.Folders
    init_args: {nir: nir, rgb: rgb, table: table.csv, drop_flagged: true}
  - class_path: nircolor.pairs.Folders
    init_args: {nir: rgb, rgb: nir, mask: mask, nir_scale: 255}
"""
_BASE = b"data: {sets: []}\nmodel: {a: &x [1, 2], b: *x}\n"
_TABLE = b"pair,group,split,flag\none,place1,train,0\ntwo,place2,test,1\n"


def _data_sets(root: Path) -> Iterator[Seed]:
    png = drawn(root, *DRAWINGS["png"]["gray"])
    files = {f"{folder}/{name}.png": png for folder in ("nir", "rgb", "mask") for name in ("one", "two")}
    files["table.csv"] = _TABLE
    yield Seed("recipes", "base", "recipe", "a.yaml", {"a.yaml": _RECIPE, "base.yaml": _BASE, **files})
    yield Seed("split tables", "table", "set", "table.csv", files)


def _manifests(root: Path) -> Iterator[Seed]:
    """A data set that was synthesized from a capture beside it."""
    from nircolor.spectral import synthesize

    files = capture("bil").files
    for name, content in files.items():
        (root / name).write_bytes(content)
    synthesize(root / "a.hdr", root / "made", bands_nm=(780, 850))
    for path in sorted((root / "made").rglob("*.*")):
        files[path.relative_to(root).as_posix()] = path.read_bytes()
    yield Seed("manifests", "made", "manifest", "made/manifest.json", files)


# functions that make seeds, and their kinds where these take long to make
_GROUPS: dict[Callable[[Path], Iterator[Seed]], tuple[str, ...]] = {
    images: (),
    side_files: (),
    envi: (),
    captures: (),
    _onnx_models: ("onnx models",),
    _safetensors_models: ("safetensors models",),
    _data_sets: ("recipes", "split tables"),
    _manifests: ("manifests",),
}
