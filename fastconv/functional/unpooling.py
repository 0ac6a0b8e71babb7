"""Max unpooling, forward and backward: each number goes back to where it was the maximum of its window."""

from __future__ import annotations

from typing import Any

from fastconv._core.pooling import positions
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.pooling_calls import (
    channels_first,
    check_positions,
    index_array,
    items,
    result_shape,
    volume_view,
)
from fastconv.functional.typing import Array, ArrayLike, DataFormat, DataFormat1d, DataFormat3d, Pair, Single, Triple

# ---------------------------------------------------------------------------------------------------------------------
# What all ranks share


def _unpool(rank, x, indices, kernel_size, stride, padding, output_size, data_format, out):
    x = checks.array(x, "x")
    view, batched = items(x, data_format, rank)
    indices = index_array(indices, x.shape, "x")
    size = _size(view.shape[2:], kernel_size, stride, padding, output_size, data_format, x.ndim)
    sizes = (*view.shape[:2], *size)
    checks.fits_memory(sizes, x.dtype)
    check_positions(indices, size)
    shape = result_shape(sizes, data_format, batched)
    checks.out(out, shape, x.dtype, x, indices)
    y = memory.empty(shape, x.dtype) if out is None else out
    positions.unpool(volume_view(x, data_format), volume_view(indices, data_format), volume_view(y, data_format),
                     data_format[1] != "C")
    return y


def _size(size, kernel_size, stride, padding, output_size, data_format, ndim):
    """The size of the result: that of an input that windows without a rest cover, or another one that gives as many."""
    axes = len(size)
    kernel_size = checks.per_axis(kernel_size, "kernel_size", axes)
    stride = kernel_size if stride is None else checks.per_axis(stride, "stride", axes)
    padding = checks.per_axis(padding, "padding", axes, 0)
    usual = [(n - 1) * step + taps - 2 * pad for n, step, taps, pad in zip(size, stride, kernel_size, padding)]
    if output_size is None:
        if min(usual) < 1:
            raise ValueError(f"padding must be less than half of what the windows cover, got {shown(padding)}: "
                             f"the result would have the size {tuple(usual)}")
        return tuple(usual)
    wanted = output_size
    if isinstance(wanted, (tuple, list)) and len(wanted) == ndim != axes:    # the whole shape of the input
        wanted = wanted[-axes:] if data_format[1] == "C" else wanted[-axes - 1:-1]
    wanted = checks.per_axis(wanted, "output_size", axes)
    for n, least, step in zip(wanted, usual, stride):
        if not least - step < n < least + step:
            raise ValueError(f"output_size must be within a stride of {tuple(usual)}, the size that the windows cover, "
                             f"got {shown(output_size)}")
    return wanted


def _unpool_backward(rank, grad_output, indices, data_format, out):
    grad_output = checks.array(grad_output, "grad_output")
    view, _ = items(grad_output, data_format, rank, "grad_output")
    indices = index_array(indices)
    given = channels_first(indices, data_format) if indices.ndim == grad_output.ndim else indices
    if given.ndim != view.ndim or given.shape[:2] != view.shape[:2] or 0 in given.shape[2:]:
        raise ValueError(f"indices must have the batch and the channels of grad_output, {grad_output.shape} in "
                         f"{data_format}, got shape {indices.shape}")
    check_positions(indices, view.shape[2:])
    checks.out(out, indices.shape, grad_output.dtype, grad_output, indices)
    grad_x = memory.empty(indices.shape, grad_output.dtype) if out is None else out
    positions.unpool_backward(volume_view(grad_output, data_format), volume_view(indices, data_format),
                              volume_view(grad_x, data_format), data_format[1] != "C")
    return grad_x


# ---------------------------------------------------------------------------------------------------------------------
# The operations


def max_unpool1d(x: ArrayLike, indices: ArrayLike, kernel_size: Single, *, stride: Single | None = None,
                 padding: Single = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat1d = "NCL", out: Any = None) -> Array:
    """The numbers of x where the maxima of `max_pool1d` were, and zeros elsewhere; see `max_unpool2d`.

    Parameters
    ----------
    x : array (N, C, OL) or (C, OL), float32 or float64; with ``data_format="NLC"`` (N, OL, C) or (OL, C)
    indices : int64 array of the shape of x
        Positions in the row, as `max_pool1d` returns them.
    kernel_size, stride, padding, output_size, out
        As in `max_unpool2d`.

    Returns
    -------
    array (N, C, L) or (C, L), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.max_unpool1d(np.array([[4.0, 3.0]]), np.array([[1, 2]]), 2)
    array([[0., 4., 3., 0.]])
    """
    return _unpool(1, x, indices, kernel_size, stride, padding, output_size, data_format, out)


def max_unpool1d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat1d = "NCL",
                          out: Any = None) -> Array:
    """Gradient of `max_unpool1d`; see `max_unpool2d_backward`.

    Parameters
    ----------
    grad_output, indices, data_format, out
        As in `max_unpool2d_backward`.

    Returns
    -------
    array of the shape of indices
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.max_unpool1d_backward(np.array([[5.0, 6.0, 7.0, 8.0]]), np.array([[1, 2]]))
    array([[6., 7.]])
    """
    return _unpool_backward(1, grad_output, indices, data_format, out)


def max_unpool2d(x: ArrayLike, indices: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0,
                 output_size: int | tuple[int, ...] | None = None, data_format: DataFormat = "NCHW",
                 out: Any = None) -> Array:
    """The numbers of x where the maxima of `max_pool2d` were, and zeros elsewhere.

    Parameters
    ----------
    x : array (N, C, OH, OW) or (C, OH, OW), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, OH, OW, C) or (OH, OW, C). Any strides.
    indices : int64 array of the shape of x
        Positions in the plane, as `max_pool2d` returns them. All are checked before anything is written; where two are
        equal, the later one's number stays.
    kernel_size, stride, padding : int or (int, int)
        Those of the pooling, from which the size of the result follows: ``H = (OH - 1) stride + kernel_size - 2
        padding``.
    output_size : int or tuple of int, optional
        Another size that the pooled images had, (H, W) or their whole shape, less than a stride from that one.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the result.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

    Returns
    -------
    array (N, C, H, W) or (C, H, W), or the same with the channels last
        Of the dtype of x.

    Raises
    ------
    TypeError, ValueError
        A dtype, shape, option or index that is impossible; the message names it.

    Notes
    -----
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", 2014.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
    >>> y, indices = fc.max_pool2d(x, 2, return_indices=True)
    >>> fc.max_unpool2d(y, indices, 2)
    array([[[0., 0., 0., 0.],
            [8., 0., 6., 0.]]])
    """
    return _unpool(2, x, indices, kernel_size, stride, padding, output_size, data_format, out)


def max_unpool2d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat = "NCHW",
                          out: Any = None) -> Array:
    """Gradient of `max_unpool2d`: the numbers of grad_output where those of x went.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    indices : int64 array
        Those of the forward call.
    data_format
        That of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

    Returns
    -------
    array of the shape of indices
        Gradient with respect to x.

    Raises
    ------
    TypeError, ValueError
        As in the forward call.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.max_unpool2d_backward(np.arange(8.0).reshape(1, 2, 4), np.array([[[4, 6]]]))
    array([[[4., 6.]]])
    """
    return _unpool_backward(2, grad_output, indices, data_format, out)


def max_unpool3d(x: ArrayLike, indices: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None,
                 padding: Triple = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat3d = "NCDHW", out: Any = None) -> Array:
    """The numbers of x where the maxima of `max_pool3d` were, and zeros elsewhere; see `max_unpool2d`.

    Parameters
    ----------
    x : array (N, C, OD, OH, OW) or (C, OD, OH, OW), float32 or float64; with ``data_format="NDHWC"`` the channels last
    indices : int64 array of the shape of x
        Positions in the volume, as `max_pool3d` returns them.
    kernel_size, stride, padding, output_size, out
        As in `max_unpool2d`.

    Returns
    -------
    array (N, C, D, H, W) or (C, D, H, W), or the same with the channels last
        Of the dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.max_unpool3d(np.array([[[[7.0]]]]), np.array([[[[5]]]]), 2).ravel()
    array([0., 0., 0., 0., 0., 7., 0., 0.])
    """
    return _unpool(3, x, indices, kernel_size, stride, padding, output_size, data_format, out)


def max_unpool3d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat3d = "NCDHW",
                          out: Any = None) -> Array:
    """Gradient of `max_unpool3d`; see `max_unpool2d_backward`.

    Parameters
    ----------
    grad_output, indices, data_format, out
        As in `max_unpool2d_backward`.

    Returns
    -------
    array of the shape of indices
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.max_unpool3d_backward(np.arange(8.0).reshape(1, 2, 2, 2), np.array([[[[5]]]]))
    array([[[[5.]]]])
    """
    return _unpool_backward(3, grad_output, indices, data_format, out)
