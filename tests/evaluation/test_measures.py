import math

import numpy as np
from numpy.testing import assert_allclose

from nircolor import metrics
from nircolor.evaluation.measures import MEASURES, Scores, score

RNG = np.random.default_rng(0)


def test_scores_are_the_metrics_with_the_mask():
    a, b = RNG.random((2, 3, 20, 20))
    valid = RNG.random((20, 20)) < 0.95
    assert score(a, b, valid) == Scores(
        metrics.psnr(a, b, valid),
        metrics.ssim(a, b, valid),
        metrics.angular_error_deg(a, b, valid),
        metrics.angular_error_whole_image_rad(a, b, valid),
        metrics.delta_e2000(a, b, valid),
        metrics.gradient_energy_ratio(a, b, valid),
        metrics.colourfulness_ratio(a, b, valid),
    )
    assert score(a, b) != score(a, b, valid)


def test_the_better_of_two_values_costs_less():
    better = {"higher": (2.0, 1.0), "lower": (1.0, 2.0), "near 1": (0.8, 1.5)}
    for measure in MEASURES:
        good, bad = measure.cost(better[measure.better])
        assert good < bad
    sharpness = MEASURES[5]
    assert_allclose(sharpness.cost([0.5, 1.0, 2.0, 0.0, math.inf]), [1, 0, 1, 10, 10])
