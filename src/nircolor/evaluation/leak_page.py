"""Page that shows the images of a leak check side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery.gdal import reason
from nircolor.imagery.output.data_uris import EncodedImage, encode_jpeg
from nircolor.pairs.compared import ComparedImage
from nircolor.pairs.correlation import scaled
from nircolor.pairs.leaks import Leak, LeakCheck
from nircolor.staging import staging_folder

# mean side of the images on the page, and maximum number of matches shown
_SIDE_PX, _SHOWN = 256, 500


class _Shown(NamedTuple):
    """A match and its two images."""

    leak: Leak
    image: EncodedImage
    other: EncodedImage


def write_leak_page(
    check: LeakCheck, images: Sequence[ComparedImage], others: Sequence[ComparedImage], path: Path, title: str
) -> None:
    """Write an HTML page of the matches, with the images in it.

    Args:
        check: Result of comparing ``images`` with ``others``.
        images: The images.
        others: The images with which they were compared.
        path: Page to write; an older one is replaced.
        title: Title of the page.

    Raises:
        NircolorError: An image cannot be read again, or the page cannot be written.
    """
    # images of equal names are shown by the first of them
    own, their = ({one.name: one for one in reversed(side)} for side in (images, others))
    shown = [
        _Shown(leak, _encoded(own[leak.name], leak.view), _encoded(their[leak.other], leak.view))
        for leak in check.leaks[:_SHOWN]
    ]
    environment = Environment(
        loader=PackageLoader("nircolor.evaluation"), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("leaks.html.j2").render(
        check=check, shown=shown, left_out=len(check.leaks) - len(shown), title=title
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging_folder(path.parent) as draft:
            (draft / path.name).write_text(text, encoding="utf-8")
            (draft / path.name).replace(path)
    except OSError as error:
        raise NircolorError(f"{path}: the page cannot be written ({reason(error)})") from error


def _encoded(image: ComparedImage, view: str) -> EncodedImage:
    pixels: Floats = image.read()[view]
    planes = pixels if len(pixels) == 3 else np.repeat(pixels.mean(axis=0, keepdims=True), 3, axis=0)
    factor = min(1.0, _SIDE_PX / float(np.sqrt(planes[0].size)))
    return encode_jpeg(np.stack([scaled(plane, factor) for plane in planes]))
