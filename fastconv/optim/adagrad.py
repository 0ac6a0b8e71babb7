"""Adagrad: steps scaled by the sum of all squares of the gradient so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise import update
from fastconv.optim.optimizer import Optimizer, Parameter
from fastconv.optim.ranges import at_least_zero


class Adagrad(Optimizer):
    """Gradients over the root of the sum of all their squares so far.

    Parameters
    ----------
    params : iterable of Parameter
        As ``model.parameters()`` gives them.
    lr : float
        Learning rate.
    lr_decay : float
        The rate of step t, counted from 0, is ``lr / (1 + t * lr_decay)``.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient (an L2 penalty).
    initial_accumulator_value : float
        What the sums of a parameter begin with, at its first step.
    eps : float
        Added to the root, against division by zero.

    Notes
    -----
    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.array([1.0, 2.0]))
    >>> optimizer = optim.Adagrad([p], lr=0.1)
    >>> p.add_grad(np.array([100.0, -0.01]))
    >>> optimizer.step()
    >>> p.data.round(4)
    array([0.9, 2.1])
    """

    settings = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    buffers = ("sum",)
    squares = ("sum",)
    counts = ("step",)

    kinds = {**Optimizer.kinds, "lr_decay": at_least_zero, "initial_accumulator_value": at_least_zero,
             "eps": at_least_zero}

    lr_decay: float
    initial_accumulator_value: float
    eps: float

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
                 initial_accumulator_value: float = 0.0, eps: float = 1e-10) -> None:
        super().__init__(params, lr, weight_decay)
        self.lr_decay = lr_decay
        self.initial_accumulator_value = initial_accumulator_value
        self.eps = eps

    def _new_state(self, param: NDArray) -> dict[str, Any]:
        return {"step": 0, "sum": np.full(param.shape, self.initial_accumulator_value, param.dtype)}

    def _update(self, params: list[NDArray], grads: list[NDArray], states: list[dict[str, Any]],
                first: list[bool]) -> None:
        counts = [state["step"] + 1 for state in states]
        rule = update.AdagradRule(self.lr, self.lr_decay, self.eps, self.weight_decay)
        update.adagrad_step(rule, params, grads, [state["sum"] for state in states], counts)
        for state, count in zip(states, counts):
            state["step"] = count
