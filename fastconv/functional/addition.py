"""The sum of two arrays, with an activation behind it: the end of a residual block."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.pointwise import addition, elementwise
from fastconv._core.runtime import arrays, memory
from fastconv.functional import checks
from fastconv.functional.convolution import ACTIVATIONS, NEGATIVE_SLOPE
from fastconv.functional.typing import Activation, Array


def add(x: Any, other: Any, *, activation: Activation | None = None, out: Array | None = None) -> Array:
    """``x + other``, of arrays of one shape, through an activation if one is given.

    Parameters
    ----------
    x, other : array, float32 or float64
        Any shape, the same for both: nothing is repeated to fit. Any strides.
    activation : {None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6"}
        Applied to the sum while it is in the cache; leaky_relu has a slope of 0.01.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype. It may be x, or other, itself, and
        must otherwise not overlap them.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown activation; the message names the argument.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.add(np.array([1.0, -3.0]), np.array([1.0, 2.0]), activation="relu")
    array([2., 0.])
    """
    if (out is not None and out is x and activation in ACTIVATIONS and arrays.is_plain(x)
            and arrays.is_room(out, x.shape, x.dtype, (other,) if arrays.is_like(other, x.shape, x.dtype) else (x,))
            and other.flags.c_contiguous):    # the end of a residual block, which comes often
        addition.add(x, other, x, ACTIVATIONS.index(activation), NEGATIVE_SLOPE)
        return x
    x, other = checks.array(x, "x"), checks.array(other, "other")
    checks.same_dtype(x=x, other=other)
    checks.shape(other, "other", x.shape, "(that of x)")
    checks.choice(activation, "activation", ACTIVATIONS)
    y = memory.empty(x.shape, x.dtype) if out is None else checks.out(
        out, x.shape, x.dtype, *(given for given in (x, other) if given is not out))
    kind = ACTIVATIONS.index(activation)
    if x.flags.c_contiguous and other.flags.c_contiguous:
        addition.add(x, other, y, kind, NEGATIVE_SLOPE)
    else:
        with np.errstate(all="ignore"):
            np.add(x, other, out=y)
        if kind:
            elementwise.activate_in_place(y, kind, NEGATIVE_SLOPE)
    return y
