"""Pooling in two dimensions, forward and backward: maxima and averages over windows, or adaptive.

A call is: check the arguments, describe the windows, run the loops of the compiled core. As in
convolution an image is an (N, C, H, W) view with any strides below this file.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastconv._core.pooling import average_backward, forward as pool, max_backward
from fastconv._core.pooling.windows import adaptive_windows, sliding_windows
from fastconv._core.runtime import memory
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks
from fastconv.functional.typing import Array, ArrayLike, DataFormat, Padding, Pair

# ---------------------------------------------------------------------------------------------------------------------
# What all poolings share


# What the checks of whole calls found, for the next call like it.
_max_calls, _average_calls, _max_gradients, _average_gradients = (Memo(arrays=1) for _ in range(4))


def _sliding(size, kernel_size, stride, padding, dilation, ceil_mode, count_include_pad):
    options = size, kernel_size, stride, padding, dilation, ceil_mode, count_include_pad
    if (type(kernel_size) is type(padding) is type(dilation) is int and (stride is None or type(stride) is int)
            and type(ceil_mode) is bool):
        return _sliding_by_plain_options(*options)
    return _checked_sliding(*options)


def _checked_sliding(size, kernel_size, stride, padding, dilation, ceil_mode, count_include_pad):
    kernel_size, stride, pads, dilation, outputs = checks.pooling_window(size, kernel_size, stride, padding,
                                                                         dilation, ceil_mode)
    return sliding_windows(size, kernel_size, stride, pads, dilation, outputs, count_include_pad)


# Checked once. Only for options whose types are sure: True would find what 1 has left in the cache.
_sliding_by_plain_options = functools.lru_cache(maxsize=256)(_checked_sliding)


def _adaptive(size, output_size):
    return (_adaptive_by_plain_size if type(output_size) is int else _checked_adaptive)(size, output_size)


def _checked_adaptive(size, output_size):
    return adaptive_windows(size, checks.pair(output_size, "output_size"))


_adaptive_by_plain_size = functools.lru_cache(maxsize=256)(_checked_adaptive)    # as above


def _fit(view, windows, with_indices=False):
    """The results can be addressed at all."""
    shape = (*view.shape[:2], *windows.output_size)
    checks.fits_memory(shape, view.dtype)
    if with_indices:
        checks.fits_memory(shape, np.dtype(np.int64), "the indices")


def _formatted(view, data_format, batched):
    """A new array, as an (N, C, rows, columns) view, in the form that the caller asked for:
    C-contiguous, and no view."""
    result = view if data_format == "NCHW" else view.transpose(0, 2, 3, 1)
    return memory.as_result(result if batched else result[0])


def _pool(x, windows, data_format, batched, average, with_indices=False):
    if batched and data_format == "NCHW":
        y, indices = pool.pool(x, windows, average, with_indices)
        y = memory.as_result(y)
    else:
        y, indices = pool.pool(checks.nchw(x, data_format), windows, average, with_indices)
        y = _formatted(y, data_format, batched)
    return (y, _formatted(indices, data_format, batched)) if with_indices else y


def _gradient_view(grad_output, windows, shape, batched, data_format):
    """grad_output, checked, as an (N, C, OH, OW) view; shape is the (N, C, H, W) of the input."""
    expected = checks.result_shape((*shape[:2], *windows.output_size), data_format, batched)
    checks.shape(grad_output, "grad_output", expected, "(that of the result)")
    return checks.nchw(grad_output, data_format)


def _index_view(indices, grad_output, data_format):
    if not isinstance(indices, np.ndarray) or indices.dtype != np.int64:
        raise TypeError(f"indices must be the int64 array that the forward call returned, "
                        f"got {getattr(indices, 'dtype', type(indices).__name__)}")
    checks.shape(indices, "indices", grad_output.shape, "(that of grad_output)")
    if not indices.dtype.isnative or not indices.flags.aligned:
        indices = indices.astype(np.int64)
    return checks.nchw(indices, data_format)


def _max_gradient(grad_output, indices, shape, windows, data_format, batched):
    view = _gradient_view(grad_output, windows, shape, batched, data_format)
    indices = _index_view(indices, grad_output, data_format)
    grad_x = max_backward.max_backward(view, indices, shape, windows, data_format == "NHWC")
    if grad_x is None:
        raise ValueError(f"indices must be positions in a plane of {shape[2]} x {shape[3]} pixels, from 0 to "
                         f"{shape[2] * shape[3] - 1}, got {indices.min()} to {indices.max()}")
    return _formatted(grad_x, data_format, batched)


def _average_gradient(grad_output, shape, windows, data_format, batched):
    view = _gradient_view(grad_output, windows, shape, batched, data_format)
    return _formatted(average_backward.average_backward(view, shape, windows, data_format == "NHWC"),
                      data_format, batched)


def _input_shape(input_shape, data_format, dtype):
    """As checks.image_shape, of a grad_x that can be addressed at all."""
    shape, batched = checks.image_shape(input_shape, data_format, "input_shape")
    checks.fits_memory(shape, dtype, "grad_x")
    return shape, batched


# ---------------------------------------------------------------------------------------------------------------------
# Windows that move over the image


def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: bool = False) -> Any:
    """The maximum of each window.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    kernel_size : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int), optional
        Step of the window; kernel_size by default.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns around the image that hold nothing: at most half of the (dilated) kernel.
    dilation : int or (int, int)
        Distance between neighbouring taps of a window.
    ceil_mode : bool
        Round the output size up: the last window may reach beyond the padding, but starts in the image or the padding
        before it. So a kernel may be larger than the padded image, by less than a stride.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the results.
    return_indices : bool
        Return as well where each maximum was found.

    Returns
    -------
    y : array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x, with ``OH = floor((H + top + bottom - dilation (kernel_size - 1) - 1) / stride) + 1``.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``: the position ``row * W + column`` in the image's plane.
        Of equal maxima the first counts; a NaN counts as larger than anything, and the last one is taken.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape or option that is impossible; the message names it.

    Notes
    -----
    K. Yamaguchi et al., "A neural network for speaker-independent isolated word recognition", 1990.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
    >>> y, indices = fc.max_pool2d(x, 2, return_indices=True)
    >>> y, indices
    (array([[[8., 6.]]]), array([[[4, 6]]]))
    """
    found = _max_calls.find(x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices)
    if found is None:
        x = checks.array(x, "x")
        view, batched = checks.images(x, data_format)
        with_indices = checks.flag(return_indices, "return_indices")
        windows = _sliding(view.shape[2:], kernel_size, stride, padding, dilation, ceil_mode, True)
        _fit(view, windows, with_indices)
        found = windows, batched, with_indices
        _max_calls.keep(found, x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices)
    windows, batched, with_indices = found
    return _pool(x, windows, data_format, batched, False, with_indices)


def max_pool2d_backward(grad_output: Any, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
                        data_format: DataFormat = "NCHW") -> Array:
    """Gradient of `max_pool2d`: each number of grad_output goes to the pixel that was the maximum.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    indices : int64 array
        The indices that the forward call returned.
    input_shape : tuple of int
        The shape of x.
    kernel_size, stride, padding, dilation, ceil_mode, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x. Where windows overlap, a pixel gets the sum.

    Raises
    ------
    TypeError, ValueError
        As in the forward call, and indices outside the plane.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
    >>> y, indices = fc.max_pool2d(x, 2, return_indices=True)
    >>> fc.max_pool2d_backward(np.ones_like(y), indices, x.shape, 2)
    array([[[0., 0., 0., 0.],
            [1., 0., 1., 0.]]])
    """
    found = _max_gradients.find(grad_output, input_shape, kernel_size, stride, padding, dilation,
                                ceil_mode, data_format)
    if found is None:
        grad_output = checks.array(grad_output, "grad_output")
        shape, batched = _input_shape(input_shape, data_format, grad_output.dtype)
        found = shape, batched, _sliding(shape[2:], kernel_size, stride, padding, dilation, ceil_mode, True)
        _max_gradients.keep(found, grad_output, input_shape, kernel_size, stride, padding, dilation,
                            ceil_mode, data_format)
    shape, batched, windows = found
    return _max_gradient(grad_output, indices, shape, windows, data_format, batched)


def avg_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> Array:
    """The average of each window.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    kernel_size, stride, padding, ceil_mode, data_format
        As in `max_pool2d`.
    count_include_pad : bool
        Whether the zeros of the padding count as pixels. What a window of ceil_mode covers beyond it never counts.

    Returns
    -------
    array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape or option that is impossible; the message names it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
    >>> fc.avg_pool2d(x, 2)
    array([[[4.5, 4.5]]])
    """
    found = _average_calls.find(x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format)
    if found is None:
        x = checks.array(x, "x")
        view, batched = checks.images(x, data_format)
        counted = checks.flag(count_include_pad, "count_include_pad")
        windows = _sliding(view.shape[2:], kernel_size, stride, padding, 1, ceil_mode, counted)
        _fit(view, windows)
        found = windows, batched
        _average_calls.keep(found, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format)
    windows, batched = found
    return _pool(x, windows, data_format, batched, True)


def avg_pool2d_backward(grad_output: Any, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> Array:
    """Gradient of `avg_pool2d`: each number of grad_output is shared out evenly over its window.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    input_shape : tuple of int
        The shape of x.
    kernel_size, stride, padding, ceil_mode, count_include_pad, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.avg_pool2d_backward(np.array([[[4.0, 8.0]]]), (1, 2, 4), 2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]])
    """
    found = _average_gradients.find(grad_output, input_shape, kernel_size, stride, padding, ceil_mode,
                                    count_include_pad, data_format)
    if found is None:
        grad_output = checks.array(grad_output, "grad_output")
        shape, batched = _input_shape(input_shape, data_format, grad_output.dtype)
        counted = checks.flag(count_include_pad, "count_include_pad")
        found = shape, batched, _sliding(shape[2:], kernel_size, stride, padding, 1, ceil_mode, counted)
        _average_gradients.keep(found, grad_output, input_shape, kernel_size, stride, padding, ceil_mode,
                                count_include_pad, data_format)
    shape, batched, windows = found
    return _average_gradient(grad_output, shape, windows, data_format, batched)


# ---------------------------------------------------------------------------------------------------------------------
# The size of the result given, in place of that of the windows


def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: bool = False) -> Any:
    """The maximum of each of ``output_size`` windows of about equal size that cover the image.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    output_size : int or (int, int)
        Rows and columns of the result. Output i sees the rows from ``floor(i H / OH)`` to ``ceil((i + 1) H / OH)``.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the results.
    return_indices : bool
        Return as well where each maximum was found, as in `max_pool2d`.

    Returns
    -------
    y : array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_max_pool2d(np.arange(15.0).reshape(1, 3, 5), (1, 2))
    array([[[12., 14.]]])
    """
    x = checks.array(x, "x")
    view, batched = checks.images(x, data_format)
    with_indices = checks.flag(return_indices, "return_indices")
    windows = _adaptive(view.shape[2:], output_size)
    _fit(view, windows, with_indices)
    return _pool(x, windows, data_format, batched, False, with_indices)


def adaptive_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW") -> Array:
    """Gradient of `adaptive_max_pool2d`: each number of grad_output goes to the pixel that was the maximum.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    indices : int64 array
        The indices that the forward call returned.
    input_shape : tuple of int
        The shape of x.
    output_size, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 5.0, 2.0]]])
    >>> y, indices = fc.adaptive_max_pool2d(x, (1, 2), return_indices=True)
    >>> fc.adaptive_max_pool2d_backward(np.ones_like(y), indices, x.shape, (1, 2))
    array([[[0., 2., 0.]]])
    """
    grad_output = checks.array(grad_output, "grad_output")
    shape, batched = _input_shape(input_shape, data_format, grad_output.dtype)
    return _max_gradient(grad_output, indices, shape, _adaptive(shape[2:], output_size), data_format, batched)


def adaptive_avg_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW") -> Array:
    """The average of each of ``output_size`` windows of about equal size that cover the image.

    Parameters
    ----------
    x, output_size, data_format
        As in `adaptive_max_pool2d`.

    Returns
    -------
    array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_avg_pool2d(np.arange(15.0).reshape(1, 3, 5), (1, 2))
    array([[[6., 8.]]])
    """
    x = checks.array(x, "x")
    view, batched = checks.images(x, data_format)
    windows = _adaptive(view.shape[2:], output_size)
    _fit(view, windows)
    return _pool(x, windows, data_format, batched, True)


def adaptive_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW") -> Array:
    """Gradient of `adaptive_avg_pool2d`: each number of grad_output is shared out evenly over its window.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    input_shape : tuple of int
        The shape of x.
    output_size, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_avg_pool2d_backward(np.array([[[4.0, 8.0]]]), (1, 1, 3), (1, 2))
    array([[[2., 6., 4.]]])
    """
    grad_output = checks.array(grad_output, "grad_output")
    shape, batched = _input_shape(input_shape, data_format, grad_output.dtype)
    return _average_gradient(grad_output, shape, _adaptive(shape[2:], output_size), data_format, batched)
