"""The choice for a transposed convolution: the data gradient of the convolution that leads back from its result.

An algorithm asked for by name is the one of the driver that computes the convolutions of the data gradient.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from fastconv._core.fourier import cost as fourier_cost
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.planner.plan import ALGORITHMS
from fastconv._core.problem import parts
from fastconv._core.problem.simpler import simpler
from fastconv._core.winograd import cost as winograd_cost

# Transforms that are asked for refuse what they cannot do alone.
_SERVES = {fourier_cost: lambda problem: None, winograd_cost: winograd_cost.serves}


class _Asked(NamedTuple):
    """The costs of a driver that was asked for by name."""

    refuses: Callable
    terms: Callable


class TransposedPlan(DataGradient):
    """How one transposed convolution is computed, and what that was chosen from: called with x, the weights, y, and
    what comes to the sums, it does so. problem: that of the convolution that leads back."""

    def __init__(self, problem, algorithm):
        self.asked, self.drivers = algorithm, _drivers(algorithm)
        self.offered = simpler(problem) if algorithm in ("auto", "direct", "gemm") else None
        super().__init__(problem, self.drivers, self.offered)

    @property
    def algorithm(self):
        """Of the driver, as it is asked for."""
        return self.driver.by.algorithm

    @property
    def expected(self):
        """The nanoseconds that it is expected to take on one thread."""
        return self.driver.cost(self.problem)

    def considered(self):
        """Of each way its name, and the nanoseconds that it is expected to take or the reason why it is not taken."""
        found = []
        for driver in self.drivers if 0 not in self.whole.output_shape else ():
            problem = self.whole if self.offered is None or driver.by.as_it_is else self.offered.problem
            refusal = driver.refuses(problem)
            found.append((driver.name, None if refusal else driver.cost(problem), refusal))
        return tuple(found)

    @property
    def reason(self):
        """Why it is this way."""
        if self.asked != "auto":
            return "asked for by name"
        expected = sorted((nanoseconds, name) for name, nanoseconds, _ in self.considered() if nanoseconds is not None)
        if expected and not expected[0][0]:
            return "no tap leads to the result"
        return "of the ways to a data gradient" + "".join(
            f"; {name} is expected to take {nanoseconds / expected[0][0]:.1f} times as long"
            for nanoseconds, name in expected[1:2])

    def prepare(self, weight):
        """What the driver makes of the weights, for many calls on arrays that are C-contiguous but for channels last:
        a tuple for a call, empty where it makes nothing of them."""
        seen = self._unbacked(weight)
        prepared = () if seen is None else self.fill.prepare(*seen)
        return (prepared,) if prepared else ()

    def workspace(self, dtype):
        """Bytes of scratch of a call on such arrays, with the threads that it would use now."""
        seen = self._unbacked(parts.unbacked(self.whole.weight_shape, dtype))
        return 0 if seen is None else self.fill.workspace(*seen)

    def _unbacked(self, weight):
        """What a call is to the driver, with no arrays but the weights: x, the weights, y; or None."""
        if 0 in self.whole.x_shape:
            return None
        x, y = (parts.unbacked(shape, weight.dtype, self.whole.channels_last)
                for shape in (self.whole.output_shape, self.whole.x_shape))
        if self.simple is None:
            return x, weight, y
        views = self.simple.views(y, weight, x)
        return None if views is None else (views[2], views[1], views[0])


@functools.lru_cache(maxsize=256)    # of some 10 kB
def transposed_plan(problem, algorithm):
    """The plan for a checked problem and an algorithm that is not unavailable."""
    return TransposedPlan(problem, algorithm)


def unavailable(algorithm, problem):
    """Why this algorithm cannot compute such a transposed convolution, or None where it can."""
    if algorithm != "winograd" or _serves(algorithm, problem):
        return None
    possible = (name for name in ALGORITHMS if name != "winograd")
    return ("the taps that meet every stride-th pixel make no filter of 2 x 2, 3 x 3 or 5 x 5, nor a line of 2, 3 or 5 "
            f"taps, nor can they be filled up to one; here it can be {', '.join(map(repr, possible))}")


def _serves(algorithm, problem):
    return any(driver.refuses(problem) is None for driver in _drivers(algorithm))


@functools.cache
def _drivers(algorithm):
    """Those of an algorithm, as who asks for it by name gets them."""
    if algorithm == "auto":
        return DATA_GRADIENT
    return tuple(_asked(driver) for driver in DATA_GRADIENT if driver.by.algorithm == algorithm)


def _asked(driver):
    serves = _SERVES.get(driver.by.costs)
    if serves is None:
        return driver
    return driver._replace(by=driver.by._replace(costs=_Asked(serves, driver.by.costs.terms), any_contrast=True))
