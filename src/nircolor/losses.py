"""Training objectives on (N, C, H, W) tensors, each over the valid pixels only.

``valid`` is (N, 1, H, W), 1 where the target is to be believed, else 0. Images are in [0, 1] and single
precision or better. The equations are those of Park, Lee, Lee, Kim, "Multi-Band NIR Colorization Using
Structure-Aware Network"; their means over images and pixels are taken over the batch's valid pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

# the constants of Wang et al., "Image Quality Assessment", IEEE TIP 2004, for a range of 1
_C1 = 0.01**2
_C2 = 0.03**2

_SSIM_WINDOW = 11
_SSIM_WEIGHT = 0.1


def squared_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error over valid pixels and channels."""
    return _mean((predicted - target).square(), valid)


def absolute_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over valid pixels and channels; of the colour, it is equation (4)."""
    return _mean((predicted - target).abs(), valid)


def log_squared_error(predicted: Tensor, target: Tensor, valid: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean over images of ln(mean squared error + floor): the mean PSNR, turned round.

    With the plain squared error a few bright images have most of the say; here a tenth less error counts
    the same on each. Chen et al., "HINet", CVPRW 2021, train on it. ``floor`` keeps what is right
    already (50 dB) from taking over. A image without a valid pixel counts as right.
    """
    error = ((predicted - target).square() * valid).sum((1, 2, 3))
    error = error / (valid.sum((1, 2, 3)) * target.shape[1]).clamp(min=1)
    return (error + floor).log().mean()


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


def ssim_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """1 − SSIM as `metrics.ssim` has it: Gaussian window 11, σ 1.5, range 1; sides of at least 11 px.

    The mean is over the windows inside the image that are centred on a valid pixel, both images being
    black outside ``valid``.
    """
    _, similarity = structural_similarity_index_measure(
        predicted * valid, target * valid, sigma=1.5, data_range=1.0, return_full_image=True
    )
    inside = (..., *(slice(_SSIM_WINDOW // 2, -(_SSIM_WINDOW // 2)),) * 2)
    return _mean(1 - similarity[inside], valid[inside])


def cross_branch_loss(gray: Tensor, rgb: Tensor, valid: Tensor) -> Tensor:
    """Equation (1): the gray branch's output and the gray of the RGB branch's output look alike."""
    return _SSIM_WEIGHT * ssim_loss(gray, rgb_to_gray(rgb), valid)


def gradient_loss(
    nir: Tensor,
    gray: Tensor,
    scale_map: Tensor,
    valid: Tensor,
    *,
    per_band: bool = False,
    kernel_gain: float = 1.0,
) -> Tensor:
    """Equation (2): NIR gradients are the gray branch's, times the scale map.

    Mean absolute error over both components of the gradient. A gradient that touches an invalid pixel does
    not count.

    Args:
        nir: (N, bands, H, W).
        gray: output of the gray branch, (N, 1, H, W).
        scale_map: s, (N, 1, H, W).
        valid: (N, 1, H, W).
        per_band: compare with the gradient of each band rather than with that of their mean.
        kernel_gain: of the kernels of `sobel` on both sides; 8 makes them the undivided ones.
    """
    if not per_band:
        nir = nir.mean(1, keepdim=True)
    scaled = (scale_map * sobel(gray)).repeat_interleave(nir.shape[1], 1)
    return kernel_gain * absolute_error(scaled, sobel(nir), _valid_window(valid))


def structure_loss(gray: Tensor, target_gray: Tensor, valid: Tensor) -> Tensor:
    """Equation (3): the gray branch's output looks like the gray version of the truth."""
    return _SSIM_WEIGHT * ssim_loss(gray, target_gray, valid)


def content_ssim_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Equation (5): the RGB branch's output looks like the truth."""
    return _SSIM_WEIGHT * ssim_loss(predicted, target, valid)


def edge_loss(edges: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error of `sshape.EdgeNet`'s ``edges`` (N, 1, H, W) on the edge map of the true colour.

    Edges that touch an invalid pixel do not count.
    """
    return squared_error(edges, edge_map(target), _valid_window(valid))


def rgb_to_gray(rgb: Tensor) -> Tensor:
    """Gray version of (N, 3, H, W), weighted as MATLAB's rgb2gray does: (N, 1, H, W)."""
    weights = rgb.new_tensor([0.2989, 0.5870, 0.1140])[:, None, None]
    return (rgb * weights).sum(1, keepdim=True)


def sobel(x: Tensor) -> Tensor:
    """Gradients of (N, C, H, W) per pixel: (N, 2C, H, W), all channels' to the right, then all downwards.

    Signed, positive where it gets brighter. The Sobel kernels are divided by 8, so that a ramp's gradient is
    its slope. The image goes on as its last pixel beyond the border.
    """
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    columns = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    rows = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    right = columns[..., 2:] - columns[..., :-2]
    down = rows[..., 2:, :] - rows[..., :-2, :]
    return torch.cat([right, down], 1) / 8


def edge_map(rgb: Tensor) -> Tensor:
    """Length of the gray version's gradient, for (N, 3, H, W): (N, 1, H, W)."""
    return torch.linalg.vector_norm(sobel(rgb_to_gray(rgb)), dim=1, keepdim=True)


def _valid_window(valid: Tensor) -> Tensor:
    """1 where all pixels of the 3×3 window that lie in the image are valid, else 0."""
    return 1 - F.max_pool2d(1 - valid, 3, stride=1, padding=1)


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    # a batch without a single valid pixel costs nothing rather than NaN
    return (x * weight).sum() / (weight.sum() * x.shape[1]).clamp(min=1)
