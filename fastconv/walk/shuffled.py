"""Convolution keeps spatial information, a row of numbers has none: the same images with their pixels shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, optim
from fastconv.data import DataLoader
from fastconv.functional import checks
from fastconv.walk.predictions import predictions
from fastconv.walk.training import descend

__all__ = ["ShuffledWalk", "shuffled_pixels"]

_HIDDEN = 120  # neurons of the first fully connected layer: as many as LeNet-5 has there


@dataclass(frozen=True, eq=False)
class ShuffledWalk:
    """What there is to see of the experiment.

    Attributes
    ----------
    permutation : ndarray (H * W,) of int64
        Pixel number i of a shuffled image is number ``permutation[i]`` of the image: the same for all images.
    image, shuffled : ndarray (C, H, W)
        The first test image, as it is and shuffled.
    accuracies : dict of str to (float, float)
        Of "LeNet-5" and of "two fully connected layers" on the test images: as they are, and shuffled.
    """

    permutation: NDArray[np.int64]
    image: NDArray[Any]
    shuffled: NDArray[Any]
    accuracies: dict[str, tuple[float, float]]


def shuffled_pixels(x: ArrayLike, labels: ArrayLike, test_x: ArrayLike, test_labels: ArrayLike, *, epochs: int = 5,
                    seed: int = 0) -> ShuffledWalk:
    """Train a LeNet-5 and a network of two fully connected layers, each on images as they are and on the same images
    with their pixels shuffled by one fixed permutation.

    Fully connected layers do not know which pixels are neighbours, so they learn the shuffled images as well as the
    others. A convolution looks for what neighbours have in common, and loses it.

    Parameters
    ----------
    x, test_x : array (N, C, H, H)
        To train with, and to measure on.
    labels, test_labels : array (N,) of int
    epochs : int
    seed : int
        Of the permutation and the networks' weights.

    Returns
    -------
    ShuffledWalk

    Raises
    ------
    TypeError, ValueError
        As the networks and the loader of batches do.

    Examples
    --------
    >>> from fastconv import data, walk
    >>> train, test = data.digits("train"), data.digits("test")
    >>> seen = walk.shuffled_pixels(train.images, train.labels, test.images, test.labels, epochs=2)
    >>> {name: len(both) for name, both in seen.accuracies.items()}
    {'LeNet-5': 2, 'two fully connected layers': 2}
    """
    images, others = checks.array(x, "x"), checks.array(test_x, "test_x")
    for name, array in (("x", images), ("test_x", others)):
        if (array.ndim != 4 or not len(array) or array.shape[1:] != images.shape[1:]
                or array.shape[2] != array.shape[3]):
            raise ValueError(f"{name} must be images (N, C, H, H) of one size, got shape {array.shape}")
    checks.integer(epochs, "epochs", 1)
    seed = checks.integer(seed, "seed", 0)
    count = int(checks.labels(labels, "labels", len(images), checks.LARGEST_OPTION).max()) + 1
    checks.labels(test_labels, "test_labels", len(others), count)
    channels, rows, columns = images.shape[1:]
    permutation = np.random.default_rng(seed).permutation(rows * columns)

    def shuffle(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(array.reshape(*array.shape[:2], -1)[:, :, permutation]).reshape(array.shape)

    def lenet() -> nn.Module:
        return nn.models.lenet5(channels, count, rows, rng=seed)

    def connected() -> nn.Module:
        rng = np.random.default_rng(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(images[0].size, _HIDDEN, rng=rng), nn.ReLU(),
                             nn.Linear(_HIDDEN, count, rng=rng), nn.LogSoftmax())

    def accuracy(model: nn.Module, train: NDArray[Any], test: NDArray[Any]) -> float:
        loader = DataLoader((train, labels), 64, shuffle=True, seed=seed)
        for _ in descend(model, loader, optim.SGD(model.parameters(), 0.05, 0.9), epochs):
            pass
        return predictions(model, test, test_labels).accuracy

    pairs = ((images, others), (shuffle(images), shuffle(others)))
    accuracies = {}
    for title, make in (("LeNet-5", lenet), ("two fully connected layers", connected)):
        first, second = (accuracy(make(), *pair) for pair in pairs)
        accuracies[title] = first, second
    return ShuffledWalk(permutation, others[0], pairs[1][1][0], accuracies)
