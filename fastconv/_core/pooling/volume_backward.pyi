from numpy.typing import NDArray

from fastconv._core.pooling.windows import VolumeWindows

def average_backward(grad: NDArray, grad_x: NDArray, windows: VolumeWindows, channels_last: bool) -> None: ...
