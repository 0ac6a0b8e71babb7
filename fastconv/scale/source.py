"""Reading pieces of an image that lies in a memory map, an HDF5 data set, a Zarr array, or anything with `shape`,
`dtype` and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional.pieces import Axis, Windowed, pixels
from fastconv.functional.typing import Array
from fastconv.scale.window import OwnFunction

#: What is computed, and how its windows lie.
Function = Windowed | OwnFunction


class Along(NamedTuple):
    """What some outputs need along one axis.

    runs: of pixels that are read, and follow each other then; order: in which pixels of theirs are repeated, None where
    they stay as they are; filled: how many numbers are put before and after them; pads: the padding that is left to
    the function.
    """

    runs: list[slice]
    order: np.ndarray[Any, np.dtype[np.intp]] | None = None
    filled: tuple[int, int] = (0, 0)
    pads: tuple[int, int] = (0, 0)


class Source:
    """An array of which pieces are read, as of the dtype of a function, with the axis of channels that it needs."""

    def __init__(self, array: Any, function: Function) -> None:
        self.array, self.function = array, function

    def block(self, images: slice, outputs: Sequence[tuple[int, int]]) -> tuple[Array, tuple[tuple[int, int], ...]]:
        """What some outputs of some images see, and the padding that is left to the function."""
        function = self.function
        needs = [_along(axis, function, *ends) for axis, ends in zip(function.axes, outputs)]
        block = self._joined(images, [need.runs for need in needs])
        for place, need in zip(function.places, needs):
            if need.order is not None:
                block = block.take(need.order, place)
        return _filled(block, function, [need.filled for need in needs]), tuple(need.pads for need in needs)

    def _joined(self, images: slice, runs: Sequence[Sequence[slice]], chosen: tuple[slice, ...] = ()) -> Array:
        """The pixels of all combinations of runs, one beside the other."""
        axis = len(chosen)
        if axis == len(runs):
            return self._pixels(images, chosen)
        parts = [self._joined(images, runs, (*chosen, run)) for run in runs[axis]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, self.function.places[axis])

    def _pixels(self, images: slice, chosen: Sequence[slice]) -> Array:
        """Pixels of the array: a view where they need not be converted, and nobody writes to them."""
        function = self.function
        selected = [slice(None)] * self.array.ndim
        if has_batch(self.array.ndim, function):
            selected[0] = images
        first = function.places[0] - (function.channel == 0)
        selected[first:first + len(chosen)] = chosen
        found = np.asarray(self.array[tuple(selected)])
        theirs = isinstance(function, OwnFunction) and not found.flags.owndata    # it may write to what it is given
        if theirs or found.dtype != function.dtype or not found.flags.aligned:
            given, found = found, memory.empty(found.shape, function.dtype)
            np.copyto(found, given, casting="unsafe")
        return found if function.channel is None else np.expand_dims(found, function.channel)


def _along(axis: Axis, function: Function, first: int, last: int) -> Along:
    """What the outputs `first` to `last - 1` need along an axis."""
    if last - first == axis.outputs:    # all of it: the call is that of the whole
        return Along([slice(0, axis.size)], pads=(axis.before, axis.after))
    seen, span = axis.positions(first, last), axis.span(first, last)
    inside = slice(span.start, span.stop)
    if function.pads_itself and span.start < span.stop:
        return Along([inside], pads=(span.before, span.after))
    if function.mode == "constant":    # no function takes an image that has no pixels
        before = span.start - seen.start if span.start < span.stop else len(seen)
        return Along([inside], filled=(before, len(seen) - before - (span.stop - span.start)))
    index = pixels(seen, axis.size, function.mode)
    read, order = np.unique(index, return_inverse=True)
    runs = [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(read, np.flatnonzero(np.diff(read) > 1) + 1)]
    as_they_are = len(index) == len(read) and bool((np.diff(index) == 1).all())
    return Along(runs, None if as_they_are else order)


def _filled(block: Array, function: Function, sides: Sequence[tuple[int, int]]) -> Array:
    """Pixels between numbers that stand for padding."""
    if not any(map(any, sides)):
        return block
    shape, inside = list(block.shape), [slice(None)] * block.ndim
    for place, (before, after) in zip(function.places, sides):
        inside[place] = slice(before, before + shape[place])
        shape[place] += before + after
    filled = np.full(shape, function.fill, function.dtype)
    filled[tuple(inside)] = block
    return filled


def has_batch(axes: int, function: Function) -> bool:
    """Whether the first of so many axes counts images."""
    return axes == len(function.axes) + 2
