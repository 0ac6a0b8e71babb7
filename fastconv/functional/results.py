"""Results that are more than an array for which there is room: those that a user has written to several arrays at a
time, or to an input itself; and sums."""

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.foreign import shown

NO_OUTS = (None, None, None)


def out_or_input(value, expected_shape, dtype, *inputs):
    """`out=` of an operation element by element, as `checks.out` has it, but that it may be one of the inputs itself:
    the same elements in the same order, not a part of them."""
    return checks.out(value, expected_shape, dtype, *(given for given in inputs if not _is_same(value, given)))


def _is_same(value, given):
    """Whether two arrays are the same piece of memory, of the same elements: both are C-contiguous."""
    return value is given or (
        isinstance(value, np.ndarray) and value.shape == given.shape and value.dtype == given.dtype
        and value.flags.c_contiguous and given.flags.c_contiguous
        and value.__array_interface__["data"][0] == given.__array_interface__["data"][0])


def outs(value, shapes, wanted, dtype, *inputs):
    """`out=` of the three gradients: a tuple of arrays, of these shapes and apart from the inputs and each other,
    or of None."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"out must be a tuple (grad_x, grad_weight, grad_bias) of arrays or None, got {shown(value)}")
    if len(value) != 3:
        raise ValueError(f"out must be a tuple (grad_x, grad_weight, grad_bias), got {len(value)} entries")
    names = [f"out[{i}]" for i in range(3)]
    for name, given, needed in zip(names, value, wanted):
        if given is not None and not needed:
            raise ValueError(f"{name} must be None, as needs[{name[4]}] is False")
    before = inputs
    for name, given, shape in zip(names, value, shapes):
        checks.out(given, shape, dtype, *before, name=name)
        before = (*before, given)
    return tuple(value)


def summed(total, shape, dtype):
    """What was added up in double precision, as a result of this shape and dtype, which owns its memory."""
    result = memory.empty(tuple(shape), dtype)
    result[...] = total.reshape(shape)
    return result
