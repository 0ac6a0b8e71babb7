"""Every bad argument of every public function ends in an error that names it, before anything is written."""

import re
import warnings

import numpy as np
import pytest

import fastconv as fc
from fastconv import functional

F32, F64 = np.float32, np.float64


def ones(*shape, dtype=F32):
    return np.ones(shape, dtype)


X, W, B = ones(2, 3, 8, 8), ones(4, 3, 3, 3), ones(4)
Y = ones(2, 4, 6, 6)  # the shape of conv2d(X, W)
HUGE = 2**31


def conv(*arguments, **options):
    return lambda: fc.conv2d(*arguments, **options)


def conv_with_out(out, **options):
    return lambda: fc.conv2d(X, W, out=out, **options)


def backward(grad_output=Y, x=X, weight=W, **options):
    return lambda: fc.conv2d_backward(grad_output, x, weight, **options)


def read_only(shape):
    array = ones(*shape)
    array.flags.writeable = False
    return array


def overlapping():
    """An input and an output that share half of a buffer."""
    buffer = ones(600)
    return lambda: fc.conv2d(buffer[:256].reshape(1, 1, 16, 16), ones(1, 1, 1, 1), out=buffer[128:384].reshape(1, 1, 16, 16))


def onto_weight():
    weight = ones(1, 1, 3, 3)
    return lambda: fc.conv2d(ones(1, 1, 5, 5), weight, out=weight)


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("this object keeps its numbers to itself")


CONV = [
    ("x is None", TypeError, "x", conv(None, W)),
    ("x is a string", TypeError, "x", conv("image.png", W)),
    ("x is bytes", TypeError, "x", conv(b"1234", W)),
    ("x is an object", TypeError, "x", conv(object(), W)),
    ("x is a dict", TypeError, "x", conv({"a": 1}, W)),
    ("x cannot be read", TypeError, "x", conv(Unreadable(), W)),
    ("x is ragged", ValueError, "x", conv([[1.0], [1.0, 2.0]], W)),
    ("x is a scalar", ValueError, "x", conv(np.float32(1), W)),
    ("x is 2-dimensional", ValueError, "x", conv(ones(8, 8), W)),
    ("x is 5-dimensional", ValueError, "x", conv(ones(1, 2, 3, 8, 8), W)),
    ("x is integer", TypeError, "x", conv(X.astype(int), W)),
    ("x is a list of ints", TypeError, "x", conv(X.astype(int).tolist(), W)),
    ("x is unsigned bytes", TypeError, "x", conv(X.astype(np.uint8), W)),
    ("x is bool", TypeError, "x", conv(X > 0, W)),
    ("x is float16", TypeError, "x", conv(X.astype(np.float16), W)),
    ("x is long double", TypeError, "x", conv(X.astype(np.longdouble), W)),
    ("x is complex", TypeError, "x", conv(X.astype(complex), W)),
    ("x is of objects", TypeError, "x", conv(X.astype(object), W)),
    ("x is of strings", TypeError, "x", conv(X.astype(str), W)),
    ("x is dates", TypeError, "x", conv(X.astype("M8[s]"), W)),
    ("x is masked", TypeError, "x", conv(np.ma.masked_greater(X, 0), W)),
    ("x has no channel", ValueError, "x", conv(ones(2, 0, 8, 8), W)),
    ("x has no row", ValueError, "x", conv(ones(2, 3, 0, 8), W)),
    ("x has no column", ValueError, "x", conv(ones(2, 3, 8, 0), W, padding=4)),
    ("weight is None", TypeError, "weight", conv(X, None)),
    ("weight is integer", TypeError, "weight", conv(X, W.astype(int))),
    ("weight is 3-dimensional", ValueError, "weight", conv(X, W[0])),
    ("weight has no filter", ValueError, "weight", conv(X, W[:0])),
    ("weight has no tap", ValueError, "weight", conv(X, W[:, :, :0])),
    ("weight has too few channels", ValueError, "weight", conv(X, W[:, :2])),
    ("weight is in the order of TensorFlow", ValueError, "weight", conv(X, ones(5, 5, 3, 4))),
    ("weight is larger than x", ValueError, "weight", conv(X, ones(4, 3, 9, 3))),
    ("weight with dilation is larger than x", ValueError, "weight", conv(X, W, dilation=(1, 4))),
    ("weight is float64, x float32", TypeError, "weight", conv(X, W.astype(F64))),
    ("x is a list (float64), weight float32", TypeError, "weight", conv(X.tolist(), W)),
    ("bias is float64, x float32", TypeError, "bias", conv(X, W, B.astype(F64))),
    ("bias is a number", ValueError, "bias", conv(X, W, F32(1))),
    ("bias is a list of ints", TypeError, "bias", conv(X, W, [1, 2, 3, 4])),
    ("bias is too short", ValueError, "bias", conv(X, W, B[:3])),
    ("bias is 2-dimensional", ValueError, "bias", conv(X, W, B[None])),
    ("bias is False", TypeError, "bias", conv(X, W, False)),
    ("stride is 0", ValueError, "stride", conv(X, W, stride=0)),
    ("stride is negative", ValueError, "stride", conv(X, W, stride=(1, -1))),
    ("stride is a float", TypeError, "stride", conv(X, W, stride=2.0)),
    ("stride is a bool", TypeError, "stride", conv(X, W, stride=True)),
    ("stride is a NumPy bool", TypeError, "stride", conv(X, W, stride=np.True_)),
    ("stride is None", TypeError, "stride", conv(X, W, stride=None)),
    ("stride is a string", TypeError, "stride", conv(X, W, stride="2")),
    ("stride has three numbers", ValueError, "stride", conv(X, W, stride=(1, 1, 1))),
    ("stride is empty", ValueError, "stride", conv(X, W, stride=())),
    ("stride holds a float", TypeError, "stride", conv(X, W, stride=(1, 1.5))),
    ("stride is beyond 31 bits", ValueError, "stride", conv(X, W, stride=HUGE)),
    ("stride is beyond 64 bits", ValueError, "stride", conv(X, W, stride=2**80)),
    ("padding is negative", ValueError, "padding", conv(X, W, padding=-1)),
    ("padding is negative on one side", ValueError, "padding", conv(X, W, padding=((0, 0), (0, -1)))),
    ("padding is a float", TypeError, "padding", conv(X, W, padding=1.0)),
    ("padding is a bool", TypeError, "padding", conv(X, W, padding=False)),
    ("padding is None", TypeError, "padding", conv(X, W, padding=None)),
    ("padding is an unknown word", ValueError, "padding", conv(X, W, padding="full")),
    ("padding has three numbers", ValueError, "padding", conv(X, W, padding=(1, 1, 1))),
    ("padding has four numbers", ValueError, "padding", conv(X, W, padding=(1, 1, 1, 1))),
    ("padding mixes a number and a pair", ValueError, "padding", conv(X, W, padding=(1, (1, 1)))),
    ("padding has a triple", ValueError, "padding", conv(X, W, padding=((1, 1), (1, 1, 1)))),
    ("padding is beyond 64 bits", ValueError, "padding", conv(X, W, padding=2**70)),
    ("padding makes a result beyond 64 bits", MemoryError, "result", conv(X, W, padding=HUGE - 1)),
    ("padding makes a result beyond memory", MemoryError, "shape", conv(X, W, padding=10**7)),
    ("dilation is 0", ValueError, "dilation", conv(X, W, dilation=0)),
    ("dilation is a float", TypeError, "dilation", conv(X, W, dilation=1.0)),
    ("dilation is None", TypeError, "dilation", conv(X, W, dilation=None)),
    ("dilation times filter is beyond x", ValueError, "weight", conv(X, W, dilation=HUGE - 1)),
    ("groups is 0", ValueError, "groups", conv(X, W, groups=0)),
    ("groups is a float", TypeError, "groups", conv(X, W, groups=1.0)),
    ("groups is a pair", TypeError, "groups", conv(X, W, groups=(1, 1))),
    ("groups does not divide the channels", ValueError, "groups", conv(X, W, groups=2)),
    ("groups does not divide the filters", ValueError, "groups", conv(X, ones(4, 1, 3, 3), groups=3)),
    ("groups does not fit weight", ValueError, "weight", conv(X, ones(3, 3, 3, 3), groups=3)),
    ("padding_mode is unknown", ValueError, "padding_mode", conv(X, W, padding_mode="zeros")),
    ("padding_mode is None", ValueError, "padding_mode", conv(X, W, padding_mode=None)),
    ("padding_mode is a number", TypeError, "padding_mode", conv(X, W, padding_mode=1)),
    ("padding_mode reflect beyond the image", ValueError, "padding", conv(X, W, padding=8, padding_mode="reflect")),
    ("padding_mode circular beyond the image", ValueError, "padding", conv(X, W, padding=9, padding_mode="circular")),
    ("padding_value is a string", TypeError, "padding_value", conv(X, W, padding=1, padding_value="0")),
    ("padding_value is None", TypeError, "padding_value", conv(X, W, padding=1, padding_value=None)),
    ("padding_value is a bool", TypeError, "padding_value", conv(X, W, padding=1, padding_value=True)),
    ("padding_value is complex", TypeError, "padding_value", conv(X, W, padding=1, padding_value=1j)),
    ("padding_value is an array", TypeError, "padding_value", conv(X, W, padding=1, padding_value=[1.0, 2.0])),
    ("padding_value is beyond float64", ValueError, "padding_value", conv(X, W, padding=1, padding_value=10**400)),
    ("padding_value without constant padding", ValueError, "padding_value",
     conv(X, W, padding=1, padding_mode="replicate", padding_value=1.0)),
    ("data_format is unknown", ValueError, "data_format", conv(X, W, data_format="CHWN")),
    ("data_format is lower case", ValueError, "data_format", conv(X, W, data_format="nchw")),
    ("data_format is None", ValueError, "data_format", conv(X, W, data_format=None)),
    ("data_format does not fit x", ValueError, "x", conv(X, W, data_format="NHWC")),
    ("activation is unknown", ValueError, "activation", conv(X, W, activation="gelu")),
    ("activation is a function", TypeError, "activation", conv(X, W, activation=np.tanh)),
    ("algorithm is unknown", ValueError, "algorithm", conv(X, W, algorithm="fastest")),
    ("algorithm is None", ValueError, "algorithm", conv(X, W, algorithm=None)),
    ("algorithm does not serve a stride of 3", ValueError, "algorithm", conv(X, W, stride=3, algorithm="winograd")),
    ("algorithm does not serve dilation with a stride", ValueError, "algorithm",
     conv(X, W, dilation=2, stride=2, algorithm="winograd")),
    ("out is a list", TypeError, "out", conv_with_out(Y.tolist())),
    ("out is too small", ValueError, "out", conv_with_out(Y[:1])),
    ("out is in the other data format", ValueError, "out", conv_with_out(ones(2, 6, 6, 4))),
    ("out is float64, the inputs float32", ValueError, "out", conv_with_out(Y.astype(F64))),
    ("out is big-endian", ValueError, "out", conv_with_out(Y.astype(">f4"))),
    ("out is not contiguous", ValueError, "out", conv_with_out(ones(2, 4, 6, 12)[..., ::2])),
    ("out is Fortran-ordered", ValueError, "out", conv_with_out(np.asfortranarray(Y))),
    ("out is read-only", ValueError, "out", conv_with_out(read_only(Y.shape))),
    ("out is broadcast", ValueError, "out", conv_with_out(np.broadcast_to(F32(1), Y.shape))),
    ("out overlaps x", ValueError, "out", overlapping()),
    ("out is weight", ValueError, "out", onto_weight()),
]

CONV_BACKWARD = [
    ("grad_output is None", TypeError, "grad_output", backward(None)),
    ("grad_output has the shape of x", ValueError, "grad_output", backward(X)),
    ("grad_output is one image of a batch", ValueError, "grad_output", backward(Y[0])),
    ("grad_output is too wide", ValueError, "grad_output", backward(ones(2, 4, 6, 7))),
    ("grad_output fits another stride", ValueError, "grad_output", backward(stride=2)),
    ("grad_output is float64", TypeError, "grad_output", backward(Y.astype(F64))),
    ("grad_output is integer", TypeError, "grad_output", backward(Y.astype(int))),
    ("x is 2-dimensional", ValueError, "x", backward(x=ones(8, 8))),
    ("x is float16", TypeError, "x", backward(x=X.astype(np.float16))),
    ("weight does not fit x", ValueError, "weight", backward(weight=W[:, :1])),
    ("weight is float64", TypeError, "weight", backward(weight=W.astype(F64))),
    ("stride is a bool", TypeError, "stride", backward(stride=True)),
    ("padding is a float", TypeError, "padding", backward(padding=0.5)),
    ("dilation is negative", ValueError, "dilation", backward(dilation=-1)),
    ("groups does not divide", ValueError, "groups", backward(groups=2)),
    ("padding_mode is unknown", ValueError, "padding_mode", backward(padding_mode="mirror")),
    ("padding_value is None", TypeError, "padding_value", backward(padding_value=None)),
    ("data_format is unknown", ValueError, "data_format", backward(data_format="HWC")),
    ("needs is one flag", TypeError, "needs", backward(needs=True)),
    ("needs has two flags", ValueError, "needs", backward(needs=(True, False))),
    ("needs holds a number", TypeError, "needs", backward(needs=(1, 1, 0))),
    ("needs holds None", TypeError, "needs", backward(needs=(None, True, True))),
]

OUTPUT_SIZE = [
    ("size is a float", TypeError, "size", lambda: fc.conv_output_size(28.0, 5)),
    ("size is 0", ValueError, "size", lambda: fc.conv_output_size(0, 1)),
    ("kernel_size is larger than size", ValueError, "kernel_size", lambda: fc.conv_output_size(4, 5)),
    ("kernel_size is None", TypeError, "kernel_size", lambda: fc.conv_output_size(4, None)),
    ("kernel_size has too many numbers", ValueError, "kernel_size", lambda: fc.conv_output_size((4, 4), (3, 3, 3))),
    ("stride is 0", ValueError, "stride", lambda: fc.conv_output_size(4, 3, 0)),
    ("padding is None", TypeError, "padding", lambda: fc.conv_output_size(4, 3, 1, None)),
    ("dilation is 0", ValueError, "dilation", lambda: fc.conv_output_size(4, 3, 1, 0, 0)),
]

EXPLAIN = [
    ("x_shape is a number", TypeError, "x_shape", lambda: fc.explain(3, (4, 3, 3, 3))),
    ("x_shape has two sizes", ValueError, "x_shape", lambda: fc.explain((8, 8), (4, 3, 3, 3))),
    ("x_shape holds a float", TypeError, "x_shape", lambda: fc.explain((3, 8.0, 8), (4, 3, 3, 3))),
    ("x_shape holds a negative size", ValueError, "x_shape", lambda: fc.explain((3, -8, 8), (4, 3, 3, 3))),
    ("weight_shape has three sizes", ValueError, "weight", lambda: fc.explain((3, 8, 8), (3, 3, 3))),
    ("weight_shape holds 0", ValueError, "weight_shape", lambda: fc.explain((3, 8, 8), (4, 3, 0, 3))),
    ("x_shape is beyond memory", MemoryError, "x", lambda: fc.explain((2**40, 2**40, 2**40), (1, 2**40, 1, 1))),
    ("dtype is integer", TypeError, "dtype", lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), dtype=int)),
    ("dtype is None", TypeError, "dtype", lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), dtype=None)),
    ("algorithm is unknown", ValueError, "algorithm", lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), algorithm="x")),
]

PLAN_CONV2D = [
    ("x_shape is too short", ValueError, "x_shape", lambda: fc.plan_conv2d((8, 8), W)),
    ("x_shape is text", TypeError, "x_shape", lambda: fc.plan_conv2d("image", W)),
    ("x_shape is too large", MemoryError, "x", lambda: fc.plan_conv2d((2**40, 3, 2**20, 2**20), W)),
    ("weight is of integers", TypeError, "weight", lambda: fc.plan_conv2d((1, 3, 8, 8), W.astype(np.int32))),
    ("weight has other channels", ValueError, "weight", lambda: fc.plan_conv2d((1, 5, 8, 8), W)),
    ("bias has another length", ValueError, "bias", lambda: fc.plan_conv2d((1, 3, 8, 8), W, np.ones(3, F32))),
    ("activation is unknown", ValueError, "activation", lambda: fc.plan_conv2d((1, 3, 8, 8), W, activation="gelu")),
    ("algorithm is unknown", ValueError, "algorithm", lambda: fc.plan_conv2d((1, 3, 8, 8), W, algorithm="fastest")),
    ("x of the call has another shape", ValueError, "x", lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 9), F32))),
    ("x of the call has another dtype", TypeError, "x", lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 8)))),
    ("out of the call has another shape", ValueError, "out",
     lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 8), F32), out=np.ones(3, F32))),
]

SCORES, TARGET = ones(4, 3), np.array([0, 1, 2, 1])


def activation(function, *options):
    return [
        ("x is None", TypeError, "x", lambda: function(None)),
        ("x is integer", TypeError, "x", lambda: function(np.arange(3))),
        ("x is bool", TypeError, "x", lambda: function(np.ones(3, bool))),
        ("x is float16", TypeError, "x", lambda: function(ones(3, dtype=np.float16))),
        ("x is ragged", ValueError, "x", lambda: function([[1.0], [1.0, 2.0]])),
        *options,
    ]


def activation_backward(function, kept, *options):
    """`kept` is the argument that the gradient needs besides grad_output: x or y."""
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(None, ones(3, 4))),
        ("grad_output is integer", TypeError, "grad_output", lambda: function(np.ones((3, 4), int), ones(3, 4))),
        ("grad_output has another shape", ValueError, "grad_output", lambda: function(ones(4, 3), ones(3, 4))),
        ("grad_output would broadcast", ValueError, "grad_output", lambda: function(ones(1, 4), ones(3, 4))),
        ("grad_output is float64", TypeError, "grad_output", lambda: function(ones(3, 4, dtype=F64), ones(3, 4))),
        (f"{kept} is complex", TypeError, kept, lambda: function(ones(3, 4), ones(3, 4).astype(complex))),
        (f"{kept} is None", TypeError, kept, lambda: function(ones(3, 4), None)),
        *options,
    ]


def slope(function, *arguments):
    return [
        ("negative_slope is None", TypeError, "negative_slope", lambda: function(*arguments, None)),
        ("negative_slope is a bool", TypeError, "negative_slope", lambda: function(*arguments, True)),
        ("negative_slope is a string", TypeError, "negative_slope", lambda: function(*arguments, "0.1")),
        ("negative_slope is an array", TypeError, "negative_slope", lambda: function(*arguments, ones(2))),
    ]


def axis(function, *arguments):
    return [
        ("axis is beyond x", ValueError, "axis", lambda: function(*arguments, axis=2)),
        ("axis is far negative", ValueError, "axis", lambda: function(*arguments, axis=-3)),
        ("axis is a float", TypeError, "axis", lambda: function(*arguments, axis=1.0)),
        ("axis is None", TypeError, "axis", lambda: function(*arguments, axis=None)),
        ("axis is a bool", TypeError, "axis", lambda: function(*arguments, axis=True)),
    ]


LINEAR = [
    ("x is integer", TypeError, "x", lambda: fc.linear(np.ones((2, 3), int), ones(4, 3))),
    ("x is a number", ValueError, "x", lambda: fc.linear(F32(1), ones(4, 3))),
    ("x has other features", ValueError, "x", lambda: fc.linear(ones(2, 4), ones(4, 3))),
    ("weight is 1-dimensional", ValueError, "weight", lambda: fc.linear(ones(2, 3), ones(3))),
    ("weight is empty", ValueError, "weight", lambda: fc.linear(ones(2, 3), ones(0, 3))),
    ("weight is float64", TypeError, "weight", lambda: fc.linear(ones(2, 3), ones(4, 3, dtype=F64))),
    ("bias is too long", ValueError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), ones(5))),
    ("bias is float64", TypeError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), ones(4, dtype=F64))),
    ("bias is a number", ValueError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), F32(1))),
]

LINEAR_BACKWARD = [
    ("grad_output is None", TypeError, "grad_output", lambda: fc.linear_backward(None, ones(2, 3), ones(4, 3))),
    ("grad_output is too wide", ValueError, "grad_output", lambda: fc.linear_backward(ones(2, 5), ones(2, 3), ones(4, 3))),
    ("grad_output is float64", TypeError, "grad_output",
     lambda: fc.linear_backward(ones(2, 4, dtype=F64), ones(2, 3), ones(4, 3))),
    ("x has other features", ValueError, "x", lambda: fc.linear_backward(ones(2, 4), ones(2, 5), ones(4, 3))),
    ("weight is 3-dimensional", ValueError, "weight", lambda: fc.linear_backward(ones(2, 4), ones(2, 3), ones(1, 4, 3))),
    ("needs is None", TypeError, "needs", lambda: fc.linear_backward(ones(2, 4), ones(2, 3), ones(4, 3), needs=None)),
]

FLATTEN = [
    ("x is a number", ValueError, "x", lambda: fc.flatten(F32(1))),
    ("x is integer", TypeError, "x", lambda: fc.flatten(np.ones((2, 3), int))),
]

FLATTEN_BACKWARD = [
    ("grad_output does not fit", ValueError, "grad_output", lambda: fc.flatten_backward(ones(2, 61), (2, 3, 4, 5))),
    ("grad_output is bool", TypeError, "grad_output", lambda: fc.flatten_backward(ones(2, 60) > 0, (2, 3, 4, 5))),
    ("input_shape is empty", ValueError, "input_shape", lambda: fc.flatten_backward(ones(1), ())),
    ("input_shape is a number", TypeError, "input_shape", lambda: fc.flatten_backward(ones(2, 3), 6)),
    ("input_shape holds -1", ValueError, "input_shape", lambda: fc.flatten_backward(ones(2, 3), (2, -1))),
]


def label_loss(function, scores):
    """Of a loss of class labels, or its gradient; `scores` is the name of its first argument."""
    return [
        (f"{scores} is integer", TypeError, scores, lambda: function(SCORES.astype(int), TARGET)),
        (f"{scores} is 1-dimensional", ValueError, scores, lambda: function(SCORES[0], TARGET)),
        (f"{scores} has no class", ValueError, scores, lambda: function(SCORES[:, :0], TARGET)),
        ("target is None", TypeError, "target", lambda: function(SCORES, None)),
        ("target is float", TypeError, "target", lambda: function(SCORES, TARGET.astype(F32))),
        ("target is bool", TypeError, "target", lambda: function(SCORES, TARGET > 0)),
        ("target is one-hot", ValueError, "target", lambda: function(SCORES, np.eye(4, 3, dtype=int))),
        ("target is too short", ValueError, "target", lambda: function(SCORES, TARGET[:3])),
        ("target is beyond the classes", ValueError, "target", lambda: function(SCORES, TARGET + 1)),
        ("target is negative", ValueError, "target", lambda: function(SCORES, TARGET - 1)),
        ("target is beyond 63 bits", ValueError, "target", lambda: function(SCORES, np.full(4, 2**64 - 1, np.uint64))),
        ("reduction is unknown", ValueError, "reduction", lambda: function(SCORES, TARGET, reduction="average")),
        ("reduction is None", ValueError, "reduction", lambda: function(SCORES, TARGET, reduction=None)),
    ]


def loss_grad_output(function):
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(SCORES, TARGET, grad_output=None)),
        ("grad_output is an array for one number", TypeError, "grad_output",
         lambda: function(SCORES, TARGET, grad_output=ones(4))),
        ("grad_output is too long", ValueError, "grad_output",
         lambda: function(SCORES, TARGET, reduction="none", grad_output=ones(5))),
    ]


def smoothing(function):
    return [
        ("label_smoothing is above 1", ValueError, "label_smoothing", lambda: function(SCORES, TARGET, label_smoothing=1.5)),
        ("label_smoothing is negative", ValueError, "label_smoothing", lambda: function(SCORES, TARGET, label_smoothing=-0.1)),
        ("label_smoothing is NaN", ValueError, "label_smoothing", lambda: function(SCORES, TARGET, label_smoothing=np.nan)),
        ("label_smoothing is a bool", TypeError, "label_smoothing", lambda: function(SCORES, TARGET, label_smoothing=True)),
    ]


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
        rows.append(("count_include_pad is None", TypeError, "count_include_pad", lambda: function(2, count_include_pad=None)))
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
    + window(lambda *arguments, **options: fc.max_pool2d_backward(POOLED, INDICES, X.shape, *arguments, **options), dilated=True)
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
ADAPTIVE_AVG_POOL_BACKWARD = pooled_gradient(lambda grad, shape: fc.adaptive_avg_pool2d_backward(grad, shape, 4), POOLED)
GLOBAL_MAX_POOL_BACKWARD = (
    pooled_gradient(lambda grad, shape: fc.global_max_pool2d_backward(grad, INDICES[..., :1, :1], shape), POOLED[..., :1, :1])
    + pooled_indices(lambda indices: fc.global_max_pool2d_backward(POOLED[..., :1, :1], indices, X.shape), INDICES[..., :1, :1]))
GLOBAL_AVG_POOL_BACKWARD = pooled_gradient(fc.global_avg_pool2d_backward, POOLED[..., :1, :1])


# Every function of the interface -> its bad inputs: (what is wrong, exception, the argument that the message names, call).
TABLE = {
    "conv2d": CONV,
    "conv2d_backward": CONV_BACKWARD,
    "conv_output_size": OUTPUT_SIZE,
    "explain": EXPLAIN,
    "plan_conv2d": PLAN_CONV2D,
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
    "relu": activation(fc.relu),
    "leaky_relu": activation(fc.leaky_relu, *slope(fc.leaky_relu, SCORES)),
    "sigmoid": activation(fc.sigmoid),
    "tanh": activation(fc.tanh),
    "softmax": activation(fc.softmax, *axis(fc.softmax, SCORES)),
    "log_softmax": activation(fc.log_softmax, *axis(fc.log_softmax, SCORES)),
    "relu_backward": activation_backward(fc.relu_backward, "x"),
    "leaky_relu_backward": activation_backward(fc.leaky_relu_backward, "x", *slope(fc.leaky_relu_backward, SCORES, SCORES)),
    "sigmoid_backward": activation_backward(fc.sigmoid_backward, "y"),
    "tanh_backward": activation_backward(fc.tanh_backward, "y"),
    "softmax_backward": activation_backward(fc.softmax_backward, "y", *axis(fc.softmax_backward, SCORES, SCORES)),
    "log_softmax_backward": activation_backward(fc.log_softmax_backward, "y", *axis(fc.log_softmax_backward, SCORES, SCORES)),
    "linear": LINEAR,
    "linear_backward": LINEAR_BACKWARD,
    "flatten": FLATTEN,
    "flatten_backward": FLATTEN_BACKWARD,
    "nll_loss": label_loss(fc.nll_loss, "log_probs"),
    "nll_loss_backward": label_loss(fc.nll_loss_backward, "log_probs") + loss_grad_output(fc.nll_loss_backward),
    "cross_entropy": label_loss(fc.cross_entropy, "logits") + smoothing(fc.cross_entropy),
    "cross_entropy_backward": label_loss(fc.cross_entropy_backward, "logits") + smoothing(fc.cross_entropy_backward)
    + loss_grad_output(fc.cross_entropy_backward),
}

ROWS = [(f"{function}: {wrong}", *rest) for function, rows in TABLE.items() for wrong, *rest in rows]


@pytest.mark.parametrize(("error", "argument", "call"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_bad_input(error, argument, call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            call()
    assert type(caught.value) is error
    assert re.search(rf"\b{argument}\b", str(caught.value)), str(caught.value)


def test_table_names_every_public_function():
    assert set(TABLE) == set(functional.__all__)
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert len({(row[0].split(": ")[1]) for row in ROWS}) >= 60


def test_nothing_is_written_before_the_error():
    out = np.full(Y.shape, 7, F32)
    for options in ({"stride": 2}, {"algorithm": "fastest"}, {"activation": "gelu"}, {"padding_mode": "mirror"}):
        with pytest.raises(ValueError):
            fc.conv2d(X, W, out=out, **options)
    np.testing.assert_array_equal(out, 7)


def test_message_says_what_it_was_and_what_it_must_be():
    with pytest.raises(ValueError, match=r"C/groups = 3 \(x has 3 channels, groups is 1\), got \(4, 2, 3, 3\)"):
        fc.conv2d(X, W[:, :2])
    with pytest.raises(TypeError, match=r"x must be float32 or float64, got int64: .*dtype=np\.float32"):
        fc.conv2d(X.astype(np.int64), W)
    with pytest.raises(ValueError, match=r"height 9 covers 9, but x has height 8 \+ padding 0 \+ 0 = 8"):
        fc.conv2d(X, ones(4, 3, 9, 3))
    with pytest.raises(ValueError, match=r"'winograd' is not possible.*they are 3 x 3 with stride \(1, 3\), .*here it can be 'auto', "):
        fc.conv2d(X, W, stride=(1, 3), algorithm="winograd")


def test_options_are_not_confused_by_equal_values():
    """True == 1 and 1.0 == 1: a cached plan for the one must not let the other in."""
    fc.conv2d(X, W, stride=1, groups=1)
    for wrong in (True, 1.0):
        with pytest.raises(TypeError):
            fc.conv2d(X, W, stride=wrong)
        with pytest.raises(TypeError):
            fc.conv2d(X, W, groups=wrong)
        with pytest.raises(TypeError):
            fc.conv2d(X, W, stride=(wrong, 1))
