from typing import overload

from fastconv.functional.typing import (
    Array,
    ArrayLike,
    DataFormat,
    DataFormat1d,
    DataFormat3d,
    Float,
    NDArray,
    Pair,
    Single,
    Triple,
)

@overload
def lp_pool1d(x: NDArray[Float], norm_type: float, kernel_size: Single, *, stride: Single | None = None,
              ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
              out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool1d(x: ArrayLike, norm_type: float, kernel_size: Single, *, stride: Single | None = None,
              ceil_mode: bool = False, data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
@overload
def lp_pool1d_backward(grad_output: NDArray[Float], x: NDArray[Float], y: NDArray[Float], norm_type: float,
                       kernel_size: Single, *, stride: Single | None = None, ceil_mode: bool = False,
                       data_format: DataFormat1d = "NCL", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool1d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Single, *,
                       stride: Single | None = None, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
                       out: Array | None = None) -> Array: ...
@overload
def lp_pool2d(x: NDArray[Float], norm_type: float, kernel_size: Pair, *, stride: Pair | None = None,
              ceil_mode: bool = False, data_format: DataFormat = "NCHW",
              out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool2d(x: ArrayLike, norm_type: float, kernel_size: Pair, *, stride: Pair | None = None, ceil_mode: bool = False,
              data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...
@overload
def lp_pool2d_backward(grad_output: NDArray[Float], x: NDArray[Float], y: NDArray[Float], norm_type: float,
                       kernel_size: Pair, *, stride: Pair | None = None, ceil_mode: bool = False,
                       data_format: DataFormat = "NCHW", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Pair, *,
                       stride: Pair | None = None, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
                       out: Array | None = None) -> Array: ...
@overload
def lp_pool3d(x: NDArray[Float], norm_type: float, kernel_size: Triple, *, stride: Triple | None = None,
              ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
              out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool3d(x: ArrayLike, norm_type: float, kernel_size: Triple, *, stride: Triple | None = None,
              ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
@overload
def lp_pool3d_backward(grad_output: NDArray[Float], x: NDArray[Float], y: NDArray[Float], norm_type: float,
                       kernel_size: Triple, *, stride: Triple | None = None, ceil_mode: bool = False,
                       data_format: DataFormat3d = "NCDHW", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def lp_pool3d_backward(grad_output: ArrayLike, x: ArrayLike, y: ArrayLike, norm_type: float, kernel_size: Triple, *,
                       stride: Triple | None = None, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
                       out: Array | None = None) -> Array: ...
