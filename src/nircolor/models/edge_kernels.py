"""Loops over the edges of a graph convolution, made into machine code by Numba.

All that an edge needs is done while its numbers are in a core's first cache: nothing that has the size of the
edges times the rank times the features is ever in memory. Letters are those of `edges`. Arrays are float32 or
float64, all of one kind, each row in one piece; indices are trusted.

Innermost loops go over the features and some zeros behind them, so that vector registers are full: wherever
r rows of F lie one behind the other, what is read beyond a row is multiplied by 0, and 0 is added beyond it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from nircolor.models.knn import Area

# sums may be taken in any order and fused with products; NaN and infinity stay what they are
_machine_code = njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
# edges that are added up at once: their sum is read and written once for all
_AT_ONCE = 4
# features are padded to a multiple of
LANES = 16


class Edges(NamedTuple):
    """The edges of one picture of M pixels, and what their weights are made of. F⁺ is F padded.

    Attributes:
        pixels: (M, F), h.
        width_px: of the picture; pixel j is column j mod width of row j div width.
        sources: (rows, columns, r · F + F + r and at least r · F + F⁺ − F), what is a pixel's own: V_j,
            W₀ h_j and ψ_bias h_j side by side. Row y of the picture is row y mod rows here: those of a large
            picture come and go.
        left_px: column of the picture that is the first in ``sources``.
        neighbours: (M, k) int64, pixels j of each i.
        hidden_bias: (F,).
        omega: (r, F⁺), zeros behind; omega_bias is (r,).
        decay: δ.
    """

    pixels: Any
    width_px: int
    sources: Any
    left_px: int
    neighbours: Any
    hidden_bias: Any
    omega: Any
    omega_bias: Any
    decay: float


class EdgeGradients(NamedTuple):
    """Gradients by what is an edge's own.

    Attributes:
        psi_h: (M, k, r), by ψ h_j.
        hidden: (M, k, F), by the argument of the LeakyReLU.
        squared: (M, k), by ‖d‖².
    """

    psi_h: Any
    hidden: Any
    squared: Any


class _Messages(NamedTuple):
    """What the edges of a pixel amount to; zeros behind where there are fewer than rows.

    Attributes:
        z: (k⁺, F⁺).
        gamma: (k,), γ / k.
        omega: (k, r).
        psi_h: (k, r), ψ h_j.
        scalars: (k⁺, r), γ / k · ω ∘ ψ h_j.
    """

    z: Any
    gamma: Any
    omega: Any
    psi_h: Any
    scalars: Any


@_machine_code
def sum_edges(edges: Edges, area: Area, sums: Any) -> None:
    """What φ is applied to: of an area's pixels, Σ_j γ/k (ω ∘ ψ h_j) zᵀ and Σ_j γ/k ω ∘ ψ h_j.

    sums: (pixels, r · F + r and at least r · F + F⁺ − F), written.
    """
    messages = _empty_messages(edges)
    columns = area.right - area.left
    for row in range(len(sums)):
        _compute(edges, (area.top + row // columns) * edges.width_px + area.left + row % columns, messages)
        _aggregate(edges, messages, sums[row])


@_machine_code
def backward_of_targets(
    edges: Edges,
    first: int,
    grad_sums: Any,
    sums: Any,
    of_edges: EdgeGradients,
    grad_omega: Any,
    grad_omega_bias: Any,
) -> None:
    """The gradient of `sum_edges`, as far as it is a target's own.

    Args:
        edges: as in `sum_edges`.
        first: the first pixel, of as many as there are rows in ``sums``.
        grad_sums: like ``sums``, the gradient by them.
        sums: as in `sum_edges`, computed once more.
        of_edges: the rows of these pixels are written.
        grad_omega: (r · F and at least r · F + F⁺ − F,), added to.
        grad_omega_bias: (r,), added to.
    """
    messages = _empty_messages(edges)
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    slope, zero = edges.pixels.dtype.type(0.2), edges.pixels.dtype.type(0)
    of_omega, of_z = np.zeros_like(messages.scalars), np.empty_like(messages.z[0])
    for row in range(len(sums)):
        i, grad = first + row, grad_sums[row]
        _compute(edges, i, messages)
        _aggregate(edges, messages, sums[row])
        for n in range(k):
            source, z = _source(edges, edges.neighbours[i, n]), messages.z[n]
            of_z[:] = 0
            of_gamma = zero
            for t in range(rank):
                grad_t, psi_t, omega_t = (
                    _padded_row(grad, t, features, z),
                    _padded_row(source, t, features, z),
                    edges.omega[t],
                )
                of_scalar = zero
                for f in range(z.size):
                    of_scalar += grad_t[f] * z[f]
                of_scalar += grad[rank * features + t]
                omega, psi_h, gamma = messages.omega[n, t], messages.psi_h[n, t], messages.gamma[n]
                of_psi_h, of_omega_t = of_scalar * gamma * omega, of_scalar * gamma * psi_h
                of_gamma += of_scalar * omega * psi_h
                scalar = messages.scalars[n, t]
                for f in range(z.size):
                    of_z[f] += scalar * grad_t[f] + (of_psi_h * psi_t[f] + of_omega_t * omega_t[f])
                of_edges.psi_h[i, n, t] = of_psi_h
                of_omega[n, t] = of_omega_t
                grad_omega_bias[t] += of_omega_t
            of_edges.squared[i, n] = -of_gamma * messages.gamma[n] / edges.decay
            of_hidden = of_edges.hidden[i, n]
            for f in range(features):
                # z is positive where its argument is
                of_hidden[f] = of_z[f] if z[f] > 0 else slope * of_z[f]
        _add_products(of_omega, messages.z, features, grad_omega)


@_machine_code
def backward_of_sources(
    edges: Edges,
    leaving: Any,
    starts: Any,
    first: int,
    of_edges: EdgeGradients,
    grad_sources: Any,
    grad_pixels: Any,
) -> None:
    """The rest of the gradient, at the pixels that edges come from: gathered, so that none is written twice.

    Args:
        edges: as in `sum_edges`, with all pixels in ``sources``.
        leaving: (M · k,), the edges sorted by the pixel j that they come from, an edge being i · k + n.
        starts: (M + 1,), where in ``leaving`` those of each pixel begin.
        first: the first pixel, of as many as there are rows in ``grad_sources``.
        of_edges: from `backward_of_targets`, of all pixels.
        grad_sources: (pixels, as many as in ``sources``), written.
        grad_pixels: (pixels, F), what does not come by way of ``sources``, written.
    """
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    slope, two = edges.pixels.dtype.type(0.2), edges.pixels.dtype.type(2)
    z = np.zeros((_AT_ONCE, edges.omega.shape[1]), edges.pixels.dtype)
    of_psi_h = np.zeros((_AT_ONCE, rank), edges.pixels.dtype)
    for row in range(len(grad_sources)):
        j = first + row
        h_j, w_h_j = edges.pixels[j], _w_h(edges, j)
        of_source, of_h = grad_sources[row], grad_pixels[row]
        of_source[:] = 0
        of_h[:] = 0
        of_w_h = of_source[rank * features : rank * features + features]
        of_u = of_source[rank * features + features :]
        # the edges that it is the target of
        for n in range(k):
            h_n, of_hidden, of_squared = (
                edges.pixels[edges.neighbours[j, n]],
                of_edges.hidden[j, n],
                two * of_edges.squared[j, n],
            )
            for f in range(features):
                of_w_h[f] -= of_hidden[f]
                of_h[f] -= of_squared * (h_n[f] - h_j[f])
        for edge in range(starts[j], starts[j + 1]):
            i, n = leaving[edge] // k, leaving[edge] % k
            h_i, w_h_i, of_hidden, of_squared = (
                edges.pixels[i],
                _w_h(edges, i),
                of_edges.hidden[i, n],
                two * of_edges.squared[i, n],
            )
            at = (edge - starts[j]) % _AT_ONCE
            z_ij = z[at]
            for f in range(features):
                hidden = w_h_j[f] - w_h_i[f] + edges.hidden_bias[f]
                z_ij[f] = max(hidden, slope * hidden)
            for f in range(features):
                of_w_h[f] += of_hidden[f]
                of_h[f] += of_squared * (h_j[f] - h_i[f])
            for t in range(rank):
                of_psi_h[at, t] = of_edges.psi_h[i, n, t]
                of_u[t] += of_edges.psi_h[i, n, t]
            if at == _AT_ONCE - 1 or edge == starts[j + 1] - 1:
                of_psi_h[at + 1 :] = 0
                _add_products(of_psi_h, z, features, of_source)


@_machine_code
def _empty_messages(edges: Edges) -> _Messages:
    k, rank, dtype = edges.neighbours.shape[1], edges.omega_bias.size, edges.pixels.dtype
    rows = (k + _AT_ONCE - 1) // _AT_ONCE * _AT_ONCE
    return _Messages(
        z=np.zeros((rows, edges.omega.shape[1]), dtype),
        gamma=np.zeros(k, dtype),
        omega=np.zeros((k, rank), dtype),
        psi_h=np.zeros((k, rank), dtype),
        scalars=np.zeros((rows, rank), dtype),
    )


@_machine_code
def _compute(edges: Edges, i: int, messages: _Messages) -> None:
    """Fill in the messages of pixel i."""
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    slope, zero = edges.pixels.dtype.type(0.2), edges.pixels.dtype.type(0)
    h_i, w_h_i = edges.pixels[i], _w_h(edges, i)
    for n in range(k):
        j = edges.neighbours[i, n]
        h_j, w_h_j, source, z = edges.pixels[j], _w_h(edges, j), _source(edges, j), messages.z[n]
        squared = zero
        for f in range(features):
            squared += (h_j[f] - h_i[f]) * (h_j[f] - h_i[f])
            hidden = w_h_j[f] - w_h_i[f] + edges.hidden_bias[f]
            z[f] = max(hidden, slope * hidden)
        messages.gamma[n] = math.exp(-squared / edges.decay) / k
        u = source[rank * features + features :]
        for t in range(rank):
            psi_t, omega_t = _padded_row(source, t, features, z), edges.omega[t]
            psi_h, omega = zero, zero
            for f in range(z.size):
                psi_h += psi_t[f] * z[f]
                omega += omega_t[f] * z[f]
            messages.psi_h[n, t] = psi_h + u[t]
            messages.omega[n, t] = omega + edges.omega_bias[t]
            messages.scalars[n, t] = messages.gamma[n] * messages.omega[n, t] * messages.psi_h[n, t]


@_machine_code
def _aggregate(edges: Edges, messages: _Messages, sums: Any) -> None:
    """Write a pixel's row of the sums."""
    features, rank = edges.pixels.shape[1], edges.omega_bias.size
    sums[:] = 0
    _add_products(messages.scalars, messages.z, features, sums)
    for n in range(len(messages.gamma)):
        for t in range(rank):
            sums[rank * features + t] += messages.scalars[n, t]


@_machine_code
def _add_products(a: Any, z: Any, features: int, out: Any) -> None:
    """Add aᵀ z to the beginning of ``out``, row by row: a (k⁺, r), z (k⁺, F⁺)."""
    for n in range(0, len(a), _AT_ONCE):
        z0, z1, z2, z3 = z[n], z[n + 1], z[n + 2], z[n + 3]
        for t in range(a.shape[1]):
            a0, a1, a2, a3 = a[n, t], a[n + 1, t], a[n + 2, t], a[n + 3, t]
            out_t = _padded_row(out, t, features, z0)
            for f in range(z0.size):
                out_t[f] += (a0 * z0[f] + a1 * z1[f]) + (a2 * z2[f] + a3 * z3[f])


@_machine_code
def _padded_row(rows: Any, t: int, features: int, z: Any) -> Any:
    """Of r rows of F one behind the other, the t-th and what lies behind it, as long as z."""
    return rows[t * features : t * features + z.size]


@_machine_code
def _source(edges: Edges, j: int) -> Any:
    """Pixel j's row of the sources."""
    y, x = j // edges.width_px, j % edges.width_px
    return edges.sources[y % len(edges.sources), x - edges.left_px]


@_machine_code
def _w_h(edges: Edges, j: int) -> Any:
    """W₀ h_j."""
    begin = edges.omega_bias.size * edges.pixels.shape[1]
    return _source(edges, j)[begin : begin + edges.pixels.shape[1]]
