from numpy.typing import NDArray

class Affine:
    weight: NDArray | None
    bias: NDArray | None
    eps: float
    relu: bool
    def __init__(self, weight: NDArray | None, bias: NDArray | None, eps: float, relu: bool = False) -> None: ...

def forward(x: NDArray, y: NDArray, statistics: tuple[NDArray, NDArray], measure: bool, affine: Affine) -> None: ...
def backward(grad: NDArray, x: NDArray, gradients: tuple[NDArray | None, NDArray | None, NDArray | None],
             statistics: tuple[NDArray, NDArray], measure: bool, training: bool, affine: Affine) -> None: ...
