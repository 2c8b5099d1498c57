import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile
from scipy.ndimage import gaussian_filter, rotate, zoom

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.pairs import Folders, MultiBandFiles, Vcip, find_leaks
from nircolor.pairs.compared import ComparedImage, compared_files, compared_pairs
from nircolor.pairs.features import find_features, fit_map
from nircolor.pairs.leaks import compare_images
from tests.pairs.images import noise, write

DATA = Path(__file__).parents[3] / "shared/data"
SIDE = 200
needs_opencv = pytest.mark.skipif(find_spec("cv2") is None, reason="no OpenCV (extra: evaluate)")


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


OTHERS = [compared(f"t{seed}", scene(seed)) for seed in range(14)]


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


def turned(image, degrees):
    return np.clip(rotate(image[0], degrees, reshape=False, order=3)[40:160, 40:160], 0, 1)[None]


def noisy(image):
    return np.clip(image + np.random.default_rng(0).normal(0, 0.05, image.shape), 0, 1).astype(np.float32)


def squashed(image, height, width):
    return np.clip(zoom(image[0], (height, width), order=3), 0, 1)[None].astype(np.float32)


# change of an image, kind, scale along x and y of the original relative to it
PLANTED = {
    "copy": (lambda p: p.copy(), "exact copy", 1, 1),
    "jpeg": (lambda p: jpeg(p, 40), "same photograph", 1, 1),
    "paler": (lambda p: 0.2 + 0.6 * p**1.5, "same photograph", 1, 1),
    "noisy": (noisy, "same photograph", 1, 1),
    "shifted": (lambda p: p[:, 23:, 31:], "same photograph", 1, 1),
    "crop of nine tenths": (lambda p: enlarged(p[:, 10:190, 5:185]), "same photograph", 0.9, 0.9),
    "crop of a fifth": (lambda p: enlarged(p[:, 40:130, 60:150]), "same photograph", 0.45, 0.45),
    "half as large": (lambda p: enlarged(p, SIDE // 2), "same photograph", 2, 2),
    "squashed": (lambda p: squashed(p, 1, 1 / 3), "same photograph", 3, 1),
    "flattened": (lambda p: squashed(p, 1 / 3, 1), "same photograph", 1, 3),
    "mirrored": (lambda p: p[:, :, ::-1], "same photograph", 1, 1),
    "turned by 90": (lambda p: np.rot90(p, axes=(1, 2)), "same photograph", 1, 1),
    "turned by 20": (lambda p: turned(p, 20), "same photograph", 1, 1),
}
# what the correlation of textures finds without local features
BY_TEXTURE = ("copy", "jpeg", "paler", "noisy", "shifted")


def planted():
    """Return modified versions of the first images of `OTHERS`, and two images that are not in `OTHERS`."""
    changed = [
        compared(name, np.ascontiguousarray(change(scene(seed))))
        for seed, (name, (change, *_)) in enumerate(PLANTED.items())
    ]
    return [compared("new", scene(100)), *changed, compared("new too", scene(101))]


@needs_opencv
def test_descriptors_of_a_mirrored_image_are_found_without_computing_them_again():
    gray = scene(5)[0]
    own, mirrored = (
        find_features(gray, gray.shape).mirrored(),
        find_features(gray[:, ::-1].copy(), gray.shape),
    )
    fit = fit_map(own, mirrored)
    assert fit.matrix == pytest.approx(np.array([[-1, 0, SIDE - 1], [0, 1, 0]]), abs=0.1)
    assert fit.matches > 0.7 * len(mirrored.points)


@needs_opencv
def test_planted_leaks_are_found_and_described():
    check = compare_images(planted(), OTHERS)
    leaks = {leak.name: leak for leak in check.leaks}
    assert len(leaks) == len(check.leaks)
    assert set(leaks) == set(PLANTED)
    for seed, (name, (_, kind, across, down)) in enumerate(PLANTED.items()):
        leak = leaks[name]
        assert (leak.other, leak.kind) == (f"t{seed}", kind), name
        assert leak.scales == pytest.approx((across, down), rel=0.02), name
        assert leak.mirrored == (name == "mirrored")
        assert abs(leak.turned_deg) == pytest.approx(int(name.split()[-1]) if "turned" in name else 0, abs=1)
        assert leak.description.startswith(kind)
    assert (check.images, check.others, check.unclear) == (len(PLANTED) + 2, len(OTHERS), ())
    assert leaks["crop of a fifth"].overlap == pytest.approx(1, abs=0.02)
    assert leaks["crop of a fifth"].other_overlap == pytest.approx(0.45**2, abs=0.01)
    a, b, c, d, e, f = leaks["shifted"].transform
    assert (a, b, c, d, e, f) == pytest.approx((1, 0, 31, 0, 1, 23), abs=0.3)


@needs_opencv
def test_leaks_are_found_with_the_sets_swapped():
    check = compare_images(OTHERS, planted())
    assert [leak.other for leak in check.leaks] == [list(PLANTED)[int(leak.name[1:])] for leak in check.leaks]
    assert len(check.leaks) == len(PLANTED)
    for leak in check.leaks:
        _, kind, across, down = PLANTED[leak.other]
        assert leak.kind == kind
        if "turned" not in leak.other:
            assert leak.scales == pytest.approx((1 / across, 1 / down), rel=0.02)


def test_same_scale_does_not_find_crops():
    images = [
        compared(what, np.ascontiguousarray(change(scene(7)))) for what, (change, *_) in PLANTED.items()
    ]
    check = compare_images(images, OTHERS, same_scale=True)
    assert set(BY_TEXTURE) <= set(check.names())
    assert "crop of a fifth" not in check.names()
    assert all(leak.matches == 0 for leak in check.leaks)


def test_different_and_featureless_images_are_no_leaks():
    ramp = np.broadcast_to(np.linspace(0.2, 0.6, SIDE, dtype=np.float32), (1, SIDE, SIDE))
    flat = np.full((1, SIDE, SIDE), 0.5, np.float32)
    sky = [compared("ramp", ramp), compared("flat", flat)]
    images = [compared("x", scene(100)), compared("y", ramp + 0.1), compared("z", 0.9 * flat)]
    check = compare_images(images, [*OTHERS, *sky])
    assert (check.leaks, check.unclear) == ((), ("y", "z"))
    assert "cannot tell for 2 with too little texture" in check.summary
    assert compare_images([compared("black", 0 * flat)], [compared("black too", 0 * flat)]).leaks == ()
    assert [leak.kind for leak in compare_images([compared("z", ramp)], sky).leaks] == ["exact copy"]


def test_an_image_with_a_single_edge_is_found():
    field = np.full((1, 64, 64), 0.4, np.float32)
    field[:, :, 30:] = 0.6
    # it correlates as well if shifted along the edge
    again = np.clip(field + np.random.default_rng(0).normal(0, 0.002, field.shape), 0, 1).astype(np.float32)
    (leak,) = compare_images([compared("a", again)], [compared("b", field), *OTHERS], same_scale=True).leaks
    assert leak.other == "b"


def test_images_with_equal_names_are_distinguished():
    images = [compared("a", scene(3)), compared("a", scene(4)), compared("a", scene(200))]
    assert [leak.other for leak in compare_images(images, OTHERS).leaks] == ["t3", "t4"]


@needs_opencv
def test_another_photograph_of_the_place_is_told_apart():
    other = scene(3)
    # the near half moves against the far one
    other[:, 100:, 12:] = scene(3)[:, 100:, :-12]
    (leak,) = compare_images([compared("a", other)], OTHERS).leaks
    assert (leak.other, leak.kind) == ("t3", "same place")
    assert leak.matches >= 15


def test_duplicates_within_a_set_are_listed_once(tmp_path):
    values = noise(1, 64, 80)
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.png", values if name != "b" else noise(1, 64, 80))
    files = compared_files(tmp_path)
    check = compare_images(files, compared_files(tmp_path))
    assert [(leak.name, leak.other, leak.kind) for leak in check.leaks] == [("a.png", "c.png", "exact copy")]
    assert check.within
    assert "other images of the set" in check.summary


@needs_opencv
def test_modified_duplicates_within_a_set_are_listed_once():
    images = [
        ComparedImage(name, lambda image=image: {"image": image}, (Path(name),))
        for name, image in (("a", scene(1)), ("b", scene(2)), ("c", scene(1)[:, :, ::-1].copy()))
    ]
    check = compare_images(images, list(images))
    assert [(leak.name, leak.other, leak.mirrored) for leak in check.leaks] == [("a", "c", True)]


def test_unreadable_images_are_listed_and_the_others_compared(tmp_path):
    values = noise(1, 64, 80)
    for name in ("x/a", "x/b", "y/c"):
        write(tmp_path / f"{name}.png", values)
    path = tmp_path / "x/a.png"
    path.write_bytes(path.read_bytes()[:-300])
    check = compare_images(compared_files(tmp_path / "x"), compared_files(tmp_path / "y"))
    assert [one.name for one in check.unreadable] == ["a.png"]
    assert str(path) in check.unreadable[0].reason
    assert check.names() == ["b.png"]
    with pytest.raises(NircolorError, match=r"a\.png"):
        compare_images(compared_files(tmp_path / "x")[:1], compared_files(tmp_path / "y"))


def test_different_shores_are_no_leak():
    def shore(seed, row):
        land = scene(seed, 64, 64)
        land[:, row:] = 0.1 + 0.002 * land[:, row:]
        return land

    assert (
        compare_images([compared("a", shore(1, 14))], [compared("b", shore(2, 20))], same_scale=True).leaks
        == ()
    )


def test_copies_are_found_across_file_formats(tmp_path):
    values = noise(1, 40, 50)
    write(tmp_path / "a/x.png", values)
    write(tmp_path / "b/y.tif", values.astype("uint16") * 257)
    (leak,) = compare_images(compared_files(tmp_path / "a"), compared_files(tmp_path / "b")).leaks
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
    leaks = [(leak.name, leak.other, leak.kind, leak.view) for leak in compare_images(*sets).leaks]
    assert leaks == [("a", "p", "exact copy", "NIR"), ("b", "q", "same photograph", "colour")]


def test_sets_are_given_as_paths_or_objects(tmp_path):
    for folder, seeds in (("test", (1, 2)), ("train", (2, 3))):
        for seed in seeds:
            values = np.rint(255 * scene(seed, 64, 64)).astype("uint8")
            write(tmp_path / folder / f"nir/{seed}.png", values)
            write(tmp_path / folder / f"rgb/{seed}.png", np.concatenate([values, values // 2, values // 3]))
    test, train = tmp_path / "test", tmp_path / "train"
    calls = []
    (leak,) = find_leaks(
        test, str(train), same_scale=True, on_progress=lambda *call: calls.append(call)
    ).leaks
    assert (leak.name, leak.other, leak.kind) == ("2", "2", "exact copy")
    assert calls[-1][0] == calls[-1][1]
    assert find_leaks(Folders(test / "nir", test / "rgb"), train, same_scale=True).leaks == (leak,)
    with pytest.warns(NircolorWarning, match="compared as 2 single images"):
        leaks = find_leaks(test / "nir", train, same_scale=True).leaks
    assert [(leak.name, leak.other) for leak in leaks] == [("2.png", "2 (NIR)")]
    with pytest.raises(NircolorError, match="absent"):
        find_leaks(test, tmp_path / "absent")


def test_multi_band_files_without_given_nir_bands_are_compared_by_colour(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        bands = np.concatenate([scene(seed + 10 * band) for band in range(5)])
        write(tmp_path / f"{name}.tif", np.rint(65535 * bands).astype("uint16"), (665, 560, 490, 783, 842))
    a, b = compared_pairs(MultiBandFiles(tmp_path).pairs())
    assert compare_images([a], [b]).leaks == ()
    (leak,) = compare_images([a], [b, a]).leaks
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
    (leak,) = compare_images(compared_pairs(image), compared_pairs(other)).leaks
    assert (leak.name, leak.other) == ("validation_0012", "mountain_0082")
    assert leak.scales == pytest.approx((1.31, 1.31), abs=0.04)
