"""A filter along one axis, as `scipy.ndimage` has it for arrays of any number of axes.

It sees the array as (before, along, behind) and goes through it in pieces, as images whose rows or columns are
filtered; each line is read before it is written, so the output may be the input. An array of one piece is filtered
with as little around it as there can be: for a small one that is most of the time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.adapters.scipy.borders import Border
from fastconv.adapters.scipy.sharing import share_out
from fastconv.adapters.scipy.sums import PIECE, Filter, must_be_exact, store

EPSILON = float(np.finfo(np.float64).eps)

#: Filters of at most so many taps are made ready once: a few megabytes, all of them together.
MOST_KEPT = 1024

#: Averages of more neighbours are formed by running sums, of fewer by adding them up anew.
_LONG_AVERAGE = 64


class Line:
    """A filter along one axis that is ready for images: along their rows, or along their columns.

    Parameters
    ----------
    weights : array of float64
    before : int
        Taps before the one that an output lies under.
    border : Border
    skips_zeros : bool
        As of `Filter`.
    """

    def __init__(self, weights: np.ndarray, before: int, border: Border, skips_zeros: bool = False) -> None:
        self.weights, self.border = weights, border
        self.before, self.behind = before, len(weights) - 1 - before
        self.is_finite = bool(np.isfinite(weights).all())
        self._skips_zeros = skips_zeros
        self._filters: dict[tuple[bool, bool], Filter] = {}

    def filter(self, rows: bool, exact: bool = False) -> Filter:
        """The same as a filter of images."""
        found = self._filters.get((rows, exact))
        if found is None:
            pads = self.before, self.behind
            weights = self.weights[None] if rows else self.weights[:, None]
            padding = ((0, 0), pads) if rows else (pads, (0, 0))
            found = self._filters[rows, exact] = Filter(weights, padding, self.border, exact, self._skips_zeros)
        return found

    def along(self, input: np.ndarray, axis: int, output: np.ndarray) -> None:
        """The filter along an axis."""
        exact = must_be_exact(input, self.weights)
        in_pieces(input, axis, output, lambda rows: self.filter(rows, exact).sums)


def line_of(weights: np.ndarray, origin: int, border: Border) -> Line:
    """The one of SciPy's `correlate1d`."""
    make = _line_of if weights.size <= MOST_KEPT else _line_of.__wrapped__
    return make(weights.tobytes(), origin, border)


@functools.lru_cache(256)
def _line_of(weights: bytes, origin: int, border: Border) -> Line:
    mirrored = _mirrored(np.frombuffer(weights))
    return Line(mirrored, len(mirrored) // 2 + origin, border)


def line_of_averages(size: int, weight: float, origin: int, border: Border) -> Line:
    """Equal weights."""
    make = _line_of_averages if size <= MOST_KEPT else _line_of_averages.__wrapped__
    return make(size, weight, origin, border)


@functools.lru_cache(256)
def _line_of_averages(size: int, weight: float, origin: int, border: Border) -> Line:
    return Line(np.full(size, weight), size // 2 + origin, border)


def _mirrored(weights: np.ndarray) -> np.ndarray:
    """The weights that SciPy uses: it takes the right half for a mirror image of the left one if nearly so."""
    half = len(weights) // 2
    if len(weights) % 2 == 0 or half == 0:
        return weights
    left, right = weights[:half], weights[half + 1:][::-1]
    for sign in (1.0, -1.0):
        if np.abs(right - sign * left).max() <= EPSILON:
            return np.concatenate([weights[:half + 1], sign * left[::-1]])
    return weights


def averages(input: np.ndarray, size: int, axis: int, output: np.ndarray, border: Border, origin: int) -> None:
    """Averages of `size` neighbours along one axis."""
    before = size // 2 + origin

    def added(rows):
        ones = line_of_averages(size, 1.0, origin, border).filter(rows)

        def average(images, out):
            ones.sums(images, out)
            out /= size

        return average

    def running(rows):
        def average(images, out):
            length = images.shape[2 if rows else 1]
            places = border.places(-before, length + size - 1 - before, length)
            padded = border.taken(images, (slice(None), slice(None), places) if rows else (slice(None), places))
            functional.avg_pool2d(padded[:, None], (1, size) if rows else (size, 1), stride=1, out=out[:, None])

        return average

    in_pieces(input, axis, output, added if size <= _LONG_AVERAGE else running)


def in_pieces(input: np.ndarray, axis: int, output: np.ndarray, along: Callable[[bool], Callable[..., Any]]) -> None:
    """Filter all lines along an axis in pieces: `along(rows)` gives the function of images in double and of their sums.

    The images (N, H, W) of a piece have lines that are whole: rows where it is the last axis, else columns.
    """
    if input.ndim == 0:
        input, output, axis = input.reshape(1), output.reshape(1), 0
    if input.flags.f_contiguous and not input.flags.c_contiguous:
        input, output, axis = input.T, output.T, input.ndim - 1 - axis
    apart = not np.may_share_memory(input, output)
    if not apart and not _are_same(input, output):
        input = input.copy()
    shape = math.prod(input.shape[:axis]), input.shape[axis], math.prod(input.shape[axis + 1:])
    rows = shape[2] == 1
    source = input.reshape(shape)
    target = output.reshape(shape) if output.flags.c_contiguous else np.empty(shape, output.dtype)
    compute = along(rows)
    if input.size <= PIECE:
        images, goal = (array[None, :, :, 0] if rows else array for array in (source, target))
        _in_one_piece(images, goal, compute, apart)
    else:
        share_out(_places(shape), lambda places: _at(places, source, target, compute))
    if not output.flags.c_contiguous:
        output[...] = target.reshape(output.shape)


def _in_one_piece(images: np.ndarray, goal: np.ndarray, compute: Callable[..., Any], apart: bool) -> None:
    """Nothing is copied that need not be."""
    images = images.astype(np.float64, copy=False)
    if apart and goal.dtype == np.float64 and goal.flags.carray:
        compute(images, goal)
        return
    sums = np.empty(images.shape)
    compute(images, sums)
    store(sums, goal)


def _at(places: Iterator[Any], source: np.ndarray, target: np.ndarray, compute: Callable[..., Any]) -> None:
    """The pieces at these places, through the same memory."""
    rows = source.shape[2] == 1
    images = sums = np.empty(0)
    for place in places:
        piece, goal = source[place], target[place]
        if rows:
            piece, goal = piece[None, :, :, 0], goal[None, :, :, 0]
        if images.shape != piece.shape:
            images, sums = np.empty(piece.shape), np.empty(piece.shape)
        np.copyto(images, piece)
        compute(images, sums)
        store(sums, goal)


def _places(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    """Pieces of an array (before, along, behind), whole along the middle axis."""
    before, along, behind = shape
    step = max(PIECE // max(along * behind, 1), 1)
    width = behind if along * behind <= PIECE else max(PIECE // along, 16)
    for i in range(0, before, step):
        for j in range(0, behind, width):
            yield slice(i, i + step), slice(None), slice(j, j + width)


def _are_same(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.__array_interface__["data"] == b.__array_interface__["data"] and a.strides == b.strides
            and a.dtype == b.dtype)
