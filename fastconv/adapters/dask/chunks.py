"""Where the chunks of a result begin and end.

A task costs Dask about TASK nanoseconds, whatever it does, and each part of a chunk that a piece needs is one more. So
small chunks are joined, as long as there are tasks for many threads; chunks that would take too much memory are
divided. What a piece itself takes is asked of the planner for convolutions; poolings take about POOLED nanoseconds a
number. The rows and columns that windows share with those of other pieces are in what it takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from fastconv.functional import checks
from fastconv.functional.conv import IMAGES, conv2d
from fastconv.functional.pieces import Axis, Span, Windowed

Chunks = tuple[int, int] | None

TASK, PART = 500e3, 150e3
POOLED = 1.0
MOST_BYTES = 64 << 20     # of what a piece reads and makes
FEWEST_TASKS = 32         # if there are as many chunks
TIMES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)    # the chunks of x, along one axis


def output_chunks(known: Windowed, x: Any, asked: Chunks) -> tuple[tuple[int, ...], ...]:
    """The sizes of the chunks of a result along each axis of windows."""
    if asked is not None:
        sizes = checks.per_axis(asked, "chunks", len(known.axes))
        return tuple(_regular(axis.outputs, size) for axis, size in zip(known.axes, sizes))
    found = [x.chunks[place] for place in known.places]
    as_they_are = tuple(_of_chunks(*each) for each in zip(known.axes, found, known.aligned))
    others = [tuple(_regular(axis.outputs, _rounded(times * max(sizes) / axis.stride, unit))
                    for axis, sizes, unit, times in zip(known.axes, found, known.aligned, each))
              for each in itertools.product(TIMES, repeat=len(known.axes))]
    fewest = min(FEWEST_TASKS, _count(as_they_are))
    able = [sizes for sizes in (as_they_are, *others)
            if _count(sizes) >= fewest and _bytes(known, x, sizes) <= MOST_BYTES]
    if not able:
        return min((as_they_are, *others), key=lambda sizes: _bytes(known, x, sizes))
    return min(able, key=lambda sizes: (TASK * _count(sizes) + PART * _count_of_parts(known, found, sizes)
                                        + _nanoseconds(known, x, sizes)))


def parts_of(span: Span, chunks: Sequence[int]) -> list[tuple[int, slice]]:
    """The chunks that a span lies in, and what it needs of each; the first pixel, where it sees nothing but padding."""
    start, stop, first, found = span.start, max(span.stop, span.start + 1), 0, []
    for number, size in enumerate(chunks):
        if first < stop and start < first + size:
            needed = slice(max(0, start - first), min(size, stop - first))
            found.append((number, slice(None) if needed == slice(0, size) else needed))
        first += size
    return found


def spans_of(axis: Axis, sizes: Sequence[int]) -> list[Span]:
    """What the parts of a result that have these sizes see."""
    ends = itertools.accumulate(sizes, initial=0)
    return [axis.span(first, last) for first, last in itertools.pairwise(ends)]


def _of_chunks(axis: Axis, sizes: Sequence[int], unit: int) -> tuple[int, ...]:
    """Outputs whose windows begin in the same chunk, or nearly."""
    ends = {axis.outputs, *(_rounded(axis.output_after(end), unit) for end in itertools.accumulate(sizes))}
    return _sizes([0, *sorted(end for end in ends if 0 < end <= axis.outputs)])


def _regular(outputs: int, size: int) -> tuple[int, ...]:
    return (1,) * outputs if size == 1 else _sizes([*range(0, outputs, size), outputs])


def _sizes(ends: Sequence[int]) -> tuple[int, ...]:
    """Of parts with these ends. An output alone, which drivers may compute in another way than among others, joins
    those before it."""
    sizes: list[int] = []
    for first, last in itertools.pairwise(ends):
        if last - first == 1 and sizes:
            sizes[-1] += 1
        else:
            sizes.append(last - first)
    return tuple(sizes)


def _rounded(outputs: float, unit: int) -> int:
    """The nearest multiple of a unit, but more than one output."""
    return max(unit, 2, round(outputs / unit) * unit)


def _count_of_parts(known: Windowed, chunks: Sequence[Sequence[int]], sizes: Sequence[Sequence[int]]) -> int:
    return math.prod(sum(len(parts_of(span, of_axis)) for span in spans_of(axis, each))
                     for axis, of_axis, each in zip(known.axes, chunks, sizes))


def _count(sizes: Sequence[Sequence[int]]) -> int:
    return math.prod(map(len, sizes))


def _largest(known: Windowed, x: Any, sizes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the largest piece reads and makes, as (N, C, ...)."""
    batch = len(known.shape) == len(known.axes) + 2
    channel = known.places[0] - 1 if known.places[0] > batch else -1
    images = max(x.chunks[0]) if batch else 1
    outputs = tuple(map(max, sizes))
    read = tuple(len(axis.positions(0, count)) for axis, count in zip(known.axes, outputs))
    return (images, x.shape[channel], *read), (images, known.shape[channel], *outputs)


def _bytes(known: Windowed, x: Any, sizes: Sequence[Sequence[int]]) -> int:
    return sum(map(math.prod, _largest(known, x, sizes))) * known.dtype.itemsize


def _nanoseconds(known: Windowed, x: Any, sizes: Sequence[Sequence[int]]) -> float:
    """That all pieces are expected to take, if they take as long for a number as the largest does."""
    read, made = _largest(known, x, sizes)
    times = math.prod(axis.outputs for axis in known.axes) / math.prod(made[2:])
    if known.function is not conv2d:
        return times * POOLED * (math.prod(read) + math.prod(made))
    options = known.options
    plan, _ = IMAGES.planned(read, options["weight"].shape, options["stride"], 0, options["dilation"],
                             options["groups"], "constant", 0.0, options["algorithm"], known.dtype.itemsize,
                             options["data_format"] == "NHWC")
    return times * float(plan.nanoseconds)
