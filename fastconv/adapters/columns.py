"""Patches of images as the columns and rows of matrices, as courses teach convolution.

fastconv's own convolutions make no such matrix; these are for what a course's code does with its matrices itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks

Array = NDArray[Any]


def patches(x: Array, size: tuple[int, int], stride: int, pad: int) -> Array:
    """Every window of the padded images, (N, C, OH, OW, R, S): a view, where there is no padding of x itself."""
    oh, ow = output_size(x.shape[2:], size, stride, pad)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) if pad else x
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    return windows[:, :, ::stride, ::stride][:, :, :oh, :ow]


def add_patches(windows: Array, size: tuple[int, int], stride: int, pad: int) -> Array:
    """The images (N, C, H, W) to which each of the windows (N, C, OH, OW, R, S) is added where `patches` took it."""
    n, c, oh, ow, r, s = windows.shape
    h, w = size
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), windows.dtype)
    for i in range(r):
        for j in range(s):
            padded[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride] += windows[..., i, j]
    return padded[:, :, pad:pad + h, pad:pad + w]


def output_size(size: tuple[int, ...], window: tuple[int, int], stride: int, pad: int) -> tuple[int, ...]:
    """How many windows there are in rows and columns; where there is not one, that is refused."""
    window = checks.integer(window[0], "filter height", 1), checks.integer(window[1], "filter width", 1)
    stride, pad = checks.integer(stride, "stride", 1), checks.integer(pad, "pad", 0)
    outputs = tuple((have + 2 * pad - take) // stride + 1 for have, take in zip(size, window))
    if min(outputs) < 1:
        raise ValueError(f"the filter must fit into the padded image: it has {window[0]} x {window[1]} pixels, the "
                         f"image {size[0]} x {size[1]} and pad={pad}")
    return outputs


def as_shape(columns: Array, name: str, expected: tuple[int, ...]) -> Array:
    """The columns, if they have the shape that the other arguments make them have."""
    columns = np.asarray(columns)
    if columns.shape != expected:
        raise ValueError(f"{name} must have shape {expected} by the other arguments, got {columns.shape}")
    return columns
