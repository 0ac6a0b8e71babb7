"""Arrays put together and cut: concatenation, slices, gathering, padding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import same_dtype
from fastconv.adapters.onnx.program import Builder, Value


def _axis(node: Node, x: Value, default: int = 0) -> int:
    axis = node.attributes.get("axis", default)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be in {-x.ndim} to {x.ndim - 1}, got {axis}")
    return axis % x.ndim


def Concat(builder: Builder, node: Node, *values: Value) -> Value:
    same_dtype(*values)
    first, axis = values[0], _axis(node, values[0])
    for value in values:
        if value.ndim != first.ndim or any(
                a != axis and n != m for a, (n, m) in enumerate(zip(value.shape, first.shape))):
            raise ValueError(f"the inputs must have one shape but for axis {axis}, got "
                             f"{', '.join(str(each.shape) for each in values)}")
    lengths = [value.shape[axis] for value in values]
    moving = next((value for value in values if value.constant is None), first)
    out = builder.new([sum(lengths) if a == axis else n for a, n in enumerate(first.shape)], first.dtype, moving.order)
    ends = np.cumsum(lengths)
    places = [(*(slice(None),) * axis, slice(end - n, end)) for end, n in zip(ends, lengths)]

    def bind(*arrays: np.ndarray) -> Callable[[], Any]:
        *parts, y = arrays
        pairs = [(y[place], part) for place, part in zip(places, parts)]

        def run() -> None:
            for target, part in pairs:
                np.copyto(target, part)

        return run

    builder.emit(bind, values, [out], "copied")
    return out


def _cut(builder: Builder, x: Value, index: tuple[Any, ...]) -> Value:
    """A copy of a part of an array."""
    shape = np.broadcast_to(np.empty((), bool), x.shape)[index].shape
    out = builder.new(shape, x.dtype, x.order)
    builder.emit(lambda x, y: functools.partial(np.copyto, y, x[index]), [x], [out], "copied")
    return out


def Split(builder: Builder, node: Node, x: Value, split: Value | None = None) -> list[Value]:
    axis, count = _axis(node, x), len(node.outputs)
    sizes = node.attributes.get("split") if split is None else builder.known(split).reshape(-1).tolist()
    if not sizes:
        each = -(-x.shape[axis] // count)
        sizes = [max(min(each, x.shape[axis] - i * each), 0) for i in range(count)]
    if sum(sizes) != x.shape[axis] or len(sizes) != count:
        raise ValueError(f"split {list(sizes)} does not cut {x.shape[axis]} into {count} parts")
    ends = np.cumsum(sizes)
    return [_cut(builder, x, (*(slice(None),) * axis, slice(end - n, end))) for end, n in zip(ends, sizes)]


def Slice(builder: Builder, node: Node, x: Value, *given: Value | None) -> Value:
    """Starts, ends, axes and steps are attributes before opset 10, inputs since then."""
    if node.version < 10:
        numbers = [node.attributes.get(name) for name in ("starts", "ends", "axes", "steps")]
    else:
        numbers = [None if value is None else builder.known(value).reshape(-1).tolist()
                   for value in (*given, *(None,) * (4 - len(given)))]
    (starts, ends), (axes, steps) = [each or [] for each in numbers[:2]], numbers[2:]
    axes = range(len(starts)) if axes is None else axes
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts)):
        axis %= x.ndim
        index[axis] = _slice(start, end, step, x.shape[axis])
    return _cut(builder, x, tuple(index))


def _slice(start: int, end: int, step: int, length: int) -> slice:
    """As ONNX counts: what is below zero counts from the end, and what is beyond either end is cut."""
    if step == 0:
        raise ValueError("steps must not be 0")
    start, end = (value + length if value < 0 else value for value in (start, end))
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    start, end = min(max(start, -1), length - 1), min(max(end, -1), length - 1)
    return slice(start, None if end < 0 else end, step) if start >= 0 else slice(0, 0)


def Gather(builder: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = _axis(node, x)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])
    out = builder.new(shape, x.dtype)

    def bind(x: np.ndarray, indices: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        return lambda: np.copyto(y, np.take(x, indices, axis))

    builder.emit(bind, [x, indices], [out], "NumPy")
    return out


def GatherElements(builder: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = _axis(node, x)
    out = builder.new(indices.shape, x.dtype)

    def bind(x: np.ndarray, indices: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        inside = [np.arange(n).reshape([-1 if a == b else 1 for b in range(x.ndim)])
                  for a, n in enumerate(indices.shape)]

        def run() -> None:
            inside[axis] = indices
            np.copyto(y, x[tuple(inside)])

        return run

    builder.emit(bind, [x, indices], [out], "NumPy")
    return out


def Pad(builder: Builder, node: Node, x: Value, pads: Value | None = None, value: Value | None = None,
        axes: Value | None = None) -> Value:
    """Numbers below zero cut. Attributes before opset 11, inputs since then."""
    mode = node.attributes.get("mode", "constant")
    if pads is None:
        widths, fill = list(node.attributes["pads"]), x.dtype.type(node.attributes.get("value", 0.0))
    else:
        widths = builder.known(pads).reshape(-1).tolist()
        fill = x.dtype.type(0) if value is None else builder.known(value).reshape(())
    some = list(range(x.ndim)) if axes is None else [a % x.ndim for a in builder.known(axes).reshape(-1).tolist()]
    if len(widths) != 2 * len(some):
        raise ValueError(f"pads must have {2 * len(some)} numbers, before and after for each axis, got {widths}")
    sides = [(0, 0)] * x.ndim
    for axis, before, after in zip(some, widths[:len(some)], widths[len(some):]):
        sides[axis] = (before, after)
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if any(width < 0 for side in sides for width in side):
        x = _cut(builder, x, tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in
                                   zip(x.shape, sides)))
        sides = [(max(before, 0), max(after, 0)) for before, after in sides]
    return _padded(builder, x, sides, mode, fill)


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _padded(builder: Builder, x: Value, sides: Sequence[tuple[int, int]], mode: str, fill: Any) -> Value:
    out = builder.new([n + before + after for n, (before, after) in zip(x.shape, sides)], x.dtype, x.order)
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, sides))

    def bind(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        middle = y[inside]
        if mode != "constant":
            return lambda: np.copyto(y, np.pad(x, sides, mode=_MODES[mode]))    # type: ignore[call-overload]

        def run() -> None:
            y.fill(fill)
            np.copyto(middle, x)

        return run

    builder.emit(bind, [x], [out], "NumPy")
    return out


OPERATORS = {"Concat": Concat, "Split": Split, "Slice": Slice, "Gather": Gather, "GatherElements": GatherElements,
             "Pad": Pad}
