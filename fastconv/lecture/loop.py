"""The loop of the lecture, one step at a time: a batch, its loss, the way back, the update; and after each epoch a
judgement. It ends with the very weights of `fastconv.Trainer.fit`."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fastconv import data, nn, optim, walk
from fastconv.functional import checks
from fastconv.optim.ranges import at_least_zero, below_one
from fastconv.training import History
from fastconv.walk.network import loss_of
from fastconv.walk.training import step

__all__ = ["Loop", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What can be set while a training runs.

    Attributes
    ----------
    lr, momentum : float
        From the next step on.
    batch_size : int
        From the next epoch on.
    epochs : int
        The run ends with the first epoch that makes them so many.
    seed : int
        Of the order of the images, from the next reset on.
    """

    lr: float = 0.05
    momentum: float = 0.9
    batch_size: int = 64
    epochs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        at_least_zero(self.lr, "lr")
        below_one(self.momentum, "momentum")
        checks.integer(self.batch_size, "batch_size", 1, 65536)
        checks.integer(self.epochs, "epochs", 1, 10_000)
        checks.integer(self.seed, "seed", 0)

    def changed(self, values: dict[str, Any]) -> Settings:
        """With other values.

        Raises
        ------
        TypeError, ValueError
            If there is no such setting, or a value is none for it.
        """
        names = [field.name for field in fields(self)]
        for name in values:
            if name not in names:
                raise ValueError(f"a setting must be one of {', '.join(names)}, got {name!r}")
        return replace(self, **values)


class Loop:
    """A run from its first weights on.

    Parameters
    ----------
    model : Module
        Where it begins; it is copied.
    train_set, test_set : ArrayDataset
    settings : Settings

    Attributes
    ----------
    model : Module
        The copy, which is trained.
    losses : list of float
        Of every step so far.
    history : History
        Of every epoch so far, as `fastconv.Trainer.fit` returns it.
    predictions : walk.PredictionsWalk or None
        For `test_set`, after the last epoch that is done.
    batch : int
        Steps done in this epoch.
    """

    def __init__(self, model: nn.Module, train_set: data.ArrayDataset, test_set: data.ArrayDataset,
                 settings: Settings) -> None:
        self.model = copy.deepcopy(model)
        self.loss = loss_of(self.model)
        self.optimizer = optim.SGD(self.model.parameters(), settings.lr, settings.momentum)
        self.train_set, self.test_set, self.seed = train_set, test_set, settings.seed
        self.losses: list[float] = []
        self.history = History()
        self.predictions: walk.PredictionsWalk | None = None
        self.batch = self._images = self._correct = 0
        self._loss = self._seconds = self._images_per_second = 0.0
        self._begin(settings.batch_size)

    @property
    def images_per_second(self) -> float:
        """In this epoch, or where it has only begun in the last."""
        return self._images / self._seconds if self._images else self._images_per_second

    @property
    def batches(self) -> int:
        """Steps in this epoch."""
        return len(self._loader)

    def step(self, settings: Settings) -> bool:
        """Make one step, and after the last of an epoch judge the model; whether it was one.

        Raises
        ------
        FloatingPointError
            If the loss is no longer finite: the step is not made.
        """
        start = time.perf_counter()
        x, y = next(self._left)
        self.optimizer.lr, self.optimizer.momentum = settings.lr, settings.momentum
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an error of its own
            loss, output = step(self.model, self.loss, self.optimizer, x, y)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the training diverged in epoch {len(self.history) + 1}, the loss of batch "
                                     f"{self.batch + 1} is {loss}: reset it, and try a lower learning rate")
        self.losses.append(loss)
        self.batch, self._images = self.batch + 1, self._images + len(y)
        self._loss += loss * len(y)
        self._correct += int(np.count_nonzero(output.argmax(axis=1) == y))
        self._seconds += time.perf_counter() - start
        if self.batch < self.batches:
            return False
        self._end(settings)
        return True

    def _begin(self, batch_size: int) -> None:
        """Begin an epoch."""
        self._loader = data.DataLoader(self.train_set, batch_size, shuffle=True, seed=self.seed)
        self._left = self._loader.batches(len(self.history))
        self.batch = self._images = self._correct = 0
        self._loss = self._seconds = 0.0
        self.model.train()

    def _end(self, settings: Settings) -> None:
        """Judge the model, write the epoch into the history, and begin the next."""
        self._images_per_second = self.images_per_second
        start = time.perf_counter()
        self.predictions = walk.predictions(self.model, self.test_set.images, self.test_set.labels)
        self.history.append(
            epoch=len(self.history) + 1,
            train_loss=self._loss / self._images,
            train_accuracy=self._correct / self._images,
            validation_loss=self.predictions.loss,
            validation_accuracy=self.predictions.accuracy,
            lr=settings.lr,
            seconds=self._seconds + time.perf_counter() - start,
        )
        self._begin(settings.batch_size)
