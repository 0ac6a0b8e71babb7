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
from fastconv._core.problem.simpler import simpler
from fastconv._core.winograd import cost as winograd_cost

# Transforms that are asked for refuse what they cannot do alone.
_SERVES = {fourier_cost: lambda problem: None, winograd_cost: winograd_cost.serves}


class _Asked(NamedTuple):
    """The costs of a driver that was asked for by name."""

    refuses: Callable
    terms: Callable


@functools.lru_cache(maxsize=256)    # of some 10 kB
def transposed_plan(problem, algorithm):
    """The plan for a checked problem, that of the convolution, and an algorithm that is not unavailable."""
    simple = simpler(problem) if algorithm in ("auto", "direct", "gemm") else None
    return DataGradient(problem, _drivers(algorithm), simple)


def unavailable(algorithm, problem):
    """Why this algorithm cannot compute such a transposed convolution, or None where it can."""
    if algorithm != "winograd" or _serves(algorithm, problem):
        return None
    possible = (name for name in ALGORITHMS if name != "winograd")
    return ("the taps that meet every stride-th pixel make no filter of 3 x 3 or 5 x 5, nor can they be filled up to "
            f"one; here it can be {', '.join(map(repr, possible))}")


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
