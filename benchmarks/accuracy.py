"""How exact a convolution is: the relative error, in the Euclidean norm, against the sum in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import ConvLayer, TransposedLayer
from benchmarks.libraries.base import Array, ConvArrays

# What a result may be off and still count: for float32 what fastconv promises of its fast algorithms,
# for float64 rounding.
LIMITS = {"float32": 2e-5, "float64": 1e-12}
# Elements of a filter from which Fourier transforms sum: in float64 their rounding, 1e-15, is far below the limits.
LARGE = 100


def convolve(layer: ConvLayer, arrays: ConvArrays) -> NDArray[np.float64]:
    """The feature maps in NCHW, in float64."""
    x, weight, bias, _ = (array.astype(np.float64) for array in arrays)
    groups, padding = layer.groups, layer.padding
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    x = x.reshape(layer.n, groups, -1, *x.shape[2:])
    weight = weight.reshape(groups, layer.k // groups, -1, layer.r, layer.s)
    y = _by_fourier(layer, x, weight) if layer.r * layer.s >= LARGE else _directly(layer, x, weight)
    return y.reshape(layer.y_shape) + bias[:, None, None]


def transposed(layer: TransposedLayer, arrays: ConvArrays) -> NDArray[np.float64]:
    """The same of a transposed convolution: each pixel of the filter adds to one pixel of every stride-th."""
    x, weight, bias, _ = (array.astype(np.float64) for array in arrays)
    n, k, oh, ow = layer.y_shape
    stride, padding = layer.stride, layer.padding
    whole = np.zeros((n, k, oh + 2 * padding + layer.r, ow + 2 * padding + layer.s))
    for i in range(layer.r):
        for j in range(layer.s):
            added = weight[..., i, j].T @ x.reshape(n, layer.c, -1)
            whole[..., i:i + stride * layer.h:stride, j:j + stride * layer.w:stride] += added.reshape(
                n, k, layer.h, layer.w)
    return whole[..., padding:padding + oh, padding:padding + ow] + bias[:, None, None]


def _directly(layer: ConvLayer, x: Array, weight: Array) -> Array:
    """For each pixel of the filter one matrix product over the channels; N, groups, filters of a group, pixels."""
    n, k, oh, ow = layer.y_shape
    stride = layer.stride
    y = np.zeros((n, layer.groups, k // layer.groups, oh * ow))
    for i in range(layer.r):
        for j in range(layer.s):
            seen = x[..., i:i + stride * oh:stride, j:j + stride * ow:stride]
            y += weight[..., i, j] @ seen.reshape(*x.shape[:3], oh * ow)
    return y


def _by_fourier(layer: ConvLayer, x: Array, weight: Array) -> Array:
    """The product of the transforms, summed over the channels; what wraps around stands behind the last output."""
    size, (_, _, oh, ow) = x.shape[-2:], layer.y_shape
    product = np.einsum("ngchw,gkchw->ngkhw", np.fft.rfft2(x), np.fft.rfft2(weight, size).conj(), optimize=True)
    return np.fft.irfft2(product, size)[..., :layer.stride * oh:layer.stride, :layer.stride * ow:layer.stride]


def relative_error(y: Array, exact: NDArray[np.float64]) -> float:
    if y.shape != exact.shape:
        raise ValueError(f"a result of shape {y.shape} where {exact.shape} is right")
    return float(np.linalg.norm(y - exact) / np.linalg.norm(exact))
