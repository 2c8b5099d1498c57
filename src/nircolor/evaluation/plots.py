"""Plot of the scores of each image, as SVG that can be embedded in a page."""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nircolor.evaluation.scores import MEASURES, Columns, Measure, ranking

_PLOTTED = ("psnr_db", "ssim", "angular_error_deg")
# Okabe and Ito's colour-blind safe palette, without black and yellow; repeated with other marks
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKS = ("o", "s", "D", "v")
_GRAYS = ("#6f6f6f", "#9a9a9a", "#bdbdbd")
_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
# the names of more images would not be legible below the axis
_MAX_NAMES = 60
_MAX_NAME_LENGTH = 28

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # seed of the ids in the file, which are random by default
    "svg.hashsalt": "nircolor",
    # do not parse $ in names as formulas
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}


def per_image_svg(
    columns: Columns,
    names: Sequence[str],
    methods: Sequence[str],
    baselines: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Plot PSNR, SSIM and angular error of each image by each method, best image of ``methods[0]`` first.

    Infinite values are drawn as triangles at the upper edge. With many images, lines are running medians.

    Args:
        columns: Scores from `scores.by_method`.
        names: Names of the images, in the order of the columns.
        methods: Methods drawn as coloured dots.
        baselines: Methods drawn as thin gray lines.
        links: Link targets of the dots, by name of the image.

    Returns:
        SVG, starting with ``<svg``; equal for equal input.
    """
    links = links or {}
    order = ranking(columns[methods[0]]["psnr_db"])
    measures = [measure for measure in MEASURES if measure.key in _PLOTTED]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 8.2), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(len(measures), 1, sharex=True)
        for axes, measure in zip(panels, measures, strict=True):
            _draw(axes, measure, columns, names, order, methods, baselines, links)
        _name_images(panels[-1], [names[place] for place in order], methods[0])
        _legend(figure, methods, baselines, many=len(names) > _MAX_NAMES)
        figure.align_ylabels()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()
    return _add_titles(svg[svg.index("<svg") :], {link: name for name, link in links.items()})


def _draw(
    axes: Axes,
    measure: Measure,
    columns: Columns,
    names: Sequence[str],
    order: Sequence[int],
    methods: Sequence[str],
    baselines: Sequence[str],
    links: Mapping[str, str],
) -> None:
    drawn = {
        label: np.array([columns[label][measure.key][place] for place in order])
        for label in [*baselines, *methods]
    }
    finite = np.concatenate([values[np.isfinite(values)] for values in drawn.values()])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    bottom, top = low - margin, high + margin
    axes.set_ylim(bottom, top)
    axes.set_ylabel(measure.title)
    places = np.arange(len(order))
    many = len(order) > _MAX_NAMES
    for number, label in enumerate(baselines):
        line = running_median(drawn[label]) if many else drawn[label]
        # a single image gives no line
        mark = "_" if len(order) == 1 else ""
        axes.plot(places, np.minimum(line, top), marker=mark, markersize=16, **_line(number))
    urls = [links.get(names[place]) for place in order]
    size = 8 if many else 26
    for number, label in enumerate(methods):
        values = drawn[label]
        shown = np.isfinite(values)
        # scatter, because the markers of a line cannot have links
        alpha = 0.4 if many else 1.0
        dots = axes.scatter(
            places[shown], values[shown], s=size, linewidths=0 if many else 0.4, alpha=alpha, **_dot(number)
        )
        dots.set_urls([url for url, one in zip(urls, shown, strict=True) if one])
        beyond = axes.scatter(
            places[~shown], np.full(np.sum(~shown), top), s=40, clip_on=False,
            **{**_dot(number), "marker": "^"},
        )  # fmt: skip
        beyond.set_urls([url for url, one in zip(urls, shown, strict=True) if not one])
        if many:
            middle = np.minimum(running_median(values), top)
            axes.plot(places, middle, color=_color(number), linestyle=_dash(number), linewidth=1.8, zorder=4)


def running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the median of each value and its neighbours, in a window of an eleventh of all values."""
    radius = len(values) // 22
    return np.array(
        [np.median(values[max(0, place - radius) : place + radius + 1]) for place in range(len(values))]
    )


def _line(number: int) -> dict[str, Any]:
    return {
        "color": _GRAYS[number % len(_GRAYS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "linewidth": 1.0,
    }


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _dash(number: int) -> Literal["-", "--", ":", "-."]:
    return _DASHES[number // len(_COLORS) % len(_DASHES)]


def _dot(number: int) -> dict[str, Any]:
    return {
        "color": _color(number),
        "marker": _MARKS[number // len(_COLORS) % len(_MARKS)],
        "edgecolor": "white",
        "zorder": 3.0,
    }


def _name_images(axes: Axes, names: Sequence[str], first: str) -> None:
    axes.set_xlim(-0.8, len(names) - 0.2)
    if len(names) > _MAX_NAMES:
        axes.set_xlabel(f"{len(names)} images, by the PSNR of {_short(first)}; lines: running medians")
        return
    short = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), short, rotation=90, fontsize=8 if len(names) <= 30 else 6.5)
    axes.set_xlabel(f"images, by the PSNR of {_short(first)}")


def _legend(figure: Figure, methods: Sequence[str], baselines: Sequence[str], *, many: bool) -> None:
    handles = [
        Line2D(
            [], [], color=_color(number), marker=_dot(number)["marker"], markersize=6,
            linestyle=_dash(number) if many else "",
        )
        for number in range(len(methods))
    ] + [Line2D([], [], **_line(number)) for number in range(len(baselines))]  # fmt: skip
    labels = [*methods, *baselines]
    columns = min(len(labels), 4 if max(map(len, labels)) > 18 else 6)
    legend = figure.legend(
        handles, [str(place) for place in range(len(labels))],
        loc="outside upper left", ncols=columns, frameon=False, handlelength=1.8,
    )  # fmt: skip
    # set afterwards, because matplotlib omits labels that begin with an underscore
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(_short(label))


def _short(name: str) -> str:
    """Shorten a name by removing its middle."""
    name = " ".join(name.split())
    if len(name) <= _MAX_NAME_LENGTH:
        return name
    half = (_MAX_NAME_LENGTH - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _add_titles(svg: str, names: Mapping[str, str]) -> str:
    """Add titles to links, which browsers show on hovering."""

    def titled(found: re.Match[str]) -> str:
        link = found["link"]
        return f'<a href="{link}"><title>{escape(names[link])}</title>'

    return re.sub(r'<a xlink:href="(?P<link>[^"]*)"[^>]*>', titled, svg)
