import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from nircolor.evaluation.plots import per_image_svg, running_median
from nircolor.evaluation.scores import MEASURES, ranking

RNG = np.random.default_rng(0)


def columns(labels, count):
    return {label: {one.key: list(RNG.uniform(0, 1, count)) for one in MEASURES} for label in labels}


def names(count):
    return [f"image_{place:03d}" for place in range(count)]


def texts(svg):
    return [
        "".join(one.itertext()).strip()
        for one in ElementTree.fromstring(svg).iter()
        if one.tag.endswith("}text")
    ]


def links(svg):
    return re.findall(r'<a href="([^"]*)"><title>([^<]*)</title>', svg)


@pytest.mark.parametrize(("count", "methods"), [(1, 1), (18, 2), (120, 12)])
def test_any_number_of_images_and_methods(count, methods):
    labels = [f"method {place}" for place in range(methods)]
    svg = per_image_svg(columns([*labels, "ridge"], count), names(count), labels, ["ridge"])
    assert svg.startswith("<svg")
    assert {"PSNR, dB", "SSIM", "angular error, °", "ridge", *labels} <= set(texts(svg))
    # many names are not shown
    assert (names(count)[0] in texts(svg)) == (count < 60)


def test_images_are_ordered_by_the_psnr_of_the_first_method():
    data = columns(["first", "second"], 4)
    data["first"]["psnr_db"] = [2.0, math.inf, 3.0, 1.0]
    svg = per_image_svg(data, ["a1", "b1", "c1", "d1"], ["first", "second"])
    assert [text for text in texts(svg) if text in ("a1", "b1", "c1", "d1")] == ["b1", "c1", "a1", "d1"]
    assert ranking([1.0, 2.0, 2.0, math.inf]) == [3, 1, 2, 0]


def test_dots_link_to_images():
    data = columns(["m", "n"], 3)
    svg = per_image_svg(data, names(3), ["m", "n"], links={"image_001": "#here"})
    # two methods, three measures
    assert links(svg) == [("#here", "image_001")] * 6
    assert links(per_image_svg(data, names(3), ["m", "n"])) == []


def test_an_infinite_value_is_drawn_at_the_edge_and_keeps_its_link():
    data = columns(["m"], 3)
    finite = per_image_svg(data, names(3), ["m"], links={"image_002": "#here"})
    data["m"]["psnr_db"][2] = math.inf
    svg = per_image_svg(data, names(3), ["m"], links={"image_002": "#here"})
    assert len(links(svg)) == len(links(finite)) == 3
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', svg)
    data["m"]["psnr_db"] = [math.inf] * 3
    assert len(links(per_image_svg(data, names(3), ["m"], links={"image_002": "#here"}))) == 3


def test_names_are_shown_unchanged():
    odd = ["_first & <b>", "$x^2$ \"'", "]]> ü"]
    svg = per_image_svg(columns(odd, 3), odd, odd, links={odd[0]: "#x"})
    assert set(odd) <= set(texts(svg))
    assert ("#x", "_first &amp; &lt;b&gt;") in links(svg)


def test_the_plot_is_reproducible_and_self_contained():
    data = columns(["m", "ridge"], 5)
    svg = per_image_svg(data, names(5), ["m"], ["ridge"])
    assert svg == per_image_svg(data, names(5), ["m"], ["ridge"])
    assert not re.search(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg))
    assert re.search(r"\b20\d\d-\d\d", svg) is None


def test_running_medians():
    assert list(running_median(np.array([3.0, 1.0, 2.0]))) == [3.0, 1.0, 2.0]
    values = np.arange(44.0)
    values[20] = math.inf
    smooth = running_median(values)
    assert smooth[10] == 10
    assert np.isfinite(smooth).all()
