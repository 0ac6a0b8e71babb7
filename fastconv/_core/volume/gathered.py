"""The taps along the depth as channels, forward and weight gradient, of planes that are gathered: a block of what some
output planes meet is copied to scratch, [output plane][channel][tap], and is the images of one convolution, whose
filters are those of the volume as they lie. So the sum over all taps is one, y is written once, and large filters are
read once a block.

    for item: for block of output planes: gather (L2) -> y of the planes, or their share of grad_weight
"""

import math

import numpy as np

from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import Convolution
from fastconv._core.problem.simpler import joined
from fastconv._core.runtime import memory
from fastconv._core.volume.forward import CALL_NANOSECONDS
from fastconv._core.volume.gradient import ADD_NANOSECONDS, add_weight_gradient
from fastconv._core.volume.planes import planes_met

BLOCK_BYTES = 1 << 20           # that are gathered at a time
PLANE_NANOSECONDS = 500.0       # of a copy
NANOSECONDS_A_NUMBER = 0.35


class Gathered:
    """How one problem is computed, whose channels follow each other in planes."""

    def __init__(self, problem, algorithm="auto"):
        self.problem = problem
        n, c, _, h, w = problem.x_shape
        taps, outputs = problem.taps[0], problem.output_size[0]
        self.planes = min(outputs, max(1, BLOCK_BYTES // (c * taps * h * w * problem.itemsize)))
        self.plan = conv2d_plan(problem.planes(self.planes, c * taps), algorithm)
        self.blocks = n * -(-outputs // self.planes)
        self.met = tuple(tuple(planes_met(problem, tap, True)) for tap in range(taps))

    @property
    def cost(self):
        """The expected nanoseconds on one thread."""
        return self.blocks * (self.plan.nanoseconds + CALL_NANOSECONDS) + self._gather_cost

    @property
    def _gather_cost(self):
        n, c, _, h, w = self.problem.x_shape
        planes = n * self.problem.output_size[0] * self.problem.taps[0]
        return PLANE_NANOSECONDS * planes + NANOSECONDS_A_NUMBER * planes * c * h * w

    def workspace(self, dtype):
        """Bytes of scratch, as ConvPlan.workspace."""
        return self.plan.workspace(dtype) + self._bytes(self.planes)

    def _bytes(self, planes):
        _, c, _, h, w = self.problem.x_shape
        return planes * c * self.problem.taps[0] * h * w * self.problem.itemsize

    def prepare(self, weight):
        """What the driver makes of the filters, or None."""
        filters = joined(weight, 1, 2)
        return None if filters is None else self.plan.prepare(filters)

    def __call__(self, volumes, prepared=None):
        """Fills y; or returns False, where filters do not lie as that wants them."""
        filters = joined(volumes.w, 1, 2)
        if filters is None:
            return False
        outputs = self.problem.output_size[0]
        for x, y in zip(volumes.x, volumes.y):
            for first in range(0, outputs, self.planes):
                last = min(first + self.planes, outputs)
                images = self._gather(x, first, last, volumes.window.padding_value)
                made = prepared if prepared and last - first == self.planes else ()
                self.plan.convolve(Convolution(images, filters, volumes.bias, y.swapaxes(0, 1)[first:last],
                                               volumes.window.planes, volumes.epilogue), *made)
        return True

    @property
    def gradient_cost(self):
        """The expected nanoseconds of a weight gradient."""
        return (self.blocks * (self.plan.weight_gradient_driver.cost(self.plan.problem) + CALL_NANOSECONDS)
                + (self.blocks - 1) * ADD_NANOSECONDS * math.prod(self.problem.weight_shape) + self._gather_cost)

    def weight_gradient(self, volumes):
        """Fills w with grad_weight, where y is grad_output; w lies as filters do."""
        gradient, outputs, begun = joined(volumes.w, 1, 2), self.problem.output_size[0], False
        for x, y in zip(volumes.x, volumes.y):
            for first in range(0, outputs, self.planes):
                last = min(first + self.planes, outputs)
                images = self._gather(x, first, last, volumes.window.padding_value)
                conv = Convolution(images, gradient, None, y.swapaxes(0, 1)[first:last], volumes.window.planes)
                if begun:
                    add_weight_gradient(self.plan, conv, 1)
                else:
                    self.plan.weight_gradient(conv)
                begun = True

    def _gather(self, x, first, last, value):
        """What output planes first .. last - 1 meet of one item, as images (planes, C T, H, W)."""
        c, _, h, w = x.shape
        taps = self.problem.taps[0]
        block = memory.scratch(self._bytes(last - first)).view(x.dtype).reshape(last - first, c, taps, h, w)
        for tap, steps in enumerate(self.met):
            for step in steps:
                begin, end = max(first, step.first), min(last, step.last)
                if begin < end:
                    part = block[begin - first:end - first, :, tap]
                    if step.from_plane is None:
                        part.fill(value)
                    else:
                        for i in range(begin, end):
                            np.copyto(block[i - first, :, tap],
                                      x[:, step.from_plane + (i - step.first) * step.plane_step])
        return block.reshape(last - first, c * taps, h, w)
