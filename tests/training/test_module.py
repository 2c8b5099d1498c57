"""Loss terms, schedules and validation metrics of the training tasks; NaN losses."""

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
from nircolor.training.tasks import (
    ContentTask,
    LogErrorTask,
    SceneTask,
    SquaredErrorTask,
    SShapeTask,
    StructureAwareTask,
    half_cosine,
)
from tests.training.shipped_recipes import CARD

TINY = {"bands": 3, "width": 4}


def at(module, step: int, steps: int = 1000):
    """Set a module to a step of a run."""
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)  # noqa: ARG005
    module._trainer = SimpleNamespace(global_step=step, max_steps=steps, strategy=strategy)
    return module


def rates(module, steps):
    """Return the learning rate before each step of a run, and after the last."""
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(found)


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


@pytest.mark.usefixtures("bounded_architecture")
def test_colour_is_the_first_three_channels_of_a_network_that_bounds_its_errors(batch):
    module = at(ContentTask("bounded", {"bands": 3}, CARD), 0)
    assert module.network_output(batch).shape == (2, 4, 32, 32)
    torch.testing.assert_close(module.outputs(batch), module.network_output(batch)[:, :3])
    module.log_dict = lambda *_, **__: None
    assert module.validation_step(batch, 0).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("step", "keep", "names"),
    [
        (374, False, {"absolute"}),
        (375, False, {"ssim"}),
        (374, True, {"absolute"}),
        (375, True, {"absolute", "ssim"}),
    ],
)
def test_the_content_loss_changes_at_its_part_of_the_run(batch, step, keep, names):
    module = at(ContentTask("unet", TINY, CARD, keep_absolute=keep), step)
    outputs = module.outputs(batch)
    terms = module.objective(outputs, batch)
    assert terms.keys() == names
    if "ssim" in names:
        torch.testing.assert_close(terms["ssim"], content_ssim_loss(outputs, batch["rgb"], batch["valid"]))


def test_s_shape_trains_its_edge_network_and_does_not_export_it(batch):
    module = at(SShapeTask(TINY, CARD), 0)
    # it is initialized to zero, where it has no gradient
    torch.nn.init.normal_(module.edge_network.decoder.weight)
    terms = module.objective(module.outputs(batch), batch)
    terms["edge"].backward()
    for network in (module.network, module.edge_network):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert not any(name.startswith("edge") for name in module.network.state_dict())


@pytest.mark.parametrize(
    "make", [ContentTask, StructureAwareTask, SShapeTask, SquaredErrorTask, LogErrorTask, SceneTask]
)
def test_invalid_pixels_have_no_influence_on_any_task(batch, make):
    settings = {
        # any architecture will do, and this one is fast
        SquaredErrorTask: {"architecture": "cnn", "arguments": {"bands": 3, "width": 6}},
        LogErrorTask: {"arguments": {"bands": 3, "widths": [4, 6]}},
        SceneTask: {
            "arguments": {"context_width": 4, "widths": [4, 6], "context_px": 32},
            "card": CARD | {"bands": CARD["bands"][:1]},
        },
    }.get(make, {"arguments": TINY})
    torch.manual_seed(0)
    module = at(make(**({"card": CARD} | settings)), 0)
    if make is SceneTask:
        batch["nir"] = batch["nir"][:, :1]
        batch["context"] = torch.rand(2, 5, 32, 32)
    spoilt = batch | {"rgb": torch.where(batch["valid"] > 0, batch["rgb"], 1 - batch["rgb"])}
    outputs = module.outputs(batch)
    for name, term in module.objective(outputs, batch).items():
        torch.testing.assert_close(module.objective(outputs, spoilt)[name], term)


def test_half_a_cosine_rises_over_the_warmup_and_ends_at_a_fiftieth():
    factors = [half_cosine(step, 100, warmup_steps=10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[4] == pytest.approx(0.5, rel=0.01)
    assert max(factors) == factors[9]
    assert factors[50] == pytest.approx(0.02 + 0.98 / 2)
    assert factors[100] == pytest.approx(0.02)
    assert factors[9:] == sorted(factors[9:], reverse=True)


def test_the_learning_rate_of_log_error_follows_the_cosine():
    module = at(LogErrorTask(arguments={"bands": 3, "widths": [4]}, card=CARD, warmup_steps=5), 0, steps=20)
    np.testing.assert_allclose(rates(module, 20), [2e-3 * half_cosine(step, 20, 5) for step in range(21)])


def test_the_learning_rate_falls_exponentially_to_its_last_value():
    module = at(SquaredErrorTask("cnn", {"bands": 3, "width": 6}, CARD), 0, steps=50)
    np.testing.assert_allclose(rates(module, 50), 1e-4 * 10 ** -(np.arange(51) / 50))


@pytest.mark.parametrize("make", [SquaredErrorTask, LogErrorTask])
def test_a_run_that_is_extended_keeps_its_final_learning_rate(make):
    """The planned length comes from the checkpoint and not from max_steps."""
    arguments = {"widths": [4]} if make is LogErrorTask else {"width": 6}
    architecture = "convnext_unet" if make is LogErrorTask else "cnn"

    def task(steps):
        return at(make(architecture, {"bands": 3} | arguments, CARD), 0, steps)

    checkpoint = {}
    task(10).on_save_checkpoint(checkpoint)
    extended = task(40)
    extended.on_load_checkpoint(checkpoint)
    planned, found = rates(task(10), 10), rates(extended, 40)
    np.testing.assert_allclose(found[:11], planned)
    np.testing.assert_allclose(found[11:], planned[-1])
    again = {}
    extended.on_save_checkpoint(again)
    assert again["schedule_steps"] == checkpoint["schedule_steps"] == 10


def test_a_run_that_is_extended_keeps_its_final_loss(batch):
    """Equation (5) stays where it has replaced (4)."""
    module = at(ContentTask("unet", TINY, CARD), 1000, steps=1000)
    outputs = module.outputs(batch)
    assert module.objective(outputs, batch).keys() == {"ssim"}
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    extended = at(ContentTask("unet", TINY, CARD), 1000, steps=4000)
    extended.on_load_checkpoint(checkpoint)
    assert extended.progress == 1
    assert extended.objective(outputs, batch).keys() == {"ssim"}


def test_schedules_need_a_planned_length(batch):
    """Also where the class is used with Lightning's own Trainer."""
    module = at(ContentTask("unet", TINY, CARD), 0, steps=-1)
    with pytest.raises(NircolorError, match=r"trainer[.]max_steps: expected a number of steps, got -1"):
        module.objective(module.outputs(batch), batch)


def _with_nan_at(module, batch, monkeypatch, step):
    """Take training steps up to one with a NaN in its NIR."""
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    for index in range(step + 1):
        module.trainer.global_step = index
        nir = batch["nir"].clone()
        if index == step:
            nir[1, 0, 3, 3] = float("nan")
        module.training_step(batch | {"nir": nir, "name": [f"one{index}", f"two{index}"]}, index)


@pytest.mark.parametrize("hook", ["on_validation_start", "check_losses", "on_save_checkpoint"])
def test_a_nan_loss_names_step_and_images(batch, monkeypatch, hook):
    module = at(ContentTask("unet", TINY, CARD), 0)
    _with_nan_at(module, batch, monkeypatch, 2)
    with pytest.raises(NircolorError, match=r"step 2: the loss is nan .absolute nan.*images: one2, two2"):
        getattr(module, hook)(*([{}] if hook == "on_save_checkpoint" else []))


def test_losses_are_checked_every_25_batches(batch, monkeypatch):
    module = at(ContentTask("unet", TINY, CARD), 0)
    module._seed, module.trainer.world_size, module.trainer.global_rank = 0, 1, 0
    _with_nan_at(module, batch, monkeypatch, 0)
    module._unchecked *= 24
    module.on_train_batch_start(batch, 24)
    module._unchecked.append(module._unchecked[0])
    with pytest.raises(NircolorError, match="step 0: the loss is nan"):
        module.on_train_batch_start(batch, 25)


def test_weights_that_are_not_finite_are_not_saved():
    module = at(ContentTask("unet", TINY, CARD), 7)
    next(module.parameters()).data[0] = float("inf")
    with pytest.raises(NircolorError, match="step 7: a weight of the network is not finite"):
        module.on_save_checkpoint({})


def test_validation_logs_the_values_of_the_metrics(batch, monkeypatch):
    """Training logs the values of `nircolor.metrics`, masks included."""
    module = at(ContentTask("unet", TINY, CARD), 0).eval()
    logged = {}
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    one = {key: value[1:] for key, value in batch.items()}
    with torch.no_grad():
        predicted = module.validation_step(one, 0)
    arguments = predicted[0].numpy(), one["rgb"][0].numpy(), one["valid"][0, 0].numpy() > 0
    assert float(logged["val/psnr"]) == pytest.approx(metrics.psnr(*arguments), abs=1e-4)
    assert float(logged["val/ssim"]) == pytest.approx(metrics.ssim(*arguments), abs=1e-5)


def test_losses_of_half_precision_networks_are_computed_in_single_precision(batch, monkeypatch):
    module = at(StructureAwareTask(TINY, CARD), 999)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    single = module.training_step(batch, 0)
    with torch.autocast("cpu", torch.bfloat16):
        half = module.training_step(batch, 0)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(single.item(), rel=0.02)


def test_bands_and_network_must_agree():
    with pytest.raises(NircolorError, match=r"expected card[.]bands to list the network's 1 bands, got 3"):
        ContentTask("unet", {"bands": 1, "width": 4}, CARD)


def test_an_invalid_card_is_an_error_before_the_training():
    with pytest.raises(NircolorError, match="card to be a model card, got licence: Field required"):
        ContentTask("unet", TINY, {key: value for key, value in CARD.items() if key != "licence"})
    with pytest.raises(NircolorError, match="got sumary: Extra inputs are not permitted"):
        ContentTask("unet", TINY, CARD | {"sumary": "x"})


def test_a_checkpoint_has_every_argument_of_its_network():
    """A default that changes later must not change old models."""
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


def scene(**settings):
    arguments = {"context_width": 4, "widths": [4, 6], "context_px": 32}
    return SceneTask(arguments, CARD | {"bands": CARD["bands"][:1]}, **settings)


def test_the_encoder_has_a_smaller_learning_rate():
    module = at(scene(), 0)
    encoder, rest = module.configure_optimizers()["optimizer"].param_groups
    assert encoder["lr"] < rest["lr"]
    assert len(encoder["params"]) == len(list(module.network.encoder.parameters()))


def test_a_validation_fits_the_bound_and_the_checkpoint_holds_it(batch):
    module = at(scene(), 0)
    module.log_dict = lambda *_, **__: None
    inputs = {key: value[:1] for key, value in batch.items() if torch.is_tensor(value)}
    inputs |= {"nir": inputs["nir"][:, :1], "context": torch.rand(1, 5, 32, 32)}
    module.validation_step(inputs, 0)
    module.on_validation_epoch_end()
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    module.network.error_head().load_state_dict(checkpoint["bound"])
    with torch.no_grad():
        output = module.network_output(inputs)
    error = (output[:, :3].clamp(0, 1) - inputs["rgb"]).square().mean(1, keepdim=True).sqrt()
    share = (error <= output[:, 3:])[inputs["valid"] > 0].float().mean()
    assert 0.85 < share < 0.99
    resumed = at(scene(), 0)
    resumed.on_load_checkpoint(checkpoint)
    assert resumed.bound is checkpoint["bound"]
