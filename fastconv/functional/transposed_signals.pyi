from typing import Any, overload

from fastconv.functional.prepared import ConvolutionPlan
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat1d,
    Float,
    NDArray,
    Needs,
    Outs,
    Padding1d,
    Single,
)

class ConvTranspose1dPlan(ConvolutionPlan[Float]): ...

@overload
def conv_transpose1d(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                     stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                     output_size: Single | None = None,
                     dilation: Single = 1, groups: int = 1, data_format: DataFormat1d = "NCL",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def conv_transpose1d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Single = 1,
                     padding: Padding1d = 0, output_padding: Single = 0, output_size: Single | None = None,
                     dilation: Single = 1, groups: int = 1, data_format: DataFormat1d = "NCL",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array: ...
@overload
def conv_transpose1d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                              output_size: Single | None = None, dilation: Single = 1, groups: int = 1,
                              data_format: DataFormat1d = "NCL",
                              out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def conv_transpose1d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                              output_size: Single | None = None, dilation: Single = 1, groups: int = 1,
                              data_format: DataFormat1d = "NCL", needs: Needs, out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def conv_transpose1d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Single = 1,
                              padding: Padding1d = 0, output_padding: Single = 0, output_size: Single | None = None,
                              dilation: Single = 1, groups: int = 1,
                              data_format: DataFormat1d = "NCL",
                              out: Outs[Any] | None = None) -> tuple[Array, Array, Array]: ...
@overload
def conv_transpose1d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Single = 1,
                              padding: Padding1d = 0, output_padding: Single = 0, output_size: Single | None = None,
                              dilation: Single = 1, groups: int = 1, data_format: DataFormat1d = "NCL",
                              needs: Needs, out: Outs[Any] | None = None,
                              ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
@overload
def plan_conv_transpose1d(x_shape: tuple[int, ...], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                          stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                          output_size: Single | None = None, dilation: Single = 1, groups: int = 1,
                          data_format: DataFormat1d = "NCL", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose1dPlan[Float]: ...
@overload
def plan_conv_transpose1d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                          output_size: Single | None = None, dilation: Single = 1, groups: int = 1,
                          data_format: DataFormat1d = "NCL", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose1dPlan[Any]: ...
