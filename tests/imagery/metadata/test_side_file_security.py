"""No file beside an image is opened by an arbitrary GDAL driver, and an image cannot name files to open.

Evidence: the kernel reports each file that is opened (inotify), and a local server counts requests. Plain
GDAL serves as the control: it opens what nircolor must not.
"""

import ctypes
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import rasterio

from nircolor.errors import NircolorError
from nircolor.imagery import image_size, open_raster
from tests.imagery.imagery_samples import noise, save, save_envi

Image = pytest.importorskip(
    "PIL.Image", reason="Pillow writes a TIFF of several pages; it comes with matplotlib"
)

SHAPE = (64, 64)
ENDINGS = {
    **{"GTiff": ".tif", "PNG": ".png", "JPEG": ".jpg", "ENVI": ".raw", "BMP": ".bmp", "PNM": ".pgm"},
    **{"JP2OpenJPEG": ".jp2", "WEBP": ".webp", "NumPy": ".npy", "pages": ".tif"},
}
SIDE_FILES = [
    *("{name}.msk", "{name}.MSK", "{name}.ovr", "{name}.aux.xml", "{name}.aux", "{name}.xml", "{stem}.xml"),
    *("{stem}.aux", "{stem}.rrd", "{stem}.tab", "{stem}.wld", "{stem}.tfw", "{stem}.pgw", "{stem}.jgw"),
    *("{stem}.prj", "{stem}.rpb", "{stem}_RPC.TXT", "{stem}.IMD", "{stem}.sta", "{stem}_MTL.txt"),
    "METADATA.DIM",
]


def vrt(source: str) -> str:
    """Return a VRT with one band of `SHAPE`, read from `source`."""
    return (
        f'<VRTDataset rasterXSize="{SHAPE[1]}" rasterYSize="{SHAPE[0]}">'
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )


def image(folder: Path, driver: str, **tags: str) -> Path:
    """Write a gray image; return what a user would name."""
    pixels = noise(1, *SHAPE)
    if driver == "ENVI":
        return save_envi(folder, pixels, "image")
    path = folder / f"image{ENDINGS[driver]}"
    if driver == "WEBP":
        return save(path, np.repeat(pixels, 3, axis=0), driver)
    if driver == "NumPy":
        np.save(path, pixels[0])
        return path
    if driver == "pages":
        pages = [Image.fromarray(page) for page in noise(3, *SHAPE)]
        pages[0].save(path, save_all=True, append_images=pages[1:])
        return path
    return save(path, pixels, driver, setup=lambda dataset: dataset.update_tags(ns="OVERVIEWS", **tags))


def read_all(path: Path, pages: bool = False) -> None:
    """Read all that commands read of an image: size, metadata, pixels, masks, a view."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image_size(path)
        named = {"bands_nm": [750, 850, 950]} if pages else {}
        with open_raster(path, **named) as raster:
            raster.read()
            raster.read(out_shape=(8, 8))


def read_all_with_gdal(path: Path) -> None:
    data = path.with_suffix(".raw") if path.suffix == ".hdr" else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.Env(), rasterio.open(data) as dataset:
            dataset.read(masked=True)
            dataset.overviews(1)


@contextmanager
def opened_names(folder: Path) -> Iterator[set[str]]:
    """Collect the names of files in `folder` that are opened in the block, by the kernel's report."""
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is part of Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert watch >= 0
    names: set[str] = set()
    try:
        assert libc.inotify_add_watch(watch, bytes(folder), 0x20) >= 0  # IN_OPEN
        yield names
        report = b""
        while True:
            try:
                report += os.read(watch, 1 << 16)
            except BlockingIOError:
                break
        while report:
            length = struct.unpack("=12xI", report[:16])[0]
            if length:  # else the folder itself
                names.add(report[16 : 16 + length].rstrip(b"\0").decode())
            report = report[16 + length :]
    finally:
        os.close(watch)


# a process of its own: GDAL holds Python's lock while it waits for an answer
_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, file=open(sys.argv[1], "a"), flush=True)
        self.send_error(404)
    do_HEAD = do_GET
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Server(NamedTuple):
    """A local server: its address, and the file that lists the requests."""

    url: str
    log: Path

    @property
    def requests(self) -> list[str]:
        return self.log.read_text().split()


@pytest.fixture
def server(tmp_path_factory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "requests"
    log.touch()
    command = [sys.executable, "-c", _SERVER, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}", log)
        process.kill()


@pytest.mark.parametrize("driver", ENDINGS)
def test_side_files_open_no_other_file(tmp_path, driver):
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    path = image(folder, driver)
    save(elsewhere / "secret.tif", noise(1, *SHAPE))
    data = path.with_suffix(".raw") if driver == "ENVI" else path
    for name in SIDE_FILES:
        side = folder / name.format(name=data.name, stem=data.stem)
        side.write_text(vrt(str(elsewhere / "secret.tif")))
    with opened_names(elsewhere) as opened:
        read_all(path, driver == "pages")
    assert opened == set()
    if driver == "NumPy":  # unknown to GDAL
        return
    with opened_names(elsewhere) as opened:
        read_all_with_gdal(path)
    assert opened == {"secret.tif"}


@pytest.mark.parametrize("driver", ENDINGS)
def test_side_files_make_no_request(tmp_path, driver, server):
    path = image(tmp_path, driver)
    data = path.with_suffix(".raw") if driver == "ENVI" else path
    for name in SIDE_FILES:
        side = tmp_path / name.format(name=data.name, stem=data.stem)
        side.write_text(vrt(f"/vsicurl/{server.url}/{side.name}.tif"))
    read_all(path, driver == "pages")
    assert server.requests == []
    if driver == "NumPy":  # unknown to GDAL
        return
    with suppress(rasterio.errors.RasterioError):
        read_all_with_gdal(path)
    assert server.requests


@pytest.mark.timeout(10)
@pytest.mark.parametrize("driver", ENDINGS)
def test_side_files_that_are_pipes_do_not_block(tmp_path, driver):
    path = image(tmp_path, driver)
    data = path.with_suffix(".raw") if driver == "ENVI" else path
    for name in SIDE_FILES:
        os.mkfifo(tmp_path / name.format(name=data.name, stem=data.stem))
    if driver == "ENVI":
        with pytest.raises(NircolorError, match=r"image.sta: expected a file"):
            read_all(path)
        (tmp_path / "image.sta").unlink()
    read_all(path, driver == "pages")  # one that waits for the pipe fails by the time limit of tests


def test_a_tiff_cannot_name_overviews(tmp_path, server):
    outside = tmp_path / "outside.vrt"
    outside.write_text(vrt(f"/vsicurl/{server.url}/a.tif"))
    path = image(tmp_path, "GTiff", OVERVIEW_FILE=str(outside))
    with opened_names(tmp_path) as opened, pytest.raises(NircolorError, match="OVERVIEW_FILE"):
        read_all(path)
    assert opened == {"image.tif"}
    assert server.requests == []
    with opened_names(tmp_path) as opened, suppress(rasterio.errors.RasterioError):
        read_all_with_gdal(path)
    assert "outside.vrt" in opened
    assert server.requests


def test_names_with_commas_and_percent_signs_are_opened(tmp_path):
    for name in ("a,b.tif", "0,1_2,3.tif", "50%20.tif", "a b#c?d.tif", "ä.tif"):
        pixels = noise(1, 5, 6)
        with open_raster(save(tmp_path / name, pixels)) as raster:
            assert np.array_equal(np.rint(raster.read()[0] * 255), pixels)
