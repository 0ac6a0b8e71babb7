"""The way to a driver of a problem that has a simpler form (problem/simpler.py):
its arrays are seen as that form's, what idle taps add comes to the bias, or to the gradient.
And of one whose outputs are computed in regions (problem/regions.py), each by a plan of its own.

Arrays whose strides do not allow it, and padding with what is not finite, are computed as they are,
by the product, which serves all.
"""

import math

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.problem import idle
from fastconv._core.problem.convolution import Convolution, window_of
from fastconv._core.product import forward as product, weight_gradient as product_gradient
from fastconv._core.runtime import memory

WEIGHT_BYTES = 4 << 20    # of gradients that do not lie as drivers write them: so much is copied at a time


def as_simpler(simple, conv):
    """A convolution in its simpler form, or None; idle taps are left out."""
    window, problem = conv.window, simple.problem
    if simple.idle and not math.isfinite(window.padding_value):
        return None
    views = simple.views(conv.x, conv.w, conv.y)
    if views is None:
        return None
    x, w, y = views
    return Convolution(x, w, conv.bias, y, window_of(problem, window.padding_value), conv.epilogue)


def conv2d(simple, convolve, conv, prepared=None):
    """Computes y by a driver's conv2d, the first two arguments being bound with the plan; returns what that does."""
    simpler = as_simpler(simple, conv)
    if simpler is None:
        return product.conv2d(conv)
    share = idle.share(conv.w, simple.kept, conv.window.padding_value) if simple.idle else None
    if share is not None:
        simpler = simpler.of(bias=share if conv.bias is None else conv.bias + share)
    return convolve(simpler, prepared) if prepared is not None else convolve(simpler)


def in_regions(regions, conv, prepared=None):
    """Computes y region by region: (rows, columns, plan) of each. prepared:
    of each what its driver made of the weights, as a tuple."""
    (top, left), (step, column_step) = conv.window.origin, conv.window.stride
    for i, (rows, columns, plan) in enumerate(regions):
        plan.convolve(conv.of(y=conv.y[:, :, rows, columns],
                              origin=(top - rows.start * step, left - columns.start * column_step)),
                      *(() if prepared is None else prepared[i]))


def bias_alone(conv):
    """Computes y where there is nothing to add up, as x has no channels."""
    if not conv.epilogue.accumulate:
        conv.y[...] = 0
    if conv.bias is not None:
        conv.y[...] += conv.bias[:, None, None]
    if conv.epilogue.activation:
        elementwise.activate_in_place(conv.y, conv.epilogue.activation, conv.epilogue.negative_slope)


class WeightGradient:
    """A driver's conv2d_weight_gradient that way."""

    def __init__(self, simple, driver):
        self.simple, self.driver, self.name = simple, driver, driver.name

    def cost(self, problem):
        """The expected nanoseconds on one thread, of the problem that has this simpler form."""
        return self.driver.cost(self.simple.problem)

    def conv2d_weight_gradient(self, conv):
        simpler = as_simpler(self.simple, conv)
        if simpler is None:
            product_gradient.conv2d_weight_gradient(conv)
            return
        if self.simple.idle:
            conv.w[...] = idle.gradient(conv.y, conv.window.padding_value)[:, None, None, None]
        if simpler.w[0].flags.c_contiguous:
            self.driver.conv2d_weight_gradient(simpler)
            return
        for part in in_parts(simpler, self.simple.problem.groups):
            gradient = memory.scratch(part.w.nbytes).view(part.w.dtype).reshape(part.w.shape)
            self.driver.conv2d_weight_gradient(part.of(w=gradient))
            np.copyto(part.w, gradient)


def in_parts(conv, groups):
    """The filters of a convolution, or its groups, some at a time."""
    if groups == 1:
        at_once = max(1, WEIGHT_BYTES * len(conv.w) // conv.w.nbytes)
        for first in range(0, len(conv.w), at_once):
            some = slice(first, first + at_once)
            yield conv.of(w=conv.w[some], y=conv.y[:, some])
        return
    at_once, k, c = max(1, WEIGHT_BYTES * groups // conv.w.nbytes), len(conv.w) // groups, conv.w.shape[1]
    for first in range(0, groups, at_once):
        some = slice(first * k, (first + at_once) * k)
        yield conv.of(x=conv.x[:, first * c:(first + at_once) * c], w=conv.w[some], y=conv.y[:, some])
