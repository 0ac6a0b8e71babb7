"""Convolutions with fixed weights, one after the other, band by band: what lies between them stays in the caches.

Around a depthwise convolution there are maps of many channels, larger than the caches, each of which is written once
and read once. So a band of rows goes through all of the convolutions before the next one begins: each computes the rows
that the next needs of it and that the band before did not have; rows that both bands need are moved.

    for image:
        for band of rows of the last map:
            for convolution: rows of the map before it (a cache) -> rows of its own map

The bits are those of whole maps: the drivers that take part sum up an output in one order, wherever it lies. It is for
one thread: several have caches of their own, and would wait for each other at every part of a band.

Source: Alwani, Chen, Ferdman and Milder, "Fused-layer CNN accelerators" (2016).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.runtime import memory
from fastconv.functional.fixed import FixedCall
from fastconv.functional.rooms import aligned, pixel_strides
from fastconv.functional.typing import Array

LARGE_BYTES = 1 << 20    # of a map of one image, that is better not written as a whole
BAND_BYTES = 768 << 10   # that one convolution of a band reads and writes, at most


class Rows(NamedTuple):
    """What a call computes of a band: rows of one map (of x, those between and y, in their order) from rows of the one
    before it, with the window as it lies on these; and rows of its map that are moved before, from where and to where.
    """

    call: FixedCall
    bias: Array | None
    map: int
    window: Window
    read: slice
    written: slice
    moved: tuple[slice, slice] | None


class Cascade:
    """Several calls, each on what the one before gives, as one, for arrays x of one form."""

    def __init__(self, calls: Sequence[tuple[FixedCall, Array | None]]) -> None:
        (first, _), (last, _) = calls[0], calls[-1]
        self.shape, self.strides, self.size, self.dtype = last.shape, last.strides, last.size, last.dtype
        bands = _bands([call for call, _ in calls])
        self._maps: list[tuple[tuple[int, ...], int, tuple[int, ...]]] = []    # those between: shape, offset, strides
        self._nbytes = 0
        for (call, _), needed in zip(calls[:-1], zip(*bands)):
            _, k, _, w = call.shape
            shape = 1, k, max(stop - start for start, stop in needed), w
            strides = pixel_strides(shape, self.dtype.itemsize)
            self._maps.append((shape, self._nbytes, strides))
            self._nbytes += aligned(strides[0])
        self._steps = [step for before, band in zip([None, *bands], bands)
                       for step in _steps(calls, before, band, first.rows)]

    def fill(self, x: Array, _: None, y: Array) -> Array:
        """The last map, in y."""
        room = memory.empty((self._nbytes,), np.uint8)
        between = [np.ndarray(shape, self.dtype, room, offset, strides) for shape, offset, strides in self._maps]
        for image in range(len(x)):
            maps = [x[image:image + 1], *between, y[image:image + 1]]
            for call, bias, number, window, read, written, moved in self._steps:
                rows = maps[number]
                if moved is not None:
                    rows[:, :, moved[1]] = rows[:, :, moved[0]]
                call.of_rows(Convolution(maps[number - 1][:, :, read], call.weight, bias, rows[:, :, written], window,
                                         call.epilogue), *call.prepared)
        return y


def joins(before: FixedCall, after: FixedCall) -> bool:
    """Whether two calls, the second on what the first gives, are better done in bands than one after the other."""
    return (before.of_rows is not None and after.of_rows is not None
            and before.size >= LARGE_BYTES * before.shape[0])


def _bands(calls: Sequence[FixedCall]) -> list[list[tuple[int, int]]]:
    """For each band the rows, from where to where, that are needed of each map."""
    images, _, outputs, _ = calls[-1].shape
    most = max(before.size + after.size for before, after in itertools.pairwise(calls)) // images
    bands = min(outputs, -(-most // BAND_BYTES))
    return [_needed(calls, outputs * i // bands, outputs * (i + 1) // bands) for i in range(bands)]


def _needed(calls: Sequence[FixedCall], start: int, stop: int) -> list[tuple[int, int]]:
    """Of each map the rows that these of the last one need, directly or not."""
    needed = [(start, stop)]
    for before, call in zip(calls[-2::-1], calls[:0:-1]):
        needed.insert(0, _read(call, *needed[0], before.shape[2]))
    return needed


def _read(call: FixedCall, start: int, stop: int, size: int) -> tuple[int, int]:
    """The rows of a map of so many that these rows of the result meet, but one at least."""
    step, top = call.window.stride[0], call.window.origin[0]
    behind = (stop - 1) * step - top + (call.weight.shape[2] - 1) * call.window.dilation[0] + 1
    first = min(max(0, start * step - top), size - 1)
    return first, min(max(first + 1, behind), size)


def _steps(calls: Sequence[tuple[FixedCall, Array | None]], before: list[tuple[int, int]] | None,
           band: list[tuple[int, int]], size: int) -> Iterator[Rows]:
    """Those of a band, behind another one or None; x has so many rows."""
    for i, ((call, bias), (start, stop)) in enumerate(zip(calls, band)):
        last, fresh, moved = i + 1 == len(calls), start, None
        if before is not None and not last:
            begun, ended = before[i]
            fresh = min(max(start, ended), stop - 1)
            if begun < start < fresh:
                moved = slice(start - begun, fresh - begun), slice(0, fresh - start)
        first, behind = _read(call, fresh, stop, calls[i - 1][0].shape[2] if i else size)
        of_map = 0 if last else start           # the first row that there is, of its map
        of_source = band[i - 1][0] if i else 0    # and of the one before
        origin = first + call.window.origin[0] - fresh * call.window.stride[0], call.window.origin[1]
        yield Rows(call, bias, i + 1, call.window.with_origin(origin), slice(first - of_source, behind - of_source),
                   slice(fresh - of_map, stop - of_map), moved)
