"""Activations, softmax and flatten, forward and backward.

Arrays may have any shape and strides; results are C-contiguous. The gradients of ReLU and leaky ReLU take the input
of the forward call, those of sigmoid, tanh and softmax its result, which is all they need.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import arrays
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks, results
from fastconv.functional.typing import Array, ArrayLike


def unary(x, kind, slope=0.0, out=None):
    x = checks.array(x, "x")
    if out is not None:
        results.out_or_input(out, x.shape, x.dtype, x)
    return elementwise.activation(x, kind, slope, out)


def alike(grad_output, value, name):
    """Both as the loops take them: of one shape and dtype."""
    if not (arrays.is_plain(value) and arrays.is_like(grad_output, value.shape, value.dtype)):
        grad_output, value = checks.array(grad_output, "grad_output"), checks.array(value, name)
        checks.same_dtype(**{name: value, "grad_output": grad_output})
        checks.shape(grad_output, "grad_output", value.shape, f"(that of {name})")
    return grad_output, value


def gradient(grad_output, value, name, kind, slope=0.0, out=None):
    grad_output, value = alike(grad_output, value, name)
    if out is not None:
        results.out_or_input(out, value.shape, value.dtype, grad_output, value)
    return elementwise.activation_backward(grad_output, value, kind, slope, out)


def relu(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Rectified linear unit: ``max(x, 0)``, element by element; NaN stays NaN.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be x itself.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    V. Nair and G. Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return unary(x, elementwise.RELU, out=out)


def relu_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `relu`: grad_output where x is above 0, else 0.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to ``relu(x)``, of its shape and dtype.
    x : array
        The input of the forward call; its result serves as well.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be grad_output or x itself.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.relu_backward(np.array([5.0, 6.0]), np.array([-1.0, 2.0]))
    array([0., 6.])
    """
    return gradient(grad_output, x, "x", elementwise.RELU, out=out)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01, *, out: Array | None = None) -> Array:
    """Leaky ReLU: x where it is above 0, else ``negative_slope * x``.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    negative_slope : float
        Slope of the negative part.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be x itself.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.leaky_relu(np.array([-1.0, 2.0]), 0.5)
    array([-0.5,  2. ])
    """
    return unary(x, elementwise.LEAKY_RELU, checks.number(negative_slope, "negative_slope"), out)


def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01, *,
                        out: Array | None = None) -> Array:
    """Gradient of `leaky_relu`: grad_output where x is above 0, else ``negative_slope * grad_output``.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to ``leaky_relu(x)``, of its shape and dtype.
    x : array
        The input of the forward call.
    negative_slope : float
        That of the forward call.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be grad_output or x itself.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.leaky_relu_backward(np.array([5.0, 6.0]), np.array([-1.0, 2.0]), 0.5)
    array([2.5, 6. ])
    """
    return gradient(grad_output, x, "x", elementwise.LEAKY_RELU, checks.number(negative_slope, "negative_slope"), out)


def sigmoid(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Logistic function: ``1 / (1 + exp(-x))``, within 3 units in the last place and without overflow.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be x itself.

    Returns
    -------
    array
        Of the shape and dtype of x, in [0, 1].

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.sigmoid(np.array([0.0, 1000.0, -1000.0]))
    array([0.5, 1. , 0. ])
    """
    return unary(x, elementwise.SIGMOID, out=out)


def sigmoid_backward(grad_output: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `sigmoid` from its result: ``grad_output * y * (1 - y)``.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to y, of its shape and dtype.
    y : array
        The result of the forward call.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be grad_output or y itself.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.sigmoid_backward(np.array([4.0]), fc.sigmoid(np.array([0.0])))
    array([1.])
    """
    return gradient(grad_output, y, "y", elementwise.SIGMOID, out=out)


def tanh(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Hyperbolic tangent, within 3 units in the last place.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be x itself.

    Returns
    -------
    array
        Of the shape and dtype of x, in [-1, 1].

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.tanh(np.array([0.0, 1000.0]))
    array([0., 1.])
    """
    return unary(x, elementwise.TANH, out=out)


def tanh_backward(grad_output: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `tanh` from its result: ``grad_output * (1 - y**2)``.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to y, of its shape and dtype.
    y : array
        The result of the forward call.
    out : array, optional
        Filled and returned, as in `conv2d`, but it may be grad_output or y itself.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.tanh_backward(np.array([4.0]), fc.tanh(np.array([0.0])))
    array([4.])
    """
    return gradient(grad_output, y, "y", elementwise.TANH, out=out)


# ---------------------------------------------------------------------------------------------------------------------
# Softmax


def _softmax(x, axis, logarithm, out):
    x = checks.array(x, "x")
    axis = _axis(axis, x, "x")
    if out is not None:
        checks.out(out, x.shape, x.dtype, x)
    return elementwise.softmax(x, axis, logarithm, out)


def _softmax_gradient(grad_output, y, axis, logarithm, out):
    grad_output, y = alike(grad_output, y, "y")
    axis = _axis(axis, y, "y")
    if out is not None:
        checks.out(out, y.shape, y.dtype, grad_output, y)
    return elementwise.softmax_backward(grad_output, y, axis, logarithm, out)


def _axis(axis, array, name):
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one dimension, got a number")
    return checks.axis(axis, "axis", array.ndim)


def softmax(x: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array:
    """``exp(x) / sum of exp(x)`` along an axis: numbers become probabilities that add up to 1.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape with at least one dimension.
    axis : int
        The axis of the classes.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _softmax(x, axis, False, out)


def softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array:
    """Gradient of `softmax` from its result: ``y * (grad_output - sum of grad_output * y)`` along the axis.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to y, of its shape and dtype.
    y : array
        The result of the forward call.
    axis : int
        That of the forward call.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return _softmax_gradient(grad_output, y, axis, False, out)


def log_softmax(x: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array:
    """The logarithm of `softmax`, computed without leaving it: ``x - log(sum of exp(x))``.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape with at least one dimension.
    axis : int
        The axis of the classes.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.log_softmax(np.array([1000.0, 0.0]))
    array([    0., -1000.])
    """
    return _softmax(x, axis, True, out)


def log_softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array:
    """Gradient of `log_softmax` from its result: ``grad_output - exp(y) * sum of grad_output`` along the axis.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to y, of its shape and dtype.
    y : array
        The result of the forward call.
    axis : int
        That of the forward call.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.log_softmax_backward(np.array([1.0, 1.0]), fc.log_softmax(np.array([0.0, 0.0])))
    array([0., 0.])
    """
    return _softmax_gradient(grad_output, y, axis, True, out)


# ---------------------------------------------------------------------------------------------------------------------
# Flatten

_flattened = Memo(arrays=1)    # the shape of the input, for arguments of the gradient that were checked


def flatten(x: ArrayLike, *, out: Array | None = None) -> Array:
    """A batch of images as a batch of vectors: (N, C, H, W) -> (N, C*H*W).

    Parameters
    ----------
    x : array, float32 or float64
        The first axis is the batch.
    out : array, optional
        Filled, with a copy, and returned, as in `conv2d`.

    Returns
    -------
    array (N, the product of the other sizes)
        A view of x where its strides allow it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.flatten(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """
    x = checks.array(x, "x")
    if x.ndim == 0:
        raise ValueError("x must have at least one dimension, got a number")
    shape = x.shape[0], math.prod(x.shape[1:])
    return x.reshape(shape) if out is None else _copied(x, out, shape)


def flatten_backward(grad_output: Any, input_shape: tuple[int, ...], *, out: Array | None = None) -> Array:
    """Gradient of `flatten`: grad_output in the shape of its input.

    Parameters
    ----------
    grad_output : array (N, the product of the other sizes)
        Gradient with respect to the result of the forward call.
    input_shape : tuple of int
        The shape of x.
    out : array, optional
        Filled, with a copy, and returned, as in `conv2d`.

    Returns
    -------
    array of shape input_shape
        A view of grad_output where its strides allow it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.flatten_backward(np.zeros((2, 60)), (2, 3, 4, 5)).shape
    (2, 3, 4, 5)
    """
    sizes = _flattened.find(grad_output, input_shape)
    if sizes is None:
        grad_output = checks.array(grad_output, "grad_output")
        sizes = checks.integers(input_shape, "input_shape", minimum=0)
        if not sizes:
            raise ValueError("input_shape must have at least one size, got ()")
        checks.shape(grad_output, "grad_output", (sizes[0], math.prod(sizes[1:])), f"for input_shape {sizes}")
        _flattened.keep(sizes, grad_output, input_shape)
    return grad_output.reshape(sizes) if out is None else _copied(grad_output, out, sizes)


def _copied(array, out, shape):
    """`out`, checked here, with the elements of the array in their order."""
    checks.out(out, shape, array.dtype, array)
    np.copyto(out.reshape(array.shape), array)
    return out
