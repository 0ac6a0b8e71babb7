"""How exact a convolution is: the relative error, in the Euclidean norm, against the direct sum in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import ConvLayer
from benchmarks.libraries.base import Array, ConvArrays

# What a result may be off and still count: for float32 what fastconv promises of its fast algorithms, for float64 rounding.
LIMITS = {"float32": 2e-5, "float64": 1e-12}


def convolve(layer: ConvLayer, arrays: ConvArrays) -> NDArray[np.float64]:
    """The feature maps in NCHW: for each pixel of the filter one matrix product over the channels, in float64."""
    x, weight, bias, _ = (array.astype(np.float64) for array in arrays)
    n, k, oh, ow = layer.y_shape
    groups, stride, padding = layer.groups, layer.stride, layer.padding
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    weight = weight.reshape(groups, k // groups, -1, layer.r, layer.s)
    y = np.tile(bias.reshape(groups, -1, 1), (n, 1, 1, oh * ow))
    for i in range(layer.r):
        for j in range(layer.s):
            seen = x[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride]
            y += weight[..., i, j] @ seen.reshape(n, groups, -1, oh * ow)
    return y.reshape(layer.y_shape)


def relative_error(y: Array, exact: NDArray[np.float64]) -> float:
    if y.shape != exact.shape:
        raise ValueError(f"a result of shape {y.shape} where {exact.shape} is right")
    return float(np.linalg.norm(y - exact) / np.linalg.norm(exact))
