from typing import Any

from numpy.typing import NDArray

class SgdRule:
    def __init__(self, lr: float, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0,
                 nesterov: bool = False) -> None: ...

class AdamRule:
    def __init__(self, lr: float, betas: tuple[float, float], eps: float, weight_decay: float,
                 shrink: float = 1.0) -> None: ...

def fit(params: list[Any], grads: list[Any], states: list[dict[str, Any]], buffers: tuple[str, ...]) -> bool: ...
def sgd_step(rule: SgdRule, params: list[NDArray], grads: list[NDArray], velocities: list[NDArray | None],
             first: list[bool]) -> None: ...
def adam_step(rule: AdamRule, params: list[NDArray], grads: list[NDArray], m: list[NDArray], v: list[NDArray],
              counts: list[int]) -> None: ...
