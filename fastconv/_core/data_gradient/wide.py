"""The data gradient of few channels as a convolution whose channels are neighbouring pixels of a row.

Images have one to four channels, and drivers fill their vectors with channels, or want many. In the notation of
``subpixel.py``, along a row whose stride is 1, cut the pixels into patches of B, u = B m + b:

    G(B m + b) = sum_s g[B m + b + P - s] w[s],     s = 0 .. S - 1.

The B pixels of a patch are the channels of a convolution of g with stride B, whose filters are w turned, moved on by b
and filled up with zeros to S + B - 1 taps. That multiplies by zeros, (S + B - 1) / S as often as needed, where a vector
with one channel in it would be B times as often as good as empty. The blocks, the places of the outputs and the zeros
that meet what is not finite are those of ``subpixel.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from fastconv._core.data_gradient.subpixel import ByPatches, Patches
from fastconv._core.problem.geometry import ConvProblem

MOST_CHANNELS = 4    # of which vectors are not full
WEIGHT_BYTES = 1 << 18    # of filters filled up


class Wide(NamedTuple):
    """The way by patches of so many pixels of a row."""

    pixels: int

    def refuses(self, problem, driver):
        """Why this driver must not compute the patches, or None."""
        if problem.padding_mode != "constant" or problem.stride != (1, 1) or problem.dilation != (1, 1):
            return "other padding, strides and dilation are for phases and their patches"
        if problem.itemsize < 8:
            return "in single precision Winograd's algorithm and the product do as well"
        if problem.groups > 1 or problem.channels > MOST_CHANNELS or problem.filters == 1:
            return "there are many channels, or no sum over filters"
        merged = self._merged(problem)
        if problem.size[1] < self.pixels or math.prod(merged.weight_shape) * problem.itemsize > WEIGHT_BYTES:
            return "rows are shorter than a patch, or its filters too long"
        return driver.refuses(merged)

    def convolutions(self, problem):
        """What the driver computes, and how often."""
        return ((self._merged(problem), 1),)

    def terms(self, problem):
        """What is done beside that."""
        merged = self._merged(problem)
        return {"patches": 1, "interleave": math.prod(merged.output_shape), "reorder": math.prod(merged.weight_shape)}

    def period(self, problem):
        return problem.stride

    def lay_out(self, problem, driver):
        merged = self._merged(problem)
        patches = Patches((1, self.pixels), (1, self.pixels), merged.taps, merged.output_size, (0, 0), merged.origin,
                          True, False, problem.channels, (1, self.pixels))
        return ByPatches(patches, driver, _filters)

    def _merged(self, problem):
        """The convolution whose channels are pixels."""
        (h, w), (r, s), (top, left) = problem.size, problem.taps, problem.origin
        grid, taps, stride = (h, -(-w // self.pixels)), (r, s + self.pixels - 1), (1, self.pixels)
        before = r - 1 - top, s - 1 - left
        after = [(count - 1) * step + t - outputs - first
                 for count, step, t, outputs, first in zip(grid, stride, taps, problem.output_size, before)]
        return ConvProblem((problem.images, problem.filters, *problem.output_size),
                           (problem.channels * self.pixels, problem.filters, *taps), stride, tuple(zip(before, after)),
                           (1, 1), 1, grid, problem.itemsize, problem.channels_last, "constant")


def _filters(patches, weight, groups, joined):
    """(K, C, R, S) -> a filter for each channel and pixel of a patch, in the order of subpixel.py."""
    (k, c, _, s), pixels = weight.shape, patches.size[1]
    filled = np.zeros((c, pixels, k, *patches.taps), weight.dtype)
    turned = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    for pixel in range(pixels):
        filled[:, pixel, ..., pixel:pixel + s] = turned
    return (filled.swapaxes(0, 1) if joined else filled).reshape(c * pixels, k, *patches.taps)
