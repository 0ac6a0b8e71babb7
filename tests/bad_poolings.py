"""Bad inputs of the poolings: (what is wrong, exception, the argument that the message names, call)."""

import numpy as np
from bad_convolutions import F32, HUGE, X, ones

import fastconv as fc

POOLED, INDICES = ones(2, 3, 4, 4), fc.max_pool2d(X, 2, return_indices=True)[1]


def pooled_input(function):
    """Of a forward pooling, as a function of x and data_format."""
    return [
        ("x is None", TypeError, "x", lambda: function(None)),
        ("x is integer", TypeError, "x", lambda: function(X.astype(int))),
        ("x is float16", TypeError, "x", lambda: function(X.astype(np.float16))),
        ("x is 2-dimensional", ValueError, "x", lambda: function(X[0, 0])),
        ("x has no column", ValueError, "x", lambda: function(X[..., :0])),
        ("data_format is unknown", ValueError, "data_format", lambda: function(X, data_format="HWC")),
    ]


def window(function, dilated=False):
    """The options of a sliding window, as a function of them."""
    rows = [
        ("kernel_size is 0", ValueError, "kernel_size", lambda: function(0)),
        ("kernel_size is a float", TypeError, "kernel_size", lambda: function(2.0)),
        ("kernel_size is None", TypeError, "kernel_size", lambda: function(None)),
        ("kernel_size is a bool", TypeError, "kernel_size", lambda: function(True)),
        ("kernel_size has three numbers", ValueError, "kernel_size", lambda: function((2, 2, 2))),
        ("kernel_size is larger than x", ValueError, "kernel_size", lambda: function(9)),
        ("stride is 0", ValueError, "stride", lambda: function(2, stride=0)),
        ("stride is a float", TypeError, "stride", lambda: function(2, stride=2.0)),
        ("stride is a bool", TypeError, "stride", lambda: function(2, stride=True)),
        ("stride is beyond 31 bits", ValueError, "stride", lambda: function(2, stride=HUGE)),
        ("padding is beyond half of the kernel", ValueError, "padding", lambda: function(3, padding=2)),
        ("padding is beyond half on one side", ValueError, "padding", lambda: function(3, padding=((0, 2), (0, 0)))),
        ("padding is negative", ValueError, "padding", lambda: function(3, padding=-1)),
        ("padding is None", TypeError, "padding", lambda: function(3, padding=None)),
        ("padding is an unknown word", ValueError, "padding", lambda: function(3, padding="full")),
        ("ceil_mode is a number", TypeError, "ceil_mode", lambda: function(2, ceil_mode=1)),
        ("ceil_mode is None", TypeError, "ceil_mode", lambda: function(2, ceil_mode=None)),
        ("data_format is lower case", ValueError, "data_format", lambda: function(2, data_format="nhwc")),
    ]
    if dilated:
        rows += [
            ("dilation is 0", ValueError, "dilation", lambda: function(2, dilation=0)),
            ("dilation is a float", TypeError, "dilation", lambda: function(2, dilation=1.0)),
            ("dilation makes the kernel larger than x", ValueError, "kernel_size", lambda: function(2, dilation=8)),
            ("dilation leaves a window without a pixel", ValueError, "dilation",
             lambda: function(2, dilation=9, padding=5, stride=1)),
        ]
    else:
        rows.append(("count_include_pad is None", TypeError, "count_include_pad",
                     lambda: function(2, count_include_pad=None)))
    return rows


def output_size(function):
    return [
        ("output_size is 0", ValueError, "output_size", lambda: function(0)),
        ("output_size is None", TypeError, "output_size", lambda: function(None)),
        ("output_size is a float", TypeError, "output_size", lambda: function(2.0)),
        ("output_size has three numbers", ValueError, "output_size", lambda: function((1, 2, 3))),
        ("output_size makes a result beyond 64 bits", MemoryError, "shape", lambda: function((HUGE - 1, HUGE - 1))),
    ]


def pooled_gradient(function, grad_output):
    """Of a backward pooling, as a function of grad_output and input_shape."""
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(None, X.shape)),
        ("grad_output is integer", TypeError, "grad_output", lambda: function(grad_output.astype(int), X.shape)),
        ("grad_output is too wide", ValueError, "grad_output",
         lambda: function(np.concatenate([grad_output] * 2, axis=3), X.shape)),
        ("input_shape is None", TypeError, "input_shape", lambda: function(grad_output, None)),
        ("input_shape has two sizes", ValueError, "input_shape", lambda: function(grad_output, (8, 8))),
        ("input_shape holds a float", TypeError, "input_shape", lambda: function(grad_output, (2, 3, 8.0, 8))),
        ("input_shape has no row", ValueError, "input_shape", lambda: function(grad_output, (2, 3, 0, 8))),
        ("input_shape is of another batch", ValueError, "grad_output", lambda: function(grad_output, (5, 3, 8, 8))),
    ]


def pooled_indices(function, indices):
    """Of a backward max pooling, as a function of the indices."""
    return [
        ("indices is None", TypeError, "indices", lambda: function(None)),
        ("indices is float", TypeError, "indices", lambda: function(indices.astype(F32))),
        ("indices has another shape", ValueError, "indices", lambda: function(indices[:1])),
        ("indices is beyond the plane", ValueError, "indices", lambda: function(np.full_like(indices, 64))),
        ("indices is negative", ValueError, "indices", lambda: function(np.full_like(indices, -1))),
        ("indices is far beyond the plane", ValueError, "indices", lambda: function(np.full_like(indices, 2**62))),
    ]


MAX_POOL = pooled_input(lambda x, **options: fc.max_pool2d(x, 2, **options)) + window(
    lambda *arguments, **options: fc.max_pool2d(X, *arguments, **options), dilated=True) + [
    ("return_indices is None", TypeError, "return_indices", lambda: fc.max_pool2d(X, 2, return_indices=None))]
AVG_POOL = pooled_input(lambda x, **options: fc.avg_pool2d(x, 2, **options)) + window(
    lambda *arguments, **options: fc.avg_pool2d(X, *arguments, **options))
MAX_POOL_BACKWARD = (
    pooled_gradient(lambda grad, shape: fc.max_pool2d_backward(grad, INDICES, shape, 2), POOLED)
    + window(lambda *arguments, **options: fc.max_pool2d_backward(POOLED, INDICES, X.shape, *arguments, **options),
             dilated=True)
    + pooled_indices(lambda indices: fc.max_pool2d_backward(POOLED, indices, X.shape, 2), INDICES))
AVG_POOL_BACKWARD = (
    pooled_gradient(lambda grad, shape: fc.avg_pool2d_backward(grad, shape, 2), POOLED)
    + window(lambda *arguments, **options: fc.avg_pool2d_backward(POOLED, X.shape, *arguments, **options)))
ADAPTIVE_MAX_POOL = pooled_input(lambda x, **options: fc.adaptive_max_pool2d(x, 4, **options)) + output_size(
    lambda size: fc.adaptive_max_pool2d(X, size))
ADAPTIVE_AVG_POOL = pooled_input(lambda x, **options: fc.adaptive_avg_pool2d(x, 4, **options)) + output_size(
    lambda size: fc.adaptive_avg_pool2d(X, size))
ADAPTIVE_MAX_POOL_BACKWARD = (
    pooled_gradient(lambda grad, shape: fc.adaptive_max_pool2d_backward(grad, INDICES, shape, 4), POOLED)
    + pooled_indices(lambda indices: fc.adaptive_max_pool2d_backward(POOLED, indices, X.shape, 4), INDICES))
ADAPTIVE_AVG_POOL_BACKWARD = pooled_gradient(lambda grad, shape: fc.adaptive_avg_pool2d_backward(grad, shape, 4),
                                             POOLED)
GLOBAL_MAX_POOL_BACKWARD = (
    pooled_gradient(lambda grad, shape: fc.global_max_pool2d_backward(grad, INDICES[..., :1, :1], shape),
                    POOLED[..., :1, :1])
    + pooled_indices(lambda indices: fc.global_max_pool2d_backward(POOLED[..., :1, :1], indices, X.shape),
                     INDICES[..., :1, :1]))
GLOBAL_AVG_POOL_BACKWARD = pooled_gradient(fc.global_avg_pool2d_backward, POOLED[..., :1, :1])

# Function -> its bad inputs.
TABLE = {
    "max_pool2d": MAX_POOL,
    "max_pool2d_backward": MAX_POOL_BACKWARD,
    "avg_pool2d": AVG_POOL,
    "avg_pool2d_backward": AVG_POOL_BACKWARD,
    "adaptive_max_pool2d": ADAPTIVE_MAX_POOL,
    "adaptive_max_pool2d_backward": ADAPTIVE_MAX_POOL_BACKWARD,
    "adaptive_avg_pool2d": ADAPTIVE_AVG_POOL,
    "adaptive_avg_pool2d_backward": ADAPTIVE_AVG_POOL_BACKWARD,
    "global_max_pool2d": pooled_input(fc.global_max_pool2d),
    "global_max_pool2d_backward": GLOBAL_MAX_POOL_BACKWARD,
    "global_avg_pool2d": pooled_input(fc.global_avg_pool2d),
    "global_avg_pool2d_backward": GLOBAL_AVG_POOL_BACKWARD,
}
