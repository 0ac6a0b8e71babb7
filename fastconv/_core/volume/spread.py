"""The taps along the depth as filters, for results of few channels: planes meet all of them in one convolution, to
scratch, [plane][tap][channel], and each result is added to the output plane that it belongs to.

    y = bias
    for item: for block of planes: convolution with all taps -> scratch (L2); for plane, tap: y of an output plane += it
    y = activation(y)

Input is read once, and tiles are not left to one filter. It is for data gradients: of filters that are finite and
whose padding is zeros.
"""

import math

import numpy as np

from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import PLAIN, Convolution
from fastconv._core.problem.finish import finish, lay_ground
from fastconv._core.problem.simpler import joined
from fastconv._core.runtime import memory
from fastconv._core.volume.forward import CALL_NANOSECONDS

BLOCK_BYTES = 1 << 20        # of results at a time
WEIGHT_BYTES = 1 << 18       # of filters that are put in order
MOST_FILTERS = 32            # with all taps along the depth
PLANE_NANOSECONDS = 2000.0   # of an addition
NANOSECONDS_A_NUMBER = 0.5


def serves(problem):
    """Whether there are few enough filters, each of whose results belongs to an output plane, and those of a plane fit
    into a block."""
    k, own, taps, r, s = problem.weight_shape
    return (1 < taps and k * taps <= MOST_FILTERS and problem.groups == 1 and problem.stride == (1, 1, 1)
            and problem.padding_mode == "constant" and k * taps * own * r * s * problem.itemsize <= WEIGHT_BYTES
            and k * taps * math.prod(problem.output_size[1:]) * problem.itemsize <= BLOCK_BYTES)


class Spread:
    """How one problem is computed."""

    def __init__(self, problem):
        self.problem = problem
        filters = problem.weight_shape[0] * problem.taps[0]
        self.of_plane = filters * math.prod(problem.output_size[1:])
        self.planes = min(problem.size[0], max(1, BLOCK_BYTES // (self.of_plane * problem.itemsize)))
        planes = problem.planes(self.planes)
        self.plan = conv2d_plan(planes._replace(weight_shape=(filters, *planes.weight_shape[1:]), column_step=1),
                                "auto")

    @property
    def cost(self):
        """The expected nanoseconds on one thread."""
        items, depth = self.problem.x_shape[0], self.problem.size[0]
        blocks = items * -(-depth // self.planes)
        return (blocks * (self.plan.nanoseconds + CALL_NANOSECONDS)
                + items * depth * (self.problem.taps[0] * PLANE_NANOSECONDS + NANOSECONDS_A_NUMBER * self.of_plane))

    def workspace(self, dtype):
        """Bytes of scratch, as ConvPlan.workspace."""
        return self.plan.workspace(dtype) + self.planes * self.of_plane * self.problem.itemsize

    def run(self, volumes):
        """Fills y."""
        k, _, taps = volumes.w.shape[:3]
        filters = joined(volumes.w.transpose(2, 0, 1, 3, 4), 0, 1)
        if filters is None:
            filters = np.ascontiguousarray(volumes.w.transpose(2, 0, 1, 3, 4)).reshape(taps * k, *volumes.w.shape[1:2],
                                                                                       *volumes.w.shape[3:])
        depth, size = volumes.x.shape[2], volumes.y.shape[3:]
        lay_ground(volumes.y, volumes.bias, PLAIN)
        for x, y in zip(volumes.x, volumes.y):
            for first in range(0, depth, self.planes):
                images = x.swapaxes(0, 1)[first:first + self.planes]
                block = memory.scratch(len(images) * self.of_plane * x.itemsize).view(x.dtype)
                block = block.reshape(len(images), taps * k, *size)
                self.plan.convolve(Convolution(images, filters, None, block, volumes.window.planes))
                self._add(block.reshape(len(images), taps, k, *size), y, first)
        finish(volumes.y, None, volumes.epilogue)

    def _add(self, block, y, first):
        """The results of planes from `first` on to the output planes that meet them."""
        with np.errstate(invalid="ignore", over="ignore"):
            for tap in range(self.problem.taps[0]):
                shift = self.problem.origin[0] - tap * self.problem.dilation[0]    # from a plane to its output plane
                begin = max(0, -(first + shift))
                end = min(len(block), y.shape[1] - first - shift)
                if begin < end:
                    y[:, first + shift + begin:first + shift + end] += block[begin:end, tap].swapaxes(0, 1)
