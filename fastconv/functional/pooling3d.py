"""Pooling of volumes (scans, videos), forward and backward."""

from __future__ import annotations

from typing import Any

from fastconv._core.pooling import volumes  # noqa: F401 (for pooling_calls: not while there is a fork)
from fastconv.functional import pooling_calls as calls
from fastconv.functional.typing import Array, ArrayLike, DataFormat3d, Padding3d, Triple

# ---------------------------------------------------------------------------------------------------------------------
# Windows that move over the volume


def max_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
               return_indices: bool = False, wide_padding: bool = False, out: Any = None) -> Any:
    """The maximum of each window.

    Parameters
    ----------
    x : array (N, C, D, H, W) or (C, D, H, W), float32 or float64
        A batch or one volume; with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C). Any strides.
    kernel_size : int or (int, int, int)
        Depths, rows and columns of a window.
    stride : int or (int, int, int), optional
        Step of the window; kernel_size by default.
    padding : int, (int, int, int), three pairs (before, after), "same" or "valid"
        Depths, rows and columns around the volume that hold nothing: at most half of the (dilated) kernel.
    dilation, ceil_mode, wide_padding
        As in `max_pool2d`.
    data_format : {"NCDHW", "NDHWC"}
        Order of the axes of x and of the results.
    return_indices : bool
        Return as well where each maximum was found.
    out : array, or (array, array) with ``return_indices=True``, optional
        Filled and returned, as those of NumPy's functions with two results: y, or (y, indices), either of which may be
        None.

    Returns
    -------
    y : array (N, C, OD, OH, OW) or (C, OD, OH, OW), or the same with the channels last
        Of the dtype of x, with
        ``OD = floor((D + before + after - dilation (kernel_size - 1) - 1) / stride) + 1``, and so on.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``: the position ``(depth * H + row) * W + column`` in the volume.
        Of equal maxima the first counts; a NaN counts as larger than anything, and the last one is taken.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape or option that is impossible; the message names it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> y, indices = fc.max_pool3d(np.arange(16.0).reshape(1, 2, 2, 4), 2, return_indices=True)
    >>> y, indices
    (array([[[[13., 15.]]]]), array([[[[13, 15]]]]))
    """
    return calls.max_pool(3, x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices,
                          wide_padding, out)


def max_pool3d_backward(grad_output: Any, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Triple, *,
                        stride: Triple | None = None, padding: Padding3d = 0, dilation: Triple = 1,
                        ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
                        out: Any = None) -> Array:
    """Gradient of `max_pool3d`: each number of grad_output goes to the voxel that was the maximum.

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
        Gradient with respect to x. Where windows overlap, a voxel gets the sum.

    Raises
    ------
    TypeError, ValueError
        As in the forward call, and indices outside the volume.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> y, indices = fc.max_pool3d(x, 2, return_indices=True)
    >>> fc.max_pool3d_backward(y, indices, x.shape, 2).ravel()
    array([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    return calls.max_pool_backward(3, grad_output, indices, input_shape, kernel_size, stride, padding, dilation,
                                   ceil_mode, data_format, wide_padding, out)


def avg_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Triple = 1, data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
               out: Any = None) -> Array:
    """The average of each window.

    Parameters
    ----------
    x : array (N, C, D, H, W) or (C, D, H, W), float32 or float64
        A batch or one volume; with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C). Any strides.
    kernel_size, stride, padding, ceil_mode, dilation, data_format, wide_padding
        As in `max_pool3d`.
    count_include_pad : bool
        Whether the zeros of the padding count. What a window of ceil_mode covers beyond it never counts.
    divisor_override : int, optional
        What the sum of each window is divided by, whatever it holds: 1 makes it the sum.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from x.

    Returns
    -------
    array (N, C, OD, OH, OW) or (C, OD, OH, OW), or the same with the channels last
        Of the dtype of x.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape or option that is impossible; the message names it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.avg_pool3d(np.arange(16.0).reshape(1, 2, 2, 4), 2)
    array([[[[6.5, 8.5]]]])
    """
    return calls.avg_pool(3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
                          data_format, wide_padding, out)


def avg_pool3d_backward(grad_output: Any, input_shape: tuple[int, ...], kernel_size: Triple, *,
                        stride: Triple | None = None, padding: Padding3d = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Triple = 1,
                        data_format: DataFormat3d = "NCDHW", wide_padding: bool = False, out: Any = None) -> Array:
    """Gradient of `avg_pool3d`: each number of grad_output is shared out evenly over its window.

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
    >>> fc.avg_pool3d_backward(np.array([[[[8.0]]]]), (1, 2, 2, 2), 2).ravel()
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    return calls.avg_pool_backward(3, grad_output, input_shape, kernel_size, stride, padding, ceil_mode,
                                   count_include_pad, divisor_override, dilation, data_format, wide_padding, out)


# ---------------------------------------------------------------------------------------------------------------------
# The size of the result given, in place of that of the windows


def adaptive_max_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        return_indices: bool = False, out: Any = None) -> Any:
    """The maximum of each of ``output_size`` windows of about equal size that cover the volume.

    Parameters
    ----------
    x, data_format, return_indices, out
        As in `max_pool3d`.
    output_size : int or (int, int, int)
        Depths, rows and columns of the result. Output i sees the depths from ``floor(i D / OD)`` to
        ``ceil((i + 1) D / OD)``, and so on.

    Returns
    -------
    y : array (N, C, OD, OH, OW) or (C, OD, OH, OW), or the same with the channels last
        Of the dtype of x.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``, as in `max_pool3d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_max_pool3d(np.arange(10.0).reshape(1, 2, 1, 5), (1, 1, 2))
    array([[[[7., 9.]]]])
    """
    return calls.adaptive_pool(3, x, output_size, data_format, False, return_indices, out)


def adaptive_max_pool3d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Triple, *, data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """Gradient of `adaptive_max_pool3d`: each number of grad_output goes to where the maximum was.

    Parameters
    ----------
    grad_output, indices, input_shape, out
        As in `max_pool3d_backward`.
    output_size, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[[1.0, 5.0, 2.0]]]])
    >>> y, indices = fc.adaptive_max_pool3d(x, (1, 1, 2), return_indices=True)
    >>> fc.adaptive_max_pool3d_backward(np.ones_like(y), indices, x.shape, (1, 1, 2))
    array([[[[0., 2., 0.]]]])
    """
    call, grad_output = calls.adaptive_gradient(3, grad_output, input_shape, output_size, data_format)
    return call.run_max(grad_output, indices, out)


def adaptive_avg_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        out: Any = None) -> Array:
    """The average of each of ``output_size`` windows of about equal size that cover the volume.

    Parameters
    ----------
    x, data_format, out
        As in `avg_pool3d`.
    output_size
        As in `adaptive_max_pool3d`.

    Returns
    -------
    array (N, C, OD, OH, OW) or (C, OD, OH, OW), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_avg_pool3d(np.arange(10.0).reshape(1, 2, 1, 5), (1, 1, 2))
    array([[[[3.5, 5.5]]]])
    """
    return calls.adaptive_pool(3, x, output_size, data_format, True, False, out)


def adaptive_avg_pool3d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Triple, *,
                                 data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """Gradient of `adaptive_avg_pool3d`: each number of grad_output is shared out evenly over its window.

    Parameters
    ----------
    grad_output, input_shape, out
        As in `avg_pool3d_backward`.
    output_size, data_format
        Those of the forward call.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.adaptive_avg_pool3d_backward(np.array([[[[4.0, 8.0]]]]), (1, 1, 1, 3), (1, 1, 2))
    array([[[[2., 6., 4.]]]])
    """
    call, grad_output = calls.adaptive_gradient(3, grad_output, input_shape, output_size, data_format)
    return call.run_average(grad_output, out)


# ---------------------------------------------------------------------------------------------------------------------
# The whole volume: adaptive pooling to one output


def global_max_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", return_indices: bool = False,
                      out: Any = None) -> Any:
    """The maximum of each channel of a volume.

    Parameters
    ----------
    x, data_format, return_indices, out
        As in `max_pool3d`.

    Returns
    -------
    y : array (N, C, 1, 1, 1) or (C, 1, 1, 1), or the same with the channels last
        Of the dtype of x.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """
    return calls.adaptive_pool(3, x, 1, data_format, False, return_indices, out)


def global_max_pool3d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """Gradient of `global_max_pool3d`.

    Parameters
    ----------
    grad_output, indices, input_shape, data_format, out
        As in `adaptive_max_pool3d_backward`.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> y, indices = fc.global_max_pool3d(np.arange(4.0).reshape(1, 2, 1, 2), return_indices=True)
    >>> fc.global_max_pool3d_backward(y, indices, (1, 2, 1, 2)).ravel()
    array([0., 0., 0., 3.])
    """
    return adaptive_max_pool3d_backward(grad_output, indices, input_shape, 1, data_format=data_format, out=out)


def global_avg_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """The average of each channel of a volume.

    Parameters
    ----------
    x, data_format, out
        As in `avg_pool3d`.

    Returns
    -------
    array (N, C, 1, 1, 1) or (C, 1, 1, 1), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[3.5]]]])
    """
    return calls.adaptive_pool(3, x, 1, data_format, True, False, out)


def global_avg_pool3d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """Gradient of `global_avg_pool3d`.

    Parameters
    ----------
    grad_output, input_shape, data_format, out
        As in `adaptive_avg_pool3d_backward`.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_avg_pool3d_backward(np.array([[[[8.0]]]]), (1, 2, 2, 2)).ravel()
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    return adaptive_avg_pool3d_backward(grad_output, input_shape, 1, data_format=data_format, out=out)
