import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.evaluation import rendering, report
from nircolor.evaluation.evaluation import Evaluation, Method, SeenImage, Subset
from nircolor.evaluation.gallery import Gallery
from nircolor.evaluation.report import FILES, write_report
from nircolor.evaluation.scores import MEASURES, Row, read_csv, score
from nircolor.imagery.output.data_uris import encode_png
from nircolor.modelfile import Card, CardScore

HOSTILE = '<script>alert(1)</script>&"|*_x_'
PSNR = MEASURES[0]
CARD = Card(
    name="tiny",
    summary="a card's summary",
    bands=({"center_nm": 850, "fwhm_nm": 250, "tolerance_nm": 100},),
    encoding="gamma",
    licence={"weights": "its weights' licence", "training_data": "its training data"},
    architecture="unet",
    arguments={"width": 64},
    size={"multiple_of": 1, "minimum": 1, "receptive_field_px": 4},
    bytes_per_px=1,
    multiply_adds_per_px=1000,
)


class Html(HTMLParser):
    """Parser that collects elements, table rows, and the text outside of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.text = ""
        self._inside = ""
        self._table: list[list[list[str]]] | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "table":
            self._table = []
            self.tables.setdefault(str(dict(attrs)["class"]), []).append(self._table)  # type: ignore[arg-type]
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")  # type: ignore[arg-type]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            return
        self.text += data
        if self._table and self._table[-1]:
            self._table[-1][-1] = " ".join(f"{self._table[-1][-1]} {data}".split())  # type: ignore[call-overload]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def strict_json(path: Path):
    def refuse(constant: str):
        raise AssertionError(f"{path}: {constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


class Set:
    """An evaluation of simulated images, one of them colorized perfectly, and its gallery."""

    def __init__(self, folder: Path, count: int, odd: str = "noise", **changes: object) -> None:
        rng = np.random.default_rng(count)
        labels = ["gray", "tiny", odd]
        self.gallery = Gallery(folder)
        self.names = [HOSTILE, *(f"image {place}" for place in range(1, count))]
        rows = []
        for place, name in enumerate(self.names):
            truth = rng.random((3, 24, 32), dtype=np.float32)
            nir = truth.mean(0, keepdims=True)
            nearly = np.clip(truth + 0.02 * (place + 1) * rng.normal(size=truth.shape), 0, 1).astype(
                np.float32
            )
            predicted = {
                "gray": nir.repeat(3, 0),
                "tiny": nearly,
                odd: truth if place == 0 else nearly[::-1].copy(),
            }
            rows += [Row(name, label, 0, score(colour, truth)) for label, colour in predicted.items()]
            self.gallery.add(name, nir, truth, np.ones((24, 32), bool), predicted)
        clean = tuple(self.names[1:])
        parts = {
            "data": "a <set>",
            "training": "another set",
            "methods": (
                Method(labels[0], "baseline", ("the NIR three times",)),
                Method(labels[1], "model", ("tiny.onnx",), CARD),
                Method(labels[2], "folder", ("out/one", "out/two")),
            ),
            "rows": tuple(rows),
            "subsets": (Subset(f"All {count} images", tuple(self.names)), Subset("The clean", clean)),
            "command": "nircolor evaluate 'a <b>_c_'",
            "versions": {"python": "3.11", "numpy": "2"},
            "conventions": ("PSNR: one.", "a | b"),
            "seen": (SeenImage(HOSTILE, "train & 1", "the same"),),
            "failures": ("image 99: not an image",),
            "warnings": ("a warning",),
        }
        self.evaluation = Evaluation(**(parts | changes))


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    return Set(tmp_path_factory.mktemp("gallery"), 5)


@pytest.fixture(scope="module")
def written(five, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(five.evaluation, folder, five.gallery)
    return folder


def test_all_files_are_there_and_nothing_else(written):
    assert {path.name for path in written.iterdir()} == {*FILES, "card_scores.json", "images"}


def test_the_page_is_self_contained(written):
    page = Html(written / "report.html")
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            assert str(attributes.get(name) or "#").startswith(("data:image/", "#"))
    text = re.sub(
        r'data:[^"]+|xmlns(:\w+)?="[^"]*"', "", (written / "report.html").read_text(encoding="utf-8")
    )
    assert not re.search(r"https?:|@import|url\((?!#)", text)


def test_every_link_has_a_target_and_every_image_a_link(written):
    page = Html(written / "report.html")
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [str(one["href"])[1:] for one in page.all("a")]
    assert set(links) <= targets
    sections = [one["id"] for one in page.all("section")]
    assert len(sections) == len(set(sections)) == 5
    # from the plot: two methods, three measures
    assert all(links.count(section) >= 6 for section in sections)


def test_images_are_in_order(written):
    page = Html(written / "report.html")
    alt = [str(one["alt"]) for one in page.all("img")]
    large = [text for text in alt if ": " in text]
    # best, median and worst: NIR, truth, two methods and their errors; five sections: one method more
    assert len(large) == 3 * 6 + 5 * 8
    first = [text.partition(": ")[0] for text in large[:6]]
    assert first == ["NIR", "tiny", "Error of tiny", "noise", "Error of noise", "Truth"]
    order = read_evaluation(written).ranked()
    assert [text.partition(": ")[2] for text in large[:18:6]] == [order[0], order[2], order[4]]


def test_every_image_matches_its_alt_text(written, five):
    images = [one for one in Html(written / "report.html").all("img") if ": " in str(one["alt"])]
    for image in images:
        what, _, name = str(image["alt"]).partition(": ")
        shown = five.gallery.images(name)
        known = {"NIR": shown.nir, "Truth": shown.truth, **shown.predicted}
        known |= {f"Error of {label}": error for label, error in shown.errors.items()}
        assert image["src"] == encode_png(known[what]).uri
        assert (image["width"], image["height"]) == ("32", "24")


def test_the_plot_orders_images_by_psnr(written):
    order = [name for name in read_evaluation(written).ranked() if name != HOSTILE]
    named = re.findall(
        r"<text[^>]*>(image \d)</text>", (written / "per_image.svg").read_text(encoding="utf-8")
    )
    assert named == order


def read_evaluation(folder: Path) -> Evaluation:
    """Return an evaluation with the rows of a report."""
    return Evaluation(
        data="", training="", methods=(Method("tiny", "model", ("x",)),), subsets=(), command="", versions={},
        conventions=(), rows=tuple(row for row in read_csv(folder / "per_image.csv") if row.method == "tiny"),
    )  # fmt: skip


def test_tables_of_the_page_match_the_json(written):
    page, content = Html(written / "report.html"), strict_json(written / "report.json")
    assert [one["title"] for one in content["summary"]] == ["All 5 images", "The clean"]
    for table, one in zip(page.tables["scores"], content["summary"], strict=True):
        head, *lines = table
        assert head == ["method", "images", *(measure.title for measure in MEASURES)]
        assert [line[0] for line in lines] == list(one["methods"]) == ["gray", "tiny", "noise"]
        for label, count, *cells in lines:
            assert int(count) == len(one["images"])
            for measure, cell in zip(MEASURES, cells, strict=True):
                total = one["methods"][label][measure.key]
                assert total["centre"] == measure.centre
                keys = ("value", "low", "high") if int(count) == 5 else ("value",)
                values = [f"{float(total[key]):.{measure.digits}f}" for key in keys]
                # no interval of four images
                assert cell == " ".join([values[0], " to ".join(values[1:])]).strip()
                assert (total["low"] is None) is (int(count) < 5)
    for table, one in zip(page.tables["differences"], content["summary"], strict=True):
        assert [line[:2] for line in table[1:]] == [[d["method"], d["other"]] for d in one["comparisons"]]
        found = one["comparisons"][0]["differences"]["psnr_db"]
        few = found["low"] is None
        sign = "" if few else "▲" if found["low"] > 0 else "▼" if found["high"] < 0 else ""
        words = [word.rstrip(",") for word in table[1][2].split()]
        assert words[: 2 if sign else 1] == [*([sign] if sign else []), f"{found['mean']:+.2f}"]
    numbers = page.tables["image-scores"][0][1][1:]
    assert len(page.tables["image-scores"]) == 5
    assert len(numbers) == len(MEASURES)


def test_json_is_complete(written, five):
    content = strict_json(written / "report.json")
    evaluation = five.evaluation
    assert {field.name for field in dataclasses.fields(Evaluation)} - {"subsets", "rows"} <= set(content)
    assert content["summary"][0]["images"] == five.names
    assert content["methods"][1]["card"]["architecture"] == "unet"
    assert content["summary"][0]["methods"]["noise"]["psnr_db"]["value"] == "inf"
    assert read_csv(written / content["per_image"]) == list(evaluation.rows)


def test_the_best_of_each_column_is_bold(written):
    markdown = (written / "report.md").read_text(encoding="utf-8")
    rows = [
        line.split(" | ") for line in markdown.splitlines() if re.match(r"\| (gray|tiny|noise) \| 5 ", line)
    ]
    best = {place: [cells[0][2:] for cells in rows if cells[place].startswith("**")] for place in (2, 3, 5)}
    # one perfect image makes the mean PSNR infinite, but not the other measures
    assert best == {2: ["noise"], 3: ["tiny"], 5: ["tiny"]}
    assert Html(written / "report.html").elements.count(("b", {})) == markdown.count("| **") - markdown.count(
        "▲**"
    ) - markdown.count("▼**")


def test_markdown_matches_the_json(written):
    markdown = (written / "report.md").read_text(encoding="utf-8")
    content = strict_json(written / "report.json")
    for subset, count in enumerate((5, 4)):
        total = content["summary"][subset]["methods"]["gray"]["ssim"]
        ends = f" ({total['low']:.3f} to {total['high']:.3f})" if count == 5 else ""
        row = next(line for line in markdown.splitlines() if line.startswith(f"| gray | {count} |"))
        assert row.split(" | ")[3].strip("*") == f"{total['value']:.3f}{ends}"
    files = re.findall(r"\]\(([^)]+)\)", markdown)
    assert {"per_image.svg", "per_image.csv"} < set(files)
    assert all((written / file.replace("\\", "")).is_file() for file in files)
    assert len({file for file in files if file.startswith("images/")}) == 3 * 4
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.M)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@pytest.mark.parametrize("file", ["report.html", "report.md"])
def test_the_report_states_all_required_facts(written, five, file):
    text = (
        Html(written / file).text if file == "report.html" else (written / file).read_text(encoding="utf-8")
    )
    text = re.sub(r"\\(.)", r"\1", text)
    evaluation = five.evaluation
    stated = [
        *(evaluation.data, evaluation.training, evaluation.command, "python 3.11, numpy 2", "out/two"),
        *(*evaluation.conventions, *evaluation.failures, *evaluation.warnings, "train & 1", HOSTILE),
        *(CARD.summary, CARD.licence.weights, CARD.licence.training_data, "850 nm", '{"width": 64}'),
        *("By the PSNR of tiny", "contains 1 image of these too"),
    ]
    assert [line for line in stated if line not in text] == []


def test_names_are_escaped(tmp_path):
    hostile = Set(tmp_path, 2, odd=HOSTILE + "2")
    write_report(hostile.evaluation, tmp_path / "report", hostile.gallery)
    page = Html(tmp_path / "report" / "report.html")
    assert len(page.all("script")) == 1
    assert page.text.count(HOSTILE) >= 10
    markdown = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown.replace("\\<", "")
    assert r"\<script\>alert(1)\</script\>\&" in markdown
    for path in (tmp_path / "report" / "images").iterdir():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)


def test_without_a_gallery_the_report_has_no_images(tmp_path, five):
    write_report(five.evaluation, tmp_path, None)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "card_scores.json"}
    page = Html(tmp_path / "report.html")
    assert page.all("img") == page.all("section") == []
    assert len(page.tables["scores"]) == 2
    assert "images/" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "data:image" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_number_of_images_is_limited(tmp_path, five):
    write_report(five.evaluation, tmp_path, five.gallery, images=3)
    page = Html(tmp_path / "report.html")
    assert len(page.all("section")) == 3
    assert len([one for one in page.all("img") if ": " in str(one["alt"])]) == 3 * 6 + 3 * 8


def test_the_images_shown_are_spread_over_the_ranking():
    names = [f"{place:03d}" for place in range(100)]
    shown = rendering.chosen(names, 12)
    assert shown == sorted(shown)
    assert {"000", "049", "099"} <= set(shown)
    assert len(shown) == 12
    assert max(np.diff([int(name) for name in shown])) <= 12
    assert rendering.chosen(names, 2) == ["000", "049"]
    assert rendering.chosen(names[:4], 24) == names[:4]
    assert rendering.chosen(names, 0) == []


def test_a_single_image_is_best_median_and_worst(tmp_path):
    one = Set(tmp_path, 1)
    evaluation = dataclasses.replace(one.evaluation, subsets=one.evaluation.subsets[:1])
    write_report(evaluation, tmp_path / "report", one.gallery)
    page = Html(tmp_path / "report" / "report.html")
    assert len([image for image in page.all("img") if ": " in str(image["alt"])]) == 6 + 8
    assert "Best, median, worst" in page.text
    assert " to " not in "".join(cell for line in page.tables["scores"][0] for cell in line)
    total = strict_json(tmp_path / "report" / "report.json")["summary"][0]["methods"]["tiny"]["psnr_db"]
    assert (total["low"], total["high"]) == (None, None)
    assert "▲ +" not in page.text


def test_a_subset_without_images_has_no_table(tmp_path):
    one = Set(tmp_path, 1)
    write_report(one.evaluation, tmp_path / "report", None)
    assert len(strict_json(tmp_path / "report" / "report.json")["summary"]) == 1


def test_scores_for_a_models_card(written, tmp_path, five):
    rows = [CardScore.model_validate(row) for row in strict_json(written / "card_scores.json")]
    total = strict_json(written / "report.json")["summary"][1]["methods"]["tiny"]
    assert [row.data for row in rows] == ["a <set>, all 5 images", "a <set>, the clean"]
    assert rows[1].psnr_db == round(total["psnr_db"]["value"], 3)
    assert rows[0].source == (written / "report.md").as_posix()
    methods = (*five.evaluation.methods[:2], Method("noise", "model", ("noise.onnx",), CARD))
    write_report(dataclasses.replace(five.evaluation, methods=methods), tmp_path, None)
    assert {path.name for path in tmp_path.glob("card*")} == {
        "card_scores-tiny.json",
        "card_scores-noise.json",
    }


def test_reports_are_reproducible(written, tmp_path, five):
    write_report(five.evaluation, tmp_path, five.gallery)
    files = [path.relative_to(written) for path in written.rglob("*") if path.is_file()]
    assert len(files) == len(FILES) + 13
    for file in files:
        if file.name != "card_scores.json":
            assert (tmp_path / file).read_bytes() == (written / file).read_bytes()


@pytest.mark.parametrize("broken", ["render_markdown", "card_scores", "write_csv"])
def test_a_failed_report_keeps_the_old_one(tmp_path, five, monkeypatch, broken):
    write_report(five.evaluation, tmp_path, None)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, broken, full)
    with pytest.raises(NircolorError, match=r"cannot be written.*No space left"):
        write_report(dataclasses.replace(five.evaluation, data="new"), tmp_path, five.gallery)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    write_report(dataclasses.replace(five.evaluation, data="new"), tmp_path, None)
    assert "Evaluation: new" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_folder_in_place_of_a_file_is_an_error_before_anything_is_replaced(tmp_path, five):
    (tmp_path / "report.md").mkdir()
    with pytest.raises(NircolorError, match=r"report\.md is a folder"):
        write_report(five.evaluation, tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_slugs_are_plain_and_unique():
    names = ["a/b", "a b", "A-b", "", "...", "ü", "urban/0003", "x" * 300]
    slugs = rendering.slugs(names)
    assert slugs["urban/0003"] == "urban-0003"
    assert len({slug.lower() for slug in slugs.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", slug) for slug in slugs.values())


def test_the_scores_of_images_are_a_csv(written):
    with (written / "per_image.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + 5 * 3


def test_files_of_an_older_report_are_removed(tmp_path, five):
    write_report(five.evaluation, tmp_path, five.gallery)
    (tmp_path / "images/mine.jpg").write_text("kept")
    two = dataclasses.replace(five.evaluation.methods[1], label="other", origin=("a", "b"))
    rows = [row._replace(method="other") if row.method == "tiny" else row for row in five.evaluation.rows]
    methods = tuple(two if one.label == "tiny" else one for one in five.evaluation.methods)
    write_report(dataclasses.replace(five.evaluation, methods=methods, rows=tuple(rows)), tmp_path, None)
    # a method with two runs has no single model whose card could state the scores
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*FILES, "images/mine.jpg"}
