"""Which pieces a job is cut into: some images at a time, or of one image some rows of the result."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from fastconv.functional.foreign import shown
from fastconv.scale.source import Function, has_batch


class Piece(NamedTuple):
    """The outputs `first` to `last - 1` along the first axis of windows, of some images."""

    images: slice
    first: int
    last: int


def cut(source: Any, out: Any, function: Function, memory: int) -> list[Piece]:
    """The pieces, of about equal size, that each take at most half of the memory: there are two at a time."""
    rows, place = function.axes[0], function.places[0]
    images = source.shape[0] if has_batch(source.ndim, function) else 1
    if 0 in source.shape:
        return []
    of_row = _bytes(source, images * rows.size, function.dtype)
    of_output = _bytes(out, images * rows.outputs, function.dtype)

    def taken(outputs: int) -> int:
        return len(rows.positions(0, outputs)) * of_row + outputs * of_output

    half = memory // 2
    if taken(1) > half:
        raise ValueError(f"memory must be at least {2 * taken(1)} bytes, for {len(rows.positions(0, 1))} rows of "
                         f"source and one of out, twice, got {shown(memory)}")
    if taken(rows.outputs) <= half:
        return [Piece(slice(start, stop), 0, rows.outputs)
                for start, stop in _even(images, max(1, half // taken(rows.outputs)), 1)]
    most = max(1, (half - taken(1)) // (of_row * rows.stride + of_output) + 1)
    unit = _unit(out, place, function, most)
    return [Piece(slice(image, image + 1), first, last)
            for image in range(images) for first, last in _even(rows.outputs, most, unit)]


def _bytes(array: Any, rows: int, dtype: np.dtype[Any]) -> int:
    """Of a row of an image as numbers of the dtype; and as it is, where it must be converted from a copy or to one."""
    size = dtype.itemsize
    if not isinstance(array, np.ndarray) and array.dtype != dtype:
        size += array.dtype.itemsize
    return math.prod(array.shape) * size // rows


def _unit(out: Any, place: int, function: Function, most: int) -> int:
    """Where pieces may begin: at multiples of so many outputs. Those that keep the bits of the whole, and the chunks of
    out, if there is memory for them."""
    units = [function.aligned[0]]
    chunks = getattr(out, "chunks", None)
    if chunks and len(chunks) == out.ndim:
        units.append(math.lcm(units[0], chunks[place - (len(chunks) < len(function.shape or chunks))]))
    return max((unit for unit in units if unit <= most), default=1)


def _even(total: int, most: int, unit: int) -> list[tuple[int, int]]:
    """A range in parts of about equal size, at most so large, that begin at multiples of a unit."""
    units = -(-total // unit)
    count = -(-units // (most // unit))
    ends = [min(total, units * part // count * unit) for part in range(count + 1)]
    return list(itertools.pairwise(ends))
