"""What poolings of rows, images and volumes share: checks, windows, results, and calls that were checked before.

A call is: check the arguments, describe the windows, run the loops of the compiled core. Below this file items are
views with any strides and the channels behind the batch: images (N, C, H, W), a row being an image of one row, and
volumes (N, C, D, H, W).
"""

from __future__ import annotations

import math

import numpy as np

from fastconv._core.pooling import planes
from fastconv._core.pooling.windows import adaptive_volumes, adaptive_windows, sliding_volumes, sliding_windows
from fastconv._core.runtime import memory
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks
from fastconv.functional.foreign import read, shown

FORMATS = {1: ("NCL", "NLC"), 2: checks.DATA_FORMATS, 3: ("NCDHW", "NDHWC")}

_INT64 = np.dtype(np.int64)

# What the checks of whole calls found, for the next call like it.
_adaptive_calls, _max_gradients, _average_gradients, _adaptive_gradients = (Memo(arrays=1) for _ in range(4))
MAX_CALLS, AVERAGE_CALLS = ({rank: Memo(arrays=1) for rank in FORMATS} for _ in range(2))


# ---------------------------------------------------------------------------------------------------------------------
# Items of one, two and three axes


def items(x, data_format, rank, name="x"):
    """As `checks.images`: a batch or one item in a format of its rank -> (its (N, C, ...) view, whether it was a
    batch)."""
    if rank == 2:
        return checks.images(x, data_format, name)
    checks.choice(data_format, "data_format", FORMATS[rank])
    if x.ndim not in (rank + 1, rank + 2):
        axes = ", ".join(data_format[1:])
        raise ValueError(f"{name} must be a batch (N, {axes}) or one item ({axes}), "
                         f"got {x.ndim} dimension{'' if x.ndim == 1 else 's'}, shape {x.shape}")
    view = channels_first(x, data_format)
    if 0 in view.shape[1:]:
        raise ValueError(f"{name} must have no empty axis but the batch, got shape {x.shape} in {data_format}")
    return view, x.ndim == rank + 2


def channels_first(array, data_format):
    """An item or a batch, already checked, as an (N, C, ...) view."""
    view = array if array.ndim == len(data_format) else array[None]
    return view if data_format[1] == "C" else view.transpose(0, -1, *range(1, view.ndim - 1))


def as_images(view):
    """(N, C, L) rows as images of one row; images and volumes as they are."""
    return view[:, :, None] if view.ndim == 3 else view


# (data_format, whether it is a batch) -> what makes a checked array what the core takes.
CORE_VIEWS = {
    ("NCL", True): lambda array: array[:, :, None],
    ("NCL", False): lambda array: array[None, :, None],
    ("NLC", True): lambda array: array.transpose(0, 2, 1)[:, :, None],
    ("NLC", False): lambda array: array.transpose(1, 0)[None, :, None],
    ("NCHW", True): lambda array: array,
    ("NCHW", False): lambda array: array[None],
    ("NHWC", True): lambda array: array.transpose(0, 3, 1, 2),
    ("NHWC", False): lambda array: array.transpose(2, 0, 1)[None],
    ("NCDHW", True): lambda array: array,
    ("NCDHW", False): lambda array: array[None],
    ("NDHWC", True): lambda array: array.transpose(0, 4, 1, 2, 3),
    ("NDHWC", False): lambda array: array.transpose(3, 0, 1, 2)[None],
}


def volume_view(array, data_format):
    """The same as volumes: a row, or an image, as one of one depth."""
    view = as_images(channels_first(array, data_format))
    return view[:, :, None] if view.ndim == 4 else view


def input_sizes(value, data_format, rank, dtype):
    """As `checks.image_shape`, for an input_shape -> ((N, C, ...), whether it was a batch), of a grad_x that can be
    addressed at all."""
    if rank == 2:
        sizes, batched = checks.image_shape(value, data_format, "input_shape")
    else:
        checks.choice(data_format, "data_format", FORMATS[rank])
        sizes = checks.integers(value, "input_shape", minimum=0)
        if len(sizes) not in (rank + 1, rank + 2):
            raise ValueError(f"input_shape must have {rank + 2} sizes (a batch) or {rank + 1} (one item), "
                             f"got {shown(value)}")
        batched = len(sizes) == rank + 2
        sizes = sizes if batched else (1, *sizes)
        if data_format[1] != "C":
            sizes = (sizes[0], sizes[-1], *sizes[1:-1])
        if 0 in sizes[1:]:
            raise ValueError(f"input_shape must have no size of 0 but the batch's, got {shown(value)}")
    checks.fits_memory(sizes, dtype, "grad_x")
    return sizes, batched


def result_shape(sizes, data_format, batched):
    """The shape a result is returned in, from its (N, C, ...) sizes."""
    n, c, *size = sizes
    shape = (c, *size) if data_format[1] == "C" else (*size, c)
    return (n, *shape) if batched else shape


# ---------------------------------------------------------------------------------------------------------------------
# Windows


def sliding(size, kernel_size, stride, padding, dilation, ceil_mode, wide_padding, count_include_pad=True,
            divisor_override=None, of="x"):
    """The options of windows that move over items of this size, checked -> the windows. `of`: what has that size."""
    counted, divisor = checks.flag(count_include_pad, "count_include_pad"), check_divisor(divisor_override)
    options = sliding_options(size, kernel_size, stride, padding, dilation, ceil_mode, wide_padding, of)
    if len(size) == 3:
        return sliding_volumes(size, *options, counted, divisor)
    if len(size) == 1:
        size = (1, *size)
        kernel_size, stride, pads, dilation, outputs = options
        options = (1, *kernel_size), (1, *stride), ((0, 0), *pads), (1, *dilation), (1, *outputs)
    return sliding_windows(size, *options, counted, divisor)


def check_divisor(value):
    """What averages are divided by whatever their windows hold; 0 where it is None and the pixels are counted."""
    if value is None:
        return 0
    value = checks.integer(value, "divisor_override", -checks.LARGEST_OPTION)
    if value == 0:
        raise ValueError("divisor_override must be a number other than 0, or None for the number of pixels")
    return value


def check_norm(value):
    """The power of power sums."""
    power = checks.number(value, "norm_type")
    if not 0 < power < math.inf:
        raise ValueError(f"norm_type must be above 0 and finite, got {shown(value)}: its limit is the maximum, "
                         "see max_pool1d, max_pool2d and max_pool3d")
    return power


def check_window(axes, kernel_size, stride, padding, dilation, ceil_mode, wide_padding):
    """The options of windows as far as they can be checked before there is an item."""
    taps = checks.per_axis(kernel_size, "kernel_size", axes)
    step = taps if stride is None else checks.per_axis(stride, "stride", axes)
    checks.padding(padding, (1,) * axes, taps, step, checks.per_axis(dilation, "dilation", axes))
    checks.flag(ceil_mode, "ceil_mode")
    checks.flag(wide_padding, "wide_padding")


def sliding_options(size, kernel_size, stride, padding, dilation, ceil_mode, wide_padding, of="x"):
    """The options of a pooling -> (kernel_size, stride, pads, dilation, output size), all plain, one for each axis.

    `stride` None is the kernel size. At most half of the kernel is padding, unless more is asked for, and every window
    must hold a pixel, which a dilated one may miss on a small image, and any one in wide padding.
    """
    axes = len(size)
    kernel_size = checks.per_axis(kernel_size, "kernel_size", axes)
    stride = kernel_size if stride is None else checks.per_axis(stride, "stride", axes)
    dilation = checks.per_axis(dilation, "dilation", axes)
    ceil_mode, wide = checks.flag(ceil_mode, "ceil_mode"), checks.flag(wide_padding, "wide_padding")
    pads = checks.padding(padding, size, kernel_size, stride, dilation)
    for (before, after), taps, distance in zip(pads, kernel_size, dilation):
        half = (distance * (taps - 1) + 1) // 2
        if max(before, after) > half and not wide:
            raise ValueError(f"padding must be at most half of kernel_size, {half} for {taps}"
                             f"{f' with dilation {distance}' if distance != 1 else ''}, got {max(before, after)}: "
                             "windows would hold more padding than pixels; pass wide_padding=True if that is meant")
    outputs = checks.window_output(size, kernel_size, stride, pads, dilation, ceil_mode, (of, "kernel_size"))
    for length, count, taps, step, (before, _), distance in zip(size, outputs, kernel_size, stride, pads, dilation):
        if _misses(length, count, taps, step, before, distance):
            raise ValueError(f"padding {before} with dilation {distance} leaves a window without a pixel of {of} "
                             f"(size {length}): reduce the padding or the dilation")
    return kernel_size, stride, pads, dilation, outputs


def _misses(length, count, taps, step, before, distance):
    """Whether one of `count` windows holds no pixel: it ends before the image, begins behind it, or, its taps being
    further apart than the image is long, steps over all of it."""
    if before > distance * (taps - 1) or (count - 1) * step - before >= length:
        return True
    if distance <= length:
        return False
    # Where a window begins before the image, its first tap that does not is at (start mod distance).
    starts = min(count, -(-before // step))
    return _multiples(starts, step, distance - length - before, distance) > _multiples(starts, step, -before, distance)


def _multiples(n, step, first, divisor):
    """The sum of floor((first + i step) / divisor) over i < n, by Euclid's algorithm."""
    total = 0
    while n > 0:
        total += (n - 1) * n // 2 * (step // divisor) + n * (first // divisor)
        step, first = step % divisor, first % divisor
        reach = step * n + first
        if reach < divisor:
            break
        n, first, step, divisor = reach // divisor, reach % divisor, divisor, step
    return total


def adaptive(size, output_size):
    """The windows of so many outputs on items of this size."""
    outputs = checks.per_axis(output_size, "output_size", len(size))
    if len(size) == 3:
        return adaptive_volumes(size, outputs)
    return adaptive_windows(size if len(size) == 2 else (1, *size), outputs if len(size) == 2 else (1, *outputs))


# ---------------------------------------------------------------------------------------------------------------------
# Calls


class PoolCall:
    """A checked pooling: its windows, and the form of its result."""

    __slots__ = ("windows", "shape", "dtype", "view", "average", "with_indices", "pool", "plain")

    def __init__(self, view, windows, dtype, data_format, batched, average, with_indices=False):
        rank = len(data_format) - 2
        sizes = (*view.shape[:2], *windows.output_size[-rank:])
        checks.fits_memory(sizes, dtype)
        if with_indices:
            checks.fits_memory(sizes, _INT64, "the indices")
        self.windows, self.dtype, self.average, self.with_indices = windows, dtype, average, with_indices
        self.shape, self.pool = result_shape(sizes, data_format, batched), core_loops(rank).pool
        self.view, self.plain = CORE_VIEWS[data_format, batched], batched and data_format == "NCHW"

    def run(self, x, out):
        """The pooling of an array that was checked, into `out`, which is checked here, or new arrays."""
        if self.plain and out is None:
            return planes.pooled(x, self.windows, self.average, self.with_indices)
        y, indices = (None, None) if out is None else self.rooms(x, out)
        if y is None:
            y = memory.empty(self.shape, self.dtype)
        if self.with_indices and indices is None:
            indices = memory.empty(self.shape, _INT64)
        self.pool(self.view(x), self.windows, self.average, self.view(y),
                  None if indices is None else self.view(indices))
        return (y, indices) if self.with_indices else y

    def rooms(self, x, out):
        """`out` as (y, indices), checked; each may be None."""
        if not self.with_indices:
            return checks.out(out, self.shape, self.dtype, x), None
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"out must be a pair (y, indices) with return_indices=True, got {shown(out)}")
        y, indices = checks.out(out[0], self.shape, self.dtype, x), checks.out(out[1], self.shape, _INT64, x)
        if y is not None and indices is not None:
            checks.out(indices, self.shape, _INT64, y)
        return y, indices


class GradientCall:
    """A checked gradient of a pooling: its windows, and the forms of grad_output and of the result."""

    __slots__ = ("windows", "sizes", "shape", "dtype", "received", "channels_last", "view", "core")

    def __init__(self, grad_output, sizes, batched, data_format, windows):
        rank = len(data_format) - 2
        self.windows, self.sizes, self.view = windows, sizes, CORE_VIEWS[data_format, batched]
        self.channels_last = data_format[1] != "C"
        self.shape, self.dtype = result_shape(sizes, data_format, batched), grad_output.dtype
        self.received = result_shape((*sizes[:2], *windows.output_size[-rank:]), data_format, batched)
        self.core = core_loops(rank)
        checks.shape(grad_output, "grad_output", self.received, "(that of the result)")

    def run_average(self, grad_output, out):
        """The gradient, from an array that was checked, into `out`, which is checked here, or a new array."""
        if out is not None:
            checks.out(out, self.shape, self.dtype, grad_output)
        grad_x = memory.empty(self.shape, self.dtype) if out is None else out
        self.core.average_backward(self.view(grad_output), self.view(grad_x), self.windows, self.channels_last)
        return grad_x

    def run_max(self, grad_output, indices, out):
        indices = index_array(indices, self.received)
        if out is not None:
            checks.out(out, self.shape, self.dtype, grad_output, indices)
            check_positions(indices, self.sizes[2:])    # before anything is written; else while it is
        grad_x = memory.empty(self.shape, self.dtype) if out is None else out
        if not self.core.max_backward(self.view(grad_output), self.view(indices), self.view(grad_x), self.windows,
                                      self.channels_last):
            check_positions(indices, self.sizes[2:])
        return grad_x


def core_loops(rank):
    """The compiled loops for items of so many axes."""
    if rank < 3:
        return planes
    from fastconv._core.pooling import volumes  # which most programs have none of

    return volumes


def index_array(indices, shape=None, of="grad_output"):
    """The positions that a forward call returned, in this shape, or in any."""
    if type(indices) is not np.ndarray and not isinstance(indices, (list, tuple)):
        indices = read(indices, "indices")
    if not isinstance(indices, np.ndarray) or indices.dtype != np.int64:
        raise TypeError(f"indices must be the int64 array that the forward call returned, "
                        f"got {getattr(indices, 'dtype', type(indices).__name__)}")
    if shape is not None:
        checks.shape(indices, "indices", shape, f"(that of {of})")
    return indices if indices.flags.aligned else indices.copy()


def check_positions(indices, size):
    """All are positions in an item of this size."""
    last = math.prod(size) - 1
    lowest, highest = (int(indices.min()), int(indices.max())) if indices.size else (0, 0)
    if lowest < 0 or highest > last:
        what = {1: "a row", 2: "a plane", 3: "a volume"}[len(size)]
        pixels = " x ".join(map(str, size))
        raise ValueError(f"indices must be positions in {what} of {pixels} pixels, from 0 to {last}, "
                         f"got {lowest} to {highest}")


# ---------------------------------------------------------------------------------------------------------------------
# The operations, for any rank: arguments as in `max_pool2d` and its like


def max_pool(rank, x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices, wide_padding,
             out):
    call = MAX_CALLS[rank].find(x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices,
                           wide_padding)
    if call is None:
        x = checks.array(x, "x")
        view, batched = items(x, data_format, rank)
        with_indices = checks.flag(return_indices, "return_indices")
        windows = sliding(view.shape[2:], kernel_size, stride, padding, dilation, ceil_mode, wide_padding)
        call = PoolCall(view, windows, x.dtype, data_format, batched, False, with_indices)
        MAX_CALLS[rank].keep(call, x, kernel_size, stride, padding, dilation, ceil_mode, data_format, return_indices,
                        wide_padding)
    return call.run(x, out)


def max_pool_backward(rank, grad_output, indices, input_shape, kernel_size, stride, padding, dilation, ceil_mode,
                      data_format, wide_padding, out):
    call = _max_gradients.find(grad_output, rank, input_shape, kernel_size, stride, padding, dilation, ceil_mode,
                               data_format, wide_padding)
    if call is None:
        grad_output = checks.array(grad_output, "grad_output")
        sizes, batched = input_sizes(input_shape, data_format, rank, grad_output.dtype)
        windows = sliding(sizes[2:], kernel_size, stride, padding, dilation, ceil_mode, wide_padding, of="input_shape")
        call = GradientCall(grad_output, sizes, batched, data_format, windows)
        _max_gradients.keep(call, grad_output, rank, input_shape, kernel_size, stride, padding, dilation, ceil_mode,
                            data_format, wide_padding)
    return call.run_max(grad_output, indices, out)


def avg_pool(rank, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dilation,
             data_format, wide_padding, out):
    call = AVERAGE_CALLS[rank].find(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
                               dilation, data_format, wide_padding)
    if call is None:
        x = checks.array(x, "x")
        view, batched = items(x, data_format, rank)
        windows = sliding(view.shape[2:], kernel_size, stride, padding, dilation, ceil_mode, wide_padding,
                          count_include_pad, divisor_override)
        call = PoolCall(view, windows, x.dtype, data_format, batched, True)
        AVERAGE_CALLS[rank].keep(call, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
                            dilation, data_format, wide_padding)
    return call.run(x, out)


def avg_pool_backward(rank, grad_output, input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad,
                      divisor_override, dilation, data_format, wide_padding, out):
    call = _average_gradients.find(grad_output, rank, input_shape, kernel_size, stride, padding, ceil_mode,
                                   count_include_pad, divisor_override, dilation, data_format, wide_padding)
    if call is None:
        grad_output = checks.array(grad_output, "grad_output")
        sizes, batched = input_sizes(input_shape, data_format, rank, grad_output.dtype)
        windows = sliding(sizes[2:], kernel_size, stride, padding, dilation, ceil_mode, wide_padding, count_include_pad,
                          divisor_override, "input_shape")
        call = GradientCall(grad_output, sizes, batched, data_format, windows)
        _average_gradients.keep(call, grad_output, rank, input_shape, kernel_size, stride, padding, ceil_mode,
                                count_include_pad, divisor_override, dilation, data_format, wide_padding)
    return call.run_average(grad_output, out)


def adaptive_pool(rank, x, output_size, data_format, average, return_indices, out):
    call = _adaptive_calls.find(x, rank, output_size, data_format, average, return_indices)
    if call is None:
        x = checks.array(x, "x")
        view, batched = items(x, data_format, rank)
        with_indices = checks.flag(return_indices, "return_indices")
        call = PoolCall(view, adaptive(view.shape[2:], output_size), x.dtype, data_format, batched, average,
                        with_indices)
        _adaptive_calls.keep(call, x, rank, output_size, data_format, average, return_indices)
    return call.run(x, out)


def adaptive_gradient(rank, grad_output, input_shape, output_size, data_format):
    """The checked call, and grad_output."""
    call = _adaptive_gradients.find(grad_output, rank, input_shape, output_size, data_format)
    if call is None:
        grad_output = checks.array(grad_output, "grad_output")
        sizes, batched = input_sizes(input_shape, data_format, rank, grad_output.dtype)
        call = GradientCall(grad_output, sizes, batched, data_format, adaptive(sizes[2:], output_size))
        _adaptive_gradients.keep(call, grad_output, rank, input_shape, output_size, data_format)
    return call, grad_output
