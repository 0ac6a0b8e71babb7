from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.typing import Array, ArrayLike, DataFormat1d, Float, NDArray, Padding1d, Rooms, Single

@overload
def max_pool1d(x: NDArray[Float], kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
               return_indices: Literal[False] = False, wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool1d(x: NDArray[Float], kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
               return_indices: Literal[True], wide_padding: bool = False,
               out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def max_pool1d(x: ArrayLike, kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
               return_indices: Literal[False] = False, wide_padding: bool = False,
               out: Array | None = None) -> Array: ...
@overload
def max_pool1d(x: ArrayLike, kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
               return_indices: Literal[True], wide_padding: bool = False,
               out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def max_pool1d(x: ArrayLike, kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL", return_indices: bool,
               wide_padding: bool = False, out: Any = None) -> Any: ...
@overload
def max_pool1d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                        kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
                        dilation: Single = 1, ceil_mode: bool = False, data_format: DataFormat1d = "NCL",
                        wide_padding: bool = False, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool1d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Single,
                        *, stride: Single | None = None, padding: Padding1d = 0, dilation: Single = 1,
                        ceil_mode: bool = False, data_format: DataFormat1d = "NCL", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def avg_pool1d(x: NDArray[Float], kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Single = 1, data_format: DataFormat1d = "NCL", wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool1d(x: ArrayLike, kernel_size: Single, *, stride: Single | None = None, padding: Padding1d = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Single = 1, data_format: DataFormat1d = "NCL", wide_padding: bool = False,
               out: Array | None = None) -> Array: ...
@overload
def avg_pool1d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], kernel_size: Single, *,
                        stride: Single | None = None, padding: Padding1d = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Single = 1,
                        data_format: DataFormat1d = "NCL", wide_padding: bool = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool1d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], kernel_size: Single, *,
                        stride: Single | None = None, padding: Padding1d = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Single = 1,
                        data_format: DataFormat1d = "NCL", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool1d(x: NDArray[Float], output_size: Single, *, data_format: DataFormat1d = "NCL",
                        return_indices: Literal[False] = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool1d(x: NDArray[Float], output_size: Single, *, data_format: DataFormat1d = "NCL",
                        return_indices: Literal[True],
                        out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: Single, *, data_format: DataFormat1d = "NCL",
                        return_indices: Literal[False] = False, out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: Single, *, data_format: DataFormat1d = "NCL",
                        return_indices: Literal[True],
                        out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: Single, *, data_format: DataFormat1d = "NCL", return_indices: bool,
                        out: Any = None) -> Any: ...
@overload
def adaptive_max_pool1d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Single, *, data_format: DataFormat1d = "NCL",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool1d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Single, *, data_format: DataFormat1d = "NCL",
                                 out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool1d(x: NDArray[Float], output_size: Single, *, data_format: DataFormat1d = "NCL",
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool1d(x: ArrayLike, output_size: Single, *, data_format: DataFormat1d = "NCL",
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool1d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], output_size: Single, *,
                                 data_format: DataFormat1d = "NCL",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool1d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Single, *,
                                 data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
@overload
def global_max_pool1d(x: NDArray[Float], *, data_format: DataFormat1d = "NCL", return_indices: Literal[False] = False,
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool1d(x: NDArray[Float], *, data_format: DataFormat1d = "NCL", return_indices: Literal[True],
                      out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def global_max_pool1d(x: ArrayLike, *, data_format: DataFormat1d = "NCL", return_indices: Literal[False] = False,
                      out: Array | None = None) -> Array: ...
@overload
def global_max_pool1d(x: ArrayLike, *, data_format: DataFormat1d = "NCL", return_indices: Literal[True],
                      out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def global_max_pool1d(x: ArrayLike, *, data_format: DataFormat1d = "NCL", return_indices: bool,
                      out: Any = None) -> Any: ...
@overload
def global_max_pool1d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat1d = "NCL",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool1d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool1d(x: NDArray[Float], *, data_format: DataFormat1d = "NCL",
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool1d(x: ArrayLike, *, data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool1d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], *,
                               data_format: DataFormat1d = "NCL",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool1d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat1d = "NCL", out: Array | None = None) -> Array: ...
