"""Convolutions whose scratch would exceed the bound, cut into parts until it does not.

A driver that would take more than `FORWARD_BYTES` on one thread (`BACKWARD_BYTES` for a weight gradient) hands its problem over to
this module, which halves it and calls the driver for each half; a half that is still too large comes back. Nothing is copied:
parts are views, of x just what they meet.

What is halved is what saves most. Images, groups, filters, rows and columns of a result stand for themselves. Halves of the
channels or of the taps are sums, of which the second goes to a scratch of its own, and there are several of these at a time, so
results are first cut until all fit into `SUM_BYTES`. Such sums of sums are more exact than one long sum. (For a weight gradient it
is the other way round: images, rows and columns are sums.)

Everything follows from sizes, strides and the scratch of one thread, so the bits do not depend on the number of threads.
"""

import math
from typing import NamedTuple

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import memory
from fastconv._core.problem.geometry import PADDING_MODES

CONSTANT = PADDING_MODES.index("constant")

FORWARD_BYTES = 7 << 20
BACKWARD_BYTES = 15 << 20
SUM_BYTES = 1 << 20  # besides
MOST_KNOWN = 64      # parts of a problem whose scratch is worked out
FEWEST_FILTERS = 32  # that are halved: fewer leave rows of a tile or lanes of a vector idle


class Problem(NamedTuple):
    """Arrays and options of a driver's conv2d or, with gradients in place of w and y, of its conv2d_weight_gradient."""

    x: np.ndarray
    w: np.ndarray
    y: np.ndarray
    stride: tuple[int, int]
    dilation: tuple[int, int]
    origin: tuple[int, int]
    padding_mode: int
    bias: np.ndarray | None = None


class Cut(NamedTuple):
    length: int  # of what is halved
    sums: bool   # whether the result is the sum of the halves', else they are parts of it
    first: Problem
    second: Problem


def convolve(driver, workspace, problem, padding_value, activation, negative_slope):
    """A driver's conv2d by halves; workspace is that of the driver."""
    cut = _best(_cuts(problem), workspace, FORWARD_BYTES, problem.y)

    def run(part, activation):
        driver(part.x, part.w, part.bias, part.y, part.stride, part.dilation, part.origin, part.padding_mode, padding_value,
               activation, negative_slope)

    run(cut.first, 0 if cut.sums else activation)
    if not cut.sums:
        run(cut.second, activation)
        return
    more = _scratch(problem.y)
    run(cut.second._replace(y=more), 0)
    more += problem.y
    if activation:
        elementwise.activate_in_place(more, activation, negative_slope)
    problem.y[...] = more


def weight_gradient(driver, workspace, problem, padding_value):
    """A driver's conv2d_weight_gradient by halves; workspace is its gradient_workspace."""
    cut = _best(_gradient_cuts(problem), workspace, BACKWARD_BYTES, problem.w)

    def run(part):
        driver(part.y, part.x, part.w, part.stride, part.dilation, part.origin, part.padding_mode, padding_value)

    run(cut.first)
    if not cut.sums:
        run(cut.second)
        return
    more = _scratch(problem.w)
    run(cut.second._replace(w=more))
    problem.w[...] += more


def fits(workspace, problem):
    """Whether a driver's conv2d takes this as it is."""
    return _need(workspace, problem) <= FORWARD_BYTES


def scratch_bytes(workspace, problem, known=None):
    """Bytes of scratch that a driver's conv2d takes at a time, in parts or not, with the threads that it would use now.

    There may be more parts than one could count: beyond MOST_KNOWN the smaller half is taken to need what the larger one does.
    """
    known = {} if known is None else known
    key = (*((array.shape, array.strides) for array in problem[:3]), problem.origin)
    if key not in known:
        if fits(workspace, problem):
            known[key] = workspace(*problem[:7], False)
        else:
            cut = _best(_cuts(problem), workspace, FORWARD_BYTES, problem.y)
            second, more = cut.second, 0
            if cut.sums:
                second, more = (second._replace(y=unbacked(problem.y.shape, problem.y.dtype, _channels_last(problem.y))),
                                problem.y.nbytes)
            of_first = scratch_bytes(workspace, cut.first, known)
            of_second = scratch_bytes(workspace, second, known) if len(known) < MOST_KNOWN else of_first
            known[key] = max(of_first, more + of_second)
    return known[key]


def unbacked(shape, dtype, channels_last=False):
    """What looks like a C-contiguous array of this shape, or its (N, C, H, W) view where channels come last, for its strides alone:
    there are no elements behind it."""
    if channels_last:
        n, c, h, w = shape
        return unbacked((n, h, w, c), dtype).transpose(0, 3, 1, 2)
    strides = [dtype.itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides, writeable=False)


def _scratch(like):
    """An uninitialised array of this shape in one piece of memory, with its channels last where those of `like` are."""
    n, c, h, w = like.shape
    shape = (n, h, w, c) if _channels_last(like) else like.shape
    array = memory.scratch(like.nbytes).view(like.dtype).reshape(shape)
    return array.transpose(0, 3, 1, 2) if _channels_last(like) else array


def _channels_last(array):
    return array.shape[1] > 1 and array.strides[1] == array.itemsize


# ---------------------------------------------------------------------------------------------------------------------
# The choice


def _need(workspace, problem):
    return workspace(*problem[:7], True)


def _best(cuts, workspace, bound, result):
    """The cut whose larger half needs the least, or, where the halves' sums would not fit, the longest one of the result."""
    cuts = list(cuts)
    least, best = min(((_need(workspace, cut.first), i) for i, cut in enumerate(cuts)))
    levels = 1 + 2 * max(0, math.ceil(math.log2(least / bound)))    # of sums; a cut need not save as much as a half
    if cuts[best].sums and levels * result.nbytes > SUM_BYTES:
        return max((cut for cut in cuts if not cut.sums), key=lambda cut: cut.length)
    return cuts[best]


def _cuts(problem):
    """All cuts of a convolution; what saves as much as another is the better the earlier it comes."""
    yield from _cuts_of_groups(problem)
    yield from _cuts_of_pixels(problem, False)
    if problem.x.shape[1] == problem.w.shape[1]:
        yield from _cuts_of_filters(problem)
        yield from _cuts_of_channels(problem, True)
    for axis in (2, 3):
        yield from _cuts_of_taps(problem, axis, True)


def _gradient_cuts(problem):
    """Those of a weight gradient. The elements of a filter stay one piece of memory."""
    c, r = problem.w.shape[1:3]
    yield from _cuts_of_groups(problem)
    if problem.x.shape[1] == c:
        yield from _cuts_of_filters(problem)
        yield from _cuts_of_channels(problem, False)
    if c == 1:
        yield from _cuts_of_taps(problem, 2 if r > 1 else 3, False)
    yield from _cuts_of_pixels(problem, True)


def _halves(length):
    """The larger half comes first. There are none of 1."""
    if length > 1:
        yield slice(0, (length + 1) // 2), slice((length + 1) // 2, length)


def _along(axis, part):
    return (slice(None),) * axis + (part,)


def _cuts_of_groups(problem):
    groups = problem.x.shape[1] // problem.w.shape[1]
    c, k = problem.w.shape[1], problem.w.shape[0] // groups
    for both in _halves(groups):
        yield Cut(problem.w.shape[0], False, *(
            _filters(problem, slice(part.start * k, part.stop * k))._replace(x=problem.x[:, part.start * c:part.stop * c])
            for part in both))


def _cuts_of_filters(problem):
    for both in _halves(problem.w.shape[0]) if problem.w.shape[0] > FEWEST_FILTERS else ():
        yield Cut(problem.w.shape[0], False, *(_filters(problem, part) for part in both))


def _filters(problem, part):
    return problem._replace(w=problem.w[part], y=problem.y[:, part], bias=None if problem.bias is None else problem.bias[part])


def _cuts_of_pixels(problem, sums):
    for both in _halves(problem.y.shape[0]):
        yield Cut(problem.y.shape[0], sums, *(problem._replace(x=problem.x[part], y=problem.y[part]) for part in both))
    for axis in (2, 3):
        for both in _halves(problem.y.shape[axis]):
            yield Cut(problem.y.shape[axis], sums, *(
                _cropped(_moved(problem, axis, part.start * problem.stride[axis - 2])._replace(y=problem.y[_along(axis, part)]), axis)
                for part in both))


def _cuts_of_channels(problem, sums):
    for first, second in _halves(problem.w.shape[1]):
        yield Cut(problem.w.shape[1], sums, problem._replace(x=problem.x[:, first], w=problem.w[:, first]),
                  problem._replace(x=problem.x[:, second], w=problem.w[:, second], bias=None))


def _cuts_of_taps(problem, axis, sums):
    for first, second in _halves(problem.w.shape[axis]):
        yield Cut(problem.w.shape[axis], sums, _cropped(problem._replace(w=problem.w[_along(axis, first)]), axis),
                  _cropped(_moved(problem, axis, second.start * problem.dilation[axis - 2])._replace(
                      w=problem.w[_along(axis, second)], bias=None), axis))


def _moved(problem, axis, distance):
    """Output 0 meets what lies so many pixels further on."""
    origin = list(problem.origin)
    origin[axis - 2] -= distance
    return problem._replace(origin=tuple(origin))


def _cropped(problem, axis):
    """The rows or columns of x that outputs meet, where the padding is none of the image's other pixels."""
    origin, size = problem.origin[axis - 2], problem.x.shape[axis]
    first = -origin
    last = first + (problem.y.shape[axis] - 1) * problem.stride[axis - 2] + (
        problem.w.shape[axis] - 1) * problem.dilation[axis - 2]
    met = slice(max(first, 0), min(last + 1, size))
    if met.start >= met.stop or (problem.padding_mode != CONSTANT and (first < 0 or last >= size)):
        return problem
    return _moved(problem, axis, -met.start)._replace(x=problem.x[_along(axis, met)])
