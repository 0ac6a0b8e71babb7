from typing import Any, overload

from fastconv.functional.prepared import ConvolutionPlan
from fastconv.functional.transposed import TransposedConvolutions
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat3d,
    Float,
    NDArray,
    Needs,
    Outs,
    Padding3d,
    Triple,
)

VOLUMES: TransposedConvolutions

class ConvTranspose3dPlan(ConvolutionPlan[Float]): ...

@overload
def conv_transpose3d(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                     stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                     output_size: Triple | None = None,
                     dilation: Triple = 1, groups: int = 1, data_format: DataFormat3d = "NCDHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def conv_transpose3d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Triple = 1,
                     padding: Padding3d = 0, output_padding: Triple = 0, output_size: Triple | None = None,
                     dilation: Triple = 1, groups: int = 1, data_format: DataFormat3d = "NCDHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array: ...
@overload
def conv_transpose3d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                              output_size: Triple | None = None, dilation: Triple = 1, groups: int = 1,
                              data_format: DataFormat3d = "NCDHW",
                              out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def conv_transpose3d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                              stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                              output_size: Triple | None = None, dilation: Triple = 1, groups: int = 1,
                              data_format: DataFormat3d = "NCDHW", needs: Needs, out: Outs[Float] | None = None,
                              ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def conv_transpose3d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Triple = 1,
                              padding: Padding3d = 0, output_padding: Triple = 0, output_size: Triple | None = None,
                              dilation: Triple = 1, groups: int = 1,
                              data_format: DataFormat3d = "NCDHW",
                              out: Outs[Any] | None = None) -> tuple[Array, Array, Array]: ...
@overload
def conv_transpose3d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Triple = 1,
                              padding: Padding3d = 0, output_padding: Triple = 0, output_size: Triple | None = None,
                              dilation: Triple = 1, groups: int = 1, data_format: DataFormat3d = "NCDHW",
                              needs: Needs, out: Outs[Any] | None = None,
                              ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
@overload
def plan_conv_transpose3d(x_shape: tuple[int, ...], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                          stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                          output_size: Triple | None = None, dilation: Triple = 1, groups: int = 1,
                          data_format: DataFormat3d = "NCDHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose3dPlan[Float]: ...
@overload
def plan_conv_transpose3d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                          output_size: Triple | None = None, dilation: Triple = 1, groups: int = 1,
                          data_format: DataFormat3d = "NCDHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose3dPlan[Any]: ...
