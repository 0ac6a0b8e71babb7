"""The signatures of `linear` as type checkers see them: results have the dtype of the arguments."""

from typing import Any, overload

from fastconv.functional.typing import Array, ArrayLike, Float, NDArray, Needs, Outs

@overload
def linear(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
           out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, out: Array | None = None) -> Array: ...
@overload
def linear_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                    out: Outs[Float] | None = None) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def linear_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *, needs: Needs,
                    out: Outs[Float] | None = None,
                    ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def linear_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
                    out: Outs[Any] | None = None) -> tuple[Array, Array, Array]: ...
@overload
def linear_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, needs: Needs,
                    out: Outs[Any] | None = None) -> tuple[Array | Any, Array | Any, Array | Any]: ...
