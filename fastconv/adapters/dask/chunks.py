"""Where the chunks of a result begin and end.

A task costs Dask about TASK nanoseconds, whatever it does (on threads some less; on a cluster its worker stands still
for twice as long, and the scheduler takes as much again), each part of a chunk that a piece needs PART, and each byte
of the parts beside the largest, at which the piece is computed, MOVED: it is sent by another worker, or copied. So
small chunks are joined, as long as there are tasks for many threads; chunks that would take too much memory are
divided; and others stay as they are, since of those around them an edge is needed, and of others most. What a piece
itself takes is asked of the planner for convolutions; poolings take about POOLED nanoseconds a number. The rows and
columns that windows share with those of other pieces are in what it takes.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from typing import Any

from fastconv.functional import checks
from fastconv.functional.conv import IMAGES, conv2d
from fastconv.functional.pieces import Along, Axis, Windowed, along

Chunks = tuple[int, int] | None

TASK, PART, MOVED = 1e6, 300e3, 1.0
POOLED = 1.0
MOST_BYTES = 96 << 20     # of what a piece reads and makes
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
    return min(able, key=lambda sizes: (TASK * _count(sizes) + _handing(known, x, sizes)
                                        + _nanoseconds(known, x, sizes)))


def parts_of(runs: Sequence[tuple[int, int]], chunks: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    """The chunks that runs of pixels lie in, and what is needed of each; where no pixel is, nothing of the first."""
    ends, found = [*itertools.accumulate(chunks, initial=0)], []
    for start, stop in runs:
        number = max(0, bisect.bisect_right(ends, start, hi=len(chunks)) - 1)
        found.append((number, (start - ends[number], min(stop, ends[number + 1]) - ends[number])))
        while stop > ends[number + 1]:
            number += 1
            found.append((number, (0, min(stop, ends[number + 1]) - ends[number])))
    return found


def needs_of(known: Windowed, axis: Axis, sizes: Sequence[int]) -> list[Along]:
    """What the parts of a result that have these sizes need."""
    ends = itertools.accumulate(sizes, initial=0)
    return [along(axis, first, last, known.mode, known.pads_itself) for first, last in itertools.pairwise(ends)]


def _of_chunks(axis: Axis, sizes: Sequence[int], unit: int) -> tuple[int, ...]:
    """Outputs whose windows have their middle in the same chunk, or nearly: with padding "same" the chunks of x."""
    middle = axis.dilation * (axis.taps - 1) // 2
    ends = {axis.outputs, *(_rounded(axis.output_after(end - middle), unit) for end in itertools.accumulate(sizes))}
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


def _handing(known: Windowed, x: Any, sizes: Sequence[Sequence[int]]) -> float:
    """Nanoseconds until all pieces have their parts."""
    parts, read, largest = 1, 1, 1
    for axis, place, each in zip(known.axes, known.places, sizes):
        lengths = [[last - first for _, (first, last) in parts_of(need.runs, x.chunks[place])]
                   for need in needs_of(known, axis, each)]
        parts *= sum(map(len, lengths))
        read *= sum(map(sum, lengths))
        largest *= sum(map(max, lengths))
    others = x.size // math.prod(axis.size for axis in known.axes)
    return PART * parts + MOVED * (read - largest) * others * known.dtype.itemsize


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
