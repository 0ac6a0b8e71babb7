"""The types of arguments and results, for signatures."""

from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = TypeVar("Float", np.float32, np.float64)  # the dtype of the arguments, which is that of the results

Array = NDArray[Any]  # float32 or float64, as the arguments
# Each is None where it is not needed; Any spares the caller a check for that.
Gradients = tuple[Array | Any, Array | Any, Array | Any]
Needs = tuple[bool, bool, bool]  # which of the gradients of x, weight and bias are wanted
Pair = int | tuple[int, int]  # one number for rows and columns, or one for each
Padding = Literal["same", "valid"] | Pair | tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))

PaddingMode = Literal["constant", "reflect", "replicate", "circular"]
DataFormat = Literal["NCHW", "NHWC"]
Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "relu6"]
Algorithm = Literal["auto", "direct", "gemm", "winograd", "fft"]
InterpolationMode = Literal["nearest", "bilinear"]
Reduction = Literal["mean", "sum", "none"]
FloatDType = (Literal["float32", "float64"] | type[np.float32 | np.float64 | float] | np.dtype[np.float32]
              | np.dtype[np.float64])

__all__ = ["Activation", "Algorithm", "Array", "ArrayLike", "DataFormat", "Float", "FloatDType", "Gradients",
           "InterpolationMode", "NDArray", "Needs", "Padding", "PaddingMode", "Pair", "Reduction"]
