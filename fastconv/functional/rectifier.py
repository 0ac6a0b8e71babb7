"""The rectifier whose slopes are learnt, PReLU, and its gradients."""

from __future__ import annotations

import numpy as np

from fastconv._core.pointwise import curves
from fastconv.functional import checks
from fastconv.functional.activation import alike
from fastconv.functional.results import gradients
from fastconv.functional.typing import Array, ArrayLike, DataFormat


def _slopes(x, weight, data_format):
    """The slopes of x in a row, and its axis of channels, which is -1 where all have one."""
    weight = checks.array(weight, "weight")
    checks.same_dtype(x=x, weight=weight)
    last = checks.choice(data_format, "data_format", checks.DATA_FORMATS)[-1] == "C"
    if weight.ndim > 1 or weight.size == 0:
        raise ValueError(f"weight must have shape (1,) or (C,), one slope for each channel, got {weight.shape}")
    if weight.size == 1:
        return weight.reshape(1), -1
    axis = x.ndim - 1 if last else 1
    if x.ndim < 2:
        raise ValueError(f"weight must be one slope for x of shape {x.shape}, which has no axis of channels: "
                         f"got {weight.size}")
    if x.shape[axis] != weight.size:
        raise ValueError(f"weight must have shape (1,) or ({x.shape[axis]},), as x of shape {x.shape} has channels in "
                         f"axis {axis} (data_format {data_format!r}), got {weight.shape}")
    return np.ascontiguousarray(weight), axis


def prelu(x: ArrayLike, weight: ArrayLike, *, data_format: DataFormat = "NCHW", out: Array | None = None) -> Array:
    """Parametric ReLU: x where it is above 0, else its channel's slope times x.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    weight : array (1,) or (C,)
        One slope for all, or one for each channel.
    data_format : {"NCHW", "NHWC"}
        Whether the channels are axis 1 or the last one, whatever the number of dimensions.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    K. He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification", 2015.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.prelu(np.array([[-2.0, -2.0, 4.0]]), np.array([0.5, 0.25, 0.0]))
    array([[-1. , -0.5,  4. ]])
    """
    x = checks.array(x, "x")
    slopes, axis = _slopes(x, weight, data_format)
    room = checks.out(out, x.shape, x.dtype, slopes, None if out is x else x)
    return curves.prelu(x, slopes, axis, room)


def prelu_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, data_format: DataFormat = "NCHW",
                   out: tuple[Array | None, Array | None] | None = None) -> tuple[Array, Array]:
    """Gradients of `prelu` with respect to x and to the slopes.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `prelu`, of its shape and dtype.
    x : array
        The input of the forward call.
    weight, data_format
        Those of the forward call.
    out : (array or None, array or None), optional
        The arrays that the gradients go to, apart from the inputs and each other; for None a new one is made.

    Returns
    -------
    grad_x : array
        grad_output where x is above 0, else times the slope.
    grad_weight : array
        In the shape of weight: of each channel the sum of ``grad_output * x`` where x is not above 0, added up in
        double precision.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.prelu_backward(np.array([[5.0, 6.0]]), np.array([[-1.0, 2.0]]), np.array([0.5]))
    (array([[2.5, 6. ]]), array([-5.]))
    """
    grad_output, x = alike(grad_output, x, "x")
    weight = checks.array(weight, "weight")
    slopes, axis = _slopes(x, weight, data_format)
    grad_x, grad_weight = gradients(out, (x.shape, weight.shape), (True, True), x.dtype, grad_output, x, slopes)
    grad_weight[...] = curves.prelu_backward(grad_output, x, slopes, axis, grad_x).reshape(grad_weight.shape)
    return grad_x, grad_weight
