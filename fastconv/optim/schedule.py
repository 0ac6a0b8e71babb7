"""Learning-rate schedules: what they share, and those that step once an epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

from fastconv.functional import checks
from fastconv.optim.optimizer import Optimizer
from fastconv.optim.ranges import at_least_zero


class Schedule:
    """The learning rate as a function of the number of steps.

    The rate for step 0 is set when the schedule is made, the next one with each call of `step`. A subclass defines
    `settings` and `lr_at`.

    Parameters
    ----------
    optimizer : Optimizer
        Its `lr` is what the schedule sets.

    Attributes
    ----------
    steps : int
        Calls of `step` so far.
    base_lr : float
        The optimiser's learning rate when the schedule was made.
    interval : {"epoch", "batch"}
        What the `Trainer` takes as a step.
    total_steps : int or None
        As many steps as it was made for; None for any number.
    """

    #: Names of the constructor's arguments that the rates depend on.
    settings: tuple[str, ...] = ()
    interval = "epoch"
    total_steps: int | None = None

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a fastconv.optim optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.steps = 0
        first = optimizer.checked_settings(self._settings_at(0))
        #: What the optimiser had before the schedule took over.
        self.before = {name: getattr(optimizer, name) for name in first}
        self._set(0, first)

    def step(self) -> None:
        """Set what belongs to the next epoch, or batch.

        Raises
        ------
        ValueError
            After more than `total_steps` steps, where there is such a number; nothing has changed.
        """
        steps = self.steps + 1
        if self.total_steps is not None and steps > self.total_steps:
            raise ValueError(f"{type(self).__name__} was made for total_steps={self.total_steps} steps "
                             f"({'batches' if self.interval == 'batch' else 'epochs'}), this is one more")
        self._set(steps, self.optimizer.checked_settings(self._settings_at(steps)))

    def lr_at(self, step: int) -> float:
        """The learning rate after this many steps."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"steps": self.steps, "base_lr": self.base_lr}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; also sets the optimiser's learning rate.

        Raises
        ------
        TypeError, ValueError
            If it is of another kind, or an entry is not what it must be; nothing is changed.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Everything of `load_state_dict` that can fail, without changing anything;
        the function returned does the rest."""
        if not isinstance(state, Mapping) or set(state) != {"steps", "base_lr"}:
            got = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"state must be what {type(self).__name__}.state_dict returned, "
                             f"with ['base_lr', 'steps'], got {got}")
        steps = checks.integer(state["steps"], "state: steps", 0, self.total_steps or checks.LARGEST_OPTION)
        loaded = copy.copy(self)
        loaded.base_lr = at_least_zero(state["base_lr"], "state: base_lr")
        settings = self.optimizer.checked_settings(loaded._settings_at(steps))

        def load() -> None:
            self.base_lr = loaded.base_lr
            self._set(steps, settings)

        return load

    def unscheduled(self) -> dict[str, Any]:
        """The settings that the schedule moves, by name, as they were before it; one that somebody else has set since,
        as it is now."""
        alone = copy.copy(self)
        alone.optimizer = copy.copy(self.optimizer)
        for name, value in self.before.items():
            object.__setattr__(alone.optimizer, name, value)
        moved = alone._settings_at(self.steps)
        own = {name: getattr(self.optimizer, name) for name in self.before}
        return {name: value if own[name] == moved.get(name) else own[name] for name, value in self.before.items()}

    def _settings_at(self, step: int) -> dict[str, Any]:
        """What the optimiser's settings are after this many steps, by name."""
        return {"lr": self.lr_at(step)}

    def _set(self, steps: int, settings: Mapping[str, Any]) -> None:
        self.steps = steps
        for name, value in settings.items():
            setattr(self.optimizer, name, value)


class StepLR(Schedule):
    """Multiply the learning rate by `gamma` every `step_size` epochs.

    Examples
    --------
    >>> from fastconv import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    >>> schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [schedule.lr_at(epoch) for epoch in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    settings = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = checks.integer(step_size, "step_size", 1)
        self.gamma = at_least_zero(gamma, "gamma")
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        return self.base_lr * self.gamma ** (step // self.step_size)


class CosineAnnealingLR(Schedule):
    """Half a cosine wave from the optimiser's learning rate down to `eta_min`, over `T_max` epochs.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017; here without the
    restarts.

    Examples
    --------
    >>> from fastconv import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    >>> schedule = optim.CosineAnnealingLR(optimizer, T_max=4)
    >>> [round(schedule.lr_at(epoch), 4) for epoch in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    settings = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = checks.integer(T_max, "T_max", 1)
        self.eta_min = at_least_zero(eta_min, "eta_min")
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2
