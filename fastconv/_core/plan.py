"""The choice of algorithm: once for a geometry, by plain rules, kept in a bounded cache, printed by ``explain``.

The rules, first match wins; the numbers are measured crossovers (one thread, AVX-512, planes of 2 x 2 to 56 x 56):

1. One input channel a group (depthwise): "direct", but for the single channel of an NHWC image under filters that fill a
   vector. There is no sum over channels for a matrix product to share, so each channel goes through its own taps, with
   neighbouring pixels in the lanes of a vector.
2. float32, 3 x 3 with stride 1 or 2 or 5 x 5 with stride 1, no dilation, and enough channels to pay for the transforms:
   "winograd". In channels x filters of a group the crossover is at 96 for 3 x 3, at 48 for 5 x 5, at 128 for stride 2;
   narrower groups are joined, so there a pair of groups is enough. float64 never gives accuracy away.
3. "direct" with channels in the lanes, where filters fill the vectors: for filters of several taps on planes up to 48 x 48
   (12 x 12 for sums of less than 32 terms), where it is 1.1 to 2 times as fast as the product, and on all planes where the
   sum has 100 terms and at most a tenth of the lanes is idle (1.05 to 1.2 times); for 1 x 1 only on planes up to 8 x 8,
   from 64 channels on up to 16 x 16, or, with a stride, up to 32 x 32 (0.98 to 1.1 times, and two threads share the work
   more evenly); for images with the channels last (NHWC) always (1.2 to 3 times).
4. Otherwise "gemm": the implicit matrix product with pixels in the lanes, whose panels are packed from the image as they
   are needed.

The data gradient follows the same rules with channels and filters swapped. An algorithm asked for by name is taken where it
applies; ``unavailable`` says why one does not.
"""

import functools
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastconv._core import channels as channel_lanes
from fastconv._core import depthwise, gemm, isa, winograd
from fastconv._core.geometry import ConvGeometry

ALGORITHMS = ("auto", "direct", "gemm", "winograd", "fft")


FEWEST_FILTERS = 12  # of a group, for them to fill a vector
MOST_KEPT_BYTES = 4 << 20  # see keeps_weights

# Channels x filters of a group from which Winograd is faster, by (filter size, stride), and the fewest channels and filters.
WINOGRAD_FROM = {(3, 1): (96, 4, 3), (5, 1): (48, 3, 3), (3, 2): (128, 8, 8)}


@dataclass(frozen=True)
class ConvPlan:
    """How one geometry is computed: the algorithm, why, and the drivers that are called."""

    geometry: ConvGeometry
    algorithm: str
    reason: str
    driver: ModuleType  # its conv2d computes y
    data_gradient_driver: ModuleType  # its conv2d computes grad_x: input and output channels swapped
    weight_gradient_driver: ModuleType  # its conv2d_weight_gradient computes grad_weight

    def keeps_weights(self, dtype):
        """Whether a layer that runs again and again should keep what the driver makes of its weights.

        To know that they are still the same it must compare them with a copy, byte by byte. That takes half of the time in
        which Winograd transforms them, as long as the caches hold both (128 x 128 x 3 x 3 on 8 x 8 pixels: 106 us with the
        transform, 78 with the comparison; 512 x 512 x 3 x 3 on 7 x 7: 1840 and 1840), and as much as packing them for a
        product (512 x 2048 x 1 x 1 on 7 x 7: 1019 and 1082).
        """
        return self.driver is winograd and math.prod(self.geometry.weight_shape) * dtype.itemsize <= MOST_KEPT_BYTES

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


def unavailable(algorithm, weight_shape, stride, dilation):
    """Why this algorithm cannot compute such a convolution, or None where it can."""
    r, s = weight_shape[2:]
    possible = ["auto", "direct", "gemm"]
    if _winograd_fits(r, s, stride, dilation):
        possible.append("winograd")
    if algorithm in possible:
        return None
    why = {
        "winograd": "it serves 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1, without dilation; here they are "
                    f"{r} x {s} with stride {stride} and dilation {dilation}",
        "fft": "this version does not have it",
    }[algorithm]
    return f"{why}; here it can be {', '.join(map(repr, possible))}"


def _winograd_fits(r, s, stride, dilation):
    return r == s and stride[0] == stride[1] and (r, stride[0]) in WINOGRAD_FROM and dilation == (1, 1)


def _filled(filters, itemsize):
    """The part of the lanes that filters fill, in panels of two vectors, or one where they fit in."""
    lanes = isa.vector_bytes() // itemsize
    panel = lanes if filters <= lanes else 2 * lanes
    return filters / (math.ceil(filters / panel) * panel)


def _direct(channels, filters, groups, channels_last):
    """The driver of "direct"."""
    if channels > 1 or (channels_last and groups == 1 and filters >= FEWEST_FILTERS):
        return channel_lanes
    return depthwise


def _choose(channels, filters, geometry, itemsize, channels_last):
    """Algorithm, driver and reason for groups of so many channels and filters."""
    r, s = geometry.weight_shape[2:]
    stride, groups, (oh, ow) = geometry.stride, geometry.groups, geometry.output_size
    if _direct(channels, filters, groups, channels_last) is depthwise:
        return "direct", depthwise, "one input channel a group: no sum over channels, neighbouring pixels fill the vectors"
    if itemsize == 4 and _winograd_fits(r, s, stride, geometry.dilation):
        product, fewest_channels, fewest_filters = WINOGRAD_FROM[r, stride[0]]
        joined = groups > 1 and channels == filters <= 8
        if joined or (channels * filters >= product and channels >= fewest_channels and filters >= fewest_filters):
            points = {(3, 1): 36, (5, 1): 64, (3, 2): 81}[r, stride[0]]
            return "winograd", winograd, (f"{r} x {s} with stride {stride[0]}, {channels} channels, {filters} filters: {points}"
                                          f" products a tile of 4 x 4 outputs instead of {16 * r * s}")
    if filters >= FEWEST_FILTERS:
        if channels_last:
            return "direct", channel_lanes, f"{filters} filters fill the vectors, channels come last"
        if r * s == 1:
            largest = 32 * 32 if stride != (1, 1) else 16 * 16 if channels >= 64 else 8 * 8
        elif channels * r * s >= 100 and _filled(filters, itemsize) >= 0.9:
            largest = oh * ow
        else:
            largest = 48 * 48 if channels * r * s >= 32 else 12 * 12
        if oh * ow <= largest and (r * s == 1 or ow >= 4):
            return "direct", channel_lanes, f"{filters} filters fill the vectors, planes of {oh} x {ow} do so less"
    return "gemm", gemm, f"a sum over {channels} channel{'s' if channels > 1 else ''} x {r} x {s} taps: implicit matrix product"


@functools.lru_cache(maxsize=1024)
def conv2d_plan(x_shape, weight_shape, stride, pads, dilation, groups, output_size, algorithm, itemsize, channels_last):
    """The plan for checked arguments in plain form: tuples of ints, and an algorithm that is not unavailable.

    itemsize is that of the dtype, channels_last says whether a pixel's channels follow each other in memory.
    """
    geometry = ConvGeometry(x_shape, weight_shape, stride, pads, dilation, groups, output_size)
    k, channels = weight_shape[:2]
    if algorithm == "auto":
        chosen, driver, reason = _choose(channels, k // groups, geometry, itemsize, channels_last)
        _, backward, _ = _choose(k // groups, channels, geometry, itemsize, channels_last)
        if stride != (1, 1) and backward is not depthwise:
            backward = gemm  # the data gradient of a strided convolution is a set of smaller filters
    else:
        chosen, reason = algorithm, "asked for by name"
        direct = _direct(channels, k // groups, groups, channels_last)
        driver = {"direct": direct, "gemm": gemm, "winograd": winograd}[algorithm]
        backward = gemm
    weights = depthwise if channels == 1 else gemm
    return ConvPlan(geometry, chosen, reason, driver, backward, weights)
