"""Images as JPEG and PNG in memory."""

import base64

import numpy as np
import pytest
from rasterio.io import MemoryFile

from nircolor.imagery.output.data_uris import EncodedImage, encode_jpeg, encode_png


def smooth(bands: int) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : 31 * 1j, 0 : 1 : 47 * 1j]
    return np.stack([x, y, 1 - x])[:bands].astype(np.float32)


def decoded(encoded: EncodedImage) -> np.ndarray:
    with MemoryFile(encoded.data) as file, file.open() as opened:
        assert opened.driver.lower() == encoded.kind
        return opened.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("bands", [1, 3])
def test_encoded_images_decode_to_the_same(bands):
    image = smooth(bands)
    assert np.abs(decoded(encode_jpeg(image)) / 255 - image).mean() < 0.02
    np.testing.assert_array_equal(decoded(encode_png(image)), np.rint(image * 255))


def test_lower_quality_takes_less():
    assert len(encode_jpeg(smooth(3), quality=30).data) < len(encode_jpeg(smooth(3)).data)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_values_outside_the_range_are_clipped():
    odd = np.array([[[np.nan, np.inf, -np.inf, -3, 7, 0.5]]], np.float32)
    np.testing.assert_array_equal(decoded(encode_png(odd)), [[[0, 255, 0, 0, 255, 128]]])


def test_the_uri_contains_the_file():
    png = encode_png(smooth(3))
    head, _, data = png.uri.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == png.data
    assert encode_jpeg(smooth(1)).uri.startswith("data:image/jpeg;base64,/9j/")
