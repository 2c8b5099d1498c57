"""Selection of the nearest candidates for `knn` on a GPU, compiled by Triton.

`torch.topk` reads a row of 64-bit keys once for every two bits; here a row is read once, as distances, and
its keys are held in registers. Importing the module without Triton is an ImportError.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_EXCLUDED = tl.constexpr(torch.iinfo(torch.int64).max)


@triton.jit  # type: ignore[untyped-decorator]
def _smallest_keys(  # type: ignore[no-untyped-def]
    squared,
    keys,
    pixels,
    width,
    candidates,
    around_width,
    top,
    left,
    radius_px,
    index_bits: tl.constexpr,
    k: tl.constexpr,
    row_length: tl.constexpr,
):
    """Write the ``k`` smallest keys of one pixel: distance in the high bits, index in the low ones."""
    row = tl.program_id(0).to(tl.int64)
    pixel = row % pixels
    y, x = pixel // width + top, pixel % width + left
    index = tl.arange(0, row_length)
    inside = index < candidates
    distance = tl.load(squared + row * candidates + index, mask=inside, other=0.0)
    rows, columns = tl.abs(index // around_width - y), tl.abs(index % around_width - x)
    near = (rows <= 1) & (columns <= 1)
    chosen = inside & (rows <= radius_px) & (columns <= radius_px) & (near == 0)
    key = tl.where(chosen, (distance.to(tl.int64) << index_bits) | index.to(tl.int64), _EXCLUDED)
    for n in tl.static_range(k):
        smallest = tl.min(key, 0)
        tl.store(keys + row * k + n, smallest)
        key = tl.where(key == smallest, _EXCLUDED, key)


def smallest_keys(
    squared: Tensor, k: int, shape: Any, around_shape: Any, offset: Any, radius_px: int, index_bits: int
) -> Tensor:
    """Select the k nearest candidates of each pixel of a block.

    Args:
        squared: (N, pixels, candidates) float64, contiguous: squared distances, whole numbers.
        k: Number of candidates to select.
        shape: Height and width of the block of pixels.
        around_shape: Height and width of the block of candidates.
        offset: Row and column of the first pixel among the candidates.
        radius_px: Largest distance in rows or columns.
        index_bits: Bits of the candidate's index.

    Returns:
        (N, pixels, k) int64, ascending: distance · 2^index_bits + index.
    """
    images, pixels, candidates = squared.shape
    keys = torch.empty(images, pixels, k, dtype=torch.int64, device=squared.device)
    row_length = triton.next_power_of_2(candidates)
    _smallest_keys[(images * pixels,)](
        squared,
        keys,
        pixels,
        shape[1],
        candidates,
        around_shape[1],
        *offset,
        radius_px,
        index_bits,
        k,
        row_length,
        num_warps=8 if row_length > 1024 else 4,
    )
    return keys
