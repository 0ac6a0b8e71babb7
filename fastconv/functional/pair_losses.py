"""Losses of pairs of numbers, what a model gives and what it should: regression, and yes-or-no questions.

All have the reductions of `nll_loss`; their gradients are with respect to x, what the model gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.pointwise import pair_loss
from fastconv._core.runtime import arrays, memory
from fastconv.functional import checks, results
from fastconv.functional.typing import Array, ArrayLike, Reduction

_SQUARED, _ABSOLUTE = pair_loss.PairLoss(pair_loss.SQUARED), pair_loss.PairLoss(pair_loss.ABSOLUTE)


def _pair(x, target, reduction):
    """Both as the loops take them: of one shape and dtype."""
    checks.choice(reduction, "reduction", checks.REDUCTIONS)
    if not (arrays.is_plain(x) and arrays.is_like(target, x.shape, x.dtype)):
        x, target = checks.array(x, "x"), checks.array(target, "target")
        checks.same_dtype(x=x, target=target)
        checks.shape(target, "target", x.shape, "(that of x)")
    return x, target


def _value(loss, x, target, reduction, out=None):
    if reduction == "none":
        losses = results.out_or_input(out, x.shape, x.dtype, x, target, loss.weight, loss.pos_weight)
        losses = memory.empty(x.shape, x.dtype) if losses is None else losses
        pair_loss.total(loss, x, target, losses)
        return losses
    if out is not None:
        raise ValueError(f"out must be left None with reduction={reduction!r}, whose result is a number")
    total = pair_loss.total(loss, x, target, None)
    if reduction == "mean":
        total = total / x.size if x.size else math.nan
    return x.dtype.type(total)


def _gradient(loss, x, target, reduction, grad_output, out):
    share, grads = 1.0, None
    if reduction == "none" and checks.has_axes(grad_output, "grad_output"):
        grads = checks.array(grad_output, "grad_output")
        checks.same_dtype(x=x, grad_output=grads)
        checks.shape(grads, "grad_output", x.shape, "(that of the loss)")
    else:
        share = checks.number(grad_output, "grad_output")
        if reduction == "mean" and x.size:
            share /= x.size
    results.out_or_input(out, x.shape, x.dtype, x, target, grads, loss.weight, loss.pos_weight)
    return pair_loss.gradient(loss, x, target, share, grads, out)


def mse_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", out: Array | None = None) -> Any:
    """Mean squared error: ``(x - target)**2``.

    Parameters
    ----------
    x, target : array, float32 or float64
        What is given and what is wanted, of one shape and dtype.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over all numbers, or the loss of each.
    out : array, optional
        With ``reduction="none"``: filled with the result. C-contiguous, of its shape and dtype; it may be x or target
        itself, but not overlap them otherwise.

    Returns
    -------
    scalar, or array in the shape of x with ``reduction="none"``
        Of the dtype of x; added up in double precision. The mean of nothing is NaN.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.mse_loss(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    2.0
    """
    x, target = _pair(x, target, reduction)
    return _value(_SQUARED, x, target, reduction, out)


def mse_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                      out: Array | None = None) -> Array:
    """Gradient of `mse_loss` with respect to x: ``2 * (x - target)``.

    Parameters
    ----------
    x, target, reduction
        The arguments of the forward call.
    grad_output : float, or array in the shape of x with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be one of the arguments itself, but not
        overlap them otherwise.

    Returns
    -------
    array
        In the shape of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.mse_loss_backward(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    array([0., 2.])
    """
    x, target = _pair(x, target, reduction)
    return _gradient(_SQUARED, x, target, reduction, grad_output, out)


def l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", out: Array | None = None) -> Any:
    """Mean absolute error: ``|x - target|``.

    Parameters
    ----------
    x, target : array, float32 or float64
        What is given and what is wanted, of one shape and dtype.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over all numbers, or the loss of each.
    out : array, optional
        With ``reduction="none"``: filled with the result. C-contiguous, of its shape and dtype; it may be x or target
        itself, but not overlap them otherwise.

    Returns
    -------
    scalar, or array in the shape of x with ``reduction="none"``
        Of the dtype of x; added up in double precision. The mean of nothing is NaN.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.l1_loss(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    1.0
    """
    x, target = _pair(x, target, reduction)
    return _value(_ABSOLUTE, x, target, reduction, out)


def l1_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                     out: Array | None = None) -> Array:
    """Gradient of `l1_loss` with respect to x: the sign of ``x - target``, 0 where they are equal.

    Parameters
    ----------
    x, target, reduction
        The arguments of the forward call.
    grad_output : float, or array in the shape of x with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be one of the arguments itself, but not
        overlap them otherwise.

    Returns
    -------
    array
        In the shape of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.l1_loss_backward(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    array([0. , 0.5])
    """
    x, target = _pair(x, target, reduction)
    return _gradient(_ABSOLUTE, x, target, reduction, grad_output, out)


def _huber(delta):
    delta = checks.number(delta, "delta")
    if not 0 < delta < math.inf:
        raise ValueError(f"delta must be above 0 and finite, got {delta}")
    return pair_loss.PairLoss(pair_loss.HUBER, delta, 1.0, delta)


def huber_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", delta: float = 1.0,
               out: Array | None = None) -> Any:
    """Huber's loss: ``d**2 / 2`` of a difference d up to delta, ``delta * (|d| - delta / 2)`` beyond.

    Parameters
    ----------
    x, target : array, float32 or float64
        What is given and what is wanted, of one shape and dtype.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over all numbers, or the loss of each.
    delta : float
        Up to where a difference is squared; above 0.
    out : array, optional
        With ``reduction="none"``: filled with the result. C-contiguous, of its shape and dtype; it may be x or target
        itself, but not overlap them otherwise.

    Returns
    -------
    scalar, or array in the shape of x with ``reduction="none"``
        Of the dtype of x; added up in double precision. The mean of nothing is NaN.

    Notes
    -----
    P. Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.huber_loss(np.array([0.5, 4.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 3.5  ])
    """
    x, target = _pair(x, target, reduction)
    return _value(_huber(delta), x, target, reduction, out)


def huber_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", delta: float = 1.0,
                        grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array:
    """Gradient of `huber_loss` with respect to x: ``x - target``, clipped to -delta and delta.

    Parameters
    ----------
    x, target, reduction, delta
        The arguments of the forward call.
    grad_output : float, or array in the shape of x with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be one of the arguments itself, but not
        overlap them otherwise.

    Returns
    -------
    array
        In the shape of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.huber_loss_backward(np.array([0.5, 4.0]), np.array([0.0, 0.0]), reduction="sum")
    array([0.5, 1. ])
    """
    x, target = _pair(x, target, reduction)
    return _gradient(_huber(delta), x, target, reduction, grad_output, out)


def _smooth(beta, dtype):
    beta = checks.number(beta, "beta")
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be at least 0 and finite, got {beta}")
    if beta < np.finfo(dtype).tiny:  # whose inverse is no number
        return _ABSOLUTE
    return pair_loss.PairLoss(pair_loss.HUBER, beta, 1 / beta, 1.0)


def smooth_l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", beta: float = 1.0,
                   out: Array | None = None) -> Any:
    """`huber_loss` over beta: ``d**2 / (2 * beta)`` of a difference d up to beta, ``|d| - beta / 2`` beyond.

    Parameters
    ----------
    x, target : array, float32 or float64
        What is given and what is wanted, of one shape and dtype.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over all numbers, or the loss of each.
    beta : float
        Up to where a difference is squared; with 0 it is `l1_loss`.
    out : array, optional
        With ``reduction="none"``: filled with the result. C-contiguous, of its shape and dtype; it may be x or target
        itself, but not overlap them otherwise.

    Returns
    -------
    scalar, or array in the shape of x with ``reduction="none"``
        Of the dtype of x; added up in double precision. The mean of nothing is NaN.

    Notes
    -----
    R. Girshick, "Fast R-CNN", 2015.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.smooth_l1_loss(np.array([0.5, 4.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 3.5  ])
    """
    x, target = _pair(x, target, reduction)
    return _value(_smooth(beta, x.dtype), x, target, reduction, out)


def smooth_l1_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", beta: float = 1.0,
                            grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array:
    """Gradient of `smooth_l1_loss` with respect to x: ``(x - target) / beta``, clipped to -1 and 1.

    Parameters
    ----------
    x, target, reduction, beta
        The arguments of the forward call.
    grad_output : float, or array in the shape of x with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be one of the arguments itself, but not
        overlap them otherwise.

    Returns
    -------
    array
        In the shape of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.smooth_l1_loss_backward(np.array([0.5, 4.0]), np.array([0.0, 0.0]), reduction="sum")
    array([0.5, 1. ])
    """
    x, target = _pair(x, target, reduction)
    return _gradient(_smooth(beta, x.dtype), x, target, reduction, grad_output, out)


def _logistic(x, weight, pos_weight):
    return pair_loss.PairLoss(pair_loss.LOGISTIC, weight=_weights(x, weight, "weight"),
                              pos_weight=_weights(x, pos_weight, "pos_weight"))


def _weights(x, weight, name):
    """Weights in the shape of x, or None."""
    if weight is None:
        return None
    weight = checks.array(weight, name)
    checks.same_dtype(**{"x": x, name: weight})
    try:
        return np.broadcast_to(weight, x.shape)
    except ValueError:
        raise ValueError(f"{name} must have a shape that broadcasts to that of x, {x.shape}, "
                         f"got {weight.shape}") from None


def binary_cross_entropy_with_logits(x: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                                     pos_weight: ArrayLike | None = None, reduction: Reduction = "mean",
                                     out: Array | None = None) -> Any:
    """Cross-entropy of ``sigmoid(x)`` and the probability target: of answers to questions of yes or no.

    Parameters
    ----------
    x, target : array, float32 or float64
        What is given and what is wanted, of one shape and dtype.
    weight : array, optional
        How each pair counts; of a shape that broadcasts to that of x.
    pos_weight : array, optional
        How the part of the target counts, against where it is 1: above 1 for answers that are rarely yes.
        Of a shape that broadcasts to that of x, such as (C,) for C questions.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over all numbers, or the loss of each.
    out : array, optional
        With ``reduction="none"``: filled with the result. C-contiguous, of its shape and dtype; it may be x or target
        itself, but not overlap them otherwise.

    Returns
    -------
    scalar, or array in the shape of x with ``reduction="none"``
        Of the dtype of x; added up in double precision. The mean of nothing is NaN.

    Notes
    -----
    Without weights ``max(x, 0) - x * target + log(1 + exp(-|x|))``, so computed that it neither overflows nor loses
    digits where it is small.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 1.0])).round(4))
    0.3466
    """
    x, target = _pair(x, target, reduction)
    return _value(_logistic(x, weight, pos_weight), x, target, reduction, out)


def binary_cross_entropy_with_logits_backward(x: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                                              pos_weight: ArrayLike | None = None, reduction: Reduction = "mean",
                                              grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array:
    """Gradient of `binary_cross_entropy_with_logits` with respect to x: ``sigmoid(x) - target``, without weights.

    Parameters
    ----------
    x, target, weight, pos_weight, reduction
        The arguments of the forward call.
    grad_output : float, or array in the shape of x with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype. It may be one of the arguments itself, but not
        overlap them otherwise.

    Returns
    -------
    array
        In the shape of x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.binary_cross_entropy_with_logits_backward(np.array([0.0, 1000.0]), np.array([1.0, 1.0]))
    array([-0.25,  0.  ])
    """
    x, target = _pair(x, target, reduction)
    return _gradient(_logistic(x, weight, pos_weight), x, target, reduction, grad_output, out)
