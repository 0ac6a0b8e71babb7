from numpy.typing import NDArray

from fastconv._core.pooling.windows import Windows

def max_backward(grad: NDArray, indices: NDArray, shape: tuple[int, int, int, int], windows: Windows,
                 channels_last: bool) -> NDArray | None: ...
