"""Settings for tests and doctests: threads per worker, and files that need an optional dependency."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # the workers share the processor: without this each of them would start a thread per core. Numba is not
    # limited, since it cannot raise its number of threads afterwards, as some tests do
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

# optional dependency -> files and folders below tests/ and src/nircolor/ that cannot be imported without it
_NEEDED_BY = {
    "torch": [
        "app/test_torch_models.py",
        "inference/test_torch_engine.py",
        "inference/torch_engine.py",
        "losses.py",
        "models",
        "test_losses.py",
        "training",
    ],
    "safetensors": ["modelfile/test_safetensors_file.py"],
    "numba": ["models/graph", "models/test_nirgnn.py"],
    "colour": ["app/test_synthesize.py", "spectral"],
    "ray": ["inference/test_cluster.py"],
    "triton": ["models/graph/knn_triton.py"],
    "rioxarray": ["test_xarray.py", "xarray.py"],
    "fastapi": ["app/web"],
    "skimage": ["app/test_evaluate.py", "evaluation", "metrics.py", "test_metrics.py"],
}
_MISSING = [package for package in _NEEDED_BY if find_spec(package) is None]

collect_ignore = [
    f"{folder}/{path}"
    for package in _MISSING
    for path in _NEEDED_BY[package]
    for folder in ("tests", "src/nircolor")
]


def pytest_report_header() -> list[str]:
    """Name the skipped files, so that a base install does not pass for a full run."""
    return [f"{package} is not installed, skipped: {', '.join(_NEEDED_BY[package])}" for package in _MISSING]


@pytest.fixture(autouse=True)
def _numpy_print_options(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print arrays in docstring examples in numpy's own format: importing colour-science changes it."""
    # imported here, since it reads the number of threads set above
    import numpy as np

    if isinstance(request.node, pytest.DoctestItem):
        with np.printoptions(legacy=False):
            yield
    else:
        yield
