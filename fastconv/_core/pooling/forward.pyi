from numpy.typing import NDArray

from fastconv._core.pooling.windows import Windows

def pool(x: NDArray, windows: Windows, average: bool, y: NDArray, indices: NDArray | None) -> None: ...
