"""PyTorch, or what to install; and its tensors as arrays, without a copy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    torch: Any = import_module("torch")
except ImportError as error:
    raise ImportError("fastconv.adapters.torch needs PyTorch: pip install fastconv[torch]") from error


def array(tensor: Any) -> Any:
    """The numbers of a tensor as an array that shares its memory."""
    return tensor.detach().numpy()


def is_channels_last(tensor: Any) -> bool:
    """Whether PyTorch takes the tensor (N, C, H, W) or (N, C, D, H, W) for one with its channels last.

    That is decided by the strides, so that slices count too; where several orders fit it is no.
    """
    axes = tensor.dim()
    if axes not in (4, 5):
        return False
    sizes, strides = tensor.shape, tensor.stride()
    if strides[1] == 0:
        return False
    least = 0
    for axis in (1, *range(axes - 1, 1, -1), 0):
        if sizes[axis] == 0 or strides[axis] < least or (axis == 0 and least == strides[1]):
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return True


def channels_behind(tensor: Any) -> Any:
    """A view (N, H, W, C) of a tensor (N, C, H, W)."""
    return tensor.movedim(1, -1)


def channels_before(tensor: Any) -> Any:
    """A view (N, C, H, W) of a tensor (N, H, W, C)."""
    return tensor.movedim(-1, 1)
