import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from nircolor.evaluation.scores import read_csv
from tests.app.command_line import files
from tests.imagery.imagery_samples import save

RNG = np.random.default_rng(0)
SIDE = 64


def texture(seed):
    """Return NIR and colour of a random scene with blocks of 1 to 16 pixels."""
    rng = np.random.default_rng(seed)
    planes = sum(
        np.kron(rng.random((4, SIDE // cell, SIDE // cell)), np.ones((cell, cell)))
        for cell in (1, 2, 4, 8, 16)
    )
    planes = (255 * planes / planes.max()).astype("uint8")
    return planes[:1], planes[1:]


@pytest.fixture
def vcip(tmp_path):
    """Write six training pairs and four validation pairs; two of these are a copy and a shifted copy."""
    for n in range(6):
        nir, rgb = texture(n)
        save_pair(tmp_path / "set/NIR", tmp_path / "set/RGB-Registered", f"t_{n}", nir, rgb)
    for n, seed in enumerate((100, 101, 2, 3)):
        nir, rgb = texture(seed)
        if seed == 3:
            nir, rgb = (np.roll(a, 5, axis=2) for a in (nir, rgb))
        save_pair(tmp_path / "set/Validation", tmp_path / "set/Validation", f"v_{n}", nir, rgb)
    return tmp_path / "set"


def save_pair(nir_folder, rgb_folder, name, nir, rgb):
    for folder in (nir_folder, rgb_folder):
        folder.mkdir(parents=True, exist_ok=True)
    save(nir_folder / f"{name}_nir.png", nir, "PNG")
    save(rgb_folder / f"{name}_rgb_reg.png", rgb, "PNG")


def outputs(folder, order=(0, 1, 2, 3), error=20):
    """Write a folder of colorized images: the true colours plus a constant error."""
    folder.mkdir()
    for n, seed in enumerate(order):
        rgb = texture((100, 101, 2, 3)[seed])[1]
        if seed == 3:
            rgb = np.roll(rgb, 5, axis=2)
        save(folder / f"v_{n}.png", np.clip(rgb + np.int16(error), 0, 255).astype("uint8"), "PNG")
    return folder


def test_a_model_and_a_folder_are_scored_beside_the_baselines(nircolor, vcip, tiny, tmp_path):
    report = tmp_path / "report"
    done = nircolor(
        "evaluate", tiny("per_pixel"), f"theirs={outputs(tmp_path / 'out')}",
        "--data", vcip, "--train", vcip, "-o", report,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((report / "report.json").read_text(), parse_constant=pytest.fail)
    assert [part["title"] for part in found["summary"]] == [
        "All 4 images",
        "The 2 that training does not show",
        "The 2 that training shows too",
    ]
    assert found["summary"][2]["images"] == ["v_2", "v_3"]
    assert {(one["name"], one["other"]) for one in found["seen"]} == {("v_2", "t_2"), ("v_3", "t_3")}
    labels = ["NIR copied", "mean colour", "transfer matrix", "linear ridge", "per_pixel", "theirs"]
    assert list(found["summary"][0]["methods"]) == labels
    rows = read_csv(report / "per_image.csv")
    assert len(rows) == 4 * len(labels)
    # an error of 20 of 255, except where it is clipped
    theirs = [row.scores.psnr_db for row in rows if row.method == "theirs"]
    np.testing.assert_allclose(theirs, 20 * np.log10(255 / 20), atol=0.5)
    assert found["summary"][0]["methods"]["theirs"]["psnr_db"]["value"] == pytest.approx(np.mean(theirs))
    assert "given gray" not in (report / "report.md").read_text()
    # scoring a model and scoring its output files agree
    coloured = tmp_path / "coloured"
    assert (
        nircolor("colorize", vcip / "Validation/*_nir.png", "-o", coloured, "-m", tiny("per_pixel")).code == 0
    )
    again = nircolor("evaluate", coloured, "--data", vcip, "-o", tmp_path / "again", "--images", 0)
    assert again.code == 0, again.err
    direct = [row.scores.psnr_db for row in rows if row.method == "per_pixel"]
    written = [
        row.scores.psnr_db for row in read_csv(tmp_path / "again/per_image.csv") if row.method == "coloured"
    ]
    np.testing.assert_allclose(written, direct, atol=0.02)
    assert "<img" not in (tmp_path / "again/report.html").read_text()


def test_the_tables_fit_the_terminal(nircolor, vcip, tmp_path, monkeypatch):
    folder = outputs(tmp_path / "out")
    words = ["evaluate", f"a method with a name that is much too long={folder}", "--data", vcip]
    wide = nircolor(*words)
    assert wide.code == 0, wide.err
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    narrow = nircolor(*words).out.splitlines()
    assert max(map(len, narrow)) <= 80
    assert narrow[0] == wide.out.splitlines()[0] == "All 4 images"
    assert wide.out.splitlines()[1].startswith(narrow[1])
    assert narrow[1].endswith("angular error, °")
    assert "colourfulness" in wide.out.splitlines()[1]
    assert narrow[2].startswith("NIR copied")
    assert narrow[6].startswith("a method with a name that i…  ")
    assert "in the report (-o FOLDER), with --json or on a wider terminal" in narrow[-1]
    # no interval of four images, no report without -o
    assert " to " not in wide.out
    assert "report ->" not in wide.err


def test_json_has_stable_keys_and_nothing_else_is_printed(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    done = nircolor("evaluate", f"theirs={folder}", "--data", vcip, "--train", vcip, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out, parse_constant=pytest.fail)
    assert {"data", "training", "methods", "summary", "seen", "failures", "warnings", "per_image"} <= set(
        found
    )
    theirs = found["summary"][0]["methods"]["theirs"]["psnr_db"]
    assert theirs["value"] == pytest.approx(20 * np.log10(255 / 20), abs=0.5)
    assert (theirs["low"], theirs["high"]) == (None, None)
    rows = [row for row in found["per_image"] if row["method"] == "theirs"]
    assert [row["name"] for row in rows] == ["v_0", "v_1", "v_2", "v_3"]
    assert np.mean([row["psnr_db"] for row in rows]) == pytest.approx(theirs["value"])
    assert {(one["name"], one["other"]) for one in found["seen"]} == {("v_2", "t_2"), ("v_3", "t_3")}


def test_quiet_prints_the_tables_only(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out", order=(1, 2, 3, 0), error=3)
    done = nircolor("evaluate", folder, "--data", vcip, "-o", tmp_path / "report", "--images", 0, "-q")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("All 4 images")


def test_progress_without_a_terminal_is_a_line_now_and_then(nircolor, vcip, tmp_path, monkeypatch):
    monkeypatch.setattr("nircolor.app.console._SECONDS_PER_LINE", 0)
    words = ["evaluate", outputs(tmp_path / "out"), "--data", vcip]
    lines = nircolor(*words).err.splitlines()
    assert lines[-1] == "8/8 pairs, 100%"
    assert all(re.fullmatch(r"\d/8 pairs, \d+%", line) for line in lines)
    assert nircolor(*words, "--quiet").err == ""


def test_permuted_names_are_flagged(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out", order=(1, 2, 3, 0), error=3)
    done = nircolor("evaluate", folder, "--data", vcip, "-o", tmp_path / "report", "--images", 0)
    assert done.code == 0
    assert "v_0 looks like v_1: are names permuted?" in done.err
    assert "are names permuted?" in (tmp_path / "report/report.html").read_text()


def test_an_unreadable_output_image_is_left_out_for_all_methods(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    path = folder / "v_1.png"
    path.write_bytes(path.read_bytes()[:-500])
    done = nircolor("evaluate", folder, "--data", vcip, "-o", tmp_path / "report", "--images", 0)
    assert done.code == 1
    assert "1 left out:" in done.err
    assert str(path) in done.err
    assert {row.name for row in read_csv(tmp_path / "report/per_image.csv")} == {"v_0", "v_2", "v_3"}


def test_an_unreadable_pair_is_left_out_with_a_training_set(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    path = vcip / "Validation/v_1_rgb_reg.png"
    path.write_bytes(path.read_bytes()[:-500])
    done = nircolor("evaluate", folder, "--data", vcip, "--train", vcip, "-o", tmp_path / "r", "--images", 0)
    assert done.code == 1
    found = json.loads((tmp_path / "r/report.json").read_text())
    assert [len(part["images"]) for part in found["summary"]] == [3, 1, 2]


def test_pairs_of_one_group_count_as_shared(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    rows = [f"t_{n},{n}" for n in range(6)] + ["v_0,4", "v_1,9", "v_2,10", "v_3,11"]
    table = tmp_path / "places.csv"
    table.write_text("\n".join(["pair,group", *rows]) + "\n")
    words = ["evaluate", folder, "--data", vcip, "--train", vcip, "--images", 0, "--table", table]
    assert nircolor(*words, "-o", tmp_path / "r").code == 0
    seen = json.loads((tmp_path / "r/report.json").read_text())["seen"]
    assert [one["other"] for one in seen if one["name"] == "v_0"] == ["t_4"]
    assert {one["name"] for one in seen} == {"v_0", "v_2", "v_3"}


def test_the_label_of_a_baseline_is_refused(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    line = nircolor.refused("evaluate", f"mean colour={folder}", "--data", vcip, "-o", tmp_path / "r")
    assert "mean colour: expected another label" in line


def test_the_report_cannot_be_a_file(nircolor, vcip, tmp_path):
    (tmp_path / "r").write_text("mine")
    line = nircolor.refused("evaluate", outputs(tmp_path / "out"), "--data", vcip, "-o", tmp_path / "r")
    assert "expected a folder for the report, got a file" in line
    assert (tmp_path / "r").read_text() == "mine"


def test_a_single_pair(nircolor, tmp_path):
    nir, rgb = texture(0)
    save_pair(tmp_path / "one/nir", tmp_path / "one/rgb", "x", nir, rgb)
    save(tmp_path / "x.png", np.zeros_like(rgb), "PNG")
    done = nircolor("evaluate", f"{tmp_path}/*.png", "--data", tmp_path / "one", "-o", tmp_path / "report")
    assert done.code == 0, done.err
    methods = json.loads((tmp_path / "report/report.json").read_text())["summary"][0]["methods"]
    # a black image; no other group to fit baselines on
    assert list(methods) == ["NIR copied", tmp_path.name]
    assert methods[tmp_path.name]["angular_error_deg"]["value"] == pytest.approx(90, abs=1)
    assert methods[tmp_path.name]["psnr_db"]["low"] is None


def test_figure_of_named_pairs(nircolor, vcip, tmp_path):
    folder = outputs(tmp_path / "out")
    words = ["evaluate", folder, "--data", vcip, "-o", tmp_path / "report", "--images", 0]
    assert nircolor(*words, "--figure", "v_0,v_3").code == 0
    assert (tmp_path / "report/figure.png").stat().st_size > 10_000
    assert "none named nothing" in nircolor.refused(*words, "--overwrite", "--figure", "v_0, nothing")
    line = nircolor.refused("evaluate", folder, "--data", vcip, "--figure", "v_0")
    assert line == "--figure: expected a folder for the figure as well, -o FOLDER"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "nothing"}, "nothing: expected the path of a model file"),
        ({"--data": "nowhere"}, "nowhere: expected a folder in VCIP's layout"),
        ({"--train": "nowhere"}, "nowhere: expected a folder in VCIP's layout"),
        ({"--split": "test"}, "expected pairs of the split test, got splits: validation"),
    ],
)
def test_invalid_arguments(nircolor, vcip, tmp_path, change, reason):
    folder = outputs(tmp_path / "out")
    words = {"model": folder, "--data": vcip, "-o": tmp_path / "report"} | change
    line = nircolor.refused(
        "evaluate", *(w for k, v in words.items() for w in ((v,) if k == "model" else (k, v)))
    )
    assert reason in line
    assert not (tmp_path / "report").exists()


def test_a_report_is_replaced_only_with_overwrite(nircolor, vcip, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.html").write_text("old")
    words = ["evaluate", outputs(tmp_path / "out"), "--data", vcip, "-o", report, "--images", 0]
    assert "--overwrite replaces it" in nircolor.refused(*words)
    assert (files(report), (report / "report.html").read_text()) == (["report.html"], "old")
    assert nircolor(*words, "--overwrite").code == 0
    assert "old" not in (report / "report.html").read_text().split()
    assert {"report.html", "report.json", "report.md", "per_image.csv"} <= set(files(report))


def test_images_of_another_size_are_refused(nircolor, vcip, tmp_path):
    (tmp_path / "out").mkdir()
    for n in range(4):
        save(tmp_path / f"out/v_{n}.png", RNG.integers(0, 255, (3, 2 * SIDE, SIDE), "uint8"), "PNG")
    line = nircolor.refused("evaluate", tmp_path / "out", "--data", vcip, "-o", tmp_path / "report")
    assert "v_0.png: expected 64 × 64 px as the pair v_0, got 64 × 128" in line


def test_evaluation_does_not_import_torch():
    code = "import sys; import nircolor.evaluation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_given_gray_adds_a_baseline(nircolor, vcip, tmp_path):
    words = ["evaluate", outputs(tmp_path / "out"), "--data", vcip, "--images", 0, "--given-gray"]
    assert nircolor(*words, "-o", tmp_path / "r").code == 0
    report = json.loads((tmp_path / "r/report.json").read_text())
    assert "transfer matrix given gray" in report["summary"][0]["methods"]
    assert any("takes the gray version of the true image" in line for line in report["conventions"])
