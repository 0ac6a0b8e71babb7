"""Reading pieces of an image that lies in a memory map, an HDF5 data set, a Zarr array, or anything with `shape`,
`dtype` and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional.pieces import Windowed, along, arranged
from fastconv.functional.typing import Array
from fastconv.scale.window import OwnFunction

#: What is computed, and how its windows lie.
Function = Windowed | OwnFunction


class Source:
    """An array of which pieces are read, as of the dtype of a function, with the axis of channels that it needs."""

    def __init__(self, array: Any, function: Function) -> None:
        self.array, self.function = array, function

    def block(self, images: slice, outputs: Sequence[tuple[int, int]]) -> tuple[Array, tuple[tuple[int, int], ...]]:
        """What some outputs of some images see, and the padding that is left to the function."""
        function = self.function
        needs = [along(axis, *ends, function.mode, function.pads_itself)
                 for axis, ends in zip(function.axes, outputs)]
        pixels = self._joined(images, [need.runs for need in needs])
        return arranged(pixels, function.places, needs, function.fill), tuple(need.pads for need in needs)

    def _joined(self, images: slice, runs: Sequence[Sequence[tuple[int, int]]],
                chosen: tuple[slice, ...] = ()) -> Array:
        """The pixels of all combinations of runs, one beside the other."""
        axis = len(chosen)
        if axis == len(runs):
            return self._pixels(images, chosen)
        parts = [self._joined(images, runs, (*chosen, slice(*run))) for run in runs[axis]]
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


def has_batch(axes: int, function: Function) -> bool:
    """Whether the first of so many axes counts images."""
    return axes == len(function.axes) + 2
