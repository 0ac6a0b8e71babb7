"""Results that are more than an array for which there is room: those that a user has written to several arrays at a
time, or to an input itself."""

import numpy as np

from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.foreign import shown

GRADIENTS = ("grad_x", "grad_weight", "grad_bias")


def out_or_input(value, expected_shape, dtype, *inputs):
    """`out=` of an operation element by element, as `checks.out` has it, but that it may be one of the inputs itself:
    the same elements in the same order, not a part of them."""
    if value is None:
        return None
    return checks.out(value, expected_shape, dtype, *(given for given in inputs if not _is_same(value, given)))


def _is_same(value, given):
    """Whether two arrays are the same piece of memory, of the same elements: both are C-contiguous."""
    return value is given or (
        isinstance(value, np.ndarray) and given is not None
        and value.shape == given.shape and value.dtype == given.dtype
        and value.flags.c_contiguous and given.flags.c_contiguous
        and value.__array_interface__["data"][0] == given.__array_interface__["data"][0])


def gradients(out, shapes, wanted, dtype, *inputs):
    """Arrays for the gradients of x, of weight and, with three shapes, of bias: those of `out`, after their check, or
    new ones; None for those that are not wanted. All are asked for before anything is computed: a call for which there
    is too little memory has done nothing."""
    if out is None:
        return [memory.empty(shape, dtype) if needed else None for shape, needed in zip(shapes, wanted)]
    return [memory.empty(shape, dtype) if needed and given is None else given
            for given, shape, needed in zip(outs(out, shapes, wanted, dtype, *inputs), shapes, wanted)]


def outs(value, shapes, wanted, dtype, *inputs):
    """`out=` of these gradients: a tuple of arrays, of these shapes and apart from the inputs and each other, or of
    None."""
    form = f"({', '.join(GRADIENTS[:len(shapes)])})"
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"out must be a tuple {form} of arrays or None, got {shown(value)}")
    if len(value) != len(shapes):
        raise ValueError(f"out must be a tuple {form}, got {len(value)} entries")
    names = [f"out[{i}]" for i in range(len(shapes))]
    for name, given, needed in zip(names, value, wanted):
        if given is not None and not needed:
            raise ValueError(f"{name} must be None, as needs[{name[4]}] is False")
    before = inputs
    for name, given, shape in zip(names, value, shapes):
        checks.out(given, shape, dtype, *before, name=name)
        before = (*before, given)
    return tuple(value)
