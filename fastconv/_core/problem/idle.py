"""What the idle taps of a convolution, those that meet nothing but constant padding,
add to each output and to the gradients.

To each output of a filter they add the padding's value times the sum of their weights, and their own gradient
is that value times the sum of grad_output. Padding with zeros makes zeros of both, but for what is not finite:
zero times infinity is no number.
"""

import math

import numpy as np

from fastconv._core.pointwise.bias_gradient import bias_gradient


def share(w, kept, value):
    """What idle taps add to the outputs of each filter, or None where that is nothing;
    kept: the rows and columns of the others."""
    if value == 0 and w.flags.c_contiguous and math.isfinite(total(w)):
        return None
    rows, columns = kept
    idle = [w[:, :, :rows.start], w[:, :, rows.stop:], w[:, :, rows, :columns.start], w[:, :, rows, columns.stop:]]
    if value == 0:
        finite = np.logical_and.reduce([np.isfinite(part).all(axis=(1, 2, 3)) for part in idle])
        return None if finite.all() else np.where(finite, 0, math.nan).astype(w.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        return (value * sum(part.sum(axis=(1, 2, 3), dtype=np.float64) for part in idle)).astype(w.dtype)


def gradient(grad_output, value):
    """The gradient of each weight of a filter's idle taps: a number for each filter."""
    sums = np.empty(grad_output.shape[1], grad_output.dtype)
    bias_gradient(grad_output, sums)
    if np.isfinite(sums).all():
        return value * sums
    with np.errstate(invalid="ignore", over="ignore"):
        if value == 0:
            return np.where(np.isfinite(grad_output).all(axis=(0, 2, 3)), 0, math.nan).astype(sums.dtype)
        return (value * grad_output.sum(axis=(0, 2, 3), dtype=np.float64)).astype(sums.dtype)


def total(w):
    """The sum of all weights, which are contiguous: it is not finite where one of them is not, and may overflow."""
    result = np.empty(1, w.dtype)
    bias_gradient(w.reshape(1, 1, 1, w.size), result)
    return result[0]
