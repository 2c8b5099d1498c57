"""What the tests of every room share: `tiny_models`, and the sample images of `imagery`."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "imagery"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of one of `tiny_models`: `per_pixel`, `box`, `position` or `three_bands`."""
    import tiny_models

    folder = tmp_path_factory.mktemp("models")

    def model(name: str) -> Path:
        path = folder / f"{name}.onnx"
        return path if path.exists() else getattr(tiny_models, name)(path)

    return model
