"""The data gradient of depthwise convolution with a stride of 2, of the even and the odd columns in one call: see
``depthwise/pair.pyx``. By itself, each phase would move all of grad_x. Rows are computed by phases (``phases.py``).
"""

import math

from fastconv._core.data_gradient import phases
from fastconv._core.data_gradient.passes import passes_on
from fastconv._core.data_gradient.phases import MOST_KEPT, Phases, period as period
from fastconv._core.depthwise import pair


def refuses(problem, driver):
    """Why it must not be taken, or None."""
    if problem.channels_last or problem.stride[1] != 2 or math.prod(map(min, problem.stride, problem.taps)) > MOST_KEPT:
        return "it serves planes, and a stride of 2 along rows"
    passes = tuple(passes_on(problem, *map(range, problem.size)))
    if len(passes) % 2 or not all(even.rows == odd.rows and even.window.dilation[1] == odd.window.dilation[1] == 1
                                  for even, odd in zip(passes[::2], passes[1::2])):
        return "the even and the odd columns of the same rows do not follow each other, each with neighbouring taps"
    return phases.refuses(problem, driver)


def convolutions(problem):
    """None by a driver."""
    return ()


def terms(problem):
    """How often it does what takes time."""
    pairs = min(problem.stride[0], problem.taps[0], problem.size[0])
    pixels = math.prod(problem.x_shape)
    return {"pass": pairs, "pair": pairs * math.prod(problem.x_shape[:2]), "pair_pixels": pixels,
            "pair_taps": pixels * math.prod(problem.taps)}


class ByPairs(Phases):
    """grad_x of a problem; where its columns do not lie side by side, by single phases."""

    def _convolve(self, convolutions, prepared):
        y = convolutions[0].y if convolutions else None
        if y is None or y.strides[3] != 2 * y.itemsize:
            super()._convolve(convolutions, prepared)
            return
        for i in range(0, len(convolutions), 2):
            even, odd = self.passes[i:i + 2]
            first = 0 if even.columns.start < odd.columns.start else 1
            pair.conv2d_pair(convolutions[i + first], convolutions[i + 1 - first])


lay_out = ByPairs
