"""Maxima and averages of windows, in one to three dimensions, and of whole maps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS, broadcast, converted
from fastconv.adapters.onnx.operators.windows import pads_of, per_axis
from fastconv.adapters.onnx.program import Builder, Value
from fastconv.functional.pooling_calls import adaptive, core_loops, sliding


def _rank(x: Value) -> int:
    rank = x.ndim - 2
    if not 1 <= rank <= 3:
        raise NotImplementedError(f"pooling of maps with {rank} axes is not supported, only of 1 to 3")
    return rank


def _as_floats(builder: Builder, x: Value) -> Value:
    """What has another type as double precision, which holds integers of 32 bits and half precision exactly."""
    if x.dtype in FLOATS:
        return x
    if x.dtype.itemsize > 4:
        raise NotImplementedError(f"pooling of {x.dtype} is not supported")
    return converted(builder, x, np.float64)


def _images(array: np.ndarray) -> np.ndarray:
    return array[:, :, None] if array.ndim == 3 else array


def _pooled(builder: Builder, x: Value, windows: Any, average: bool, with_indices: bool = False) -> list[Value]:
    rank = _rank(x)
    x = builder.as_maps(x)
    shape = (*x.shape[:2], *windows.output_size[-rank:])
    out, loops = builder.maps(shape, x.dtype), core_loops(rank)
    outputs = [out, builder.maps(shape, np.int64)] if with_indices else [out]

    def bind(x: np.ndarray, y: np.ndarray, indices: np.ndarray | None = None) -> Callable[[], Any]:
        return functools.partial(loops.pool, _images(x), windows, average, _images(y),
                                 None if indices is None else _images(indices))

    if 0 in shape:
        builder.emit(lambda *arrays: lambda: None, [x], outputs, "nothing to compute")
    else:
        builder.emit(bind, [x], outputs, "average" if average else "maximum")
    return outputs


def _windows(node: Node, x: Value, count_include_pad: bool) -> Any:
    rank = _rank(x)
    kernel = per_axis(node, "kernel_shape", rank)
    stride, dilation = per_axis(node, "strides", rank), per_axis(node, "dilations", rank)
    pads = pads_of(node, x.shape[2:], kernel, stride, dilation)
    return sliding(x.shape[2:], kernel, stride, pads, dilation, bool(node.attributes.get("ceil_mode", 0)), True,
                   count_include_pad)


def MaxPool(builder: Builder, node: Node, x: Value) -> list[Value]:
    with_indices = len(node.outputs) > 1 and bool(node.outputs[1])
    y, *indices = _pooled(builder, _as_floats(builder, x), _windows(node, x, True), False, with_indices)
    if not indices:
        return [converted(builder, y, x.dtype)]
    return [converted(builder, y, x.dtype), _over_all_maps(builder, indices[0], x.shape,
                                                       bool(node.attributes.get("storage_order", 0)))]


def _over_all_maps(builder: Builder, indices: Value, shape: Sequence[int], by_columns: bool) -> Value:
    """Positions in a map as ONNX counts them: over all maps of all images, and by columns where that is asked for."""
    size = int(np.prod(shape[2:]))
    first = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], *(1,) * (len(shape) - 2)) * size
    # Where the axes of a map are counted the other way round, the first one is the fastest.
    turned = np.arange(size).reshape(shape[2:][::-1]).transpose().reshape(-1) if by_columns else None

    def run(indices: np.ndarray, out: np.ndarray) -> None:
        np.add(indices if turned is None else turned[indices], first, out)

    return broadcast(builder, run, indices)


def AveragePool(builder: Builder, node: Node, x: Value) -> list[Value]:
    windows = _windows(node, x, bool(node.attributes.get("count_include_pad", 0)))
    return [converted(builder, _pooled(builder, _as_floats(builder, x), windows, True)[0], x.dtype)]


def _global(average: bool) -> Callable[..., list[Value]]:
    def operator(builder: Builder, node: Node, x: Value) -> list[Value]:
        windows = adaptive(x.shape[2:], (1,) * _rank(x))
        return [converted(builder, _pooled(builder, _as_floats(builder, x), windows, average)[0], x.dtype)]

    return operator


OPERATORS = {"MaxPool": MaxPool, "AveragePool": AveragePool, "GlobalAveragePool": _global(True),
             "GlobalMaxPool": _global(False)}
