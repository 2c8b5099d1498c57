"""Depthwise convolution: results and gradients are those of `torch.nn.Conv2d`."""

import pytest
import torch
from torch import nn

from nircolor.models.depthwise import DepthwiseConv2d

CASES = [(3, 1, 1, True), (3, 2, 0, True), (5, 1, 2, False), (5, 2, 0, True)]


def gradients(conv, x, half):
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = conv(x)
    y.float().square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in conv.parameters())]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding", "bias"), CASES)
def test_results_and_gradients_are_those_of_a_convolution(kernel, stride, padding, bias, half):
    torch.manual_seed(0)
    ours = DepthwiseConv2d(6, kernel, stride, padding, bias)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=bias)
    plain.load_state_dict(ours.state_dict())
    x = torch.rand(2, 6, 11, 9)
    for got, expected in zip(gradients(ours, x, half), gradients(plain, x, half), strict=True):
        assert got.dtype == expected.dtype
        tolerance = 0.02 * expected.abs().max().item() if half else 1e-5
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


def test_a_frozen_convolution_passes_the_gradient_on():
    conv = DepthwiseConv2d(3, 5, padding=2).requires_grad_(False)
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    conv(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert conv.weight.grad is None


def test_a_first_layer_needs_no_gradient_of_its_input():
    conv = DepthwiseConv2d(3, 3, padding=1)
    conv(torch.rand(1, 3, 8, 8)).sum().backward()
    assert conv.weight.grad.abs().sum() > 0
