"""The graph of an operation over windows: a task for each piece of the result.

    chunks of x -> the edges of them that other pieces need (whole chunks are taken as they are)
                -> one task: parts put together, computed on one thread -> a chunk of the result

Only parts travel between workers. What stands outside the image is put around a piece in its task, as `blockwise` does:
of pixels that are repeated, and may lie at the other end, the piece asks like of others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from operator import getitem
from typing import Any

import numpy as np

from fastconv._core.runtime import memory
from fastconv.adapters.dask.chunks import needs_of, parts_of
from fastconv.adapters.dask.host import array_of, tokenize
from fastconv.config import num_threads
from fastconv.functional.pieces import Along, Windowed, arranged
from fastconv.functional.typing import Array

Box = tuple[tuple[int, int], ...]    # of a chunk: the first and behind the last along each axis
_EDGES = 1 / 4                       # of a chunk that may travel although a worker needs less of it


class Operation:
    """Computes a piece from its parts."""

    def __init__(self, known: Windowed) -> None:
        self.known = known

    def __call__(self, parts: Any, needs: Sequence[Sequence[Any]]) -> Array:
        known, along = self.known, [Along(*need) for need in needs]    # which Dask gives as plain tuples
        _check(parts, known.dtype)
        pixels = _joined(parts, known.places, known.dtype)
        found = [pixels.shape[place] for place in known.places]
        expected = [sum(last - first for first, last in need.runs) for need in along]
        if found != expected:
            raise ValueError(f"the chunks of x must be as large as x says, got {found} pixels where there must be "
                             f"{expected}: a function that makes chunks of another size needs map_blocks(..., chunks=)")
        with num_threads(1):
            return known.compute(arranged(pixels, known.places, along, known.fill), [need.pads for need in along])


def _check(parts: Any, dtype: np.dtype[Any]) -> None:
    """Whether parts in lists of lists are what the array said before anything was computed."""
    if isinstance(parts, list):
        for part in parts:
            _check(part, dtype)
    elif parts.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"the chunks of x must be {dtype}, as x says, got {parts.dtype}: tell what the function that "
                        f"makes them returns, map_blocks(..., dtype=np.{parts.dtype})")


class Parts:
    """The parts of chunks that pieces ask for, and the tasks that cut them out.

    Small parts of a chunk, which are its edges, are cut by one task: a task costs more than to send some of them in
    vain.
    """

    def __init__(self, x: Any, name: str) -> None:
        self.x, self.name = x, name
        self._asked: dict[tuple[int, ...], dict[Box, int]] = {}

    def ask(self, block: tuple[int, ...], box: Box) -> None:
        asked = self._asked.setdefault(block, {})
        if box != self._whole(block):
            asked.setdefault(box, len(asked))

    def reference(self, block: tuple[int, ...], box: Box) -> Any:
        """What stands in a task for a part that was asked for."""
        if box == self._whole(block):
            return (self.x.name, *block)
        number = self._asked[block][box]
        return (getitem, (self.name, *block), number) if self._are_edges(block) else (self.name, *block, number)

    def tasks(self) -> Iterable[tuple[Any, Any]]:
        for block, asked in self._asked.items():
            boxes = [tuple(slice(*ends) for ends in box) for box in asked]
            if self._are_edges(block):
                yield (self.name, *block), (cut_out, (self.x.name, *block), boxes)
            else:
                for number, box in enumerate(boxes):
                    yield (self.name, *block, number), (getitem, (self.x.name, *block), box)

    def _whole(self, block: tuple[int, ...]) -> Box:
        return tuple((0, sizes[number]) for sizes, number in zip(self.x.chunks, block))

    def _are_edges(self, block: tuple[int, ...]) -> bool:
        numbers = [math.prod(last - first for first, last in box) for box in (self._whole(block), *self._asked[block])]
        return 0 < sum(numbers[1:]) <= _EDGES * numbers[0]


def cut_out(chunk: Array, boxes: Sequence[tuple[slice, ...]]) -> list[Array]:
    """Copies, so that the chunk may be forgotten."""
    return [np.array(chunk[box]) for box in boxes]


def compute(operation: Operation, parts: Any, needs: Sequence[Sequence[Any]]) -> Array:
    """A task of an operation that is a value of the graph."""
    return operation(parts, needs)


def piecewise(known: Windowed, x: Any, sizes: Sequence[Sequence[int]], name: str) -> Any:
    """The result, in chunks of these sizes along the axes of windows, for x with its channels."""
    batch = len(known.shape) == len(known.axes) + 2
    channel = next(place for place in range(batch, x.ndim) if place not in known.places)
    if x.numblocks[channel] > 1:
        x = x.rechunk({channel: -1})
    name = f"{name}-{tokenize(known.function.__name__, dict(known.options), x.name, sizes)}"
    chunks = list(x.chunks)
    chunks[channel] = (known.shape[channel],)
    needs = [needs_of(known, axis, of_axis) for axis, of_axis in zip(known.axes, sizes)]
    found = {}
    for place, of_axis, each in zip(known.places, sizes, needs):
        chunks[place] = tuple(of_axis)
        found[place] = [parts_of(need.runs, x.chunks[place]) for need in each]
    parts, indices = Parts(x, f"{name}-part"), list(itertools.product(*(range(len(of_axis)) for of_axis in chunks)))
    for index in indices:
        _nested(x, index, {place: found[place][index[place]] for place in found}, parts.ask)
    tasks = dict(parts.tasks())
    # Filters are one value of the graph, which each worker gets once. Where there are none a task that needs but one
    # chunk depends on nothing else, so that Dask makes it part of the task that makes the chunk.
    operation: tuple[Any, ...] = (Operation(known),)
    if "weight" in known.options:
        tasks[f"{name}-operation"], operation = operation[0], (compute, f"{name}-operation")
    for index in indices:
        references = _nested(x, index, {place: found[place][index[place]] for place in found}, parts.reference)
        own = [tuple(of_axis[index[place]]) for of_axis, place in zip(needs, known.places)]
        tasks[(name, *index)] = (*operation, references, own)
    return array_of(name, tasks, [x], tuple(chunks), known.dtype)


def _nested(x: Any, index: Sequence[int], parts: dict[int, Any], use: Any,
            chosen: tuple[tuple[int, int, tuple[int, int]], ...] = ()) -> Any:
    """Lists of lists, an axis of windows each, of what `use` makes of a chunk and a part of it."""
    if len(chosen) < len(parts):
        place = list(parts)[len(chosen)]
        return [_nested(x, index, parts, use, (*chosen, (place, *part))) for part in parts[place]]
    block = list(index)
    for place, number, _ in chosen:
        block[place] = number
    box = [(0, sizes[number]) for sizes, number in zip(x.chunks, block)]
    for place, _, some in chosen:
        box[place] = some
    return use(tuple(block), tuple(box))


def _joined(parts: Any, places: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """Parts in lists of lists, an axis of windows each, beside each other: each is copied once."""
    ends, first = [], parts
    for depth, place in enumerate(places, 1):
        lengths = [_first(part, len(places) - depth).shape[place] for part in first]
        ends.append([*itertools.accumulate(lengths, initial=0)])
        first = first[0]
    if all(len(of_axis) == 2 for of_axis in ends):
        return np.asarray(first)
    shape = list(first.shape)
    for place, of_axis in zip(places, ends):
        shape[place] = of_axis[-1]
    joined = memory.empty(tuple(shape), dtype)
    for numbers in itertools.product(*(range(len(of_axis) - 1) for of_axis in ends)):
        part, where = parts, [slice(None)] * len(shape)
        for place, number, of_axis in zip(places, numbers, ends):
            part, where[place] = part[number], slice(of_axis[number], of_axis[number + 1])
        joined[tuple(where)] = part
    return joined


def _first(parts: Any, depth: int) -> Any:
    """The first part in so many lists of lists."""
    return parts if not depth else _first(parts[0], depth - 1)
