import errno
import json

import numpy as np
import pytest

import nircolor
from nircolor.errors import DiskFullError, NircolorError
from nircolor.pairs import open_set, read_pair
from nircolor.pairs.alignment import files
from tests.pairs.alignment.scenes import save, scene, warped

cv2 = pytest.importorskip("cv2", reason="needs the extra align")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two folders of images of two cameras; of `c` the colour shows another place."""
    folder = tmp_path_factory.mktemp("box")
    for seed, name in enumerate("abc"):
        nir, colour = scene(seed)
        if name == "c":
            colour = scene(99)[1]
        save(folder / "nir" / f"{name}.png", nir)
        save(folder / "rgb" / f"{name}.png", warped(colour, degrees=3, zoom=0.9)[0])
    return folder


@pytest.fixture(scope="module")
def aligned(box):
    output = box / "pairs"
    return output, nircolor.align(box / "nir", box / "rgb", output)


def test_a_batch_continues_after_a_pair_that_does_not_match(aligned):
    output, results = aligned
    assert [one.pair.name for one in results] == ["a", "b", "c"]
    assert [one.error is None for one in results] == [True, True, False]
    assert "cannot be aligned" in str(results[2].error)
    assert sorted(path.name for path in (output / "nir").iterdir()) == ["a.png", "b.png"]
    assert not list(output.glob(".*"))


def test_a_full_disk_ends_a_batch(box, tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_save", fill)
    with pytest.raises(DiskFullError, match="No space left"):
        nircolor.align(box / "nir", box / "rgb", tmp_path / "out")


def test_the_output_is_a_data_set_for_training_and_evaluation(aligned, box):
    output, _ = aligned
    pairs = open_set(output, "training").pairs
    assert [pair.name for pair in pairs] == ["a", "b"]
    _, rgb, valid = read_pair(pairs[0])
    truth = scene(0)[1].transpose(2, 0, 1) / 255
    # the colour camera saw less than the NIR camera
    assert 0.6 < valid.mean() < 0.95
    assert np.abs(rgb - truth)[:, valid].mean() < 0.03
    assert (output / "nir/a.png").read_bytes() == (box / "nir/a.png").read_bytes()


def test_residuals_and_transforms_are_listed(aligned):
    output, results = aligned
    entry = json.loads((output / "alignment.json").read_text())["pairs"]["a"]
    assert entry["residual_px"]["median"] == results[0].residual_px < 0.5
    matrix = np.array(entry["transform"]["homography"])
    assert np.sqrt(np.linalg.det(matrix[:2, :2])) == pytest.approx(1 / 0.9, rel=0.01)
    picture = cv2.imread(str(output / "residuals/a.png"))
    assert picture.shape == (280, 720, 3)


def test_pairs_that_are_up_to_date_are_skipped_and_others_not_replaced(box, aligned):
    output, _ = aligned
    results = nircolor.align(box / "nir", box / "rgb", output)
    assert [one.skipped for one in results] == [True, True, False]
    other = save(box / "other" / "a.png", scene(0)[0] // 2)
    with pytest.raises(NircolorError, match=r"a\.png: exists already; .* --overwrite"):
        nircolor.align(other, box / "rgb/a.png", output)
    before = (output / "rgb/a.png").read_bytes()
    assert (output / "rgb/a.png").read_bytes() == before


def test_the_image_of_a_converted_camera_is_taken_where_the_user_says_so(tmp_path):
    nir, colour = scene(3)
    # red-tinted, as the camera writes it
    tinted = np.rint(nir[..., None] * np.array([1.0, 0.7, 0.6])).astype(np.uint8)
    files = save(tmp_path / "n.png", tinted), save(tmp_path / "c.png", warped(colour, degrees=2)[0])
    with pytest.raises(NircolorError, match=r"n\.png: expected the NIR image, .* --from converted"):
        nircolor.align(*files, tmp_path / "pairs")
    # what fails leaves nothing
    assert not (tmp_path / "pairs").exists()
    nircolor.align(*files, tmp_path / "pairs", converted=True)
    written = cv2.imread(str(tmp_path / "pairs/nir/n.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, np.rint(tinted.mean(2)))
    read_pair(*open_set(tmp_path / "pairs").pairs)
    assert nircolor.align(*files, tmp_path / "pairs", converted=True)[0].skipped
    # a gray image is copied in any case
    gray = save(tmp_path / "gray" / "n.png", nir)
    nircolor.align(gray, files[1], tmp_path / "others", converted=True)
    assert (tmp_path / "others/nir/n.png").read_bytes() == gray.read_bytes()


def test_bit_depth_and_bands_are_kept(tmp_path):
    import rasterio

    nir, colour = scene(6)
    with rasterio.open(
        tmp_path / "n.tif", "w", driver="GTiff", width=360, height=280, count=2, dtype="uint16"
    ) as file:
        file.write(np.stack([nir.astype(np.uint16) * 16, 4095 - nir.astype(np.uint16) * 8]))
        file.set_band_description(1, "850 nm")
        file.set_band_description(2, "940 nm")
    save(tmp_path / "c.png", colour.astype(np.uint16) * 257 + 3)
    nircolor.align(tmp_path / "n.tif", tmp_path / "c.png", tmp_path / "pairs")
    rgb = cv2.imread(str(tmp_path / "pairs/rgb/n.png"), cv2.IMREAD_UNCHANGED)
    assert rgb.dtype == np.uint16
    assert (tmp_path / "pairs/nir/n.tif").read_bytes() == (tmp_path / "n.tif").read_bytes()


def test_colour_of_a_finer_camera_is_averaged(tmp_path):
    nir, colour = scene(7, 720, 560)
    save(tmp_path / "n.png", cv2.resize(nir, (240, 187), interpolation=cv2.INTER_AREA))
    save(tmp_path / "c.png", colour)
    nircolor.align(tmp_path / "n.png", tmp_path / "c.png", tmp_path / "pairs")
    rgb = cv2.imread(str(tmp_path / "pairs/rgb/n.png"))[..., ::-1].astype(float)
    truth = cv2.resize(colour, (240, 187), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(rgb - truth)[10:-10, 10:-10].mean() < 4


def test_mistakes_are_one_line(tmp_path):
    nir, colour = scene(8)
    save(tmp_path / "n.png", nir)
    save(tmp_path / "c.png", colour)
    (tmp_path / "damaged.png").write_bytes((tmp_path / "c.png").read_bytes()[:2000])
    (tmp_path / "folder").mkdir()
    # as a camera without its infrared filter shows it
    save(tmp_path / "red.png", (nir[..., None] * np.array([0.6, 0.5, 0.95])).astype(np.uint8))
    for first, second, message in (
        ("n.png", "missing.png", r"missing\.png: expected an image or a folder"),
        ("n.png", "folder", r"n\.png: expected a folder as .*folder, got a file"),
        ("c.png", "n.png", r"c\.png: expected the NIR image, got a colour photograph"),
        ("n.png", "n.png", r"n\.png: expected the colour image, got a gray one"),
        ("n.png", "red.png", r"red\.png: expected a colour image, got shades of one colour"),
        ("n.png", "damaged.png", r"damaged\.png: the image is damaged or cut off"),
    ):
        with pytest.raises(NircolorError, match=message):
            nircolor.align(tmp_path / first, tmp_path / second, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()
