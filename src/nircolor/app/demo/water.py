"""The lake: a mirror that ripples break, over water that swallows near-infrared light."""

import numpy as np

from nircolor.app.demo import daylight
from nircolor.app.demo.painting import Canvas, mix
from nircolor.app.demo.texture import Noise, smoothstep
from nircolor.app.demo.view import EYE_M, View


def paint_lake(canvas: Canvas, view: View, top: int, noise: Noise) -> None:
    """Fill the rows from `top` down with what stands above `top`, mirrored."""
    if top >= view.height:
        return
    x, z = view.ground(top)
    # ripples in metres on the water; far ones merge into bands, seen so flat
    waves = noise.fractal(x / 1.6 + 0.2 * z, z / 2.2, 3) + 0.8 * noise.fractal(x / 14, z / 16, 2)
    calm = smoothstep(-0.25, 0.35, noise.fractal(x / 60, z / 45 + 8, 2))
    tilt = (0.35 + 0.65 * calm) * waves
    grazing = EYE_M / np.hypot(EYE_M, z)
    # a slope that leans towards the eye mirrors what stands higher: one degree of slope is two of sight
    mirrored = 2 * top - 1 - np.arange(top, view.height)[:, None]
    row = mirrored - (0.010 + 0.030 * np.abs(tilt) + 0.02 * tilt) * view.height * np.clip(
        grazing * 8, 0.2, 1.5
    )
    row = np.clip(np.rint(row), 0, max(top - 1, 0)).astype(np.intp)
    column = np.arange(view.width) + 0.004 * view.height * tilt
    column = np.clip(np.rint(column), 0, view.width - 1).astype(np.intp)
    image = canvas[row, column]
    # Schlick 1994 for water (n = 1.33), slopes widen the angle of incidence
    cosine = np.clip(grazing + 0.10 + 0.13 * tilt, 0, 1)
    mirror = (0.02 + 0.98 * (1 - cosine) ** 5)[..., None]
    body = mix(daylight.lit("water"), 0.9, 1.0)
    canvas[top:] = mirror * image + (1 - mirror) * body
