"""The encoder: shapes, and folded weights compared with the published ones."""

import pytest
import torch
from torch.nn import functional as F

from nircolor.models.efficientnet_lite import EfficientNetLite0, imagenet_weights


@pytest.fixture(scope="module")
def published():
    return imagenet_weights()


@pytest.fixture(scope="module")
def encoder(published):
    network = EfficientNetLite0().eval()
    network.load_imagenet(published)
    return network


def test_strides_and_channels(encoder):
    features = encoder(torch.rand(1, 1, 64, 96))
    assert [f.shape[1] for f in features] == list(encoder.channels)
    assert [tuple(f.shape[2:]) for f in features] == [(64 // s, 96 // s) for s in (2, 4, 8, 16, 32)]


def test_folded_weights_give_the_same_features_as_the_published_ones(encoder, published):
    """Against the network as published: three equal channels, batch normalisation, TensorFlow's padding."""

    def conv(x, weight, norm, stride=1, activate=True):
        kernel = published[weight]
        # "same": as many outputs as inputs over the stride, the odd pixel of padding last
        total = [max((-(-n // stride) - 1) * stride + kernel.shape[2] - n, 0) for n in x.shape[2:]]
        x = F.pad(x, [side for t in reversed(total) for side in (t // 2, t - t // 2)])
        x = F.conv2d(x, kernel, stride=stride, groups=x.shape[1] if kernel.shape[1] == 1 else 1)
        parts = [published[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *parts, eps=1e-3)
        return F.relu6(x) if activate else x

    gray = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    features = []
    h = conv((gray * 2 - 1).expand(1, 3, 64, 96), "_conv_stem.weight", "_bn0", stride=2)
    for i in range(16):
        prefix, before = f"_blocks.{i}", h
        stride = 2 if i in (1, 3, 5, 11) else 1
        if i > 0:
            h = conv(h, f"{prefix}._expand_conv.weight", f"{prefix}._bn0")
        h = conv(h, f"{prefix}._depthwise_conv.weight", f"{prefix}._bn1", stride)
        h = conv(h, f"{prefix}._project_conv.weight", f"{prefix}._bn2", activate=False)
        h = h + before if h.shape == before.shape else h
        if i in (0, 2, 4, 10, 15):
            features.append(h)
    with torch.no_grad():
        for got, expected in zip(encoder(gray), features, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_a_missing_tensor_is_an_error(published):
    damaged = {key: value for key, value in published.items() if key != "_blocks.3._bn1.weight"}
    with pytest.raises(KeyError, match=r"_blocks[.]3"):
        EfficientNetLite0().load_imagenet(damaged)
