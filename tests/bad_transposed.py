"""Bad inputs of the transposed convolutions: (what is wrong, exception, the argument that the message names, call)."""

import numpy as np
from bad_convolutions import F32, F64, HUGE, Unreadable, ones, read_only

import fastconv as fc


class Shapes:
    """Good arrays of a transposed convolution over so many axes, and its functions."""

    def __init__(self, axes):
        self.axes = axes
        self.x, self.w, self.b = ones(2, 4, *[5] * axes), ones(4, 3, *[3] * axes), ones(3)
        self.y = ones(2, 3, *[7] * axes)
        self.forward, self.gradient, self.planned = (
            getattr(fc, name.format(axes)) for name in ("conv_transpose{}d", "conv_transpose{}d_backward",
                                                        "plan_conv_transpose{}d"))
        self.other_format = {1: "NLC", 2: "NHWC", 3: "NDHWC"}[axes]

    def conv(self, *arguments, **options):
        return lambda: self.forward(*arguments, **options)

    def with_out(self, out, **options):
        return lambda: self.forward(self.x, self.w, out=out, **options)

    def backward(self, grad_output=None, x=None, weight=None, **options):
        return lambda: self.gradient(self.y if grad_output is None else grad_output, self.x if x is None else x,
                                     self.w if weight is None else weight, **options)

    def plan(self, x_shape, *arguments, **options):
        return lambda: self.planned(x_shape, *arguments, **options)


def forward(axes):
    s = Shapes(axes)
    x, w, b, y, conv, with_out = s.x, s.w, s.b, s.y, s.conv, s.with_out
    onto = ones(*w.shape)
    return [
        ("x is None", TypeError, "x", conv(None, w)),
        ("x is a string", TypeError, "x", conv("image.png", w)),
        ("x is an object", TypeError, "x", conv(object(), w)),
        ("x cannot be read", TypeError, "x", conv(Unreadable(), w)),
        ("x is ragged", ValueError, "x", conv([[1.0], [1.0, 2.0]], w)),
        ("x is a scalar", ValueError, "x", conv(np.float32(1), w)),
        ("x lacks an axis", ValueError, "x", conv(x[0, 0], w)),
        ("x has an axis more", ValueError, "x", conv(x[None], w)),
        ("x is integer", TypeError, "x", conv(x.astype(int), w)),
        ("x is unsigned bytes", TypeError, "x", conv(x.astype(np.uint8), w)),
        ("x is bool", TypeError, "x", conv(x > 0, w)),
        ("x is float16", TypeError, "x", conv(x.astype(np.float16), w)),
        ("x is complex", TypeError, "x", conv(x.astype(complex), w)),
        ("x has no channel", ValueError, "x", conv(x[:, :0], w)),
        ("x has no pixel", ValueError, "x", conv(x[..., :0], w)),
        ("weight is None", TypeError, "weight", conv(x, None)),
        ("weight is integer", TypeError, "weight", conv(x, w.astype(int))),
        ("weight lacks an axis", ValueError, "weight", conv(x, w[0])),
        ("weight has an axis more", ValueError, "weight", conv(x, w[None])),
        ("weight has no filter", ValueError, "weight", conv(x, w[:, :0])),
        ("weight has no tap", ValueError, "weight", conv(x, w[..., :0])),
        ("weight has too few channels", ValueError, "weight", conv(x, w[:3])),
        ("weight is that of a convolution", ValueError, "weight", conv(x, w.swapaxes(0, 1))),
        ("weight is float64, x float32", TypeError, "weight", conv(x, w.astype(F64))),
        ("bias is float64, x float32", TypeError, "bias", conv(x, w, b.astype(F64))),
        ("bias is a number", ValueError, "bias", conv(x, w, F32(1))),
        ("bias is too short", ValueError, "bias", conv(x, w, b[:2])),
        ("bias is one for each channel of x", ValueError, "bias", conv(x, w, ones(4))),
        ("bias is 2-dimensional", ValueError, "bias", conv(x, w, b[None])),
        ("stride is 0", ValueError, "stride", conv(x, w, stride=0)),
        ("stride is a float", TypeError, "stride", conv(x, w, stride=2.0)),
        ("stride is a bool", TypeError, "stride", conv(x, w, stride=True)),
        ("stride is None", TypeError, "stride", conv(x, w, stride=None)),
        ("stride has four numbers", ValueError, "stride", conv(x, w, stride=(1, 1, 1, 1))),
        ("stride is beyond 31 bits", ValueError, "stride", conv(x, w, stride=HUGE)),
        ("stride makes a result beyond memory", MemoryError, "shape", conv(x, w, stride=HUGE - 1)),
        ("padding is negative", ValueError, "padding", conv(x, w, padding=-1)),
        ("padding is a float", TypeError, "padding", conv(x, w, padding=1.0)),
        ("padding is a bool", TypeError, "padding", conv(x, w, padding=False)),
        ("padding is an unknown word", ValueError, "padding", conv(x, w, padding="full")),
        ("padding has four numbers", ValueError, "padding", conv(x, w, padding=(1, 1, 1, 1))),
        ("padding leaves no pixel", ValueError, "padding", conv(x, w, padding=4)),
        ("padding leaves less than no pixel", ValueError, "padding", conv(x, w, padding=HUGE - 1)),
        ("output_padding is negative", ValueError, "output_padding", conv(x, w, stride=2, output_padding=-1)),
        ("output_padding is as large as the stride", ValueError, "output_padding",
         conv(x, w, stride=2, output_padding=2)),
        ("output_padding without a stride", ValueError, "output_padding", conv(x, w, output_padding=1)),
        ("output_padding is a float", TypeError, "output_padding", conv(x, w, stride=2, output_padding=1.0)),
        ("output_padding is None", TypeError, "output_padding", conv(x, w, stride=2, output_padding=None)),
        ("output_padding has four numbers", ValueError, "output_padding",
         conv(x, w, stride=2, output_padding=(0, 0, 0, 0))),
        ("output_padding beside output_size", ValueError, "output_padding",
         conv(x, w, stride=2, output_padding=1, output_size=12)),
        ("output_padding beside same", ValueError, "output_padding",
         conv(x, w, stride=2, output_padding=1, padding="same")),
        ("output_size is too small", ValueError, "output_size", conv(x, w, stride=2, output_size=10)),
        ("output_size is too large", ValueError, "output_size", conv(x, w, stride=2, output_size=13)),
        ("output_size is a float", TypeError, "output_size", conv(x, w, stride=2, output_size=11.0)),
        ("output_size is a whole shape", ValueError, "output_size", conv(x, w, output_size=y.shape)),
        ("output_size beside same", ValueError, "output_size", conv(x, w, padding="same", output_size=5)),
        ("dilation is 0", ValueError, "dilation", conv(x, w, dilation=0)),
        ("dilation is a float", TypeError, "dilation", conv(x, w, dilation=1.0)),
        ("dilation makes a result beyond memory", MemoryError, "shape", conv(x, w, dilation=HUGE - 1)),
        ("groups is 0", ValueError, "groups", conv(x, w, groups=0)),
        ("groups is a float", TypeError, "groups", conv(x, w, groups=1.0)),
        ("groups does not divide the channels", ValueError, "groups", conv(x, w, groups=3)),
        ("data_format is unknown", ValueError, "data_format", conv(x, w, data_format="CHWN")),
        ("data_format is None", ValueError, "data_format", conv(x, w, data_format=None)),
        ("data_format does not fit x", ValueError, "x", conv(x, w, data_format=s.other_format)),
        ("activation is unknown", ValueError, "activation", conv(x, w, activation="gelu")),
        ("activation is a function", TypeError, "activation", conv(x, w, activation=np.tanh)),
        ("algorithm is unknown", ValueError, "algorithm", conv(x, w, algorithm="fastest")),
        ("algorithm is None", ValueError, "algorithm", conv(x, w, algorithm=None)),
        ("algorithm does not serve one tap", ValueError, "algorithm",
         conv(x, w[(..., *(slice(1),) * (w.ndim - 2))], algorithm="winograd")),
        ("out is a list", TypeError, "out", with_out(y.tolist())),
        ("out is too small", ValueError, "out", with_out(y[:1])),
        ("out is float64, the inputs float32", ValueError, "out", with_out(y.astype(F64))),
        ("out is big-endian", ValueError, "out", with_out(y.astype(">f4"))),
        ("out is not contiguous", ValueError, "out", with_out(np.repeat(y, 2, axis=-1)[..., ::2])),
        ("out is read-only", ValueError, "out", with_out(read_only(y.shape))),
        ("out is broadcast", ValueError, "out", with_out(np.broadcast_to(F32(1), y.shape))),
        ("out is weight", ValueError, "out",
         lambda: s.forward(ones(4, 4, *[1] * axes), onto, out=onto)),
    ]


def backward(axes):
    s = Shapes(axes)
    return [
        ("grad_output has the shape of x", ValueError, "grad_output", s.backward(s.x)),
        ("grad_output is one image of a batch", ValueError, "grad_output", s.backward(s.y[0])),
        ("grad_output is a list of words", TypeError, "grad_output", s.backward(["a"])),
        ("grad_output fits another stride", ValueError, "grad_output", s.backward(stride=2)),
        ("grad_output is float64", TypeError, "grad_output", s.backward(s.y.astype(F64))),
        ("grad_output is integer", TypeError, "grad_output", s.backward(s.y.astype(int))),
        ("x lacks an axis", ValueError, "x", s.backward(x=s.x[0, 0])),
        ("x is float16", TypeError, "x", s.backward(x=s.x.astype(np.float16))),
        ("weight does not fit x", ValueError, "weight", s.backward(weight=s.w[:1])),
        ("weight is float64", TypeError, "weight", s.backward(weight=s.w.astype(F64))),
        ("stride is a bool", TypeError, "stride", s.backward(stride=True)),
        ("padding is a float", TypeError, "padding", s.backward(padding=0.5)),
        ("output_padding is too large", ValueError, "output_padding", s.backward(output_padding=1)),
        ("output_size is too large", ValueError, "output_size", s.backward(output_size=9)),
        ("dilation is negative", ValueError, "dilation", s.backward(dilation=-1)),
        ("groups does not divide", ValueError, "groups", s.backward(groups=3)),
        ("data_format is unknown", ValueError, "data_format", s.backward(data_format="HWC")),
        ("needs is one flag", TypeError, "needs", s.backward(needs=True)),
        ("needs has two flags", ValueError, "needs", s.backward(needs=(True, False))),
        ("needs holds a number", TypeError, "needs", s.backward(needs=(1, 1, 0))),
    ]


def plan(axes):
    s = Shapes(axes)
    shape = s.x.shape
    return [
        ("x_shape is too short", ValueError, "x_shape", s.plan(shape[-1:], s.w)),
        ("x_shape is text", TypeError, "x_shape", s.plan("image", s.w)),
        ("x_shape is too large", MemoryError, "x", s.plan((2**60, 4, *shape[2:]), s.w)),
        ("weight is of integers", TypeError, "weight", s.plan(shape, s.w.astype(np.int32))),
        ("weight has other channels", ValueError, "weight", s.plan(shape, s.w[:3])),
        ("bias has another length", ValueError, "bias", s.plan(shape, s.w, ones(4))),
        ("output_padding is too large", ValueError, "output_padding", s.plan(shape, s.w, output_padding=1)),
        ("activation is unknown", ValueError, "activation", s.plan(shape, s.w, activation="gelu")),
        ("algorithm is unknown", ValueError, "algorithm", s.plan(shape, s.w, algorithm="fastest")),
        ("x of the call has another shape", ValueError, "x", lambda: s.planned(shape, s.w)(s.x[:1])),
        ("x of the call has another dtype", TypeError, "x", lambda: s.planned(shape, s.w)(s.x.astype(F64))),
        ("out of the call has another shape", ValueError, "out", lambda: s.planned(shape, s.w)(s.x, out=s.x)),
    ]


# Function -> its bad inputs.
TABLE = {name.format(axes): rows(axes) for axes in (1, 2, 3)
         for name, rows in (("conv_transpose{}d", forward), ("conv_transpose{}d_backward", backward),
                            ("plan_conv_transpose{}d", plan))}
