"""Self-contained HTML page that compares an NIR image, its colorization and its true colours."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from nircolor.arrays import Floats
from nircolor.imagery.output.data_uris import encode_jpeg
from nircolor.staging import staging_folder

COMMAND = "nircolor colorize my_images/ -o colour/"


@dataclass(frozen=True)
class BeforeAfter:
    """An image before and after colorization.

    Attributes:
        name: Heading on the page.
        nir: (1 or 3, height, width) in [0, 1]; three bands are shown as red, green and blue.
        colour: Result of the model, (3, height, width) in [0, 1].
        truth: True colours if known, (3, height, width) in [0, 1].
        origin: Source of the image, shown in a box below the heading.

    Raises:
        ValueError: The images differ in size or do not have 1 or 3 bands.
    """

    name: str
    nir: Floats
    colour: Floats
    truth: Floats | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        images = [self.nir, self.colour] + ([] if self.truth is None else [self.truth])
        sizes = {image.shape[1:] for image in images}
        bands = {image.shape[0] for image in images}
        if len(sizes) > 1 or not bands <= {1, 3}:
            shapes = ", ".join(str(image.shape) for image in images)
            raise ValueError(f"expected images of one size with 1 or 3 bands, got {shapes}")


def write_page(
    path: str | os.PathLike[str],
    title: str,
    comparisons: Sequence[BeforeAfter],
    *,
    notes: Sequence[str] = (),
    command: str = COMMAND,
) -> None:
    """Write an HTML page with sliders between NIR and colour, and between colour and truth if known.

    The page needs no other files: images are embedded as JPEG. An existing page is replaced only when the new
    one is complete.

    Args:
        path: Output file.
        title: Title of the page, plain text like all other arguments.
        comparisons: Images to show.
        notes: Paragraphs below the title.
        command: Command line for the reader's own images.
    """
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        title=escape(title),
        notes="".join(f"<p>{escape(note)}</p>" for note in notes),
        comparisons="\n".join(_section(one, f"p{number}") for number, one in enumerate(comparisons)),
        command=escape(command),
    )
    path = Path(path)
    with staging_folder(path.parent) as draft:
        (draft / path.name).write_text(page, encoding="utf-8")
        (draft / path.name).replace(path)


def _section(one: BeforeAfter, key: str) -> str:
    images = {"nir": ("Near-infrared", one.nir), "colour": ("Colour by nircolor", one.colour)}
    if one.truth is not None:
        images["truth"] = ("True colour", one.truth)
    labels = {which: label for which, (label, _) in images.items()}
    origin = f'<p class="origin">{escape(one.origin)}</p>\n' if one.origin else ""
    wipes = [
        _wipe(key, left, right, labels, one)
        for left, right in (("nir", "colour"), ("colour", "truth"))
        if right in images
    ]
    row = "\n".join(
        f'<figure><img id="{key}-{which}" src="{encode_jpeg(image).uri}" {_size(one)} '
        f'alt="{escape(f"{label}: {one.name}")}"><figcaption>{label}</figcaption></figure>'
        for which, (label, image) in images.items()
    )
    return (
        f"<section>\n<h2>{escape(one.name)}</h2>\n{origin}"
        + "\n".join(wipes)
        + f'\n<div class="row">\n{row}\n</div>\n</section>'
    )


def _wipe(key: str, left: str, right: str, labels: dict[str, str], one: BeforeAfter) -> str:
    # hidden until the script fills it; without scripts, only the row of images is shown
    images = "".join(f'<img data-of="{key}-{which}" {_size(one)} alt="">' for which in (left, right))
    label = escape(
        f"{one.name}: percentage of the width that shows {labels[left]}; the rest shows {labels[right]}"
    )
    return (
        f'<div class="wipe" hidden>{images}'
        f'<input type="range" min="0" max="100" value="50" step="any" aria-label="{label}">'
        f'<span class="bar"></span><span class="tag left">{labels[left]}</span>'
        f'<span class="tag right">{labels[right]}</span></div>'
    )


def _size(one: BeforeAfter) -> str:
    height, width = one.colour.shape[1:]
    return f'width="{width}" height="{height}"'
