"""Training objectives on (N, C, H, W) tensors, each over the valid pixels only.

``valid`` is (N, 1, H, W), 1 where the target is to be believed, else 0.
"""

from torch import Tensor
from torch.nn import functional as F

# the constants of Wang et al., "Image Quality Assessment", IEEE TIP 2004, for a range of 1
_C1 = 0.01**2
_C2 = 0.03**2


def squared_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error over valid pixels and channels."""
    return _mean((predicted - target).square(), valid)


def absolute_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over valid pixels and channels."""
    return _mean((predicted - target).abs(), valid)


def box_ssim_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, window: int = 9, stride: int = 2
) -> Tensor:
    """1 − SSIM with box windows, on every ``stride``-th window.

    Box windows need no convolution: on a CPU a Gaussian window of 11 takes longer than a small network.
    Windows count by the share of valid pixels in them.
    """

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, stride)

    mean_p, mean_t = mean(predicted), mean(target)
    variance_p = mean(predicted.square()) - mean_p.square()
    variance_t = mean(target.square()) - mean_t.square()
    covariance = mean(predicted * target) - mean_p * mean_t
    ssim = (2 * mean_p * mean_t + _C1) * (2 * covariance + _C2)
    ssim = ssim / ((mean_p.square() + mean_t.square() + _C1) * (variance_p + variance_t + _C2))
    return 1 - _mean(ssim, mean(valid))


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    # a batch without a single valid pixel costs nothing rather than NaN
    return (x * weight).sum() / (weight.sum() * x.shape[1]).clamp(min=1)
