"""Seeds: images with files beside them, ENVI files, and captures with references."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio

from fuzzing.images import DRAWINGS, HEIGHT, WIDTH, drawn, pixels
from fuzzing.mutations import BLOBS
from fuzzing.seed import Seed

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


_RPB = (
    b'satId = "WV02";\nbandId = "P";\nSpecId = "RPC00B";\nBEGIN_GROUP = IMAGE\n\terrBias = 1;\n'
    b"\terrRand = 0;\n"
    b"\tlineOffset = 12;\n\tsampOffset = 10;\n\tlatOffset = 48;\n\tlongOffset = 11;\n\theightOffset = 100;\n"
    b"\tlineScale = 12;\n\tsampScale = 10;\n\tlatScale = 1;\n\tlongScale = 1;\n\theightScale = 100;\n"
    + b"".join(
        b"\t%s = (\n%s);\n" % (name, b",\n".join(b"\t\t\t%d" % (i == 1) for i in range(20)))
        for name in (b"lineNumCoef", b"lineDenCoef", b"sampNumCoef", b"sampDenCoef")
    )
    + b"END_GROUP = IMAGE\nEND;\n"
)
_MTL = (
    b'GROUP = LANDSAT_METADATA_FILE\n  GROUP = PRODUCT_CONTENTS\n    PROCESSING_LEVEL = "L2SP"\n'
    b"  END_GROUP = PRODUCT_CONTENTS\n  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\n"
    b"    REFLECTANCE_MULT_BAND_5 = 2.75e-05\n    REFLECTANCE_ADD_BAND_5 = -0.2\n"
    b"  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS\nEND_GROUP = LANDSAT_METADATA_FILE\nEND\n"
)


def side_files(root: Path) -> Iterator[Seed]:
    """Images with files beside them that state a georeference, masks, overviews or scales."""
    tif = drawn(root, ".tif", (1, "uint16", None, {}))
    png, jpeg = (drawn(root, *DRAWINGS[kind]["gray"]) for kind in ("png", "jpeg"))
    mask = drawn(root, ".tif", (1, "uint8", None, {"NBITS": "1"}))
    half = drawn(root, ".tif", (1, "uint16", None, {"compress": "deflate"}))
    hdr = b"ENVI\nsamples = 20\nlines = 24\nbands = 1\ndata type = 12\ninterleave = bsq\nbyte order = 0\n"
    for entry, content, world in (("a.tif", tif, "a.tfw"), ("a.png", png, "a.pgw"), ("a.jpg", jpeg, "a.jgw")):
        for name, others in (
            ("aux", {f"{entry}.aux.xml": _AUX}),
            ("world", {world: _WORLD, "a.prj": _PRJ}),
            ("mask", {f"{entry}.msk": mask}),
            ("overview", {f"{entry}.ovr": half}),
            ("virtual mask", {f"{entry}.msk": BLOBS[0], f"{entry}.aux.xml": _AUX}),
            ("virtual overview", {f"{entry}.ovr": BLOBS[1], f"{entry}.msk": BLOBS[1]}),
            ("foreign header", {"a.hdr": hdr, f"{entry}.wld": _WORLD, "a.wld": _WORLD}),
            ("RPB", {"a.RPB": _RPB, "a.IMD": _IMD, "a.xml": BLOBS[3]}),
            ("RPC", {"a_rpc.txt": _RPC_TXT}),
        ):
            yield Seed("sidecars", f"{entry} {name}", "image", entry, {entry: content, **others})
    landsat = "LC09_L2SP_193027_20240501_20240502_02_T1_"
    band = f"{landsat}SR_B5.TIF"
    yield Seed("sidecars", "Landsat", "image", band, {band: tif, f"{landsat}MTL.txt": _MTL})


def envi(root: Path) -> Iterator[Seed]:  # noqa: ARG001
    """ENVI files of all interleaves and several types."""
    kinds = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12, "uint32": 13}
    place = "map info = {UTM, 1, 1, 500000, 5000000, 10, 10, 33, North, WGS-84, units=Meters}"
    names = "band names = {Red (660 nm), NIR (850 nm)}\nfwhm = {10, 12}\nbbl = {1, 0}"
    names += "\nwavelength = {660, 850}\nwavelength units = Nanometers"
    scaled = "reflectance scale factor = 10000\ndata ignore value = 0\ndescription = {\n a; b = c\n d}"
    micrometers = "wavelength = {\n0.66, 0.75,\n 0.85}\nwavelength units = Micrometers"
    gains = "sensor type = Unknown\ndata gain values = {0.1}\ndata offset values = {0}"
    text = "header offset = 16\ncoordinate system string = {" + _PRJ.decode() + "}"
    for name, dtype, bands, interleave, entry, data, more in (
        ("bsq", "uint16", 2, "bsq", "a.hdr", "a.raw", f"{names}\n{scaled}\n{place}"),
        ("bil", "float32", 3, "bil", "a.hdr", "a.img", micrometers),
        ("bip", "uint8", 1, "bip", "a.hdr", "a.dat", "default bands = {1}\nclass names = {a, b}"),
        ("no extension", "int16", 1, "bsq", "a.hdr", "a", gains),
        ("other extension", "int16", 1, "bsq", "a.hdr", "a.hyspex", gains),
        ("offset", "float64", 1, "bil", "a.hdr", "a.raw", text),
        ("data file", "uint32", 1, "bsq", "a.raw", "a.raw", place),
        ("long name", "uint8", 2, "bsq", "a.raw.hdr", "a.raw", names),
    ):
        header = (
            f"ENVI\nsamples = {WIDTH}\nlines = {HEIGHT}\nbands = {bands}\n"
            f"file type = ENVI Standard\ndata type = {kinds[dtype]}\ninterleave = {interleave}\n"
            f"byte order = 0\n{more}\n"
        )
        samples = b"\0" * 16 * (name == "offset") + pixels(bands, dtype).tobytes()
        files = {entry if entry.endswith(".hdr") else "a.hdr": header.encode(), data: samples}
        yield Seed("envi", name, "image", entry, files)


def captures(root: Path) -> Iterator[Seed]:  # noqa: ARG001
    """Raw captures with dark and white references."""
    yield capture("bil")
    yield capture("bsq")


def capture(interleave: str) -> Seed:
    """Return a raw capture of 40 bands with dark and white references."""
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
