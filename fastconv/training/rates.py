"""A learning rate found by trying: one short run in which it grows from step to step, after which all is as before."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.data import DataLoader
from fastconv.functional import checks
from fastconv.optim import clip_grad_norm_
from fastconv.optim.ranges import above_zero
from fastconv.training.run import Parts, Run, prepare, state_of

_SMOOTHING = 0.9  # of the running mean of the loss
_UNEVEN = 5  # one part in so many of the steps, the first
_LOST = 4.0  # times the least loss: the rate is too high, and grows no more


@dataclass(frozen=True)
class RateSearch:
    """What `Trainer.lr_find` returns.

    Attributes
    ----------
    lr, loss : list of float
        Of each step, before it was made.
    smoothed : list of float
        The losses as a running mean.
    suggestion : float or None
        The rate at which the mean falls fastest; None where it does not fall.
    """

    lr: list[float]
    loss: list[float]
    smoothed: list[float]
    suggestion: float | None

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the loss against the rate, with Matplotlib: see `fastconv.plots.LearningRateDisplay`."""
        from fastconv.plots import LearningRateDisplay

        return LearningRateDisplay.from_arrays(self.lr, self.loss, smoothed=self.smoothed,
                                               suggestion=self.suggestion).plot(ax=ax)


def find_rate(parts: Parts, loader: DataLoader, lowest: float, highest: float, steps: int) -> RateSearch:
    """Steps with rates from `lowest` to `highest`, each by the same factor above the one before, until the loss runs
    away; then model, optimiser and generators are put back as they were."""
    low, high = above_zero(lowest, "lowest"), above_zero(highest, "highest")
    if low >= high:
        raise ValueError(f"highest must be above lowest, got {highest} and {lowest}")
    rates: list[float] = np.geomspace(low, high, checks.integer(steps, "steps", 3, 1_000_000)).tolist()
    trained, good = parts.model.training, copy.deepcopy(state_of(parts, Run()))
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    try:
        parts.model.train()
        with np.errstate(over="ignore", invalid="ignore"):
            for rate, (x, y) in zip(rates, _endless(loader)):
                loss = _step(parts, rate, x, y)
                if not math.isfinite(loss):
                    break
                losses.append(loss)
                mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
                smoothed.append(mean / (1 - _SMOOTHING ** len(losses)))  # as if the mean had not begun with 0
                if smoothed[-1] > _LOST * min(smoothed):
                    break
    finally:
        prepare(parts, good, len(loader))[1]()
        parts.optimizer.zero_grad()
        if not trained:
            parts.model.eval()
    rates = rates[:len(losses)]
    return RateSearch(rates, losses, smoothed, _steepest(rates, smoothed))


def _endless(loader: DataLoader) -> Iterator[Any]:
    """The batches of one epoch after the other."""
    epoch = 0
    while True:
        yield from loader.batches(epoch)
        epoch += 1


def _step(parts: Parts, rate: float, x: Any, y: Any) -> float:
    """One step with a learning rate: the loss before it."""
    parts.optimizer.lr = rate
    parts.optimizer.zero_grad()
    loss = float(parts.loss(parts.model(x), y))
    if math.isfinite(loss):
        parts.model.backward(parts.loss.backward(), needs_input_grad=False)
        if parts.clip_grad_norm is not None:
            clip_grad_norm_(parts.optimizer.params, parts.clip_grad_norm)
        parts.optimizer.step()
    return loss


def _steepest(rates: list[float], smoothed: list[float]) -> float | None:
    """The rate at which the losses fall fastest, of those before the least; the mean of the first is too uneven."""
    first, end = len(smoothed) // _UNEVEN, int(np.argmin(smoothed)) + 1 if smoothed else 0
    if end - first < 3:  # a slope needs neighbours
        return None
    slopes = np.gradient(smoothed[first:end], np.log(rates[first:end]))
    return rates[first + int(slopes.argmin())] if slopes.min() < 0 else None
