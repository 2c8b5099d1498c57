"""Loops over the edges of a graph convolution, compiled to machine code.

There are two passes over the edges. The first is ordered by source, the pixel j that an edge starts from:
V_j, the largest array, is computed, used for all edges that need it while it is in a core's cache, and
dropped. The second is ordered by target, the pixel i that an edge leads to, whose messages are summed. The
gradient runs the same passes in reverse.

Symbols are those of `edges`; an image has M pixels, and F⁺ is F padded to whole vector registers. All arrays
are float32 or all are float64, with contiguous rows; indices are not checked. Innermost loops run over F⁺
numbers. Where r rows of F numbers are stored without gaps, numbers read beyond a row are multiplied by 0, and
0 is added beyond its end.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from nircolor.models.graph.machine_code import machine_code

# sums may be reordered and fused with products; NaN and infinity are kept
_compiled = machine_code(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
# rows that are added at once, so that their sum is read and written once
_AT_ONCE = 4
# features are padded to a multiple of this
LANES = 16


class Edges(NamedTuple):
    """The edges of one image and the arrays from which their weights are computed.

    Edge i · k + n leads from the n-th neighbour of pixel i to i.

    Attributes:
        pixels: (M, F), h.
        hidden: (M, F), W₀ h.
        neighbours: (M, k) int64, the neighbours j of each i.
        hidden_bias: (F,), b₀.
        omega: (r, F⁺), F columns, then zeros; omega_bias is (r,).
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
    """The edges sorted by source.

    Attributes:
        edges: (M · k,) int64, indices of edges.
        starts: (M + 1,) int64; the edges from pixel j are ``edges[starts[j] : starts[j + 1]]``.
    """

    edges: Any
    starts: Any


class EdgeGradients(NamedTuple):
    """Gradients with respect to values of single edges.

    Attributes:
        psi_h: (M, k, r), with respect to ψ h_j.
        z: (M, k, F). `backward_of_targets` writes the gradient with respect to z that comes from the sums;
            `backward_of_sources` replaces it by the full gradient with respect to the argument of z.
        squared: (M, k), with respect to ‖d‖².
    """

    psi_h: Any
    z: Any
    squared: Any


@_compiled
def sort_by_source(neighbours: Any) -> BySource:
    """Sort the edges of ``neighbours`` (M, k) by source; edges of one source keep their order."""
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
    """Compute ψ h_j of the edges that start from a strip of pixels.

    Args:
        edges: Edges of the image.
        by_source: These edges, sorted by source.
        first: Index of the first pixel of the strip.
        sources: (pixels of the strip, S), V_j in r · F columns, then ψ_bias h_j in r columns;
            S ≥ r · F + max(r, F⁺ − F).
        psi_h: (M, k, r); the entries of these edges are written.
    """
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    zero = edges.pixels.dtype.type(0)
    z = np.zeros(edges.omega.shape[1], edges.pixels.dtype)
    for row in range(len(sources)):
        j, source = first + row, sources[row]
        bias_h = source[rank * features :]
        for edge in by_source.edges[by_source.starts[j] : by_source.starts[j + 1]]:
            i, n = edge // k, edge % k
            _hidden_layer(edges, i, j, z)
            for t in range(rank):
                v_t, product = _padded_row(source, t, features, z), zero
                for f in range(z.size):
                    product += v_t[f] * z[f]
                psi_h[i, n, t] = product + bias_h[t]


class _Messages(NamedTuple):
    """Factors of the messages to one pixel; rows beyond the k-th are zero.

    k⁺ is k, rounded up to a multiple of the rows that are added at once.

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
    """Sum the messages to a strip of pixels i, before the product with Φ.

    Args:
        edges: Edges of the image.
        psi_h: (M, k, r), from `project`.
        first: Index of the first pixel of the strip.
        sums: (pixels of the strip, S), written: Σ_j γ/k (ω ∘ ψ h_j) zᵀ in r · F columns, then
            Σ_j γ/k ω ∘ ψ h_j in r columns; S ≥ r · F + max(r, F⁺ − F).
    """
    messages = _empty_messages(edges)
    for row in range(len(sums)):
        _compute_messages(edges, psi_h, first + row, messages)
        _sum_messages(edges, messages, sums[row])


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
    """Compute the gradient of `aggregate` for a strip of pixels i.

    Args:
        edges: Edges of the image.
        psi_h: (M, k, r), from `project`.
        first: Index of the first pixel of the strip.
        grad_sums: (pixels of the strip, S), gradient with respect to ``sums``.
        sums: (pixels of the strip, S), written: computed again as in `aggregate`.
        grads: The entries of the edges to these pixels are written.
        grad_omega: (at least r · F + F⁺ − F,), gradient with respect to Ω, added to.
        grad_omega_bias: (r,), gradient with respect to its bias, added to.
    """
    messages = _empty_messages(edges)
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    zero = edges.pixels.dtype.type(0)
    grad_omega_of_edges, grad_z = np.zeros_like(messages.scalars), np.empty_like(messages.z[0])
    for row in range(len(sums)):
        i, grad = first + row, grad_sums[row]
        _compute_messages(edges, psi_h, i, messages)
        _sum_messages(edges, messages, sums[row])
        for n in range(k):
            z, gamma = messages.z[n], messages.gamma[n]
            grad_gamma = zero
            grad_z[:] = 0
            for t in range(rank):
                grad_t, omega_t = _padded_row(grad, t, features, z), edges.omega[t]
                grad_scalar = zero
                for f in range(z.size):
                    grad_scalar += grad_t[f] * z[f]
                grad_scalar += grad[rank * features + t]
                omega, scalar = messages.omega[n, t], messages.scalars[n, t]
                grad_omega_t = grad_scalar * gamma * psi_h[i, n, t]
                for f in range(z.size):
                    grad_z[f] += scalar * grad_t[f] + grad_omega_t * omega_t[f]
                grad_omega_of_edges[n, t] = grad_omega_t
                grad_omega_bias[t] += grad_omega_t
                grads.psi_h[i, n, t] = grad_scalar * gamma * omega
                grad_gamma += grad_scalar * omega * psi_h[i, n, t]
            grads.squared[i, n] = -grad_gamma * gamma / edges.decay
            grads.z[i, n] = grad_z[:features]
        _add_products(grad_omega_of_edges, messages.z, features, grad_omega)


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
    """Compute the gradient of `project` for a strip of pixels j, and of d with respect to h_j.

    Args:
        edges: Edges of the image.
        by_source: These edges, sorted by source.
        first: Index of the first pixel of the strip.
        sources: (pixels of the strip, S), as in `project`.
        grads: From `backward_of_targets`, of all edges; ``z`` of the edges from these pixels is completed.
        grad_sources: (pixels of the strip, S), written: gradient with respect to ``sources``.
        grad_hidden: (M, F), gradient with respect to W₀ h; the rows of these pixels are written.
        grad_pixels: (M, F), gradient with respect to h in ‖d‖²; the rows of these pixels are written.
    """
    k, features, rank = edges.neighbours.shape[1], edges.pixels.shape[1], edges.omega_bias.size
    slope, two = edges.pixels.dtype.type(0.2), edges.pixels.dtype.type(2)
    z = np.zeros((_AT_ONCE, edges.omega.shape[1]), edges.pixels.dtype)
    grad_psi_h = np.zeros((_AT_ONCE, rank), edges.pixels.dtype)
    grad_z = np.empty_like(z[0])
    for row in range(len(sources)):
        j, source, grad_source = first + row, sources[row], grad_sources[row]
        h_j, grad_hidden_j, grad_h_j = edges.pixels[j], grad_hidden[j], grad_pixels[j]
        grad_source[:] = 0
        grad_hidden_j[:] = 0
        grad_h_j[:] = 0
        grad_bias = grad_source[rank * features :]
        start, end = by_source.starts[j], by_source.starts[j + 1]
        for at in range(start, end):
            i, n, slot = by_source.edges[at] // k, by_source.edges[at] % k, (at - start) % _AT_ONCE
            z_ij, h_i, grad_argument = z[slot], edges.pixels[i], grads.z[i, n]
            _hidden_layer(edges, i, j, z_ij)
            grad_z[:] = 0
            for t in range(rank):
                v_t, grad_psi_h_t = _padded_row(source, t, features, z_ij), grads.psi_h[i, n, t]
                for f in range(z_ij.size):
                    grad_z[f] += grad_psi_h_t * v_t[f]
                grad_psi_h[slot, t] = grad_psi_h_t
                grad_bias[t] += grad_psi_h_t
            grad_squared = two * grads.squared[i, n]
            for f in range(features):
                # z and its argument have the same sign
                grad = grad_argument[f] + grad_z[f]
                grad_argument[f] = grad if z_ij[f] > 0 else slope * grad
                grad_hidden_j[f] += grad_argument[f]
                grad_h_j[f] += grad_squared * (h_j[f] - h_i[f])
            if slot == _AT_ONCE - 1 or at == end - 1:
                grad_psi_h[slot + 1 :] = 0
                _add_products(grad_psi_h, z, features, grad_source)


@_compiled
def backward_of_differences(edges: Edges, grads: EdgeGradients, grad_hidden: Any, grad_pixels: Any) -> None:
    """Add the gradient of d = h_j − h_i with respect to h_i, after `backward_of_sources` of all pixels.

    Args:
        edges: Edges of the image.
        grads: From `backward_of_sources`.
        grad_hidden: (M, F), gradient with respect to W₀ h, added to.
        grad_pixels: (M, F), gradient with respect to h in ‖d‖², added to.
    """
    k, features = edges.neighbours.shape[1], edges.pixels.shape[1]
    two = edges.pixels.dtype.type(2)
    for i in range(len(edges.pixels)):
        grad_hidden_i, grad_h_i, h_i = grad_hidden[i], grad_pixels[i], edges.pixels[i]
        for n in range(k):
            grad_argument, h_j = grads.z[i, n], edges.pixels[edges.neighbours[i, n]]
            grad_squared = two * grads.squared[i, n]
            for f in range(features):
                grad_hidden_i[f] -= grad_argument[f]
                grad_h_i[f] -= grad_squared * (h_j[f] - h_i[f])


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
def _compute_messages(edges: Edges, psi_h: Any, i: int, messages: _Messages) -> None:
    """Compute the messages to pixel i."""
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
    """Write z = LeakyReLU(W₀ d + b₀), (F⁺,)."""
    slope = edges.pixels.dtype.type(0.2)
    hidden_j, hidden_i = edges.hidden[j], edges.hidden[i]
    for f in range(hidden_j.size):
        argument = hidden_j[f] - hidden_i[f] + edges.hidden_bias[f]
        z[f] = max(argument, slope * argument)


@_compiled
def _sum_messages(edges: Edges, messages: _Messages, sums: Any) -> None:
    """Write a pixel's row of the sums, (S,)."""
    features, rank = edges.pixels.shape[1], edges.omega_bias.size
    sums[:] = 0
    _add_products(messages.scalars, messages.z, features, sums)
    bias_sums = sums[rank * features :]
    for n in range(len(messages.gamma)):
        for t in range(rank):
            bias_sums[t] += messages.scalars[n, t]


@_compiled
def _add_products(a: Any, z: Any, features: int, out: Any) -> None:
    """Add aᵀ z, as r rows of F numbers, to the beginning of ``out``: a (k⁺, r), z (k⁺, F⁺)."""
    for n in range(0, len(a), _AT_ONCE):
        z0, z1, z2, z3 = z[n], z[n + 1], z[n + 2], z[n + 3]
        for t in range(a.shape[1]):
            a0, a1, a2, a3 = a[n, t], a[n + 1, t], a[n + 2, t], a[n + 3, t]
            out_t = _padded_row(out, t, features, z0)
            for f in range(z0.size):
                out_t[f] += (a0 * z0[f] + a1 * z1[f]) + (a2 * z2[f] + a3 * z3[f])


@_compiled
def _padded_row(rows: Any, t: int, features: int, z: Any) -> Any:
    """View the t-th of r rows of F numbers, extended to the length of ``z``."""
    return rows[t * features : t * features + z.size]
