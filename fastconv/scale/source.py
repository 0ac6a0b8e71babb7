"""Reading bands of an image that lies in a memory map, an HDF5 data set, a Zarr array, or anything with `shape`,
`dtype` and slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional.pieces import Windowed, pixels
from fastconv.functional.typing import Array
from fastconv.scale.window import OwnFunction

#: What is computed, and how its windows lie.
Function = Windowed | OwnFunction


class Source:
    """An array of which bands are read, as of the dtype of a function, with the axis of channels that it needs."""

    def __init__(self, array: Any, function: Function) -> None:
        self.array, self.function = array, function

    def band(self, images: slice, first: int, last: int) -> tuple[Array, tuple[tuple[int, int], ...]]:
        """What the outputs `first` to `last - 1` of some images see, and the padding that is left to the function."""
        function, rows = self.function, self.function.axes[0]
        pads = tuple((axis.before, axis.after) for axis in function.axes[1:])
        seen, span = rows.positions(first, last), rows.span(first, last)
        if last - first == rows.outputs:    # all of it: the call is that of the whole
            return self._rows(images, 0, rows.size), ((rows.before, rows.after), *pads)
        if function.pads_itself and span.start < span.stop:
            return self._rows(images, span.start, span.stop), ((span.before, span.after), *pads)
        if function.mode == "constant":
            return self._filled(images, seen, span.start, span.stop), ((0, 0), *pads)
        index = pixels(seen, rows.size, function.mode)
        read, places = np.unique(index, return_inverse=True)
        runs = np.split(read, np.flatnonzero(np.diff(read) > 1) + 1)
        parts = [self._rows(images, int(run[0]), int(run[-1]) + 1) for run in runs]
        band = parts[0] if len(parts) == 1 else np.concatenate(parts, function.places[0])
        if len(index) == len(read) and (np.diff(index) == 1).all():
            return band, ((0, 0), *pads)
        return band.take(places, function.places[0]), ((0, 0), *pads)

    def _filled(self, images: slice, seen: range, start: int, stop: int) -> Array:
        """Rows with their padding, or without any: no function takes an image that has none."""
        rows, place = self._rows(images, start, stop), self.function.places[0]
        if len(seen) == stop - start:
            return rows
        shape = [len(seen) if axis == place else size for axis, size in enumerate(rows.shape)]
        band = np.full(shape, self.function.fill, self.function.dtype)
        inside = start - seen.start if start < stop else 0
        np.moveaxis(band, place, 0)[inside:inside + stop - start] = np.moveaxis(rows, place, 0)
        return band

    def _rows(self, images: slice, start: int, stop: int) -> Array:
        """Rows of the array: a view where they need not be converted, and nobody writes to them."""
        function = self.function
        selected = [slice(None)] * self.array.ndim
        if has_batch(self.array.ndim, function):
            selected[0] = images
        selected[function.places[0] - (function.channel == 0)] = slice(start, stop)
        rows = np.asarray(self.array[tuple(selected)])
        theirs = isinstance(function, OwnFunction) and not rows.flags.owndata    # it may write to what it is given
        if theirs or rows.dtype != function.dtype or not rows.flags.aligned:
            given, rows = rows, memory.empty(rows.shape, function.dtype)
            np.copyto(rows, given, casting="unsafe")
        return rows if function.channel is None else np.expand_dims(rows, function.channel)


def has_batch(axes: int, function: Function) -> bool:
    """Whether the first of so many axes counts images."""
    return axes == len(function.axes) + 2
