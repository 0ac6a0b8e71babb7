"""Values that no one should give, and what a function may do about them:
take them, or refuse them by the argument's name."""

import array
import datetime
import decimal
import fractions
import re
import warnings

import numpy as np

import fastconv as fc

F32 = np.float32


class Hostile:
    """Every question is answered with an error of its own."""

    def _refuse(self, *arguments, **options):
        raise KeyError("no answer")

    __array__ = __dlpack__ = __float__ = __index__ = __int__ = __len__ = __iter__ = __getitem__ = _refuse
    __repr__ = __str__ = __eq__ = __bool__ = __lt__ = _refuse
    __hash__ = object.__hash__


class Subclass(np.ndarray):
    pass


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


VALUES = {
    "None": None, "an object": object(), "an object that answers nothing": Hostile(),
    "a list of such": [Hostile(), Hostile()], "a class": Hostile, "a function": np.sum, "a module": np, "Ellipsis": ...,
    "a dict": {"a": 1}, "a set": {1, 2}, "a generator": (i for i in range(2)), "a range": range(2), "a slice": slice(2),
    "a word": "same", "another word": "nonsense", "an empty word": "", "a word of NUL": "\0", "surrogates": "\udc80",
    "bytes": b"valid", "a bytearray": bytearray(b"abc"), "a memoryview": memoryview(b"abc"),
    "an array.array": array.array("i", [1, 1]), "True": True, "np.True_": np.True_, "0": 0, "-1": -1, "3": 3,
    "2**31": 2**31, "2**63": 2**63, "-2**63": -2**63, "10**400": 10**400, "-10**5000": -10**5000, "1.5": 1.5,
    "NaN": float("nan"), "infinity": float("inf"), "1j": 1j, "a float16": np.float16(1),
    "a long double": np.longdouble(1), "a NumPy complex": np.complex64(1), "an int8": np.int8(1),
    "a Decimal": decimal.Decimal(1), "a Fraction": fractions.Fraction(1, 3), "a date": datetime.date(2020, 1, 1),
    "a datetime64": np.datetime64("2020-01-01"), "a timedelta64": np.timedelta64(1, "s"),
    "a NumPy string": np.str_("same"), "()": (), "[]": [], "(1,)": (1,), "(1, 2)": (1, 2), "[1, 2]": [1, 2],
    "(1, 2, 3)": (1, 2, 3), "(1, None)": (1, None), "(1.0, 2)": (1.0, 2), "(True, 1)": (True, 1),
    "ragged": [[1], [1, 2]], "deeper ragged": [[[1], [2, 3]], [[1], [2, 3]]], "pairs": ((1, 1), (1, 1)),
    "pairs of words": (("a", "b"), ("c", "d")), "words": ("same", "same"), "huge pair": (10**400, -10**400),
    "deep": nested(100), "10**400 in a list": [10**400], "None in a list": [None, 1.0],
    "a text among numbers": [1.0, "a"], "an empty array": np.empty(0), "a 0-d array": np.array(1),
    "a 0-d float array": np.array(1.5), "an int array": np.array([1, 1]), "a float array": np.array([1.0, 2.0]),
    "a bool array": np.array([True, False, True]), "an object array": np.array([1, None, "a"], object),
    "an array of lists": np.array([[1], [1, 2], None], object)[:2], "strings": np.array(["1", "2"]),
    "dates": np.array(["2020-01-01"], "M8[D]"), "times": np.ones(3, "m8[s]"),
    "a structured array": np.zeros(3, [("a", "f4"), ("b", "i8")]), "bytes of an array": np.zeros(3, "V8"),
    "a matrix": np.ones((1, 2)).view(np.matrix), "a subclass": np.ones((2, 3), F32).view(Subclass),
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]), "complex array": np.ones((2, 3, 8, 8), complex),
    "float16 array": np.ones((2, 3, 8, 8), np.float16), "32 axes": np.ones((1,) * 32, F32), "a layer": fc.nn.ReLU(),
    "a parameter": fc.nn.Parameter([1.0, 2.0]), "a dtype": np.dtype(F32), "a type of text": "i4,(",
    "NotImplemented": NotImplemented,
}

# A value that is good by itself may not fit another argument, or give a result that is too large.
ALSO = r"(x|y|weight|grad_output|indices|target|padding) must |the result would|grad_x would|Unable to allocate"


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
