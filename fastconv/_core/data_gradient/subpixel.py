"""The data gradient of a strided convolution as one convolution without a stride, whose channels are the pixels of
patches.

In one dimension, in the notation of ``problem/geometry.py`` and without dilation, count positions with the padding, v
= u + P, and cut them into patches of S pixels, v = S m + b. Tap r = S t + b meets pixel b of a patch, whichever patch
that is:

    G(S m + b) = sum_t g[m - t] w[S t + b],     t = 0 .. T - 1,     T = ceil(R / S).

So the S pixels of a patch are the channels of a convolution of g whose stride is 1 and whose filters are w[b], w[S +
b], ...; taps behind the last are 0. In two dimensions there are C x S x S filters of T x T taps, and their outputs
are put side by side afterwards. All phases read what is packed of g once, none of them writes every S-th pixel alone,
and where T is 3 or 5 (filters of 5 x 5, 9 x 9 or 11 x 11 with strides of 2 and 4) Winograd's algorithm serves, for
which 2 and 4 taps are filled up with zeros too where that pays. Patches that do not overlap (S = R) are a matrix
product, T = 1. Where there is one output along an axis its filter is the patch.

    for channels of grad_x, as many as WEIGHT_BYTES of filters allow:
        the filters in their new order, prepared by the driver
        for block of images, rows and columns of patches (BLOCK_BYTES, L2): the convolution -> y, interleave y -> grad_x

A zero that fills up a filter makes NaN of what is not finite, beside patches that see it: then other drivers take
over.

Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?" (2016).
"""

import math
from typing import NamedTuple

import numpy as np

from fastconv._core.direct import forward as direct
from fastconv._core.problem.convolution import PLAIN, Convolution, Window
from fastconv._core.problem.finish import lay_ground
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.interleave import interleave
from fastconv._core.problem.parts import scratch_bytes, unbacked
from fastconv._core.problem.sizes import block_pixels
from fastconv._core.runtime import memory
from fastconv._core.winograd import forward as winograd

WEIGHT_BYTES = 3 << 19    # of reordered filters at a time
BLOCK_BYTES = 1 << 20     # of y at a time


class Patches(NamedTuple):
    """How the patches lie on grad_x, and the convolution that computes them; pairs are (rows, columns)."""

    step: tuple[int, int]    # from one patch to the next
    size: tuple[int, int]    # of a patch: that, or less where it is more than the filter's taps
    taps: tuple[int, int]    # T
    grid: tuple[int, int]    # patches
    inside: tuple[int, int]  # where in the first patch the image begins
    padding: tuple[int, int]
    covers: bool             # whether each pixel lies in a patch
    exact: bool              # whether no filter was filled up
    channels: int            # that are computed at a time; where groups see each other's none, in whole groups
    stride: tuple[int, int] = (1, 1)    # of the convolution


class Subpixel(NamedTuple):
    """The way by patches whose filters have their own taps, or are filled up to so many, 3 or 5:
    those of Winograd's algorithm."""

    filled: int | None = None

    def refuses(self, problem, driver):
        """Why this driver must not compute the patches, or None."""
        if problem.padding_mode != "constant" or problem.dilation != (1, 1):
            return "other padding folds the frame back by phases; dilation keeps the pixels of a patch apart"
        if problem.filters == 1 or period(problem) == (1, 1):
            return "there is no sum over filters, or no stride"
        _, merged = laid_out(problem, self.filled)
        return "there are no such patches" if merged is None else driver.refuses(merged)

    def convolutions(self, problem):
        """What the driver computes, and how often."""
        return ((laid_out(problem, self.filled)[1], 1),)

    def terms(self, problem):
        """What is done beside that."""
        patches, merged = laid_out(problem, self.filled)
        return {"patches": 1, "interleave": math.prod(merged.output_shape) * (1 if patches.covers else 2),
                "reorder": math.prod(merged.weight_shape)}

    def period(self, problem):
        return period(problem)

    def lay_out(self, problem, driver):
        return ByPatches(laid_out(problem, self.filled)[0], driver)


class ByPatches:
    """grad_x of a problem, by patches that a driver (of planner/drivers.py) computes, with the filters that `turn`
    makes of the weights, by default `_filters`."""

    def __init__(self, patches, driver, turn=None):
        self.patches, self.driver, self.turn = patches, driver, turn or _filters

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """Fills grad_x (N, C, H, W), a view with any strides; or returns all images,
        where a filter's zeros met what is not finite.

        bias and epilogue: what comes to the sums, as a transposed convolution has it; prepared: what `prepare` made.
        """
        for i, (some, part) in enumerate(self._parts(grad_output, weight, grad_x)):
            of_bias = None if bias is None else bias[some]
            if not part.compute(of_bias, epilogue, None if not prepared else prepared[i]):
                return range(len(grad_x))
        return ()

    def prepare(self, grad_output, weight, grad_x):
        """What the driver makes of the weights beforehand, a tuple for each part of the channels.
        Of the other arrays the shapes are enough."""
        if not self.driver.prepares:
            return ()
        return [part.prepare() for _, part in self._parts(grad_output, weight, grad_x)]

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time: the shapes are enough, there may be no memory behind them."""
        _, part = next(self._parts(grad_output, weight, grad_x, _unbacked_filters))
        return part.workspace()

    def _parts(self, grad_output, weight, grad_x, turn=None):
        """Slices of as many channels as WEIGHT_BYTES of filters allow, and what computes them."""
        of_group, all_channels, at_once = weight.shape[1], grad_x.shape[1], self.patches.channels
        k = weight.shape[0] * of_group // all_channels    # filters of a group
        for first in range(0, all_channels, at_once):
            some = slice(first, min(first + at_once, all_channels))
            groups, received, filters = 1, grad_output, weight[:, some]
            if all_channels > of_group:
                seen = slice(some.start // of_group * k, some.stop // of_group * k)
                groups, received, filters = (some.stop - some.start) // of_group, grad_output[:, seen], weight[seen]
            yield some, SomeChannels(self, received, filters, grad_x[:, some], groups, turn or self.turn)


def period(problem):
    """From one patch to the next; where there is one output along an axis its filter is the patch."""
    return tuple(taps if outputs == 1 else stride
                 for taps, outputs, stride in zip(problem.taps, problem.output_size, problem.stride))


def laid_out(problem, filled):
    """The patches whose filters have their own taps, or are filled up to so many,
    and their convolution; or None, None."""
    step = period(problem)
    size = tuple(map(min, step, problem.taps))
    own = tuple(-(-taps // s) for taps, s in zip(problem.taps, step))
    taps = own if filled is None else (filled, filled)
    first = tuple(before // s for before, s in zip(problem.origin, step))
    last = tuple((pixels - 1 + before) // s for pixels, before, s in zip(problem.size, problem.origin, step))
    met = tuple(min(end, outputs + t - 2) for end, outputs, t in zip(last, problem.output_size, own))
    grid = tuple(end - begin + 1 for begin, end in zip(first, met))
    group = problem.filters * math.prod(size) * math.prod(taps) * problem.itemsize    # bytes of one channel's filters
    if (any(t < n for t, n in zip(taps, own)) or (taps == own and filled is not None) or min(grid) < 1
            or group > WEIGHT_BYTES):
        return None, None
    channels = max(1, WEIGHT_BYTES // group)
    if problem.groups > 1:
        if channels < problem.channels:
            return None, None
        channels = channels // problem.channels * problem.channels
    padding = tuple(t - 1 - begin for t, begin in zip(taps, first))
    after = tuple(g + t - 1 - outputs - before
                  for g, t, outputs, before in zip(grid, taps, problem.output_size, padding))
    inside = tuple(before - begin * s for before, begin, s in zip(problem.origin, first, step))
    patches = Patches(step, size, taps, grid, inside, padding, met == last and size == step,
                      all(t * s == r for t, s, r in zip(taps, size, problem.taps)), channels)
    filters = problem.groups * problem.channels * math.prod(size)
    merged = ConvProblem((problem.images, problem.groups * problem.filters, *problem.output_size),
                         (filters, problem.filters, *taps), (1, 1), tuple(zip(padding, after)), (1, 1), problem.groups,
                         grid, problem.itemsize, problem.channels_last, "constant")
    return patches, merged


class SomeChannels:
    """Channels of grad_x that are computed at a time, where groups see each other's none in whole groups."""

    def __init__(self, by, grad_output, weight, grad_x, groups, turn):
        self.patches, self.driver, self.grad_output, self.grad_x = by.patches, by.driver, grad_output, grad_x
        c, size = grad_x.shape[1], grad_x.itemsize
        # Where a pixel's channels follow each other, so do those of a row of a patch: it is copied as a whole.
        self.joined = groups == 1 and c > 1 and grad_x.strides[1] == size and grad_x.strides[3] == c * size
        self.turned = turn(self.patches, weight, groups, self.joined)

    def compute(self, bias, epilogue, prepared):
        """Fills grad_x; returns whether that is what the sums are, and no filter's zeros met what is not finite."""
        patches, driver, grad_x = self.patches, self.driver, self.grad_x
        (n, c), (rows, columns) = grad_x.shape[:2], patches.size
        sides, steps, (top, left) = (c, rows, columns), patches.step, patches.inside
        of_patches = bias
        if bias is not None:
            of_patches = np.tile(bias, rows * columns) if self.joined else np.repeat(bias, rows * columns)
        if self.joined:
            grad_x, sides, steps, left = (_with_channels_in_rows(grad_x), (1, rows, columns * c),
                                          (steps[0], steps[1] * c), left * c)
        if patches.grid == (1, 1) and sides == grad_x.shape[1:] and (top, left) == (0, 0) and _in_one_piece(grad_x):
            conv = self._met(slice(None), grad_x.reshape(n, len(self.turned), 1, 1), (0, 0))
            driver.conv2d(conv.of(bias=of_patches, epilogue=epilogue), *(prepared or ()))
            return patches.exact or _finite(grad_x)
        for images, of_rows, of_columns in self._blocks():
            conv = self._block(images, of_rows, of_columns)
            if prepared is None:
                prepared = driver.prepared(conv)
            driver.conv2d(conv.of(bias=of_patches, epilogue=epilogue), *prepared)
            if not patches.exact and not _finite(conv.y):
                return False
            if not patches.covers and of_rows.start == of_columns.start == 0:
                lay_ground(self.grad_x[images], bias, epilogue)
            interleave(conv.y.reshape(len(conv.y), *sides, len(of_rows), len(of_columns)), grad_x[images],
                       (top - of_rows.start * steps[0], left - of_columns.start * steps[1]), steps)
        return True

    def prepare(self):
        """What the driver makes of the filters, as a tuple."""
        return self.driver.prepared(self._block(*next(self._blocks())))

    def workspace(self):
        """Bytes of scratch: a block of outputs, and what the driver takes for it."""
        block = self._block(*next(self._blocks()))
        return block.y.nbytes + scratch_bytes(self.driver.module.workspace, block)

    def _blocks(self):
        """Slices of images and ranges of rows and columns of patches whose outputs take about BLOCK_BYTES."""
        n, grid = len(self.grad_x), self.patches.grid
        of = block_pixels(n, *grid, max(1, BLOCK_BYTES // (len(self.turned) * self.grad_x.itemsize)))
        for image in range(0, n, of.images):
            for row in range(0, grid[0], of.rows):
                for column in range(0, grid[1], of.columns):
                    yield (slice(image, min(image + of.images, n)), range(row, min(row + of.rows, grid[0])),
                           range(column, min(column + of.columns, grid[1])))

    def _block(self, images, rows, columns):
        """The convolution that computes a block, into a scratch."""
        y = _scratch(images.stop - images.start, len(self.turned), len(rows), len(columns), self.driver.module,
                     self.grad_x.dtype)
        return self._met(images, y, (rows.start, columns.start))

    def _met(self, images, y, first):
        """The convolution of a block of patches, (row, column) first among them,
        with the part of grad_output that they meet."""
        patches, part, origin = self.patches, [images, slice(None)], []
        for axis in range(2):
            begin = first[axis] * patches.stride[axis] - patches.padding[axis]
            met = (y.shape[2 + axis] - 1) * patches.stride[axis] + patches.taps[axis]
            end = min(begin + met, self.grad_output.shape[2 + axis])
            part.append(slice(max(begin, 0), end))
            origin.append(max(begin, 0) - begin)
        window = Window(patches.stride, (1, 1), tuple(origin))
        return Convolution(self.grad_output[tuple(part)], self.turned, None, y, window)


def _finite(array):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(array.sum())


def _filters(patches, weight, groups, joined):
    """(K, C, R, S) -> a filter for each channel and pixel of a patch, taps turned: (filters, K / groups, T, T);
    a view where it can be."""
    (k, c, r, s), (rows, columns), (taps_h, taps_w) = weight.shape, patches.size, patches.taps
    if not patches.exact:
        filled = np.zeros((k, c, taps_h * rows, taps_w * columns), weight.dtype)
        filled[:, :, :r, :s] = weight
        weight = filled
    apart = weight.reshape(groups, k // groups, c, taps_h, rows, taps_w, columns)[:, :, :, ::-1, :, ::-1]
    order = (0, 4, 6, 2, 1, 3, 5) if joined else (0, 2, 4, 6, 1, 3, 5)
    return apart.transpose(order).reshape(groups * c * rows * columns, k // groups, taps_h, taps_w)


def _unbacked_filters(patches, weight, groups, joined):
    """What looks like `_filters` of weights whose elements are not there."""
    (k, c), (rows, columns) = weight.shape[:2], patches.size
    return unbacked((groups * c * rows * columns, k // groups, *patches.taps), weight.dtype)


def _with_channels_in_rows(grad_x):
    """(N, C, H, W), channels last in memory, as (N, 1, H, W C)."""
    n, c, h, w = grad_x.shape
    return grad_x.transpose(0, 2, 3, 1).reshape(n, 1, h, w * c)


def _in_one_piece(images):
    """Whether the elements of each image follow each other in memory."""
    step = images.itemsize
    for length, stride in zip(images.shape[:0:-1], images.strides[:0:-1]):
        if length > 1 and stride != step:
            return False
        step *= length
    return True


def _scratch(n, filters, rows, columns, module, dtype):
    """A block of outputs (N, filters, rows, columns), in memory as the driver stores it best."""
    flat = memory.scratch(n * filters * rows * columns * dtype.itemsize).view(dtype)
    if module in (direct, winograd):    # a vector is filters of one pixel
        return flat.reshape(n, rows, columns, filters).transpose(0, 3, 1, 2)
    return flat.reshape(n, filters, rows, columns)
