"""Which pieces a job is cut into: some images at a time, or of one image some rows of the result, or some rows and
columns.

Whole rows are read fastest, as they lie in one run. Columns are cut where rows are so long that what windows share
with those of the next band would be most of what a band reads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv.functional.foreign import shown
from fastconv.functional.pieces import Axis
from fastconv.scale.source import Function, has_batch

_FEWEST = 3       # outputs along an axis: those that are alone may be computed in another way than among others
_RUN = 1 << 12    # bytes that are read for nothing with each row of a block: a page of a file


class Piece(NamedTuple):
    """Some images, and of them the outputs `first` to `last - 1` along each axis of windows."""

    images: slice
    outputs: tuple[tuple[int, int], ...]


def cut(source: Any, out: Any, function: Function, memory: int) -> list[Piece]:
    """The pieces, of about equal size, that each take at most half of the memory: there are two at a time."""
    if 0 in source.shape:
        return []
    axes, half = function.axes, memory // 2
    images = source.shape[0] if has_batch(source.ndim, function) else 1
    of_pixel = _bytes(source, images * math.prod(axis.size for axis in axes), function.dtype)
    of_output = _bytes(out, images * math.prod(axis.outputs for axis in axes), function.dtype)

    def taken(block: Sequence[int]) -> int:
        return math.prod(map(_read, axes, block)) * of_pixel + math.prod(block) * of_output

    whole = tuple(axis.outputs for axis in axes)
    if taken(whole) <= half:
        return [Piece(slice(*some), tuple((0, outputs) for outputs in whole))
                for some in _even(images, half // taken(whole), 1)]
    smallest = tuple(min(_FEWEST, outputs) for outputs in whole)
    if taken(smallest) > half:
        sizes = (" x ".join(map(str, each)) for each in (map(_read, axes, smallest), smallest))
        raise ValueError(f"memory must be at least {2 * taken(smallest)} bytes, for {next(sizes)} pixels of source and "
                         f"{next(sizes)} of out, twice, got {shown(memory)}")
    units = _units(out, function)
    blocks = []
    for rest in itertools.product(*map(_halves, axes[1:], units[1:])):
        rows = _most(lambda rows: taken((rows, *rest)) <= half, smallest[0], whole[0])  # noqa: B023 (called at once)
        if rows:
            blocks.append((rows, *rest))
    most = _chosen(blocks, axes, function.aligned, source.dtype.itemsize)
    ends = [_even(axis.outputs, size, _unit(size, known)) for axis, size, known in zip(axes, most, units)]
    return [Piece(slice(image, image + 1), outputs)
            for image in range(images) for outputs in itertools.product(*ends)]


def _chosen(blocks: Sequence[tuple[int, ...]], axes: Sequence[Axis], aligned: Sequence[int],
            itemsize: int) -> tuple[int, ...]:
    """Of blocks that fit, of those that keep the bits of the whole if there are any: whole rows, if they are read no
    more than twice, or else what reads least."""
    keeping = [block for block in blocks if all(size >= unit or size == axis.outputs
                                                for axis, size, unit in zip(axes, block, aligned))]
    first, *others = keeping or blocks
    if not _cuts_columns(axes, first) and _cost(axes, first, itemsize) <= 2 * math.prod(axis.size for axis in axes):
        return first
    return min((first, *others), key=lambda block: _cost(axes, block, itemsize))


def _read(axis: Axis, outputs: int) -> int:
    """Pixels along an axis that so many outputs see; all outputs get all pixels."""
    return axis.size if outputs == axis.outputs else len(axis.positions(0, outputs))


def _bytes(array: Any, pixels: int, dtype: np.dtype[Any]) -> int:
    """Of a pixel with its channels as numbers of the dtype; and as it is, where it must be converted from a copy or to
    one."""
    size = dtype.itemsize
    if not isinstance(array, np.ndarray) and array.dtype != dtype:
        size += array.dtype.itemsize
    return math.prod(array.shape) * size // pixels


def _units(out: Any, function: Function) -> list[list[int]]:
    """Along each axis, where pieces should begin: at multiples of so many outputs. Those that keep the bits of the
    whole, and the chunks of out, for which there may be no memory."""
    units = [[unit] for unit in function.aligned]
    chunks = getattr(out, "shards", None) or getattr(out, "chunks", None)
    if chunks and len(chunks) == out.ndim:
        lacks = len(chunks) < len(function.shape or chunks) and function.channel == 0
        for place, known in zip(function.places, units):
            known.append(math.lcm(known[0], chunks[place - lacks]))
    return units


def _halves(axis: Axis, units: Sequence[int]) -> list[int]:
    """All outputs of an axis, the half of them, and so on."""
    sizes, size = [axis.outputs], axis.outputs
    while size > _FEWEST:
        size = max(_FEWEST, -(-size // 2))
        whole = size // _unit(size, units) * _unit(size, units)
        sizes.append(whole if whole >= _FEWEST else size)
    return sizes


def _unit(size: int, units: Sequence[int]) -> int:
    """The largest of these units that fits into so many outputs."""
    return max((unit for unit in units if unit <= size), default=1)


def _cuts_columns(axes: Sequence[Axis], block: Sequence[int]) -> bool:
    return any(size < axis.outputs for axis, size in zip(axes[1:], block[1:]))


def _most(fits: Any, lowest: int, highest: int) -> int:
    """The most outputs, from lowest to highest, that fit; 0 if none do."""
    if fits(highest):
        return highest
    if not fits(lowest):
        return 0
    while highest - lowest > 1:
        middle = (lowest + highest) // 2
        lowest, highest = (middle, highest) if fits(middle) else (lowest, middle)
    return lowest


def _cost(axes: Sequence[Axis], block: Sequence[int], itemsize: int) -> float:
    """What all blocks read, in pixels: the run of each row as some more of them, where columns are cut."""
    read = math.prod(-(-axis.outputs // size) * _read(axis, size) for axis, size in zip(axes, block))
    if not _cuts_columns(axes, block):
        return read
    return read * (1 + _RUN / (itemsize * _read(axes[-1], block[-1])))


def _even(total: int, most: int, unit: int) -> list[tuple[int, int]]:
    """A range in parts of about equal size, at most so large, that begin at multiples of a unit."""
    units = -(-total // unit)
    count = -(-units // (most // unit))
    ends = [min(total, units * part // count * unit) for part in range(count + 1)]
    return list(itertools.pairwise(ends))
