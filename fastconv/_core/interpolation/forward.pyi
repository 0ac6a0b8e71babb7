from numpy.typing import NDArray

NEAREST: int
HALF_PIXELS: int
CORNERS: int

def resize(x: NDArray, y: NDArray, rule: int, row_scale: float, column_scale: float) -> None: ...
