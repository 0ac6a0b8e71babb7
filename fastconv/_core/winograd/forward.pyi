from numpy.typing import NDArray

from fastconv._core.runtime.memory import Block
from fastconv._core.winograd.filters import prepare as prepare
from fastconv._core.winograd.filters import prepared_bytes as prepared_bytes

Pair = tuple[int, int]

def conv2d(x: NDArray, w: NDArray, bias: NDArray | None, y: NDArray, stride: Pair, dilation: Pair, origin: Pair, padding_mode: int,
           padding_value: float, activation: int, negative_slope: float, prepared: Block | None = None,
           any_contrast: bool = False) -> None: ...
def workspace(x: NDArray, w: NDArray, y: NDArray, stride: Pair, dilation: Pair, origin: Pair, padding_mode: int,
              alone: bool) -> int: ...
