"""nircolor turns near-infrared (NIR) images into colour.

Colorize a file, a folder, an array or a PIL image with a shipped model:

    import nircolor

    nircolor.colorize("night.png", "night_colour.png")
    nircolor.colorize("night/", "colour/", recursive=True)
    rgb = nircolor.colorize(nir)                   # uint8 (h, w) -> uint8 (h, w, 3)

Load a model once and use it many times:

    colorizer = nircolor.Colorizer("scene")        # or the path of a model file
    rgb = colorizer.colorize(nir)
    colorizer.colorize_file("scene.tif", "colour.tif")

Read images and captures (PNG, JPEG, TIFF, GeoTIFF, ENVI and others), whole or by windows:

    with nircolor.open_raster("cube.hdr") as raster:
        nir, valid = raster.read()                 # (bands, h, w) in [0, 1] and (h, w)

Measure, compare and prepare data (these need extras, such as ``pip install 'nircolor[evaluate]'``):

    nircolor.metrics.psnr(predicted, target)
    nircolor.evaluate(["scene"], data="pairs/")
    nircolor.find_leaks("evaluated/", "training/")
    nircolor.synthesize("captures/", "pairs/", bands_nm=[850])
    nircolor.finetune("scene", "pairs/", "my-model.onnx")
    network = nircolor.models.load("scene")        # a PyTorch module, ready to fine-tune

The command line does the same: ``nircolor --help``. Errors in the input are raised as `NircolorError`, whose
message is one line; problems that do not stop the work are reported as `NircolorWarning`.

The names below are imported when they are first used: ``import nircolor`` imports neither ONNX Runtime nor
PyTorch.
"""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nircolor.errors import NircolorError, NircolorWarning

if TYPE_CHECKING:
    from nircolor import metrics, models
    from nircolor.evaluation import evaluate
    from nircolor.imagery import open_raster
    from nircolor.inference import Colorizer, colorize
    from nircolor.pairs import find_leaks
    from nircolor.pairs.alignment import align
    from nircolor.spectral import synthesize
    from nircolor.training import finetune

__version__ = "0.1.0"

# ONNX Runtime sends usage data to its maker and keeps a database of it, unless this is set before its import
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Colorizer",
    "NircolorError",
    "NircolorWarning",
    "__version__",
    "align",
    "colorize",
    "evaluate",
    "find_leaks",
    "finetune",
    "metrics",
    "models",
    "open_raster",
    "synthesize",
]

# public name -> module that defines it, and extra that the module needs
_LAZY = {
    "Colorizer": ("nircolor.inference", None),
    "align": ("nircolor.pairs.alignment", "align"),
    "colorize": ("nircolor.inference", None),
    "evaluate": ("nircolor.evaluation", "evaluate"),
    "find_leaks": ("nircolor.pairs", "evaluate"),
    "finetune": ("nircolor.training", "train,evaluate"),
    "metrics": ("nircolor.metrics", "evaluate"),
    "models": ("nircolor.models", "train"),
    "open_raster": ("nircolor.imagery", None),
    "synthesize": ("nircolor.spectral", "spectral"),
}
# a package of each extra that is in no other
_PACKAGES = {
    "align": "cv2",
    "evaluate": "skimage",
    "spectral": "colour",
    "train": "torch",
    "train,evaluate": "torch",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'nircolor' has no attribute {name!r}")
    module, extra = _LAZY[name]
    try:
        found = import_module(module)
        value = found if module == f"nircolor.{name}" else getattr(found, name)
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith("nircolor"):
            raise
        from nircolor.extras import missing

        raise missing(f"nircolor.{name}", extra) from error
    # later accesses do not call this function
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Names that can be used; those whose extra is not installed are left out."""
    lazy = [
        name for name, (_, extra) in _LAZY.items() if extra is None or find_spec(_PACKAGES[extra]) is not None
    ]
    return sorted({*globals(), *lazy})
