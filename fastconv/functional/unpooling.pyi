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
def max_unpool1d(x: NDArray[Float], indices: ArrayLike, kernel_size: Single, *, stride: Single | None = None,
                 padding: Single = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat1d = "NCL", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool1d(x: ArrayLike, indices: ArrayLike, kernel_size: Single, *, stride: Single | None = None,
                 padding: Single = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
@overload
def max_unpool1d_backward(grad_output: NDArray[Float], indices: ArrayLike, *, data_format: DataFormat1d = "NCL",
                          out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool1d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat1d = "NCL",
                          out: Array | None = None) -> Array: ...
@overload
def max_unpool2d(x: NDArray[Float], indices: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None,
                 padding: Pair = 0, output_size: int | tuple[int, ...] | None = None, data_format: DataFormat = "NCHW",
                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool2d(x: ArrayLike, indices: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0,
                 output_size: int | tuple[int, ...] | None = None, data_format: DataFormat = "NCHW",
                 out: Array | None = None) -> Array: ...
@overload
def max_unpool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, *, data_format: DataFormat = "NCHW",
                          out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool2d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat = "NCHW",
                          out: Array | None = None) -> Array: ...
@overload
def max_unpool3d(x: NDArray[Float], indices: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None,
                 padding: Triple = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat3d = "NCDHW", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool3d(x: ArrayLike, indices: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None,
                 padding: Triple = 0, output_size: int | tuple[int, ...] | None = None,
                 data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
@overload
def max_unpool3d_backward(grad_output: NDArray[Float], indices: ArrayLike, *, data_format: DataFormat3d = "NCDHW",
                          out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_unpool3d_backward(grad_output: ArrayLike, indices: ArrayLike, *, data_format: DataFormat3d = "NCDHW",
                          out: Array | None = None) -> Array: ...
