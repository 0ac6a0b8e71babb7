"""Losses of class labels, forward and backward: negative log-likelihood and cross-entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.pointwise import label_loss
from fastconv._core.runtime import arrays
from fastconv.functional import checks
from fastconv.functional.typing import Array, ArrayLike, Reduction


def _class_scores(scores: Any, name: str, target: Any, reduction: Reduction) -> tuple[Array, Array]:
    """Both as the loops take them, of which a glance is enough where they are so already:
    the labels themselves are looked at by the loops."""
    if not (arrays.are_labelled(scores, target) and type(reduction) is str and reduction in checks.REDUCTIONS):
        scores = checks.array(scores, name)
        if scores.ndim != 2 or (scores.shape[1] == 0 and len(scores)):
            raise ValueError(f"{name} must be (N, classes) with at least one class, got shape {scores.shape}")
        checks.choice(reduction, "reduction", checks.REDUCTIONS)
        target = checks.labels(target, "target", *scores.shape)
    return scores, target


def _found(result, scores, target):
    """What the loops return, which is None where a label is no class: the checks say which."""
    if result is None:
        checks.labels(target, "target", *scores.shape)
    return result


def _loss(scores, target, reduction, softmax, smoothing):
    if reduction == "none":
        return _found(label_loss.label_losses(scores, target, softmax, smoothing), scores, target)
    total = _found(label_loss.label_loss(scores, target, softmax, smoothing), scores, target)
    if reduction == "mean":
        total = total / len(scores) if len(scores) else math.nan
    return scores.dtype.type(total)


def _gradient(scores, target, reduction, softmax, smoothing, grad_output, out):
    weight, weights = 0.0, None
    if reduction == "none" and np.ndim(grad_output) != 0:
        weights = checks.array(grad_output, "grad_output")
        checks.same_dtype(scores=scores, grad_output=weights)
        weights = np.ascontiguousarray(checks.shape(weights, "grad_output", (len(target),), "(that of the loss)"))
    else:
        weight = checks.number(grad_output, "grad_output")
        if reduction == "mean" and len(target):
            weight /= len(target)
    if out is not None:
        checks.out(out, scores.shape, scores.dtype, scores, target, weights)
        checks.labels(target, "target", *scores.shape)    # which the loops would find when some rows are written
    return _found(label_loss.label_loss_backward(scores, target, softmax, smoothing, weight, weights, out),
                  scores, target)


def _smoothing(label_smoothing):
    label_smoothing = checks.number(label_smoothing, "label_smoothing")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    return label_smoothing


def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean") -> Any:
    """Negative log-likelihood: minus the log-probability of the right class.

    Parameters
    ----------
    log_probs : array (N, classes), float32 or float64
        Log-probabilities, as `log_softmax` gives them.
    target : array (N,) of int
        The class number of each row.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over the rows, or one loss for each.

    Returns
    -------
    scalar, or array (N,) with ``reduction="none"``
        Of the dtype of log_probs; added up in double precision. The mean of no rows is NaN.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1], reduction="none").round(4))
    [0.6931 0.2877]
    """
    log_probs, target = _class_scores(log_probs, "log_probs", target, reduction)
    return _loss(log_probs, target, reduction, False, 0.0)


def nll_loss_backward(log_probs: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                      grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array:
    """Gradient of `nll_loss` with respect to log_probs.

    Parameters
    ----------
    log_probs, target, reduction
        The arguments of the forward call.
    grad_output : float, or array (N,) with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array (N, classes)
        ``-grad_output`` (over N for the mean) at the right classes, else 0.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.nll_loss_backward(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1])
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """
    log_probs, target = _class_scores(log_probs, "log_probs", target, reduction)
    return _gradient(log_probs, target, reduction, False, 0.0, grad_output, out)


def cross_entropy(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                  label_smoothing: float = 0.0) -> Any:
    """Cross-entropy of softmax: `nll_loss` of `log_softmax`.

    Parameters
    ----------
    logits : array (N, classes), float32 or float64
        Any real numbers.
    target : array (N,) of int
        The class number of each row.
    reduction : {"mean", "sum", "none"}
        The mean or the sum over the rows, or one loss for each.
    label_smoothing : float from 0 to 1
        The part of each row's target that is spread evenly over all classes.

    Returns
    -------
    scalar, or array (N,) with ``reduction="none"``
        Of the dtype of logits; added up in double precision. The mean of no rows is NaN.

    Notes
    -----
    Label smoothing: C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.cross_entropy(np.zeros((3, 4)), [0, 1, 2]).round(4))
    1.3863
    """
    logits, target = _class_scores(logits, "logits", target, reduction)
    return _loss(logits, target, reduction, True, _smoothing(label_smoothing))


def cross_entropy_backward(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                           label_smoothing: float = 0.0, grad_output: ArrayLike = 1.0,
                           out: Array | None = None) -> Array:
    """Gradient of `cross_entropy` with respect to logits: softmax(logits) minus the target.

    Parameters
    ----------
    logits, target, reduction, label_smoothing
        The arguments of the forward call.
    grad_output : float, or array (N,) with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array (N, classes)
        ``grad_output * (softmax(logits) - target)``, over N for the mean.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.cross_entropy_backward(np.zeros((1, 4)), [2])
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    logits, target = _class_scores(logits, "logits", target, reduction)
    return _gradient(logits, target, reduction, True, _smoothing(label_smoothing), grad_output, out)
