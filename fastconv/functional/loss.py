"""Losses of class labels, forward and backward: negative log-likelihood and cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.typing import Array, ArrayLike, Reduction

BLOCK_BYTES = 1 << 20    # of the scores of the rows that are worked on at a time


def _class_scores(scores: Any, name: str, target: Any, reduction: Reduction) -> tuple[Array, Array]:
    scores = checks.array(scores, name)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"{name} must be (N, classes) with at least one class, got shape {scores.shape}")
    checks.choice(reduction, "reduction", checks.REDUCTIONS)
    return scores, checks.labels(target, "target", *scores.shape)


def _blocks(scores):
    """The rows in slices of at most BLOCK_BYTES: what is made of each is scratch."""
    at_once = max(1, BLOCK_BYTES // (scores.itemsize * scores.shape[1]))
    return (slice(first, first + at_once) for first in range(0, len(scores), at_once))


def _reduce(scores, target, reduction, losses_of):
    """The loss, where losses_of(a block of rows of scores, their labels) gives the losses of these."""
    if reduction == "none":
        losses = memory.empty((len(scores),), scores.dtype)
        for some in _blocks(scores):
            losses[some] = losses_of(scores[some], target[some])
        return losses
    total = sum(losses_of(scores[some], target[some]).sum() for some in _blocks(scores))
    if reduction == "mean":
        total = total / len(scores) if len(scores) else np.nan
    return scores.dtype.type(total)


def _row_weights(grad_output, count, dtype, reduction):
    """What each row's loss counts in the result, times grad_output: a function of a slice of the rows, as float64."""
    if reduction == "none" and np.ndim(grad_output) != 0:
        grad_output = checks.array(grad_output, "grad_output")
        checks.same_dtype(scores=np.empty(0, dtype), grad_output=grad_output)
        checks.shape(grad_output, "grad_output", (count,), "(that of the loss)")
        return lambda some: grad_output[some].astype(np.float64)
    weight = checks.number(grad_output, "grad_output")
    if reduction == "mean" and count:
        weight /= count
    return lambda some: np.full(len(range(count)[some]), weight)


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
    return _reduce(log_probs, target, reduction, lambda rows, labels: elementwise.label_loss(rows, labels, 0.0))


def nll_loss_backward(log_probs: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                      grad_output: ArrayLike = 1.0) -> Array:
    """Gradient of `nll_loss` with respect to log_probs.

    Parameters
    ----------
    log_probs, target, reduction
        The arguments of the forward call.
    grad_output : float, or array (N,) with ``reduction="none"``
        Gradient with respect to the loss.

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
    weights = _row_weights(grad_output, len(target), log_probs.dtype, reduction)
    grad = memory.empty(log_probs.shape, log_probs.dtype)
    grad.fill(0)
    for some in _blocks(grad):
        elementwise.label_loss_backward(grad[some], target[some], weights(some), 0.0)
    return grad


def cross_entropy(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", label_smoothing: float = 0.0) -> Any:
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
    label_smoothing = _smoothing(label_smoothing)
    of_rows = _of_long_row if logits.itemsize * logits.shape[1] > BLOCK_BYTES else _of_rows
    return _reduce(logits, target, reduction, lambda rows, labels: of_rows(rows, labels, label_smoothing))


def _of_rows(logits, target, smoothing):
    return elementwise.label_loss(elementwise.softmax(logits, 1, True), target, smoothing)


def _of_long_row(logits, target, smoothing):
    """The same of one row, which is too long for another of its size: in double precision, piece by piece."""
    row = logits[0]
    pieces = [row[some] for some in _blocks(row[:, None])]
    with np.errstate(all="ignore"):
        top = np.float64(max(pieces, key=np.max).max())
        total = sum(np.exp(piece - top).sum() for piece in pieces)
        loss = top + np.log(total) - (1 - smoothing) * row[target[0]]
        if smoothing:
            loss -= smoothing / len(row) * sum(piece.sum(dtype=np.float64) for piece in pieces)
    return np.array([loss])


def cross_entropy_backward(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", label_smoothing: float = 0.0,
                           grad_output: ArrayLike = 1.0) -> Array:
    """Gradient of `cross_entropy` with respect to logits: softmax(logits) minus the target.

    Parameters
    ----------
    logits, target, reduction, label_smoothing
        The arguments of the forward call.
    grad_output : float, or array (N,) with ``reduction="none"``
        Gradient with respect to the loss.

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
    label_smoothing = _smoothing(label_smoothing)
    weights = _row_weights(grad_output, len(target), logits.dtype, reduction)
    grad = elementwise.softmax(logits, 1, False)
    for some in _blocks(grad):
        elementwise.label_loss_backward(grad[some], target[some], weights(some), label_smoothing)
    return grad
