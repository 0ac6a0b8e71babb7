"""What picks elements of an array by positions, puts others there, or looks for the largest: NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import same_dtype
from fastconv.adapters.onnx.program import Builder, Value

_REDUCTIONS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _by_numpy(builder: Builder, function: Callable[..., Any], inputs: list[Value], shape: Any, dtype: Any) -> Value:
    """An array of what function(arrays) returns."""
    out = builder.new(shape, dtype)

    def bind(*arrays: np.ndarray) -> Callable[[], Any]:
        return lambda: np.copyto(arrays[-1], function(*arrays[:-1]), casting="unsafe")

    builder.emit(bind, inputs, [out], "NumPy")
    return out


def _axis_of(node: Node, ndim: int, default: int = 0) -> int:
    axis = node.attributes.get("axis", default)
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis must be in {-ndim} to {ndim - 1}, got {axis}")
    return axis % ndim


def TopK(builder: Builder, node: Node, x: Value, k: Value | None = None) -> list[Value]:
    """The largest or smallest along an axis, and where they are: of equal ones those first that stand first."""
    axis, largest = _axis_of(node, x.ndim, -1), bool(node.attributes.get("largest", 1))
    count = int(node.attributes["k"] if k is None else builder.known(k).reshape(()))    # an attribute before opset 10
    if not 0 <= count <= x.shape[axis]:
        raise ValueError(f"k must be in 0 to the {x.shape[axis]} elements of axis {axis}, got {count}")
    shape = [count if a == axis else n for a, n in enumerate(x.shape)]

    def places(x: np.ndarray) -> np.ndarray:
        if not largest:
            order = np.argsort(x, axis, kind="stable")
        else:    # the other way round twice, for equal ones to stay in their order
            order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
        return np.take(order, range(count), axis)

    found = _by_numpy(builder, places, [x], shape, np.int64)
    return [_by_numpy(builder, lambda x, found: np.take_along_axis(x, found, axis), [x, found], shape, x.dtype), found]


def _scattered(node: Node, y: np.ndarray, index: tuple[np.ndarray, ...], updates: np.ndarray) -> np.ndarray:
    """y with the updates at these places."""
    reduction = node.attributes.get("reduction", "none")
    if reduction == "none":
        y[index] = updates
    else:
        _REDUCTIONS[reduction].at(y, index, updates)
    return y


def _check_reduction(node: Node) -> None:
    reduction = node.attributes.get("reduction", "none")
    if reduction not in ("none", *_REDUCTIONS):
        raise ValueError(f"reduction must be none, {', '.join(_REDUCTIONS)}, got {reduction!r}")


def ScatterND(builder: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    same_dtype(x, updates)
    _check_reduction(node)
    depth = indices.shape[-1]
    wanted = (*indices.shape[:-1], *x.shape[depth:])
    if depth > x.ndim or updates.shape != wanted:
        raise ValueError(f"updates must have shape {wanted} by data of shape {x.shape} and indices of shape "
                         f"{indices.shape}, got {updates.shape}")
    return _by_numpy(builder, lambda x, indices, updates: _scattered(
        node, x.copy(), tuple(np.moveaxis(indices, -1, 0)), updates), [x, indices, updates], x.shape, x.dtype)


def ScatterElements(builder: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    same_dtype(x, updates)
    _check_reduction(node)
    axis = _axis_of(node, x.ndim)
    if indices.shape != updates.shape or indices.ndim != x.ndim:
        raise ValueError(f"indices and updates must have one shape, of {x.ndim} axes, got {indices.shape} and "
                         f"{updates.shape}")
    inside = list(np.indices(indices.shape, sparse=True))
    return _by_numpy(builder, lambda x, indices, updates: _scattered(
        node, x.copy(), (*inside[:axis], indices, *inside[axis + 1:]), updates), [x, indices, updates], x.shape,
                     x.dtype)


def GatherND(builder: Builder, node: Node, x: Value, indices: Value) -> Value:
    batches, depth = node.attributes.get("batch_dims", 0), indices.shape[-1]
    if batches + depth > x.ndim or x.shape[:batches] != indices.shape[:batches]:
        raise ValueError(f"indices of shape {indices.shape} do not fit data of shape {x.shape} with "
                         f"batch_dims {batches}")
    before = [each[..., 0] for each in np.indices((*indices.shape[:batches], *(1,) * (indices.ndim - batches)),
                                                  sparse=True)[:batches]]
    shape = (*indices.shape[:-1], *x.shape[batches + depth:])
    return _by_numpy(builder, lambda x, indices: x[(*before, *np.moveaxis(indices, -1, 0))], [x, indices], shape,
                     x.dtype)


def OneHot(builder: Builder, node: Node, indices: Value, depth: Value, values: Value) -> Value:
    """values[1] where an index says, else values[0]; an index out of range says nothing."""
    count, axis = int(builder.known(depth).reshape(())), _axis_of(node, indices.ndim + 1, -1)
    shape = (*indices.shape[:axis], count, *indices.shape[axis:])
    along = np.arange(count).reshape([-1 if a == axis else 1 for a in range(indices.ndim + 1)])

    def run(indices: np.ndarray, values: np.ndarray) -> np.ndarray:
        wanted = np.expand_dims(np.where(indices < 0, indices + count, indices), axis)
        return np.where(wanted == along, values[1], values[0])

    return _by_numpy(builder, run, [indices, values], shape, values.dtype)


def Trilu(builder: Builder, node: Node, x: Value, k: Value | None = None) -> Value:
    diagonal = 0 if k is None else int(builder.known(k).reshape(()))
    half = np.triu if node.attributes.get("upper", 1) else np.tril
    return _by_numpy(builder, lambda x: half(x, diagonal), [x], x.shape, x.dtype)


OPERATORS = {"TopK": TopK, "ScatterND": ScatterND, "ScatterElements": ScatterElements, "GatherND": GatherND,
             "OneHot": OneHot, "Trilu": Trilu}
