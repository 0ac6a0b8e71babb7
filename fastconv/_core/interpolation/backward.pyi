from numpy.typing import NDArray

def resize_backward(
    grad_output: NDArray, grad_x: NDArray, rule: int, row_scale: float, column_scale: float
) -> None: ...
