"""The signatures of these operations as type checkers see them: see `__init__.pyi`."""

from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.maps import MapsFormat
from fastconv.functional.typing import Array, ArrayLike, Float, NDArray, Needs, Outs

Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]

@overload
def batch_norm(x: NDArray[Float], running_mean: NDArray[Float] | None, running_var: NDArray[Float] | None,
               weight: NDArray[Float] | None = None, bias: NDArray[Float] | None = None, *, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-5, data_format: MapsFormat | None = None,
               activation: Literal["relu"] | None = None, return_statistics: Literal[False] = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def batch_norm(x: NDArray[Float], running_mean: NDArray[Float] | None, running_var: NDArray[Float] | None,
               weight: NDArray[Float] | None = None, bias: NDArray[Float] | None = None, *, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-5, data_format: MapsFormat | None = None,
               activation: Literal["relu"] | None = None, return_statistics: Literal[True],
               out: NDArray[Float] | None = None) -> tuple[NDArray[Float], Statistics]: ...
@overload
def batch_norm(x: ArrayLike, running_mean: ArrayLike | None, running_var: ArrayLike | None,
               weight: ArrayLike | None = None, bias: ArrayLike | None = None, *, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-5, data_format: MapsFormat | None = None,
               activation: Literal["relu"] | None = None, return_statistics: Literal[False] = False,
               out: Array | None = None) -> Array: ...
@overload
def batch_norm(x: ArrayLike, running_mean: ArrayLike | None, running_var: ArrayLike | None,
               weight: ArrayLike | None = None, bias: ArrayLike | None = None, *, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-5, data_format: MapsFormat | None = None,
               activation: Literal["relu"] | None = None, return_statistics: bool, out: Array | None = None) -> Any: ...
@overload
def batch_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], running_mean: NDArray[Float] | None,
                        running_var: NDArray[Float] | None, weight: NDArray[Float] | None = None,
                        bias: NDArray[Float] | None = None, *, training: bool = False, eps: float = 1e-5,
                        data_format: MapsFormat | None = None, activation: Literal["relu"] | None = None,
                        statistics: Statistics | None = None,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def batch_norm_backward(grad_output: NDArray[Float], x: NDArray[Float], running_mean: NDArray[Float] | None,
                        running_var: NDArray[Float] | None, weight: NDArray[Float] | None = None,
                        bias: NDArray[Float] | None = None, *, training: bool = False, eps: float = 1e-5,
                        data_format: MapsFormat | None = None, activation: Literal["relu"] | None = None,
                        statistics: Statistics | None = None, needs: Needs,
                        out: Outs[Float] | None = None,
                        ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def batch_norm_backward(grad_output: ArrayLike, x: ArrayLike, running_mean: ArrayLike | None,
                        running_var: ArrayLike | None, weight: ArrayLike | None = None, bias: ArrayLike | None = None,
                        *, training: bool = False, eps: float = 1e-5, data_format: MapsFormat | None = None,
                        activation: Literal["relu"] | None = None, statistics: Statistics | None = None,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array, Array, Array]: ...
@overload
def batch_norm_backward(grad_output: ArrayLike, x: ArrayLike, running_mean: ArrayLike | None,
                        running_var: ArrayLike | None, weight: ArrayLike | None = None, bias: ArrayLike | None = None,
                        *, training: bool = False, eps: float = 1e-5, data_format: MapsFormat | None = None,
                        activation: Literal["relu"] | None = None, statistics: Statistics | None = None,
                        needs: Needs,
                        out: Outs[Any] | None = None,
                        ) -> tuple[Array | Any, Array | Any, Array | Any]: ...
