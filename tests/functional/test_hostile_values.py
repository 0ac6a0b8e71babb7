"""Every argument of every public function, given values that no one should give: each is taken, or refused by its name.

Whether a value is good is the business of the other tests. Here it counts that nothing but a TypeError, ValueError or
MemoryError ever comes out, in one line that names the argument, and that a refused call has written nothing.
"""

import array
import datetime
import decimal
import fractions
import inspect
import re
import warnings

import numpy as np
import pytest

import fastconv as fc
from fastconv import functional

F32 = np.float32


class Hostile:
    """Every question is answered with an error of its own."""

    def _refuse(self, *arguments, **options):
        raise KeyError("no answer")

    __array__ = __dlpack__ = __float__ = __index__ = __int__ = __len__ = __iter__ = __getitem__ = __repr__ = __str__ = _refuse
    __eq__ = __bool__ = __lt__ = _refuse
    __hash__ = object.__hash__


class Subclass(np.ndarray):
    pass


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


VALUES = {
    "None": None, "an object": object(), "an object that answers nothing": Hostile(), "a list of such": [Hostile(), Hostile()],
    "a class": Hostile, "a function": np.sum, "a module": np, "Ellipsis": ..., "a dict": {"a": 1}, "a set": {1, 2},
    "a generator": (i for i in range(2)), "a range": range(2), "a slice": slice(2),
    "a word": "same", "another word": "nonsense", "an empty word": "", "a word of NUL": "\0", "surrogates": "\udc80", "bytes": b"valid",
    "a bytearray": bytearray(b"abc"), "a memoryview": memoryview(b"abc"), "an array.array": array.array("i", [1, 1]),
    "True": True, "np.True_": np.True_, "0": 0, "-1": -1, "3": 3, "2**31": 2**31, "2**63": 2**63, "-2**63": -2**63,
    "10**400": 10**400, "-10**5000": -10**5000, "1.5": 1.5, "NaN": float("nan"), "infinity": float("inf"), "1j": 1j,
    "a float16": np.float16(1), "a long double": np.longdouble(1), "a NumPy complex": np.complex64(1), "an int8": np.int8(1),
    "a Decimal": decimal.Decimal(1), "a Fraction": fractions.Fraction(1, 3), "a date": datetime.date(2020, 1, 1),
    "a datetime64": np.datetime64("2020-01-01"), "a timedelta64": np.timedelta64(1, "s"), "a NumPy string": np.str_("same"),
    "()": (), "[]": [], "(1,)": (1,), "(1, 2)": (1, 2), "[1, 2]": [1, 2], "(1, 2, 3)": (1, 2, 3), "(1, None)": (1, None),
    "(1.0, 2)": (1.0, 2), "(True, 1)": (True, 1), "ragged": [[1], [1, 2]], "deeper ragged": [[[1], [2, 3]], [[1], [2, 3]]],
    "pairs": ((1, 1), (1, 1)), "pairs of words": (("a", "b"), ("c", "d")), "words": ("same", "same"), "huge pair": (10**400, -10**400),
    "deep": nested(100), "10**400 in a list": [10**400], "None in a list": [None, 1.0], "a text among numbers": [1.0, "a"],
    "an empty array": np.empty(0), "a 0-d array": np.array(1), "a 0-d float array": np.array(1.5), "an int array": np.array([1, 1]),
    "a float array": np.array([1.0, 2.0]), "a bool array": np.array([True, False, True]), "an object array": np.array([1, None, "a"], object),
    "an array of lists": np.array([[1], [1, 2], None], object)[:2], "strings": np.array(["1", "2"]), "dates": np.array(["2020-01-01"], "M8[D]"),
    "times": np.ones(3, "m8[s]"), "a structured array": np.zeros(3, [("a", "f4"), ("b", "i8")]), "bytes of an array": np.zeros(3, "V8"),
    "a matrix": np.ones((1, 2)).view(np.matrix), "a subclass": np.ones((2, 3), F32).view(Subclass), "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "complex array": np.ones((2, 3, 8, 8), complex), "float16 array": np.ones((2, 3, 8, 8), np.float16), "32 axes": np.ones((1,) * 32, F32), "a layer": fc.nn.ReLU(), "a parameter": fc.nn.Parameter([1.0, 2.0]), "a dtype": np.dtype(F32),
    "a type of text": "i4,(", "NotImplemented": NotImplemented,
}


def ones(*shape):
    return np.ones(shape, F32)


X, W, Y, SCORES = ones(2, 3, 8, 8), ones(4, 3, 3, 3), ones(2, 4, 6, 6), ones(4, 3)
POOLED, INDICES = fc.max_pool2d(X, 2, return_indices=True)
ONE, ONE_INDEX = fc.global_max_pool2d(X, return_indices=True)
LABELS = np.array([0, 1, 2, 1])

# A good call of each function: the arguments that have no default. The others are tried beside them.
GOOD = {
    "conv2d": dict(x=X, weight=W), "conv2d_backward": dict(grad_output=Y, x=X, weight=W),
    "plan_conv2d": dict(x_shape=X.shape, weight=W), "explain": dict(x_shape=X.shape, weight_shape=W.shape),
    "conv_output_size": dict(size=8, kernel_size=3),
    "max_pool2d": dict(x=X, kernel_size=2), "avg_pool2d": dict(x=X, kernel_size=2),
    "max_pool2d_backward": dict(grad_output=POOLED, indices=INDICES, input_shape=X.shape, kernel_size=2),
    "avg_pool2d_backward": dict(grad_output=POOLED, input_shape=X.shape, kernel_size=2),
    "adaptive_max_pool2d": dict(x=X, output_size=4), "adaptive_avg_pool2d": dict(x=X, output_size=4),
    "adaptive_max_pool2d_backward": dict(grad_output=POOLED, indices=INDICES, input_shape=X.shape, output_size=4),
    "adaptive_avg_pool2d_backward": dict(grad_output=POOLED, input_shape=X.shape, output_size=4),
    "global_max_pool2d": dict(x=X), "global_avg_pool2d": dict(x=X),
    "global_max_pool2d_backward": dict(grad_output=ONE, indices=ONE_INDEX, input_shape=X.shape),
    "global_avg_pool2d_backward": dict(grad_output=ONE, input_shape=X.shape),
    "linear": dict(x=SCORES, weight=ones(5, 3)), "linear_backward": dict(grad_output=ones(4, 5), x=SCORES, weight=ones(5, 3)),
    "flatten": dict(x=X), "flatten_backward": dict(grad_output=ones(2, 192), input_shape=X.shape),
    "nll_loss": dict(log_probs=SCORES, target=LABELS), "nll_loss_backward": dict(log_probs=SCORES, target=LABELS),
    "cross_entropy": dict(logits=SCORES, target=LABELS), "cross_entropy_backward": dict(logits=SCORES, target=LABELS),
    **{name: dict(x=SCORES) for name in ("relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax")},
    **{f"{name}_backward": dict(grad_output=SCORES, x=SCORES) for name in ("relu", "leaky_relu")},
    **{f"{name}_backward": dict(grad_output=SCORES, y=SCORES) for name in ("sigmoid", "tanh", "softmax", "log_softmax")},
}

CASES = [(name, argument) for name in functional.__all__ for argument in inspect.signature(getattr(fc, name)).parameters]

# A value that is good by itself may not fit another argument, or give a result that is too large.
ALSO = r"(x|weight|grad_output|target|padding) must |the result would|grad_x would|Unable to allocate"


def test_each_function_has_a_good_call():
    assert set(GOOD) == set(functional.__all__)
    for name, arguments in GOOD.items():
        getattr(fc, name)(**arguments)


def is_refused_well(call, argument):
    """The call returns, or raises what it may with the name of the argument in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call()
    except (TypeError, ValueError, MemoryError) as error:
        text = str(error)
        assert re.search(rf"\b({argument})\b|^({ALSO})", text), f"{type(error).__name__}: {text}"
        assert "\n" not in text and len(text) < 500, text
        return True
    return False


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{name}-{argument}" for name, argument in CASES])
def test_hostile_values(name, argument):
    function, good = getattr(fc, name), GOOD[name]
    written = {key: value.copy() for key, value in good.items() if isinstance(value, np.ndarray)}
    refused = sum(is_refused_well(lambda: function(**{**good, argument: value}), argument) for value in VALUES.values())
    assert refused > len(VALUES) / 3
    for key, before in written.items():
        np.testing.assert_array_equal(good[key], before)


@pytest.mark.parametrize("argument", [name for name in inspect.signature(fc.conv2d).parameters if name != "out"])
def test_nothing_is_written_into_out(argument):
    for value in VALUES.values():
        out = np.full(Y.shape, 7, F32)
        if is_refused_well(lambda: fc.conv2d(**{**GOOD["conv2d"], "out": out, argument: value}), f"{argument}|out"):
            assert (out == 7).all()


@pytest.mark.parametrize("argument", ["x", "out"])
def test_hostile_values_of_a_plan(argument):
    plan = fc.plan_conv2d(X.shape, W)
    for value in VALUES.values():
        is_refused_well(lambda: plan(**{"x": X, argument: value}), argument)
    np.testing.assert_array_equal(plan(X), fc.conv2d(X, W))
