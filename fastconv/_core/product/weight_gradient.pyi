from numpy.typing import NDArray

Pair = tuple[int, int]

def conv2d_weight_gradient(grad_output: NDArray, x: NDArray, grad_weight: NDArray, stride: Pair, dilation: Pair, origin: Pair,
                           padding_mode: int, padding_value: float) -> None: ...
def gradient_workspace(x: NDArray, grad_weight: NDArray, grad_output: NDArray, stride: Pair, dilation: Pair, origin: Pair,
                       padding_mode: int, alone: bool) -> int: ...
