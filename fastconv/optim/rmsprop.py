"""RMSprop: steps scaled by a running mean of the gradient's square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise import update
from fastconv.functional import checks
from fastconv.optim.optimizer import Optimizer, Parameter
from fastconv.optim.ranges import at_least_zero, below_one


class RMSprop(Optimizer):
    """Gradients over the root of a running mean of their squares.

    Parameters
    ----------
    params : iterable of Parameter
        As ``model.parameters()`` gives them.
    lr : float
        Learning rate.
    alpha : float
        Decay of the running means, from 0 up to, not including, 1.
    eps : float
        Added to the root, against division by zero.
    weight_decay : float
        ``weight_decay * p`` is added to the gradient (an L2 penalty).
    momentum : float
        ``v = momentum * v + scaled gradient``; the step goes along `v`.
    centered : bool
        Whether the square of the gradient's own running mean is taken off, so that the root is a standard deviation.
        What rounding takes below 0 there is taken for 0.

    Notes
    -----
    Sources: T. Tieleman and G. Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; A. Graves,
    "Generating sequences with recurrent neural networks", 2013, for the centred form.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.array([1.0, 2.0]))
    >>> optimizer = optim.RMSprop([p], lr=0.1, alpha=0.75)
    >>> p.add_grad(np.array([100.0, -0.01]))
    >>> optimizer.step()
    >>> p.data.round(4)
    array([0.8, 2.2])
    """

    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    buffers = ("v", "m", "velocity")
    optional = ("m", "velocity")
    squares = ("v",)

    kinds = {**Optimizer.kinds, "alpha": below_one, "eps": at_least_zero, "momentum": at_least_zero,
             "centered": checks.flag}

    alpha: float
    eps: float
    momentum: float = 0.0
    centered: bool = False

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False) -> None:
        super().__init__(params, lr, weight_decay)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered

    def _needed(self) -> list[str]:
        """The buffers that the settings need."""
        return ["v", *(["m"] if self.centered else []), *(["velocity"] if self.momentum else [])]

    def _new_state(self, param: NDArray) -> dict[str, Any]:
        return {name: np.zeros(param.shape, param.dtype) for name in self._needed()}

    def _update(self, params: list[NDArray], grads: list[NDArray], states: list[dict[str, Any]],
                first: list[bool]) -> None:
        for state, param in zip(states, params):  # of settings that were changed since
            for name in self._needed():
                if name not in state:
                    state[name] = np.zeros(param.shape, param.dtype)
        rule = update.RmspropRule(self.lr, self.alpha, self.eps, self.weight_decay, self.momentum)
        m = [state["m"] if self.centered else None for state in states]
        velocities = [state["velocity"] if self.momentum else None for state in states]
        update.rmsprop_step(rule, params, grads, [state["v"] for state in states], m, velocities)
