"""Tests of the page of `nircolor demo`: it is self-contained, safe and accessible."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile

from nircolor.app.demo.page import BeforeAfter, write_page

HOSTILE = "<script>alert('&\"')</script> $command ${title}"
HEIGHT, WIDTH = 31, 47


class Page(HTMLParser):
    """Collect elements with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def gradient() -> np.ndarray:
    """Return a smooth image that JPEG preserves, (3, HEIGHT, WIDTH): red to the right, green downwards."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    return np.stack([x, y, np.full_like(x, 0.5)]).astype(np.float32)


def write(path: Path, **given: object) -> Page:
    rgb = gradient()
    one = {"name": "Lake", "nir": rgb[:1], "colour": rgb, "truth": rgb, **given}
    write_page(path, HOSTILE, [BeforeAfter(**one)], notes=[HOSTILE], command=HOSTILE)
    return Page(path.read_text(encoding="utf-8"))


def decode(image: dict[str, str | None]) -> np.ndarray:
    head, data = str(image["src"]).split(",")
    assert head == "data:image/jpeg;base64"
    with MemoryFile(base64.b64decode(data)) as file, file.open() as opened:
        return np.asarray(opened.read())


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_page_contains_the_images(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html")
    nir, colour, truth = (decode(image) for image in page.all("img") if "id" in image)
    assert nir.shape == (1, HEIGHT, WIDTH)
    for image, expected in ((nir, gradient()[:1]), (colour, gradient()), (truth, gradient())):
        assert np.abs(image / 255 - expected).mean() < 0.03


def test_the_page_refers_to_no_other_files(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(", re.sub(r"data:[^\"]+", "", text).replace("// images", "")
    )
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset"):
            assert str(attributes.get(name) or "data:").startswith("data:")


def test_all_text_is_escaped(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html", name=HOSTILE, origin=HOSTILE)
    assert len(page.all("script")) == 1
    # title, heading, note, name, origin and command
    assert page.text.count(HOSTILE) == 6
    assert any(HOSTILE in str(image["alt"]) for image in page.all("img"))


def test_sliders_are_labelled_range_inputs_over_embedded_images(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html")
    ranges = page.all("input")
    assert [one["type"] for one in ranges] == ["range", "range"]
    assert all(one["aria-label"] for one in ranges)
    images = {image["id"] for image in page.all("img") if "id" in image}
    assert [image["data-of"] for image in page.all("img") if "data-of" in image] == [
        "p0-nir",
        "p0-colour",
        "p0-colour",
        "p0-truth",
    ]
    assert images == {"p0-nir", "p0-colour", "p0-truth"}


def test_without_truth_there_is_one_slider(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html", truth=None)
    assert len(page.all("input")) == 1
    assert "True colour" not in page.text


def test_images_of_two_comparisons_have_different_ids(tmp_path: Path) -> None:
    one = BeforeAfter("a", gradient()[:1], gradient())
    write_page(tmp_path / "page.html", "t", [one, one])
    names = [image["id"] for image in Page((tmp_path / "page.html").read_text()).all("img") if "id" in image]
    assert len(names) == len(set(names)) == 4


def test_values_outside_of_the_range_are_drawn(tmp_path: Path) -> None:
    nir = np.array([[[np.nan, np.inf, -np.inf, -3, 7]]], np.float32).repeat(16, 1)
    write_page(tmp_path / "page.html", "t", [BeforeAfter("a", nir, nir.repeat(3, 0))])


@pytest.mark.parametrize(
    ("nir", "colour"), [((1, 4, 4), (3, 4, 5)), ((2, 4, 4), (3, 4, 4)), ((1, 4, 4), (4, 4, 4))]
)
def test_images_of_different_sizes_are_refused(nir: tuple[int, ...], colour: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one size"):
        BeforeAfter("a", np.zeros(nir, np.float32), np.zeros(colour, np.float32))


def test_a_failed_write_leaves_the_existing_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")

    def full(self: Path, text: str, **_: object) -> int:
        with self.open("w") as file:
            file.write(text[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            write_page(path, "t", [])
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "before"
    write_page(path, "t", [])
    assert "<h1>t</h1>" in path.read_text()
    assert len(list(tmp_path.iterdir())) == 1
