"""The loop: batch after batch forward, back, and a step; with the loss of each, and a layer's filters on the way."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, optim
from fastconv.data import DataLoader
from fastconv.functional import checks
from fastconv.walk.layers import convolution_of
from fastconv.walk.network import a_module, loss_of

__all__ = ["TrainingWalk", "training"]


@dataclass(frozen=True, eq=False)
class TrainingWalk:
    """What there is to see of a training.

    Attributes
    ----------
    model : Module
        Trained, in evaluation mode: a copy of the one that was given.
    losses : ndarray (steps,)
        Of each batch, before its step.
    at : ndarray (T,) of int64
        After how many steps the filters are shown: from 0, as they were initialised, to the last.
    filters : ndarray (T, K, C / groups, R, S)
    """

    model: nn.Module
    losses: NDArray[np.float64]
    at: NDArray[np.int64]
    filters: NDArray[Any]


def training(model: nn.Module, x: ArrayLike, labels: ArrayLike, *, lr: float = 0.05, momentum: float = 0.9,
             epochs: int = 1, batch_size: int = 64, layer: int = 0, most: int = 10) -> TrainingWalk:
    """Walk through a training by gradient descent: the steps that `fastconv.Trainer.fit` makes, to the bit.

    Parameters
    ----------
    model : Module
        A classifier. It is not changed: a copy is trained.
    x : array (N, C, H, W)
    labels : array (N,) of int
    lr, momentum : float
        Of `fastconv.optim.SGD`.
    epochs, batch_size : int
    layer : int
        Whose filters are kept on the way: a number among the model's layers `Conv2d`.
    most : int
        How many times at most they are kept, the first and the last included.

    Returns
    -------
    TrainingWalk

    Raises
    ------
    TypeError, ValueError
        As the model, the loss, the optimiser and the loader of batches do, or if there is no such layer.

    Examples
    --------
    >>> from fastconv import data, nn, walk
    >>> digits = data.digits("train")[:640]
    >>> seen = walk.training(nn.models.lenet5(rng=0), digits.images, digits.labels, most=3)
    >>> seen.at.tolist(), seen.filters.shape
    ([0, 5, 10], (3, 6, 1, 5, 5))
    >>> bool(seen.losses[-1] < seen.losses[0])
    True
    """
    double = copy.deepcopy(a_module(model)).train()
    weight = convolution_of(double, layer)[1].weight
    loader = DataLoader((x, labels), batch_size, shuffle=True)
    steps = checks.integer(epochs, "epochs", 1) * len(loader)
    at = np.unique(np.rint(np.linspace(0, steps, checks.integer(most, "most", 2))).astype(np.int64))
    losses: list[float] = []
    filters = [weight.data.copy()]
    for loss in descend(double, loader, optim.SGD(double.parameters(), lr, momentum), epochs):
        losses.append(loss)
        if len(losses) in at:
            filters.append(weight.data.copy())
    return TrainingWalk(double.eval(), np.array(losses), at, np.stack(filters))


def descend(model: nn.Module, loader: DataLoader, optimiser: optim.Optimizer, epochs: int) -> Iterator[float]:
    """Step after step of a training, with the loss of each batch; the model must be in training mode."""
    loss = loss_of(model)
    for _ in range(epochs):
        for x, y in loader:
            yield step(model, loss, optimiser, x, y)[0]


def step(model: nn.Module, loss: Any, optimiser: optim.Optimizer, x: NDArray[Any],
         y: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """One step of a training: the loss of the batch, and what the model made of it. Where the loss is not finite no
    parameter is moved."""
    optimiser.zero_grad()
    output = model(x)
    value = float(loss(output, y))
    if math.isfinite(value):
        model.backward(loss.backward(), needs_input_grad=False)
        optimiser.step()
    return value, output
