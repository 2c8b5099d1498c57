"""Tests of the top-level package: its names, its version, and what importing it costs."""

import pydoc
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nircolor

_ROOT = Path(__file__).parents[1]


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_every_public_name_can_be_imported():
    pytest.importorskip("torch")
    pytest.importorskip("skimage")
    pytest.importorskip("colour")
    pytest.importorskip("cv2")
    for name in nircolor.__all__:
        assert name in dir(nircolor)
        assert getattr(nircolor, name) is not None
    assert callable(nircolor.evaluate)
    assert callable(nircolor.metrics.ssim)
    assert callable(nircolor.models.load)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'colourize'"):
        nircolor.colourize  # noqa: B018


def test_import_is_light():
    code = "import sys, nircolor; print(*sys.modules)"
    loaded = set(_python(code).stdout.split())
    heavy = {
        "torch",
        "onnxruntime",
        "rasterio",
        "pydantic",
        "numpy",
        "scipy",
        "skimage",
        "lightning",
        "typer",
    }
    assert not heavy & loaded


def test_networks_need_pytorch_alone():
    pytest.importorskip("torch")
    loaded = set(_python("import sys, nircolor.models; print(*sys.modules)").stdout.split())
    assert not {"rasterio", "pydantic", "onnxruntime", "lightning"} & loaded


def test_import_takes_less_than_50_ms():
    """CPU time of the import alone, without the start of Python; the best of three, for busy machines."""
    code = "import time; start = time.process_time(); import nircolor; print(time.process_time() - start)"
    assert min(float(_python(code).stdout) for _ in range(3)) < 0.05


def test_colorizing_loads_no_pytorch():
    code = (
        "import sys, numpy as np, nircolor\n"
        "assert nircolor.colorize(np.zeros((16, 16), np.uint8) + 9).shape == (16, 16, 3)\n"
        "assert not {'torch', 'lightning', 'skimage', 'scipy'} & set(sys.modules)"
    )
    _python(code)


def test_a_missing_extra_names_its_install():
    code = (
        "import sys; sys.modules['skimage'] = None\n"
        "import nircolor\n"
        "try: nircolor.metrics\n"
        "except nircolor.NircolorError as error: print(error)"
    )
    printed = _python(code).stdout
    assert printed.startswith("nircolor.metrics needs more than the base install: ")
    assert printed.endswith("[evaluate]'\n")


def test_the_version_stands_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", nircolor.__version__)
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/nircolor/__init__.py"
    citation = (_ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {nircolor.__version__}\n" in citation


def test_help_reads_like_a_front_page():
    pytest.importorskip("torch")
    text = pydoc.plain(pydoc.render_doc(nircolor))
    assert "nircolor turns near-infrared (NIR) images into colour" in text
    for name in ("colorize(", "class Colorizer", "open_raster(", "evaluate(", "find_leaks(", "synthesize("):
        assert name in text


def test_onnxruntime_keeps_no_records(tmp_path):
    code = (
        "import os; os.environ.update(HOME={0!r}, XDG_CACHE_HOME={0!r}, TMPDIR={0!r})\n"
        "import numpy as np, nircolor\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "nircolor.colorize(np.zeros((16, 16), np.uint8) + 9)"
    )
    _python(code.format(str(tmp_path)))
    assert not list(tmp_path.iterdir())
