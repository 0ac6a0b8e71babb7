"""The choice of algorithm: once for a geometry, by plain rules, kept in a bounded cache, printed by ``explain``.

The rules, first match wins; the numbers are measured crossovers (one thread, AVX-512, planes of 2 x 2 to 56 x 56):

1. One input channel a group (depthwise): "direct", but for the single channel of an NHWC image under filters that fill a
   vector. There is no sum over channels for a matrix product to share, so each channel goes through its own taps, with
   neighbouring pixels in the lanes of a vector.
2. float32, 3 x 3 with stride 1 or 2 or 5 x 5 with stride 1, and enough channels to pay for the transforms:
   "winograd". In channels x filters of a group the crossover is at 96 for 3 x 3, at 48 for 5 x 5, for stride 2 at 256, or at
   2048 where more than a seventh of the tiles is outside the plane (7 x 7, 14 x 14). Narrow groups (of up to 8 channels and as
   many filters, side by side in a vector of which they fill half) take it with stride 1 alone, where `_winograd_pays`: with 2
   channels under 5 x 5, with 3 on large planes, with 6 on all whose tiles are mostly inside. With dilation (constant padding)
   it pays where `_dilated_pays`: from 9 tiles a phase on (1.4 to 3.7 times). float64 never gives accuracy away; and nowhere is it
   taken where a tap meets pixels in less than half of the outputs, and padding in the others: the rounding error of its products
   would be there all the same (`_taps_meet_pixels`).
3. "direct" with channels in the lanes, where filters fill the vectors: for filters of several taps on planes up to 48 x 48
   (12 x 12 for sums of less than 32 terms), where it is 1.1 to 2 times as fast as the product, and on all planes where the
   sum has 100 terms and at most a tenth of the lanes is idle (1.05 to 1.2 times); for 1 x 1 only on planes up to 8 x 8,
   from 256 channels on up to 16 x 16, or, with a stride, up to 32 x 32 (1.01 to 1.1 times); for images with the channels
   last (NHWC) always (1.2 to 3 times), also where filters fill only half a vector, or less under 1 x 1 filters or on planes up
   to 16 x 16; for narrow groups, but 1 x 1 filters of 8 channels on larger NCHW planes (1.3 to 9 times).
4. Otherwise "gemm": the implicit matrix product with pixels in the lanes, whose panels are packed from the image as they
   are needed.
5. In place of 1, 3 and 4 "fft", for filters of 49 taps and more, where its expected time (``fourier.layout``, right within a third)
   is at most `FFT_GAIN` of that of the sum (`SUM_RATES`). So it is for square filters from this side on, with padding so that
   planes keep their size, float32 (float64); "-" where even filters twice as large as the plane do not pay:

       planes of                      32        64        128       256       512       1024
       1 channel, 1 filter            - (-)     57 (43)   33 (27)   25 (21)   23 (19)   21 (19)
       3 channels, 3 filters          31 (23)   17 (15)   13 (11)   11 (9)    11 (9)    11 (9)
       1 channel, 16 filters          47 (33)   25 (23)   21 (17)   19 (17)   17 (15)   17 (15)
       64 channels, depthwise         - (49)    35 (27)   29 (25)   27 (25)   25 (23)   27 (23)
       8 channels, 8 filters          31 (21)   17 (13)   13 (11)   11 (9)    11 (9)    11 (9)
       64 channels, 64 filters        - (55)    15 (17)   11 (15)   11 (13)   9 (11)    9 (11)

   With many channels and filters there are gaps behind that side, where no layout within the bound of scratch is fast enough.

   In 235 layers drawn at random around these lines (with twice the scratch) it was taken 170 times; in five the sum was faster, by
   at most 5 %. Of 310 depthwise layers with filters of 9 to 41 pixels twelve would have been 1.1 to 1.6 times as fast the other way, all by
   transforms, eight of them images of three channels that come last (measured before transforms got a tenth in their favour).

The data gradient follows the same rules with channels and filters swapped. An algorithm asked for by name is taken where it
applies; ``unavailable`` says why one does not.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastconv._core.direct import forward as channel_lanes
from fastconv._core.depthwise import forward as depthwise, weight_gradient as depthwise_gradient
from fastconv._core.fourier import forward as fft
from fastconv._core.problem import parts
from fastconv._core.product import forward as gemm, weight_gradient as gemm_gradient
from fastconv._core.runtime import isa
from fastconv._core.winograd import forward as winograd
from fastconv._core.fourier.layout import expected_time, lay_out
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import PADDING_MODES, ConvGeometry

ALGORITHMS = ("auto", "direct", "gemm", "winograd", "fft")


FEWEST_FILTERS = 12  # of a group, for them to fill a vector
FEWEST_CHANNELS_LAST = 8  # where they lie side by side
MOST_KEPT_BYTES = 4 << 20  # see keeps_weights

# Channels x filters of a group from which Winograd is faster, by (filter size, stride), and the fewest channels and filters.
WINOGRAD_FROM = {(3, 1): (96, 4, 3), (5, 1): (48, 3, 3), (3, 2): (256, 8, 8)}
WINOGRAD_POINTS = {(3, 1): 36, (5, 1): 64, (3, 2): 81}  # products of a tile of 4 x 4 outputs
DILATED_TILES, DILATED_FROM = 9, 256  # tiles of each phase, and channels x filters
STRIDE_2_FROM = 2048  # channels x filters with stride 2 where tiles are not full
FULL_TILES = 6 / 7
MOST_NARROW = 8  # channels of a narrow group
TRANSFORMS = {64: 13, 32: 10}  # channels whose products take as long as a point's share of the transforms, by bytes of a vector
SHUFFLED = 0.75  # the rate of sums in which lanes are moved


# Multiplications and additions a nanosecond of the sums under large filters: float32, one thread, AVX-512 or AVX2 (on Zen 4 they
# are within 5 %), all lanes and rows of a tile filled. SSE has a third of it. Depthwise reaches 48, but the transforms of one
# channel are faster than `fourier.layout` expects, up to 1.4 times where images or channels are many.
SUM_RATES = {depthwise: 43.0, channel_lanes: 55.0, gemm: 55.0}
FFT_TAPS = 49    # fewer never pay
FFT_GAIN = 0.8   # of the sum's time
FFT_LEAST = 3.0  # nanoseconds a pixel of each plane, in and out: where that is too much no layout is looked for


# Transforms that were asked for by name are used whatever the contrast of the data.
AS_NAMED = {driver: functools.partial(driver.conv2d, any_contrast=True) for driver in (winograd, fft)}


@dataclass(frozen=True)
class ConvPlan:
    """How one geometry is computed: the algorithm, why, and the drivers that are called."""

    geometry: ConvGeometry
    algorithm: str
    reason: str
    driver: ModuleType  # computes y
    convolve: Callable  # its conv2d
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

    def workspace(self, dtype, channels_last, padding_mode):
        """Bytes of scratch of a forward call on C-contiguous arrays, with the threads that it would use now."""
        if 0 in self.geometry.x_shape:
            return 0
        return parts.scratch_bytes(self.driver.workspace, self._unbacked(dtype, channels_last, padding_mode))

    def _unbacked(self, dtype, channels_last=False, padding_mode="constant", weight=None):
        """What a call is to the driver, with no arrays but the weights, or none."""
        geometry = self.geometry
        x, y = (parts.unbacked(shape, dtype, channels_last) for shape in (geometry.x_shape, geometry.output_shape))
        weight = parts.unbacked(geometry.weight_shape, dtype) if weight is None else weight
        return Convolution(x, weight, None, y, self.window(padding_mode))

    def window(self, padding_mode="constant", padding_value=0.0):
        """How the filters lie, as the drivers take it."""
        geometry = self.geometry
        return Window(geometry.stride, geometry.dilation, geometry.origin, PADDING_MODES.index(padding_mode), padding_value)

    def prepare(self, weight):
        """What the driver makes of the weights, as a tuple for its conv2d; empty where it uses them as they are, or in parts."""
        if not hasattr(self.driver, "prepare"):
            return ()
        conv = self._unbacked(weight.dtype, weight=weight)
        if 0 not in self.geometry.x_shape and not parts.fits(self.driver.workspace, conv):
            return ()
        return (self.driver.prepare(conv),)


def unavailable(algorithm, weight_shape, stride, dilation, padding_mode):
    """Why this algorithm cannot compute such a convolution, or None where it can."""
    r, s = weight_shape[2:]
    possible = ["auto", "direct", "gemm", "fft"]
    if _winograd_fits(r, s, stride, dilation, padding_mode):
        possible.append("winograd")
    if algorithm in possible:
        return None
    why = ("it serves 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1, dilation with stride 1 and constant "
           f"padding; here they are {r} x {s} with stride {stride}, dilation {dilation} and {padding_mode} padding")
    return f"{why}; here it can be {', '.join(map(repr, possible))}"


def _winograd_fits(r, s, stride, dilation, padding_mode):
    if r != s or stride[0] != stride[1] or (r, stride[0]) not in WINOGRAD_FROM:
        return False
    return dilation == (1, 1) or (stride == (1, 1) and padding_mode == "constant")


def _taps_meet_pixels(size, outputs, taps, stride, dilation, before):
    """Whether, along rows and along columns, each tap meets a pixel and not the padding in at least half of the outputs."""
    for pixels, count, n_taps, step, distance, padding in zip(size, outputs, taps, stride, dilation, before):
        for offset in (-padding, (n_taps - 1) * distance - padding):  # of the outer taps, which meet fewest
            first, last = max(0, -(offset // step)), min(count - 1, (pixels - 1 - offset) // step)
            if 2 * (last - first + 1) < count:
                return False
    return True


def _dilated_pays(channels, filters, geometry, channels_last):
    """Whether Winograd's algorithm is faster with dilation, where each phase of rows and columns is a convolution of its own."""
    (oh, ow), (rows, cols) = geometry.output_size, geometry.dilation
    part = math.ceil(oh / rows), math.ceil(ow / cols)
    tiles = math.ceil(part[0] / 4) * math.ceil(part[1] / 4)
    near = channels_last or cols <= 2  # else pixels are gathered one by one
    return (geometry.x_shape[0] * tiles >= DILATED_TILES and 2 * math.prod(part) >= 16 * tiles
            and channels * filters >= (DILATED_FROM if near else 16 * DILATED_FROM))


def _filled(filters, itemsize):
    """The part of the lanes that filters fill."""
    lanes = isa.vector_bytes() // itemsize
    return filters / (math.ceil(filters / lanes) * lanes)


def _side_by_side(channels, filters, groups, itemsize):
    """How many narrow groups the direct sum has in one vector: as many as fill it and divide the groups; see ``direct``."""
    if channels != filters or channels < 2 or isa.vector_bytes() <= 16:
        return 1
    most = max(1, isa.vector_bytes() // itemsize // channels)
    return max(count for count in range(1, most + 1) if groups % count == 0)


def _narrow(channels, filters, taps, groups, itemsize):
    """Whether groups are narrow, and fill half of the lanes side by side (all, where 1 x 1 filters read pixels as they lie)."""
    lanes, together = isa.vector_bytes() // itemsize, _side_by_side(channels, filters, groups, itemsize)
    if groups == 1 or channels != filters or channels > MOST_NARROW or isa.vector_bytes() <= 16:
        return False
    return 2 * together * filters >= lanes if taps > 1 else together > 1 and together * filters == lanes


def _shuffles(channels, together):
    """Whether lanes are moved for the direct sum of `together` groups in a vector: not for two of AVX-512, which are halves."""
    return together > 1 and not (together == 2 and isa.vector_bytes() == 64 and channels == MOST_NARROW)


def _winograd_pays(channels, groups, geometry):
    """Whether narrow groups are faster by Winograd's algorithm, with stride 1, than by the direct sum."""
    r, s = geometry.weight_shape[2:]
    oh, ow = geometry.output_size
    together = _side_by_side(channels, channels, groups, 4)
    vectors = math.ceil(groups / min(groups, isa.vector_bytes() // 4 // channels))
    tiles = math.ceil(oh / 4) * math.ceil(ow / 4)
    products = WINOGRAD_POINTS[r, 1] * vectors * tiles * (channels + TRANSFORMS[isa.vector_bytes()])
    terms = groups // together * oh * ow * r * s * channels
    return products < terms / (SHUFFLED if _shuffles(channels, together) else 1)


def _direct(channels, filters, groups, channels_last):
    """The driver of "direct"."""
    if channels > 1 or (channels_last and groups == 1 and filters >= FEWEST_FILTERS):
        return channel_lanes
    return depthwise


def _choose(channels, filters, outputs, geometry, itemsize, channels_last, padding_mode, meets_pixels):
    """Algorithm, driver and reason for groups of so many channels and filters, and planes of so many outputs; meets_pixels says
    whether all taps do."""
    algorithm, driver, reason = _choose_small(channels, filters, geometry, itemsize, channels_last, padding_mode, meets_pixels)
    images, (r, s) = geometry.x_shape[0], geometry.weight_shape[2:]
    if algorithm == "winograd" or r * s < FFT_TAPS or 0 in (images, *outputs):
        return algorithm, driver, reason
    pixels = images * geometry.groups * math.prod(outputs)
    time = pixels * filters * channels * r * s / _sum_rate(driver, channels, filters, geometry.groups, itemsize)
    if pixels * (channels + filters) * FFT_LEAST > FFT_GAIN * time:
        return algorithm, driver, reason
    sizes = images, geometry.groups, channels, filters, (r, s), outputs, geometry.stride, geometry.dilation, itemsize
    expected = expected_time(*sizes)
    if expected > FFT_GAIN * time:
        return algorithm, driver, reason
    gain, layout = time / expected, lay_out(*sizes)
    return "fft", fft, (f"filters of {r} x {s}, Fourier transforms of tiles of {layout.rows.length} x {layout.columns.length}: "
                        f"about {gain:.{0 if gain > 10 else 1}f} times as fast as the sum")


def _sum_rate(driver, channels, filters, groups, itemsize):
    """Multiplications and additions a nanosecond of a driver that computes the sum as it stands, under large filters."""
    rate = SUM_RATES[driver] * 4 / itemsize * (1 if isa.vector_bytes() > 16 else 1 / 3)
    if driver is channel_lanes:
        together = _side_by_side(channels, filters, groups, itemsize)
        return rate * _filled(together * filters, itemsize) * (SHUFFLED if _shuffles(channels, together) else 1)
    return rate * filters / (filters + 4) if driver is gemm else rate


def _choose_small(channels, filters, geometry, itemsize, channels_last, padding_mode, meets_pixels):
    """The same among all but "fft"."""
    r, s = geometry.weight_shape[2:]
    stride, groups, (oh, ow) = geometry.stride, geometry.groups, geometry.output_size
    if _direct(channels, filters, groups, channels_last) is depthwise:
        return "direct", depthwise, "one input channel a group: no sum over channels, neighbouring pixels fill the vectors"
    narrow = _narrow(channels, filters, r * s, groups, itemsize)
    if itemsize == 4 and meets_pixels and _winograd_fits(r, s, stride, geometry.dilation, padding_mode):
        product, fewest_channels, fewest_filters = WINOGRAD_FROM[r, stride[0]]
        if stride[0] == 2 and oh * ow < FULL_TILES * 16 * math.ceil(oh / 4) * math.ceil(ow / 4):
            product = STRIDE_2_FROM
        if geometry.dilation != (1, 1):
            pays = not narrow and _dilated_pays(channels, filters, geometry, channels_last)
        elif narrow:
            pays = stride == (1, 1) and _winograd_pays(channels, groups, geometry)
        elif groups > 1 and channels == filters <= MOST_NARROW and isa.vector_bytes() <= 16:
            pays = True  # side by side, where the direct sum has each group alone
        else:
            pays = channels * filters >= product and channels >= fewest_channels and filters >= fewest_filters
        if pays:
            points = WINOGRAD_POINTS[r, stride[0]]
            return "winograd", winograd, (f"{r} x {s} with stride {stride[0]}, {channels} channels, {filters} filters: {points}"
                                          f" products a tile of 4 x 4 outputs instead of {16 * r * s}")
    if narrow and (r * s > 1 or channels_last or channels <= 4 or stride != (1, 1) or oh * ow <= 8 * 8):
        together = _side_by_side(channels, filters, groups, itemsize)
        return "direct", channel_lanes, f"{together} x {filters} filters of narrow groups side by side in a vector"
    if channels_last and (filters >= FEWEST_CHANNELS_LAST or r * s == 1 or oh * ow <= 16 * 16):
        return "direct", channel_lanes, f"channels come last, {filters} filters in the vectors"
    if filters >= FEWEST_FILTERS:
        if r * s == 1:
            largest = 32 * 32 if stride != (1, 1) else 16 * 16 if channels >= 256 else 8 * 8
        elif channels * r * s >= 100 and _filled(filters, itemsize) >= 0.9:
            largest = oh * ow
        else:
            largest = 48 * 48 if channels * r * s >= 32 else 12 * 12
        if oh * ow <= largest and (r * s == 1 or ow >= 4):
            return "direct", channel_lanes, f"{filters} filters fill the vectors, planes of {oh} x {ow} do so less"
    return "gemm", gemm, f"a sum over {channels} channel{'s' if channels > 1 else ''} x {r} x {s} taps: implicit matrix product"


@functools.lru_cache(maxsize=512)    # of 1 kB each
def conv2d_plan(x_shape, weight_shape, stride, pads, dilation, groups, output_size, algorithm, itemsize, channels_last,
                padding_mode):
    """The plan for checked arguments in plain form: tuples of ints, and an algorithm that is not unavailable.

    itemsize is that of the dtype, channels_last says whether a pixel's channels follow each other in memory.
    """
    geometry = ConvGeometry(x_shape, weight_shape, stride, pads, dilation, groups, output_size)
    k, channels, *taps = weight_shape
    if algorithm == "auto":
        met = padding_mode != "constant" or _taps_meet_pixels(x_shape[2:], output_size, taps, stride, dilation, geometry.origin)
        chosen, driver, reason = _choose(channels, k // groups, output_size, geometry, itemsize, channels_last, padding_mode, met)
        convolve = driver.conv2d
        if stride == (1, 1):
            before = [distance * (n - 1) - padding for distance, n, padding in zip(dilation, taps, geometry.origin)]
            met = _taps_meet_pixels(output_size, x_shape[2:], taps, stride, dilation, before)
            _, backward, _ = _choose(k // groups, channels, x_shape[2:], geometry, itemsize, channels_last, padding_mode, met)
        elif driver is channel_lanes and _narrow(channels, k // groups, math.prod(weight_shape[2:]), groups, itemsize):
            backward = channel_lanes  # 1.4 to 3 times as fast
        else:  # the data gradient is a set of smaller filters
            backward = depthwise if _direct(k // groups, channels, groups, channels_last) is depthwise else gemm
    else:
        chosen, reason = algorithm, "asked for by name"
        direct = _direct(channels, k // groups, groups, channels_last)
        driver = {"direct": direct, "gemm": gemm, "winograd": winograd, "fft": fft}[algorithm]
        convolve = AS_NAMED.get(driver, driver.conv2d)
        backward = gemm
    weights = depthwise_gradient if channels == 1 else gemm_gradient
    return ConvPlan(geometry, chosen, reason, driver, convolve, backward, weights)
