from typing import overload

from fastconv.functional.typing import Array, ArrayLike, DataFormat, Float, InterpolationMode, NDArray, Pair

@overload
def interpolate(x: NDArray[Float], size: Pair | None = None, scale_factor: float | tuple[float, float] | None = None,
                mode: InterpolationMode = "nearest", align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def interpolate(x: ArrayLike, size: Pair | None = None, scale_factor: float | tuple[float, float] | None = None,
                mode: InterpolationMode = "nearest", align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                out: Array | None = None) -> Array: ...
@overload
def interpolate_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], size: Pair | None = None,
                         scale_factor: float | tuple[float, float] | None = None, mode: InterpolationMode = "nearest",
                         align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                         out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def interpolate_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], size: Pair | None = None,
                         scale_factor: float | tuple[float, float] | None = None, mode: InterpolationMode = "nearest",
                         align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                         out: Array | None = None) -> Array: ...
