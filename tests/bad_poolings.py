"""Bad inputs of the poolings: (what is wrong, exception, the argument that the message names, call)."""

import numpy as np
from bad_convolutions import F32, F64, HUGE, ones

import fastconv as fc


def pooled_input(function, x):
    """Of a forward pooling, as a function of x and data_format."""
    return [
        ("x is None", TypeError, "x", lambda: function(None)),
        ("x is integer", TypeError, "x", lambda: function(x.astype(int))),
        ("x is float16", TypeError, "x", lambda: function(x.astype(np.float16))),
        ("x has too few dimensions", ValueError, "x", lambda: function(x[(0,) * (x.ndim - 1)])),
        ("x has too many dimensions", ValueError, "x", lambda: function(x[None, None])),
        ("x has an empty axis", ValueError, "x", lambda: function(x[..., :0])),
        ("data_format is unknown", ValueError, "data_format", lambda: function(x, data_format="HWC")),
        ("data_format is of another rank", ValueError, "data_format",
         lambda: function(x, data_format="NCL" if x.ndim == 4 else "NCHW")),
        ("data_format is None", ValueError, "data_format", lambda: function(x, data_format=None)),
    ]


def room(function, y, x):
    """Of any pooling, as a function of out, whose result is like y; x is an input."""
    read_only = y.copy()
    read_only.flags.writeable = False
    return [
        ("out is a list", TypeError, "out", lambda: function([1.0])),
        ("out is a number", TypeError, "out", lambda: function(1.0)),
        ("out is of another dtype", ValueError, "out", lambda: function(y.astype(F64))),
        ("out has another shape", ValueError, "out", lambda: function(np.stack([y, y]))),
        ("out is read-only", ValueError, "out", lambda: function(read_only)),
        ("out is not contiguous", ValueError, "out", lambda: function(np.stack([y, y], -1)[..., 0])),
        ("out overlaps an input", ValueError, "out",
         lambda: function(x.reshape(-1)[:y.size].reshape(y.shape))),
    ]


def rooms(function, y, indices):
    """Of a maximum with its indices, as a function of out."""
    return [
        ("out is no pair", TypeError, "out", lambda: function(y)),
        ("out is a triple", TypeError, "out", lambda: function((y, indices, y))),
        ("out is twice the same", ValueError, "out", lambda: function((y, y))),
        ("out has indices of another dtype", ValueError, "out", lambda: function((y, indices.astype(np.int32)))),
        ("out has indices of another shape", ValueError, "out", lambda: function((None, np.stack([indices] * 2)))),
        ("out overlaps itself", ValueError, "out",
         lambda: function((indices.reshape(-1).view(F32)[:y.size].reshape(y.shape), indices))),
    ]


def kernel(function, axes):
    """The kernel size and the stride of a window, as a function of them."""
    return [
        ("kernel_size is 0", ValueError, "kernel_size", lambda: function(0)),
        ("kernel_size is a float", TypeError, "kernel_size", lambda: function(2.0)),
        ("kernel_size is None", TypeError, "kernel_size", lambda: function(None)),
        ("kernel_size is a bool", TypeError, "kernel_size", lambda: function(True)),
        ("kernel_size has a number too many", ValueError, "kernel_size", lambda: function((2,) * (axes + 1))),
        ("kernel_size has no number", ValueError, "kernel_size", lambda: function(())),
        ("kernel_size is beyond 31 bits", ValueError, "kernel_size", lambda: function(HUGE)),
        ("stride is 0", ValueError, "stride", lambda: function(2, stride=0)),
        ("stride is a float", TypeError, "stride", lambda: function(2, stride=2.0)),
        ("stride is a bool", TypeError, "stride", lambda: function(2, stride=True)),
        ("stride is beyond 31 bits", ValueError, "stride", lambda: function(2, stride=HUGE)),
    ]


def window(function, axes):
    """The options of a sliding window, as a function of them."""
    return [
        *kernel(function, axes),
        ("kernel_size is larger than x", ValueError, "kernel_size", lambda: function(9)),
        ("padding is beyond half of the kernel", ValueError, "padding", lambda: function(3, padding=2)),
        ("padding is beyond half on one side", ValueError, "padding",
         lambda: function(3, padding=((0, 2), *((0, 0),) * (axes - 1)))),
        ("padding leaves a window without a pixel", ValueError, "padding",
         lambda: function(3, padding=3, wide_padding=True)),
        ("padding is negative", ValueError, "padding", lambda: function(3, padding=-1)),
        ("padding is None", TypeError, "padding", lambda: function(3, padding=None)),
        ("padding is an unknown word", ValueError, "padding", lambda: function(3, padding="full")),
        ("padding has numbers for more axes", ValueError, "padding", lambda: function(3, padding=(1,) * (axes + 2))),
        ("wide_padding is None", TypeError, "wide_padding", lambda: function(3, wide_padding=None)),
        ("ceil_mode is a number", TypeError, "ceil_mode", lambda: function(2, ceil_mode=1)),
        ("ceil_mode is None", TypeError, "ceil_mode", lambda: function(2, ceil_mode=None)),
        ("data_format is lower case", ValueError, "data_format", lambda: function(2, data_format="nhwc")),
        ("dilation is 0", ValueError, "dilation", lambda: function(2, dilation=0)),
        ("dilation is a float", TypeError, "dilation", lambda: function(2, dilation=1.0)),
        ("dilation makes the kernel larger than x", ValueError, "kernel_size", lambda: function(2, dilation=8)),
        ("dilation leaves a window without a pixel", ValueError, "dilation",
         lambda: function(2, dilation=9, padding=5, stride=1)),
    ]


def average(function):
    """What averages alone have."""
    return [
        ("count_include_pad is None", TypeError, "count_include_pad", lambda: function(2, count_include_pad=None)),
        ("divisor_override is 0", ValueError, "divisor_override", lambda: function(2, divisor_override=0)),
        ("divisor_override is a float", TypeError, "divisor_override", lambda: function(2, divisor_override=2.0)),
        ("divisor_override is a bool", TypeError, "divisor_override", lambda: function(2, divisor_override=True)),
        ("divisor_override is beyond 31 bits", ValueError, "divisor_override",
         lambda: function(2, divisor_override=-HUGE)),
    ]


def output_size(function, axes):
    rows = [
        ("output_size is 0", ValueError, "output_size", lambda: function(0)),
        ("output_size is None", TypeError, "output_size", lambda: function(None)),
        ("output_size is a float", TypeError, "output_size", lambda: function(2.0)),
        ("output_size has a number too many", ValueError, "output_size", lambda: function((2,) * (axes + 1))),
    ]
    if axes > 1:
        rows.append(("output_size makes a result beyond 64 bits", MemoryError, "shape",
                     lambda: function((HUGE - 1,) * axes)))
    return rows


def pooled_gradient(function, grad_output, x):
    """Of a backward pooling, as a function of grad_output and input_shape."""
    short = x.shape[-1:]
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(None, x.shape)),
        ("grad_output is integer", TypeError, "grad_output", lambda: function(grad_output.astype(int), x.shape)),
        ("grad_output is too wide", ValueError, "grad_output",
         lambda: function(np.concatenate([grad_output] * 2, axis=-1), x.shape)),
        ("input_shape is None", TypeError, "input_shape", lambda: function(grad_output, None)),
        ("input_shape has too few sizes", ValueError, "input_shape", lambda: function(grad_output, short)),
        ("input_shape holds a float", TypeError, "input_shape",
         lambda: function(grad_output, (*x.shape[:-1], float(x.shape[-1])))),
        ("input_shape has an empty axis", ValueError, "input_shape",
         lambda: function(grad_output, (*x.shape[:-1], 0))),
        ("input_shape is of another batch", ValueError, "grad_output",
         lambda: function(grad_output, (5, *x.shape[1:]))),
    ]


def pooled_indices(function, indices, pixels):
    """Of a function of the indices of maxima."""
    return [
        ("indices is None", TypeError, "indices", lambda: function(None)),
        ("indices is float", TypeError, "indices", lambda: function(indices.astype(F32))),
        ("indices is int32", TypeError, "indices", lambda: function(indices.astype(np.int32))),
        ("indices has another shape", ValueError, "indices", lambda: function(indices[:1])),
        ("indices is beyond the item", ValueError, "indices", lambda: function(np.full_like(indices, pixels))),
        ("indices is negative", ValueError, "indices", lambda: function(np.full_like(indices, -1))),
        ("indices is far beyond the item", ValueError, "indices", lambda: function(np.full_like(indices, 2**62))),
    ]


def of_windows(axes, x, y, indices):
    """The poolings of windows that move."""
    most, mean, most_back, mean_back = (getattr(fc, f"{name}_pool{axes}d{back}")
                                        for back in ("", "_backward") for name in ("max", "avg"))
    return {
        "max_pool": pooled_input(lambda x, **options: most(x, 2, **options), x)
        + window(lambda *arguments, **options: most(x, *arguments, **options), axes)
        + [("return_indices is None", TypeError, "return_indices", lambda: most(x, 2, return_indices=None))]
        + room(lambda out: most(x, 2, out=out), y, x)
        + rooms(lambda out: most(x, 2, return_indices=True, out=out), y, indices),
        "avg_pool": pooled_input(lambda x, **options: mean(x, 2, **options), x)
        + window(lambda *arguments, **options: mean(x, *arguments, **options), axes)
        + average(lambda *arguments, **options: mean(x, *arguments, **options))
        + room(lambda out: mean(x, 2, out=out), y, x),
        "max_pool_backward": pooled_gradient(lambda grad, shape: most_back(grad, indices, shape, 2), y, x)
        + window(lambda *arguments, **options: most_back(y, indices, x.shape, *arguments, **options), axes)
        + pooled_indices(lambda indices: most_back(y, indices, x.shape, 2), indices, x[0, 0].size)
        + room(lambda out: most_back(y, indices, x.shape, 2, out=out), x, x)[:-1],
        "avg_pool_backward": pooled_gradient(lambda grad, shape: mean_back(grad, shape, 2), y, x)
        + window(lambda *arguments, **options: mean_back(y, x.shape, *arguments, **options), axes)
        + average(lambda *arguments, **options: mean_back(y, x.shape, *arguments, **options))
        + room(lambda out: mean_back(y, x.shape, 2, out=out), x, x)[:-1],
    }


def adaptive(axes, x, y, indices):
    """The poolings to an output size, and of all of an item."""
    most, mean, most_back, mean_back, whole_most, whole_mean, whole_most_back, whole_mean_back = (
        getattr(fc, f"{kind}_{name}_pool{axes}d{back}") for kind in ("adaptive", "global")
        for back in ("", "_backward") for name in ("max", "avg"))
    size, one = y.shape[-1], (..., *(slice(1),) * axes)
    return {
        "adaptive_max_pool": pooled_input(lambda x, **options: most(x, size, **options), x)
        + output_size(lambda size: most(x, size), axes) + room(lambda out: most(x, size, out=out), y, x)
        + rooms(lambda out: most(x, size, return_indices=True, out=out), y, indices),
        "adaptive_avg_pool": pooled_input(lambda x, **options: mean(x, size, **options), x)
        + output_size(lambda size: mean(x, size), axes) + room(lambda out: mean(x, size, out=out), y, x),
        "adaptive_max_pool_backward": pooled_gradient(lambda grad, shape: most_back(grad, indices, shape, size), y, x)
        + pooled_indices(lambda indices: most_back(y, indices, x.shape, size), indices, x[0, 0].size)
        + room(lambda out: most_back(y, indices, x.shape, size, out=out), x, x)[:-1],
        "adaptive_avg_pool_backward": pooled_gradient(lambda grad, shape: mean_back(grad, shape, size), y, x)
        + room(lambda out: mean_back(y, x.shape, size, out=out), x, x)[:-1],
        "global_max_pool": pooled_input(whole_most, x) + room(lambda out: whole_most(x, out=out), y[one].copy(), x),
        "global_avg_pool": pooled_input(whole_mean, x) + room(lambda out: whole_mean(x, out=out), y[one].copy(), x),
        "global_max_pool_backward": pooled_gradient(
            lambda grad, shape: whole_most_back(grad, indices[one], shape), y[one], x)
        + pooled_indices(lambda indices: whole_most_back(y[one], indices, x.shape), indices[one], x[0, 0].size),
        "global_avg_pool_backward": pooled_gradient(whole_mean_back, y[one], x),
    }


def unpooling(axes, x, y, indices):
    unpool, back = getattr(fc, f"max_unpool{axes}d"), getattr(fc, f"max_unpool{axes}d_backward")
    return {
        "max_unpool": pooled_input(lambda x, **options: unpool(x, indices, 2, **options), y)
        + kernel(lambda *arguments, **options: unpool(y, indices, *arguments, **options), axes)
        + pooled_indices(lambda indices: unpool(y, indices, 2), indices, x[0, 0].size)
        + room(lambda out: unpool(y, indices, 2, out=out), x, x)[:-1] + [
            ("padding is a word", TypeError, "padding", lambda: unpool(y, indices, 2, padding="same")),
            ("padding is negative", ValueError, "padding", lambda: unpool(y, indices, 2, padding=-1)),
            ("padding leaves nothing", ValueError, "padding", lambda: unpool(y, indices, 2, padding=99)),
            ("output_size is a stride too large", ValueError, "output_size",
             lambda: unpool(y, indices, 2, output_size=x.shape[-1] + 2)),
            ("output_size is a stride too small", ValueError, "output_size",
             lambda: unpool(y, indices, 2, output_size=x.shape[-1] - 2)),
            ("output_size is a float", TypeError, "output_size", lambda: unpool(y, indices, 2, output_size=8.0)),
            ("output_size has a number too many", ValueError, "output_size",
             lambda: unpool(y, indices, 2, output_size=(8,) * (axes + 3))),
        ],
        "max_unpool_backward": [
            ("grad_output is None", TypeError, "grad_output", lambda: back(None, indices)),
            ("grad_output is integer", TypeError, "grad_output", lambda: back(x.astype(int), indices)),
            ("grad_output has too few dimensions", ValueError, "grad_output", lambda: back(x[0, 0], indices)),
            ("data_format is unknown", ValueError, "data_format", lambda: back(x, indices, data_format="HWC")),
        ] + pooled_indices(lambda indices: back(x, indices), indices, x[0, 0].size)
        + room(lambda out: back(x, indices, out=out), y, x),
    }


def power_sums(axes, x, y, indices):
    norm, back = getattr(fc, f"lp_pool{axes}d"), getattr(fc, f"lp_pool{axes}d_backward")

    def power(function):
        return [(f"norm_type is {value}", error, "norm_type", lambda value=value: function(value)) for value, error in (
            (0, ValueError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
            (None, TypeError), ("2", TypeError), (True, TypeError))]

    return {
        "lp_pool": pooled_input(lambda x, **options: norm(x, 2, 2, **options), x) + power(lambda p: norm(x, p, 2))
        + kernel(lambda *arguments, **options: norm(x, 2, *arguments, **options), axes)
        + room(lambda out: norm(x, 2, 2, out=out), y, x) + [
            ("ceil_mode is None", TypeError, "ceil_mode", lambda: norm(x, 2, 2, ceil_mode=None))],
        "lp_pool_backward": power(lambda p: back(y, x, y, p, 2))
        + kernel(lambda *arguments, **options: back(y, x, y, 2, *arguments, **options), axes)
        + room(lambda out: back(y, x, y, 2, 2, out=out), x, x)[:-1] + [
            ("grad_output is None", TypeError, "grad_output", lambda: back(None, x, y, 2, 2)),
            ("grad_output is too wide", ValueError, "grad_output", lambda: back(x, x, y, 2, 2)),
            ("grad_output is float64", TypeError, "grad_output", lambda: back(y.astype(F64), x, y, 2, 2)),
            ("y has another shape", ValueError, "y", lambda: back(y, x, x, 2, 2)),
            ("y is float64", TypeError, "y", lambda: back(y, x, y.astype(F64), 2, 2)),
            ("x is integer", TypeError, "x", lambda: back(y, x.astype(int), y, 2, 2)),
        ],
    }


def poolings(axes):
    x = ones(2, 3, *(8,) * axes)
    y, indices = getattr(fc, f"max_pool{axes}d")(x, 2, return_indices=True)
    tables = (make(axes, x, y, indices) for make in (of_windows, adaptive, unpooling, power_sums))
    return {name.replace("pool", f"pool{axes}d"): rows for table in tables for name, rows in table.items()}


# Function -> its bad inputs.
TABLE = {name: rows for axes in (1, 2, 3) for name, rows in poolings(axes).items()}
