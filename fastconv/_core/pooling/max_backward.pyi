from numpy.typing import NDArray

from fastconv._core.pooling.windows import Windows

def max_backward(grad: NDArray, indices: NDArray, grad_x: NDArray, windows: Windows, channels_last: bool) -> bool: ...
