from numpy.typing import NDArray

Pair = tuple[int, int]

def conv2d(x: NDArray, w: NDArray, bias: NDArray | None, y: NDArray, stride: Pair, dilation: Pair, origin: Pair, padding_mode: int,
           padding_value: float, activation: int, negative_slope: float) -> None: ...
def workspace(x: NDArray, w: NDArray, y: NDArray, stride: Pair, dilation: Pair, origin: Pair) -> int: ...
