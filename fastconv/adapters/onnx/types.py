"""ONNX's numbers for types of elements."""

from __future__ import annotations

import numpy as np

from fastconv.adapters.onnx.graph import DTYPES, onnx_package

__all__ = ["dtype_of"]


def dtype_of(number: int, name: str) -> np.dtype:
    """The dtype of an attribute that holds ONNX's number of a type."""
    onnx = onnx_package()
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError):
        dtype = None
    if dtype not in DTYPES:
        raise NotImplementedError(f"{name}: arrays of ONNX's type {onnx.TensorProto.DataType.Name(number)} are not "
                                  "supported")
    return dtype
