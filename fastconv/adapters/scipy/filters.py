"""The C functions under `scipy.ndimage`'s linear filters, with their arguments: the sums are computed by fastconv.

What has one axis is in `lines`. A filter of several axes sees planes of the last two, and adds up the planes that the
taps along the others see, in pieces of planes or of rows.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np

from fastconv.adapters.scipy.borders import Border
from fastconv.adapters.scipy.exchanged import Exchanged
from fastconv.adapters.scipy.lines import EPSILON, MOST_KEPT, Line, averages, line_of, line_of_averages
from fastconv.adapters.scipy.sharing import share_out
from fastconv.adapters.scipy.sums import PIECE, Filter, is_integral, largest_sum, must_be_exact, store


class Filters(Exchanged):
    """SciPy's module `_nd_image` with three functions of ours; what they do not serve goes to its own."""

    def correlate(self, input, weights, output, mode, cval, origins):
        taps = _taps_of(weights, tuple(origins), Border.of_ndimage(mode, float(cval)))
        self._serve("correlate", (input, weights, output, mode, cval, origins), (input, taps, output),
                    lambda: _correlate(input, taps, output))

    def correlate1d(self, input, weights, axis, output, mode, cval, origin):
        line = line_of(weights, origin, Border.of_ndimage(mode, float(cval)))
        self._serve("correlate1d", (input, weights, axis, output, mode, cval, origin), (input, line, output),
                    lambda: line.along(input, axis, output))

    def uniform_filter1d(self, input, size, axis, output, mode, cval, origin):
        border = Border.of_ndimage(mode, float(cval))
        # SciPy's running sum carries a NaN to the end of the line, and cuts averages off at integers.
        line = line_of_averages(size, 1 / size, origin, border)
        self._serve("uniform_filter1d", (input, size, axis, output, mode, cval, origin), (input, line, output),
                    lambda: averages(input, size, axis, output, border, origin),
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


class Taps:
    """A filter of any number of axes that is ready for planes.

    Parameters
    ----------
    weights : array of float64
    origins : tuple of int
        SciPy's, for each axis.
    border : Border
    """

    def __init__(self, weights: np.ndarray, origins: tuple[int, ...], border: Border) -> None:
        self.weights = np.where(np.abs(weights) > EPSILON, weights, 0.0)  # SciPy leaves out what is next to nothing
        self.origins, self.border = origins, border
        self.is_finite = bool(np.isfinite(weights).all())
        self.filtered = [axis for axis, taps in enumerate(weights.shape) if taps > 1]
        self._planes: dict[bool, Filter] = {}

    def of_planes(self, exact: bool) -> Filter:
        """A filter of two axes, on planes that are whole."""
        found = self._planes.get(exact)
        if found is None:
            before = [taps // 2 + origin for taps, origin in zip(self.weights.shape, self.origins)]
            pads = tuple((some, taps - 1 - some) for some, taps in zip(before, self.weights.shape))
            found = self._planes[exact] = Filter(self.weights, pads, self.border, exact, True)
        return found


def _taps_of(weights: np.ndarray, origins: tuple[int, ...], border: Border) -> Taps:
    make = _known_taps if weights.size <= MOST_KEPT else _known_taps.__wrapped__
    return make(weights.tobytes(), weights.shape, origins, border)


@functools.lru_cache(256)
def _known_taps(weights: bytes, shape: tuple[int, ...], origins: tuple[int, ...], border: Border) -> Taps:
    return Taps(np.frombuffer(weights).reshape(shape), origins, border)


def _refusal(input: np.ndarray, filter: Line | Taps, output: np.ndarray) -> str | None:
    """Why SciPy itself must compute this, if so."""
    if input.dtype.kind not in "biuf" or input.dtype.itemsize > 8 or input.dtype == np.float16:
        return f"input of {input.dtype}"
    if output.dtype.kind not in "iuf" or output.dtype.itemsize > 8 or output.dtype == np.float16:
        return f"output of {output.dtype}"
    if input.size == 0:
        return "an empty array"
    if not output.flags.writeable:
        return "an output that is read-only"
    if not filter.is_finite:
        return "weights that are not finite"
    if output.dtype.kind != "f":
        return _truncation(input, filter.weights, output, filter.border)
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


def _correlate(input: np.ndarray, taps: Taps, output: np.ndarray) -> None:
    """A filter of any number of axes."""
    weights, border, filtered = taps.weights, taps.border, taps.filtered
    if len(filtered) < 2:
        axis = filtered[0] if filtered else max(input.ndim - 1, 0)
        middle = weights.size // 2 + (taps.origins[axis] if filtered else 0)
        Line(weights.reshape(-1), middle, border, skips_zeros=True).along(input, axis, output)
        return
    exact = must_be_exact(input, weights)
    if input.ndim == 2 and input.size <= PIECE:
        _plane(input, taps.of_planes(exact), output)
        return
    order = [axis for axis in range(input.ndim) if axis not in filtered[-2:]] + filtered[-2:]
    input, output, weights = (array.transpose(order) for array in (input, output, weights))
    before = [count // 2 + taps.origins[axis] for axis, count in zip(order, weights.shape)]
    shape = math.prod(input.shape[:-2]), *input.shape[-2:]
    planes = input.reshape(shape)
    # Where the planes cannot be seen as one axis without a copy, they are written at the end.
    apart = output.ndim > 3 and not output.flags.c_contiguous
    target = np.empty(shape, output.dtype) if apart else output.reshape(shape)
    seen = _seen(input.shape[:-2], weights, before, border)
    _through_planes(planes, target, seen, before[-2:], border, exact)
    if apart:
        output[...] = target.reshape(output.shape)


def _plane(image: np.ndarray, filter: Filter, output: np.ndarray) -> None:
    """A small plane, in one call: of the time for it most is around the sums."""
    fits = output.dtype == np.float64 and output.flags.carray and not np.may_share_memory(image, output)
    sums = output if fits else np.empty(image.shape)
    filter.sums(image.astype(np.float64, copy=False)[None], sums[None])
    if sums is not output:
        store(sums, output)


def _seen(sizes, weights, before, border):
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
                piece = border.taken(planes, (seen[i:i + step], border.places(j - top, stop + bottom, height)))
                taken.sums(piece, sums if n == 0 else part)
                if n:
                    sums += part
            store(sums, target[i:i + step, j:stop])

    share_out(itertools.product(range(0, count, step), range(0, height, rows)), work)
