from numpy.typing import NDArray

ELU: int
GELU: int
GELU_TANH: int
SILU: int
HARDSWISH: int
HARDSIGMOID: int
SOFTPLUS: int

class CurveOptions:
    def __init__(self, alpha: float = 1.0, beta: float = 1.0, threshold: float = 20.0) -> None: ...

def curve(x: NDArray, kind: int, options: CurveOptions, out: NDArray | None) -> NDArray: ...
def curve_backward(grad: NDArray, x: NDArray, kind: int, options: CurveOptions, out: NDArray | None) -> NDArray: ...
def prelu(x: NDArray, slopes: NDArray, axis: int, out: NDArray | None) -> NDArray: ...
def prelu_backward(grad: NDArray, x: NDArray, slopes: NDArray, axis: int, grad_x: NDArray) -> NDArray: ...
