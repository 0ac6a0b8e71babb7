"""The types of arguments and results, for signatures."""

from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = TypeVar("Float", np.float32, np.float64)  # the dtype of the arguments, which is that of the results

Array = NDArray[Any]  # float32 or float64, as the arguments
# Each is None where it is not needed; Any spares the caller a check for that.
Gradients = tuple[Array | Any, Array | Any, Array | Any]
# The arrays that the three gradients go to; a new one is made for None.
Outs = tuple[NDArray[Float] | None, NDArray[Float] | None, NDArray[Float] | None]
Needs = tuple[bool, bool, bool]  # which of the gradients of x, weight and bias are wanted
Pair = int | tuple[int, int]  # one number for rows and columns, or one for each
Padding = Literal["same", "valid"] | Pair | tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))
Single = int | tuple[int]  # of a signal
Padding1d = Literal["same", "valid"] | Single | tuple[int, int] | tuple[tuple[int, int]]
Triple = int | tuple[int, int, int]  # one number for planes, rows and columns, or one for each
Padding3d = Literal["same", "valid"] | Triple | tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

PaddingMode = Literal["constant", "reflect", "replicate", "circular", "symmetric"]
DataFormat = Literal["NCHW", "NHWC"]
DataFormat1d = Literal["NCL", "NLC"]
DataFormat3d = Literal["NCDHW", "NDHWC"]
Rooms = tuple[NDArray[Float] | None, NDArray[np.int64] | None]  # out= of a maximum and of where it was
Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "relu6"]
Algorithm = Literal["auto", "direct", "gemm", "winograd", "fft"]
InterpolationMode = Literal["nearest", "bilinear"]
Reduction = Literal["mean", "sum", "none"]
Approximation = Literal["none", "tanh"]  # of GELU
FloatDType = (Literal["float32", "float64"] | type[np.float32 | np.float64 | float] | np.dtype[np.float32]
              | np.dtype[np.float64])

__all__ = ["Activation", "Algorithm", "Approximation", "Array", "ArrayLike", "DataFormat", "DataFormat1d",
           "DataFormat3d", "Float", "FloatDType", "Gradients", "InterpolationMode", "NDArray", "Needs", "Outs",
           "Padding", "Padding1d", "Padding3d", "PaddingMode", "Pair", "Reduction", "Rooms", "Single", "Triple"]
