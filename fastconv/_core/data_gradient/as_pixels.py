"""The data gradient of planes by that of pixels whose channels follow each other in memory.

In a pass of a phase neighbouring outputs are a stride apart. Where planes are small, and channels do not mix, lanes
stay idle so, and every pixel is moved by itself; with the channels in the lanes neither matters. So grad_output is
transposed to pixels of channels, the phases are computed on those (``phases.py``), and grad_x is transposed back.

    for block of images (BLOCK_BYTES, L2): grad_output -> pixels; phases -> pixels of grad_x; -> grad_x
"""

import math

from fastconv._core.data_gradient import phases
from fastconv._core.data_gradient.phases import period as period
from fastconv._core.problem.convolution import PLAIN
from fastconv._core.problem.parts import scratch

BLOCK_BYTES = 1 << 20    # of grad_output and grad_x at a time, but one image at least
MOST_BYTES = 4 << 20     # of one image


def refuses(problem, driver):
    """Why this driver must not compute the phases, or None."""
    if problem.channels_last or problem.padding_mode != "constant":
        return "it is for planes, with constant padding"
    if problem.stride == (1, 1) or problem.groups == 1:
        return "without a stride outputs lie side by side; without groups channels mix"
    if _bytes_of_image(problem) > MOST_BYTES:
        return "an image takes too much scratch"
    return phases.refuses(_in_pixels(problem), driver)


def convolutions(problem):
    """What the driver computes, and how often."""
    return phases.convolutions(_in_pixels(problem))


def terms(problem):
    """What is done beside that."""
    moved = math.prod(problem.output_shape) + math.prod(problem.x_shape)
    return {**phases.terms(_in_pixels(problem)), "transpose": moved}


def _in_pixels(problem):
    return problem._replace(channels_last=True)


def _bytes_of_image(problem):
    return (math.prod(problem.output_shape[1:]) + math.prod(problem.x_shape[1:])) * problem.itemsize


class ByPixels:
    """grad_x of a problem."""

    def __init__(self, problem, driver):
        self.fill = phases.lay_out(_in_pixels(problem), driver)
        self.images = max(1, BLOCK_BYTES // _bytes_of_image(problem))    # at a time

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """Fills grad_x (N, C, H, W), a view with any strides; there is nothing that it leaves to others.

        bias and epilogue: what comes to the sums, as a transposed convolution has it.
        """
        for first in range(0, len(grad_x), self.images):
            images = slice(first, first + self.images)
            received, gradient = (scratch(array[images].shape, array.dtype, True) for array in (grad_output, grad_x))
            received[...] = grad_output[images]
            self.fill(received, weight, gradient, bias, epilogue)
            grad_x[images] = gradient
        return ()

    def prepare(self, grad_output, weight, grad_x):
        """Nothing: a driver that has channels in the lanes takes few filters as they are."""
        return ()

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time: the shapes are enough, there may be no memory behind them."""
        some = grad_output[:self.images], grad_x[:self.images]
        return sum(each.nbytes for each in some) + self.fill.workspace(some[0], weight, some[1])


lay_out = ByPixels
