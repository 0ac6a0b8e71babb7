from numpy.typing import NDArray

from fastconv._core.problem.geometry import ConvProblem

Pair = tuple[int, int]

class Window:
    stride: Pair
    dilation: Pair
    origin: Pair
    padding_mode: int
    padding_value: float
    def __init__(self, stride: Pair = (1, 1), dilation: Pair = (1, 1), origin: Pair = (0, 0), padding_mode: int = 0,
                 padding_value: float = 0.0) -> None: ...
    def with_origin(self, origin: Pair) -> Window: ...

def window_of(problem: ConvProblem, padding_value: float = 0.0) -> Window: ...

class Epilogue:
    activation: int
    negative_slope: float
    accumulate: bool
    def __init__(self, activation: int = 0, negative_slope: float = 0.0, accumulate: bool = False) -> None: ...
    def without_activation(self) -> Epilogue: ...

PLAIN: Epilogue

class Convolution:
    x: NDArray
    w: NDArray
    bias: NDArray | None
    y: NDArray
    window: Window
    epilogue: Epilogue
    def __init__(self, x: NDArray, w: NDArray, bias: NDArray | None, y: NDArray, window: Window,
                 epilogue: Epilogue = ...) -> None: ...
    def of(self, x: NDArray | None = None, w: NDArray | None = None, y: NDArray | None = None,
           bias: NDArray | None = None, origin: Pair | None = None,
           epilogue: Epilogue | None = None) -> Convolution: ...
    def without_bias(self) -> Convolution: ...
