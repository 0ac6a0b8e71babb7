"""Activations that are not fused into convolutions: ELU, GELU, SiLU, their piecewise forms, softplus.

Arrays may have any shape and strides; results are C-contiguous. All gradients take the input of the forward call.
Infinite inputs give the limits of the function: ``silu(-inf)`` is 0, where the formula would be infinity times 0.
"""

from __future__ import annotations

import math

from fastconv._core.pointwise import curves
from fastconv.functional import checks, results
from fastconv.functional.activation import alike
from fastconv.functional.typing import Approximation, Array, ArrayLike

APPROXIMATIONS = ("none", "tanh")

_PLAIN = curves.CurveOptions()


def _curve(x, kind, out, options=_PLAIN):
    x = checks.array(x, "x")
    return curves.curve(x, kind, options, results.out_or_input(out, x.shape, x.dtype, x))


def _gradient(grad_output, x, kind, out, options=_PLAIN):
    grad_output, x = alike(grad_output, x, "x")
    return curves.curve_backward(grad_output, x, kind, options,
                                 results.out_or_input(out, x.shape, x.dtype, grad_output, x))


def elu(x: ArrayLike, alpha: float = 1.0, *, out: Array | None = None) -> Array:
    """Exponential linear unit: x where it is above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    alpha : float
        What it tends to on the negative side, times -1.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    D. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    2016.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.elu(np.array([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return _curve(x, curves.ELU, out, curves.CurveOptions(alpha=checks.number(alpha, "alpha")))


def elu_backward(grad_output: ArrayLike, x: ArrayLike, alpha: float = 1.0, *, out: Array | None = None) -> Array:
    """Gradient of `elu`: grad_output where x is above 0, else ``grad_output * alpha * exp(x)``.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `elu`, of its shape and dtype.
    x : array
        The input of the forward call.
    alpha : float
        That of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.elu_backward(np.array([5.0, 6.0]), np.array([-np.inf, 2.0]))
    array([0., 6.])
    """
    options = curves.CurveOptions(alpha=checks.number(alpha, "alpha"))
    return _gradient(grad_output, x, curves.ELU, out, options)


def _gelu(approximate):
    return curves.GELU if checks.choice(approximate, "approximate", APPROXIMATIONS) == "none" else curves.GELU_TANH


def gelu(x: ArrayLike, *, approximate: Approximation = "none", out: Array | None = None) -> Array:
    """Gaussian error linear unit: x times the probability that a standard normal number is below x.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    approximate : {"none", "tanh"}
        With "tanh" ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``, which some networks were trained with.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    D. Hendrycks and K. Gimpel, "Gaussian error linear units", 2016. Small results far on the negative side are as
    accurate as all others.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return _curve(x, _gelu(approximate), out)


def gelu_backward(grad_output: ArrayLike, x: ArrayLike, *, approximate: Approximation = "none",
                  out: Array | None = None) -> Array:
    """Gradient of `gelu`: grad_output times (the normal distribution function of x plus x times its density).

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `gelu`, of its shape and dtype.
    x : array
        The input of the forward call.
    approximate : {"none", "tanh"}
        That of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.gelu_backward(np.array([2.0]), np.array([0.0]))
    array([1.])
    """
    return _gradient(grad_output, x, _gelu(approximate), out)


def silu(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Sigmoid linear unit, or swish: ``x * sigmoid(x)``.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", 2018; P. Ramachandran, B. Zoph and Q. Le, "Searching for activation functions", 2017.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.silu(np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.7311])
    """
    return _curve(x, curves.SILU, out)


def silu_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `silu`: ``grad_output * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `silu`, of its shape and dtype.
    x : array
        The input of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.silu_backward(np.array([2.0]), np.array([0.0]))
    array([1.])
    """
    return _gradient(grad_output, x, curves.SILU, out)


def hardswish(x: ArrayLike, *, out: Array | None = None) -> Array:
    """`silu` of straight lines and a parabola: 0 up to -3, x from 3 on, ``x * (x + 3) / 6`` between.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    A. Howard et al., "Searching for MobileNetV3", 2019.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.hardswish(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.   , 0.   , 1.125, 4.   ])
    """
    return _curve(x, curves.HARDSWISH, out)


def hardswish_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `hardswish`: 0 up to -3, grad_output from 3 on, ``grad_output * (x / 3 + 0.5)`` between.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `hardswish`, of its shape and dtype.
    x : array
        The input of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.hardswish_backward(np.array([2.0, 2.0, 2.0]), np.array([-4.0, 0.0, 4.0]))
    array([0., 1., 2.])
    """
    return _gradient(grad_output, x, curves.HARDSWISH, out)


def hardsigmoid(x: ArrayLike, *, out: Array | None = None) -> Array:
    """`sigmoid` of straight lines: 0 up to -3, 1 from 3 on, ``(x + 3) / 6`` between.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    M. Courbariaux, Y. Bengio and J. David, "BinaryConnect: training deep neural networks with binary weights during
    propagations", 2015.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.hardsigmoid(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return _curve(x, curves.HARDSIGMOID, out)


def hardsigmoid_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Gradient of `hardsigmoid`: ``grad_output / 6`` between -3 and 3, else 0.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `hardsigmoid`, of its shape and dtype.
    x : array
        The input of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.hardsigmoid_backward(np.array([6.0, 6.0]), np.array([-4.0, 0.0]))
    array([0., 1.])
    """
    return _gradient(grad_output, x, curves.HARDSIGMOID, out)


def _softplus(beta, threshold):
    beta, threshold = checks.number(beta, "beta"), checks.number(threshold, "threshold")
    if beta == 0 or not math.isfinite(beta):
        raise ValueError(f"beta must be finite and not 0, got {beta}")
    if math.isnan(threshold):
        raise ValueError(f"threshold must be a number or infinity, got {threshold}")
    return curves.CurveOptions(beta=beta, threshold=threshold)


def softplus(x: ArrayLike, beta: float = 1.0, threshold: float = 20.0, *, out: Array | None = None) -> Array:
    """A smooth `relu`: ``log(1 + exp(beta * x)) / beta``, without overflow.

    Parameters
    ----------
    x : array, float32 or float64
        Any shape.
    beta : float
        The larger, the nearer to `relu`; not 0.
    threshold : float
        Where ``beta * x`` is above it, the result is x itself.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be x itself, but not overlap it otherwise.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Notes
    -----
    C. Dugas et al., "Incorporating second-order functional knowledge for better option pricing", 2001.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.softplus(np.array([-1000.0, 0.0, 100.0])).round(4)
    array([  0.    ,   0.6931, 100.    ])
    """
    return _curve(x, curves.SOFTPLUS, out, _softplus(beta, threshold))


def softplus_backward(grad_output: ArrayLike, x: ArrayLike, beta: float = 1.0, threshold: float = 20.0, *,
                      out: Array | None = None) -> Array:
    """Gradient of `softplus`: ``grad_output * sigmoid(beta * x)``, above the threshold grad_output.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of `softplus`, of its shape and dtype.
    x : array
        The input of the forward call.
    beta, threshold : float
        Those of the forward call.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be grad_output or x itself, but not overlap
        them otherwise.

    Returns
    -------
    array
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.softplus_backward(np.array([2.0]), np.array([0.0]))
    array([1.])
    """
    return _gradient(grad_output, x, curves.SOFTPLUS, out, _softplus(beta, threshold))
