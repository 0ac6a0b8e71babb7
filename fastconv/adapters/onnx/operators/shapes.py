"""Shapes: views where memory allows it; what depends on shapes alone is known before anything runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.program import Builder, Value


def reshaped(builder: Builder, x: Value, shape: Sequence[int]) -> Value:
    """The same numbers in another shape."""
    shape = tuple(shape)
    if math.prod(shape) != x.size:
        raise ValueError(f"{x.size} numbers of shape {x.shape} cannot have shape {shape}")
    return builder.view(builder.plain(x), shape, lambda array: array.reshape(shape))


def Reshape(builder: Builder, node: Node, x: Value, shape: Value) -> Value:
    wanted = [int(size) for size in builder.known(shape).reshape(-1)]
    if not node.attributes.get("allowzero", 0):
        for axis, size in enumerate(wanted):
            if size == 0:
                if axis >= x.ndim:
                    raise ValueError(f"shape {wanted} copies axis {axis}, which the data of shape {x.shape} lack")
                wanted[axis] = x.shape[axis]
    if wanted.count(-1) > 1:
        raise ValueError(f"shape must have at most one -1, got {wanted}")
    if -1 in wanted:
        rest = math.prod(size for size in wanted if size != -1)
        if rest == 0 or x.size % rest:
            raise ValueError(f"data of shape {x.shape} cannot have shape {wanted}")
        wanted[wanted.index(-1)] = x.size // rest
    return reshaped(builder, x, wanted)


def Flatten(builder: Builder, node: Node, x: Value) -> Value:
    axis = node.attributes.get("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        raise ValueError(f"axis must be in {-x.ndim} to {x.ndim}, got {axis}")
    axis = axis + x.ndim if axis < 0 else axis
    return reshaped(builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def Transpose(builder: Builder, node: Node, x: Value) -> Value:
    """A view: what was outermost in memory stays so."""
    turned = tuple(node.attributes.get("perm") or range(x.ndim)[::-1])
    if sorted(turned) != list(range(x.ndim)):
        raise ValueError(f"perm must be an order of {x.ndim} axes, got {turned}")
    order = tuple(turned.index(axis) for axis in x.order)
    return builder.view(x, [x.shape[axis] for axis in turned], lambda array: array.transpose(turned), order)


def _given_axes(builder: Builder, node: Node, axes: Value | None) -> list[int] | None:
    """An attribute before opset 13, an input since then."""
    given = node.attributes.get("axes") if axes is None else builder.known(axes).reshape(-1).tolist()
    return None if given is None else list(given)


def Squeeze(builder: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
    given = _given_axes(builder, node, axes)
    gone = {a for a in range(x.ndim) if x.shape[a] == 1} if given is None else {a % x.ndim for a in given}
    for axis in gone:
        if x.shape[axis] != 1:
            raise ValueError(f"axis {axis} has size {x.shape[axis]}: only one of size 1 can go")
    kept = [a for a in range(x.ndim) if a not in gone]
    shape = tuple(x.shape[a] for a in kept)
    order = tuple(kept.index(a) for a in x.order if a not in gone)
    return builder.view(x, shape, lambda array: array.squeeze(tuple(gone)), order)


def Unsqueeze(builder: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
    given = _given_axes(builder, node, axes) or []
    ndim = x.ndim + len(given)
    new = {a % ndim for a in given}
    if len(new) != len(given):
        raise ValueError(f"axes must differ, got {given}")
    old = [a for a in range(ndim) if a not in new]
    shape = [1] * ndim
    for axis, size in zip(old, x.shape):
        shape[axis] = size
    order = (*sorted(new), *(old[a] for a in x.order))
    return builder.view(x, shape, lambda array: np.expand_dims(array, tuple(new)), order)


def Identity(builder: Builder, node: Node, x: Value) -> Value:
    return builder.view(x, x.shape, lambda array: array, x.order)


def Dropout(builder: Builder, node: Node, x: Value, ratio: Value | None = None,
            training: Value | None = None) -> list[Value]:
    """Nothing, at inference."""
    if training is not None and builder.known(training).any() and not (
            ratio is not None and builder.known(ratio).reshape(()) == 0):
        raise NotImplementedError("training_mode is not supported: the runner predicts")
    mask = np.ones(x.shape, bool) if len(node.outputs) > 1 and node.outputs[1] else np.ones(0, bool)
    return [Identity(builder, node, x), builder.constant(mask)]


def Shape(builder: Builder, node: Node, x: Value) -> Value:
    return builder.constant(np.array(x.shape, np.int64)[slice(node.attributes.get("start", 0),
                                                              node.attributes.get("end"))])


def Size(builder: Builder, node: Node, x: Value) -> Value:
    return builder.constant(np.int64(x.size))


def Constant(builder: Builder, node: Node) -> Value:
    [(name, value)] = node.attributes.items()
    if name == "value":
        if value is None:
            raise NotImplementedError("constants of this type are not supported")
        return builder.constant(value)
    dtypes = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if name not in dtypes:
        raise NotImplementedError(f"constants given as {name} are not supported")
    return builder.constant(value, dtypes[name])


def ConstantOfShape(builder: Builder, node: Node, shape: Value) -> Value:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return builder.constant(np.full(builder.known(shape).reshape(-1).tolist(), value.reshape(-1)[0], value.dtype))


def Range(builder: Builder, node: Node, start: Value, limit: Value, delta: Value) -> Value:
    begin, end, step = (builder.known(value).reshape(()) for value in (start, limit, delta))
    count = max(math.ceil((float(end) - float(begin)) / float(step)), 0)
    return builder.constant((begin + np.arange(count) * step).astype(start.dtype))


def Expand(builder: Builder, node: Node, x: Value, shape: Value) -> Value:
    wanted = np.broadcast_shapes(x.shape, tuple(builder.known(shape).reshape(-1).tolist()))
    if wanted == x.shape:
        return Identity(builder, node, x)
    out = builder.new(wanted, x.dtype)
    builder.emit(lambda x, y: functools.partial(np.copyto, y, x), [x], [out], "copied")
    return out


def Tile(builder: Builder, node: Node, x: Value, repeats: Value) -> Value:
    times = builder.known(repeats).reshape(-1).tolist()
    if len(times) != x.ndim:
        raise ValueError(f"repeats must have {x.ndim} numbers, one for each axis, got {times}")
    out = builder.new([n * r for n, r in zip(x.shape, times)], x.dtype)
    builder.emit(lambda x, y: lambda: np.copyto(y, np.tile(x, times)), [x], [out], "copied")
    return out


def DepthToSpace(builder: Builder, node: Node, x: Value) -> Value:
    size, (n, c, h, w) = node.attributes["blocksize"], x.shape
    rest = c // size**2
    x = builder.plain(x)
    if node.attributes.get("mode", "DCR") == "DCR":
        form, turn = (n, size, size, rest, h, w), (0, 3, 4, 1, 5, 2)
    else:
        form, turn = (n, rest, size, size, h, w), (0, 1, 4, 2, 5, 3)
    return _regrouped(builder, x, form, turn, (n, rest, h * size, w * size))


def SpaceToDepth(builder: Builder, node: Node, x: Value) -> Value:
    size, (n, c, h, w) = node.attributes["blocksize"], x.shape
    turn = (0, 3, 5, 1, 2, 4) if node.attributes.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return _regrouped(builder, builder.plain(x), (n, c, h // size, size, w // size, size), turn,
                      (n, c * size**2, h // size, w // size))


def _regrouped(builder: Builder, x: Value, form: Sequence[int], turn: Sequence[int], shape: Sequence[int]) -> Value:
    out = builder.new(shape, x.dtype)
    turned = [form[axis] for axis in turn]

    def bind(x: np.ndarray, y: np.ndarray) -> Any:
        return functools.partial(np.copyto, y.reshape(turned), x.reshape(form).transpose(turn))

    builder.emit(bind, [x], [out], "copied")
    return out


OPERATORS = {
    "Reshape": Reshape, "Flatten": Flatten, "Transpose": Transpose, "Squeeze": Squeeze, "Unsqueeze": Unsqueeze,
    "Identity": Identity, "Dropout": Dropout, "Shape": Shape, "Size": Size, "Constant": Constant,
    "ConstantOfShape": ConstantOfShape, "Range": Range, "Expand": Expand, "Tile": Tile, "DepthToSpace": DepthToSpace,
    "SpaceToDepth": SpaceToDepth,
}
