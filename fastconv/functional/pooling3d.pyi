from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.typing import Array, ArrayLike, DataFormat3d, Float, NDArray, Padding3d, Rooms, Triple

@overload
def max_pool3d(x: NDArray[Float], kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
               return_indices: Literal[False] = False, wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool3d(x: NDArray[Float], kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
               return_indices: Literal[True], wide_padding: bool = False,
               out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def max_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
               return_indices: Literal[False] = False, wide_padding: bool = False,
               out: Array | None = None) -> Array: ...
@overload
def max_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
               return_indices: Literal[True], wide_padding: bool = False,
               out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def max_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW", return_indices: bool,
               wide_padding: bool = False, out: Any = None) -> Any: ...
@overload
def max_pool3d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                        kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
                        dilation: Triple = 1, ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW",
                        wide_padding: bool = False, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool3d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Triple,
                        *, stride: Triple | None = None, padding: Padding3d = 0, dilation: Triple = 1,
                        ceil_mode: bool = False, data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def avg_pool3d(x: NDArray[Float], kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Triple = 1, data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool3d(x: ArrayLike, kernel_size: Triple, *, stride: Triple | None = None, padding: Padding3d = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Triple = 1, data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
               out: Array | None = None) -> Array: ...
@overload
def avg_pool3d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], kernel_size: Triple, *,
                        stride: Triple | None = None, padding: Padding3d = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Triple = 1,
                        data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool3d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], kernel_size: Triple, *,
                        stride: Triple | None = None, padding: Padding3d = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Triple = 1,
                        data_format: DataFormat3d = "NCDHW", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool3d(x: NDArray[Float], output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        return_indices: Literal[False] = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool3d(x: NDArray[Float], output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        return_indices: Literal[True],
                        out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        return_indices: Literal[False] = False, out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        return_indices: Literal[True],
                        out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW", return_indices: bool,
                        out: Any = None) -> Any: ...
@overload
def adaptive_max_pool3d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool3d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                                 out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool3d(x: NDArray[Float], output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool3d(x: ArrayLike, output_size: Triple, *, data_format: DataFormat3d = "NCDHW",
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool3d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], output_size: Triple, *,
                                 data_format: DataFormat3d = "NCDHW",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool3d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Triple, *,
                                 data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
@overload
def global_max_pool3d(x: NDArray[Float], *, data_format: DataFormat3d = "NCDHW", return_indices: Literal[False] = False,
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool3d(x: NDArray[Float], *, data_format: DataFormat3d = "NCDHW", return_indices: Literal[True],
                      out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def global_max_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", return_indices: Literal[False] = False,
                      out: Array | None = None) -> Array: ...
@overload
def global_max_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", return_indices: Literal[True],
                      out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def global_max_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", return_indices: bool,
                      out: Any = None) -> Any: ...
@overload
def global_max_pool3d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool3d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool3d(x: NDArray[Float], *, data_format: DataFormat3d = "NCDHW",
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool3d(x: ArrayLike, *, data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool3d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool3d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat3d = "NCDHW", out: Array | None = None) -> Array: ...
