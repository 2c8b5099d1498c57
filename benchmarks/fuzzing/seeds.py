"""Small valid inputs of every kind, from which the mutations start."""

import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine

from fuzzing import structures
from fuzzing.mutations import BLOBS, Mutation, mutate_bytes, mutate_text
from nircolor.modelfile import CARD_KEY, Band, Card, Licence, Size, write_safetensors

Target = Literal["image", "model", "recipe", "set", "capture", "manifest"]

HEIGHT, WIDTH = 24, 20
_UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}


@dataclass(frozen=True)
class Seed:
    """A valid input.

    Attributes:
        kind: Row of the report.
        name: Name among the seeds.
        target: What is run on it.
        entry: File or folder that is opened, below the folder of the case; "." for the folder.
        files: Content of each file.
    """

    kind: str
    name: str
    target: Target
    entry: str
    files: dict[str, bytes]


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
        ".png": structures.mutate_png,
        ".jpg": structures.mutate_jpeg,
        ".tif": structures.mutate_tiff,
        ".msk": structures.mutate_tiff,
        ".ovr": structures.mutate_tiff,
        ".webp": structures.mutate_riff,
        ".jp2": structures.mutate_boxes,
        ".pgm": structures.mutate_pnm,
        ".ppm": structures.mutate_pnm,
        ".npy": structures.mutate_npy,
        ".json": structures.mutate_json,
        ".onnx": structures.mutate_onnx,
        ".safetensors": structures.mutate_safetensors,
    }
    special = by_suffix.get(Path(lower).suffix)
    return (mutate_bytes,) if special is None else (special, special, mutate_bytes)


def make_seeds(kinds: Sequence[str] = ()) -> list[Seed]:
    """Write the seeds of some kinds, or all; formats that this rasterio cannot write are left out."""
    with tempfile.TemporaryDirectory(prefix="nircolor-seeds-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(folder)
        seeds = [*_images(root), *_models(root), *_data_sets(root)]
    return [seed for seed in seeds if not kinds or seed.kind in kinds]


def _pixels(bands: int, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    values = rng.random((bands, HEIGHT, WIDTH))
    return (
        values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)
    )


def _gdal(
    path: Path, pixels: NDArray[Any], driver: str, setup: Callable[[Any], None] | None = None, **options: Any
) -> None:
    """Write an image; `setup` may add metadata before it is closed."""
    bands, height, width = pixels.shape
    size = {"width": width, "height": height, "count": bands, "dtype": pixels.dtype.name}
    with rasterio.open(path, "w", driver=driver, **size, **options) as dataset:
        dataset.write(pixels)
        if setup is not None:
            setup(dataset)


def _images(root: Path) -> Iterator[Seed]:
    yield from _drawn(root, "png", ".png", "PNG", _PNG)
    yield from _drawn(root, "jpeg", ".jpg", "JPEG", _JPEG)
    yield from _drawn(root, "tiff", ".tif", "GTiff", _TIFF)
    yield from _drawn(
        root, "bmp", ".bmp", "BMP", {"gray": (1, "uint8", None, {}), "rgb": (3, "uint8", None, {})}
    )
    yield from _drawn(
        root, "pnm", ".pgm", "PNM", {"gray": (1, "uint8", None, {}), "deep": (1, "uint16", None, {})}
    )
    yield from _drawn(root, "pnm", ".ppm", "PNM", {"rgb": (3, "uint8", None, {})})
    yield from _drawn(
        root,
        "webp",
        ".webp",
        "WEBP",
        {"rgb": (3, "uint8", None, {"LOSSLESS": "YES"}), "lossy": (3, "uint8", None, {})},
    )
    yield from _drawn(
        root,
        "jp2",
        ".jp2",
        "JP2OpenJPEG",
        {"gray": (1, "uint8", None, {}), "deep": (1, "uint16", None, _UTM)},
    )
    for name, pixels in (
        ("gray", _pixels(1)[0]),
        ("float", _pixels(3, "float32")),
        ("deep", _pixels(1, "uint16")[0]),
    ):
        with (root / "a.npy").open("wb") as file:
            np.save(file, pixels)
        yield Seed("npy", name, "image", "a.npy", {"a.npy": (root / "a.npy").read_bytes()})
    png, jpeg = _read(root, "png", _PNG["gray"]), _read(root, "jpeg", _JPEG["gray"])
    block = structures.exif(Random(5))
    packet = b"XML:com.adobe.xmp\0\0\0\0\0" + structures.XMP
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + structures.XMP
    for name, kind, content in (
        ("exif", "jpeg", _with_segment(jpeg, b"Exif\0\0" + block)),
        ("xmp", "jpeg", _with_segment(jpeg, xmp)),
        ("exif", "png", png[:33] + structures.png_chunk(b"eXIf", block) + png[33:]),
        ("xmp", "png", png[:33] + structures.png_chunk(b"iTXt", packet) + png[33:]),
    ):  # fmt: skip
        entry = "a.jpg" if kind == "jpeg" else "a.png"
        yield Seed(kind, name, "image", entry, {entry: content})
    for order in "<>":
        yield Seed("tiff", f"pages{order}", "image", "a.tif", {"a.tif": _pages(order)})
    yield from _sidecars(root)
    yield from _envi()


_Drawing = tuple[int, str, Callable[[Any], None] | None, dict[str, Any]]


def _drawn(root: Path, kind: str, suffix: str, driver: str, drawings: dict[str, _Drawing]) -> Iterator[Seed]:
    """Write images with GDAL."""
    for name, drawing in drawings.items():
        try:
            content = _read(root, kind, drawing, suffix, driver)
        except rasterio.errors.RasterioError:
            continue
        yield Seed(kind, name, "image", f"a{suffix}", {f"a{suffix}": content})


def _read(root: Path, kind: str, drawing: _Drawing, suffix: str = "", driver: str = "") -> bytes:
    suffix, driver = suffix or {"png": ".png", "jpeg": ".jpg"}[kind], driver or kind.upper()
    bands, dtype, setup, options = drawing
    path = root / f"drawn{suffix}"
    path.unlink(missing_ok=True)
    with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"):
        _gdal(path, _pixels(bands, dtype), driver, setup, **options)
    return path.read_bytes()


def _tagged(dataset: Any) -> None:
    for band in dataset.indexes:
        dataset.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{0.5 + band / 10}")
        dataset.update_tags(band, wavelength=f"{500 + 100 * band}", wavelength_units="nm")
    dataset.descriptions = tuple(f"Band {band} ({500 + 100 * band} nm)" for band in dataset.indexes)
    dataset.scales, dataset.offsets = (0.0001,) * dataset.count, (-0.1,) * dataset.count
    dataset.update_tags(TIFFTAG_DATETIME="2024:05:01 10:00:00", QUANTIFICATION_VALUE="10000")
    dataset.update_tags(ns="xml:XMP", **{"xml:XMP": structures.XMP.decode()})


def _masked(dataset: Any) -> None:
    dataset.write_mask(_pixels(1, seed=3)[0] > 60)


def _with_palette(dataset: Any) -> None:
    dataset.write_colormap(1, {i: (i, 255 - i, i // 2, 255 if i else 0) for i in range(256)})


def _located(dataset: Any) -> None:
    points = [
        GroundControlPoint(row, col, 11 + col / 1000, 48 - row / 1000)
        for row, col in ((0, 0), (0, 20), (24, 0), (24, 20))
    ]
    dataset.gcps = (points, rasterio.CRS.from_epsg(4326))


def _with_rpcs(dataset: Any) -> None:
    dataset.rpcs = RPC(
        height_off=100, height_scale=100, lat_off=48, lat_scale=1, line_off=12, line_scale=12, long_off=11,
        long_scale=1, samp_off=10, samp_scale=10, err_bias=0, err_rand=0, line_den_coeff=[1.0, *[0.0] * 19],
        line_num_coeff=[0.0, 0.0, -1.0, *[0.0] * 17], samp_den_coeff=[1.0, *[0.0] * 19],
        samp_num_coeff=[0.0, 1.0, *[0.0] * 18],
    )  # fmt: skip


_TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16}
_PNG: dict[str, _Drawing] = {
    "gray": (1, "uint8", None, {}),
    "deep": (1, "uint16", None, {}),
    "alpha": (2, "uint8", None, {}),
    "rgba": (4, "uint16", None, {}),
    "palette": (1, "uint8", _with_palette, {}),
    "nodata": (1, "uint8", None, {"nodata": 7}),
}
_JPEG: dict[str, _Drawing] = {
    "gray": (1, "uint8", None, {}),
    "rgb": (3, "uint8", None, {}),
    "progressive": (1, "uint8", None, {"PROGRESSIVE": "ON"}),
    "cmyk": (4, "uint8", None, {}),
}
_TIFF: dict[str, _Drawing] = {
    "strips": (1, "uint16", _tagged, {"nodata": 3, **_UTM}),
    "tiled": (3, "float32", None, {"compress": "deflate", "predictor": 3, **_TILED, **_UTM}),
    "rgba": (4, "uint8", None, {"photometric": "RGB", "ALPHA": "YES"}),
    "bands": (5, "uint16", _tagged, {"interleave": "pixel", "compress": "lzw", "predictor": 2}),
    "planes": (3, "int16", None, {"interleave": "band", "compress": "packbits"}),
    "palette": (1, "uint8", _with_palette, {}),
    "big": (1, "uint8", _tagged, {"bigtiff": "YES"}),
    "motorola": (2, "uint32", None, {"ENDIANNESS": "BIG", "nodata": 0}),
    "jpeg": (3, "uint8", None, {"compress": "jpeg", "photometric": "YCBCR"}),
    "bits": (1, "uint16", None, {"NBITS": "12"}),
    "black": (1, "uint8", None, {"NBITS": "1", "compress": "CCITTFAX4", "photometric": "MINISWHITE"}),
    "masked": (1, "uint8", _masked, _TILED),
    "gcps": (1, "uint8", _located, {}),
    "rpcs": (1, "uint16", _with_rpcs, {}),
    "zstd": (1, "float64", None, {"compress": "zstd", "nodata": -9999}),
    "lerc": (1, "float32", None, {"compress": "lerc"}),
    "webp": (3, "uint8", None, {"compress": "webp"}),
    "cog": (1, "uint8", lambda dataset: dataset.build_overviews([2]), {**_TILED, **_UTM}),
}


def _pages(order: str) -> bytes:
    """Return a TIFF of three pages whose descriptions name wavelengths."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 0)
    link = 4
    for page in range(3):
        pixels = _pixels(1, seed=page).tobytes()
        text = b"%d nm\0" % (750 + 100 * page)
        at, words = len(data), len(data) + len(pixels)
        data += pixels + text + b"\0" * (len(text) % 2)
        entries = [(256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1),
                   (270, 2, len(text), words), (273, 4, 1, at), (277, 4, 1, 1), (278, 4, 1, HEIGHT),
                   (279, 4, 1, len(pixels))]  # fmt: skip
        start = len(data)
        data = data[:link] + struct.pack(order + "I", start) + data[link + 4 :]
        data += struct.pack(order + "H", len(entries))
        data += b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
        link = len(data)
        data += b"\0" * 4
    return data


def _with_segment(jpeg: bytes, content: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


# --------------------------------------------------------------------------------------------------- sidecars


_AUX = b"""<PAMDataset>
  <SRS dataAxisToSRSAxisMapping="1,2">EPSG:32633</SRS>
  <GeoTransform>5.0e+05, 10.0, 0.0, 5.0e+06, 0.0, -10.0</GeoTransform>
  <Metadata><MDI key="AREA_OR_POINT">Area</MDI></Metadata>
  <GCPList Projection="EPSG:4326"><GCP Id="1" Pixel="0" Line="0" X="11" Y="48" Z="0"/></GCPList>
  <PAMRasterBand band="1">
    <Description>NIR (850 nm)</Description><NoDataValue>7</NoDataValue><Offset>0</Offset><Scale>0.0001</Scale>
    <ColorInterp>Gray</ColorInterp><Metadata><MDI key="wavelength">850</MDI></Metadata>
    <Metadata domain="IMAGERY"><MDI key="CENTRAL_WAVELENGTH_UM">0.85</MDI></Metadata>
  </PAMRasterBand>
</PAMDataset>
"""
_WORLD = b"10.0\n0.0\n0.0\n-10.0\n500005.0\n4999995.0\n"
_PRJ = rasterio.CRS.from_epsg(32633).to_wkt().encode()
_RPC_TXT = "".join(
    f"{name}: {value}\n"
    for name, value in [
        *{"LINE_OFF": 12, "SAMP_OFF": 10, "LAT_OFF": 48, "LONG_OFF": 11, "HEIGHT_OFF": 100, "LINE_SCALE": 12,
          "SAMP_SCALE": 10, "LAT_SCALE": 1, "LONG_SCALE": 1, "HEIGHT_SCALE": 100}.items(),
        *((f"{kind}_COEFF_{i}", int(i == 1)) for kind in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")
          for i in range(1, 21)),
    ]
).encode()  # fmt: skip
_IMD = (
    b'version = "R";\nBEGIN_GROUP = IMAGE_1\n satId = "WV02";\n firstLineTime = 2020-01-01T00:00:00.0Z;\n'
    b"END_GROUP = IMAGE_1\nEND;\n"
)


def _sidecars(root: Path) -> Iterator[Seed]:
    tif = _read(root, "tiff", (1, "uint16", None, {}), ".tif", "GTiff")
    png, jpeg = _read(root, "png", _PNG["gray"]), _read(root, "jpeg", _JPEG["gray"])
    mask = _read(root, "tiff", (1, "uint8", None, {"NBITS": "1"}), ".tif", "GTiff")
    half = _read(root, "tiff", (1, "uint16", None, {"compress": "deflate"}), ".tif", "GTiff")
    hdr = b"ENVI\nsamples = 20\nlines = 24\nbands = 1\ndata type = 12\ninterleave = bsq\nbyte order = 0\n"
    vrt = BLOBS[0]
    for entry, content, world in (("a.tif", tif, "a.tfw"), ("a.png", png, "a.pgw"), ("a.jpg", jpeg, "a.jgw")):
        for name, others in (
            ("aux", {f"{entry}.aux.xml": _AUX}),
            ("world", {world: _WORLD, "a.prj": _PRJ}),
            ("mask", {f"{entry}.msk": mask}),
            ("overview", {f"{entry}.ovr": half}),
            ("virtual mask", {f"{entry}.msk": vrt, f"{entry}.aux.xml": _AUX}),
            ("virtual overview", {f"{entry}.ovr": BLOBS[1], f"{entry}.msk": BLOBS[1]}),
            ("foreign header", {"a.hdr": hdr, f"{entry}.wld": _WORLD, "a.wld": _WORLD}),
            ("satellite", {"a.RPB": _RPC_TXT, "a_rpc.txt": _RPC_TXT, "a.IMD": _IMD, "a.xml": BLOBS[3]}),
        ):
            yield Seed("sidecars", f"{entry} {name}", "image", entry, {entry: content, **others})


def _envi() -> Iterator[Seed]:
    kinds = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12, "uint32": 13}
    place = "map info = {UTM, 1, 1, 500000, 5000000, 10, 10, 33, North, WGS-84, units=Meters}"
    names = "band names = {Red (660 nm), NIR (850 nm)}\nfwhm = {10, 12}\nbbl = {1, 0}"
    names += "\nwavelength = {660, 850}\nwavelength units = Nanometers"
    scaled = "reflectance scale factor = 10000\ndata ignore value = 0\ndescription = {\n a; b = c\n d}"
    for name, dtype, bands, interleave, data, more in (
        ("bsq", "uint16", 2, "bsq", "a.raw", f"{names}\n{scaled}\n{place}"),
        (
            "bil",
            "float32",
            3,
            "bil",
            "a.img",
            "wavelength = {\n0.66, 0.75,\n 0.85}\nwavelength units = Micrometers",
        ),
        ("bip", "uint8", 1, "bip", "a.dat", "default bands = {1}\nbyte order = 1\nclass names = {a, b}"),
        (
            "other",
            "int16",
            1,
            "bsq",
            "a",
            "sensor type = Unknown\ndata gain values = {0.1}\ndata offset values = {0}",
        ),
        (
            "offset",
            "float64",
            1,
            "bil",
            "a.raw",
            "header offset = 16\ncoordinate system string = {" + _PRJ.decode() + "}",
        ),
    ):
        pixels = _pixels(bands, dtype).tobytes()
        header = (
            f"ENVI\nsamples = {WIDTH}\nlines = {HEIGHT}\nbands = {bands}\nheader offset = 0\n"
            f"file type = ENVI Standard\ndata type = {kinds[dtype]}\ninterleave = {interleave}\n"
            f"byte order = 0\n{more}\n"
        )
        if name == "offset":
            pixels += b"\0" * 16
        yield Seed("envi", name, "image", "a.hdr", {"a.hdr": header.encode(), data: pixels})
    yield Seed("envi", "data file", "image", "a.raw", {"a.hdr": header.encode(), "a.raw": pixels})
    for interleave in ("bil", "bsq"):
        yield _capture(interleave)


def _capture(interleave: str) -> Seed:
    """A raw capture of 40 bands with dark and white references."""
    bands = 40
    nm = ", ".join(f"{400 + 15 * i}" for i in range(bands))
    files = {}
    for prefix, level, lines in (("", 2000, 4), ("DARKREF_", 100, 2), ("WHITEREF_", 3500, 2)):
        values = np.random.default_rng(level).integers(level, level + 90, (bands, lines, 10)).astype("<u2")
        stored = values if interleave == "bsq" else values.transpose(1, 0, 2)
        header = (
            f"ENVI\nsamples = 10\nlines = {lines}\nbands = {bands}\ndata type = 12\n"
            f"interleave = {interleave}\nbyte order = 0\nwavelength units = nm\nwavelength = {{{nm}}}\n"
            f"tint = {2.0 if level > 3000 else 4.0}\n"
        )
        files[f"{prefix}a.hdr"] = header.encode()
        files[f"{prefix}a.raw"] = stored.tobytes()
    return Seed("captures", interleave, "capture", "a.hdr", files)


# --------------------------------------------------------------------------------------- models and data sets


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


def _models(root: Path) -> Iterator[Seed]:
    from nircolor.models import build

    yield Seed("onnx models", "tiny", "model", "a.onnx", {"a.onnx": tiny_onnx()})
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


def _data_sets(root: Path) -> Iterator[Seed]:
    png = _read(root, "png", _PNG["gray"])
    pixels = {f"{folder}/{name}.png": png for folder in ("nir", "rgb", "mask") for name in ("one", "two")}
    table = b"pair,group,split,flag\none,place1,train,0\ntwo,place2,test,1\n"
    recipe = b"""base: base.yaml
bands:
  - {center_nm: 850, fwhm_nm: 250, tolerance_nm: 125}
sets:
  - class_path: nircolor.pairs.Folders
    init_args: {nir: nir, rgb: rgb, table: table.csv, drop_flagged: true}
  - class_path: nircolor.pairs.Folders
    init_args: {nir: rgb, rgb: nir, mask: mask, nir_scale: 255}
"""
    files = {
        "a.yaml": recipe,
        "base.yaml": b"data: {sets: []}\nmodel: {a: &x [1, 2], b: *x}\n",
        "table.csv": table,
        **pixels,
    }
    yield Seed("recipes", "base", "recipe", "a.yaml", files)
    yield Seed("split tables", "table", "set", "table.csv", {"table.csv": table, **pixels})
    from nircolor.spectral import synthesize

    capture = _capture("bil").files
    for name, content in capture.items():
        (root / name).write_bytes(content)
    synthesize(root / "a.hdr", root / "made", bands_nm=(780, 850))
    made = {
        f"made/{path.relative_to(root / 'made')}": path.read_bytes()
        for path in sorted((root / "made").rglob("*.*"))
    }
    yield Seed("manifests", "made", "manifest", "made/manifest.json", {**capture, **made})
