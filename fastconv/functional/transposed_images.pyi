from typing import Any, overload

from fastconv.functional.prepared import ConvolutionPlan
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat,
    Float,
    NDArray,
    Needs,
    Outs,
    Padding,
    Pair,
)

class ConvTranspose2dPlan(ConvolutionPlan[Float]): ...

@overload
def conv_transpose2d(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None, *, stride: Pair = 1,
                     padding: Padding = 0, output_padding: Pair = 0, output_size: Pair | None = None,
                     dilation: Pair = 1, groups: int = 1, data_format: DataFormat = "NCHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def conv_transpose2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1,
                     padding: Padding = 0, output_padding: Pair = 0, output_size: Pair | None = None,
                     dilation: Pair = 1, groups: int = 1, data_format: DataFormat = "NCHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array: ...
@overload
def conv_transpose2d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
                              output_size: Pair | None = None, dilation: Pair = 1, groups: int = 1,
                              data_format: DataFormat = "NCHW",
                              out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def conv_transpose2d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
                              output_size: Pair | None = None, dilation: Pair = 1, groups: int = 1,
                              data_format: DataFormat = "NCHW", needs: Needs, out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def conv_transpose2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1,
                              padding: Padding = 0, output_padding: Pair = 0, output_size: Pair | None = None,
                              dilation: Pair = 1, groups: int = 1,
                              data_format: DataFormat = "NCHW",
                              out: Outs[Any] | None = None) -> tuple[Array, Array, Array]: ...
@overload
def conv_transpose2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1,
                              padding: Padding = 0, output_padding: Pair = 0, output_size: Pair | None = None,
                              dilation: Pair = 1, groups: int = 1, data_format: DataFormat = "NCHW",
                              needs: Needs, out: Outs[Any] | None = None,
                              ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
@overload
def plan_conv_transpose2d(x_shape: tuple[int, ...], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                          stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
                          output_size: Pair | None = None, dilation: Pair = 1, groups: int = 1,
                          data_format: DataFormat = "NCHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose2dPlan[Float]: ...
@overload
def plan_conv_transpose2d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
                          output_size: Pair | None = None, dilation: Pair = 1, groups: int = 1,
                          data_format: DataFormat = "NCHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose2dPlan[Any]: ...
