"""Fit the bound of the error on validation images.

A network errs less on the images that it was trained on than on others, so only images held back can tell how
large its errors are.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from nircolor.losses import quantile_loss

_CELLS = 800  # of each image
_FOLDS = 5
_STEPS = 300
_BATCH = 4096
_LEARNING_RATE = 3e-3
# Groups of pixels, ordered by their bound, that the factor must suit alike.
_GROUPS = 10

# Of one image: features (cells, C), errors of the pixels of these cells (cells, pixels).
Sample = tuple[Tensor, Tensor]


def sample_cells(features: Tensor, errors: Tensor, valid: Tensor) -> Sample:
    """Choose some hundred cells of an image, evenly.

    Args:
        features: Input of the head, (1, C, rows, columns).
        errors: Errors of the pixels of each cell, (1, pixels, rows, columns).
        valid: Their mask, of the same shape.
    """
    chosen = (valid[0].flatten(1) > 0).all(0).nonzero()[:, 0]
    chosen = chosen[:: max(1, len(chosen) // _CELLS)]
    of_cells = [x.detach()[0].flatten(1)[:, chosen].T.float().cpu() for x in (features, errors)]
    return of_cells[0], of_cells[1]


def fit_bound(head: nn.Sequential, samples: Sequence[Sample], quantile: float) -> nn.Sequential:
    """Fit a head that maps features to the logarithm of a bound of the error.

    The head is fitted five times without a fifth of the images each, and its bounds on these are compared
    with their errors; the factor with which they hold goes into the head that is fitted on all images.

    Args:
        head: 1×1 convolutions with ReLU between them; it is not changed.
        samples: One for each image, see `sample_cells`.
        quantile: Share of the errors that are to lie below the bound.

    Returns:
        The fitted copy of ``head``.
    """
    folds = min(_FOLDS, len(samples))
    bounds, errors = [], []
    for fold in range(folds):
        held_back = samples[fold::folds]
        fitted = _fitted(head, [s for i, s in enumerate(samples) if i % folds != fold] or samples, quantile)
        bounds += [_bounds(fitted, features).flatten() for features, _ in held_back]
        errors += [error.flatten() for _, error in held_back]
    factor = calibration_factor(torch.cat(bounds), torch.cat(errors), quantile)
    fitted = _fitted(head, samples, quantile)
    with torch.no_grad():
        last = fitted[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.bias += torch.tensor(factor).log()
    return fitted


def calibration_factor(bounds: Tensor, errors: Tensor, quantile: float) -> float:
    """Return the factor on predicted bounds with which they hold, for small and for large bounds alike.

    Pixels are grouped by their bound; the result is the largest factor that any group needs.

    Args:
        bounds: Predicted bounds, (pixels,), above 0.
        errors: Errors of these pixels, (pixels,).
        quantile: Share of the pixels of each group whose error is to be at most the bound times the factor.

    Examples:
        >>> bounds = torch.linspace(0.1, 0.2, 1000)
        >>> errors = bounds * torch.linspace(0, 2, 100).repeat(10)
        >>> round(calibration_factor(bounds, errors, 0.9), 2)
        1.8
    """
    order = bounds.argsort()
    ratios = (errors / bounds)[order]
    return max(group.quantile(quantile).item() for group in ratios.tensor_split(_GROUPS))


def _bounds(head: nn.Module, features: Tensor) -> Tensor:
    bounds: Tensor = head(features[:, :, None, None])[:, :, 0, 0].exp()
    return bounds.detach()


def _fitted(head: nn.Sequential, samples: Sequence[Sample], quantile: float) -> nn.Sequential:
    fitted = deepcopy(head).cpu().float().requires_grad_()
    features, errors = (torch.cat(tensors) for tensors in zip(*samples, strict=True))
    deviation, mean = torch.std_mean(features, 0)
    deviation = deviation.clamp(min=1e-3)
    normalized = (features - mean) / deviation
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(fitted.parameters(), _LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(_STEPS):
            batch = torch.randint(len(features), (min(_BATCH, len(features)),), generator=generator)
            bound = fitted(normalized[batch][:, :, None, None]).exp()
            error = errors[batch][:, :, None, None]
            loss = quantile_loss(bound, error, torch.ones_like(error[:, :1]), quantile)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    first = fitted[0]
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():
        # the head takes features as they are
        first.weight /= deviation[:, None, None]
        first.bias -= first.weight[:, :, 0, 0] @ mean
    return fitted.requires_grad_(False)
