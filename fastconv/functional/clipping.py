"""ReLU6, forward and backward: the activation of MobileNets."""

from __future__ import annotations

from fastconv._core.pointwise import elementwise
from fastconv.functional.activation import gradient, unary
from fastconv.functional.typing import Array, ArrayLike


def relu6(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Rectified linear unit with an upper bound: ``min(max(x, 0), 6)``, element by element; NaN stays NaN.

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
    A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return unary(x, elementwise.RELU6, out=out)


def relu6_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `relu6`: grad_output where x is above 0 and below 6, else 0.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to ``relu6(x)``, of its shape and dtype.
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
    >>> fc.relu6_backward(np.array([5.0, 6.0, 7.0]), np.array([-1.0, 2.0, 6.0]))
    array([0., 6., 0.])
    """
    return gradient(grad_output, x, "x", elementwise.RELU6, out=out)
