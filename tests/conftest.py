"""Fixtures shared by the tests of all packages."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a name in `tests.tiny_models` (`box`, `per_pixel`, …) to that model's file."""
    from tests import tiny_models  # needs onnx, which a base install lacks

    folder = tmp_path_factory.mktemp("models")

    def model(name: str) -> Path:
        path = folder / f"{name}.onnx"
        return path if path.exists() else getattr(tiny_models, name)(path)

    return model


@pytest.fixture
def bounded_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `tests.torch_models.Bounded`, a network that bounds the error of its colour."""
    from nircolor.models import ARCHITECTURES
    from tests.torch_models import Bounded

    monkeypatch.setitem(ARCHITECTURES, "bounded", Bounded)
