"""Bad inputs of convolutions of one and three axes and of transposed ones, the same kinds for each: (what is wrong,
exception, what the message says, call)."""

import numpy as np

import fastconv as fc

F32, F64 = np.float32, np.float64
NAMES = ("conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def ones(*shape, dtype=F32):
    return np.ones(shape, dtype)


def rows():
    """Those of all functions that there are."""
    for name in NAMES:
        if name in fc.__all__:
            yield from ((f"{name}: {what}", *rest) for what, *rest in _rows(name))


def _rows(name):
    function, gradient = getattr(fc, name), getattr(fc, f"{name}_backward")
    axes, transposed = int(name[-2]), "transpose" in name
    size, taps = (8,) * axes, (3,) * axes
    x, weight = ones(2, 3, *size), ones(3, 4, *taps) if transposed else ones(4, 3, *taps)
    y = function(x, weight)

    def call(x=x, weight=weight, bias=None, **options):
        return lambda: function(x, weight, bias, **options)

    def back(grad_output=y, x=x, weight=weight, **options):
        return lambda: gradient(grad_output, x, weight, **options)

    def read_only():
        array = np.empty_like(y)
        array.flags.writeable = False
        return array

    def onto_x():
        image = ones(1, 1, *size)
        return lambda: function(image, ones(1, 1, *(1,) * axes), out=image)

    integer, three = "must be an integer", "must be three flags"
    yield from [
        ("x is None", TypeError, "^x must be an array, got None", call(None)),
        ("x is a word", TypeError, "^x must be an array, got 'signal'", call("signal")),
        ("x is integer", TypeError, "^x must be float32 or float64, got int64", call(x.astype(np.int64))),
        ("x is bytes", TypeError, "^x must be float32 or float64, got uint8: pass x.astype", call(x.astype(np.uint8))),
        ("x is truth values", TypeError, "^x must be float32 or float64, got bool", call(x > 0)),
        ("x is float16", TypeError, "^x must be float32 or float64, got float16", call(x.astype(np.float16))),
        ("x is complex", TypeError, "^x must be float32 or float64, got complex64", call(x.astype(np.complex64))),
        ("x is a number", ValueError, "^x must be a batch", call(F32(1))),
        ("x lacks its channel", ValueError, r"^x must be a batch .*pass x\[None\]$", call(x[0, 0])),
        ("x has an axis too many", ValueError, "^x must be a batch", call(x[None])),
        ("x has no channel", ValueError, "^x must have at least one channel", call(x[:, :0])),
        ("x has no pixel", ValueError, "^x must have at least one channel", call(x[..., :0])),
        ("x is float64", TypeError, "^weight is float32 but x is float64", call(x.astype(F64))),
        ("x has other channels", ValueError, "channels", call(x[:, :2])),
        ("weight is None", TypeError, "^weight must be an array, got None", call(weight=None)),
        ("weight is integer", TypeError, "^weight must be float32 or float64", call(weight=weight.astype(np.int32))),
        ("weight lacks an axis", ValueError, "^weight must", call(weight=weight[0])),
        ("weight has an axis too many", ValueError, "^weight must", call(weight=weight[None])),
        ("weight has no filter", ValueError, "weight", call(weight=weight[:, :0] if transposed else weight[:0])),
        ("weight has no tap", ValueError, "weight", call(weight=weight[..., :0])),
        ("bias is a number", ValueError, "^bias must have shape", call(bias=F32(1))),
        ("bias is too long", ValueError, r"^bias must have shape \(4,\)", call(bias=ones(5))),
        ("bias is float64", TypeError, "^bias is float64 but x is float32", call(bias=ones(4, dtype=F64))),
        ("bias is a column", ValueError, r"^bias must have shape \(4,\)", call(bias=ones(4, 1))),
        ("stride is 0", ValueError, "^stride must be at least 1, got 0", call(stride=0)),
        ("stride is a float", TypeError, f"^stride {integer}, got 1.5", call(stride=1.5)),
        ("stride is a bool", TypeError, f"^stride {integer}, got the bool True", call(stride=True)),
        ("stride is None", TypeError, f"^stride {integer}, got None", call(stride=None)),
        ("stride has an axis too many", ValueError, "^stride must be one integer", call(stride=(1,) * (axes + 1))),
        ("stride is huge", ValueError, "^stride must be at most", call(stride=2**31)),
        ("padding is negative", ValueError, "^padding must be at least 0, got -1", call(padding=-1)),
        ("padding is a float", TypeError, f"^padding {integer}, got 1.0", call(padding=1.0)),
        ("padding is a word", ValueError, "^padding must be one of 'same', 'valid', got 'full'", call(padding="full")),
        ("padding has two axes too many", ValueError, "^padding must be an integer", call(padding=(1,) * (axes + 2))),
        ("padding is a number beside a pair", ValueError, "^padding must be an integer", call(padding=(1, (1, 2)))),
        ("padding is huge", ValueError, "^padding must be at most", call(padding=2**31)),
        ("padding is a triple of each axis", ValueError, "^padding must be", call(padding=((1, 1, 1),) * axes)),
        ("dilation is 0", ValueError, "^dilation must be at least 1, got 0", call(dilation=0)),
        ("dilation is a word", TypeError, f"^dilation {integer}, got '1'", call(dilation="1")),
        ("dilation is a float", TypeError, f"^dilation {integer}, got 2.0", call(dilation=2.0)),
        ("groups is 0", ValueError, "^groups must be at least 1, got 0", call(groups=0)),
        ("groups is None", TypeError, f"^groups {integer}, got None", call(groups=None)),
        ("groups does not divide the channels", ValueError, "^groups must divide", call(groups=2)),
        ("data_format is that of other axes", ValueError, "^data_format must be one of",
         call(data_format=FORMATS[axes % 3 + 1][0])),
        ("data_format is None", ValueError, "^data_format must be one of", call(data_format=None)),
        ("data_format is a number", TypeError, "^data_format must be one of", call(data_format=1)),
        ("activation is unknown", ValueError, "^activation must be one of", call(activation="swish2")),
        ("activation is a function", TypeError, "^activation must be one of", call(activation=np.tanh)),
        ("algorithm is unknown", ValueError, "^algorithm must be one of", call(algorithm="fastest")),
        ("algorithm is None", ValueError, "^algorithm must be one of", call(algorithm=None)),
        ("out is a list", TypeError, "^out must be a NumPy array, got list", call(out=y.tolist())),
        ("out has another shape", ValueError, r"^out must have shape", call(out=y[:1])),
        ("out is float64", ValueError, "^out must have the dtype of the result", call(out=y.astype(F64))),
        ("out is not contiguous", ValueError, "^out must be C-contiguous", call(out=np.repeat(y, 2, -1)[..., ::2])),
        ("out is read-only", ValueError, "^out must be writable", call(out=read_only())),
        ("out is x", ValueError, "^out must not overlap an input", onto_x()),
        ("grad_output is None", TypeError, "^grad_output must be an array", back(None)),
        ("grad_output has another shape", ValueError, "^grad_output must have shape", back(y[..., 1:])),
        ("grad_output is float64", TypeError, "^grad_output is float64 but x is float32", back(y.astype(F64))),
        ("x of the gradient is integer", TypeError, "^x must be float32 or float64", back(x=x.astype(np.int64))),
        ("x of the gradient lacks its channel", ValueError, "^x must be a batch", back(x=x[0, 0])),
        ("weight of the gradient is None", TypeError, "^weight must be an array", back(weight=None)),
        ("stride of the gradient is another", ValueError, "^grad_output must have shape", back(stride=2)),
        ("padding of the gradient is another", ValueError, "^grad_output must have shape", back(padding=1)),
        ("dilation of the gradient is 0", ValueError, "^dilation must be at least 1", back(dilation=0)),
        ("needs is None", TypeError, f"^needs {three}", back(needs=None)),
        ("needs is a pair", ValueError, f"^needs {three}", back(needs=(True, True))),
        ("needs holds a number", TypeError, "^needs must be True or False, got 1", back(needs=(1, True, True))),
    ]
    if transposed:
        yield from [
            ("output_padding is negative", ValueError, "^output_padding must be at least 0", call(output_padding=-1)),
            ("output_padding is a float", TypeError, f"^output_padding {integer}", call(output_padding=1.0)),
            ("output_padding is a stride", ValueError, "^output_padding must be", call(stride=2, output_padding=2)),
            ("output_padding has an axis too many", ValueError, "^output_padding must be one integer",
             call(stride=2, output_padding=(1,) * (axes + 1))),
            ("output_size cannot be", ValueError, "^output_size must", call(output_size=(3,) * axes)),
            ("output_size is a float", TypeError, "^output_size", call(output_size=10.0)),
            ("padding leaves nothing", ValueError, "padding", call(padding=9)),
        ]
    else:
        yield from [
            ("padding_mode is unknown", ValueError, "^padding_mode must be one of", call(padding_mode="mirrored")),
            ("padding_mode is PyTorch's", ValueError, "here that is 'constant'$", call(padding_mode="zeros")),
            ("padding_mode is None", ValueError, "^padding_mode must be one of", call(padding_mode=None)),
            ("padding_value is a word", TypeError, "^padding_value must be a real number", call(padding_value="0")),
            ("padding_value without a constant", ValueError, "^padding_value must be left at 0",
             call(padding=1, padding_mode="symmetric", padding_value=1.0)),
            ("weight is larger than x", ValueError, "^weight does not fit into x", call(dilation=5)),
        ]
    if not transposed and axes == 3:
        yield "the result is beyond 64 bits", MemoryError, "^the result would have shape", call(padding=2**31 - 1)
