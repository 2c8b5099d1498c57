"""What the trainings minimise and measure: terms, schedules, a loss that is no number."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nircolor import metrics
from nircolor.errors import NircolorError
from nircolor.losses import (
    absolute_error,
    content_ssim_loss,
    cross_branch_loss,
    gradient_loss,
    rgb_to_gray,
    structure_loss,
)
from nircolor.training.log_error import LogErrorTask
from nircolor.training.schedule import half_cosine
from nircolor.training.squared_error import SquaredErrorTask
from nircolor.training.sshape import SShapeTask
from nircolor.training.structure_aware import ContentTask, StructureAwareTask
from tests.training.shipped_recipes import CARD

TINY = {"bands": 3, "width": 4}


def at(module, step: int, steps: int = 1000):
    """The module as it stands at a step of a run."""
    module._trainer = SimpleNamespace(global_step=step, max_steps=steps)
    return module


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    nir, rgb = (torch.rand(2, 3, 32, 32, generator=generator) for _ in range(2))
    valid = torch.ones(2, 1, 32, 32)
    valid[1, :, :, :16] = 0
    return {"name": ["one", "two"], "nir": nir, "rgb": rgb, "valid": valid}


def test_equation_6_term_by_term(batch):
    weights = {"content": 2.0, "structure": 3.0, "cross_branch": 5.0, "gradient": 7.0}
    module = at(StructureAwareTask(TINY, CARD, **weights, per_band=True, kernel_gain=8.0), 0)
    outputs = module.outputs(batch)
    rgb, gray, scale_map = outputs
    valid, target = batch["valid"], batch["rgb"]
    expected = {
        "absolute": 2 * absolute_error(rgb, target, valid),
        "structure": 3 * structure_loss(gray, rgb_to_gray(target), valid),
        "cross_branch": 5 * cross_branch_loss(gray, rgb, valid),
        "gradient": 7 * gradient_loss(batch["nir"], gray, scale_map, valid, per_band=True, kernel_gain=8.0),
    }
    terms = module.objective(outputs, batch)
    assert terms.keys() == expected.keys()
    for name, term in expected.items():
        torch.testing.assert_close(terms[name], term)


def test_the_other_reading_of_equation_3_is_equation_1(batch):
    module = at(StructureAwareTask(TINY, CARD, gray_target="output"), 0)
    terms = module.objective(module.outputs(batch), batch)
    torch.testing.assert_close(terms["structure"], terms["cross_branch"])


@pytest.mark.parametrize(
    ("step", "keep", "names"),
    [
        (374, False, {"absolute"}),
        (375, False, {"ssim"}),
        (374, True, {"absolute"}),
        (375, True, {"absolute", "ssim"}),
    ],
)
def test_the_content_loss_changes_at_its_share_of_the_run(batch, step, keep, names):
    module = at(ContentTask("unet", TINY, CARD, keep_absolute=keep), step)
    outputs = module.outputs(batch)
    terms = module.objective(outputs, batch)
    assert terms.keys() == names
    if "ssim" in names:
        torch.testing.assert_close(terms["ssim"], content_ssim_loss(outputs, batch["rgb"], batch["valid"]))


def test_s_shape_trains_its_edge_network_too_and_exports_it_not(batch):
    module = at(SShapeTask(TINY, CARD), 0)
    # it starts at zero, where it has no say
    torch.nn.init.normal_(module.edge_network.decoder.weight)
    terms = module.objective(module.outputs(batch), batch)
    terms["edge"].backward()
    for network in (module.network, module.edge_network):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert not any(name.startswith("edge") for name in module.network.state_dict())


@pytest.mark.parametrize(
    "make", [ContentTask, StructureAwareTask, SShapeTask, SquaredErrorTask, LogErrorTask]
)
def test_what_is_invalid_teaches_nothing(batch, make):
    arguments = {SquaredErrorTask: {"width": 6, "rank": 2}, LogErrorTask: {"widths": [4, 6]}}.get(
        make, {"width": 4}
    )
    torch.manual_seed(0)
    module = at(make(arguments={"bands": 3} | arguments, card=CARD), 0)
    spoilt = batch | {"rgb": torch.where(batch["valid"] > 0, batch["rgb"], 1 - batch["rgb"])}
    outputs = module.outputs(batch)
    for name, term in module.objective(outputs, batch).items():
        torch.testing.assert_close(module.objective(outputs, spoilt)[name], term)


def test_half_a_cosine_rises_over_the_warmup_and_ends_at_a_fiftieth():
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 2.0)
    scheduler = half_cosine(optimizer, steps=100, warmup_steps=10)["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.2)
    assert rates[4] == pytest.approx(1.0, rel=0.01)
    assert max(rates) == rates[9]
    assert rates[50] == pytest.approx(2 * (0.02 + 0.98 / 2))
    assert rates[100] == pytest.approx(2 * 0.02)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_the_learning_rate_falls_exponentially_to_its_last_value():
    module = at(SquaredErrorTask("cnn", {"bands": 3, "width": 6}, CARD), 0, steps=50)
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(51):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, 1e-4 * 10 ** -(np.arange(51) / 50))


def test_a_loss_that_is_no_number_names_step_and_images(batch, monkeypatch):
    module = at(ContentTask("unet", TINY, CARD), 41)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch["nir"][1, 0, 3, 3] = float("nan")
    with pytest.raises(NircolorError, match=r"step 41: the loss is nan .*images: one, two"):
        module.training_step(batch, 0)


def test_validation_measures_are_the_metrics(batch, monkeypatch):
    """What training logs is what `metrics` says, masks included."""
    module = at(ContentTask("unet", TINY, CARD), 0).eval()
    logged = {}
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    one = {key: value[1:] for key, value in batch.items()}
    with torch.no_grad():
        predicted = module.validation_step(one, 0)
    arguments = predicted[0].numpy(), one["rgb"][0].numpy(), one["valid"][0, 0].numpy() > 0
    assert float(logged["val/psnr"]) == pytest.approx(metrics.psnr(*arguments), abs=1e-4)
    assert float(logged["val/ssim"]) == pytest.approx(metrics.ssim(*arguments), abs=1e-5)


def test_half_precision_networks_are_judged_in_single(batch, monkeypatch):
    module = at(StructureAwareTask(TINY, CARD), 999)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    single = module.training_step(batch, 0)
    with torch.autocast("cpu", torch.bfloat16):
        half = module.training_step(batch, 0)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(single.item(), rel=0.02)


def test_bands_and_network_must_agree():
    with pytest.raises(NircolorError, match=r"expected card[.]bands to name the network's 1 bands, got 3"):
        ContentTask("unet", {"bands": 1, "width": 4}, CARD)


def test_a_card_that_cannot_be_is_said_before_the_training():
    with pytest.raises(NircolorError, match="expected card as a card has it, got licence: Field required"):
        ContentTask("unet", TINY, {key: value for key, value in CARD.items() if key != "licence"})
    with pytest.raises(NircolorError, match="got sumary: Extra inputs are not permitted"):
        ContentTask("unet", TINY, CARD | {"sumary": "x"})


def test_a_checkpoint_says_every_argument_of_its_network():
    """So that a default that changes one day does not change old models."""
    module = SquaredErrorTask("nirgnn", {"bands": 3, "width": 6}, CARD)
    assert module.hparams["arguments"] == {
        "bands": 3,
        "width": 6,
        "rank": 11,
        "neighbours": 8,
        "decay": 10.0,
        "batch_norm": "blocks",
        "release_shifts": False,
        "window_px": 49,
        "bn_momentum": 0.001,
    }
