"""Differentiable training losses on (N, C, H, W) tensors.

All losses ignore invalid pixels: ``valid`` is a mask of shape (N, 1, H, W), 1 where the target is valid.
Images have values in [0, 1] and at least single precision. The numbered equations are those of Park, Lee,
Lee, Kim, "Multi-Band NIR Colorization Using Structure-Aware Network"; their means over images and pixels are
taken over the valid pixels of the batch. The loss of a batch without valid pixels is 0.

Examples:
    >>> import torch
    >>> predicted, target = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), 0.4)
    >>> valid = torch.ones(1, 1, 16, 16)
    >>> round(squared_error(predicted, target, valid).item(), 4)
    0.01
    >>> valid[..., :8] = 0
    >>> predicted[..., :8] = 1.0
    >>> round(squared_error(predicted, target, valid).item(), 4)
    0.01
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Shortest side of an image that `ssim_loss` takes: the width of the Gaussian window.
SSIM_WINDOW_PX = 11
_SSIM_SIGMA_PX = 1.5

# Constants of Wang et al., "Image Quality Assessment", IEEE TIP 2004, for a data range of 1.
_C1 = 0.01**2
_C2 = 0.03**2
# Factor in equations (1), (3) and (5).
_SSIM_WEIGHT = 0.1


def squared_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the mean squared error over valid pixels and channels."""
    return _mean((predicted - target).square(), valid)


def absolute_error(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the mean absolute error over valid pixels and channels; applied to colour, equation (4)."""
    return _mean((predicted - target).abs(), valid)


def log_squared_error(predicted: Tensor, target: Tensor, valid: Tensor, floor: float = 1e-5) -> Tensor:
    """Return the mean over images of ln(mean squared error + floor).

    Minimizing it is equivalent to maximizing the mean PSNR: a relative reduction of the error counts the same
    on each image. Source: Chen et al., "HINet", CVPRW 2021.

    Args:
        predicted: Colour, (N, C, H, W).
        target: True colour, (N, C, H, W).
        valid: Mask, (N, 1, H, W). An image without a valid pixel counts as if its error were 0.
        floor: Limits the contribution of images above 50 dB (1e-5).
    """
    error = ((predicted - target).square() * valid).sum((1, 2, 3))
    error = error / (valid.sum((1, 2, 3)) * target.shape[1]).clamp(min=1)
    return (error + floor).log().mean()


def quantile_loss(bound: Tensor, error: Tensor, valid: Tensor, quantile: float) -> Tensor:
    """Return the pinball loss of a predicted quantile: minimal where ``error`` stays below it that often.

    Source: Koenker, Bassett, "Regression Quantiles", Econometrica 1978.

    Args:
        bound: Predicted quantile, (N, C, H, W).
        error: What it bounds, (N, C, H, W).
        valid: Mask, (N, 1, H, W).
        quantile: Share of cases in which ``error`` is to be below ``bound``, 0 to 1.

    Examples:
        >>> bound, error = (torch.tensor(x).view(1, 1, 1, 2) for x in ([0.2, 0.2], [0.1, 0.3]))
        >>> round(quantile_loss(bound, error, torch.ones(1, 1, 1, 2), 0.9).item(), 3)
        0.05
    """
    missing = error - bound
    return _mean(torch.maximum(quantile * missing, (quantile - 1) * missing), valid)


def box_ssim_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, window: int = 9, stride: int = 2
) -> Tensor:
    """Return 1 − SSIM with box windows, computed for every ``stride``-th window.

    Faster than `ssim_loss` on a CPU, where a Gaussian window costs more than a small network. Means and
    variances of a window are those of its valid pixels; in the mean over windows, a window's weight is its
    share of valid pixels.

    Args:
        predicted: Colour, (N, C, H, W).
        target: True colour, (N, C, H, W).
        valid: Mask, (N, 1, H, W).
        window: Side of the windows in pixels.
        stride: Distance between windows in pixels.

    Raises:
        ValueError: A side of the images is shorter than the window.
    """
    _require_side(predicted, window, "box_ssim_loss")
    share = F.avg_pool2d(valid, window, stride)
    # a window without valid pixels has weight 0
    inverse = 1 / share.clamp(min=1 / window**2)

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x * valid, window, stride) * inverse

    mean_p, mean_t = mean(predicted), mean(target)
    variance_p = mean(predicted.square()) - mean_p.square()
    variance_t = mean(target.square()) - mean_t.square()
    covariance = mean(predicted * target) - mean_p * mean_t
    ssim = (2 * mean_p * mean_t + _C1) * (2 * covariance + _C2)
    ssim = ssim / ((mean_p.square() + mean_t.square() + _C1) * (variance_p + variance_t + _C2))
    return _mean(1 - ssim, share)


def ssim_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return 1 − SSIM as `nircolor.metrics.ssim` defines it: Gaussian window of 11 px, σ 1.5, data range 1.

    The mean is over the windows that lie inside the image and are centred on a valid pixel; both images are
    set to black at invalid pixels.

    Args:
        predicted: Image, (N, C, H, W), sides of at least 11 px.
        target: Image of the same shape.
        valid: Mask, (N, 1, H, W).

    Raises:
        ValueError: A side of the images is shorter than 11 px.
    """
    _require_side(predicted, SSIM_WINDOW_PX, "ssim_loss")
    predicted, target = predicted * valid, target * valid
    maps = torch.cat([predicted, target, predicted.square(), target.square(), predicted * target], 1)
    # one convolution for all maps, each a channel of its own: on a CPU much faster than a batch of single
    # channels, as torchmetrics does it
    means = F.conv2d(maps, _gaussian_window(maps), groups=maps.shape[1])
    mean_p, mean_t, mean_pp, mean_tt, mean_pt = means.chunk(5, 1)
    variances = (mean_pp - mean_p.square()).clamp(min=0) + (mean_tt - mean_t.square()).clamp(min=0)
    similarity = (2 * mean_p * mean_t + _C1) * (2 * (mean_pt - mean_p * mean_t) + _C2)
    similarity = similarity / ((mean_p.square() + mean_t.square() + _C1) * (variances + _C2))
    inside = (..., *(slice(SSIM_WINDOW_PX // 2, -(SSIM_WINDOW_PX // 2)),) * 2)
    return _mean(1 - similarity, valid[inside])


def cross_branch_loss(gray: Tensor, rgb: Tensor, valid: Tensor) -> Tensor:
    """Return equation (1): 0.1 · (1 − SSIM) of the gray branch and the gray version of the RGB branch.

    Args:
        gray: Output of the gray branch, (N, 1, H, W).
        rgb: Output of the RGB branch, (N, 3, H, W).
        valid: Mask, (N, 1, H, W).
    """
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
    """Return equation (2): the error of NIR gradients predicted as scale map times gray gradients.

    Mean absolute error over both components of the gradient. Pixels whose 3 × 3 window contains an invalid
    pixel are left out.

    Args:
        nir: NIR bands, (N, bands, H, W).
        gray: Output of the gray branch, (N, 1, H, W).
        scale_map: Scale map s, (N, 1, H, W).
        valid: Mask, (N, 1, H, W).
        per_band: Compare with the gradient of each band instead of the gradient of the mean band.
        kernel_gain: Factor on the loss. `sobel` divides its kernels by 8; ``kernel_gain=8`` gives the loss of
            the undivided kernels. It has the same effect as a weight of the loss.
    """
    if not per_band:
        nir = nir.mean(1, keepdim=True)
    scaled = (scale_map * sobel(gray)).repeat_interleave(nir.shape[1], 1)
    return kernel_gain * absolute_error(scaled, sobel(nir), _valid_window(valid))


def structure_loss(gray: Tensor, target_gray: Tensor, valid: Tensor) -> Tensor:
    """Return equation (3): 0.1 · (1 − SSIM) of the gray branch and the gray version of the target.

    Args:
        gray: Output of the gray branch, (N, 1, H, W).
        target_gray: Gray version of the true colour, (N, 1, H, W).
        valid: Mask, (N, 1, H, W).
    """
    return _SSIM_WEIGHT * ssim_loss(gray, target_gray, valid)


def content_ssim_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return equation (5): 0.1 · (1 − SSIM) of the predicted and the true colour, both (N, 3, H, W)."""
    return _SSIM_WEIGHT * ssim_loss(predicted, target, valid)


def edge_loss(edges: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the mean squared error between predicted edges and the edge map of the true colour.

    Pixels whose 3 × 3 window contains an invalid pixel are left out.

    Args:
        edges: Output of `nircolor.models.sshape.EdgeNet`, (N, 1, H, W).
        target: True colour, (N, 3, H, W).
        valid: Mask, (N, 1, H, W).
    """
    return squared_error(edges, edge_map(target), _valid_window(valid))


def rgb_to_gray(rgb: Tensor) -> Tensor:
    """Convert (N, 3, H, W) to gray (N, 1, H, W) with the weights of MATLAB's rgb2gray."""
    red, green, blue = rgb.chunk(3, 1)
    # numbers, not a tensor made of them, which could not be captured in a CUDA graph
    return 0.2989 * red + 0.5870 * green + 0.1140 * blue


def sobel(x: Tensor) -> Tensor:
    """Compute image gradients with Sobel kernels divided by 8, so that the gradient of a ramp is its slope.

    Args:
        x: Images, (N, C, H, W). Borders are padded by replication.

    Returns:
        Gradients, (N, 2C, H, W): the horizontal components of all channels, then the vertical ones. Positive
        where values increase to the right and downwards.

    Examples:
        >>> ramp = torch.arange(5.0).expand(1, 1, 4, 5)
        >>> horizontal, vertical = sobel(ramp)[0, :, 2, 2].tolist()
        >>> horizontal, vertical
        (1.0, 0.0)
    """
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    columns = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    rows = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    right = columns[..., 2:] - columns[..., :-2]
    down = rows[..., 2:, :] - rows[..., :-2, :]
    return torch.cat([right, down], 1) / 8


def edge_map(rgb: Tensor) -> Tensor:
    """Return the gradient magnitude (N, 1, H, W) of the gray version of an image (N, 3, H, W)."""
    return torch.linalg.vector_norm(sobel(rgb_to_gray(rgb)), dim=1, keepdim=True)


def _gaussian_window(maps: Tensor) -> Tensor:
    """Return the window of `ssim_loss`, which sums to 1, for each channel of (N, C, H, W): (C, 1, 11, 11)."""
    offsets = torch.arange(SSIM_WINDOW_PX, device=maps.device, dtype=maps.dtype) - SSIM_WINDOW_PX // 2
    profile = torch.exp(-0.5 * (offsets / _SSIM_SIGMA_PX).square())
    profile = profile / profile.sum()
    return (profile[:, None] * profile).expand(maps.shape[1], 1, -1, -1)


def _valid_window(valid: Tensor) -> Tensor:
    """Return a mask that is 1 where all pixels of the 3 × 3 window inside the image are valid."""
    return 1 - F.max_pool2d(1 - valid, 3, stride=1, padding=1)


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum() * x.shape[1]
    # 0 instead of NaN where all weights are 0
    return (x * weight).sum() / total.clamp(min=torch.finfo(total.dtype).tiny)


def _require_side(x: Tensor, minimum_px: int, loss: str) -> None:
    if min(x.shape[-2:]) < minimum_px:
        raise ValueError(f"{loss}: expected sides of at least {minimum_px} px, got {tuple(x.shape)}")
