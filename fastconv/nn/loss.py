"""Losses: one number for a batch, and its gradient with respect to the model's output."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F
from fastconv._core.pointwise import elementwise
from fastconv.functional import checks

#: Log-probabilities above this are none: rounding brings them a little above zero at most.
_ROUNDING = 1e-3


class NLLLoss:
    """Negative log-likelihood, the mean of ``-log_probs[i, target[i]]``: for a model that ends in `LogSoftmax`.

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

    _inputs: tuple[Any, Any] | None = None

    def __call__(self, log_probs: ArrayLike, target: ArrayLike) -> float:
        """The loss of a batch: log-probabilities (N, classes), class numbers (N,).

        Raises
        ------
        ValueError
            If they do not fit together, or a value is positive: log-probabilities never are, NaN may be among them.
        """
        value = F.nll_loss(log_probs, target)
        _check_log_probabilities(log_probs)
        self._inputs = log_probs, target
        return value

    def backward(self) -> NDArray[Any]:
        """The gradient with respect to the log-probabilities of the last call, (N, classes)."""
        return F.nll_loss_backward(*_last(self))

    def __repr__(self) -> str:
        return "NLLLoss()"


class CrossEntropyLoss:
    """Log-softmax and negative log-likelihood in one: for a model whose last layer returns scores (logits).

    Parameters
    ----------
    label_smoothing : float
        This much of the target probability, 0 to 1, is spread over all classes (C. Szegedy et al., "Rethinking the
        Inception architecture for computer vision", 2016).

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

    _inputs: tuple[Any, Any] | None = None

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = checks.number(label_smoothing, "label_smoothing")
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")

    def __call__(self, logits: ArrayLike, target: ArrayLike) -> float:
        """The loss of a batch: scores (N, classes), class numbers (N,)."""
        value = F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)
        self._inputs = logits, target
        return value

    def backward(self) -> NDArray[Any]:
        """The gradient with respect to the scores of the last call, (N, classes)."""
        return F.cross_entropy_backward(*_last(self), label_smoothing=self.label_smoothing)

    def __repr__(self) -> str:
        smoothing = f"label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        return f"CrossEntropyLoss({smoothing})"


def _check_log_probabilities(log_probs: Any) -> None:
    values = checks.array(log_probs, "log_probs")
    highest = elementwise.highest(values) if values.size and values.flags.c_contiguous else math.nan
    if math.isnan(highest):
        highest = np.fmax.reduce(values, axis=None, initial=-np.inf)  # beside NaN too
    if highest > _ROUNDING:
        raise ValueError(f"log_probs must be log-probabilities, which are never positive, got {highest:.6g}: "
                         "end the model with nn.LogSoftmax(), "
                         "or take nn.CrossEntropyLoss() for a model that returns scores")


def _last(loss: NLLLoss | CrossEntropyLoss) -> tuple[Any, Any]:
    if loss._inputs is None:
        raise RuntimeError(f"{type(loss).__name__}.backward needs a call before it: value = loss(y, target)")
    return loss._inputs
