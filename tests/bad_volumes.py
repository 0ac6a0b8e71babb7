"""Bad inputs of the convolutions over one and three axes, and what plans them: as bad_convolutions.py."""

import bad_convolutions as images
import numpy as np
from bad_convolutions import F32, F64, HUGE, ones

import fastconv as fc


def conv_rows(axes):
    """Of conv1d or conv3d: rows (what is wrong, exception, argument, call)."""
    function, size = getattr(fc, f"conv{axes}d"), (8, 7, 6)[:axes]
    x, w, b = ones(2, 3, *size), ones(4, 3, *(3,) * axes), ones(4)
    first, last = {1: ("NCL", "NLC"), 3: ("NCDHW", "NDHWC")}[axes]
    y = function(x, w)

    def conv(*arguments, **options):
        return lambda: function(*arguments, **options)

    def option(name, value, error=ValueError, said=None, **others):
        return f"{name} is {value!r:.40}" + "".join(f", {key} {value!r:.20}" for key, value in others.items()), error, (
            said or name), conv(x, w, **{name: value}, **others)

    return [
        ("x is None", TypeError, "x", conv(None, w)),
        ("x is a string", TypeError, "x", conv("signal", w)),
        ("x is an object", TypeError, "x", conv(object(), w)),
        ("x is ragged", ValueError, "x", conv([[1.0], [1.0, 2.0]], w)),
        ("x is a scalar", ValueError, "x", conv(F32(1), w)),
        ("x has too few axes", ValueError, "x", conv(x[(0,) * 2], w)),
        ("x has too many axes", ValueError, "x", conv(x[None], w)),
        ("x is integer", TypeError, "x", conv(x.astype(int), w)),
        ("x is bool", TypeError, "x", conv(x > 0, w)),
        ("x is float16", TypeError, "x", conv(x.astype(np.float16), w)),
        ("x is complex", TypeError, "x", conv(x.astype(complex), w)),
        ("x is masked", TypeError, "x", conv(np.ma.masked_greater(x, 0), w)),
        ("x has no channel", ValueError, "x", conv(x[:, :0], w)),
        ("x has an empty axis", ValueError, "x", conv(x[..., :0], w, padding=4)),
        ("x has other channels", ValueError, "weight", conv(x[:, :2], w)),
        ("weight is None", TypeError, "weight", conv(x, None)),
        ("weight is integer", TypeError, "weight", conv(x, w.astype(int))),
        ("weight has too few axes", ValueError, "weight", conv(x, w[0])),
        ("weight has too many axes", ValueError, "weight", conv(x, w[None])),
        ("weight has no filter", ValueError, "weight", conv(x, w[:0])),
        ("weight has no tap", ValueError, "weight", conv(x, w[..., :0])),
        ("weight has too few channels", ValueError, "weight", conv(x, w[:, :2])),
        ("weight is larger than x", ValueError, "weight", conv(x, ones(4, 3, *(9,) * axes))),
        ("weight is float64, x float32", TypeError, "weight", conv(x, w.astype(F64))),
        ("bias is float64, x float32", TypeError, "bias", conv(x, w, b.astype(F64))),
        ("bias is a number", ValueError, "bias", conv(x, w, F32(1))),
        ("bias is too short", ValueError, "bias", conv(x, w, b[:3])),
        ("bias is 2-dimensional", ValueError, "bias", conv(x, w, b[None])),
        option("stride", 0), option("stride", (-1,) * axes), option("stride", 2.0, TypeError),
        option("stride", True, TypeError), option("stride", None, TypeError), option("stride", "2", TypeError),
        option("stride", (1, 1)), option("stride", ()), option("stride", (1.5,) * axes, TypeError),
        option("stride", HUGE), option("dilation", 0), option("dilation", 1.0, TypeError),
        option("dilation", None, TypeError), option("dilation", (1, 1)), option("dilation", 2**80),
        option("dilation", HUGE - 1, said="weight"),
        option("padding", -1), option("padding", ((0, -1),) * axes), option("padding", 1.0, TypeError),
        option("padding", False, TypeError), option("padding", None, TypeError), option("padding", "full"),
        option("padding", (1, 2) if axes == 3 else (1, 2, 3)), option("padding", ((1, 1, 1),) * axes),
        option("padding", ((1, 1), (1, 1))),
        option("padding", 2**70), option("padding", HUGE - 1, MemoryError, "result|shape", groups=1),
        option("groups", 0), option("groups", 1.0, TypeError), option("groups", 2), option("groups", True, TypeError),
        option("padding_mode", "zeros"), option("padding_mode", None), option("padding_mode", 1, TypeError),
        option("padding_value", "0", TypeError, padding=1), option("padding_value", None, TypeError, padding=1),
        option("padding_value", True, TypeError, padding=1),
        option("padding_value", 1.0, padding=1, padding_mode="replicate"),
        option("data_format", "NCHW"), option("data_format", first.lower()), option("data_format", None),
        option("data_format", last, said="x|weight"), option("activation", "gelu"),
        option("activation", np.tanh, TypeError), option("algorithm", "fastest"), option("algorithm", None),
        option("algorithm", "winograd", stride=3),
        ("out is a list", TypeError, "out", conv(x, w, out=y.tolist())),
        ("out is too small", ValueError, "out", conv(x, w, out=y[:1].copy())),
        ("out is in the other data format", ValueError, "out",
         conv(x, w, out=np.ascontiguousarray(np.moveaxis(y, 1, -1)))),
        ("out is float64, the inputs float32", ValueError, "out", conv(x, w, out=y.astype(F64))),
        ("out is not contiguous", ValueError, "out", conv(x, w, out=np.repeat(y, 2, axis=-1)[..., ::2])),
        ("out is read-only", ValueError, "out", conv(x, w, out=images.read_only(y.shape))),
        ("out is x", ValueError, "out", lambda: function(x, ones(3, 3, *(1,) * axes), out=x)),
    ]


def backward_rows(axes):
    function, size = getattr(fc, f"conv{axes}d_backward"), (8, 7, 6)[:axes]
    x, w = ones(2, 3, *size), ones(4, 3, *(3,) * axes)
    y = getattr(fc, f"conv{axes}d")(x, w)

    def backward(grad_output=y, x=x, weight=w, **options):
        return lambda: function(grad_output, x, weight, **options)

    return [
        ("grad_output is None", TypeError, "grad_output", backward(None)),
        ("grad_output has the shape of x", ValueError, "grad_output", backward(x)),
        ("grad_output is one of a batch", ValueError, "grad_output", backward(y[0])),
        ("grad_output fits another stride", ValueError, "grad_output", backward(stride=2)),
        ("grad_output is float64", TypeError, "grad_output", backward(y.astype(F64))),
        ("grad_output is integer", TypeError, "grad_output", backward(y.astype(int))),
        ("x has too few axes", ValueError, "x", backward(x=x[0, 0])),
        ("x is float16", TypeError, "x", backward(x=x.astype(np.float16))),
        ("weight does not fit x", ValueError, "weight", backward(weight=w[:, :1])),
        ("weight is float64", TypeError, "weight", backward(weight=w.astype(F64))),
        ("stride is a bool", TypeError, "stride", backward(stride=True)),
        ("padding is a float", TypeError, "padding", backward(padding=0.5)),
        ("dilation is negative", ValueError, "dilation", backward(dilation=-1)),
        ("groups does not divide", ValueError, "groups", backward(groups=2)),
        ("padding_mode is unknown", ValueError, "padding_mode", backward(padding_mode="mirror")),
        ("padding_value is None", TypeError, "padding_value", backward(padding_value=None)),
        ("data_format is unknown", ValueError, "data_format", backward(data_format="NHWC")),
        ("needs is one flag", TypeError, "needs", backward(needs=True)),
        ("needs has two flags", ValueError, "needs", backward(needs=(True, False))),
        ("needs holds a number", TypeError, "needs", backward(needs=(1, 1, 0))),
    ]


def plan_rows(axes):
    function, size = getattr(fc, f"plan_conv{axes}d"), (8, 7, 6)[:axes]
    shape, w = (1, 3, *size), ones(4, 3, *(3,) * axes)
    return [
        ("x_shape is too short", ValueError, "x_shape", lambda: function(size, w)),
        ("x_shape is text", TypeError, "x_shape", lambda: function("signal", w)),
        ("x_shape is too large", MemoryError, "x", lambda: function((2**62, *shape[1:]), w)),
        ("weight is of integers", TypeError, "weight", lambda: function(shape, w.astype(np.int32))),
        ("weight has other channels", ValueError, "weight", lambda: function((1, 5, *size), w)),
        ("bias has another length", ValueError, "bias", lambda: function(shape, w, ones(3))),
        ("activation is unknown", ValueError, "activation", lambda: function(shape, w, activation="gelu")),
        ("algorithm is unknown", ValueError, "algorithm", lambda: function(shape, w, algorithm="fastest")),
        ("x of the call has another shape", ValueError, "x", lambda: function(shape, w)(ones(2, *shape[1:]))),
        ("x of the call has another dtype", TypeError, "x", lambda: function(shape, w)(ones(*shape, dtype=F64))),
        ("out of the call has another shape", ValueError, "out",
         lambda: function(shape, w)(ones(*shape), out=ones(3))),
    ]


# Function -> its bad inputs.
TABLE = {name: rows(axes) for axes in (1, 3) for name, rows in ((f"conv{axes}d", conv_rows),
                                                                 (f"conv{axes}d_backward", backward_rows),
                                                                 (f"plan_conv{axes}d", plan_rows))}
