"""The signatures of `clipping` as type checkers see them: results have the dtype of the arguments."""

from typing import overload

from fastconv.functional.typing import Array, ArrayLike, Float, NDArray

@overload
def relu6(x: NDArray[Float], *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def relu6(x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def relu6_backward(grad_output: NDArray[Float], x: NDArray[Float], *,
                   out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def relu6_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array: ...
