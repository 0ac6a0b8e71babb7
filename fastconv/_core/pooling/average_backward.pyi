from numpy.typing import NDArray

from fastconv._core.pooling.windows import Windows

def average_backward(grad: NDArray, shape: tuple[int, int, int, int], windows: Windows,
                     channels_last: bool) -> NDArray: ...
