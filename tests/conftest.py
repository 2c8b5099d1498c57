"""Fixtures shared by all packages; test files that need an optional dependency are skipped without it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

_NEEDED_BY = {
    "torch": [
        "models",
        "training",
        "test_losses.py",
        "inference/test_torch_engine.py",
        "app/test_torch_models.py",
    ],
    "safetensors": ["modelfile/test_safetensors_file.py"],
    "numba": ["models/test_edge_sums.py", "models/test_machine_code.py", "models/test_nirgnn.py"],
    "colour": ["spectral", "app/test_synthesize_command.py"],
}
_MISSING = [package for package in _NEEDED_BY if find_spec(package) is None]

collect_ignore = [path for package in _MISSING for path in _NEEDED_BY[package]]


def pytest_report_header() -> list[str]:
    """Name the skipped files, so that a base install does not pass for a full run."""
    return [f"{package} is not installed, skipped: {', '.join(_NEEDED_BY[package])}" for package in _MISSING]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of one of `tiny_models`: `per_pixel`, `box`, `position` or `three_bands`."""
    from tests import tiny_models  # needs onnx, which a base install lacks

    folder = tmp_path_factory.mktemp("models")

    def model(name: str) -> Path:
        path = folder / f"{name}.onnx"
        return path if path.exists() else getattr(tiny_models, name)(path)

    return model
