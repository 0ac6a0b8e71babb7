"""Convolutions whose scratch would exceed the bound, cut into parts until it does not.

A driver that would take more than `FORWARD_BYTES` on one thread (`BACKWARD_BYTES` for a weight gradient) hands its
problem over to this module, which halves it and calls the driver for each half; a half that is still too large comes
back. Nothing is copied: parts are views, of x just what they meet.

What is halved is what saves most. Images, groups, filters, rows and columns of a result stand for themselves. Halves of
the channels or of the taps are sums, of which the second goes to a scratch of its own, and there are several of these
at a time, so results are first cut until all fit into `SUM_BYTES`. Such sums of sums are more exact than one long sum.
(For a weight gradient it is the other way round: images, rows and columns are sums.)

Everything follows from sizes, strides and the scratch of one thread,
so the bits do not depend on the number of threads.
"""

import math
from typing import NamedTuple

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.problem.convolution import PLAIN, Convolution
from fastconv._core.problem.geometry import PADDING_MODES
from fastconv._core.runtime import memory

CONSTANT = PADDING_MODES.index("constant")

FORWARD_BYTES = 7 << 20
BACKWARD_BYTES = 15 << 20
SUM_BYTES = 1 << 20  # besides
MOST_KNOWN = 64      # parts of a problem whose scratch is worked out
FEWEST_FILTERS = 32  # that are halved: fewer leave rows of a tile or lanes of a vector idle


class Cut(NamedTuple):
    length: int  # of what is halved
    sums: bool   # whether the result is the sum of the halves', else they are parts of it
    first: Convolution
    second: Convolution


def convolve(driver, workspace, conv):
    """A driver's conv2d by halves; workspace is that of the driver."""
    cut = _best(_cuts(conv), workspace, FORWARD_BYTES, conv.y)
    if not cut.sums:
        driver(cut.first)
        driver(cut.second)
        return
    driver(cut.first.of(epilogue=conv.epilogue.without_activation()))
    more = _scratch(conv.y)
    driver(cut.second.of(y=more, epilogue=PLAIN))
    more += conv.y
    if conv.epilogue.activation:
        elementwise.activate_in_place(more, conv.epilogue.activation, conv.epilogue.negative_slope)
    conv.y[...] = more


def weight_gradient(driver, workspace, conv):
    """A driver's conv2d_weight_gradient by halves; workspace is its gradient_workspace."""
    cut = _best(_gradient_cuts(conv), workspace, BACKWARD_BYTES, conv.w)
    driver(cut.first)
    if not cut.sums:
        driver(cut.second)
        return
    more = _scratch(conv.w)
    driver(cut.second.of(w=more))
    conv.w[...] += more


def fits(workspace, conv):
    """Whether a driver's conv2d takes this as it is."""
    return workspace(conv, True) <= FORWARD_BYTES


def scratch_bytes(workspace, conv, known=None):
    """Bytes of scratch that a driver's conv2d takes at a time, in parts or not, with the threads that it would use now.

    There may be more parts than one could count: beyond MOST_KNOWN the smaller half is taken to need
    what the larger one does.
    """
    known = {} if known is None else known
    key = (*((array.shape, array.strides) for array in (conv.x, conv.w, conv.y)), conv.window.origin)
    if key not in known:
        if fits(workspace, conv):
            known[key] = workspace(conv, False)
        else:
            cut = _best(_cuts(conv), workspace, FORWARD_BYTES, conv.y)
            second, more = cut.second, 0
            if cut.sums:
                second, more = second.of(y=unbacked(conv.y.shape, conv.y.dtype, _channels_last(conv.y))), conv.y.nbytes
            of_first = scratch_bytes(workspace, cut.first, known)
            of_second = scratch_bytes(workspace, second, known) if len(known) < MOST_KNOWN else of_first
            known[key] = max(of_first, more + of_second)
    return known[key]


def unbacked(shape, dtype, channels_last=False):
    """What looks like a C-contiguous array of this shape, or its (N, C, H, W) view where channels come last,
    for its strides alone: there are no elements behind it."""
    if channels_last:
        n, c, h, w = shape
        return unbacked((n, h, w, c), dtype).transpose(0, 3, 1, 2)
    strides = [dtype.itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides, writeable=False)


def scratch(shape, dtype, channels_last=False):
    """An uninitialised array of this shape in one piece of memory,
    or its (N, C, H, W) view where channels come last."""
    if channels_last:
        n, c, h, w = shape
        return scratch((n, h, w, c), dtype).transpose(0, 3, 1, 2)
    return memory.scratch(math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape)


def _scratch(like):
    """An array of this shape, with its channels last where those of `like` are."""
    return scratch(like.shape, like.dtype, _channels_last(like))


def _channels_last(array):
    return array.shape[1] > 1 and array.strides[1] == array.itemsize


# ---------------------------------------------------------------------------------------------------------------------
# The choice


def _best(cuts, workspace, bound, result):
    """The cut whose larger half needs the least, or, where the halves' sums would not fit,
    the longest one of the result."""
    cuts = list(cuts)
    least, best = min(((workspace(cut.first, True), i) for i, cut in enumerate(cuts)))
    levels = 1 + 2 * max(0, math.ceil(math.log2(least / bound)))    # of sums; a cut need not save as much as a half
    if cuts[best].sums and levels * result.nbytes > SUM_BYTES:
        return max((cut for cut in cuts if not cut.sums), key=lambda cut: cut.length)
    return cuts[best]


def _cuts(conv):
    """All cuts of a convolution; what saves as much as another is the better the earlier it comes."""
    yield from _cuts_of_groups(conv)
    yield from _cuts_of_pixels(conv, False)
    if conv.x.shape[1] == conv.w.shape[1]:
        yield from _cuts_of_filters(conv)
        yield from _cuts_of_channels(conv, True)
    for axis in (2, 3):
        yield from _cuts_of_taps(conv, axis, True)


def _gradient_cuts(conv):
    """Those of a weight gradient. The elements of a filter stay one piece of memory."""
    c, r = conv.w.shape[1:3]
    yield from _cuts_of_groups(conv)
    if conv.x.shape[1] == c:
        yield from _cuts_of_filters(conv)
        yield from _cuts_of_channels(conv, False)
    if c == 1:
        yield from _cuts_of_taps(conv, 2 if r > 1 else 3, False)
    yield from _cuts_of_pixels(conv, True)


def _halves(length):
    """The larger half comes first. There are none of 1."""
    if length > 1:
        yield slice(0, (length + 1) // 2), slice((length + 1) // 2, length)


def _along(axis, part):
    return (slice(None),) * axis + (part,)


def _cuts_of_groups(conv):
    groups = conv.x.shape[1] // conv.w.shape[1]
    c, k = conv.w.shape[1], conv.w.shape[0] // groups
    for both in _halves(groups):
        yield Cut(conv.w.shape[0], False, *(
            _filters(conv, slice(part.start * k, part.stop * k)).of(x=conv.x[:, part.start * c:part.stop * c])
            for part in both))


def _cuts_of_filters(conv):
    for both in _halves(conv.w.shape[0]) if conv.w.shape[0] > FEWEST_FILTERS else ():
        yield Cut(conv.w.shape[0], False, *(_filters(conv, part) for part in both))


def _filters(conv, part):
    return conv.of(w=conv.w[part], y=conv.y[:, part], bias=None if conv.bias is None else conv.bias[part])


def _cuts_of_pixels(conv, sums):
    for both in _halves(conv.y.shape[0]):
        yield Cut(conv.y.shape[0], sums, *(conv.of(x=conv.x[part], y=conv.y[part]) for part in both))
    for axis in (2, 3):
        for both in _halves(conv.y.shape[axis]):
            yield Cut(conv.y.shape[axis], sums, *(
                _cropped(_moved(conv, axis, part.start * conv.window.stride[axis - 2])
                         .of(y=conv.y[_along(axis, part)]), axis)
                for part in both))


def _cuts_of_channels(conv, sums):
    for first, second in _halves(conv.w.shape[1]):
        yield Cut(conv.w.shape[1], sums, conv.of(x=conv.x[:, first], w=conv.w[:, first]),
                  conv.without_bias().of(x=conv.x[:, second], w=conv.w[:, second]))


def _cuts_of_taps(conv, axis, sums):
    for first, second in _halves(conv.w.shape[axis]):
        yield Cut(conv.w.shape[axis], sums, _cropped(conv.of(w=conv.w[_along(axis, first)]), axis),
                  _cropped(_moved(conv.without_bias(), axis, second.start * conv.window.dilation[axis - 2]).of(
                      w=conv.w[_along(axis, second)]), axis))


def _moved(conv, axis, distance):
    """Output 0 meets what lies so many pixels further on."""
    origin = list(conv.window.origin)
    origin[axis - 2] -= distance
    return conv.of(origin=tuple(origin))


def _cropped(conv, axis):
    """The rows or columns of x that outputs meet, where the padding is none of the image's other pixels."""
    origin, size = conv.window.origin[axis - 2], conv.x.shape[axis]
    first = -origin
    last = first + (conv.y.shape[axis] - 1) * conv.window.stride[axis - 2] + (
        conv.w.shape[axis] - 1) * conv.window.dilation[axis - 2]
    met = slice(max(first, 0), min(last + 1, size))
    if met.start >= met.stop or (conv.window.padding_mode != CONSTANT and (first < 0 or last >= size)):
        return conv
    return _moved(conv, axis, -met.start).of(x=conv.x[_along(axis, met)])
