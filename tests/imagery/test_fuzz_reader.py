"""Mutated files give a raster or a `NircolorError`: no other exception, hang or large allocation."""

import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nircolor.errors import NircolorError
from nircolor.imagery import image_size, open_raster
from tests.imagery.imagery_samples import noise, save, save_envi

_FOLDER = Path(tempfile.mkdtemp(prefix="nircolor-fuzz-"))


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    import shutil

    shutil.rmtree(_FOLDER, ignore_errors=True)


def _seeds() -> dict[str, bytes]:
    def tags(dataset):
        dataset.update_tags(1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.842")
        dataset.scales = (0.0001,)

    made = {
        "gray.png": save(_FOLDER / "gray.png", noise(1, 40, 30), "PNG"),
        "deep.png": save(_FOLDER / "deep.png", noise(4, 20, 30, "uint16"), "PNG"),
        "gray.jpg": save(_FOLDER / "gray.jpg", noise(1, 40, 30), "JPEG"),
        "plain.tif": save(_FOLDER / "plain.tif", noise(1, 40, 30, "uint16"), nodata=3, setup=tags),
        "tiled.tif": save(
            _FOLDER / "tiled.tif", noise(3, 40, 30, "float32"), tiled=True, blockxsize=16, blockysize=16,
            compress="deflate", crs="EPSG:32633",
        ),
        "big.tif": save(_FOLDER / "big.tif", noise(1, 10, 10), bigtiff="YES"),
    }  # fmt: skip
    return {name: path.read_bytes() for name, path in made.items()}


_SEEDS = _seeds()
_HEADER = save_envi(
    _FOLDER, noise(2, 6, 5, "uint16"), wavelength="{842.4, 945}", wavelength_units="nm",
    map_info="{UTM, 1, 1, 500000, 4000000, 10, 10, 33, North, WGS-84}", data_ignore_value="0",
).read_bytes()  # fmt: skip

_edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4)


def _try(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_raster(path) as raster:
                assert image_size(path) == (raster.height, raster.width)
                rows, cols = min(raster.height, 64), min(raster.width, 64)
                values, valid = raster.read((0, rows, 0, cols), bands=[0])
                assert values.shape == (1, rows, cols)
                assert valid.shape == (rows, cols)
                assert np.isfinite(values).all()
                assert values.min() >= 0
                assert values.max() <= 1
        except NircolorError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", sorted(_SEEDS))
@settings(max_examples=60, deadline=5000, suppress_health_check=list(HealthCheck))
@given(edits=_edits, span=st.sampled_from([64, 400, 100_000]), cut=st.floats(0.2, 1))
def test_mutated_bytes(name, edits, span, cut):
    data = bytearray(_SEEDS[name])
    for place, value in edits:
        data[int(place * min(len(data), span))] = value
    data = data[: int(len(data) * cut)] if cut < 0.5 else data
    path = _FOLDER / f"mutant-{name}"
    path.write_bytes(data)
    _try(path)


@settings(max_examples=80, deadline=5000, suppress_health_check=list(HealthCheck))
@given(
    width=st.integers(0, 2**32 - 1), height=st.integers(0, 2**32 - 1),
    depth=st.integers(0, 255), colour=st.integers(0, 255), interlace=st.integers(0, 2),
)  # fmt: skip
def test_mutated_png_header_with_a_sound_checksum(width, height, depth, colour, interlace):
    data = bytearray(_SEEDS["gray.png"])
    data[16:29] = (
        width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, interlace])
    )
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path = _FOLDER / "mutant.png"
    path.write_bytes(data)
    _try(path)


@settings(max_examples=120, deadline=5000, suppress_health_check=list(HealthCheck))
@given(edits=_edits, line=st.integers(0, 12), value=st.text(max_size=12) | st.integers().map(str))
def test_mutated_envi_headers(edits, line, value):
    data = bytearray(_HEADER)
    for place, byte in edits:
        data[int(place * len(data))] = byte
    lines = data.decode("latin-1").split("\n")
    if line < len(lines) and "=" in lines[line]:
        lines[line] = lines[line].split("=")[0] + "= " + value
    (_FOLDER / "mutant.raw").write_bytes((_FOLDER / "cube.raw").read_bytes())
    path = _FOLDER / "mutant.hdr"
    path.write_bytes("\n".join(lines).encode("utf-8", errors="replace"))
    _try(path)
