"""Depthwise convolution that trains fast on a CPU in mixed precision."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution without dilation; the gradient is computed in single precision.

    On CPUs, PyTorch has no fast kernels for the gradient of depthwise convolutions in bfloat16: single
    precision takes a half to a fifth of the time. Results and weights are those of `torch.nn.Conv2d`.

    Args:
        channels: Channels of input and output.
        kernel_size: Side of the kernel.
        stride: Stride.
        padding: Pixels of zeros at each side.
        bias: Whether there is a bias.
    """

    def __init__(
        self, channels: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(channels, channels, kernel_size, stride, padding, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return super().forward(x)
        y: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.stride[0], self.padding[0]
        )
        return y


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
    ) -> Tensor:
        y = F.conv2d(x, weight, bias, stride, padding, groups=len(weight))
        # under autocast, y has half precision, and x as it was computed
        ctx.save_for_backward(x.to(y.dtype), weight)
        ctx.stride, ctx.padding, ctx.dtypes = stride, padding, (x.dtype, weight.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        # 3×3 windows at every pixel are the exception: fast in half precision
        dtype = x.dtype if weight.shape[-1] == 3 and ctx.stride == 1 else torch.float32
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient.to(dtype, memory_format=torch.channels_last),
            x.to(dtype),
            weight.to(dtype),
            [len(weight)],
            [ctx.stride] * 2,
            [ctx.padding] * 2,
            [1, 1],
            False,
            [0, 0],
            len(weight),
            [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.needs_input_grad[2]],
        )
        of_inputs = zip((of_x, of_weight, of_bias), (ctx.dtypes[0], *2 * ctx.dtypes[1:]), strict=True)
        return *(None if g is None else g.to(dtype) for g, dtype in of_inputs), None, None
