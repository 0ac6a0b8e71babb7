"""Group and layer normalisation, forward and backward: of each image, or of the last axes, by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.norm import groups, rows
from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.maps import MapsFormat, affine_of, maps_view, small
from fastconv.functional.results import gradients
from fastconv.functional.typing import Array, ArrayLike, Gradients, Needs, Outs

#: Of statistics that are kept, and of rows that are copied together, where they are not evenly spaced.
BLOCK_BYTES = 1 << 20

# ---------------------------------------------------------------------------------------------------------------------
# Groups of channels


def _cut(num_groups: Any, channels: int) -> int:
    number: int = checks.integer(num_groups, "num_groups", 1)
    if channels % number:
        raise ValueError(f"num_groups must divide the channels of x, got {number} for {channels} channels")
    return number


def group_norm(x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, *,
               eps: float = 1e-5, data_format: MapsFormat | None = None, out: Array | None = None) -> Array:
    """Group normalisation: as `batch_norm` in training, but of each image by itself, some channels together.

    Parameters
    ----------
    x : array (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), float32 or float64
        Or with the channels last: see data_format. Any strides.
    num_groups : int
        Into so many groups of neighbours the channels are cut; must divide them. 1 is layer normalisation over all of
        an image, C instance normalisation.
    weight, bias : array (C,), optional
        By default 1 and 0.
    eps : float
        Added to the variance.
    data_format : {None, "NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"}
        Order of the axes of x and of the result; None: the channels are second.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the shape and dtype of x, and apart from the inputs.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        Wrong dtypes or shapes, or groups that do not divide the channels.

    Notes
    -----
    Y. Wu and K. He, "Group normalization", 2018. For the sums see `batch_norm`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.group_norm(np.array([[1.0, 3.0, 10.0, 10.0]]), 2).round(3)
    array([[-1.,  1.,  0.,  0.]])
    """
    x = checks.array(x, "x")
    view = maps_view(x, data_format)
    number = _cut(num_groups, view.shape[1])
    affine = affine_of(x, weight, bias, view.shape[1], eps)
    checks.out(out, x.shape, x.dtype, x, affine.weight, affine.bias)
    y = memory.empty(x.shape, x.dtype) if out is None else out
    for some in _images(view, number):
        statistics = np.empty((len(view[some]), number)), np.empty((len(view[some]), number))
        groups.forward(view[some], maps_view(y, data_format)[some], statistics, True, affine)
    return y


def group_norm_backward(grad_output: ArrayLike, x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, *,
                        eps: float = 1e-5, data_format: MapsFormat | None = None,
                        needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `group_norm` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    x, num_groups, weight, eps, data_format
        The arguments of the forward call.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of x, (C,) and (C,); None where not needed.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> fc.group_norm_backward(np.array([[1.0, 0.0, 0.0]]), x, 1)[0].round(3)
    array([[ 0.229, -0.344,  0.115]])
    """
    wanted = checks.needs(needs)
    grad_output, x = checks.array(grad_output, "grad_output"), checks.array(x, "x")
    checks.same_dtype(x=x, grad_output=grad_output)
    view = maps_view(x, data_format)
    channels = view.shape[1]
    number = _cut(num_groups, channels)
    affine = affine_of(x, weight, None, channels, eps)
    checks.shape(grad_output, "grad_output", x.shape, "(that of the result)")

    grad_x, *found = gradients(out, (x.shape, (channels,), (channels,)), wanted, x.dtype, grad_output, x, affine.weight)
    # The images' gradients, which are added up, and those of some images.
    totals = [None if gradient is None else np.zeros(channels) for gradient in found]
    more = [None if total is None else memory.empty((channels,), x.dtype) for total in totals]
    received = maps_view(grad_output, data_format)
    for some in _images(view, number):
        statistics = np.empty((len(view[some]), number)), np.empty((len(view[some]), number))
        into = None if grad_x is None else maps_view(grad_x, data_format)[some]
        groups.backward(received[some], view[some], (into, *more), statistics, True, True, affine)
        for total, part in zip(totals, more):
            if total is not None:
                total += part
    for total, gradient in zip(totals, found):
        if gradient is not None:
            gradient[...] = total
    grad_weight, grad_bias = found
    return grad_x, grad_weight, grad_bias


def _images(view: Array, number: int) -> list[slice]:
    """So many images at a time that their statistics take a MB; none where there is nothing to normalise."""
    if not view.size:
        return []
    at_once = max(1, BLOCK_BYTES // (16 * number))
    return [slice(first, first + at_once) for first in range(0, len(view), at_once)]


# ---------------------------------------------------------------------------------------------------------------------
# Layers


def _row_size(x: Array, normalized_shape: Any) -> tuple[int, ...]:
    array = isinstance(normalized_shape, np.ndarray) and normalized_shape.ndim > 0
    shape = normalized_shape if array or isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    sizes: tuple[int, ...] = checks.integers(shape, "normalized_shape", 0)
    if not sizes or x.shape[-len(sizes):] != sizes:
        raise ValueError(f"normalized_shape must be the last sizes of x, one or more of {x.shape}, got {sizes}")
    return sizes


def _row_affine(x: Array, sizes: tuple[int, ...], weight: Any, bias: Any, eps: Any) -> Any:
    arrays = [None if value is None else checks.shape(checks.array(value, name), name, sizes, "(normalized_shape)")
              for value, name in ((weight, "weight"), (bias, "bias"))]
    checks.same_dtype(x=x, weight=arrays[0], bias=arrays[1])
    return groups.Affine(*(None if value is None else np.ascontiguousarray(value).reshape(-1) for value in arrays),
                         small(eps, "eps"))


def _as_rows(array: Array, length: int) -> Array | None:
    """An array as (R, length), where that is a view with elements side by side."""
    if array.flags.c_contiguous:
        return array.reshape(-1, length)
    if array.ndim == 2 and array.shape[1] == length and array.strides[1] == array.itemsize:
        return array
    return None


def layer_norm(x: ArrayLike, normalized_shape: int | tuple[int, ...], weight: ArrayLike | None = None,
               bias: ArrayLike | None = None, *, eps: float = 1e-5, out: Array | None = None) -> Array:
    """Layer normalisation: the last axes shifted and scaled to mean 0 and variance 1, then by weight and bias.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape that ends with normalized_shape, any strides.
    normalized_shape : int or tuple of int
        Sizes of the last axes, over which mean and variance are taken together.
    weight, bias : array of shape normalized_shape, optional
        By default 1 and 0.
    eps : float
        Added to the variance.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the shape and dtype of x, and apart from the inputs.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        Wrong dtypes or shapes.

    Notes
    -----
    J. Ba, J. Kiros and G. Hinton, "Layer normalization", 2016. For the sums see `batch_norm`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.layer_norm(np.array([[1.0, 3.0], [10.0, 10.0]]), 2).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    x = checks.array(x, "x")
    sizes = _row_size(x, normalized_shape)
    affine = _row_affine(x, sizes, weight, bias, eps)
    checks.out(out, x.shape, x.dtype, x, affine.weight, affine.bias)
    y = memory.empty(x.shape, x.dtype) if out is None else out
    if x.size:
        length = math.prod(sizes)
        source = _as_rows(x, length)
        if source is None:  # copied into the result, and normalised there
            np.copyto(y, x)
            source = y.reshape(-1, length)
        rows.forward(source, y.reshape(-1, length), affine)
    return y


def layer_norm_backward(grad_output: ArrayLike, x: ArrayLike, normalized_shape: int | tuple[int, ...],
                        weight: ArrayLike | None = None, *, eps: float = 1e-5,
                        needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `layer_norm` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    x, normalized_shape, weight, eps
        The arguments of the forward call.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shape of x, and normalized_shape; None where not needed.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> fc.layer_norm_backward(np.array([[1.0, 0.0, 0.0]]), x, 3)[0].round(3)
    array([[ 0.229, -0.344,  0.115]])
    """
    wanted = checks.needs(needs)
    grad_output, x = checks.array(grad_output, "grad_output"), checks.array(x, "x")
    checks.same_dtype(x=x, grad_output=grad_output)
    sizes = _row_size(x, normalized_shape)
    affine = _row_affine(x, sizes, weight, None, eps)
    checks.shape(grad_output, "grad_output", x.shape, "(that of the result)")

    grad_x, grad_weight, grad_bias = gradients(out, (x.shape, sizes, sizes), wanted, x.dtype, grad_output, x,
                                               affine.weight)
    length = math.prod(sizes)
    totals = None if grad_weight is None and grad_bias is None else np.zeros((2, length))
    if x.size:
        received, source = _as_rows(grad_output, length), _as_rows(x, length)
        if received is not None and source is not None:
            rows.backward(received, source, None if grad_x is None else grad_x.reshape(-1, length), totals, affine)
        else:
            # Some rows at a time are copied.
            leading = x.shape[: x.ndim - len(sizes)]
            for piece in elementwise.pieces(leading, max(1, BLOCK_BYTES // (length * x.itemsize))):
                source, received = (np.ascontiguousarray(array[piece]).reshape(-1, length)
                                    for array in (x, grad_output))
                rows.backward(received, source, None if grad_x is None else grad_x[piece].reshape(-1, length), totals,
                              affine)
    for total, gradient in zip((None, None) if totals is None else totals, (grad_bias, grad_weight)):
        if gradient is not None:
            gradient[...] = total.reshape(sizes)
    return grad_x, grad_weight, grad_bias
