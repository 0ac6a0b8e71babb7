"""The same convolution as a simpler one, where sizes allow: views of its arrays alone, nothing is copied.

Idle taps. Rows and columns at the ends of the filters that meet nothing but constant padding are left out;
the window begins that much later. A 3 x 3 filter with padding on planes of one pixel is a 1 x 1 filter. What such taps
add, the padding's value times their weights, is the same in every output: see idle.py.

Shapes. Where an output is one pixel high or wide, each row or column of the filters meets one row or column of the
image, and may take the place of a channel, or follow the others in one row:

    POINT             one output, whole planes:  (n, c, h, w) -> (1, c h w, 1, n)  a matrix product: images are pixels
    POINT_OF_PIXELS   as NHWC:                   (n, h w, c)  -> (1, c, 1, n h w)  one row, the step is an image
    ONE_ROW           one column, whole rows:    (n, c, h, w) -> (n, c, 1, h w)    one row, the step is a row
    COLUMNS           one column, one channel:   (n, 1, h, w) -> (n, w, 1, h)      columns are channels
    ROWS              one row, few channels:     (n, c, h, w) -> (n, c h, 1, w)    rows are channels

Drivers fill their tiles with neighbouring pixels of a row and their sums with channels, of which there are few
before and many after. Two axes become one only where their strides allow: an array of unusual strides is computed
as it is (`views` returns None).
"""

import functools
import math
from typing import NamedTuple

from fastconv._core.problem.geometry import ConvProblem

FEW_CHANNELS = 16    # with so many a vector is full: rows need not be channels

POINT, POINT_OF_PIXELS, ONE_ROW, COLUMNS, ROWS = "point", "point of pixels", "one row", "columns", "rows"


class Simpler(NamedTuple):
    """A problem that does the same as another one, and how its arrays are seen:
    `kept` taps of the filters, `met` rows and columns of the image, and the change of shape, or None."""

    problem: ConvProblem
    kept: tuple[slice, slice]
    met: tuple[slice, slice]
    shape: str | None
    idle: bool            # whether taps were left out
    meets_all: bool       # pixels of the image; the gradient of the others is zero

    def filters(self, w):
        """The taps of filters that are kept, as they lie."""
        return w[:, :, self.kept[0], self.kept[1]]

    def views(self, x, w, y):
        """The arrays as those of the simpler problem, or None where strides do not allow that."""
        w = self.filters(w)
        if self.shape is None:
            return x, w, y
        x = x[:, :, self.met[0], self.met[1]]
        if self.shape == POINT:
            x, w, y = joined(x, 1, 3), joined(w, 1, 3), y[:, :, 0, 0]
            return None if x is None or w is None else (x.T[None, :, None], w[:, :, None, None], y.T[None, :, None])
        if self.shape == POINT_OF_PIXELS:
            x, w, y = joined(x.transpose(0, 2, 3, 1), 0, 2), joined(w, 2, 3), y[:, :, 0, 0]
            return None if x is None or w is None else (x.T[None, :, None], w[:, :, None], y.T[None, :, None])
        if self.shape == ROWS:
            x, w = joined(x, 1, 2), joined(w, 1, 2)
            return None if x is None or w is None else (x[:, :, None], w[:, :, None], y)
        y = y[:, :, None, :, 0]
        if self.shape == COLUMNS:
            return x[:, 0].transpose(0, 2, 1)[:, :, None], w[:, 0].transpose(0, 2, 1)[:, :, None], y
        x, w = joined(x, 2, 3), joined(w, 2, 3)
        return None if x is None or w is None else (x[:, :, None], w[:, :, None], y)


@functools.lru_cache(maxsize=512)
def simpler(problem):
    """The simpler form of a problem with something to compute, or None where there is none."""
    if 0 in problem.output_shape or 0 in problem.weight_shape or 0 in problem.x_shape:
        return None
    whole, kept = problem.taps, [range(taps) for taps in problem.taps]
    if problem.padding_mode == "constant":
        kept = [_kept(*of_axis) for of_axis in _axes(problem)]
    idle = any(len(some) < taps for some, taps in zip(kept, whole))
    if idle:
        origin = [before - some.start * step for before, some, step in zip(problem.origin, kept, problem.dilation)]
        problem = _remade(problem, problem.x_shape, tuple(map(len, kept)), problem.stride, origin, problem.output_size,
                          problem.channels_last)
    kept = tuple(slice(some.start, some.stop) for some in kept)
    shape = _shape(problem, *(taps == before for taps, before in zip(problem.taps, whole)))
    if shape is None:
        return Simpler(problem, kept, (slice(None), slice(None)), None, idle, True) if idle else None
    met = tuple(slice(-before, -before + (taps - 1) * step + 1, step) if outputs == 1 else slice(None)
                for _, outputs, taps, _, before, step in _axes(problem))
    meets_all = all(len(range(*some.indices(size))) == size for size, some in zip(problem.size, met))
    return Simpler(_reshaped(problem, shape), kept, met, shape, idle, meets_all)


def _axes(problem):
    """Of rows and of columns: pixels, outputs, taps, stride, padding before, dilation."""
    return zip(problem.size, problem.output_size, problem.taps, problem.stride, problem.origin, problem.dilation)


def _kept(size, outputs, taps, stride, before, dilation):
    """The taps that meet a pixel, but for those that stride over the image;
    all where none does, as something must be computed."""
    first = max(0, -(((outputs - 1) * stride - before) // dilation))
    last = min(taps - 1, (size - 1 + before) // dilation)
    return range(first, last + 1) if first <= last else range(taps)


def _inside(size, outputs, taps, stride, before, dilation):
    """Whether no tap along this axis meets padding."""
    return before <= 0 and (outputs - 1) * stride + (taps - 1) * dilation - before < size


def _shape(problem, all_rows, all_columns):
    """The change of shape that pays, or None; whether all rows and columns of the filters were kept,
    so that they lie side by side."""
    (h, w), (oh, ow), (r, s), c = problem.size, problem.output_size, problem.taps, problem.channels
    rows_inside, columns_inside = (_inside(*of_axis) for of_axis in _axes(problem))
    in_planes = not problem.channels_last or c * problem.groups == 1
    taps_follow = all_columns or r == 1             # those of one channel, each other
    channels_follow = c == 1 or (all_rows and all_columns)
    if oh == ow == 1:
        if not (rows_inside and columns_inside) or (c == 1 and problem.groups > 1):
            return None
        if r * s == 1 or ((r, s) == (h, w) and in_planes and taps_follow and channels_follow):
            return POINT
        # Of planes pixels and images do not follow each other.
        return POINT_OF_PIXELS if (r, s) == (h, w) and taps_follow and problem.images > 1 and not in_planes else None
    if ow == 1 and columns_inside:
        if c == problem.groups == 1 and s > 1:
            return COLUMNS
        if s == 1:
            return ONE_ROW if w == 1 or not in_planes else None
        follow = problem.dilation[1] == 1 and (r == 1 or problem.dilation[0] == 1) and taps_follow
        return ONE_ROW if s == w and follow and (rows_inside or problem.padding_mode == "constant") else None
    if oh == 1 and rows_inside and r > 1 and problem.groups == 1 and c < FEW_CHANNELS:
        return ROWS if c == 1 or (r == h and in_planes and all_rows) else None
    return None


def _reshaped(problem, shape):
    """The problem in its new shape; there is no padding along an axis that has become channels."""
    n, c, groups, last = problem.images, problem.channels, problem.groups, problem.channels_last
    (h, w), (oh, ow), (r, s) = problem.size, problem.output_size, problem.taps
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, problem.origin
    if shape == POINT:
        return _remade(problem, (1, groups * c * r * s, 1, n), (1, 1), (1, 1), (0, 0), (1, n), last or (r, s) == (h, w))
    if shape == POINT_OF_PIXELS:
        return _remade(problem._replace(dilation=(1, 1)), (1, groups * c, 1, n * r * s), (1, r * s), (1, r * s), (0, 0),
                       (1, n), True)
    if shape == COLUMNS:
        return _remade(problem._replace(dilation=(1, dh)), (n, s, 1, h), (1, r), (1, sh), (0, top), (1, oh), True)
    if shape == ROWS:
        return _remade(problem._replace(dilation=(1, dw)), (n, c * r, 1, w), (1, s), (1, sw), (0, left), (1, ow), False)
    return _remade(problem._replace(dilation=(1, dh if s == 1 else 1)), (n, groups * c, 1, h * s),
                   (1, r * s), (1, sh * s), (0, top * s), (1, oh), last)


def _remade(problem, x_shape, taps, stride, origin, output_size, last):
    """A problem with other sizes: its dilation and groups stay, and its padding mode as far as there is padding."""
    weight_shape = (problem.weight_shape[0], x_shape[1] // problem.groups, *taps)
    made = problem._replace(x_shape=x_shape, weight_shape=weight_shape, stride=stride, output_size=output_size,
                            channels_last=last)
    after = [(outputs - 1) * step + (count - 1) * distance + 1 - size - before
             for outputs, step, count, distance, size, before
             in zip(output_size, stride, taps, problem.dilation, x_shape[2:], origin)]
    made = made._replace(pads=tuple(zip(origin, after)))
    return made._replace(padding_mode="constant") if all(_inside(*of_axis) for of_axis in _axes(made)) else made


def joined(array, first, last):
    """Axes first .. last of an array as one, or None where they do not follow each other evenly in memory."""
    step = None
    for size, stride in zip(reversed(array.shape[first:last + 1]), reversed(array.strides[first:last + 1])):
        if size > 1:
            if step is not None and stride != step:
                return None
            step = size * stride
    return array.reshape(*array.shape[:first], math.prod(array.shape[first:last + 1]), *array.shape[last + 1:])
