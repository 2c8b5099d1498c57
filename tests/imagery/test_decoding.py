"""Images are decoded once where the format allows it, and gray is decided from all pixels."""

import warnings

import numpy as np
import pytest

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import image_size, open_raster
from nircolor.imagery.stored import StoredImage
from tests.imagery.imagery_samples import (
    load,
    noise,
    png_bytes,
    save,
    save_envi,
    tiff_bytes,
    with_exif_orientation,
)

# more than a megapixel, which is not sampled as a whole; bright, and of few bits to be compressed quickly
_GRAY = np.repeat(noise(1, 1300, 1100, "uint16") & 7 | 0x8000, 3, axis=0)
_STORAGE = {
    "strips": ("GTiff", {}),
    "one strip": ("GTiff", {"blockysize": 1300}),
    "tiles": ("GTiff", {"tiled": True, "blockxsize": 256, "blockysize": 256}),
    "planes": ("GTiff", {"interleave": "band"}),
    "png": ("PNG", {"zlevel": 1}),
}


def _overwrite_pixels(path):
    """Overwrite all but the header of an open file, so that decoding it again fails or gives other values."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(200)
        file.write(bytes(size - 200))


@pytest.mark.parametrize("name", _STORAGE)
@pytest.mark.parametrize(("row", "col"), [(100, 0), (700, 555), (1200, 1099)])
def test_one_coloured_pixel_anywhere_makes_a_colour_photograph(tmp_path, name, row, col):
    driver, options = _STORAGE[name]
    array = _GRAY.copy()
    array[1, row, col] ^= 1
    path = save(tmp_path / "a", array, driver, photometric="RGB", **options)
    with pytest.warns(NircolorWarning, match="colour photograph"):
        raster = open_raster(path)
    with raster:
        assert (raster.bands, raster.is_colour_photograph) == (3, True)
        values, _ = raster.read((row, row + 1, col, col + 1))
    np.testing.assert_allclose(values[:, 0, 0], array[:, row, col] / 65535, atol=1e-7)


@pytest.mark.parametrize("name", _STORAGE)
def test_a_large_gray_image_is_one_band(tmp_path, name):
    driver, options = _STORAGE[name]
    path = save(tmp_path / "a", _GRAY, driver, photometric="RGB", **options)
    with open_raster(path) as raster:
        assert (raster.bands, raster.is_colour_photograph, len(raster.names)) == (1, False, 1)
        np.testing.assert_allclose(
            raster.read((1200, 1300, 7, 900))[0], _GRAY[:1, 1200:, 7:900] / 65535, atol=1e-7
        )


def test_colour_in_invalid_pixels_does_not_count(tmp_path):
    array = np.concatenate([_GRAY, np.full((1, 1300, 1100), 65535, np.uint16)])
    array[1, 800, 700], array[3, 800, 700] = 3, 0
    with open_raster(save(tmp_path / "a.png", array, "PNG", zlevel=1)) as raster:
        assert (raster.bands, raster.has_alpha) == (1, True)
        values, valid = raster.read((799, 802, 699, 702))
    assert (~valid).nonzero() == (1, 1)
    np.testing.assert_allclose(values[:, valid], _GRAY[:1, 799:802, 699:702][:, valid] / 65535, atol=1e-7)


@pytest.mark.parametrize(
    ("driver", "array"),
    [
        ("PNG", noise(1, 900, 800)),
        ("PNG", noise(1, 1100, 1000, "uint16")),
        ("PNG", np.repeat(noise(1, 600, 500), 3, axis=0)),
        ("PNG", noise(3, 500, 400)),
        ("PNG", noise(4, 500, 400)),
        ("JPEG", noise(1, 900, 800)),
        ("JPEG", np.repeat(noise(1, 600, 500), 3, axis=0)),
        ("JPEG", noise(3, 500, 400)),
    ],
)
def test_png_and_jpeg_are_decoded_once_for_a_view_and_all_rows(tmp_path, driver, array):
    path = save(tmp_path / "a", array, driver)
    stored = load(path)[0]
    with warnings.catch_warnings(), open_raster(path) as raster:
        warnings.simplefilter("ignore")
        view, _ = raster.read(out_shape=(9, 8))
        _overwrite_pixels(path)
        strips = [
            raster.read((row, min(row + 100, raster.height), 0, raster.width))[0]
            for row in range(0, raster.height, 100)
        ]
        values, bands = np.concatenate(strips, axis=1), raster.bands
    top = np.iinfo(array.dtype).max
    valid = stored[3] > 0 if len(stored) == 4 else np.ones(stored.shape[1:], bool)
    np.testing.assert_allclose(values, np.where(valid, stored[:bands] / top, 0), atol=1e-7)
    assert view.shape == (bands, 9, 8)


def test_jpeg_2000_without_tiles_is_decoded_once(tmp_path, monkeypatch):
    monkeypatch.setattr("nircolor.imagery.stored._ROW_OF_BLOCKS_BYTES", 100_000)
    array = noise(1, 400, 300)
    options = {"BLOCKXSIZE": 300, "BLOCKYSIZE": 400, "QUALITY": 100, "REVERSIBLE": "YES"}
    path = save(tmp_path / "a.jp2", array, "JP2OpenJPEG", **options)
    with open_raster(path) as raster:
        first = raster.read((0, 10, 0, 300))[0]
        assert (
            raster._stored._kept_rows == 400
        )  # GDAL's cache, too small for large images, would hide it here
        rest = [raster.read((row, row + 39, 0, 300))[0] for row in range(10, 400, 39)]
    np.testing.assert_allclose(np.concatenate([first, *rest], axis=1), array / 255, atol=1e-7)


def test_rows_are_decoded_as_far_as_they_are_read(tmp_path):
    array = noise(2, 900, 800) | 1  # with alpha: the corners of other images are looked at for padding
    path = save(tmp_path / "a.png", array, "PNG")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with open_raster(path) as raster:
        for row in (0, 100, 50, 200):
            values, _ = raster.read((row, row + 100, 30, 700))
            np.testing.assert_allclose(values, array[:1, row : row + 100, 30:700] / 255, atol=1e-7)
        with pytest.raises(NircolorError, match="damaged or cut off"):
            raster.read((800, 900, 0, 800))


@pytest.mark.filterwarnings("ignore:.*colour photograph")
def test_a_transparent_colour_is_invalid_where_all_channels_match(tmp_path):
    path = tmp_path / "a.png"
    rows = [bytes([10, 20, 30, 90, 9, 9]), bytes([9, 9, 90, 10, 20, 40])]
    path.write_bytes(png_bytes(rows, 2, 8, 2, (b"tRNS", b"\0\x0a\0\x14\0\x1e")))
    with open_raster(path) as raster:
        assert raster.has_mask
        assert raster.read((1, 2, 0, 2))[1].tolist() == [[True, True]]
        assert raster.read()[1].tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint8", {}),
        ("uint16", {"scale": 4095}),
        ("uint16", {"nbits": 12}),
        ("uint16", {"tags": {"reflectance_scale_factor": "10000"}}),
    ],
)
def test_opening_reads_four_pixels_where_the_scale_is_known(tmp_path, monkeypatch, dtype, options):
    creation = {name: options.pop(name) for name in ("nbits",) if name in options}
    tags = options.pop("tags", {})
    array = noise(1, 50, 40, dtype)
    array = np.minimum(array, 4095) if creation else array
    path = save(tmp_path / "a.tif", array, setup=lambda dataset: dataset.update_tags(**tags), **creation)
    load, windows = StoredImage.load, []

    def counted(image, window, bands):
        windows.append(window)
        return load(image, window, bands)

    monkeypatch.setattr(StoredImage, "load", counted)
    open_raster(path, **options).close()
    # the corners, which are black where there is padding
    assert windows == [(row, row + 1, col, col + 1) for row in (0, 49) for col in (0, 39)]


# --- the size alone


def _sized(folder):
    yield "tiff", save(folder / "a.tif", noise(3, 30, 20, "uint16")), (30, 20)
    yield "png", save(folder / "a.png", np.repeat(noise(1, 30, 20), 3, 0), "PNG"), (30, 20)
    yield "envi", save_envi(folder, noise(5, 30, 20, "float32")), (30, 20)
    jpeg = save(folder / "a.jpg", noise(1, 30, 20), "JPEG")
    jpeg.write_bytes(with_exif_orientation(jpeg.read_bytes(), 6))
    yield "rotated", jpeg, (20, 30)
    rotated = folder / "r.tif"
    rotated.write_bytes(tiff_bytes(noise(1, 30, 20)[0], 8))
    yield "rotated tiff", rotated, (20, 30)


def test_the_size_is_read_from_the_header_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(StoredImage, "__init__", lambda *_args, **_options: pytest.fail("pixels were read"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, path, size in _sized(tmp_path):
            assert image_size(path) == image_size(str(path)) == size, name


def test_the_size_of_other_files_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("Dear Sir or Madam")
    for path in (tmp_path / "a.png", tmp_path / "missing.png", tmp_path):
        with pytest.raises(NircolorError, match=str(path)):
            image_size(path)
