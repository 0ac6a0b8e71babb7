"""Sums, means and extremes along axes; softmax; positions of extremes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS, broadcast
from fastconv.adapters.onnx.program import Builder, Value


def _axes(builder: Builder, node: Node, x: Value, axes: Value | None) -> tuple[int, ...]:
    """Those that go, counted from 0: an attribute before opset 18 (13 of ReduceSum), an input since then."""
    given = node.attributes.get("axes") if axes is None else builder.known(axes).reshape(-1).tolist()
    if not given:
        return () if node.attributes.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))
    for axis in given:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axes must be in {-x.ndim} to {x.ndim - 1}, got {axis}")
    return tuple(sorted({axis % x.ndim for axis in given}))


def reduction(function: Callable[..., Any], mean: bool = False) -> Callable[..., Value]:
    """function(x, axes, keepdims) -> array. mean: that of maps can be a pooling."""
    def operator(builder: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
        along, keep = _axes(builder, node, x, axes), bool(node.attributes.get("keepdims", 1))
        shape = tuple(1 if a in along else n for a, n in enumerate(x.shape) if keep or a not in along)
        if mean and x.ndim in (4, 5) and along == tuple(range(2, x.ndim)) and x.dtype in FLOATS and x.size:
            from fastconv.adapters.onnx.operators.pooling import OPERATORS as poolings

            [y] = poolings["GlobalAveragePool"](builder, node, x)
            return builder.view(y, shape, lambda array: array.reshape(shape))
        out = builder.new(shape, x.dtype)

        def bind(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
            return lambda: np.copyto(y, function(x, along, keep), casting="unsafe")

        builder.emit(bind, [x], [out], "NumPy")
        return out

    return operator


def _mean(x: np.ndarray, axes: tuple[int, ...], keep: bool) -> Any:
    if x.dtype.kind != "f":    # of integers rounded towards zero
        count = math.prod(x.shape[a] for a in axes)
        return np.trunc(np.sum(x, axes, np.float64, keepdims=keep) / count)
    return np.mean(x, axes, keepdims=keep)


def _log_sum_exp(x: np.ndarray, axes: tuple[int, ...], keep: bool) -> Any:
    highest = np.max(x, axes, keepdims=True, initial=-np.inf)
    highest = np.where(np.isfinite(highest), highest, 0)
    total = np.log(np.sum(np.exp(x - highest), axes, keepdims=True)) + highest
    return total if keep else total.reshape([n for a, n in enumerate(x.shape) if a not in axes])


def _extreme(name: str) -> Callable[..., Any]:
    """Of nothing it is the one of the type that leaves every other as it is."""
    def run(x: np.ndarray, axes: tuple[int, ...], keep: bool) -> Any:
        least = name == "max"
        if x.dtype.kind == "f":
            initial = -np.inf if least else np.inf
        elif x.dtype.kind == "b":
            initial = not least
        else:
            initial = (np.iinfo(x.dtype).min if least else np.iinfo(x.dtype).max)
        return getattr(np, name)(x, axis=axes, keepdims=keep, initial=initial)

    return run


def Softmax(builder: Builder, node: Node, x: Value) -> Value:
    return _softmax(builder, node, x, False)


def LogSoftmax(builder: Builder, node: Node, x: Value) -> Value:
    return _softmax(builder, node, x, True)


def _softmax(builder: Builder, node: Node, x: Value, logarithm: bool) -> Value:
    """Along an axis; before opset 13 along all axes from that one on together."""
    axis = node.attributes.get("axis", 1 if node.version < 13 else -1)
    if not -max(x.ndim, 1) <= axis <= x.ndim:
        raise ValueError(f"axis must be in {-x.ndim} to {x.ndim - 1}, got {axis}")
    axis = axis % x.ndim if axis < x.ndim else axis
    shape, x = x.shape, builder.plain(x)
    if node.version < 13 and x.size and axis != x.ndim - 1:
        rows = math.prod(shape[:axis])
        form = (rows, x.size // rows)
        x, axis = builder.view(x, form, lambda array: array.reshape(form)), 1
    out = builder.new(x.shape, x.dtype)

    def bind(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        if x.dtype in FLOATS:
            return functools.partial(elementwise.softmax, x, axis, logarithm, y)
        return lambda: np.copyto(y, elementwise.softmax(x.astype(np.float32), axis, logarithm), casting="unsafe")

    builder.emit(bind, [x], [out], "softmax", 0)
    return builder.view(out, shape, lambda array: array.reshape(shape))


def _position(function: Callable[..., Any]) -> Callable[..., Value]:
    def operator(builder: Builder, node: Node, x: Value) -> Value:
        axis, keep = node.attributes.get("axis", 0) % x.ndim, bool(node.attributes.get("keepdims", 1))
        last = bool(node.attributes.get("select_last_index", 0))
        shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape) if keep or a != axis)
        out = builder.new(shape, np.int64)

        def run(x: np.ndarray, out: np.ndarray) -> None:
            found = x.shape[axis] - 1 - function(np.flip(x, axis), axis) if last else function(x, axis)
            np.copyto(out, found.reshape(shape))

        builder.emit(lambda *arrays: functools.partial(run, *arrays), [x], [out], "NumPy")
        return out

    return operator


def CumSum(builder: Builder, node: Node, x: Value, axis: Value) -> Value:
    along = int(builder.known(axis).reshape(())) % x.ndim
    exclusive, backwards = node.attributes.get("exclusive", 0), node.attributes.get("reverse", 0)

    def run(x: np.ndarray, out: np.ndarray) -> None:
        source = np.flip(x, along) if backwards else x
        total = np.cumsum(source, along, x.dtype)
        total = total - source if exclusive else total
        np.copyto(out, np.flip(total, along) if backwards else total)

    return broadcast(builder, run, x)


OPERATORS = {
    "ReduceMean": reduction(_mean, mean=True),
    "ReduceSum": reduction(lambda x, axes, keep: np.sum(x, axes, keepdims=keep)),
    "ReduceMax": reduction(_extreme("max")), "ReduceMin": reduction(_extreme("min")),
    "ReduceProd": reduction(lambda x, axes, keep: np.prod(x, axes, keepdims=keep)),
    "ReduceL1": reduction(lambda x, axes, keep: np.sum(np.abs(x), axes, keepdims=keep)),
    "ReduceL2": reduction(lambda x, axes, keep: np.sqrt(np.sum(np.square(x), axes, keepdims=keep))),
    "ReduceSumSquare": reduction(lambda x, axes, keep: np.sum(np.square(x), axes, keepdims=keep)),
    "ReduceLogSum": reduction(lambda x, axes, keep: np.log(np.sum(x, axes, keepdims=keep))),
    "ReduceLogSumExp": reduction(_log_sum_exp),
    "Softmax": Softmax, "LogSoftmax": LogSoftmax, "ArgMax": _position(np.argmax), "ArgMin": _position(np.argmin),
    "CumSum": CumSum,
}
