"""Every bad argument of every public function ends in an error that names it, before anything is written."""

import re
import warnings

import bad_convolutions as convolutions
import bad_normalisations as normalisations
import bad_poolings as poolings
import bad_resizings as resizings
import bad_transposed as transposed
import bad_volumes as volumes
import numpy as np
import pytest
from bad_convolutions import F32, F64, W, X, Y, ones

import fastconv as fc
from fastconv import functional

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
    ("weight is a number", ValueError, "weight", lambda: fc.linear(ones(2, 3), F32(1))),
    ("weight has no features", ValueError, "x", lambda: fc.linear(ones(2, 3), ones(4, 0))),
    ("weight is float64", TypeError, "weight", lambda: fc.linear(ones(2, 3), ones(4, 3, dtype=F64))),
    ("bias is too long", ValueError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), ones(5))),
    ("bias is float64", TypeError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), ones(4, dtype=F64))),
    ("bias is a number", ValueError, "bias", lambda: fc.linear(ones(2, 3), ones(4, 3), F32(1))),
]

LINEAR_BACKWARD = [
    ("grad_output is None", TypeError, "grad_output", lambda: fc.linear_backward(None, ones(2, 3), ones(4, 3))),
    ("grad_output is too wide", ValueError, "grad_output",
     lambda: fc.linear_backward(ones(2, 5), ones(2, 3), ones(4, 3))),
    ("grad_output is float64", TypeError, "grad_output",
     lambda: fc.linear_backward(ones(2, 4, dtype=F64), ones(2, 3), ones(4, 3))),
    ("x has other features", ValueError, "x", lambda: fc.linear_backward(ones(2, 4), ones(2, 5), ones(4, 3))),
    ("weight is 3-dimensional", ValueError, "weight",
     lambda: fc.linear_backward(ones(2, 4), ones(2, 3), ones(1, 4, 3))),
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
        ("label_smoothing is above 1", ValueError, "label_smoothing",
         lambda: function(SCORES, TARGET, label_smoothing=1.5)),
        ("label_smoothing is negative", ValueError, "label_smoothing",
         lambda: function(SCORES, TARGET, label_smoothing=-0.1)),
        ("label_smoothing is NaN", ValueError, "label_smoothing",
         lambda: function(SCORES, TARGET, label_smoothing=np.nan)),
        ("label_smoothing is a bool", TypeError, "label_smoothing",
         lambda: function(SCORES, TARGET, label_smoothing=True)),
    ]


def numbers(function, name, *arguments):
    """Of an option that is one number."""
    return [
        (f"{name} is None", TypeError, name, lambda: function(*arguments, **{name: None})),
        (f"{name} is a bool", TypeError, name, lambda: function(*arguments, **{name: True})),
        (f"{name} is a string", TypeError, name, lambda: function(*arguments, **{name: "1"})),
        (f"{name} is an array", TypeError, name, lambda: function(*arguments, **{name: ones(2)})),
    ]


def approximation(function, *arguments):
    return [
        ("approximate is unknown", ValueError, "approximate", lambda: function(*arguments, approximate="erf")),
        ("approximate is None", ValueError, "approximate", lambda: function(*arguments, approximate=None)),
    ]


def slopes(function, *arguments):
    return [
        ("weight is None", TypeError, "weight", lambda: function(*arguments, None)),
        ("weight is too long", ValueError, "weight", lambda: function(*arguments, ones(4))),
        ("weight is empty", ValueError, "weight", lambda: function(*arguments, ones(0))),
        ("weight is a matrix", ValueError, "weight", lambda: function(*arguments, ones(3, 1))),
        ("weight is float64", TypeError, "weight", lambda: function(*arguments, ones(3, dtype=F64))),
        ("data_format is unknown", ValueError, "data_format", lambda: function(*arguments, ones(1), data_format="CN")),
    ]


def pair_loss(function, *options):
    """Of a loss of numbers, or its gradient."""
    return [
        ("x is None", TypeError, "x", lambda: function(None, SCORES)),
        ("x is integer", TypeError, "x", lambda: function(SCORES.astype(int), SCORES)),
        ("target is None", TypeError, "target", lambda: function(SCORES, None)),
        ("target is integer", TypeError, "target", lambda: function(SCORES, SCORES.astype(int))),
        ("target is float64", TypeError, "target", lambda: function(SCORES, SCORES.astype(F64))),
        ("target would broadcast", ValueError, "target", lambda: function(SCORES, SCORES[:1])),
        ("reduction is unknown", ValueError, "reduction", lambda: function(SCORES, SCORES, reduction="average")),
        ("reduction is None", ValueError, "reduction", lambda: function(SCORES, SCORES, reduction=None)),
        *options,
    ]


def pair_grad_output(function):
    return [
        ("grad_output is None", TypeError, "grad_output", lambda: function(SCORES, SCORES, grad_output=None)),
        ("grad_output is an array for one number", TypeError, "grad_output",
         lambda: function(SCORES, SCORES, grad_output=SCORES)),
        ("grad_output would broadcast", ValueError, "grad_output",
         lambda: function(SCORES, SCORES, reduction="none", grad_output=SCORES[:1])),
    ]


def weights(function):
    """Of the logistic loss, or its gradient."""
    return [(f"{name} {wrong}", error, name, lambda name=name, value=value: function(SCORES, SCORES, **{name: value}))
            for name in ("weight", "pos_weight") for wrong, error, value in [
                ("does not broadcast", ValueError, ones(2)), ("is float64", TypeError, ones(3, dtype=F64)),
                ("is integer", TypeError, [1, 2, 3])]]


# Name -> bad options of the function, and of its gradient.
CURVES = {
    "elu": [numbers(fc.elu, "alpha", SCORES), numbers(fc.elu_backward, "alpha", SCORES, SCORES)],
    "gelu": [approximation(fc.gelu, SCORES), approximation(fc.gelu_backward, SCORES, SCORES)],
    "silu": [[], []], "hardswish": [[], []], "hardsigmoid": [[], []],
    "softplus": [numbers(function, "beta", *arguments) + numbers(function, "threshold", *arguments)
                 for function, arguments in ((fc.softplus, (SCORES,)), (fc.softplus_backward, (SCORES, SCORES)))],
}
PAIR_LOSSES = {
    "mse_loss": lambda function: [], "l1_loss": lambda function: [],
    "huber_loss": lambda function: numbers(function, "delta", SCORES, SCORES),
    "smooth_l1_loss": lambda function: numbers(function, "beta", SCORES, SCORES),
    "binary_cross_entropy_with_logits": weights,
}


def curve_rows():
    table = {}
    for name, (options, of_gradient) in CURVES.items():
        table[name] = activation(getattr(fc, name), *options)
        table[f"{name}_backward"] = activation_backward(getattr(fc, f"{name}_backward"), "x", *of_gradient)
    return table


def pair_rows():
    table = {}
    for name, options in PAIR_LOSSES.items():
        forward, backward = getattr(fc, name), getattr(fc, f"{name}_backward")
        table[name] = pair_loss(forward, *options(forward))
        table[f"{name}_backward"] = pair_loss(backward, *options(backward), *pair_grad_output(backward))
    return table


# Every function of the interface -> its bad inputs: (what is wrong, exception,
# the argument that the message names, call).
TABLE = {
    **convolutions.TABLE,
    **poolings.TABLE,
    **transposed.TABLE,
    **volumes.TABLE,
    **resizings.TABLE,
    **normalisations.TABLE,
    "relu": activation(fc.relu),
    "leaky_relu": activation(fc.leaky_relu, *slope(fc.leaky_relu, SCORES)),
    "sigmoid": activation(fc.sigmoid),
    "tanh": activation(fc.tanh),
    "relu6": activation(fc.relu6),
    "softmax": activation(fc.softmax, *axis(fc.softmax, SCORES)),
    "log_softmax": activation(fc.log_softmax, *axis(fc.log_softmax, SCORES)),
    "relu_backward": activation_backward(fc.relu_backward, "x"),
    "relu6_backward": activation_backward(fc.relu6_backward, "x"),
    "leaky_relu_backward": activation_backward(fc.leaky_relu_backward, "x",
                                               *slope(fc.leaky_relu_backward, SCORES, SCORES)),
    "sigmoid_backward": activation_backward(fc.sigmoid_backward, "y"),
    "tanh_backward": activation_backward(fc.tanh_backward, "y"),
    "softmax_backward": activation_backward(fc.softmax_backward, "y", *axis(fc.softmax_backward, SCORES, SCORES)),
    "log_softmax_backward": activation_backward(fc.log_softmax_backward, "y",
                                                *axis(fc.log_softmax_backward, SCORES, SCORES)),
    **curve_rows(),
    "prelu": activation(lambda x: fc.prelu(x, ones(1)), *slopes(fc.prelu, SCORES)),
    "prelu_backward": activation_backward(lambda grad_output, x: fc.prelu_backward(grad_output, x, ones(1)), "x",
                                          *slopes(fc.prelu_backward, SCORES, SCORES)),
    **pair_rows(),
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
    with pytest.raises(ValueError, match=r"'winograd' is not possible.*they are 3 x 3 with stride \(1, 3\), "
                                         ".*here it can be 'auto', "):
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
