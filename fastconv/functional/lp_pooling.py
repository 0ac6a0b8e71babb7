"""Pooling by power sums, forward and backward: the p-norm of each window, between its sum (p = 1) and its maximum.

The powers are made a block of the input at a time, and averaged by the loops of average pooling: a window of ceil_mode
that reaches beyond the input is made up for as in PyTorch, by what it would hold.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.pooling_calls import (
    as_images,
    channels_first,
    check_norm,
    core_loops,
    items,
    result_shape,
    sliding,
    sliding_options,
)
from fastconv.functional.typing import Array, ArrayLike, DataFormat, DataFormat1d, DataFormat3d, Pair, Single, Triple

_BLOCK = 1 << 18  # powers that there are at a time

# ---------------------------------------------------------------------------------------------------------------------
# What all ranks share


def _lp_pool(rank, x, norm_type, kernel_size, stride, ceil_mode, data_format, out):
    x = checks.array(x, "x")
    view, batched = items(x, data_format, rank)
    p = check_norm(norm_type)
    taps, step, _, _, outputs = sliding_options(view.shape[2:], kernel_size, stride, 0, 1, ceil_mode, False)
    sizes = (*view.shape[:2], *outputs)
    checks.fits_memory(sizes, x.dtype)
    shape = result_shape(sizes, data_format, batched)
    checks.out(out, shape, x.dtype, x)
    y = memory.empty(shape, x.dtype) if out is None else out
    results = channels_first(y, data_format)
    with np.errstate(all="ignore"):
        for source, target in _blocks(view, outputs, taps, step):
            _norms(view[source], results[target], p, taps, step, ceil_mode)
    return y


def _blocks(view, outputs, taps, step):
    """(slices of the input, slices of the result) that cover both, few enough elements of the input at a time."""
    waiting = [tuple((0, n) for n in (*view.shape[:2], *outputs))] if len(view) else []
    while waiting:
        block = waiting.pop()
        source = block[:2] + tuple((first * s, min((until - 1) * s + k, size)) for (first, until), k, s, size in
                                   zip(block[2:], taps, step, view.shape[2:]))
        axis = next((axis for axis, (first, until) in enumerate(block) if until - first > 1), None)
        if axis is None or math.prod(until - first for first, until in source) <= _BLOCK:
            yield tuple(slice(*ends) for ends in source), tuple(slice(*ends) for ends in block)
            continue
        first, until = block[axis]
        for half in (((first + until) // 2, until), (first, (first + until) // 2)):
            waiting.append(block[:axis] + (half,) + block[axis + 1:])


def _norms(x, y, p, taps, step, ceil_mode):
    """Fills a block of y, (N, C, ...) views."""
    whole = math.prod(taps)
    if x.size > _BLOCK:  # one window, of one channel
        total = 0.0
        for run in np.nditer(x, flags=["external_loop", "buffered"], buffersize=_BLOCK):
            total += float((run**p).sum(dtype=np.float64))
        y[...] = np.float64(total / x.size * whole) ** (1 / p)
        return
    windows = sliding(x.shape[2:], taps, step, 0, 1, ceil_mode, False)
    core_loops(len(taps)).pool(as_images(x**p), windows, True, as_images(y), None)
    y *= whole
    y **= 1 / p


def _lp_pool_backward(rank, grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out):
    grad_output, x, y = checks.array(grad_output, "grad_output"), checks.array(x, "x"), checks.array(y, "y")
    checks.same_dtype(x=x, y=y, grad_output=grad_output)
    view, batched = items(x, data_format, rank)
    p = check_norm(norm_type)
    taps, _, _, _, outputs = sliding_options(view.shape[2:], kernel_size, stride, 0, 1, ceil_mode, False)
    shape = result_shape((*view.shape[:2], *outputs), data_format, batched)
    checks.shape(y, "y", shape, "(that of the result)")
    checks.shape(grad_output, "grad_output", shape, "(that of the result)")
    checks.out(out, x.shape, x.dtype, x, y, grad_output)
    windows = sliding(view.shape[2:], kernel_size, stride, 0, 1, ceil_mode, False)
    grad_x = memory.empty(x.shape, x.dtype) if out is None else out
    received, norms, result = (channels_first(a, data_format) for a in (grad_output, y, grad_x))
    last = data_format[1] != "C"
    channels = view.shape[1] if last else max(1, _BLOCK // math.prod(outputs))
    with np.errstate(all="ignore"):
        for n in range(view.shape[0]):
            for c in range(0, view.shape[1], channels):
                block = slice(n, n + 1), slice(c, c + channels)
                # The derivative of a norm of 0, which is none, is taken as 0, as PyTorch has it.
                share = np.where(norms[block] == 0, 0, received[block] * norms[block] ** (1 - p) * math.prod(taps))
                core_loops(rank).average_backward(as_images(share), as_images(result[block]),
                                                  windows, last)
                _multiply_by_powers(result[block], view[block], p - 1)
    return grad_x


def _multiply_by_powers(grad_x, x, power):
    """Some rows (or depths) at a time."""
    rows = max(1, _BLOCK * x.shape[2] // x.size)
    for i in range(0, x.shape[2], rows):
        grad_x[:, :, i:i + rows] *= x[:, :, i:i + rows] ** power


# ---------------------------------------------------------------------------------------------------------------------
# The operations

def lp_pool1d(x: ArrayLike, norm_type: float, kernel_size: Single, *, stride: Single | None = None,
              ceil_mode: bool = False, data_format: DataFormat1d = "NCL", out: Any = None) -> Array:
    """The p-norm of each window: ``(sum x^p)^(1/p)``; see `lp_pool2d`.

    Parameters
    ----------
    x : array (N, C, L) or (C, L), float32 or float64; with ``data_format="NLC"`` the channels last
    norm_type, kernel_size, stride, ceil_mode, out
        As in `lp_pool2d`.
    data_format : {"NCL", "NLC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, C, OL) or (C, OL), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.lp_pool1d(np.array([[3.0, 4.0, 5.0, 12.0]]), 2, 2)
    array([[ 5., 13.]])
    """
    return _lp_pool(1, x, norm_type, kernel_size, stride, ceil_mode, data_format, out)


def lp_pool1d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Single, *,
                       stride: Single | None = None, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
                       out: Any = None) -> Array:
    """Gradient of `lp_pool1d`; see `lp_pool2d_backward`.

    Parameters
    ----------
    grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out
        As in `lp_pool2d_backward`.

    Returns
    -------
    array of the shape of x
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.lp_pool1d_backward(np.array([[10.0]]), np.array([[3.0, 4.0]]), np.array([[5.0]]), 2, 2)
    array([[6., 8.]])
    """
    return _lp_pool_backward(1, grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out)


def lp_pool2d(x: ArrayLike, norm_type: float, kernel_size: Pair, *, stride: Pair | None = None, ceil_mode: bool = False,
              data_format: DataFormat = "NCHW", out: Any = None) -> Array:
    """The p-norm of each window: ``(sum x^p)^(1/p)``.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    norm_type : float
        The power p, above 0: 1 gives the sum, 2 the Euclidean norm, larger ones what comes nearer to the maximum. Of
        negative numbers a power that is no whole number is NaN, as in PyTorch; so is an odd root of a negative sum.
    kernel_size : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int), optional
        Step of the window; kernel_size by default.
    ceil_mode : bool
        Round the output size up. A window that reaches beyond the image gives what it would if it were as full of what
        it holds.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the result.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from x.

    Returns
    -------
    array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape or option that is impossible; the message names it.

    Notes
    -----
    P. Sermanet, S. Chintala and Y. LeCun, "Convolutional neural networks applied to house numbers digit
    classification", 2012.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.lp_pool2d(np.array([[[1.0, 3.0], [5.0, 1.0]]]), 2, 2)
    array([[[6.]]])
    """
    return _lp_pool(2, x, norm_type, kernel_size, stride, ceil_mode, data_format, out)


def lp_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Pair, *,
                       stride: Pair | None = None, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
                       out: Any = None) -> Array:
    """Gradient of `lp_pool2d`: ``grad_output y^(1 - p) x^(p - 1)``, of all windows of a pixel; 0 where y is 0.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    x, y : array
        The input and the result of the forward call.
    norm_type, kernel_size, stride, ceil_mode, data_format
        Those of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

    Returns
    -------
    array of the shape of x
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.lp_pool2d_backward(np.array([[[10.0]]]), np.array([[[3.0, 4.0]]]), np.array([[[5.0]]]), 2, (1, 2))
    array([[[6., 8.]]])
    """
    return _lp_pool_backward(2, grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out)


def lp_pool3d(x: ArrayLike, norm_type: float, kernel_size: Triple, *, stride: Triple | None = None,
              ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """The p-norm of each window: ``(sum x^p)^(1/p)``; see `lp_pool2d`.

    Parameters
    ----------
    x : array (N, C, D, H, W) or (C, D, H, W), float32 or float64; with ``data_format="NDHWC"`` the channels last
    norm_type, kernel_size, stride, ceil_mode, out
        As in `lp_pool2d`.
    data_format : {"NCDHW", "NDHWC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, C, OD, OH, OW) or (C, OD, OH, OW), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.lp_pool3d(np.full((1, 2, 2, 1), 3.0), 2, (2, 2, 1))
    array([[[[6.]]]])
    """
    return _lp_pool(3, x, norm_type, kernel_size, stride, ceil_mode, data_format, out)


def lp_pool3d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Triple, *,
                       stride: Triple | None = None, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
                       out: Any = None) -> Array:
    """Gradient of `lp_pool3d`; see `lp_pool2d_backward`.

    Parameters
    ----------
    grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out
        As in `lp_pool2d_backward`.

    Returns
    -------
    array of the shape of x
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, y = np.array([[[[3.0, 4.0]]]]), np.array([[[[5.0]]]])
    >>> fc.lp_pool3d_backward(2 * y, x, y, 2, (1, 1, 2))
    array([[[[6., 8.]]]])
    """
    return _lp_pool_backward(3, grad_output, x, y, norm_type, kernel_size, stride, ceil_mode, data_format, out)
