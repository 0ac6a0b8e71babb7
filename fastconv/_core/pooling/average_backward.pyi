from numpy.typing import NDArray

from fastconv._core.pooling.windows import Windows

def average_backward(grad: NDArray, grad_x: NDArray, windows: Windows, channels_last: bool) -> None: ...
