"""The choice of a data gradient, and everything that is the same for all of its calls.

A transposed convolution is a data gradient too, to which a bias and an activation come.
"""

import functools

import numpy as np

from fastconv._core.data_gradient.filters import in_groups
from fastconv._core.data_gradient.folding import tap_by_tap
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import PLAIN
from fastconv._core.problem.finish import finish, lay_ground
from fastconv._core.problem.simpler import simpler
from fastconv._core.runtime import arrays

LAST = DATA_GRADIENT[-1:]    # it serves all


class DataGradient:
    """How grad_x of one problem is computed: by which driver, in which simpler form of the problem;
    called with arrays, it does so.

    What the driver leaves to others goes to the best of those behind it. A weight that is not finite makes NaN of the
    zeros around grad_output; such filters are taken tap by tap, each on what it meets.
    """

    def __init__(self, problem, drivers=DATA_GRADIENT, simple=None):
        costs, self.drivers, self.offered = {}, drivers, simple
        if 0 not in problem.weight_shape and 0 not in problem.output_shape:    # else there is nothing to be chosen by
            for driver in drivers:
                each = problem if simple is None or driver.by.as_it_is else simple.problem
                if driver.refuses(each) is None:
                    costs[driver] = driver.cost(each)
        self.driver = min(costs, key=costs.get, default=LAST[0])
        self.behind = drivers[drivers.index(self.driver) + 1:] if self.driver in drivers else LAST
        self.whole, self.simple = problem, None if self.driver.by.as_it_is else simple
        self.problem = problem if self.simple is None else simple.problem
        self.period = self.driver.way.period(self.problem)
        self.fill = self.driver.lay_out(self.problem)

    @property
    def algorithm(self):
        """Of the driver, as it is asked for."""
        return self.driver.by.algorithm

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=None):
        """Fills grad_x (N, C, H, W), a view with any strides.

        bias, a number for each channel of grad_x, and epilogue: what comes to the sums, as a transposed convolution
        has it; prepared: what `prepare` made of the weights.
        """
        if self.simple is not None:    # taps that meet only padding have no part in it
            views = self.simple.views(grad_x, weight, grad_output)
            if views is None:
                self.as_it_is(grad_output, weight, grad_x, bias, epilogue)
                return
            if not self.simple.meets_all:
                lay_ground(grad_x, bias, epilogue)
            grad_x, weight, grad_output = views
            if bias is not None and grad_x.shape[1] != len(bias):    # pixels have become channels
                bias = np.repeat(bias, grad_x.shape[1] // len(bias))
        left = self.fill(grad_output, weight, grad_x, bias, epilogue, prepared)
        if left:
            self._leave(left, (grad_output, weight, grad_x), bias, epilogue)
        elif self.period is not None and not self._begins_finite(grad_x, epilogue) and not np.isfinite(weight).all():
            for of_output, turned, of_x, of_bias in in_groups(grad_output, weight, grad_x, bias):
                if not np.isfinite(turned).all():
                    tap_by_tap(of_output, turned, of_x, self.problem)
                    finish(of_x, of_bias, epilogue)

    def _begins_finite(self, grad_x, epilogue):
        """Whether no tap that is not finite can have met the zeros around grad_output.

        The first pixel of each phase has met all of its taps, be it on the padding. Behind an activation infinity may
        be any number; NaN, which comes of zeros alone, is NaN, and lies where rows or columns begin or end.
        """
        if epilogue.activation:
            return arrays.has_finite_corners(grad_x, *self.period)
        return arrays.begins_finite(grad_x, *self.period)

    def prepare(self, weight):
        """What the driver makes of the weights, for many calls on arrays that are C-contiguous but for channels last;
        None where it makes nothing of them."""
        seen = self._unbacked(weight)
        return None if seen is None else self.fill.prepare(*seen)

    def workspace(self, dtype):
        """Bytes of scratch of a call on such arrays, with the threads that it would use now."""
        seen = self._unbacked(parts.unbacked(self.whole.weight_shape, dtype))
        return 0 if seen is None else self.fill.workspace(*seen)

    def _unbacked(self, weight):
        """What a call is to the driver, with no arrays but the weights: grad_output, weight, grad_x; or None."""
        if 0 in self.whole.x_shape:
            return None
        grad_x, grad_output = (parts.unbacked(shape, weight.dtype, self.whole.channels_last)
                               for shape in (self.whole.x_shape, self.whole.output_shape))
        if self.simple is not None:
            views = self.simple.views(grad_x, weight, grad_output)
            if views is None:
                return None
            grad_x, weight, grad_output = views
        return grad_output, weight, grad_x

    def candidates(self):
        """Of each driver its name, and the nanoseconds that it is expected to take or the reason why it is not
        taken."""
        for driver in self.drivers:
            problem = self.whole if self.offered is None or driver.by.as_it_is else self.offered.problem
            refusal = driver.refuses(problem)
            yield driver.name, None if refusal else driver.cost(problem), refusal

    def _leave(self, images, of_call, bias, epilogue):
        """What the driver left: images of grad_output, weight and grad_x."""
        grad_output, weight, grad_x = of_call
        if len(images) == len(grad_x):
            self.otherwise(grad_output, weight, grad_x, bias, epilogue)
            return
        for image in images:
            one = slice(image, image + 1)
            self.otherwise(grad_output[one], weight, grad_x[one], bias, epilogue)

    @functools.cached_property
    def otherwise(self):
        """The best of those behind the driver."""
        return DataGradient(self.problem, self.behind, simpler(self.problem) if self.driver.by.as_it_is else None)

    @functools.cached_property
    def as_it_is(self):
        """Without its simpler form, by the product, which serves all strides."""
        return DataGradient(self.whole, LAST)
