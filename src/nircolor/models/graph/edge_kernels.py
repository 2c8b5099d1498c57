"""Loops over the edges of a graph convolution, as machine code.

Edges are gone through twice. By the pixel j that they come from: V_j, the largest thing here, is used for all
edges that need it while it is in a core's cache, and need not be kept. Then by the pixel i that they lead to,
where their messages are summed. The gradient goes the same way backwards.

Letters are those of `edges`; M pixels of one image, F⁺ is F padded. Arrays are float32 or float64, all of
one kind, each row in one piece; indices are trusted. Innermost loops go over the features and what is behind
them, so that vector registers are full: where r rows of F lie one behind the other, what is read beyond a row
is multiplied by 0, and 0 is added beyond it.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from nircolor.models.graph.machine_code import machine_code

# sums may be taken in any order and fused with products; NaN and infinity stay what they are
_compiled = machine_code(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
# rows that are added up at once: their sum is read and written once for all
_AT_ONCE = 4
# features are padded to a multiple of
LANES = 16


class Edges(NamedTuple):
    """The edges of one image, an edge being i · k + n, and what their weights are made of.

    Attributes:
        pixels: (M, F), h.
        hidden: (M, F), W₀ h.
        neighbours: (M, k) int64, pixels j of each i.
        hidden_bias: (F,).
        omega: (r, F⁺), zeros behind; omega_bias is (r,).
        decay: δ.
    """

    pixels: Any
    hidden: Any
    neighbours: Any
    hidden_bias: Any
    omega: Any
    omega_bias: Any
    decay: float


class BySource(NamedTuple):
    """The edges sorted by the pixel that they come from.

    Attributes:
        edges: (M · k,) int64.
        starts: (M + 1,) int64, where those of each pixel begin.
    """

    edges: Any
    starts: Any


class EdgeGradients(NamedTuple):
    """Gradients by what is an edge's own.

    Attributes:
        psi_h: (M, k, r), by ψ h_j.
        z: (M, k, F), by z, as far as its target knows; once its source has been asked too, by z's argument.
        squared: (M, k), by ‖d‖².
    """

    psi_h: Any
    z: Any
    squared: Any


@_compiled
def sort_by_source(neighbours: Any) -> BySource:
    """The edges of ``neighbours`` (M, k) by where they come from, in their own order otherwise."""
    count, k = neighbours.shape
    starts = np.zeros(count + 1, np.int64)
    for i in range(count):
        for n in range(k):
            starts[neighbours[i, n] + 1] += 1
    for j in range(count):
        starts[j + 1] += starts[j]
    edges, free = np.empty(count * k, np.int64), starts.copy()
    for i in range(count):
        for n in range(k):
            j = neighbours[i, n]
            edges[free[j]] = i * k + n
            free[j] += 1
    return BySource(edges, starts)


@_compiled
def project(edges: Edges, by_source: BySource, first: int, sources: Any, psi_h: Any) -> None:
    """ψ h_j of the edges that come from some pixels.

    Args:
        edges: of the image.
        by_source: the same, sorted.
        first: the first of the pixels.
        sources: (pixels, r · F + r and at least r · F + F⁺ − F), their V_j and behind it ψ_bias h_j.
        psi_h: (M, k, r), where it is written.
    """
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    zero = edges.pixels.dtype.type(0)
    z = np.zeros(edges.omega.shape[1], edges.pixels.dtype)
    for row in range(len(sources)):
        j, source = first + row, sources[row]
        of_bias = source[rank * features :]
        for edge in by_source.edges[by_source.starts[j] : by_source.starts[j + 1]]:
            i, n = edge // k, edge % k
            _hidden_layer(edges, i, j, z)
            for t in range(rank):
                v_t, product = _padded_row(source, t, features, z), zero
                for f in range(z.size):
                    product += v_t[f] * z[f]
                psi_h[i, n, t] = product + of_bias[t]


class _Messages(NamedTuple):
    """What the edges of a pixel amount to; zeros behind where there are fewer than rows.

    Attributes:
        z: (k⁺, F⁺).
        gamma: (k,), γ / k.
        omega: (k, r).
        scalars: (k⁺, r), γ / k · ω ∘ ψ h_j.
    """

    z: Any
    gamma: Any
    omega: Any
    scalars: Any


@_compiled
def aggregate(edges: Edges, psi_h: Any, first: int, sums: Any) -> None:
    """What φ is applied to: Σ_j γ/k (ω ∘ ψ h_j) zᵀ, and behind it Σ_j γ/k ω ∘ ψ h_j, of some pixels i.

    Args:
        edges: of the image.
        psi_h: (M, k, r), from `project`.
        first: the first of the pixels.
        sums: (pixels, r · F + r and at least r · F + F⁺ − F), written.
    """
    messages = _empty_messages(edges)
    for row in range(len(sums)):
        _compute(edges, psi_h, first + row, messages)
        _sum_up(edges, messages, sums[row])


@_compiled
def backward_of_targets(
    edges: Edges,
    psi_h: Any,
    first: int,
    grad_sums: Any,
    sums: Any,
    grads: EdgeGradients,
    grad_omega: Any,
    grad_omega_bias: Any,
) -> None:
    """The gradient of `aggregate`.

    Args:
        edges: as in `aggregate`, as are the next two.
        psi_h: likewise.
        first: likewise.
        grad_sums: like ``sums``, the gradient by them.
        sums: as in `aggregate`, computed once more.
        grads: those of these pixels' edges are written.
        grad_omega: (r · F and at least r · F + F⁺ − F,), added to.
        grad_omega_bias: (r,), added to.
    """
    messages = _empty_messages(edges)
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    zero = edges.pixels.dtype.type(0)
    of_omega, of_z = np.zeros_like(messages.scalars), np.empty_like(messages.z[0])
    for row in range(len(sums)):
        i, grad = first + row, grad_sums[row]
        _compute(edges, psi_h, i, messages)
        _sum_up(edges, messages, sums[row])
        for n in range(k):
            z, gamma = messages.z[n], messages.gamma[n]
            of_gamma = zero
            of_z[:] = 0
            for t in range(rank):
                grad_t, omega_t = _padded_row(grad, t, features, z), edges.omega[t]
                of_scalar = zero
                for f in range(z.size):
                    of_scalar += grad_t[f] * z[f]
                of_scalar += grad[rank * features + t]
                omega, scalar = messages.omega[n, t], messages.scalars[n, t]
                of_omega_t = of_scalar * gamma * psi_h[i, n, t]
                for f in range(z.size):
                    of_z[f] += scalar * grad_t[f] + of_omega_t * omega_t[f]
                of_omega[n, t] = of_omega_t
                grad_omega_bias[t] += of_omega_t
                grads.psi_h[i, n, t] = of_scalar * gamma * omega
                of_gamma += of_scalar * omega * psi_h[i, n, t]
            grads.squared[i, n] = -of_gamma * gamma / edges.decay
            grads.z[i, n] = of_z[:features]
        _add_products(of_omega, messages.z, features, grad_omega)


@_compiled
def backward_of_sources(
    edges: Edges,
    by_source: BySource,
    first: int,
    sources: Any,
    grads: EdgeGradients,
    grad_sources: Any,
    grad_hidden: Any,
    grad_pixels: Any,
) -> None:
    """The gradient of `project`, and the sources' part in all that depends on d = h_j − h_i.

    Args:
        edges: as in `project`, as are the next three.
        by_source: likewise.
        first: likewise.
        sources: likewise.
        grads: from `backward_of_targets`, of all edges; ``z`` is completed for those of these pixels.
        grad_sources: like ``sources``, written.
        grad_hidden: (M, F), by W₀ h; the rows of these pixels are written.
        grad_pixels: (M, F), by h in ‖d‖²; likewise.
    """
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    slope, two = edges.pixels.dtype.type(0.2), edges.pixels.dtype.type(2)
    z = np.zeros((_AT_ONCE, edges.omega.shape[1]), edges.pixels.dtype)
    of_psi_h = np.zeros((_AT_ONCE, rank), edges.pixels.dtype)
    of_z = np.empty_like(z[0])
    for row in range(len(sources)):
        j, source, of_source = first + row, sources[row], grad_sources[row]
        h_j, of_hidden, of_h = edges.pixels[j], grad_hidden[j], grad_pixels[j]
        of_source[:] = 0
        of_hidden[:] = 0
        of_h[:] = 0
        of_bias = of_source[rank * features :]
        start, end = by_source.starts[j], by_source.starts[j + 1]
        for at in range(start, end):
            i, n, turn = by_source.edges[at] // k, by_source.edges[at] % k, (at - start) % _AT_ONCE
            z_ij, h_i, of_argument = z[turn], edges.pixels[i], grads.z[i, n]
            _hidden_layer(edges, i, j, z_ij)
            of_z[:] = 0
            for t in range(rank):
                v_t, of_psi_h_t = _padded_row(source, t, features, z_ij), grads.psi_h[i, n, t]
                for f in range(z_ij.size):
                    of_z[f] += of_psi_h_t * v_t[f]
                of_psi_h[turn, t] = of_psi_h_t
                of_bias[t] += of_psi_h_t
            of_squared = two * grads.squared[i, n]
            for f in range(features):
                # z is positive where its argument is
                grad = of_argument[f] + of_z[f]
                of_argument[f] = grad if z_ij[f] > 0 else slope * grad
                of_hidden[f] += of_argument[f]
                of_h[f] += of_squared * (h_j[f] - h_i[f])
            if turn == _AT_ONCE - 1 or at == end - 1:
                of_psi_h[turn + 1 :] = 0
                _add_products(of_psi_h, z, features, of_source)


@_compiled
def backward_of_differences(edges: Edges, grads: EdgeGradients, grad_hidden: Any, grad_pixels: Any) -> None:
    """The targets' part in all that depends on d: added to what `backward_of_sources` wrote of all pixels."""
    k, features = edges.neighbours.shape[1], edges.pixels.shape[1]
    two = edges.pixels.dtype.type(2)
    for i in range(len(edges.pixels)):
        of_hidden, of_h, h_i = grad_hidden[i], grad_pixels[i], edges.pixels[i]
        for n in range(k):
            of_argument, h_j = grads.z[i, n], edges.pixels[edges.neighbours[i, n]]
            of_squared = two * grads.squared[i, n]
            for f in range(features):
                of_hidden[f] -= of_argument[f]
                of_h[f] -= of_squared * (h_j[f] - h_i[f])


@_compiled
def _empty_messages(edges: Edges) -> _Messages:
    k, rank, dtype = edges.neighbours.shape[1], edges.omega_bias.size, edges.pixels.dtype
    rows = (k + _AT_ONCE - 1) // _AT_ONCE * _AT_ONCE
    return _Messages(
        z=np.zeros((rows, edges.omega.shape[1]), dtype),
        gamma=np.zeros(k, dtype),
        omega=np.zeros((k, rank), dtype),
        scalars=np.zeros((rows, rank), dtype),
    )


@_compiled
def _compute(edges: Edges, psi_h: Any, i: int, messages: _Messages) -> None:
    """Fill in the messages of pixel i."""
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    zero, h_i = edges.pixels.dtype.type(0), edges.pixels[i]
    for n in range(k):
        j, z = edges.neighbours[i, n], messages.z[n]
        h_j, squared = edges.pixels[j], zero
        for f in range(features):
            squared += (h_j[f] - h_i[f]) * (h_j[f] - h_i[f])
        messages.gamma[n] = math.exp(-squared / edges.decay) / k
        _hidden_layer(edges, i, j, z)
        for t in range(rank):
            omega_t, omega = edges.omega[t], zero
            for f in range(z.size):
                omega += omega_t[f] * z[f]
            messages.omega[n, t] = omega + edges.omega_bias[t]
            messages.scalars[n, t] = messages.gamma[n] * messages.omega[n, t] * psi_h[i, n, t]


@_compiled
def _hidden_layer(edges: Edges, i: int, j: int, z: Any) -> None:
    """Write z, LeakyReLU(W₀ d + b₀)."""
    slope = edges.pixels.dtype.type(0.2)
    hidden_j, hidden_i = edges.hidden[j], edges.hidden[i]
    for f in range(hidden_j.size):
        argument = hidden_j[f] - hidden_i[f] + edges.hidden_bias[f]
        z[f] = max(argument, slope * argument)


@_compiled
def _sum_up(edges: Edges, messages: _Messages, sums: Any) -> None:
    """Write a pixel's row of the sums."""
    features, rank = edges.pixels.shape[1], edges.omega_bias.size
    sums[:] = 0
    _add_products(messages.scalars, messages.z, features, sums)
    of_bias = sums[rank * features :]
    for n in range(len(messages.gamma)):
        for t in range(rank):
            of_bias[t] += messages.scalars[n, t]


@_compiled
def _add_products(a: Any, z: Any, features: int, out: Any) -> None:
    """Add aᵀ z to the beginning of ``out``, row by row: a (k⁺, r), z (k⁺, F⁺)."""
    for n in range(0, len(a), _AT_ONCE):
        z0, z1, z2, z3 = z[n], z[n + 1], z[n + 2], z[n + 3]
        for t in range(a.shape[1]):
            a0, a1, a2, a3 = a[n, t], a[n + 1, t], a[n + 2, t], a[n + 3, t]
            out_t = _padded_row(out, t, features, z0)
            for f in range(z0.size):
                out_t[f] += (a0 * z0[f] + a1 * z1[f]) + (a2 * z2[f] + a3 * z3[f])


@_compiled
def _padded_row(rows: Any, t: int, features: int, z: Any) -> Any:
    """Of r rows of F one behind the other, the t-th and what lies behind it, as long as z."""
    return rows[t * features : t * features + z.size]
