"""The C functions under `scipy.ndimage`'s linear filters, with their arguments: the sums are computed by fastconv.

A filter along one axis sees the array as (before, along, behind) and goes through it in pieces, as images whose rows or
columns are filtered; each line is read before it is written, so the output may be the input. A filter of several axes
sees planes of the last two, and adds up the planes that the taps along the others see, in pieces of planes or of rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.adapters.report import Report
from fastconv.adapters.scipy.borders import Border
from fastconv.adapters.scipy.sharing import share_out
from fastconv.adapters.scipy.sums import PIECE, Filter, is_integral, largest_sum, must_be_exact, store

_EPSILON = float(np.finfo(np.float64).eps)

#: Averages of more neighbours are formed by running sums, of fewer by adding them up anew.
_LONG_AVERAGE = 64


class Filters:
    """SciPy's module `_nd_image` with three functions of ours; what they do not serve goes to its own.

    Parameters
    ----------
    host : module
        SciPy's module in C.
    report : Report
    """

    def __init__(self, host: Any, report: Report) -> None:
        self._host = host
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def correlate(self, input, weights, output, mode, cval, origins):
        border = Border.of_ndimage(mode, float(cval))
        kept = np.where(np.abs(weights) > _EPSILON, weights, 0.0)  # SciPy leaves out what is next to nothing
        self._serve("correlate", (input, weights, output, mode, cval, origins), (input, kept, output, border),
                    lambda: _correlate(input, kept, output, border, list(origins)))

    def correlate1d(self, input, weights, axis, output, mode, cval, origin):
        border = Border.of_ndimage(mode, float(cval))
        mirrored = _mirrored(weights)
        self._serve("correlate1d", (input, weights, axis, output, mode, cval, origin),
                    (input, mirrored, output, border),
                    lambda: _along(input, mirrored, axis, output, border, origin))

    def uniform_filter1d(self, input, size, axis, output, mode, cval, origin):
        border = Border.of_ndimage(mode, float(cval))
        # SciPy's running sum carries a NaN to the end of the line, and cuts averages off at integers.
        weights = np.full(size, 1 / size)
        self._serve("uniform_filter1d", (input, size, axis, output, mode, cval, origin),
                    (input, weights, output, border),
                    lambda: _averages(input, size, axis, output, border, origin),
                    "NaN or infinity, which a running sum carries on" if not _is_finite(input, border) else None)

    def _serve(self, name: str, arguments: tuple, seen: tuple, run: Callable[[], None],
               reason: str | None = None) -> None:
        reason = _refusal(*seen) or reason
        if reason is None:
            self._report.serve(name)
            run()
        else:
            self._report.hand_on(name, reason)
            getattr(self._host, name)(*arguments)


def _refusal(input: np.ndarray, weights: np.ndarray, output: np.ndarray, border: Border) -> str | None:
    """Why SciPy itself must compute this, if so."""
    if input.dtype.kind not in "biuf" or input.dtype.itemsize > 8 or input.dtype == np.float16:
        return f"input of {input.dtype}"
    if output.dtype.kind not in "iuf" or output.dtype.itemsize > 8 or output.dtype == np.float16:
        return f"output of {output.dtype}"
    if input.size == 0:
        return "an empty array"
    if not output.flags.writeable:
        return "an output that is read-only"
    if not np.isfinite(weights).all():
        return "weights that are not finite"
    if output.dtype.kind != "f":
        return _truncation(input, weights, output, border)
    return None


def _truncation(input: np.ndarray, weights: np.ndarray, output: np.ndarray, border: Border) -> str | None:
    """Integers are what SciPy cuts its sums off to: the same only where the sums are whole numbers, and no larger."""
    if not (is_integral(weights) and border.value.is_integer() and is_integral(input)):
        return "fractional sums, cut off at integers in SciPy's order of summation"
    limit = 2**53 if output.dtype.itemsize == 8 else 2**31
    if input.dtype.kind in "biu" and input.dtype.itemsize <= 2:
        largest = max(2.0 ** (8 * input.dtype.itemsize), abs(border.value))
        if largest * float(np.abs(weights).sum()) < limit:
            return None
    if not largest_sum(input, weights, border.value) < limit:
        return "sums beyond the integers of the output"
    return None


def _is_finite(input: np.ndarray, border: Border) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(border.value) and (np.isfinite(input.sum(dtype=np.float64)) if input.size else True))


def _mirrored(weights: np.ndarray) -> np.ndarray:
    """The weights that SciPy uses: it takes the right half for a mirror image of the left one if nearly so."""
    half = len(weights) // 2
    if len(weights) % 2 == 0 or half == 0:
        return weights
    left, right = weights[:half], weights[half + 1:][::-1]
    for sign in (1.0, -1.0):
        if np.abs(right - sign * left).max() <= _EPSILON:
            return np.concatenate([weights[:half + 1], sign * left[::-1]])
    return weights


def _along(input, weights, axis, output, border, origin, skips_zeros=False):
    """A filter along one axis."""
    exact = must_be_exact(input, weights)
    before = len(weights) // 2 + origin
    _in_pieces(input, axis, output, lambda rows: _line_filter(weights, before, border, rows, exact, skips_zeros).sums)


def _line_filter(weights, before, border, rows, exact=False, skips_zeros=False):
    """A filter along the rows of images, or along their columns."""
    pads = before, len(weights) - 1 - before
    if rows:
        return Filter(weights[None], ((0, 0), pads), border, exact, skips_zeros)
    return Filter(weights[:, None], (pads, (0, 0)), border, exact, skips_zeros)


def _averages(input, size, axis, output, border, origin):
    """Averages of `size` neighbours along one axis."""
    before = size // 2 + origin

    def added(rows):
        ones = _line_filter(np.ones(size), before, border, rows)

        def average(images, out):
            ones.sums(images, out)
            out /= size

        return average

    def running(rows):
        def average(images, out):
            length = images.shape[2 if rows else 1]
            places = border.places(-before, length + size - 1 - before, length)
            padded = _taken(images, (slice(None), slice(None), places) if rows else (slice(None), places), border)
            functional.avg_pool2d(padded[:, None], (1, size) if rows else (size, 1), stride=1, out=out[:, None])

        return average

    _in_pieces(input, axis, output, added if size <= _LONG_AVERAGE else running)


def _in_pieces(input, axis, output, along):
    """Filter all lines along an axis in pieces: `along(rows)` gives the function of images in double and of their sums.

    The images (N, H, W) of a piece have lines that are whole: rows where it is the last axis, else columns.
    """
    if input.ndim == 0:
        input, output, axis = input.reshape(1), output.reshape(1), 0
    if input.flags.f_contiguous and not input.flags.c_contiguous:
        input, output, axis = input.T, output.T, input.ndim - 1 - axis
    if np.may_share_memory(input, output) and not _are_same(input, output):
        input = input.copy()
    shape = math.prod(input.shape[:axis]), input.shape[axis], math.prod(input.shape[axis + 1:])
    rows = shape[2] == 1
    source = input.reshape(shape)
    target = output.reshape(shape) if output.flags.c_contiguous else np.empty(shape, output.dtype)
    compute = along(rows)

    def work(places):
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

    share_out(_places(shape), work)
    if not output.flags.c_contiguous:
        output[...] = target.reshape(output.shape)


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


def _correlate(input, weights, output, border, origins):
    """A filter of any number of axes."""
    filtered = [axis for axis, taps in enumerate(weights.shape) if taps > 1]
    if len(filtered) < 2:
        axis = filtered[0] if filtered else max(input.ndim - 1, 0)
        origin = origins[axis] if filtered else 0
        _along(input, weights.reshape(-1), axis, output, border, origin, skips_zeros=True)
        return
    order = [axis for axis in range(input.ndim) if axis not in filtered[-2:]] + filtered[-2:]
    input, output, weights = (array.transpose(order) for array in (input, output, weights))
    before = [taps // 2 + origins[axis] for axis, taps in zip(order, weights.shape)]
    shape = math.prod(input.shape[:-2]), *input.shape[-2:]
    planes = input.reshape(shape)
    # Where the planes cannot be seen as one axis without a copy, they are written at the end.
    apart = output.ndim > 3 and not output.flags.c_contiguous
    target = np.empty(shape, output.dtype) if apart else output.reshape(shape)
    taps = _taps(input.shape[:-2], weights, before, border)
    _through_planes(planes, target, taps, before[-2:], border, must_be_exact(input, weights))
    if apart:
        output[...] = target.reshape(output.shape)


def _taps(sizes, weights, before, border):
    """For each tap along the axes before the last two: the plane that each output plane sees, and the filter on it."""
    taps = []
    for tap in itertools.product(*(range(count) for count in weights.shape[:-2])):
        if not weights[tap].any() and any(count > 1 for count in weights.shape[:-2]):
            continue  # weights of zero see nothing
        places = [border.places(i - b, i - b + size, size) for i, b, size in zip(tap, before, sizes)]
        seen = np.zeros((), np.intp)
        for place, size in zip(places, sizes):
            seen = np.where((seen[..., None] < 0) | (place < 0), -1, seen[..., None] * size + place)
        taps.append((seen.reshape(-1), np.ascontiguousarray(weights[tap])))
    return taps


def _through_planes(planes, target, taps, before, border, exact):
    count, height, width = planes.shape
    r, s = taps[0][1].shape if taps else (1, 1)
    top, left = before
    bottom, right = r - 1 - top, s - 1 - left
    filters = [(seen, Filter(w, ((0, 0), (left, right)), border, exact, True)) for seen, w in taps]
    step = max(PIECE // max(height * width, 1), 1)
    rows = height if height * width <= PIECE else min(max(PIECE // width, 2 * r), height)

    def work(corners):
        for i, j in corners:
            stop = min(j + rows, height)
            sums = np.empty((min(step, count - i), stop - j, width))
            part = np.empty(sums.shape) if len(filters) > 1 else sums
            if not filters:
                sums.fill(0.0)
            for n, (seen, taken) in enumerate(filters):
                piece = _taken(planes, (seen[i:i + step], border.places(j - top, stop + bottom, height)), border)
                taken.sums(piece, sums if n == 0 else part)
                if n:
                    sums += part
            store(sums, target[i:i + step, j:stop])

    share_out(itertools.product(range(0, count, step), range(0, height, rows)), work)


def _taken(array, places, border):
    """The entries of an array at `places` of its first axes, in double; -1 is the constant."""
    places = [_run(place) for place in places]
    taken = array
    for axis, place in enumerate(places):
        taken = taken[(slice(None),) * axis + (place,)]
    taken = taken.astype(np.float64, copy=False)
    for axis, place in enumerate(places):
        if isinstance(place, np.ndarray) and (outside := np.flatnonzero(place < 0)).size:
            taken[(slice(None),) * axis + (outside,)] = border.value  # a copy: no slice has places outside
    return taken


def _run(places):
    """Places that follow each other as a slice, which copies nothing."""
    if isinstance(places, np.ndarray) and places[0] >= 0 and (places[1:] - places[:-1] == 1).all():
        return slice(int(places[0]), int(places[-1]) + 1)
    return places
