"""Adapt a trained network to a few image pairs: other input bands, and a short training."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from nircolor.errors import NircolorError
from nircolor.models import Network, build
from nircolor.texts import count_of
from nircolor.training.sampling import Augmentation, ImagePair, draw_sample
from nircolor.training.tasks import scene_terms

_BATCH = 4
# The encoder was trained on a million photographs; few pairs would only spoil it.
_LEARNING_RATE, _ENCODER_LEARNING_RATE, _WARMUP_STEPS = 3e-4, 5e-5, 10
_ENCODER = "encoder."
# Few pairs make noisy steps. The average over about 30 of them is the result, so that the learning rate can
# stay constant and the number of steps need not be known in advance.
_DECAY = 0.97

# Called with a step, counted from 1, and the network with the averaged weights; False ends the training.
OnStep = Callable[[int, Network], bool]


def train_on_few(
    network: Network,
    pairs: Sequence[ImagePair],
    augmentation: Augmentation,
    tile_px: int,
    steps: int,
    seed: int,
    on_step: OnStep,
) -> Network:
    """Continue the training of a network on a few pairs.

    Batch normalization and dropout stay in evaluation mode. The learning rate is constant, and the weights
    are averaged over the last steps.

    Args:
        network: The network; it is not changed.
        pairs: The pairs.
        augmentation: Random changes of the samples.
        tile_px: Side of the samples.
        steps: Largest number of steps.
        seed: Seed of the samples.
        on_step: Called after each step.

    Returns:
        The network with the averaged weights after the last step.

    Raises:
        NircolorError: The loss is not finite.
    """
    trained = deepcopy(network).eval()
    trained.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = deepcopy(trained)
    named = [(name, p) for name, p in trained.named_parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if name.startswith(_ENCODER) == encoder], "lr": rate}
        for encoder, rate in ((False, _LEARNING_RATE), (True, _ENCODER_LEARNING_RATE))
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.99))
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / _WARMUP_STEPS))
    for step in range(1, steps + 1):
        samples = []
        for index in range(_BATCH):
            rng = np.random.default_rng([seed, step, index])
            pair = pairs[int(rng.integers(len(pairs)))]
            samples.append(draw_sample(pair, rng, augmentation, tile_px, network.context_px))
        batch = default_collate(samples)
        output = trained(*(batch[key] for key in ("nir", "context") if key in batch))
        log_error, absolute, ssim = scene_terms(output[:, :3], batch["rgb"], batch["valid"]).values()
        loss = log_error + absolute + ssim
        if not loss.isfinite():
            raise NircolorError(f"the loss is {loss.item()} at step {step}: {', '.join(batch['name'])}")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
        optimizer.step()
        warmup.step()
        with torch.no_grad():
            # the first steps are soon forgotten
            share = 1 - min(_DECAY, step / (step + 9))
            for average, current in zip(averaged.parameters(), trained.parameters(), strict=True):
                average.lerp_(current, share)
        if not on_step(step, averaged):
            break
    return averaged


def between(base: Network, trained: Network, share: float) -> Network:
    """Return a network whose weights lie between those of two networks: 0 is ``base``, 1 is ``trained``."""
    network = deepcopy(base)
    with torch.no_grad():
        for weights, other in zip(network.parameters(), trained.parameters(), strict=True):
            weights.lerp_(other, share)
    return network


def with_bands(
    network: Network,
    architecture: str,
    arguments: dict[str, Any],
    old_nm: Sequence[float],
    new_nm: Sequence[float],
) -> tuple[Network, dict[str, Any]]:
    """Return a network for other bands: its first layers see interpolations of them in place of its own.

    Args:
        network: The network.
        architecture: Its architecture.
        arguments: Arguments of its constructor.
        old_nm: Centres of its bands.
        new_nm: Centres of the new bands.

    Returns:
        The network and the arguments of its constructor.

    Raises:
        NircolorError: The architecture has a fixed number of bands.
    """
    old, new = len(old_nm), len(new_nm)
    if list(old_nm) == list(new_nm) or old == new == 1:
        return network, arguments
    try:
        adapted = build(architecture, arguments | {"bands": new})
        other = build(architecture, arguments | {"bands": old + 1}).state_dict()
    except NircolorError as error:
        raise NircolorError(
            f"{architecture} takes {count_of(old, 'band')}, got {count_of(new, 'band')}; fine-tune "
            "a model for several bands, such as satellite"
        ) from error
    # layers into which batch normalization was folded, as `models.load` makes them
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and type(module) is not type(adapted.get_submodule(name)):
            adapted.set_submodule(name, deepcopy(module))
    of_new, of_old = interpolation(old_nm, new_nm), interpolation(new_nm, old_nm)
    weights = network.state_dict()
    for name, tensor in weights.items():
        # what depends on the number of bands belongs to the first layers
        if name not in other or tensor.shape == other[name].shape:
            continue
        if tensor.ndim == 4 and tensor.shape[1] == old:
            weights[name] = torch.einsum("obyx,bn->onyx", tensor, of_new)
        elif tensor.shape == (old,):
            weights[name] = of_old @ tensor
        else:
            raise NircolorError(f"{architecture}: its first layer cannot be adapted to other bands")
    adapted.load_state_dict(weights)
    return adapted.eval(), arguments | {"bands": new}


def interpolation(wanted_nm: Sequence[float], given_nm: Sequence[float]) -> Tensor:
    """Return the weights of linear interpolation between bands, (wanted, given); outside, of the nearest.

    Examples:
        >>> interpolation([800, 900], [700, 850])
        tensor([[0.3333, 0.6667],
                [0.0000, 1.0000]])
    """
    order = np.argsort(given_nm)
    rows = [
        np.interp(wanted_nm, np.take(given_nm, order), np.eye(len(order))[rank]) for rank in range(len(order))
    ]
    weights = np.empty((len(wanted_nm), len(order)), np.float32)
    weights[:, order] = np.stack(rows, 1)
    return torch.from_numpy(weights)
