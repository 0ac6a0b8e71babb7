"""The choice of a data gradient, and everything that is the same for all of its calls."""

import functools

import numpy as np

from fastconv._core.data_gradient.filters import in_groups
from fastconv._core.data_gradient.folding import tap_by_tap
from fastconv._core.planner.drivers import DATA_GRADIENT
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
        costs = {}
        if 0 not in problem.weight_shape and 0 not in problem.output_shape:    # else there is nothing to be chosen by
            for driver in drivers:
                each = problem if simple is None or driver.by.as_it_is else simple.problem
                if driver.refuses(each) is None:
                    costs[driver] = driver.cost(each)
        self.driver = min(costs, key=costs.get, default=LAST[0])
        self.behind = drivers[drivers.index(self.driver) + 1:]
        self.whole, self.simple = problem, None if self.driver.by.as_it_is else simple
        self.problem = problem if self.simple is None else simple.problem
        self.period = self.driver.way.period(self.problem)
        self.fill = self.driver.lay_out(self.problem)

    def __call__(self, grad_output, weight, grad_x):
        """Fills grad_x (N, C, H, W), a view with any strides."""
        if self.simple is not None:    # taps that meet only padding have no part in it
            views = self.simple.views(grad_x, weight, grad_output)
            if views is None:
                self.as_it_is(grad_output, weight, grad_x)
                return
            if not self.simple.meets_all:
                grad_x.fill(0)
            grad_x, weight, grad_output = views
        left = self.fill(grad_output, weight, grad_x)
        if left:
            self._leave(left, grad_output, weight, grad_x)
        # The first pixel of each phase has met all of its taps, be it on the padding.
        elif (self.period is not None and not arrays.begins_finite(grad_x, *self.period)
                and not np.isfinite(weight).all()):
            for of_output, turned, of_x in in_groups(grad_output, weight, grad_x):
                if not np.isfinite(turned).all():
                    tap_by_tap(of_output, turned, of_x, self.problem)

    def _leave(self, images, grad_output, weight, grad_x):
        """What the driver left."""
        if len(images) == len(grad_x):
            self.otherwise(grad_output, weight, grad_x)
            return
        for image in images:
            one = slice(image, image + 1)
            self.otherwise(grad_output[one], weight, grad_x[one])

    @functools.cached_property
    def otherwise(self):
        """The best of those behind the driver."""
        return DataGradient(self.problem, self.behind, simpler(self.problem) if self.driver.by.as_it_is else None)

    @functools.cached_property
    def as_it_is(self):
        """Without its simpler form, by the product, which serves all strides."""
        return DataGradient(self.whole, LAST)
