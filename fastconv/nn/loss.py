"""Losses: one number for a batch, and its gradient with respect to the model's output."""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F
from fastconv._core.pointwise import elementwise
from fastconv.functional import checks
from fastconv.functional.loss import IGNORED
from fastconv.functional.typing import Reduction

#: Log-probabilities above this are none: rounding brings them a little above zero at most.
_ROUNDING = 1e-3

#: Probabilities whose sum is further from 1 than this are none; a difference quotient steps a little beside them.
_FAR = 0.2


class Loss:
    """What all losses share: a function of what a model returns and what it should, and its gradient.

    A subclass defines `_loss_of` and `_gradient_of`, both as the functions of `fastconv` take their arguments.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        One number for a batch, as a training needs it, or with "none" one for each sample, position or number.
    """

    reduction: Reduction = "mean"
    _inputs: tuple[Any, Any, NDArray[Any] | None] | None = None

    def __init__(self, reduction: Reduction = "mean") -> None:
        if checks.choice(reduction, "reduction", checks.REDUCTIONS) != "mean":  # what is as usual, the class has
            self.reduction = reduction

    def __call__(self, x: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """The loss of a batch.

        Parameters
        ----------
        x, target : array
            What the model returned, and what it should have.
        sample_weight : array (N,), optional
            How much each sample counts in the mean.
        """
        shares = None
        if sample_weight is None:
            value = self._loss_of(x, target, self.reduction)
        else:
            value, shares = self._weighted(x, target, sample_weight)
        self._inputs = x, target, shares
        return value

    def backward(self, grad_output: Any = 1.0) -> NDArray[Any]:
        """The gradient with respect to the `x` of the last call, times that with respect to the loss."""
        if self._inputs is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a call before it: value = loss(y, target)")
        x, target, shares = self._inputs
        if shares is None:
            return self._gradient_of(x, target, self.reduction, grad_output)
        return self._gradient_of(x, target, "none", shares * checks.number(grad_output, "grad_output"))

    def counted(self, target: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> float:
        """What a batch counts for, where it is a part of a larger one whose loss is to be known: the number of its
        samples, or of its labels, by their weights; 1 where losses are added up.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.NLLLoss(ignore_index=9).counted(np.array([0, 9, 1]))
        2.0
        """
        if self.reduction == "sum":
            return 1.0
        counts = np.asarray(self._counts(None, target))
        if counts.ndim == 0:
            counts = np.broadcast_to(counts, target.shape[:1])
        if sample_weight is not None:
            counts = counts * sample_weight.reshape(-1, *[1] * (counts.ndim - 1))
        return float(counts.sum(dtype=np.float64))

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        raise NotImplementedError

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        raise NotImplementedError

    def _counts(self, x: Any, target: Any) -> Any:
        """For what each of the losses counts in their mean."""
        return 1.0

    def _weighted(self, x: Any, target: Any, sample_weight: Any) -> tuple[Any, NDArray[Any]]:
        """The mean in which each sample counts for its weight, and what each loss adds to it."""
        if self.reduction != "mean":
            raise ValueError(f"sample_weight must be left None with reduction={self.reduction!r}")
        losses = self._loss_of(x, target, "none")
        weights = sample_weights(sample_weight, losses.shape[0] if losses.ndim else 1)
        weights = weights.reshape(-1, *[1] * (losses.ndim - 1)) if losses.ndim else weights[0]
        counted = np.broadcast_to(weights * self._counts(x, target), losses.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = counted.sum()
            shares = np.broadcast_to(weights / total, losses.shape).astype(losses.dtype)
            return losses.dtype.type((losses * weights).sum() / total), shares

    def __repr__(self) -> str:
        shown = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name)
            if isinstance(value, np.ndarray) or value != parameter.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def sample_weights(value: Any, count: int) -> NDArray[np.float64]:
    """The argument `sample_weight`: so many finite numbers, at least 0 and not all 0."""
    weights = np.asarray(value)
    if weights.shape != (count,):
        raise ValueError(f"sample_weight must have shape ({count},), one number for each sample, got {weights.shape}")
    if weights.dtype.kind not in "fiu":
        raise TypeError(f"sample_weight must be real numbers, got {weights.dtype}")
    weights = weights.astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("sample_weight must be finite and at least 0, got "
                         f"{weights[~(np.isfinite(weights) & (weights >= 0))][0]}")
    return weights


def _like(x: Any, weight: NDArray[Any] | None) -> NDArray[Any] | None:
    """Weights in the dtype of x."""
    return None if weight is None else weight.astype(checks.array(x, "x").dtype, copy=False)


# ---------------------------------------------------------------------------------------------------------------------
# Of classes


class ClassLoss(Loss):
    """What the losses of classes share.

    Parameters
    ----------
    weight : array (classes,), optional
        How much each class counts.
    ignore_index : int
        The class number of what does not count.
    """

    weight: NDArray[Any] | None = None
    ignore_index: int = IGNORED

    def __init__(self, weight: ArrayLike | None, ignore_index: int, reduction: Reduction) -> None:
        super().__init__(reduction)
        if weight is not None:
            self.weight = checks.array(weight, "weight")
        if checks.integer(ignore_index, "ignore_index", -(2**31)) != IGNORED:
            self.ignore_index = int(ignore_index)

    def _options(self, x: Any) -> dict[str, Any]:
        """What the functions take beside reduction."""
        if self.weight is None and self.ignore_index == IGNORED:
            return {}
        return {"weight": _like(x, self.weight), "ignore_index": self.ignore_index}

    def _counts(self, x: Any, target: Any) -> Any:
        labels = np.asarray(target)
        if labels.dtype.kind == "f":
            return 1.0
        ignored = labels == self.ignore_index
        weights = np.ones(()) if self.weight is None else self.weight[np.where(ignored, 0, labels)]
        return np.where(ignored, 0.0, weights)


class NLLLoss(ClassLoss):
    """Negative log-likelihood, the mean of ``-log_probs[i, target[i]]``: for a model that ends in `LogSoftmax`.

    Parameters
    ----------
    weight, ignore_index, reduction
        As of `fastconv.nll_loss`.

    Warns
    -----
    UserWarning
        At its first call, where the probabilities of a sample are far from adding up to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> loss = nn.NLLLoss()
    >>> value = loss(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1])
    >>> round(float(value), 4)
    0.4904
    >>> loss.backward()
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """

    _looked_at = False

    def __init__(self, weight: ArrayLike | None = None, *, ignore_index: int = IGNORED,
                 reduction: Reduction = "mean") -> None:
        super().__init__(weight, ignore_index, reduction)

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        value = F.nll_loss(x, target, reduction=reduction, **self._options(x))
        _check_log_probabilities(x)
        if not self._looked_at:
            self._looked_at = True
            _warn_of_scores(x)
        return value

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.nll_loss_backward(x, target, reduction=reduction, grad_output=grad_output, **self._options(x))


class CrossEntropyLoss(ClassLoss):
    """Log-softmax and negative log-likelihood in one: for a model whose last layer returns scores (logits).

    Parameters
    ----------
    label_smoothing : float
        This much of the target probability, 0 to 1, is spread over all classes (C. Szegedy et al., "Rethinking the
        Inception architecture for computer vision", 2016).
    weight, ignore_index, reduction
        As of `fastconv.cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> loss = nn.CrossEntropyLoss()
    >>> value = loss(np.array([[0.0, 0.0]]), [1])
    >>> round(float(value), 4)
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    def __init__(self, label_smoothing: float = 0.0, *, weight: ArrayLike | None = None, ignore_index: int = IGNORED,
                 reduction: Reduction = "mean") -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = checks.number(label_smoothing, "label_smoothing")
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        return F.cross_entropy(x, target, reduction=reduction, label_smoothing=self.label_smoothing, **self._options(x))

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.cross_entropy_backward(x, target, reduction=reduction, label_smoothing=self.label_smoothing,
                                        grad_output=grad_output, **self._options(x))


def _check_log_probabilities(log_probs: Any) -> None:
    values = checks.array(log_probs, "log_probs")
    highest = elementwise.highest(values) if values.size and values.flags.c_contiguous else math.nan
    if math.isnan(highest):
        highest = np.fmax.reduce(values, axis=None, initial=-np.inf)  # beside NaN too
    if highest > _ROUNDING:
        raise ValueError(f"log_probs must be log-probabilities, which are never positive, got {highest:.6g}: "
                         "end the model with nn.LogSoftmax(), "
                         "or take nn.CrossEntropyLoss() for a model that returns scores")


def _warn_of_scores(log_probs: Any) -> None:
    """Say that a model returns something else than log-probabilities; the first sample shows it."""
    values = checks.array(log_probs, "log_probs")
    if not values.size:
        return
    first = values if values.ndim == 1 else values[0].reshape(values.shape[1], -1)[:, 0]
    total = float(np.exp(first.astype(np.float64)).sum())
    if abs(total - 1) > _FAR:
        warnings.warn(f"log_probs should be log-probabilities, but those of the first sample add up to {total:.4g} as "
                      "probabilities: end the model with nn.LogSoftmax(), or take nn.CrossEntropyLoss() for a model "
                      "that returns scores", stacklevel=4)


# ---------------------------------------------------------------------------------------------------------------------
# Of numbers


class PairLoss(Loss):
    """What the losses of numbers share: the target has the shape and the dtype of what the model returns."""

    def _weighted(self, x: Any, target: Any, sample_weight: Any) -> tuple[Any, NDArray[Any]]:
        if np.ndim(x) == 0:
            raise ValueError("x must have an axis of samples with sample_weight, got a number")
        return super()._weighted(x, target, sample_weight)


class MSELoss(PairLoss):
    """The mean of ``(x - target)**2``: regression; see `fastconv.mse_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> loss = nn.MSELoss()
    >>> float(loss(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]])))
    2.0
    >>> loss.backward()
    array([[0.],
           [2.]])
    """

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        return F.mse_loss(x, target, reduction=reduction)

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.mse_loss_backward(x, target, reduction=reduction, grad_output=grad_output)


class L1Loss(PairLoss):
    """The mean of ``|x - target|``: regression that a few outliers do not spoil; see `fastconv.l1_loss`."""

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        return F.l1_loss(x, target, reduction=reduction)

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.l1_loss_backward(x, target, reduction=reduction, grad_output=grad_output)


class HuberLoss(PairLoss):
    """`MSELoss` over 2 for differences up to delta, straight beyond; see `fastconv.huber_loss`."""

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = checks.number(delta, "delta")
        F.huber_loss(np.empty(0), np.empty(0), delta=self.delta)  # whether it may be that

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        return F.huber_loss(x, target, reduction=reduction, delta=self.delta)

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.huber_loss_backward(x, target, reduction=reduction, delta=self.delta, grad_output=grad_output)


class SmoothL1Loss(PairLoss):
    """`L1Loss`, but a parabola for differences up to beta; see `fastconv.smooth_l1_loss`."""

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = checks.number(beta, "beta")
        F.smooth_l1_loss(np.empty(0), np.empty(0), beta=self.beta)  # whether it may be that

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        return F.smooth_l1_loss(x, target, reduction=reduction, beta=self.beta)

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        return F.smooth_l1_loss_backward(x, target, reduction=reduction, beta=self.beta, grad_output=grad_output)


class BCEWithLogitsLoss(PairLoss):
    """Cross-entropy of sigmoid, for questions of yes or no: of a model whose last layer returns scores (logits).

    Parameters
    ----------
    weight, pos_weight, reduction
        As of `fastconv.binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> loss = nn.BCEWithLogitsLoss()
    >>> round(float(loss(np.array([[0.0, 1000.0]]), np.array([[1.0, 1.0]]))), 4)
    0.3466
    """

    def __init__(self, weight: ArrayLike | None = None, *, pos_weight: ArrayLike | None = None,
                 reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else checks.array(weight, "weight")
        self.pos_weight = None if pos_weight is None else checks.array(pos_weight, "pos_weight")

    def _loss_of(self, x: Any, target: Any, reduction: Reduction) -> Any:
        weight, pos_weight = _like(x, self.weight), _like(x, self.pos_weight)
        return F.binary_cross_entropy_with_logits(x, target, weight=weight, pos_weight=pos_weight, reduction=reduction)

    def _gradient_of(self, x: Any, target: Any, reduction: Reduction, grad_output: Any) -> NDArray[Any]:
        weight, pos_weight = _like(x, self.weight), _like(x, self.pos_weight)
        return F.binary_cross_entropy_with_logits_backward(x, target, weight=weight, pos_weight=pos_weight,
                                                           reduction=reduction, grad_output=grad_output)
