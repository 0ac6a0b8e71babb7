from numpy.typing import NDArray

from fastconv._core.runtime.memory import Block

Pair = tuple[int, int]

def conv2d(x: NDArray, w: NDArray, bias: NDArray | None, y: NDArray, stride: Pair, dilation: Pair, origin: Pair, padding_mode: int,
           padding_value: float, activation: int, negative_slope: float, prepared: Block | None = None) -> None: ...
def prepare(w: NDArray, groups: int, stride: Pair) -> Block: ...
def workspace(x: NDArray, w: NDArray, y: NDArray, stride: Pair, dilation: Pair, origin: Pair, padding_mode: int,
              alone: bool) -> int: ...
