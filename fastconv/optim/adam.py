"""Adam, and its form with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise import update
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.optim.optimizer import Optimizer, Parameter
from fastconv.optim.ranges import at_least_zero


def _two_decays(value: tuple[float, float], name: str) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, got {shown(value)}")
    first, second = (checks.number(beta, name) for beta in value)
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"{name} must be at least 0 and less than 1, got {value}")
    return first, second


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
    squares = ("v",)
    counts = ("step",)

    kinds = {**Optimizer.kinds, "betas": _two_decays, "eps": at_least_zero}

    betas: tuple[float, float]
    eps: float

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas = betas
        self.eps = eps

    def _new_state(self, param: NDArray) -> dict[str, Any]:
        return {"step": 0, "m": np.zeros(param.shape, param.dtype), "v": np.zeros(param.shape, param.dtype)}

    def _rule(self) -> update.AdamRule:
        return update.AdamRule(self.lr, self.betas, self.eps, self.weight_decay)

    def _update(self, params: list[NDArray], grads: list[NDArray], states: list[dict[str, Any]],
                first: list[bool]) -> None:
        counts = [state["step"] + 1 for state in states]
        m, v = [state["m"] for state in states], [state["v"] for state in states]
        update.adam_step(self._rule(), params, grads, m, v, counts)
        for state, count in zip(states, counts):
            state["step"] = count


class AdamW(Adam):
    """`Adam`, but the weight decay shrinks the parameter itself, ``p -= lr * weight_decay * p``, not the gradient.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _rule(self) -> update.AdamRule:
        return update.AdamRule(self.lr, self.betas, self.eps, 0.0, 1 - self.lr * self.weight_decay)
