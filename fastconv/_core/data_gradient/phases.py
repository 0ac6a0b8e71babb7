"""The data gradient by phases of the stride: each is a convolution of grad_output by a forward driver.
The derivation stands in ``problem/geometry.py``.

Drivers get strided views of grad_output, weight and grad_x, so nothing but the weights of a grouped convolution
is copied, some groups at a time. Where the padding repeats pixels the frame around the image is folded back
(``folding.py``).
"""

import functools
import itertools
import math

from fastconv._core.data_gradient.filters import copied, in_groups, unbacked_swapped
from fastconv._core.data_gradient.folding import fold_frame
from fastconv._core.data_gradient.passes import passes_on
from fastconv._core.problem.convolution import PLAIN, Convolution
from fastconv._core.problem.finish import lay_ground
from fastconv._core.problem.parts import scratch_bytes
from fastconv._core.product import forward as product
from fastconv._core.runtime.arrays import turned

MOST_KEPT = 16    # passes of a problem that are remembered


def refuses(problem, driver):
    """Why this driver must not compute the passes, or None. Those on the frame around the image have the same channels,
    and where there are no others nothing is known of them."""
    if not convolutions(problem) and driver.module is not product:
        return "taps meet the padding alone"
    return next((reason for each, _ in convolutions(problem) if (reason := driver.refuses(each)) is not None), None)


@functools.lru_cache(maxsize=16)    # the planner asks for the same one again and again
def convolutions(problem):
    """What the driver computes, and how often; what other padding folds back comes to the same for all drivers."""
    return tuple(problem.adjoint())


def terms(problem):
    """What is done beside that."""
    in_steps = problem.stride[1] > 1                                       # a pass writes every so many columns,
    apart = problem.stride != (1, 1) and math.prod(problem.taps) > 1       # and its taps do not lie together
    passes = convolutions(problem)
    stepped = sum(count * math.prod(each.output_shape) for each, count in passes) if in_steps else 0
    return {"pass": sum(count for _, count in passes), "taps_apart": math.prod(problem.weight_shape) if apart else 0,
            "copied": copied(problem), "step_of_pixels" if problem.channels_last else "step_of_planes": stepped}


def period(problem):
    """Among so many first rows and columns there is one of each phase."""
    return problem.stride


class Phases:
    """grad_x of a problem, by passes of a driver."""

    def __init__(self, problem, driver):
        (h, w), (sh, sw) = problem.size, problem.stride
        few = math.prod(map(min, problem.stride, problem.taps)) <= MOST_KEPT
        self.problem, self.convolve = problem, driver.conv2d
        self.passes = tuple(passes_on(problem, range(h), range(w))) if few else None
        self.folds = problem.padding_mode != "constant"
        self.meets_all = few and len(self.passes) == min(sh, h) * min(sw, w)    # or else some pixels are met by no tap
        self.driver = driver

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """Fills grad_x (N, C, H, W), a view with any strides; there is nothing that it leaves to others.

        bias and epilogue: what comes to the sums, as a transposed convolution has it; prepared: what `prepare` made.
        """
        for i, (of_output, swapped, of_x, of_bias) in enumerate(in_groups(grad_output, weight, grad_x, bias)):
            made = itertools.repeat(()) if not prepared else prepared[i]
            if not self.meets_all:
                lay_ground(of_x, of_bias, epilogue)
            self._fill([each.on(of_output, swapped, of_x, of_bias, epilogue) for each in self._all_passes()],
                       (of_output, swapped, of_x), made)
        return ()

    def _all_passes(self):
        return self.passes if self.passes is not None else passes_on(self.problem, *map(range, self.problem.size))

    def _fill(self, convolutions, arrays, prepared):
        self._convolve(convolutions, prepared)
        if self.folds:
            fold_frame(self.convolve, *arrays, self.problem)

    def _convolve(self, convolutions, prepared):
        for each, made in zip(convolutions, prepared):
            self.convolve(each, *made)

    def prepare(self, grad_output, weight, grad_x):
        """What the driver makes of the weights beforehand: for each part of the groups a tuple for each pass.
        Of the other arrays the shapes are enough."""
        if not self.driver.prepares:
            return ()
        return [[self.driver.prepared(each.on(of_output, swapped, of_x)) for each in self._all_passes()]
                for of_output, swapped, of_x, _ in in_groups(grad_output, weight, grad_x)]

    def workspace(self, grad_output, weight, grad_x):
        """Bytes of scratch that a call takes at a time: the shapes are enough, there may be no memory behind them."""
        return max((scratch_bytes(self.driver.module.workspace, each.on(of_output, swapped, of_x))
                    for of_output, swapped, of_x, _ in in_groups(grad_output, weight, grad_x, swap=unbacked_swapped)
                    for each in self._all_passes()), default=0)


class OnePass:
    """grad_x of a problem without stride and groups, whose other padding is none: one convolution, of the turned
    filters."""

    def __init__(self, problem, driver):
        self.driver, self.convolve = driver, driver.conv2d
        only, = passes_on(problem, *map(range, problem.size))
        self.window = only.window

    def __call__(self, grad_output, weight, grad_x, bias=None, epilogue=PLAIN, prepared=()):
        """As Phases."""
        self.convolve(Convolution(grad_output, turned(weight), bias, grad_x, self.window, epilogue), *prepared)
        return ()

    def prepare(self, grad_output, weight, grad_x):
        """As Phases, a tuple for a call."""
        return self.driver.prepared(self._convolution(grad_output, weight, grad_x))

    def workspace(self, grad_output, weight, grad_x):
        """As Phases."""
        return scratch_bytes(self.driver.module.workspace, self._convolution(grad_output, weight, grad_x))

    def _convolution(self, grad_output, weight, grad_x):
        return Convolution(grad_output, turned(weight), None, grad_x, self.window)


def lay_out(problem, driver):
    """The door."""
    one = problem.stride == (1, 1) and problem.groups == 1 and problem.padding_mode == "constant"
    return (OnePass if one and convolutions(problem) else Phases)(problem, driver)
