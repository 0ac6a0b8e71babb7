"""Bad inputs of the convolutions and what plans them: (what is wrong, exception,
the argument that the message names, call)."""

import numpy as np

import fastconv as fc

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
    return lambda: fc.conv2d(buffer[:256].reshape(1, 1, 16, 16), ones(1, 1, 1, 1),
                             out=buffer[128:384].reshape(1, 1, 16, 16))


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
    ("transposed is a number", TypeError, "transposed", lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), transposed=1)),
    ("transposed has another padding", ValueError, "padding_mode",
     lambda: fc.explain((3, 8, 8), (3, 4, 3, 3), padding_mode="reflect", transposed=True)),
    ("weight_shape is not transposed", ValueError, "weight",
     lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), transposed=True)),
    ("output_padding is not transposed", ValueError, "output_padding",
     lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), output_padding=1)),
    ("output_size is not transposed", ValueError, "output_size",
     lambda: fc.explain((3, 8, 8), (4, 3, 3, 3), output_size=8)),
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
    ("x of the call has another shape", ValueError, "x",
     lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 9), F32))),
    ("x of the call has another dtype", TypeError, "x", lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 8)))),
    ("out of the call has another shape", ValueError, "out",
     lambda: fc.plan_conv2d((1, 3, 8, 8), W)(np.ones((1, 3, 8, 8), F32), out=np.ones(3, F32))),
]

# Function -> its bad inputs.
TABLE = {
    "conv2d": CONV,
    "conv2d_backward": CONV_BACKWARD,
    "conv_output_size": OUTPUT_SIZE,
    "explain": EXPLAIN,
    "plan_conv2d": PLAN_CONV2D,
}
