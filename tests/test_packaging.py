"""Tests of the wheel and the source distribution."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from nircolor.modelfile import is_model_file
from nircolor.training.templates import TEMPLATES

REPOSITORY = Path(__file__).parents[1]


def build(kind, folder):
    pytest.importorskip("hatchling", reason="needs nircolor[dev]")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (archive,) = folder.iterdir()
    return archive


def test_the_wheel_holds_the_package_its_weights_and_licences_and_nothing_else(tmp_path):
    names = set(zipfile.ZipFile(build("wheel", tmp_path)).namelist())
    weights = {"scene", "satellite", "satellite-1band"}
    expected = {f"nircolor/weights/{name}.onnx" for name in weights} | {"nircolor/py.typed"}
    folder = REPOSITORY / "src/nircolor/weights"
    expected |= {f"nircolor/weights/{path.name}" for path in folder.iterdir() if is_model_file(path)}
    expected |= {f"nircolor/training/templates/{name}.yaml" for name in TEMPLATES}
    assert expected <= names
    licences = {name for name in names if ".dist-info/licenses/" in name}
    assert {name.split("/licenses/")[1] for name in licences} == {
        "LICENSE",
        "src/nircolor/weights/LICENSE.md",
    }
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nircolor"}
    sources = {path.relative_to(REPOSITORY / "src").as_posix() for path in (REPOSITORY / "src").rglob("*.py")}
    assert sources <= names


def test_the_source_distribution_holds_all_that_the_tests_need(tmp_path):
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
        size = sum(member.size for member in archive.getmembers() if "/weights/" not in member.name)
    listing = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    tracked = {name for name in listing.stdout.splitlines() if (REPOSITORY / name).exists()}
    bulky = {
        name
        for name in tracked
        if name.startswith("results/") and name.endswith((".svg", ".csv", ".safetensors"))
    }
    assert tracked - bulky <= names
    assert not bulky & names
    assert size < 10e6
