from numpy.typing import NDArray

SQUARED: int
ABSOLUTE: int
HUBER: int
LOGISTIC: int

class PairLoss:
    weight: NDArray | None
    pos_weight: NDArray | None
    def __init__(self, kind: int, delta: float = 0.0, scale: float = 1.0, slope: float = 1.0,
                 weight: NDArray | None = None, pos_weight: NDArray | None = None) -> None: ...

def total(loss: PairLoss, x: NDArray, target: NDArray, losses: NDArray | None) -> float: ...
def gradient(loss: PairLoss, x: NDArray, target: NDArray, share: float, grad: NDArray | None,
             grad_x: NDArray | None) -> NDArray: ...
