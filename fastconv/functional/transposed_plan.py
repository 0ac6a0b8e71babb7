"""Transposed convolution with weights that stay: what the plan makes of them is made once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic

import numpy as np

from fastconv._core.runtime import arrays
from fastconv.functional import checks
from fastconv.functional.transposed import TransposedCall
from fastconv.functional.typing import ArrayLike, Float, NDArray


def planned(kind, plan, x_shape, weight, bias, options):
    """The plan of one kind of transposed convolutions, for arrays that are copied."""
    weight = checks.array(weight, "weight").copy()
    bias = None if bias is None else checks.array(bias, "bias").copy()
    dtype = checks.same_dtype(weight=weight, bias=bias)
    data_format = options["data_format"]
    sizes, batched = checks.image_shape(x_shape, data_format, "x_shape")
    checks.fits_memory(sizes, dtype, "x")
    call = kind.checked_call(sizes, batched, dtype, weight, bias, *options.values())
    return plan(call, checks.result_shape(sizes, data_format, batched), weight, bias, options)


class TransposedPlan(Generic[Float]):
    """What the planning functions return. Attributes: x_shape, output_shape, dtype, algorithm.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    _planner: ClassVar[Callable[..., Any]]  # which made it

    def __init__(self, call: TransposedCall, x_shape: tuple[int, ...], weight: NDArray[Float],
                 bias: NDArray[Float] | None, options: Mapping[str, Any]) -> None:
        self.algorithm: str = call.plan.algorithm
        self.dtype: np.dtype[Float] = call.dtype
        self.x_shape: tuple[int, ...] = x_shape
        self.output_shape: tuple[int, ...] = call.shape
        self._call = call
        self._weight: NDArray[Float] = weight
        self._bias: NDArray[Float] | None = bias
        self._options = options
        self._prepared = call.prepare(weight)

    def __call__(self, x: ArrayLike, out: NDArray[Float] | None = None) -> NDArray[Float]:
        if not arrays.is_like(x, self.x_shape, self.dtype):
            x = checks.array(x, "x")
            if x.dtype != self.dtype:
                raise TypeError(f"x must be {self.dtype}, as the weights of this plan, got {x.dtype}")
            checks.shape(x, "x", self.x_shape, "(that of this plan)")
        return self._call.run(x, self._weight, self._bias, out, self._prepared)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self)._planner, **self._options), (self.x_shape, self._weight, self._bias)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.x_shape} -> {self.output_shape}, {self.dtype}, {self.algorithm}>"
