"""A model judged by labelled images: what it takes them for, how often which class for which, its worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn
from fastconv.functional import checks
from fastconv.walk.network import meaning

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a model makes of labelled images.

    Attributes
    ----------
    labels : ndarray (N,) of int64
    log_probabilities, probabilities : ndarray (N, classes)
    """

    labels: NDArray[np.int64]
    log_probabilities: NDArray[Any]
    probabilities: NDArray[Any]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(N,): the class of the largest probability."""
        return self.log_probabilities.argmax(axis=1)

    @property
    def losses(self) -> NDArray[Any]:
        """(N,): minus the log-probability of each image's label."""
        return -self.log_probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def loss(self) -> float:
        """The mean of `losses`."""
        return float(self.losses.mean(dtype=np.float64))

    @property
    def accuracy(self) -> float:
        """The part of the images that is taken for what it is."""
        return float((self.predictions == self.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes): how many images of the class of the row were taken for that of the column."""
        classes = self.probabilities.shape[1]
        pairs = self.labels * classes + self.predictions
        return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def mistakes(self, count: int = 12) -> NDArray[np.int64]:
        """The numbers of the images taken for something else, the largest loss first; at most `count`."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.losses[wrong], kind="stable")][:checks.integer(count, "count", 0)]


def judge(model: nn.Module, images: ArrayLike, labels: ArrayLike, *, batch_size: int = 256) -> Judgement:
    """Judge a model by labelled images, in evaluation mode.

    Parameters
    ----------
    model : Module
        A classifier. It is not changed, and may be trained meanwhile in another thread.
    images : array (N, C, H, W)
    labels : array (N,) of int
    batch_size : int
        Images that go through the model at once.

    Returns
    -------
    Judgement

    Raises
    ------
    TypeError, ValueError
        If the model does not take the images, there is none, or a label is none of its classes.

    Examples
    --------
    >>> from fastconv import data, nn, walk
    >>> digits = data.digits("test")
    >>> seen = walk.judge(nn.models.lenet5(rng=0), digits.images, digits.labels)
    >>> seen.confusion.shape, int(seen.confusion.sum())
    ((10, 10), 1000)
    >>> bool(seen.confusion.trace() / 1000 == seen.accuracy)
    True
    >>> worst = seen.mistakes()[0]
    >>> bool(seen.losses[worst] == max(seen.losses[seen.predictions != seen.labels]))
    True
    """
    x = checks.array(images, "images")
    if not len(x):
        raise ValueError("images must hold at least one image")
    batch_size = checks.integer(batch_size, "batch_size", 1)
    with model.evaluating():
        shape = model(x[:1]).shape[1:]
        if len(shape) != 1:
            raise ValueError(f"model must give one number for each class, its output for an image has shape {shape}")
        targets = checks.labels(np.asarray(labels), "labels", len(x), shape[0])
        outputs = np.concatenate([model(x[start:start + batch_size]) for start in range(0, len(x), batch_size)])
    return Judgement(targets, *meaning(model, outputs))
