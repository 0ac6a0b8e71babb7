from numpy.typing import NDArray

from fastconv._core.pooling.windows import VolumeWindows

def pool(x: NDArray, windows: VolumeWindows, average: bool, y: NDArray, indices: NDArray | None) -> None: ...
