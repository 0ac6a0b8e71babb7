"""What a network takes many images for: which it has right, which classes it confuses, and its worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn
from fastconv.functional import checks
from fastconv.walk.layers import channels_first
from fastconv.walk.network import a_module

__all__ = ["PredictionsWalk", "confusion", "predictions"]


@dataclass(frozen=True, eq=False)
class PredictionsWalk:
    """What there is to see of a network's predictions.

    Attributes
    ----------
    x : ndarray (N, C, H, W)
    labels : ndarray (N,) of int64
        The classes that the images are of.
    probabilities : ndarray (N, classes)
    """

    x: NDArray[Any]
    labels: NDArray[np.int64]
    probabilities: NDArray[Any]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(N,): the class of the largest probability."""
        return self.probabilities.argmax(axis=1)

    @property
    def losses(self) -> NDArray[Any]:
        """(N,): minus the logarithm of the probability of each image's label."""
        with np.errstate(divide="ignore"):  # infinite where the probability is 0
            return -np.log(self.probabilities[np.arange(len(self.labels)), self.labels])

    @property
    def loss(self) -> float:
        """The mean of `losses`."""
        return float(self.losses.mean(dtype=np.float64))

    @property
    def accuracy(self) -> float:
        """The part of the images that are taken for what they are."""
        return float(np.mean(self.predictions == self.labels))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes): how many images of the row's class are taken for the column's."""
        return confusion(self.labels, self.predictions, self.probabilities.shape[1])

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """The numbers of the images that are taken for something else, the worst first: where the class that the image
        is of has the least probability."""
        right = self.probabilities[np.arange(len(self.labels)), self.labels]
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(right[wrong], kind="stable")]


def confusion(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """How often each class is taken for each.

    Parameters
    ----------
    labels, predictions : array (N,) of int
        What images are of, and what they are taken for.
    classes : int

    Returns
    -------
    ndarray (classes, classes), int64
        Row: the class; column: what it is taken for.

    Raises
    ------
    TypeError, ValueError
        If they are not class numbers below `classes`, one for each image.

    Examples
    --------
    >>> from fastconv import walk
    >>> walk.confusion([0, 1, 1, 2], [0, 1, 2, 2], 3)
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    count = checks.integer(classes, "classes", 1)
    rows = checks.labels(labels, "labels", np.size(labels), count)
    columns = checks.labels(predictions, "predictions", len(rows), count)
    table: NDArray[np.int64] = np.bincount(rows * count + columns, minlength=count**2).reshape(count, count)
    return table


def predictions(model: nn.Module, x: ArrayLike, labels: ArrayLike) -> PredictionsWalk:
    """See what a network takes images for, in evaluation mode.

    Parameters
    ----------
    model : Module
        A classifier.
    x : array (N, C, H, W)
        At least one image.
    labels : array (N,) of int

    Returns
    -------
    PredictionsWalk

    Raises
    ------
    TypeError, ValueError
        If the model does not take the images, or there is not one label for each.

    Examples
    --------
    >>> from fastconv import data, nn, walk
    >>> digits = data.digits("test")[:100]
    >>> seen = walk.predictions(nn.models.lenet5(rng=0), digits.images, digits.labels)
    >>> len(seen.mistakes) + int(seen.confusion.trace())
    100
    """
    images = checks.array(x, "x")
    if not images.ndim or not len(images):
        raise ValueError(f"x must hold at least one image, got shape {images.shape}")
    probabilities = a_module(model).predict_proba(images)
    if probabilities.ndim != 2:
        raise ValueError(f"model must give one number for each class, its output has shape {probabilities.shape}")
    targets = checks.labels(labels, "labels", len(images), probabilities.shape[1])
    return PredictionsWalk(channels_first(model, images), targets, probabilities)
