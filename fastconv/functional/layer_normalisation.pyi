"""The signatures of these operations as type checkers see them: see `__init__.pyi`."""

from typing import Any, overload

from fastconv.functional.maps import MapsFormat
from fastconv.functional.typing import Array, ArrayLike, Float, NDArray, Needs, Outs

@overload
def group_norm(x: NDArray[Float], num_groups: int, weight: NDArray[Float] | None = None,
               bias: NDArray[Float] | None = None, *, eps: float = 1e-5, data_format: MapsFormat | None = None,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def group_norm(x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, *,
               eps: float = 1e-5, data_format: MapsFormat | None = None, out: Array | None = None) -> Array: ...
@overload
def group_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], num_groups: int,
                        weight: NDArray[Float] | None = None, *, eps: float = 1e-5,
                        data_format: MapsFormat | None = None,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def group_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], num_groups: int,
                        weight: NDArray[Float] | None = None, *, eps: float = 1e-5,
                        data_format: MapsFormat | None = None, needs: Needs,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def group_norm_backward(grad_output: ArrayLike, x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, *,
                        eps: float = 1e-5, data_format: MapsFormat | None = None,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array, Array, Array]: ...
@overload
def group_norm_backward(grad_output: ArrayLike, x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, *,
                        eps: float = 1e-5, data_format: MapsFormat | None = None,
                        needs: Needs,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
@overload
def layer_norm(x: NDArray[Float], normalized_shape: int | tuple[int, ...], weight: NDArray[Float] | None = None,
               bias: NDArray[Float] | None = None, *, eps: float = 1e-5,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def layer_norm(x: ArrayLike, normalized_shape: int | tuple[int, ...], weight: ArrayLike | None = None,
               bias: ArrayLike | None = None, *, eps: float = 1e-5, out: Array | None = None) -> Array: ...
@overload
def layer_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], normalized_shape: int | tuple[int, ...],
                        weight: NDArray[Float] | None = None, *,
                        eps: float = 1e-5,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def layer_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], normalized_shape: int | tuple[int, ...],
                        weight: NDArray[Float] | None = None, *, eps: float = 1e-5, needs: Needs,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def layer_norm_backward(grad_output: ArrayLike, x: ArrayLike, normalized_shape: int | tuple[int, ...],
                        weight: ArrayLike | None = None, *, eps: float = 1e-5,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array, Array, Array]: ...
@overload
def layer_norm_backward(grad_output: ArrayLike, x: ArrayLike, normalized_shape: int | tuple[int, ...],
                        weight: ArrayLike | None = None, *, eps: float = 1e-5,
                        needs: Needs,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
