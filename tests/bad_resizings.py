"""Bad inputs of what goes several ways and meets again, and of images at another size: see bad_convolutions.py."""

import numpy as np
from bad_convolutions import F32, F64, HUGE, X, ones

import fastconv as fc

READ_ONLY = ones(*X.shape)
READ_ONLY.flags.writeable = False
LARGE = ones(2, 3, 16, 16)

ADD = [
    ("x is None", TypeError, "x", lambda: fc.add(None, X)),
    ("x is integer", TypeError, "x", lambda: fc.add(X.astype(int), X)),
    ("other is None", TypeError, "other", lambda: fc.add(X, None)),
    ("other is a number", ValueError, "other", lambda: fc.add(X, F32(1))),
    ("other is float64", TypeError, "other", lambda: fc.add(X, X.astype(F64))),
    ("other has another shape", ValueError, "other", lambda: fc.add(X, X[:, :, :4])),
    ("other would broadcast", ValueError, "other", lambda: fc.add(X, X[:, :, :1, :1])),
    ("x would broadcast", ValueError, "other", lambda: fc.add(X[:, :, :1, :1], X)),
    ("activation is unknown", ValueError, "activation", lambda: fc.add(X, X, activation="softmax")),
    ("activation is a function", TypeError, "activation", lambda: fc.add(X, X, activation=fc.relu)),
    ("out is a list", TypeError, "out", lambda: fc.add(X, X, out=[1.0])),
    ("out is float64", ValueError, "out", lambda: fc.add(X, X, out=X.astype(F64))),
    ("out has another shape", ValueError, "out", lambda: fc.add(X, X, out=ones(2, 3, 8, 4))),
    ("out is read-only", ValueError, "out", lambda: fc.add(X, X, out=READ_ONLY)),
    ("out is not contiguous", ValueError, "out", lambda: fc.add(X, X, out=LARGE[:, :, ::2, ::2])),
    ("out overlaps x", ValueError, "out",
     lambda: fc.add(LARGE[0].reshape(-1)[:8], ones(8), out=LARGE.reshape(-1)[4:12])),
]


def resized(function):
    """The options of a resizing, as a function of them."""
    return [
        ("size and scale_factor are missing", ValueError, "size", lambda: function()),
        ("size and scale_factor are both given", ValueError, "scale_factor", lambda: function(16, 2)),
        ("size is 0", ValueError, "size", lambda: function(0)),
        ("size is a float", TypeError, "size", lambda: function(16.0)),
        ("size is a bool", TypeError, "size", lambda: function(True)),
        ("size has three numbers", ValueError, "size", lambda: function((16, 16, 16))),
        ("size is beyond 31 bits", ValueError, "size", lambda: function(HUGE)),
        ("scale_factor is 0", ValueError, "scale_factor", lambda: function(None, 0)),
        ("scale_factor is negative", ValueError, "scale_factor", lambda: function(None, -2)),
        ("scale_factor is NaN", ValueError, "scale_factor", lambda: function(None, np.nan)),
        ("scale_factor is infinite", ValueError, "scale_factor", lambda: function(None, np.inf)),
        ("scale_factor is almost 0", ValueError, "scale_factor", lambda: function(None, 1e-320)),
        ("scale_factor is a bool", TypeError, "scale_factor", lambda: function(None, True)),
        ("scale_factor is a word", TypeError, "scale_factor", lambda: function(None, "2")),
        ("scale_factor has three numbers", ValueError, "scale_factor", lambda: function(None, (2, 2, 2))),
        ("scale_factor leaves no row", ValueError, "scale_factor", lambda: function(None, 0.1)),
        ("scale_factor makes too many rows", ValueError, "scale_factor", lambda: function(None, 1e30)),
        ("mode is unknown", ValueError, "mode", lambda: function(16, mode="bicubic")),
        ("mode is None", ValueError, "mode", lambda: function(16, mode=None)),
        ("align_corners is None", TypeError, "align_corners", lambda: function(16, align_corners=None)),
        ("align_corners is for bilinear", ValueError, "align_corners", lambda: function(16, align_corners=True)),
        ("data_format is unknown", ValueError, "data_format", lambda: function(16, data_format="HWC")),
    ]


INTERPOLATE = [
    ("x is None", TypeError, "x", lambda: fc.interpolate(None, 16)),
    ("x is integer", TypeError, "x", lambda: fc.interpolate(X.astype(int), 16)),
    ("x is float16", TypeError, "x", lambda: fc.interpolate(X.astype(np.float16), 16)),
    ("x is 2-dimensional", ValueError, "x", lambda: fc.interpolate(X[0, 0], 16)),
    ("x has no column", ValueError, "x", lambda: fc.interpolate(X[..., :0], 16)),
    ("the result is beyond 64 bits", MemoryError, "shape", lambda: fc.interpolate(X, (HUGE - 1, HUGE - 1))),
    ("out is float64", ValueError, "out", lambda: fc.interpolate(X, 16, out=LARGE.astype(F64))),
    ("out has another shape", ValueError, "out", lambda: fc.interpolate(X, 16, out=X)),
    ("out overlaps x", ValueError, "out", lambda: fc.interpolate(LARGE[..., ::2, ::2], 16, out=LARGE)),
    *resized(lambda *arguments, **options: fc.interpolate(X, *arguments, **options)),
]
INTERPOLATE_BACKWARD = [
    ("grad_output is None", TypeError, "grad_output", lambda: fc.interpolate_backward(None, X.shape, 16)),
    ("grad_output is integer", TypeError, "grad_output",
     lambda: fc.interpolate_backward(LARGE.astype(int), X.shape, 16)),
    ("grad_output is too narrow", ValueError, "grad_output",
     lambda: fc.interpolate_backward(LARGE[..., :8], X.shape, 16)),
    ("input_shape is None", TypeError, "input_shape", lambda: fc.interpolate_backward(LARGE, None, 16)),
    ("input_shape has two sizes", ValueError, "input_shape", lambda: fc.interpolate_backward(LARGE, (8, 8), 16)),
    ("input_shape has no row", ValueError, "input_shape", lambda: fc.interpolate_backward(LARGE, (2, 3, 0, 8), 16)),
    ("input_shape is of another batch", ValueError, "grad_output",
     lambda: fc.interpolate_backward(LARGE, (5, 3, 8, 8), 16)),
    ("input_shape is beyond 64 bits", MemoryError, "grad_x",
     lambda: fc.interpolate_backward(LARGE, (2, 3, HUGE, HUGE), 16)),
    *resized(lambda *arguments, **options: fc.interpolate_backward(LARGE, X.shape, *arguments, **options)),
]

# Function -> its bad inputs.
TABLE = {"add": ADD, "interpolate": INTERPOLATE, "interpolate_backward": INTERPOLATE_BACKWARD}
