"""Losses of classes, forward and backward: negative log-likelihood and cross-entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.pointwise import label_loss
from fastconv._core.runtime import arrays, memory
from fastconv.functional import checks
from fastconv.functional.foreign import read
from fastconv.functional.typing import Array, ArrayLike, Reduction

# Of the label of rows that do not count, as PyTorch has it.
IGNORED = -100

# More classes than these are taken one behind the other: see label_loss.
_MANY_CLASSES = 65536

_PLAIN = {softmax: label_loss.ClassLoss(softmax, 0.0, IGNORED, None) for softmax in (False, True)}


# ---------------------------------------------------------------------------------------------------------------------
# Arguments


def _arguments(softmax, scores, target, weight, ignore_index, reduction, smoothing=0.0):
    """Scores and target as the loops take them, the shape of the scores as they were given, and the loss.

    Where they are (N, classes) and (N,) of int64, and nothing else is said, a glance is enough: the labels themselves
    are looked at by the loops.
    """
    if (weight is None and type(smoothing) is float and smoothing == 0 and type(ignore_index) is int
            and ignore_index == IGNORED and arrays.are_labelled(scores, target) and type(reduction) is str
            and reduction in checks.REDUCTIONS):
        return scores, target, scores.shape, _PLAIN[softmax]
    ignore_index = checks.integer(ignore_index, "ignore_index", -(2**31))
    scores, target, shape = _class_scores(scores, "logits" if softmax else "log_probs", target, reduction, ignore_index)
    return scores, target, shape, _how(softmax, scores, weight, ignore_index, _smoothing(smoothing))


def _class_scores(scores: Any, name: str, target: Any, reduction: Reduction,
                  ignore_index: int) -> tuple[Array, Array, tuple[int, ...]]:
    """Both as the loops take them, and the shape of the scores as they were given."""
    scores = checks.array(scores, name)
    if scores.ndim == 0 or (scores.shape[min(1, scores.ndim - 1)] == 0 and (scores.ndim == 1 or len(scores))):
        raise ValueError(f"{name} must be (N, classes), (N, classes, d1, ...) or (classes,) with at least one class, "
                         f"got shape {scores.shape}")
    checks.choice(reduction, "reduction", checks.REDUCTIONS)
    shape = scores.shape
    written = "target"
    if not isinstance(target, np.ndarray):
        target, written = read(target, "target"), "np.asarray(target)"
    if scores.ndim == 1:
        if target.shape not in ((), shape):
            raise ValueError(f"{name} of shape {shape} is one row of scores: target must be one class number for it, "
                             f"got shape {target.shape}")
        scores, target = scores[None], target[None]
    if target.shape == scores.shape and target.dtype.kind == "f" and name == "logits":
        target = checks.array(target, "target")
        if target.dtype != scores.dtype:
            raise TypeError(f"target is {target.dtype} but {name} is {scores.dtype}: one call has one dtype, "
                            f"convert probabilities with np.asarray(target, dtype=np.{scores.dtype}); where class "
                            f"numbers are meant, pass {written}.argmax({min(1, len(shape) - 1)})")
        return _in_rows(scores), _in_rows(target), shape
    return _in_rows(scores), _class_numbers(target, written, scores.shape, ignore_index), shape


def _in_rows(scores):
    """(N, classes, d1, ...) as (N, classes, P): a view where the strides of the positions allow it."""
    if scores.ndim == 2:
        return scores
    flat = scores.reshape(*scores.shape[:2], math.prod(scores.shape[2:]))
    if flat.shape[1] > _MANY_CLASSES and flat.strides[2] != flat.itemsize:
        flat = np.ascontiguousarray(flat)
    return flat


def _class_numbers(target, written, shape, ignore_index):
    """The labels of scores of this shape, one behind the other, as contiguous int64."""
    expected = (shape[0], *shape[2:])
    if len(shape) > 2 and target.shape != expected:
        raise ValueError(f"target must have shape {expected} (one class number for each position), got {target.shape}")
    labels = target if len(shape) == 2 else target.reshape(-1)
    if labels.dtype.kind not in "iu" or not labels.size:
        return checks.labels(labels, "target", math.prod(expected), shape[1], written)
    ignored = labels == ignore_index
    counting = np.where(ignored, labels.dtype.type(0), labels)
    found = checks.labels(counting, "target", math.prod(expected), shape[1], written)
    return np.where(ignored, np.int64(ignore_index), found)


def _how(softmax, scores, weight, ignore_index, smoothing):
    """The loss as the loops take it."""
    if weight is not None:
        weight = checks.array(weight, "weight")
        checks.same_dtype(**{"logits" if softmax else "log_probs": scores, "weight": weight})
        weight = np.ascontiguousarray(checks.shape(weight, "weight", scores.shape[1:2], "(one weight for each class)"))
    return label_loss.ClassLoss(softmax, smoothing, ignore_index, weight)


def _smoothing(label_smoothing):
    label_smoothing = checks.number(label_smoothing, "label_smoothing")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    return label_smoothing


# ---------------------------------------------------------------------------------------------------------------------
# Loss and gradient


def _of_target(shape):
    """The shape of the losses of scores of this shape."""
    return (shape[0], *shape[2:]) if len(shape) > 1 else ()


def _loss(scores, target, shape, how, reduction, out):
    if reduction == "none":
        losses = checks.out(out, _of_target(shape), scores.dtype, scores, target)
        losses = memory.empty(_of_target(shape), scores.dtype) if losses is None else losses
        return _found(label_loss.class_losses(how, scores, target, losses), how, scores, target)
    if out is not None:
        raise ValueError(f"out must be left None with reduction={reduction!r}, whose result is a number")
    total, count = _found(label_loss.class_loss(how, scores, target), how, scores, target)
    if reduction == "mean":
        total = total / count if count else math.nan
    return scores.dtype.type(total)


def _found(result, how, scores, target):
    """What the loops return, which is None where a label is no class: the checks say which."""
    if result is None:
        counting = target[target != how.ignored]
        checks.labels(counting, "target", len(counting), scores.shape[1])
    return result


def _gradient(scores, target, shape, how, reduction, grad_output, out):
    weight, weights = 0.0, None
    if reduction == "none" and checks.has_axes(grad_output, "grad_output"):
        weights = checks.array(grad_output, "grad_output")
        checks.same_dtype(scores=scores, grad_output=weights)
        weights = np.ascontiguousarray(checks.shape(weights, "grad_output", _of_target(shape), "(that of the loss)"))
    else:
        weight = checks.number(grad_output, "grad_output")
    grad = None
    if out is not None:
        grad = checks.out(out, shape, scores.dtype, scores, target, weights)
        if target.dtype.kind != "f":    # wrong labels, which the loops would find when some rows are written
            _found(None, how, scores, target)
    elif shape != scores.shape:
        grad = memory.empty(shape, scores.dtype)
    found = label_loss.class_loss_backward(how, scores, target, weight, weights, reduction == "mean", grad)
    return _found(found, how, scores, target)


def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None, ignore_index: int = IGNORED,
             reduction: Reduction = "mean", out: Array | None = None) -> Any:
    """Negative log-likelihood: minus the log-probability of the right class.

    Parameters
    ----------
    log_probs : array (N, classes), (N, classes, d1, ...) or (classes,), float32 or float64
        Log-probabilities, as `log_softmax` gives them.
    target : array (N,), (N, d1, ...) or () of int
        The class number of each row, or position.
    weight : array (classes,), optional
        How much each class counts.
    ignore_index : int
        The class number of what does not count: its loss is 0, and it is left out of the mean.
    reduction : {"mean", "sum", "none"}
        The mean, in which each row counts as its class does, or the sum, or one loss for each.
    out : array, optional
        With ``reduction="none"``: filled with the result, C-contiguous, of its shape and dtype, apart from the inputs.

    Returns
    -------
    scalar, or array in the shape of target with ``reduction="none"``
        Of the dtype of log_probs; added up in double precision. The mean of no rows, as where all are ignored, is NaN.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1], reduction="none").round(4))
    [0.6931 0.2877]
    """
    log_probs, target, shape, how = _arguments(False, log_probs, target, weight, ignore_index, reduction)
    return _loss(log_probs, target, shape, how, reduction, out)


def nll_loss_backward(log_probs: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                      ignore_index: int = IGNORED, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                      out: Array | None = None) -> Array:
    """Gradient of `nll_loss` with respect to log_probs.

    Parameters
    ----------
    log_probs, target, weight, ignore_index, reduction
        The arguments of the forward call.
    grad_output : float, or array in the shape of target with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype, apart from the inputs.

    Returns
    -------
    array in the shape of log_probs
        ``-grad_output`` (over N for the mean) at the right classes, else 0; 0 for what is ignored.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.nll_loss_backward(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1])
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """
    log_probs, target, shape, how = _arguments(False, log_probs, target, weight, ignore_index, reduction)
    return _gradient(log_probs, target, shape, how, reduction, grad_output, out)


def cross_entropy(logits: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                  ignore_index: int = IGNORED, reduction: Reduction = "mean", label_smoothing: float = 0.0,
                  out: Array | None = None) -> Any:
    """Cross-entropy of softmax: `nll_loss` of `log_softmax`.

    Parameters
    ----------
    logits : array (N, classes), (N, classes, d1, ...) or (classes,), float32 or float64
        Any real numbers.
    target : array (N,), (N, d1, ...) or () of int, or array in the shape of logits, of its dtype
        The class number of each row, or position; or the probability that each class should have.
    weight : array (classes,), optional
        How much each class counts.
    ignore_index : int
        The class number of what does not count: its loss is 0, and it is left out of the mean.
    reduction : {"mean", "sum", "none"}
        The mean, in which each row counts as its class does (as 1 where target holds probabilities), or the sum, or one
        loss for each.
    label_smoothing : float from 0 to 1
        The part of each row's target that is spread evenly over all classes.
    out : array, optional
        With ``reduction="none"``: filled with the result, C-contiguous, of its shape and dtype, apart from the inputs.

    Returns
    -------
    scalar, or array (N,), (N, d1, ...) or () with ``reduction="none"``
        Of the dtype of logits; added up in double precision. The mean of no rows, as where all are ignored, is NaN.

    Notes
    -----
    Label smoothing: C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.
    Positions whose strides are not those of one axis, as those of ``logits[:, :, 1:-1, 1:-1]``, are copied.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> print(fc.cross_entropy(np.zeros((3, 4)), [0, 1, 2]).round(4))
    1.3863
    """
    logits, target, shape, how = _arguments(True, logits, target, weight, ignore_index, reduction, label_smoothing)
    return _loss(logits, target, shape, how, reduction, out)


def cross_entropy_backward(logits: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                           ignore_index: int = IGNORED, reduction: Reduction = "mean", label_smoothing: float = 0.0,
                           grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array:
    """Gradient of `cross_entropy` with respect to logits: softmax(logits) minus the target.

    Parameters
    ----------
    logits, target, weight, ignore_index, reduction, label_smoothing
        The arguments of the forward call.
    grad_output : float, or array of the shape of the loss with ``reduction="none"``
        Gradient with respect to the loss.
    out : array, optional
        Filled with the result: C-contiguous, of its shape and dtype, apart from the inputs.

    Returns
    -------
    array in the shape of logits
        ``grad_output * (softmax(logits) - target)``, over N for the mean; 0 for what is ignored.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.cross_entropy_backward(np.zeros((1, 4)), [2])
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    logits, target, shape, how = _arguments(True, logits, target, weight, ignore_index, reduction, label_smoothing)
    return _gradient(logits, target, shape, how, reduction, grad_output, out)
