"""The choice of a driver: once for a problem, by what each is expected to take, kept in a bounded cache,
printed by ``explain``.

Each driver says why it must not be taken, or predicts its nanoseconds on one thread: it counts what its loops
do (`cost.py` in its room) and weighs the counts with constants of the instruction set in use (constants.py).
The one that is expected to be done first is taken, a transform only where it gains enough. What a driver must not do
stands with it: Winograd's algorithm is for single precision, and for filters whose taps meet pixels in at least half of
the outputs; Fourier transforms are for filters of 49 taps and more.

The weight gradient is chosen in the same way, from drivers of its own, and so is the data gradient (data_gradient.py).
An algorithm asked for by name is taken where it applies; ``unavailable`` says why one does not.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from fastconv._core.planner import doors
from fastconv._core.planner.constants import REGION
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import FEW_OUTPUTS, FORWARD, WEIGHT_GRADIENT, Driver, GradientDriver
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution, window_of
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.regions import of_outputs, regions as regions_of
from fastconv._core.problem.simpler import Simpler, simpler
from fastconv._core.winograd import cost as winograd_cost

ALGORITHMS = ("auto", "direct", "gemm", "winograd", "fft")

MOST_KEPT_BYTES = 4 << 20  # see keeps_weights
UNSEEN_NANOSECONDS = 250.0  # nobody sees them in a call, but everybody that 4 is 3.9999995 by a transform


class Candidate(NamedTuple):
    """A driver, and the nanoseconds that it is expected to take or the reason why it is not taken."""

    driver: Driver
    nanoseconds: float | None
    refusal: str | None


class ConvPlan:
    """How one problem is computed: by which driver and why, and the nanoseconds that it is expected to take; convolve
    is the driver's conv2d; asked, the algorithm that was asked for, is None where there is nothing to choose. Where
    the problem has a simpler form, that is what the driver is chosen for, and what it gets. Where its outputs are
    computed in regions, (rows, columns, plan) of each, the driver is that of the first, the largest."""

    def __init__(self, problem: ConvProblem, chosen: Candidate, convolve: Callable, reason: str,
                 asked: str | None = None, simple: Simpler | None = None,
                 regions: tuple[tuple[slice, slice, ConvPlan], ...] = ()) -> None:
        self.problem, self.driver, self.nanoseconds, self.reason = problem, chosen.driver, chosen.nanoseconds, reason
        self.asked, self.simple, self.regions = asked, simple, regions
        self.convolve = convolve if simple is None else functools.partial(doors.conv2d, simple, convolve)
        if regions:
            self.convolve = functools.partial(doors.in_regions, regions)

    @property
    def algorithm(self) -> str:
        return self.driver.algorithm

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What it was chosen from; found anew, because plans are kept by the thousand."""
        if self.asked is None:
            return ()
        found = _candidates(self.problem, self.asked)
        if not self.regions:
            return found
        return tuple(Candidate(each.driver, self.nanoseconds, None) if each.driver is self.driver else each
                     for each in found)

    def considered(self):
        """What it was chosen from: names, and expected nanoseconds or the reason why it is not taken."""
        return tuple((each.driver.name, each.nanoseconds, each.refusal) for each in self.candidates)

    @functools.cached_property
    def data_gradient(self) -> DataGradient:
        """Computes grad_x, of grad_output and the weights."""
        return DataGradient(self.problem, simple=simpler(self.problem))

    @functools.cached_property
    def weight_gradient_driver(self) -> GradientDriver | doors.WeightGradient:
        """Its conv2d_weight_gradient computes grad_weight."""
        if self.asked is None:    # there is nothing to choose
            return WEIGHT_GRADIENT[-1]
        simple = simpler(self.problem)
        problem = self.problem if simple is None else simple.problem
        driver = choice(problem, [(each, each.cost(problem)) for each in WEIGHT_GRADIENT
                                  if each.refuses(problem) is None])
        return driver if simple is None else doors.WeightGradient(simple, driver)

    @functools.cached_property
    def weight_gradient(self) -> Callable:
        """Fills the weights of a Convolution with grad_weight, where its y is grad_output."""
        return self.weight_gradient_driver.conv2d_weight_gradient

    @property
    def of_rows(self) -> Callable | None:
        """Computes some rows of y, from those of x that they meet, to the same bits, with what `prepare` makes of the
        weights for all; None where the driver's sums, or the weights, depend on where rows begin."""
        problem, by_rows = self.problem, self.driver.by_rows
        kept = self.simple is None or self.simple.problem.weight_shape == problem.weight_shape
        if by_rows is None or not by_rows(problem) or self.regions or not kept or problem.padding_mode != "constant":
            return None
        return self.driver.conv2d

    def keeps_weights(self):
        """Whether a layer that runs again and again should keep what the driver makes of its weights.

        To know that they are still the same it must compare them with a copy, byte by byte. That takes half of the
        time in which Winograd transforms them, as long as the caches hold both (128 x 128 x 3 x 3 on 8 x 8 pixels:
        106 us with the transform, 78 with the comparison; 512 x 512 x 3 x 3 on 7 x 7: 1840 and 1840), and as much
        as packing them for a product (512 x 2048 x 1 x 1 on 7 x 7: 1019 and 1082).
        """
        return (self.driver.keeps_weights and not self.regions
                and math.prod(self.problem.weight_shape) * self.problem.itemsize <= MOST_KEPT_BYTES)

    def workspace(self, dtype, weight=None):
        """Bytes of scratch of a forward call on C-contiguous arrays, or with weights that lie otherwise, with the
        threads that it would use now."""
        if 0 in self.problem.x_shape:
            return 0
        if self.regions:
            return max(plan.workspace(dtype) for _, _, plan in self.regions)
        return parts.scratch_bytes(self.driver.module.workspace, self._unbacked(dtype, weight))

    def window(self, padding_value=0.0):
        """How the filters lie, as the drivers take it."""
        return window_of(self.problem, padding_value)

    def _unbacked(self, dtype, weight=None):
        """What a call is to the driver, with no arrays but the weights, or none."""
        problem = self.problem
        x, y = (parts.unbacked(shape, dtype, problem.channels_last)
                for shape in (problem.x_shape, problem.output_shape))
        weight = parts.unbacked(problem.weight_shape, dtype) if weight is None else weight
        conv = Convolution(x, weight, None, y, self.window())
        return conv if self.simple is None else doors.as_simpler(self.simple, conv)

    def prepare(self, weight):
        """What the driver makes of the weights, as a tuple for its conv2d;
        empty where it uses them as they are, or in parts."""
        if self.regions:
            return ([plan.prepare(weight) for _, _, plan in self.regions],)
        if not self.driver.prepares or 0 in self.problem.x_shape:
            return ()
        conv = self._unbacked(weight.dtype, weight)
        return () if conv is None else self.driver.prepared(conv)


def unavailable(algorithm, problem):
    """Why this algorithm cannot compute such a convolution, or None where it can."""
    why = winograd_cost.serves(problem)
    possible = [name for name in ALGORITHMS if name != "winograd" or why is None]
    if algorithm in possible:
        return None
    return f"{why}; here it can be {', '.join(map(repr, possible))}"


@functools.lru_cache(maxsize=512)    # of 1 kB each, and at most some 10 kB for the data gradient
def conv2d_plan(problem, algorithm):
    """The plan for a checked problem and an algorithm that is not unavailable."""
    if 0 in problem.output_shape or 0 in problem.weight_shape or 0 in problem.x_shape:    # nothing to be chosen by
        chosen = next(driver for driver in reversed(FORWARD) if algorithm in ("auto", driver.algorithm))
        return ConvPlan(problem, Candidate(chosen, 0.0, None), doors.bias_alone, "there is nothing to compute")
    possible = [each for each in _candidates(problem, algorithm) if each.refusal is None]
    taken = choice(problem, [(each.driver, each.nanoseconds) for each in possible])
    best = next(each for each in possible if each.driver is taken)
    reason = "asked for by name"
    if algorithm == "auto":
        others = sorted((each for each in possible if each is not best), key=lambda each: each.nanoseconds)
        reason = best.driver.about + "".join(
            f"; {each.driver.name} is expected to take {each.nanoseconds / best.nanoseconds:.1f} times as long"
            + ", which is too small a gain for a transform" * (each.nanoseconds < best.nanoseconds)
            for each in others[:1])
    convolve = best.driver.conv2d if algorithm == "auto" else best.driver.as_named
    plan = ConvPlan(problem, best, convolve, reason, algorithm,
                    None if best.driver.as_it_is else _simpler(problem, algorithm))
    return _in_regions(plan) if algorithm == "auto" else plan


def choice(problem, expected):
    """The driver, of pairs with expected nanoseconds, that is the fastest, or the fastest plain one where a transform
    gains too little."""
    best, least = min(expected, key=lambda each: each[1])
    plain = min((each for each in expected if not each[0].transforms), key=lambda each: each[1], default=None)
    if plain is None or plain[1] > winograd_cost.WORTH.get(problem.taps, 1) * least + UNSEEN_NANOSECONDS:
        return best
    return plain[0]


def _in_regions(whole):
    """A plan that computes the outputs in regions, if that is expected to be faster than the
    one given, else that one."""
    regions = tuple((rows, columns, conv2d_plan(of_outputs(whole.problem, rows, columns), "auto"))
                   for rows, columns in regions_of(whole.problem))
    if not regions:
        return whole
    driver, expected = regions[0][2].driver, sum(REGION + plan.nanoseconds for _, _, plan in regions)
    times = whole.nanoseconds / expected
    if times < 1:
        return whole
    reason = (f"{len(regions)} regions of outputs that meet pixels with the same taps, the largest of which: "
              f"{regions[0][2].reason}; all at once is expected to take {times:.1f} times as long")
    return ConvPlan(whole.problem, Candidate(driver, expected, None), driver.conv2d, reason, whole.asked,
                    regions=regions)


def _simpler(problem, algorithm):
    """The simpler form of a problem, or None; a transform that was asked for is used."""
    return simpler(problem) if algorithm in ("auto", "direct", "gemm") else None


def _candidates(problem, algorithm):
    simple = _simpler(problem, algorithm)
    return tuple(_candidate(driver, problem if simple is None or driver.as_it_is else simple.problem, algorithm)
                 for driver in FORWARD)


def _candidate(driver, problem, algorithm):
    refusal = None
    if algorithm not in ("auto", driver.algorithm):
        refusal = f"algorithm {algorithm!r} was asked for"
    elif algorithm == "gemm" and driver is FEW_OUTPUTS and problem.output_size != (1, 1):
        refusal = "a product that is asked for has the same bits in any part of an image; this one adds up otherwise"
    elif algorithm not in ("winograd", "fft"):
        # There are two direct sums, and two products, of which one may not serve.
        refusal = driver.refuses(problem)
    return Candidate(driver, None if refusal else driver.cost(problem), refusal)
