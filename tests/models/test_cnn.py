"""`cnn`: its published size, its stated reach, and that it can be exported."""

import pytest
import torch

from nircolor.models import build
from nircolor.models.cnn import Cnn
from tests.models.probes import exported_answer, reached_px


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("batch_norm", "parameters"), [("reference", 2_165_143), ("blocks", 2_165_917), ("everywhere", 2_166_949)]
)
def test_parameters(batch_norm, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in Cnn(batch_norm=batch_norm).parameters()) == parameters


def test_reach_is_exact():
    assert Cnn(width=3).receptive_field_px == reached_px(Cnn(width=3), height=60) == 23


@pytest.mark.parametrize("bands", [1, 3])
@torch.no_grad()
def test_every_band_has_a_say(bands):
    network = build("cnn", {"bands": bands, "width": 6}).eval()
    nir = torch.rand(2, bands, 9, 14)
    rgb = network(nir)
    assert rgb.shape == (2, 3, 9, 14)
    for band in range(bands):
        changed = nir.clone()
        changed[:, band] = changed[:, band].flip(-1)
        assert not torch.allclose(network(changed), rgb, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 3, 8), (1, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        Cnn(width=3)(torch.zeros(shape))


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match="width: expected a multiple of 3"):
        Cnn(width=4)


@torch.no_grad()
def test_exported_it_answers_the_same_at_other_sizes():
    network = Cnn(width=6).eval()
    nir = torch.rand(1, 1, 29, 41)
    torch.testing.assert_close(exported_answer(network, nir), network(nir), atol=1e-5, rtol=1e-4)
