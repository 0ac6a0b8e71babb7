"""The data gradient by phases of the stride: each is a convolution of grad_output by a forward driver.
The derivation stands in ``problem/geometry.py``.

Drivers get strided views of grad_output, weight and grad_x, so nothing but the weights of a grouped convolution
is copied, some groups at a time. Where the padding repeats pixels the frame around the image is folded back
(``folding.py``). Depthwise with a stride of 2 computes both phases of columns in one call: by itself, each of them
would move all of grad_x.
"""

import functools
import math

from fastconv._core.data_gradient.filters import in_groups
from fastconv._core.data_gradient.folding import fold_frame
from fastconv._core.data_gradient.passes import passes_on
from fastconv._core.depthwise import forward as depthwise, pair
from fastconv._core.product import forward as product

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
            "step_of_pixels" if problem.channels_last else "step_of_planes": stepped}


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
        self.in_pairs = few and sw == 2 and driver.conv2d is depthwise.conv2d and _in_column_pairs(self.passes)
        self.whole = few and problem.stride == (1, 1) and not self.folds    # one pass computes all

    def __call__(self, grad_output, weight, grad_x):
        """Fills grad_x (N, C, H, W), a view with any strides; there is nothing that it leaves to others."""
        for of_output, turned, of_x in in_groups(grad_output, weight, grad_x):
            if self.whole:
                self.convolve(self.passes[0].on(of_output, turned, of_x))
            else:
                self._fill(of_output, turned, of_x)
        return ()

    def _fill(self, grad_output, turned, grad_x):
        passes = (self.passes if self.passes is not None
                  else tuple(passes_on(self.problem, *map(range, self.problem.size))))
        if not self.meets_all:
            grad_x.fill(0)
        convolutions = [each.on(grad_output, turned, grad_x) for each in passes]
        if self.in_pairs and grad_x.strides[3] == grad_x.itemsize:
            for i in range(0, len(passes), 2):
                first, second = convolutions[i:i + 2]
                pair.conv2d_pair(*((first, second) if passes[i].columns.start < passes[i + 1].columns.start
                                   else (second, first)))
        else:
            for each in convolutions:
                self.convolve(each)
        if self.folds:
            fold_frame(self.convolve, grad_output, turned, grad_x, self.problem)


lay_out = Phases


def _in_column_pairs(passes):
    """Whether the even and the odd columns of the same rows follow each other, each with neighbouring taps."""
    return all(even.rows == odd.rows and even.window.dilation[1] == odd.window.dilation[1] == 1
               for even, odd in zip(passes[::2], passes[1::2])) and len(passes) % 2 == 0
