"""The choice of algorithm: once for a geometry, by plain rules, kept in a bounded cache, printed by ``explain``.

The rules, first match wins:

1. One input channel a group (depthwise): "direct". There is no sum over channels for a matrix product to share, so each
   channel goes through its own taps, with neighbouring pixels in the lanes of a vector.
2. Otherwise "gemm": the implicit matrix product, whose panels are packed from the image as they are needed.

An algorithm asked for by name is taken where it applies; ``unavailable`` says why one does not.
"""

import functools
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastconv._core import depthwise, gemm
from fastconv._core.geometry import ConvGeometry

ALGORITHMS = ("auto", "direct", "gemm", "winograd", "fft")


@dataclass(frozen=True)
class ConvPlan:
    """How one geometry is computed: the algorithm, why, and the drivers that are called."""

    geometry: ConvGeometry
    algorithm: str
    reason: str
    driver: ModuleType  # conv2d and conv2d_weight_gradient
    data_gradient_driver: ModuleType  # its conv2d computes grad_x: input and output channels swapped

    def workspace(self, dtype):
        """Bytes of scratch of a forward call on C-contiguous (N, C, H, W) arrays, with the threads that it would use now."""
        geometry = self.geometry
        if 0 in geometry.x_shape:
            return 0
        arrays = (_contiguous(shape, dtype) for shape in (geometry.x_shape, geometry.weight_shape, geometry.output_shape))
        return self.driver.workspace(*arrays, geometry.stride, geometry.dilation, geometry.origin)


def _contiguous(shape, dtype):
    """What looks like a C-contiguous array of this shape, for its strides alone: there are no elements behind it."""
    strides = [dtype.itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides, writeable=False)


def unavailable(algorithm, weight_shape):
    """Why this algorithm cannot compute such a convolution, or None where it can."""
    channels = weight_shape[1]
    if algorithm in ("auto", "gemm") or (algorithm == "direct" and channels == 1):
        return None
    if algorithm == "direct":
        possible = "'auto' or 'gemm'"
        why = f"it serves one input channel a group, and weight has {channels}"
    else:
        possible = "'auto', 'gemm' or 'direct'" if channels == 1 else "'auto' or 'gemm'"
        why = "this version does not have it"
    return f"{why}; here it can be {possible}"


@functools.lru_cache(maxsize=1024)
def conv2d_plan(x_shape, weight_shape, stride, pads, dilation, groups, output_size, algorithm):
    """The plan for checked arguments in plain form: tuples of ints, and an algorithm that is not unavailable."""
    geometry = ConvGeometry(x_shape, weight_shape, stride, pads, dilation, groups, output_size)
    k, channels = weight_shape[:2]
    if channels == 1 and algorithm != "gemm":
        chosen, driver = "direct", depthwise
        reason = "one input channel a group: no sum over channels, neighbouring pixels fill the vectors"
    else:
        chosen, driver = "gemm", gemm
        reason = f"a sum over {channels} channel{'s' if channels > 1 else ''} x {weight_shape[2]} x {weight_shape[3]} taps: implicit matrix product"
    if algorithm != "auto":
        reason = "asked for by name"
    swapped = depthwise if k // groups == 1 and algorithm != "gemm" else gemm
    return ConvPlan(geometry, chosen, reason, driver, swapped)
