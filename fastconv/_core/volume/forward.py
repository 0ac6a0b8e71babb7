"""The sum over the taps along the depth, each step of which (planes.py) is one convolution of images by a plan of two
dimensions: the first writes y, with the bias, others add to it, the last one with the activation.

    for step:
        for item: its planes are the images          or          for output plane: the items are the images
            y of the images (+)= convolution of what they meet with the filters' taps

Which of the two, and whether the taps of the only channel are channels of one step, is for the planner (plan.py). Where
there are several calls, and the filters of a step are few bytes, the driver makes of them what it needs once.
"""

import math

import numpy as np

from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import PLAIN, Convolution, Epilogue
from fastconv._core.problem.idle import total
from fastconv._core.problem.parts import unbacked
from fastconv._core.product import forward as product
from fastconv._core.volume.planes import planes_met, steps

CALL_NANOSECONDS = 4000.0    # that views and the door of a driver take
SHARED_BYTES = 1 << 20       # of filters that are prepared once for all calls of a step


class Sum:
    """How one problem is summed: over planes of an item or, of_items, over items at a plane; joined: the taps of the
    only channel together."""

    def __init__(self, problem, algorithm="auto", of_items=False, joined=False):
        self.problem, self.algorithm, self.of_items, self.joined = problem, algorithm, of_items, joined
        self._known = {False: self._laid_out(False)}
        # Whether some tap meets nothing but zeros of the padding on some output plane.
        self.skips = any(sum(met.last - met.first for met in planes_met(problem, tap, False)) < problem.output_size[0]
                         for tap in range(problem.taps[0]))
        self.plan = max(self._known[False], key=lambda each: each[0].last - each[0].first)[1]    # the most of it

    def _laid_out(self, whole):
        """The steps, each with the plan of its convolution."""
        return tuple((step, self._planned(step)) for step in steps(self.problem, whole, self.joined))

    def _planned(self, step):
        images = self.problem.x_shape[0] if self.of_items else step.last - step.first
        channels = len(step.taps) if self.joined else None
        # Filters of a step do not lie in one piece: a driver that reads them as they lie, which none does that adds to
        # y, would have to copy them.
        apart = not step.writes or (self.problem.taps[0] > 1 and not self.joined)
        return conv2d_plan(self.problem.planes(images, channels, apart), self.algorithm)

    @property
    def cost(self):
        """The expected nanoseconds on one thread."""
        return sum((step.last - step.first if self.of_items else self.problem.x_shape[0])
                   * (plan.nanoseconds + CALL_NANOSECONDS) for step, plan in self._known[False])

    def workspace(self, dtype):
        """Bytes of scratch, as ConvPlan.workspace."""
        weight = unbacked(self.problem.weight_shape, dtype)
        return max(plan.workspace(dtype, self._filters(step, weight)) for step, plan in self._known[False])

    def prepare(self, weight):
        """What the drivers make of the filters of each step, by step; and whether these are finite."""
        return {step: plan.prepare(self._filters(step, weight)) for step, plan in self._known[False]}, is_finite(weight)

    def _filters(self, step, weight):
        first, last = step.taps.start, step.taps.stop
        return weight[:, 0, first:last] if self.joined else weight[:, :, first]

    def __call__(self, volumes, prepared=None):
        """Fills y, but where zeros of the padding meet what is finite."""
        made, finite = ({}, None) if prepared is None else prepared
        whole = False
        if self.skips:
            whole = volumes.window.padding_value != 0 or not (is_finite(volumes.w) if finite is None else finite)
        self.run(volumes, whole, made)

    def run(self, volumes, whole=False, made=None):
        """Fills y; whole: of filters that are not finite, or a padding that is not zero."""
        if whole not in self._known:
            self._known = {**self._known, whole: self._laid_out(whole)}
        kept, last = volumes.epilogue, volumes.epilogue.activation
        epilogues = {(writes, ends): PLAIN if writes and not (ends and last) else Epilogue(
            last if ends else 0, kept.negative_slope, not writes) for writes in (False, True) for ends in (False, True)}
        anew = set()    # of rows: item, plane, first, last
        for step, plan in self._known[whole]:
            filters = self._filters(step, volumes.w)
            prepared = made.get(step) if made else None
            if prepared is None:
                calls = step.last - step.first if self.of_items else len(volumes.x)
                shared = calls > 1 and filters.size * filters.itemsize <= SHARED_BYTES and (
                    filters.shape == plan.problem.weight_shape)    # these are not some groups of the problem's
                prepared = plan.prepare(filters) if shared else ()
            bias, epilogue = volumes.bias if step.writes else None, epilogues[step.writes, step.ends]
            for first, (x, y) in enumerate(self._images(step, volumes)):
                rows = plan.convolve(Convolution(x, filters, bias, y, volumes.window.planes, epilogue), *prepared)
                if rows and not step.writes:
                    anew.update((image, step.first + first, *some) if self.of_items else
                                (first, step.first + image, *some) for image, *some in rows)
        for place in sorted(anew):
            self._compute_anew(volumes, self._known[whole], epilogues, place)

    def _compute_anew(self, volumes, known, epilogues, place):
        """Some rows of an output plane, as direct sums: a transform in one of the steps may not be trusted with
        them."""
        item, plane, first, last = place
        window, (x, y) = volumes.window.planes, (volumes.x[item:item + 1], volumes.y[item:item + 1])
        window = window.with_origin((window.origin[0] - first * window.stride[0], window.origin[1]))
        for step, _ in known:
            if step.first <= plane < step.last:
                one = step._replace(first=plane, last=plane + 1, from_plane=None if step.from_plane is None else
                                    step.from_plane + (plane - step.first) * step.plane_step)
                for met, result in self._images(one, volumes._replace(x=x, y=y)):
                    product.conv2d(Convolution(met, self._filters(step, volumes.w),
                                               volumes.bias if step.writes else None, result[:, :, first:last], window,
                                               epilogues[step.writes, step.ends]))

    def _images(self, step, volumes):
        """What a step meets, and where it goes: pairs of images (N, C, H, W), (N, K, OH, OW)."""
        if self.of_items:
            yield from planes_of_items(step, volumes)
            return
        for x, y in zip(volumes.x, volumes.y):
            images = y.swapaxes(0, 1)[step.first:step.last]
            if self.joined and step.from_plane is not None:
                yield _taps_as_channels(x[0], step, len(images), self.problem.dilation[0]), images
            else:
                yield planes_of(x.swapaxes(0, 1), step, volumes.window.padding_value), images


def planes_of(x, step, padding_value):
    """The planes of one item, (D, C, H, W), that the output planes of a step meet."""
    count, first, by = step.last - step.first, step.from_plane, step.plane_step
    if first is None:
        return np.broadcast_to(x.dtype.type(padding_value), (count, *x.shape[1:]))
    if by == 0:
        return np.broadcast_to(x[first], (count, *x.shape[1:]))
    stop = first + by * count
    return x[first:stop if stop >= 0 else None:by]


def planes_of_items(step, volumes):
    """The same plane of all items, for each output plane of a step."""
    for i in range(step.first, step.last):
        if step.from_plane is None:
            n, c, _, *size = volumes.x.shape
            x = np.broadcast_to(volumes.x.dtype.type(volumes.window.padding_value), (n, c, *size))
        else:
            x = volumes.x[:, :, step.from_plane + (i - step.first) * step.plane_step]
        yield x, volumes.y[:, :, i]


def _taps_as_channels(x, step, count, dilation):
    """The planes (D, H, W) of one channel as images whose channels are the planes that the taps meet."""
    plane, row, column = x.strides
    shape = (count, len(step.taps), *x.shape[1:])
    strides = (step.plane_step * plane, dilation * plane, row, column)
    return np.lib.stride_tricks.as_strided(x[step.from_plane:], shape, strides, writeable=False)


def is_finite(array):
    """Whether all numbers are finite, and their sum too."""
    if array.flags.c_contiguous:
        return math.isfinite(total(array))
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(array.sum())
