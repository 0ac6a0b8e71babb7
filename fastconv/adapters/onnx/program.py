"""A program: what a graph comes to for inputs of given shapes, as a list of calls on arrays that stay where they are.

An operator is told the forms of its inputs, says those of its outputs, and emits steps. A step knows how to bind itself
to arrays: what it returns is called without arguments, again and again. So whatever follows from shapes, options and
constants is worked out once, and a run does nothing but the work:

    graph  --Builder-->  values and steps  --memory-->  places in one piece of memory  --bind-->  calls

Arrays have the axes that ONNX gives them, but may lie in memory in another order: maps are kept with their channels
last, and a transpose is a view. Steps whose inputs are all constants run at once, and their results are constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node

__all__ = ["Builder", "NeedsValue", "Step", "Value", "channels_last", "in_order"]

Order = tuple[int, ...]


class NeedsValue(Exception):
    """The form of a program depends on the values of these inputs of the graph."""

    def __init__(self, feeds: frozenset[str]) -> None:
        super().__init__(f"the values of {', '.join(sorted(feeds))}")
        self.feeds = feeds


class Value:
    """An array of a program.

    order: its axes from the outermost in memory to the innermost. constant: the array, where it is known beforehand.
    base, view: of which value it is a view, and by which function. feeds: the inputs of the graph that it depends on.
    """

    __slots__ = ("shape", "dtype", "order", "constant", "base", "view", "feeds", "arranged")

    def __init__(self, shape: Sequence[int], dtype: Any, order: Order | None = None,
                 constant: np.ndarray | None = None, base: Value | None = None,
                 view: Callable[[np.ndarray], np.ndarray] | None = None,
                 feeds: frozenset[str] = frozenset()) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.order: Order = tuple(range(len(self.shape))) if order is None else order
        self.constant, self.base, self.view, self.feeds = constant, base, view, feeds
        self.arranged: dict[Order, Value] = {}

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def root(self) -> Value:
        """The value whose memory it is."""
        return self if self.base is None else self.base.root

    def lies(self, order: Order) -> bool:
        """Whether it lies in memory in this order of axes; axes of one element are everywhere."""
        return [a for a in self.order if self.shape[a] != 1] == [a for a in order if self.shape[a] != 1]

    @property
    def plain(self) -> bool:
        return self.lies(tuple(range(self.ndim)))


def channels_last(ndim: int) -> Order:
    """The order of maps whose channels lie together."""
    return (0, *range(2, ndim), 1)


def in_order(array: np.ndarray, order: Order) -> np.ndarray:
    """An array as it lies in memory, seen through a transpose."""
    return array.transpose(order)


def placed(memory: np.ndarray, value: Value) -> np.ndarray:
    """The array of a value in a piece of memory that begins with it."""
    laid = memory[:value.nbytes].view(value.dtype).reshape([value.shape[a] for a in value.order])
    return laid.transpose(np.argsort(value.order)) if value.ndim else laid


class Step:
    """A part of a program.

    bind: makes the call, of the arrays of inputs and outputs. about: how it is done, for `explain`. in_place: which
    input an output may take the memory of, where that is not needed any more.
    """

    __slots__ = ("node", "bind", "inputs", "outputs", "about", "in_place")

    def __init__(self, node: Node | None, bind: Callable[..., Callable[[], Any]], inputs: list[Value],
                 outputs: list[Value], about: str, in_place: int | None) -> None:
        self.node, self.bind, self.inputs, self.outputs = node, bind, inputs, outputs
        self.about, self.in_place = about, in_place


class Builder:
    """Collects the steps of a program.

    maps_last: whether maps are kept with their channels last. keep: finds what was made of constants before, for the
    weights that programs of other shapes share.
    """

    def __init__(self, maps_last: bool,
                 keep: Callable[[np.ndarray, Any, Callable[[], Any]], Any] | None = None) -> None:
        self.maps_last = maps_last
        self.steps: list[Step] = []
        self.node: Node | None = None    # whose steps are emitted
        self.nanoseconds = 0.0    # that the convolutions are expected to take
        self.keep = keep or (lambda array, key, make: make())

    # -- values

    def constant(self, array: Any, dtype: Any = None) -> Value:
        array = np.asarray(array, dtype)
        return Value(array.shape, array.dtype, constant=np.ascontiguousarray(array).reshape(array.shape))

    def new(self, shape: Iterable[int], dtype: Any, order: Order | None = None) -> Value:
        """An array that a step fills."""
        return Value(tuple(shape), dtype, order)

    def maps(self, shape: Sequence[int], dtype: Any) -> Value:
        """The same for maps (N, C, ...)."""
        return Value(shape, dtype, self.map_order(len(shape)))

    def map_order(self, ndim: int) -> Order:
        return channels_last(ndim) if self.maps_last and ndim > 2 else tuple(range(ndim))

    def like(self, shape: Sequence[int], dtype: Any, *values: Value) -> Value:
        """An array of results that lies as the first of these values that has its shape."""
        alike = [each for each in values if each.shape == tuple(shape)]
        moving = [each for each in alike if each.constant is None]
        return Value(shape, dtype, (moving or alike)[0].order if alike else None)

    def view(self, base: Value, shape: Sequence[int], function: Callable[[np.ndarray], np.ndarray],
             order: Order | None = None) -> Value:
        """Another form of the same memory."""
        if base.constant is not None:
            return Value(shape, base.dtype, order, function(base.constant), feeds=base.feeds)
        return Value(shape, base.dtype, order, base=base, view=function, feeds=base.feeds)

    def known(self, value: Value) -> np.ndarray:
        """The numbers of a value that the program depends on."""
        if value.constant is None:
            raise NeedsValue(value.feeds)
        return value.constant

    # -- steps

    def emit(self, bind: Callable[..., Callable[[], Any]], inputs: Sequence[Value], outputs: Sequence[Value],
             about: str = "", in_place: int | None = None) -> None:
        """A step that fills the outputs; it runs at once where all inputs are constants."""
        feeds = frozenset().union(*(value.feeds for value in inputs))
        for value in outputs:
            value.feeds = feeds
        if all(value.constant is not None for value in inputs):
            for value in outputs:
                value.constant = placed(np.empty(value.nbytes, np.uint8), value)
            with np.errstate(all="ignore"):
                bind(*(value.constant for value in (*inputs, *outputs)))()
        else:
            self.steps.append(Step(self.node, bind, list(inputs), list(outputs), about, in_place))

    def in_memory_order(self, value: Value, order: Order) -> Value:
        """The same array, lying in this order: itself, or a copy, which is made once."""
        if value.lies(order):
            return value
        if value.constant is not None:
            laid = np.ascontiguousarray(value.constant.transpose(order)).transpose(np.argsort(order))
            return Value(value.shape, value.dtype, order, laid, feeds=value.feeds)
        copy = value.arranged.get(order)
        if copy is None:
            copy = value.arranged[order] = self.new(value.shape, value.dtype, order)
            self.emit(copied, [value], [copy], "copied into another order")
        return copy

    def plain(self, value: Value) -> Value:
        """In the order of the axes."""
        return self.in_memory_order(value, tuple(range(value.ndim)))

    def as_maps(self, value: Value) -> Value:
        """In the order in which maps are kept."""
        return self.in_memory_order(value, self.map_order(value.ndim))


def copied(x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    return lambda: np.copyto(y, x)
