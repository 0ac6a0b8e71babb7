"""The types of arguments and results, for signatures."""

from typing import Any

from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]  # float32 or float64, as the arguments
Gradients = tuple[Array | Any, Array | Any, Array | Any]  # each None where not needed; Any spares the caller a check for it
Pair = int | tuple[int, int]  # one number for rows and columns, or one for each
Padding = str | Pair | tuple[tuple[int, int], tuple[int, int]]  # "same", "valid", or ((top, bottom), (left, right))

__all__ = ["Array", "ArrayLike", "DTypeLike", "Gradients", "Padding", "Pair"]
