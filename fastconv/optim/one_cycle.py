"""The one-cycle schedule: learning rate and momentum, batch by batch."""

from __future__ import annotations

import math
from typing import Any, Literal

from fastconv.functional import checks
from fastconv.optim.optimizer import Optimizer
from fastconv.optim.ranges import above_zero, at_least_zero
from fastconv.optim.schedule import Schedule


class OneCycleLR(Schedule):
    """Up to `max_lr` and far down again, one step for each batch; the momentum moves the other way.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float
        The highest learning rate.
    total_steps : int, optional
        Batches in the whole training; or give `epochs` and `steps_per_epoch`. A single one has the highest rate.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        The part of the steps that goes up.
    anneal_strategy : {"cos", "linear"}
        Along half a cosine wave, or a straight line.
    cycle_momentum : bool
        Whether momentum (of Adam, the first beta) goes from `max_momentum` to `base_momentum` and back.
    base_momentum, max_momentum : float
    div_factor : float
        The first learning rate is ``max_lr / div_factor``,
    final_div_factor : float
        and the last is the first one divided by this.

    Notes
    -----
    Source: L. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2018.

    Examples
    --------
    >>> from fastconv import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0, momentum=0.9)
    >>> schedule = optim.OneCycleLR(optimizer, max_lr=1.0, epochs=2, steps_per_epoch=5)
    >>> [round(schedule.lr_at(batch), 3) for batch in range(10)]
    [0.04, 0.52, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]
    """

    settings = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "cycle_momentum", "base_momentum",
                "max_momentum", "div_factor", "final_div_factor")
    interval = "batch"
    total_steps: int

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        *,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("total_steps, or both epochs and steps_per_epoch, must be given")
            total_steps = checks.integer(epochs, "epochs", 1) * checks.integer(steps_per_epoch, "steps_per_epoch", 1)
        self.total_steps = checks.integer(total_steps, "total_steps", 1)
        self.max_lr = at_least_zero(max_lr, "max_lr")
        self.pct_start = checks.number(pct_start, "pct_start")
        if not 0 <= self.pct_start <= 1:
            raise ValueError(f"pct_start must be from 0 to 1, got {pct_start}")
        self.anneal_strategy = checks.choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.div_factor = above_zero(div_factor, "div_factor")
        self.final_div_factor = above_zero(final_div_factor, "final_div_factor")
        self.base_momentum = at_least_zero(base_momentum, "base_momentum")
        self.max_momentum = at_least_zero(max_momentum, "max_momentum")
        self.cycle_momentum = checks.flag(cycle_momentum, "cycle_momentum")
        if self.cycle_momentum:
            if not (hasattr(optimizer, "momentum") or hasattr(optimizer, "betas")):
                raise ValueError("cycle_momentum needs an optimizer with momentum or betas, got "
                                 f"{type(optimizer).__name__}")
            for momentum in (self.base_momentum, self.max_momentum):
                optimizer.checked_settings(_momentum_settings(optimizer, momentum))
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        first = self.max_lr / self.div_factor
        return self._anneal(step, first, self.max_lr, first / self.final_div_factor)

    def _settings_at(self, step: int) -> dict[str, Any]:
        settings = super()._settings_at(step)
        if self.cycle_momentum:
            momentum = self._anneal(step, self.max_momentum, self.base_momentum, self.max_momentum)
            settings |= _momentum_settings(self.optimizer, momentum)
        return settings

    def _anneal(self, step: int, start: float, top: float, end: float) -> float:
        """From `start` to `top` over the first part of the steps, then to `end`."""
        if step == 0 and self.total_steps == 1:
            return top
        turn, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= turn:
            return self._between(start, top, step / turn if turn else 1.0)
        return self._between(top, end, min(1.0, (step - turn) / (last - turn)) if last > turn else 1.0)

    def _between(self, a: float, b: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return a + (b - a) * part
        return b + (a - b) * (1 + math.cos(math.pi * part)) / 2


def _momentum_settings(optimizer: Any, momentum: float) -> dict[str, Any]:
    """The setting of an optimiser in which this is the momentum."""
    return {"betas": (momentum, optimizer.betas[1])} if hasattr(optimizer, "betas") else {"momentum": momentum}
