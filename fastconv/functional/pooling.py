"""Pooling of images, forward and backward: maxima and averages over windows, or adaptive."""

from __future__ import annotations

from typing import Any

from fastconv.functional import pooling_calls as calls
from fastconv.functional.typing import Array, ArrayLike, DataFormat, Padding, Pair

_max_calls, _average_calls = calls.MAX_CALLS[2], calls.AVERAGE_CALLS[2]

# ---------------------------------------------------------------------------------------------------------------------
# Windows that move over the image


def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: bool = False,
               wide_padding: bool = False, out: Any = None) -> Any:
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
    wide_padding : bool
        Take padding of more than half of the kernel, as ONNX does. Without it that is refused, as in PyTorch: windows
        at the border would hold more padding than pixels, which is rarely meant. Each must hold a pixel even so.
    out : array, or (array, array) with ``return_indices=True``, optional
        Filled and returned, as those of NumPy's functions with two results: y, or (y, indices), either of which may be
        None. Each is writable, C-contiguous, of the shape and dtype of its result, and apart from x.

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
    call = _max_calls.find(x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices,
                           wide_padding)
    if call is not None:    # the short way, for small images
        return call.run(x, out)
    return calls.max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices,
                          wide_padding, out)


def max_pool2d_backward(grad_output: Any, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
                        data_format: DataFormat = "NCHW", wide_padding: bool = False, out: Any = None) -> Array:
    """Gradient of `max_pool2d`: each number of grad_output goes to the pixel that was the maximum.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    indices : int64 array
        The indices that the forward call returned.
    input_shape : tuple of int
        The shape of x.
    kernel_size, stride, padding, dilation, ceil_mode, data_format, wide_padding
        Those of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

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
    return calls.max_pool_backward(2, grad_output, indices, input_shape, kernel_size, stride, padding, dilation,
                                   ceil_mode, data_format, wide_padding, out)


def avg_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Pair = 1, data_format: DataFormat = "NCHW", wide_padding: bool = False,
               out: Any = None) -> Array:
    """The average of each window.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    kernel_size, stride, padding, ceil_mode, dilation, data_format, wide_padding
        As in `max_pool2d`. (PyTorch's averages have no dilation, those of ONNX have.)
    count_include_pad : bool
        Whether the zeros of the padding count as pixels. What a window of ceil_mode covers beyond it never counts.
    divisor_override : int, optional
        What the sum of each window is divided by, whatever it holds: 1 makes it the sum.
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

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
    >>> fc.avg_pool2d(x, 2)
    array([[[4.5, 4.5]]])
    """
    call = _average_calls.find(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
                               dilation, data_format, wide_padding)
    if call is not None:    # the short way, for small images
        return call.run(x, out)
    return calls.avg_pool(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
                          data_format, wide_padding, out)


def avg_pool2d_backward(grad_output: Any, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Pair = 1,
                        data_format: DataFormat = "NCHW", wide_padding: bool = False, out: Any = None) -> Array:
    """Gradient of `avg_pool2d`: each number of grad_output is shared out evenly over its window.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    input_shape : tuple of int
        The shape of x.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation, data_format, wide_padding
        Those of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

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
    return calls.avg_pool_backward(2, grad_output, input_shape, kernel_size, stride, padding, ceil_mode,
                                   count_include_pad, divisor_override, dilation, data_format, wide_padding, out)


# ---------------------------------------------------------------------------------------------------------------------
# The size of the result given, in place of that of the windows


def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: bool = False, out: Any = None) -> Any:
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
    out : array, or (array, array) with ``return_indices=True``, optional
        As in `max_pool2d`.

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
    return calls.adaptive_pool(2, x, output_size, data_format, False, return_indices, out)


def adaptive_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW", out: Any = None) -> Array:
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
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

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
    call, grad_output = calls.adaptive_gradient(2, grad_output, input_shape, output_size, data_format)
    return call.run_max(grad_output, indices, out)


def adaptive_avg_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        out: Any = None) -> Array:
    """The average of each of ``output_size`` windows of about equal size that cover the image.

    Parameters
    ----------
    x, output_size, data_format
        As in `adaptive_max_pool2d`.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from x.

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
    return calls.adaptive_pool(2, x, output_size, data_format, True, False, out)


def adaptive_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW", out: Any = None) -> Array:
    """Gradient of `adaptive_avg_pool2d`: each number of grad_output is shared out evenly over its window.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    input_shape : tuple of int
        The shape of x.
    output_size, data_format
        Those of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

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
    call, grad_output = calls.adaptive_gradient(2, grad_output, input_shape, output_size, data_format)
    return call.run_average(grad_output, out)
