"""The plan of a convolution of volumes: the way that is expected to be done first, kept in a bounded cache.

Where a problem is one convolution of images (flat.py) it is that; else the taps along the depth are added up
(forward.py), the images being the planes of an item or the items at a plane, or they are channels of planes that are
gathered (gathered.py), or filters (spread.py). The data gradient is a convolution of grad_output by the turned filters
for each triple of phases of the stride, by plans as these.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from fastconv._core.data_gradient.filters import in_groups
from fastconv._core.planner import plan as images
from fastconv._core.planner.drivers import FORWARD, Driver
from fastconv._core.planner.plan import ConvPlan, conv2d_plan
from fastconv._core.problem.convolution import PLAIN, Convolution
from fastconv._core.problem.finish import finish, lay_ground
from fastconv._core.problem.simpler import joined
from fastconv._core.volume import spread
from fastconv._core.volume.flat import Flat, flat
from fastconv._core.volume.folding import fold_frame, tap_by_tap
from fastconv._core.volume.forward import Sum, is_finite
from fastconv._core.volume.gathered import BLOCK_BYTES, Gathered
from fastconv._core.volume.geometry import VolumeProblem, Volumes, VolumeWindow, passes_inside, window_of
from fastconv._core.volume.gradient import gradient_cost, weight_gradient
from fastconv._core.volume.spread import Spread

MOST_KEPT = 64    # passes of a data gradient that are remembered


class Way(NamedTuple):
    """A way to compute y, as explain names it, and what it is expected to take."""

    name: str
    nanoseconds: float
    by: ConvPlan | Sum | Gathered | Spread


class Compared(NamedTuple):
    """What stays of a way: plans are kept by the hundred, and only one way computes by something."""

    name: str
    nanoseconds: float


class VolumePlan:
    """How one problem is computed; as ConvPlan. Taps along the depth are added up where arrays do not lie as `flat`
    wants them."""

    def __init__(self, problem: VolumeProblem, algorithm: str) -> None:
        self.problem, self.asked = problem, algorithm
        self.flat: Flat | None = None if problem.is_empty else flat(problem)
        ways = sorted(self._ways(), key=lambda way: way.nanoseconds)
        self.best = ways[0].by if ways else conv2d_plan(problem.planes(0), algorithm)
        self.ways = tuple(Compared(way.name, way.nanoseconds) for way in ways)
        self.of_images = self.best if isinstance(self.best, ConvPlan) else self.best.plan

    def _ways(self):
        if self.problem.is_empty:
            return
        if self.flat is not None:
            plan = conv2d_plan(self.flat.problem, self.asked)
            yield Way("as images", plan.nanoseconds, plan)
            return
        free = self.asked != "gemm"    # a product that is asked for adds up alike in any part of a volume
        if self.problem.x_shape[1] == 1 and self.problem.taps[0] > 1 and self.problem.padding_mode == "constant":
            yield _way("taps along the depth as channels", Sum(self.problem, self.asked, joined=True))
            if not free:
                return
        yield _way("taps along the depth", Sum(self.problem, self.asked))
        if self.problem.turned and self.asked == "auto" and spread.serves(self.problem):
            yield _way("taps along the depth as filters", Spread(self.problem))
        if free and self._may_gather():
            yield _way("taps along the depth as channels of planes that are gathered",
                       Gathered(self.problem, self.asked))
        if self.problem.x_shape[0] > 1:
            yield _way("taps along the depth, of all items", Sum(self.problem, self.asked, of_items=True))

    def _may_gather(self):
        """Whether planes may be gathered: those that fit into a block, where channels are planes."""
        _, c, _, h, w = self.problem.x_shape
        taps = self.problem.taps[0]
        in_planes = not self.problem.channels_last or c == 1
        return (taps > 1 and self.problem.groups == 1 and in_planes and not self.problem.turned
                and c * taps * h * w * self.problem.itemsize <= BLOCK_BYTES)

    @property
    def algorithm(self) -> str:
        return self.of_images.algorithm

    @property
    def driver(self) -> Driver:
        return self.of_images.driver

    def considered(self):
        """What it was chosen from, as ConvPlan's."""
        return tuple((way.name, way.nanoseconds, None) for way in self.ways)

    @property
    def reason(self) -> str:
        if not self.ways:
            return self.of_images.reason
        others = "".join(f"; {way.name} would take {way.nanoseconds / self.ways[0].nanoseconds:.1f} times as long"
                         for way in self.ways[1:2])
        return f"{self.ways[0].name}, each step by {self.of_images.driver.name}{others}"

    def convolve(self, volumes: Volumes, prepared=None) -> None:
        """Fills y."""
        if self.problem.is_empty:
            lay_ground(volumes.y, volumes.bias, volumes.epilogue)
            return
        if self.flat is None:
            if self.best(volumes, prepared) is False:
                self.otherwise(volumes)
            return
        views = self.flat.views(volumes.x, volumes.w, volumes.y)
        if views is None:
            self.otherwise(volumes)
            return
        x, w, y = views
        conv = Convolution(x, w, volumes.bias, y, self._window(volumes.window), volumes.epilogue)
        self.best.convolve(conv, *(prepared or ()))

    def finite(self, volumes: Volumes) -> None:
        """Fills y, of filters that are finite, with zeros as padding."""
        if isinstance(self.best, Sum | Spread):
            self.best.run(volumes)
        else:
            self.convolve(volumes)

    @functools.cached_property
    def otherwise(self) -> Sum:
        """For arrays whose axes do not join."""
        return Sum(self.problem, "auto" if self.asked in ("winograd", "fft") else self.asked)

    def _window(self, window: VolumeWindow):
        return self.best.window(window.padding_value)

    def window(self, padding_value: float = 0.0) -> VolumeWindow:
        """How the filters lie."""
        return window_of(self.problem, padding_value)

    def keeps_weights(self) -> bool:
        """Whether a layer should keep what the drivers make of its weights: as many times of them as there are taps."""
        return False

    def prepare(self, weight) -> tuple:
        """What the drivers make of the weights, as a tuple for `convolve`."""
        if self.problem.is_empty:
            return ()
        if self.flat is None:
            prepared = self.best.prepare(weight)
            return () if prepared is None else (prepared,)
        views = self.flat.views(np.empty((0, *self.problem.x_shape[1:]), weight.dtype), weight,
                                np.empty((0, *self.problem.output_shape[1:]), weight.dtype))
        return () if views is None else (self.best.prepare(views[1]),)

    def workspace(self, dtype) -> int:
        """Bytes of scratch of a forward call, with the threads that it would use now."""
        return 0 if self.problem.is_empty else self.best.workspace(dtype)

    # -- gradients

    @functools.cached_property
    def data_gradient(self):
        """Computes grad_x, of grad_output and the weights."""
        return VolumeDataGradient(self.problem, None if self.problem.is_empty else self.flat)

    def weight_gradient(self, volumes: Volumes) -> None:
        """Fills w with grad_weight, where y is grad_output."""
        views = None if self.flat is None else self.flat.views(volumes.x, volumes.w, volumes.y)
        if views is not None and views[1][0].flags.c_contiguous:
            x, w, y = views
            self.best.weight_gradient(Convolution(x, w, None, y, self._window(volumes.window)))
        elif self._gathers_for_gradient and joined(volumes.w, 1, 2) is not None:
            self._gathered.weight_gradient(volumes)
        else:
            weight_gradient(self.problem, volumes)

    @functools.cached_property
    def _gathered(self):
        return Gathered(self.problem)

    @functools.cached_property
    def _gathers_for_gradient(self):
        return self._may_gather() and self._gathered.gradient_cost < gradient_cost(self.problem)


def _way(name, by):
    return Way(name, by.cost, by)


def unavailable(algorithm, problem):
    """Why this algorithm cannot compute such a convolution, or None where it can."""
    form = None if problem.is_empty else flat(problem)
    planes = problem.planes(1, accumulate=problem.taps[0] > 1) if form is None else form.problem
    reason = images.unavailable(algorithm, planes)
    if reason is None and algorithm != "auto" and planes.accumulate and not any(
            driver.accumulates and (driver.transforms or driver.costs.refuses(planes) is None)
            for driver in FORWARD if driver.algorithm == algorithm):
        reason = f"it cannot add up the {problem.taps[0]} taps along the depth; here it can be 'auto' or 'gemm'"
    return reason


@functools.lru_cache(maxsize=256)
def conv3d_plan(problem, algorithm):
    """The plan for a checked problem and an algorithm that is not unavailable."""
    return VolumePlan(problem, algorithm)


class VolumeDataGradient:
    """How grad_x of one problem is computed; called with arrays, it does so. By itself it is a transposed
    convolution."""

    def __init__(self, problem: VolumeProblem, form: Flat | None = None, algorithm: str = "auto") -> None:
        self.problem, self.form, self.asked = problem, form, algorithm
        few = math.prod(map(min, problem.stride, problem.taps)) <= MOST_KEPT
        self.kept = tuple(self._passes()) if few and not problem.is_empty else None
        self.meets_all = self.kept is not None and len(self.kept) == math.prod(map(min, problem.stride, problem.size))

    def _passes(self):
        return ((each, conv3d_plan(each.problem, self.asked)) for each in passes_inside(self.problem))

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN) -> None:
        """Fills grad_x (N, C, D, H, W), a view with any strides.

        bias, a number for each channel of grad_x, and epilogue: what comes to the sums, as a transposed convolution
        has it.
        """
        if self.form is not None and (views := self.form.views(grad_x, weight, grad_output)) is not None:
            x, w, y = views
            if bias is not None and x.shape[1] != len(bias):    # planes have become channels
                bias = np.repeat(bias, x.shape[1] // len(bias))
            self.of_images(y, w, x, bias, epilogue)
            return
        finite = is_finite(weight)
        for of_output, turned, of_x, of_bias in in_groups(grad_output, weight, grad_x, bias):
            if not finite:
                tap_by_tap(_convolve, of_output, turned, of_x, self.problem)
                finish(of_x, of_bias, epilogue)
                continue
            if not self.meets_all:
                lay_ground(of_x, of_bias, epilogue)
            for each, plan in self.kept if self.kept is not None else self._passes():
                plan.finite(Volumes(of_output, turned[each.taps], of_bias, of_x[each.pixels], plan.window(), epilogue))
            if self.problem.padding_mode != "constant":
                fold_frame(_convolve, of_output, turned, of_x, self.problem)

    @functools.cached_property
    def of_images(self):
        """That of the convolution of images that does the same."""
        return conv2d_plan(self.form.problem, "auto").data_gradient


def _convolve(problem, volumes):
    conv3d_plan(problem, "auto").finite(volumes)
