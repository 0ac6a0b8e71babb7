"""Optimisers: how a parameter moves along its gradient, and learning-rate schedules.

Keywords, update rules and the meaning of schedules are PyTorch's. The arithmetic of a step is one pass over memory for
each parameter, in place, compiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fastconv._core import update
from fastconv.functional import checks

__all__ = ["SGD", "Adam", "AdamW", "CosineAnnealingLR", "OneCycleLR", "Optimizer", "Schedule", "StepLR"]


def __dir__() -> list[str]:
    return __all__


class Parameter(Protocol):
    """What an optimiser needs of a parameter; `fastconv.nn.Parameter` has it."""

    data: NDArray
    grad: NDArray | None
    name: str


class Optimizer:
    """What all optimisers share. A subclass defines `settings`, `buffers` and `_update`.

    Attributes
    ----------
    params : list of Parameter
    lr : float
        The learning rate of the next step; may be set at any time.
    """

    #: Names of the attributes that state_dict holds beside the buffers.
    settings: tuple[str, ...] = ("lr",)
    #: Names of the arrays kept for each parameter, in its shape.
    buffers: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Parameter], lr: float, weight_decay: float) -> None:
        if not isinstance(params, Iterable):
            raise TypeError(f"params must be a list of parameters, as model.parameters() gives, got {params!r}")
        self.params = list(params)
        for parameter in self.params:
            if not (hasattr(parameter, "data") and hasattr(parameter, "grad")):
                raise TypeError("params must be parameters, as model.parameters() gives them, got "
                                f"{type(parameter).__name__}")
        if not self.params:
            raise ValueError("params must hold at least one parameter, got none")
        if len({id(parameter) for parameter in self.params}) < len(self.params):
            raise ValueError("params must be different parameters, got one of them twice")
        self.lr = _at_least_zero(lr, "lr")
        self.weight_decay = _at_least_zero(weight_decay, "weight_decay")
        #: For each parameter its buffers by name; empty before its first step.
        self.state: list[dict[str, Any]] = [{} for _ in self.params]

    def step(self) -> None:
        """Update every parameter that has a gradient, in place."""
        for parameter, state in zip(self.params, self.state):
            if parameter.grad is not None:
                if parameter.grad.shape != parameter.data.shape:
                    raise ValueError(f"the gradient of parameter {parameter.name!r} must have its shape "
                                     f"{parameter.data.shape}, got {parameter.grad.shape}")
                if not parameter.data.flags.c_contiguous:
                    raise ValueError(f"parameter {parameter.name!r} must be C-contiguous to be updated in place, got "
                                     f"strides {parameter.data.strides} for shape {parameter.data.shape}")
                self._update(parameter.data, np.ascontiguousarray(parameter.grad, parameter.data.dtype), state)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything a later step depends on besides parameters and gradients.

        Returns
        -------
        dict
            The settings by name, and "state": for each parameter its buffers (the arrays themselves, not copies) and
            counts by name.
        """
        return {name: getattr(self, name) for name in self.settings} | {"state": [dict(entry) for entry in self.state]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, for the same parameters in the same order.

        Raises
        ------
        ValueError
            If it is of another optimiser or other parameters; nothing is changed.
        """
        expected = {*self.settings, "state"}
        if not isinstance(state, Mapping) or set(state) != expected:
            got = sorted(state) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"state must be what {type(self).__name__}.state_dict returned, with {sorted(expected)}, "
                             f"got {got}")
        if len(state["state"]) != len(self.params):
            raise ValueError(f"state must be for {len(self.params)} parameters, got {len(state['state'])}")
        copied: list[dict[str, Any]] = []
        for index, (parameter, entry) in enumerate(zip(self.params, state["state"])):
            copied.append({})
            for name, value in entry.items():
                if name in self.buffers:
                    if np.shape(value) != parameter.data.shape:
                        raise ValueError(f"state: {name} of parameter {index} has shape {np.shape(value)}, must have "
                                         f"{parameter.data.shape}")
                    value = np.array(value, parameter.data.dtype, order="C")
                copied[-1][name] = value
        for name in self.settings:
            value = state[name]
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        self.state = copied

    def _update(self, param: NDArray, grad: NDArray, state: dict[str, Any]) -> None:
        """One step of one parameter, both arrays C-contiguous; `param` and `state` change in place."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {shown})"


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    Parameters
    ----------
    params : iterable of Parameter
        As ``model.parameters()`` gives them.
    lr : float
        Learning rate.
    momentum, dampening : float
        ``v = momentum * v + (1 - dampening) * g``, starting from the first gradient; the step goes along `v`.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient (an L2 penalty).
    nesterov : bool
        The step goes along ``g + momentum * v`` instead; needs momentum and no dampening.

    Notes
    -----
    Sources: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; I. Sutskever et al.,
    "On the importance of initialization and momentum in deep learning", 2013, for Nesterov's form.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.array([1.0, 2.0]))
    >>> optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    >>> p.add_grad(np.array([1.0, -1.0]))
    >>> optimizer.step()
    >>> p.data
    array([0.9, 2.1])
    """

    settings = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    buffers = ("velocity",)

    def __init__(self, params: Iterable[Parameter], lr: float, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = _at_least_zero(momentum, "momentum")
        self.dampening = checks.number(dampening, "dampening")
        self.nesterov = checks.flag(nesterov, "nesterov")
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(f"nesterov needs momentum above 0 and dampening 0, got {momentum} and {dampening}")

    def _update(self, param: NDArray, grad: NDArray, state: dict[str, Any]) -> None:
        first = "velocity" not in state
        if first and self.momentum:
            state["velocity"] = np.empty_like(param)
        velocity = state["velocity"] if self.momentum else None
        update.sgd_step(param, grad, velocity, self.lr, self.momentum, self.dampening, self.weight_decay, self.nesterov,
                        first)


class Adam(Optimizer):
    """Steps of about `lr` in each coordinate, scaled by running means of the gradient and its square.

    Parameters
    ----------
    params : iterable of Parameter
        As ``model.parameters()`` gives them.
    lr : float
        Learning rate.
    betas : (float, float)
        Decay of the running means ``m`` of the gradient and ``v`` of its square.
    eps : float
        Added to ``sqrt(v)``, against division by zero.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient (an L2 penalty; see `AdamW`).

    Notes
    -----
    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.array([1.0, 2.0]))
    >>> optimizer = optim.Adam([p], lr=0.1)
    >>> p.add_grad(np.array([100.0, -0.01]))
    >>> optimizer.step()
    >>> p.data.round(4)
    array([0.9, 2.1])
    """

    settings = ("lr", "betas", "eps", "weight_decay")
    buffers = ("m", "v")

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be two numbers, got {betas!r}")
        beta1, beta2 = (checks.number(beta, "betas") for beta in betas)
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"betas must be at least 0 and less than 1, got {betas}")
        self.betas = beta1, beta2
        self.eps = _at_least_zero(eps, "eps")

    def _update(self, param: NDArray, grad: NDArray, state: dict[str, Any]) -> None:
        self._move(param, grad, state, self.weight_decay)

    def _move(self, param: NDArray, grad: NDArray, state: dict[str, Any], weight_decay: float) -> None:
        if not state:
            state |= {"step": 0, "m": np.zeros_like(param), "v": np.zeros_like(param)}
        state["step"] += 1
        update.adam_step(param, grad, state["m"], state["v"], self.lr, *self.betas, self.eps, weight_decay,
                         state["step"])


class AdamW(Adam):
    """`Adam`, but the weight decay shrinks the parameter itself, ``p -= lr * weight_decay * p``, not the gradient.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update(self, param: NDArray, grad: NDArray, state: dict[str, Any]) -> None:
        param *= 1 - self.lr * self.weight_decay
        self._move(param, grad, state, 0.0)


class Schedule:
    """The learning rate as a function of the number of steps.

    The rate for step 0 is set when the schedule is made, the next one with each call of `step`.

    Parameters
    ----------
    optimizer : Optimizer
        Its `lr` is what the schedule sets.

    Attributes
    ----------
    steps : int
        Calls of `step` so far.
    interval : {"epoch", "batch"}
        What the `Trainer` takes as a step.
    """

    interval = "epoch"

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a fastconv.optim optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.steps = 0
        self._apply()

    def step(self) -> None:
        """Set what belongs to the next epoch, or batch."""
        self.steps += 1
        self._apply()

    def lr_at(self, step: int) -> float:
        """The learning rate after this many steps."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on from here."""
        return {"steps": self.steps, "base_lr": self.base_lr}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; also sets the optimiser's learning rate."""
        if not isinstance(state, Mapping) or set(state) != {"steps", "base_lr"}:
            raise ValueError(f"state must be what {type(self).__name__}.state_dict returned, got {state!r}")
        self.steps = checks.integer(state["steps"], "steps", 0)
        self.base_lr = checks.number(state["base_lr"], "base_lr")
        self._apply()

    def _apply(self) -> None:
        self.optimizer.lr = self.lr_at(self.steps)


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

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = checks.integer(step_size, "step_size", 1)
        self.gamma = checks.number(gamma, "gamma")
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

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = checks.integer(T_max, "T_max", 1)
        self.eta_min = _at_least_zero(eta_min, "eta_min")
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class OneCycleLR(Schedule):
    """Up to `max_lr` and far down again, one step for each batch; the momentum moves the other way.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float
        The highest learning rate.
    total_steps : int, optional
        Batches in the whole training; or give `epochs` and `steps_per_epoch`.
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

    interval = "batch"

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
        self.max_lr = _at_least_zero(max_lr, "max_lr")
        self.pct_start = checks.number(pct_start, "pct_start")
        if not 0 <= self.pct_start <= 1:
            raise ValueError(f"pct_start must be from 0 to 1, got {pct_start}")
        self.anneal_strategy = checks.choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.div_factor = _above_zero(div_factor, "div_factor")
        self.final_div_factor = _above_zero(final_div_factor, "final_div_factor")
        self.base_momentum = _at_least_zero(base_momentum, "base_momentum")
        self.max_momentum = _at_least_zero(max_momentum, "max_momentum")
        self.cycle_momentum = checks.flag(cycle_momentum, "cycle_momentum")
        if self.cycle_momentum and not (hasattr(optimizer, "momentum") or hasattr(optimizer, "betas")):
            raise ValueError("cycle_momentum needs an optimizer with momentum or betas, got "
                             f"{type(optimizer).__name__}")
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        first = self.max_lr / self.div_factor
        return self._anneal(step, first, self.max_lr, first / self.final_div_factor)

    def step(self) -> None:
        """Set what belongs to the next batch.

        Raises
        ------
        ValueError
            After more than `total_steps` steps.
        """
        if self.steps >= self.total_steps:
            raise ValueError(f"OneCycleLR was made for total_steps={self.total_steps} steps (batches), this is one "
                             "more")
        super().step()

    def _apply(self) -> None:
        super()._apply()
        if self.cycle_momentum:
            momentum = self._anneal(self.steps, self.max_momentum, self.base_momentum, self.max_momentum)
            if isinstance(self.optimizer, Adam):
                self.optimizer.betas = momentum, self.optimizer.betas[1]
            else:
                self.optimizer.momentum = momentum  # type: ignore[attr-defined]

    def _anneal(self, step: int, start: float, top: float, end: float) -> float:
        """From `start` to `top` over the first part of the steps, then to `end`."""
        turn, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= turn:
            return self._between(start, top, step / turn if turn else 1.0)
        return self._between(top, end, (step - turn) / (last - turn) if last > turn else 1.0)

    def _between(self, a: float, b: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return a + (b - a) * part
        return b + (a - b) * (1 + math.cos(math.pi * part)) / 2


def _at_least_zero(value: float, name: str) -> float:
    number = checks.number(value, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
    return number


def _above_zero(value: float, name: str) -> float:
    if not _at_least_zero(value, name) > 0:
        raise ValueError(f"{name} must be above 0, got {value!r}")
    return float(value)
