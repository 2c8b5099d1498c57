"""`cnn`: published size, receptive field and inputs."""

import pytest
import torch

from nircolor.models.cnn import Cnn
from tests.models.probes import assert_every_band_matters, measured_receptive_field_px


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("batch_norm", "parameters"), [("reference", 2_165_143), ("blocks", 2_165_917), ("everywhere", 2_166_949)]
)
def test_parameters(batch_norm, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in Cnn(batch_norm=batch_norm).parameters()) == parameters


def test_receptive_field_is_exact():
    assert Cnn(width=3).receptive_field_px == measured_receptive_field_px(Cnn(width=3), height=60) == 23


@pytest.mark.parametrize("bands", [1, 3])
def test_every_band_matters(bands):
    assert_every_band_matters(Cnn(bands=bands, width=6).eval(), height=9, width=14)


@pytest.mark.parametrize("shape", [(1, 1, 3, 8), (1, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="nir: expected"):
        Cnn(width=3)(torch.zeros(shape))


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match="width: expected a multiple of 3"):
        Cnn(width=4)
