"""The C function under `scipy.signal.convolve2d` and `correlate2d`, with its arguments: fastconv computes the sums.

The sums have the common dtype of both arrays, as in SciPy: floats are summed in it, integers in double and then wrapped
around as C does.
"""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.adapters.scipy.exchanged import Exchanged
from fastconv.adapters.scipy.sums import ZERO, largest_sum, must_be_exact, the_same

#: SciPy's numbers for the boundaries as `padding_mode`, and for the sizes of the output.
_BOUNDARIES = {0: "constant", 4: "symmetric", 8: "circular"}
_VALID, _SAME, _FULL = 0, 1, 2


class Planes(Exchanged):
    """SciPy's module `_sigtools` with a function of ours; what it does not serve goes to SciPy's own."""

    def _convolve2d(self, in1, in2, flip=1, mode=_FULL, boundary=0, fillvalue=None):
        name = "convolve2d" if flip else "correlate2d"
        value, reason = _refusal(in1, in2, mode, boundary, fillvalue)
        if reason is not None:
            self._report.hand_on(name, reason)
            return self._host._convolve2d(in1, in2, flip, mode, boundary, fillvalue)
        self._report.serve(name)
        return _convolved(in1, in2, flip, mode, boundary, value)


def _refusal(in1, in2, mode, boundary, fillvalue) -> tuple[float, str | None]:
    """The constant beyond the border, and why SciPy itself must compute this, if so."""
    dtype = np.result_type(in1.dtype, in2.dtype)
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype == np.float16:
        return 0.0, f"sums of {dtype}"
    if in1.size == 0 or in2.size == 0:
        return 0.0, "an empty array"
    if mode not in (_VALID, _SAME, _FULL) or boundary not in _BOUNDARIES:
        return 0.0, "a mode or boundary that SciPy refuses"
    if mode == _VALID and any(size < taps for size, taps in zip(in1.shape, in2.shape)):
        return 0.0, "a filter larger than the image"
    if not np.isfinite(in2).all():
        return 0.0, "weights that are not finite"
    value = 0.0
    if boundary == 0 and fillvalue is not None:
        given = np.asarray(fillvalue)
        if given.size != 1 or given.dtype.kind not in "biuf":
            return 0.0, "a fill value that is no real number"
        value = float(given.item())
        if dtype.kind != "f" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            return 0.0, f"a fill value that is not within {dtype}"
        value = float(np.asarray(value).astype(dtype))
    if dtype.kind != "f" and not largest_sum(in1, in2.astype(np.float64), value) < 2**53:
        return 0.0, "sums beyond 2**53"
    return value, None


def _convolved(in1, in2, flip, mode, boundary, value):
    dtype = np.result_type(in1.dtype, in2.dtype)
    reverse = slice(None, None, -1)
    swapped = (mode == _FULL and boundary == 0 and value == 0 and in2.size > in1.size
               and bool(np.isfinite(in1).all()))
    if swapped:  # the smaller one is the filter; a correlation is then the other way round
        in1, in2 = in2, in1
    working = dtype if dtype.kind == "f" else np.dtype(np.float64)
    image, weights = in1.astype(working, copy=False), in2.astype(working, copy=False)
    if flip:
        weights = weights[reverse, reverse]
    pads = []
    for taps in weights.shape:
        before = {_VALID: 0, _SAME: taps // 2 if flip else (taps - 1) // 2, _FULL: taps - 1}[mode]
        pads.append((before, {_VALID: 0, _SAME: taps - 1 - before, _FULL: taps - 1}[mode]))
    exact = dtype.kind != "f" or must_be_exact(image, weights)
    y = functional.conv2d(image[None], weights[None, None], padding=the_same(tuple(pads)), padding_value=value or ZERO,
                          padding_mode=_BOUNDARIES[boundary], algorithm="direct" if exact else "auto")[0]
    if swapped and not flip:
        y = y[reverse, reverse]
    if dtype.kind != "f":
        y = y.astype(np.int64).astype(dtype, copy=False)
    return np.ascontiguousarray(y)
