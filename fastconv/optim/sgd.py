"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise import update
from fastconv.functional import checks
from fastconv.optim.optimizer import Optimizer, Parameter
from fastconv.optim.ranges import at_least_zero, finite


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

    kinds = {**Optimizer.kinds, "momentum": at_least_zero, "dampening": finite, "nesterov": checks.flag}

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __init__(self, params: Iterable[Parameter], lr: float, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov  # the last: it needs the others

    def checked_settings(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        checked = super().checked_settings(values, prefix)
        nesterov, momentum, dampening = (checked.get(name, getattr(self, name))
                                         for name in ("nesterov", "momentum", "dampening"))
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(f"{prefix}nesterov needs momentum above 0 and dampening 0, got {momentum} and {dampening}")
        return checked

    def _new_state(self, param: NDArray) -> dict[str, Any]:
        return {"velocity": np.zeros(param.shape, param.dtype)} if self.momentum else {}

    def _update(self, params: list[NDArray], grads: list[NDArray], states: list[dict[str, Any]],
                first: list[bool]) -> None:
        rule = update.SgdRule(self.lr, self.momentum, self.dampening, self.weight_decay, self.nesterov)
        velocities = [state["velocity"] if self.momentum else None for state in states]
        update.sgd_step(rule, params, grads, velocities, first)
