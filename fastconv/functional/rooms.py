"""Memory of the maps of one pass through a network: that of a map of which nothing is left serves the next one.

Each map in memory of its own, taken from the pool by its size, would lie where nothing was for a whole pass: outside of
the near caches. So there are few large pieces, in whose beginnings the maps follow each other. A piece is free when
nobody holds an array that lies in it.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional.typing import Array

MOST = 8    # pieces; what finds none gets memory of its own
ALIGNMENT = 64    # of maps that follow each other

# Other threads count references for themselves where there is no lock over all of them.
_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)


def aligned(nbytes: int) -> int:
    """The bytes of a map that another one follows."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def pixel_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The strides of maps (N, C, H, W) that lie with channels last."""
    _, c, h, w = shape
    return tuple(itemsize * step for step in (h * w * c, 1, w * c, c))


class Rooms:
    """The pieces of one pass, for the thread that makes it; and in which order maps (N, C, H, W) lie there.

    Attributes
    ----------
    channels_last : bool
        Whether convolutions of this pass, which take any strides, leave their maps as pixels of channels.
    planes, pixels : float
        The nanoseconds that what runs is expected to take with maps in planes and with channels last, whatever the
        order is.
    """

    def __init__(self, channels_last: bool = False) -> None:
        self.channels_last = channels_last
        self.planes = self.pixels = 0.0
        self._pieces: list[Array] = []
        self._thread = threading.get_ident() if _COUNTS() else None

    def take(self, shape: tuple[int, ...], dtype: Any, size: int, strides: tuple[int, ...] | None = None) -> Array:
        """Room for an array, of so many bytes in one piece of memory, in C order or with these strides: it lies in a
        piece, or in memory that nothing else lies in."""
        if threading.get_ident() == self._thread:
            pieces = self._pieces
            for i in range(len(pieces)):
                if sys.getrefcount(pieces[i]) == _FREE and pieces[i].size >= size:
                    return np.ndarray(shape, dtype, pieces[i], 0, strides)
            if len(pieces) < MOST:
                pieces.append(memory.empty((size,), np.uint8))
                return np.ndarray(shape, dtype, pieces[-1], 0, strides)
        if strides is None:
            return memory.empty(shape, dtype)
        return np.ndarray(shape, dtype, memory.empty((size,), np.uint8), 0, strides)

    def expect(self, planes: float, pixels: float) -> None:
        """Count an operation: what it is expected to take, if its maps are planes and if they are pixels."""
        self.planes += planes
        self.pixels += pixels

    def hold(self, array: Any) -> bool:
        """Whether an array lies in one of the pieces."""
        return isinstance(array, np.ndarray) and any(array.base is piece for piece in self._pieces)


def _references(pieces: list[Array]) -> int:
    """That are counted of a free piece: it depends on the interpreter."""
    return sys.getrefcount(pieces[0])


_FREE = _references([np.empty(1)])
