import io
from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile
from scipy.ndimage import gaussian_filter, zoom

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.pairs import Folders, MultiBandFiles, Vcip, find_leaks
from nircolor.pairs.leaks import ComparedImage, compare_images, compared_files, compared_pairs
from tests.pairs.images import noise, write

DATA = Path(__file__).parents[3] / "shared/data"
SIDE = 200


def scene(seed, height=SIDE, width=SIDE):
    """Make a synthetic photograph (1, h, w) with texture of all sizes, as in natural images."""
    rng = np.random.default_rng(seed)
    gray = sum(
        sigma * gaussian_filter(rng.normal(size=(height, width)), sigma, mode="wrap")
        for sigma in (1, 2, 4, 8, 16)
    )
    gray = (gray - gray.min()) / (gray.max() - gray.min())
    return gray[None].astype(np.float32)


def compared(name, image):
    return ComparedImage(name, lambda: {"image": image})


OTHERS = [compared(f"t{seed}", scene(seed)) for seed in range(12)]


def jpeg(image, quality):
    pixels = np.rint(255 * image).astype("uint8")
    with MemoryFile(ext=".jpg") as file:
        size = {"height": pixels.shape[1], "width": pixels.shape[2], "count": 1}
        with file.open(driver="JPEG", dtype="uint8", quality=quality, **size) as target:
            target.write(pixels)
        with MemoryFile(io.BytesIO(file.read())) as again, again.open() as source:
            return source.read().astype(np.float32) / 255


def enlarged(part, side=SIDE):
    return np.clip(zoom(part[0], side / part.shape[1], order=3), 0, 1)[None].astype(np.float32)


PLANTED = {
    "copy": (lambda p: p.copy(), "exact copy", 1),
    "jpeg": (lambda p: jpeg(p, 40), "same view", 1),
    "paler": (lambda p: 0.2 + 0.6 * p**1.5, "same view", 1),
    "shifted": (lambda p: p[:, 23:, 31:], "shifted", 1),
    "moved": (lambda p: np.roll(p, (15, -20), axis=(1, 2)), "shifted", 1),
    "crop of nine tenths": (lambda p: enlarged(p[:, 10:190, 5:185]), "rescaled", 0.9),
    "crop of six tenths": (lambda p: enlarged(p[:, 40:160, 60:180]), "rescaled", 0.6),
    "half as large": (lambda p: enlarged(p, SIDE // 2), "rescaled", 2),
}


def planted():
    """Return modified versions of the first images of `OTHERS`, and two images that are not in `OTHERS`."""
    changed = [
        compared(name, change(scene(seed))) for seed, (name, (change, *_)) in enumerate(PLANTED.items())
    ]
    return [compared("new", scene(100)), *changed, compared("new too", scene(101))]


def test_planted_leaks_are_found_and_described():
    leaks = {leak.name: leak for leak in compare_images(planted(), OTHERS)}
    assert set(leaks) == set(PLANTED)
    for seed, (name, (_, kind, scale)) in enumerate(PLANTED.items()):
        leak = leaks[name]
        assert (leak.other, leak.kind) == (f"t{seed}", kind)
        assert leak.scale == pytest.approx(scale, rel=0.03)
        assert leak.description.startswith(kind)


def test_leaks_are_found_with_the_sets_swapped():
    leaks = {leak.name: leak for leak in compare_images(OTHERS, planted())}
    assert set(leaks) == {f"t{seed}" for seed in range(len(PLANTED))}
    for seed, (name, (_, kind, scale)) in enumerate(PLANTED.items()):
        leak = leaks[f"t{seed}"]
        assert (leak.other, leak.kind) == (name, kind)
        assert leak.scale == pytest.approx(1 / scale, rel=0.03)


def test_same_scale_does_not_find_crops():
    images = [compared(what, change(scene(7))) for what, (change, *_) in PLANTED.items()]
    found = {leak.name for leak in compare_images(images, OTHERS, same_scale=True)}
    assert {"copy", "jpeg", "paler", "shifted", "moved"} <= found
    assert "crop of six tenths" not in found


def test_different_and_featureless_images_are_no_leaks():
    ramp = np.broadcast_to(np.linspace(0.2, 0.6, SIDE, dtype=np.float32), (1, SIDE, SIDE))
    flat = np.full((1, SIDE, SIDE), 0.5, np.float32)
    sky = [compared("ramp", ramp), compared("flat", flat)]
    images = [compared("x", scene(100)), compared("y", ramp + 0.1), compared("z", 0.9 * flat)]
    assert compare_images(images, [*OTHERS, *sky]) == []
    assert compare_images([compared("black", 0 * flat)], [compared("black too", 0 * flat)]) == []
    assert [leak.kind for leak in compare_images([compared("z", ramp)], sky)] == ["exact copy"]


def test_an_image_with_a_single_edge_is_found():
    field = np.full((1, 64, 64), 0.4, np.float32)
    field[:, :, 30:] = 0.6
    # it correlates as well if shifted along the edge
    again = np.clip(field + np.random.default_rng(0).normal(0, 0.002, field.shape), 0, 1).astype(np.float32)
    (leak,) = compare_images([compared("a", again)], [compared("b", field), *OTHERS], same_scale=True)
    assert leak.other == "b"


def test_images_with_equal_names_are_distinguished():
    images = [compared("a", scene(3)), compared("a", scene(4)), compared("a", scene(200))]
    assert [leak.other for leak in compare_images(images, OTHERS)] == ["t3", "t4"]


def test_different_shores_are_no_leak():
    def shore(seed, row):
        land = scene(seed, 64, 64)
        land[:, row:] = 0.1 + 0.002 * land[:, row:]
        return land

    assert compare_images([compared("a", shore(1, 14))], [compared("b", shore(2, 20))], same_scale=True) == []


def test_copies_are_found_across_file_formats(tmp_path):
    values = noise(1, 40, 50)
    write(tmp_path / "a/x.png", values)
    write(tmp_path / "b/y.tif", values.astype("uint16") * 257)
    (leak,) = compare_images(compared_files(tmp_path / "a"), compared_files(tmp_path / "b"))
    assert (leak.name, leak.other, leak.kind, leak.view) == ("x.png", "y.tif", "exact copy", "image")
    with pytest.raises(NircolorError, match="none"):
        compared_files(tmp_path / "none")


def test_pairs_leak_by_nir_or_colour(tmp_path):
    def save(folder, name, nir, rgb):
        write(tmp_path / folder / f"nir/{name}.png", np.rint(255 * nir).astype("uint8"))
        write(tmp_path / folder / f"rgb/{name}.png", np.rint(255 * np.repeat(rgb, 3, 0)).astype("uint8"))

    save("test", "a", scene(1), scene(2))
    save("test", "b", scene(3), 0.2 + 0.5 * scene(4))
    save("test", "c", scene(5), scene(6))
    save("train", "p", scene(1), scene(12))
    save("train", "q", scene(13), scene(4))
    sets = [
        compared_pairs(Folders(tmp_path / side / "nir", tmp_path / side / "rgb").pairs())
        for side in ("test", "train")
    ]
    leaks = [(leak.name, leak.other, leak.kind, leak.view) for leak in compare_images(*sets)]
    assert leaks == [("a", "p", "exact copy", "NIR"), ("b", "q", "same view", "colour")]


def test_sets_are_given_as_paths_or_objects(tmp_path):
    for folder, seeds in (("test", (1, 2)), ("train", (2, 3))):
        for seed in seeds:
            values = np.rint(255 * scene(seed, 64, 64)).astype("uint8")
            write(tmp_path / folder / f"nir/{seed}.png", values)
            write(tmp_path / folder / f"rgb/{seed}.png", np.concatenate([values, values // 2, values // 3]))
    test, train = tmp_path / "test", tmp_path / "train"
    calls = []
    (leak,) = find_leaks(test, str(train), same_scale=True, on_progress=lambda *call: calls.append(call))
    assert (leak.name, leak.other, leak.kind) == ("2", "2", "exact copy")
    assert calls[-1][0] == calls[-1][1]
    assert find_leaks(Folders(test / "nir", test / "rgb"), train, same_scale=True) == [leak]
    with pytest.warns(NircolorWarning, match="compared as 2 single images"):
        leaks = find_leaks(test / "nir", train, same_scale=True)
    assert [(leak.name, leak.other) for leak in leaks] == [("2.png", "2 (NIR)")]
    with pytest.raises(NircolorError, match="absent"):
        find_leaks(test, tmp_path / "absent")


def test_multi_band_files_without_given_nir_bands_are_compared_by_colour(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        bands = np.concatenate([scene(seed + 10 * band) for band in range(5)])
        write(tmp_path / f"{name}.tif", np.rint(65535 * bands).astype("uint16"), (665, 560, 490, 783, 842))
    a, b = compared_pairs(MultiBandFiles(tmp_path).pairs())
    assert compare_images([a], [b]) == []
    (leak,) = compare_images([a], [a])
    assert (leak.kind, leak.view) == ("exact copy", "colour")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real pairs at {DATA}")
def test_the_known_leak_in_vcip_is_found():
    image, other = (
        [pair for pair in Vcip(DATA / "vcip2020", split).pairs() if pair.name in names]
        for split, names in (
            ("validation", ("validation_0012", "validation_0000")),
            ("train", ("mountain_0082", "mountain_0001", "field_0093")),
        )
    )
    (leak,) = compare_images(compared_pairs(image), compared_pairs(other))
    assert (leak.name, leak.other, leak.kind) == ("validation_0012", "mountain_0082", "rescaled")
    assert leak.scale == pytest.approx(1.31, abs=0.04)
