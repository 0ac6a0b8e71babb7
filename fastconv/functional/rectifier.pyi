from typing import overload

from fastconv.functional.typing import Array, ArrayLike, DataFormat, Float, NDArray

@overload
def prelu(x: NDArray[Float], weight: NDArray[Float], *, data_format: DataFormat = "NCHW",
          out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def prelu(x: ArrayLike, weight: ArrayLike, *, data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...
@overload
def prelu_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                   data_format: DataFormat = "NCHW",
                   out: tuple[NDArray[Float] | None, NDArray[Float] | None] | None = None,
                   ) -> tuple[NDArray[Float], NDArray[Float]]: ...
@overload
def prelu_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, data_format: DataFormat = "NCHW",
                   out: tuple[Array | None, Array | None] | None = None) -> tuple[Array, Array]: ...
