"""The graph of an operation over windows: a task for each piece of the result.

    chunks of x -> the parts of them that a piece needs (whole chunks are taken as they are)
                -> one task: parts put together, computed on one thread -> a chunk of the result

Only parts travel between workers. Where the padding repeats pixels, or is a number other than 0, it is put around x
before, as more chunks; zeros are added by the operation itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import getitem
from typing import Any

import numpy as np

from fastconv.adapters.dask.chunks import parts_of, spans_of
from fastconv.adapters.dask.host import array_of, dask_array, tokenize
from fastconv.config import num_threads
from fastconv.functional.pieces import Axis, Span, Windowed, pixels
from fastconv.functional.typing import Array


class Piece:
    """Computes a piece from its parts. It is one value of the graph, which each worker gets once."""

    def __init__(self, known: Windowed) -> None:
        self.known = known

    def __call__(self, parts: Any, spans: Sequence[Span]) -> Array:
        piece, pads = _joined(parts, self.known.places), [(span.before, span.after) for span in spans]
        if any(span.start == span.stop for span in spans):    # nothing but padding, and no image is without pixels
            shape = list(piece.shape)
            for axis, (place, span) in enumerate(zip(self.known.places, spans)):
                if span.start == span.stop:
                    shape[place], pads[axis] = span.before, (0, 0)
            piece = np.zeros(shape, piece.dtype)
        with num_threads(1):
            return self.known.compute(piece, pads)


def compute(piece: Piece, parts: Any, spans: Sequence[Sequence[int]]) -> Array:
    """A task, whose numbers Dask gives as plain tuples."""
    return piece(parts, [Span(*span) for span in spans])


def piecewise(known: Windowed, x: Any, sizes: Sequence[Sequence[int]], name: str) -> Any:
    """The result, in chunks of these sizes along the axes of windows, for x with its channels."""
    known, x = _padded(known, x)
    batch = len(known.shape) == len(known.axes) + 2
    channel = next(place for place in range(batch, x.ndim) if place not in known.places)
    if x.numblocks[channel] > 1:
        x = x.rechunk({channel: -1})
    name = f"{name}-{tokenize(known.function.__name__, dict(known.options), x.name, sizes)}"
    chunks = list(x.chunks)
    chunks[channel] = (known.shape[channel],)
    spans, parts = {}, {}
    for axis, place, of_axis in zip(known.axes, known.places, sizes):
        chunks[place] = tuple(of_axis)
        spans[place] = spans_of(axis, of_axis)
        parts[place] = [parts_of(span, x.chunks[place]) for span in spans[place]]
    tasks: dict[Any, Any] = {f"{name}-piece": Piece(known)}
    for index in itertools.product(*(range(len(of_axis)) for of_axis in chunks)):
        of_piece = {place: parts[place][index[place]] for place in parts}
        tasks[(name, *index)] = (compute, f"{name}-piece", _nested(tasks, x, f"{name}-part", index, of_piece),
                                 [tuple(spans[place][index[place]]) for place in parts])
    return array_of(name, tasks, [x], tuple(chunks), known.dtype)


def _nested(tasks: dict[Any, Any], x: Any, name: str, index: Sequence[int], parts: dict[int, Any],
            chosen: Sequence[tuple[int, int, slice]] = ()) -> Any:
    """Lists of lists, an axis of windows each, of the keys of parts; whose tasks are added, unless they are chunks."""
    if len(chosen) < len(parts):
        place = list(parts)[len(chosen)]
        return [_nested(tasks, x, name, index, parts, (*chosen, (place, *part))) for part in parts[place]]
    block, needed = list(index), [slice(None)] * x.ndim
    for place, number, some in chosen:
        block[place], needed[place] = number, some
    source = (x.name, *block)
    if all(some == slice(None) for some in needed):
        return source
    key = (name, *block, *(end for _, _, some in chosen for end in (some.start or 0, some.stop or -1)))
    tasks[key] = (getitem, source, tuple(needed))
    return key


def _joined(parts: Any, places: Sequence[int]) -> Array:
    if not isinstance(parts, list):
        return np.asarray(parts)
    joined = [_joined(part, places[1:]) for part in parts]
    return joined[0] if len(joined) == 1 else np.concatenate(joined, places[0])


def _padded(known: Windowed, x: Any) -> tuple[Windowed, Any]:
    """The image with its padding, where the operation does not add that itself."""
    if known.pads_itself:
        return known, x
    axes: list[Axis] = []
    for axis, place in zip(known.axes, known.places):
        before, after = range(-axis.before, 0), range(axis.size, axis.size + axis.after)
        sides = [[_border(x, positions, axis.size, place, known)] if positions else [] for positions in (before, after)]
        if before or after:
            x = dask_array.concatenate([*sides[0], x, *sides[1]], place)
        axes.append(axis._replace(size=axis.size + axis.before + axis.after, before=0, after=0))
    return known._replace(axes=tuple(axes)), x


def _border(x: Any, positions: range, size: int, place: int, known: Windowed) -> Any:
    """What stands at positions outside the image, run by run of pixels that follow each other, or are one."""
    if known.mode == "constant":
        shape = [len(positions) if axis == place else length for axis, length in enumerate(x.shape)]
        chunks = [len(positions) if axis == place else sizes for axis, sizes in enumerate(x.chunks)]
        return dask_array.full(shape, known.fill, dtype=x.dtype, chunks=chunks)
    index, runs = pixels(positions, size, known.mode), []
    while len(index):
        steps = np.diff(index)
        step = int(steps[0]) if len(steps) and abs(steps[0]) <= 1 else 0
        count = 1 + (next(iter(np.flatnonzero(steps != step)), len(steps)) if len(steps) else 0)
        first, last = int(index[0]), int(index[count - 1])
        lowest = min(first, last)
        run = x[(slice(None),) * place + (slice(lowest, max(first, last) + 1),)]
        runs.append(dask_array.flip(run, place) if step < 0 else
                    dask_array.repeat(run, count, place) if step == 0 and count > 1 else run)
        index = index[count:]
    return dask_array.concatenate(runs, place) if len(runs) > 1 else runs[0]
