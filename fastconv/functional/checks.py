"""The door: every argument of every public operation is looked at here, and nowhere below.

What comes in is whatever a user wrote; what leaves is plain: native, aligned float32 or float64 arrays, Python ints,
pairs of ints, pads as ((top, bottom), (left, right)). The drivers in ``_core`` trust it without another look, so a
condition that is not checked here is a crash there.

Each helper takes the value and the name of the argument, and either returns the value in its plain form or raises a
``TypeError`` (wrong kind of thing) or ``ValueError`` (right kind, impossible value) that says which argument it was,
what was given and what it must be.
"""

import math
import numbers
import operator
import sys
from typing import Any

import numpy as np

from fastconv._core.problem.geometry import PADDING_MODES
from fastconv._core.runtime import arrays
from fastconv.functional import expressions
from fastconv.functional.foreign import advice, read, shown
from fastconv.functional.typing import Array

DATA_FORMATS = ("NCHW", "NHWC")
FORMATS = {1: ("NCL", "NLC"), 2: DATA_FORMATS, 3: ("NCDHW", "NDHWC")}  # by the number of axes beside N and C
REDUCTIONS = ("mean", "sum", "none")

# Strides, pads and dilations beyond this are refused, so that a driver may multiply any of them by an index in 64 bits.
LARGEST_OPTION = 2**31 - 1

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


# ---------------------------------------------------------------------------------------------------------------------
# Arrays


def array(value: Any, name: str) -> Array:
    """`value` as an ndarray of native, aligned float32 or float64; a view where possible, a copy only where not.

    Accepted are NumPy arrays, nested lists, and everything with ``__dlpack__``, ``__array__`` or the buffer protocol.
    """
    if arrays.is_plain(value):
        return value
    given = value
    if type(value) is not np.ndarray:
        value = read(value, name)
    dtype = value.dtype
    if dtype not in _FLOATS:
        native = dtype.newbyteorder("=")
        if native not in _FLOATS:
            raise TypeError(f"{name} must be float32 or float64, got {dtype}: {advice(value, given, name)}")
        value = value.astype(native)
    if not value.flags.aligned:
        value = value.copy()
    return value


def has_axes(value: Any, name: str) -> bool:
    """Whether a value that may be a number or an array is the latter, of one axis or more."""
    if hasattr(value, "__dlpack__") and not hasattr(value, "ndim"):
        value = read(value, name)
    return bool(np.ndim(value) != 0)


def same_dtype(**arrays: Array | None) -> Any:
    """All arrays (None is skipped) have one dtype, which is returned; two float dtypes in one call are a TypeError."""
    first_name, first = None, None
    for name, value in arrays.items():
        if value is None:
            continue
        if first is None:
            first_name, first = name, value.dtype
        elif value.dtype != first:
            raise TypeError(f"{name} is {value.dtype} but {first_name} is {first}: one call has one dtype, "
                            f"convert one of them, for example with np.asarray({name}, dtype=np.{first})")
    return first


def shape(value, name, expected, reason="", instead=""):
    """The array `value` has exactly the shape `expected`; `reason` says in the error where that shape comes from,
    `instead` what to write."""
    if value.shape != tuple(expected):
        raise ValueError(f"{name} must have shape {tuple(expected)}{' ' + reason if reason else ''}, got {value.shape}"
                         f"{instead}")
    return value


_ONE = {1: ("signal", "channel and one sample"), 2: ("image", "channel, row and column"),
        3: ("volume", "channel, plane, row and column")}


def images(x, data_format, name="x", axes=2, filters=()):
    """A batch or one image in either data format -> (its (N, C, H, W) view, whether it was a batch).

    `x` is an array already, `filters` the shape of what it shall meet. A batch may be empty; channels, rows and
    columns may not, but that of a convolution (see `_may_be_empty`). With `axes` 1 and 3 it is a signal, (N, C, L),
    or a volume, (N, C, D, H, W).
    """
    choice(data_format, "data_format", FORMATS[axes])
    one, parts = _ONE[axes]
    if x.ndim not in (axes + 1, axes + 2):
        sizes = ", ".join(data_format[1:])
        raise ValueError(f"{name} must be a batch (N, {sizes}) or one {one} ({sizes}), "
                         f"got {x.ndim} dimension{'' if x.ndim == 1 else 's'}, shape {x.shape}"
                         f"{expressions.image(x.shape, data_format, name, filters)}")
    batched = x.ndim == axes + 2
    view = nchw(x, data_format)
    if 0 in view.shape[1:] and not _may_be_empty(view.shape, filters):
        raise ValueError(f"{name} must have at least one {parts}, got shape {x.shape} in {data_format}")
    return view, batched


def _may_be_empty(sizes, filters):
    """Whether images (N, C, ...) without channels or pixels make sense for filters: those without channels add nothing
    to the bias, and of no image there is nothing to be computed."""
    return len(filters) == len(sizes) and (sizes[1] > 0 or filters[1] == 0) and (sizes[0] == 0 or 0 not in sizes[2:])


_CHANNELS_FIRST = {"NLC": (0, 2, 1), "NHWC": (0, 3, 1, 2), "NDHWC": (0, 4, 1, 2, 3)}


def nchw(array, data_format):
    """One image or a batch in any data format, already checked, as a view (N, C, ...)."""
    view = array if array.ndim == len(data_format) else array[None]
    order = _CHANNELS_FIRST.get(data_format)
    return view if order is None else view.transpose(order)


def image_shape(value, data_format, name, axes=2, filters=()):
    """Like `images`, for a shape -> (its sizes in the order (N, C, H, W), whether it was a batch)."""
    choice(data_format, "data_format", FORMATS[axes])
    sizes = integers(value, name, minimum=0)
    one, parts = _ONE[axes]
    if len(sizes) not in (axes + 1, axes + 2):
        raise ValueError(f"{name} must have {axes + 2} sizes (a batch) or {axes + 1} (one {one}), got {shown(value)}"
                         f"{expressions.image(sizes, data_format, name)}")
    batched = len(sizes) == axes + 2
    sizes = sizes if batched else (1, *sizes)
    if data_format in _CHANNELS_FIRST:
        sizes = (sizes[0], sizes[-1], *sizes[1:-1])
    if 0 in sizes[1:] and not _may_be_empty(sizes, filters):
        raise ValueError(f"{name} must have at least one {parts}, got {shown(value)}")
    return sizes, batched


def result_shape(sizes, data_format, batched):
    """The shape a result is returned in, from its sizes (N, C, ...)."""
    n, c, *axes = sizes
    sizes = (*axes, c) if data_format in _CHANNELS_FIRST else (c, *axes)
    return (n, *sizes) if batched else sizes


def fits_memory(sizes, dtype, name="the result"):
    """An array of these sizes can be addressed at all; whether the machine has that memory is seen when it is taken."""
    if math.prod(sizes if 0 not in sizes else [max(size, 1) for size in sizes]) * dtype.itemsize > sys.maxsize:
        raise MemoryError(f"{name} would have shape {tuple(sizes)}: more bytes than can be addressed")


def out(value, expected_shape, dtype, *inputs, name="out"):
    """`out=` as it is, or None: writable, C-contiguous, of the result's shape and dtype, apart from every input."""
    if value is None or arrays.is_room(value, expected_shape, dtype, inputs):
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__}")
    if value.dtype != dtype or not value.dtype.isnative:
        raise ValueError(f"{name} must have the dtype of the result, {np.dtype(dtype)}, got {value.dtype}")
    shape(value, name, expected_shape)
    if not value.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous, got strides {value.strides} for shape {value.shape}")
    if not value.flags.aligned:
        raise ValueError(f"{name} must be aligned to its dtype")
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writable, got a read-only array")
    for given in inputs:
        if given is not None and overlap(value, given):
            raise ValueError(f"{name} must not overlap an input{' or another result' if name != 'out' else ''}: "
                             "pass a separate array")
    return value


def overlap(a, b):
    """Whether two arrays share an element, or might."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=100_000)
    except np.exceptions.TooHardError:
        return True


# ---------------------------------------------------------------------------------------------------------------------
# Numbers and choices


def integer(value, name, minimum=None, maximum=LARGEST_OPTION):
    """A Python int from anything that is an integer; a bool, a float or None is a TypeError."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) == np.bool_:
            raise TypeError(f"{name} must be an integer, got the bool {shown(value)}")
        try:
            value = operator.index(value)
        except Exception:  # TypeError, or what a foreign __index__ raises
            raise TypeError(f"{name} must be an integer, got {shown(value)} ({type(value).__name__})") from None
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {shown(value)}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {shown(value)}")
    return value


def _sequence(value):
    """The elements of a tuple, a list or a one-dimensional array; None for anything else."""
    if isinstance(value, (tuple, list)):
        return value
    if isinstance(value, np.ndarray) and value.ndim >= 1:
        return list(value)
    return None


def integers(value, name, minimum=None, maximum=sys.maxsize):
    """A tuple of Python ints from a tuple, a list or an array of them: a shape, for example."""
    if isinstance(value, np.ndarray) and value.ndim > 1 and name.endswith("_shape"):
        sizes = "K, C/groups, R, S" if name == "weight_shape" else "N, C, H, W"
        raise TypeError(f"{name} must be a shape such as ({sizes}), "
                        f"got an array: write {name.removesuffix('_shape')}.shape")
    items = _sequence(value)
    if items is None:
        raise TypeError(f"{name} must be a sequence of integers, got {shown(value)} ({type(value).__name__})")
    return tuple(integer(item, name, minimum, maximum) for item in items)


def per_axis(value, name, axes=2, minimum=1):
    """One integer for all axes, or one for each: ``3`` or ``(3, 5)`` -> ``(3, 5)``."""
    items = None if type(value) is int else _sequence(value)
    if items is None:
        return (integer(value, name, minimum),) * axes
    if len(items) != axes:
        forms = f"or {axes} of them" if axes > 1 else "or 1 in a tuple"
        raise ValueError(f"{name} must be one integer {forms}, got {len(items)}: {shown(value)}")
    return tuple(integer(item, name, minimum) for item in items)


def pair(value, name, minimum=1):
    """``per_axis`` for rows and columns."""
    return per_axis(value, name, 2, minimum)


def number(value, name):
    """A Python float from a real number (NaN and infinities too); a bool, a string or None is a TypeError."""
    if type(value) is float:
        return value
    kind = getattr(getattr(value, "dtype", None), "kind", "")  # of NumPy's scalars and arrays
    if (kind not in ("", "i", "u", "f") or isinstance(value, (bool, str, bytes, bytearray))
            or getattr(value, "ndim", 0) != 0):
        raise TypeError(f"{name} must be a real number, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be representable as a float64, got {shown(value)}") from None
    except Exception:  # TypeError, or what a foreign __float__ raises
        raise TypeError(f"{name} must be a real number, got {shown(value)} ({type(value).__name__})") from None


def flag(value, name):
    """True or False, nothing that merely counts as one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def float_dtype(value: Any, name: str) -> np.dtype[Any]:
    """np.float32 or np.float64, as a dtype, from any way to write it."""
    try:
        dtype = np.dtype(value)
    except Exception:  # TypeError, ValueError, SyntaxError: NumPy has a language of its own for dtypes
        raise TypeError(f"{name} must be float32 or float64, got {shown(value)}") from None
    if value is None or dtype not in _FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {shown(value)}")
    return dtype


def choice(value, name, choices):
    """One of a few strings (None may be among them)."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}"
                         f"{'' if value is None else expressions.spelled(value, choices)}")
    return value


def axis(value, name, ndim):
    """An axis of an array with `ndim` dimensions, counted from 0."""
    value = integer(value, name)
    if not -ndim <= value < ndim:
        raise ValueError(f"{name} must be in {-ndim} to {ndim - 1} for {ndim} dimensions, got {shown(value)}")
    return value % ndim


def needs(value):
    """The three flags that say which gradients are wanted."""
    items = _sequence(value)
    if items is None:
        raise TypeError(f"needs must be three flags (grad_x, grad_weight, grad_bias), got {shown(value)}")
    if len(items) != 3:
        raise ValueError(f"needs must be three flags (grad_x, grad_weight, grad_bias), got {shown(value)}")
    return tuple(flag(item, "needs") for item in items)


def labels(value, name, count, classes, written=""):
    """`count` class numbers from 0 to `classes` - 1, as contiguous int64; `written` is how errors write the array."""
    written = written or name
    if type(value) is not np.ndarray:
        value, written = read(value, name), f"np.asarray({name})"
    if value.shape != (count,):
        hint = ""
        if value.ndim == 2 and len(value) == count and value.dtype.kind in "biuf" and np.allclose(value.sum(1), 1):
            hint = f": where the rows are one-hot or probabilities, pass {written}.argmax(1)"
        if value.size == count and value.ndim > 1:
            hint = f": pass {written}.ravel()"
        raise ValueError(f"{name} must have shape {(count,)} (one class number for each row), got {value.shape}{hint}")
    if value.dtype.kind not in "iu" and count:
        raise TypeError(f"{name} must be integer class numbers, "
                        f"got {value.dtype}: {_not_class_numbers(value, name, written)}")
    if count:
        lowest, highest = int(value.min()), int(value.max())
        if lowest < 0 or highest >= classes:
            wrong = lowest if lowest < 0 else highest
            hint = (f": where the classes are counted from 1, pass {written} - 1"
                    if lowest >= 1 and highest == classes else "")
            raise ValueError(f"{name} must be class numbers from 0 to {classes - 1}, got {wrong}{hint}")
    return np.ascontiguousarray(value, dtype=np.int64)


def _not_class_numbers(value, name, written):
    """What to write for labels, one for each row, that are no integers; or which of them is no class number."""
    if value.dtype.kind in "US":
        return f"number the names, for example with np.unique({name}, return_inverse=True)[1]"
    for item in value.tolist() if value.dtype.kind in "bfO" else ():
        if isinstance(item, str):
            return f"number the names, for example with np.unique({name}, return_inverse=True)[1]"
        if not isinstance(item, numbers.Real) or item != item or abs(item) >= 2**63 or item != int(item):
            return f"{shown(item)} is no class number"
    return f"pass {written}.astype(np.int64)" if value.dtype.kind in "bfO" else "class numbers are counted from 0"


# ---------------------------------------------------------------------------------------------------------------------
# Windows: kernels that move over an image, of convolution and of pooling


def padding(value, size, kernel_size, stride, dilation):
    """Every form of the argument `padding` -> a pair (before, after) for each axis.

    The forms are one int, one int an axis, one pair an axis, of a single axis also the pair itself, "valid" (none), and
    "same": ceil(size / stride) outputs, with the odd pixel of padding at the end. The other arguments are tuples of
    checked ints, one an axis.
    """
    axes = len(size)
    if isinstance(value, str):
        choice(value, "padding", ("same", "valid"))
        if value == "valid":
            return ((0, 0),) * axes
        return tuple(_same_padding(*of_axis) for of_axis in zip(size, kernel_size, stride, dilation))
    items = _sequence(value)
    if items is None:
        each = integer(value, "padding", 0)
        return ((each, each),) * axes
    if axes == 1 and len(items) == 2 and all(_sequence(item) is None for item in items):
        items = (items,)
    forms = (f"{axes} integers or {axes} pairs (before, after)" if axes > 1
             else "(integer,), (before, after) or ((before, after),)")
    if len(items) != axes:
        raise ValueError(f"padding must be an integer, {forms}, got {len(items)} entries: {shown(value)}")
    pairs = [_sequence(item) for item in items]
    if all(of_axis is None for of_axis in pairs):
        each_axis = [integer(item, "padding", 0) for item in items]
        return tuple((each, each) for each in each_axis)
    if any(of_axis is None or len(of_axis) != 2 for of_axis in pairs):
        raise ValueError(f"padding must be an integer, {forms}, got {shown(value)}")
    return tuple((integer(before, "padding", 0), integer(after, "padding", 0)) for before, after in pairs)


def _same_padding(size, kernel_size, stride, dilation):
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def _axis_name(index, axes):
    """Depth, height, width; the only axis is a length, those of more than three are numbered."""
    return {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}.get(
        axes, tuple(f"size {i} " for i in range(axes)))[index]


def window_output(size, kernel_size, stride, pads, dilation, ceil_mode=False, names=("x", "kernel_size")):
    """The output size of each axis, after the check that the (dilated) kernel fits into the padded image.

    floor((size + before + after - dilation (kernel_size - 1) - 1) / stride) + 1; with `ceil_mode` rounded up,
    so that a kernel may be larger than the padded image by less than a stride, but the last window must start inside
    the image or the padding before it (PyTorch's rules).
    """
    outputs = []
    for index, (length, taps, step, (before, after), distance) in enumerate(
        zip(size, kernel_size, stride, pads, dilation)
    ):
        extent = distance * (taps - 1) + 1
        room = length + before + after - extent
        if room < 0 and not (ceil_mode and room > -step):
            what = _axis_name(index, len(size))
            spread = f" with dilation {distance}" if distance != 1 else ""
            raise ValueError(f"{names[1]} does not fit into {names[0]}: its {what} {taps}{spread} covers {extent}, "
                             f"but {names[0]} has {what} {length} + padding {before} + {after} "
                             f"= {length + before + after}{expressions.thin(size, index)}")
        count = (-(-room // step) if ceil_mode else room // step) + 1
        outputs.append(count - 1 if ceil_mode and (count - 1) * step >= length + before else count)
    return tuple(outputs)


def filters_form(axes):
    """The shape of weight, in words."""
    return f"(K, C/groups, {', '.join('TRS'[3 - axes:])})"


def convolution_window(x_shape, weight_shape, stride, pads, dilation, groups, channels_last=False):
    """The options of a convolution of x (N, C, ...) -> (stride, pads, dilation, groups, output size), all plain."""
    axes = len(x_shape) - 2
    stride, dilation = per_axis(stride, "stride", axes), per_axis(dilation, "dilation", axes)
    groups = integer(groups, "groups", 1)
    channels, form = x_shape[1], filters_form(axes)
    if len(weight_shape) != axes + 2 or 0 in (weight_shape[0], *weight_shape[2:]):
        at_least = ("filter and one sample", "filter, row and column", "filter, plane, row and column")[axes - 1]
        raise ValueError(f"weight must have shape {form} with at least one {at_least}, got {weight_shape}"
                         f"{expressions.filters(weight_shape, x_shape, groups, channels_last)}")
    if channels % groups or weight_shape[0] % groups:
        raise ValueError(f"groups must divide the channels of x and the filters of weight, "
                         f"got groups {groups} for {channels} channels and {weight_shape[0]} filters")
    if weight_shape[1] * groups != channels:
        raise ValueError(f"weight must have shape {form} with C/groups = {channels // groups} "
                         f"(x has {channels} channels, groups is {groups}), got {weight_shape}"
                         f"{expressions.filters(weight_shape, x_shape, groups, channels_last)}")
    pads = padding(pads, x_shape[2:], weight_shape[2:], stride, dilation)
    outputs = window_output(x_shape[2:], weight_shape[2:], stride, pads, dilation, names=("x", "weight"))
    return stride, pads, dilation, groups, outputs


def output_sizes(size, kernel_size, stride, pads, dilation):
    """The output size along one axis (an int) or several (a tuple), from sizes alone."""
    if _sequence(size) is None:
        return output_sizes((size,), kernel_size, stride, pads, dilation)[0]
    size = integers(size, "size", 1, LARGEST_OPTION)
    kernel_size = per_axis(kernel_size, "kernel_size", len(size))
    stride = per_axis(stride, "stride", len(size))
    dilation = per_axis(dilation, "dilation", len(size))
    pads = padding(pads, size, kernel_size, stride, dilation)
    return window_output(size, kernel_size, stride, pads, dilation, names=("size", "kernel_size"))


def padding_mode(value, padding_value, pads, size):
    """The padding mode and the padding value; what repeats pixels needs some."""
    choice(value, "padding_mode", PADDING_MODES)
    fill = number(padding_value, "padding_value")
    if value == "constant":
        return value, fill
    if fill != 0:
        raise ValueError(f"padding_value must be left at 0 with padding_mode={value!r}, got {fill}")
    for index, ((before, after), length) in enumerate(zip(pads, size)):
        if length == 0 and before + after > 0:
            raise ValueError(f"padding must be 0 with padding_mode={value!r} on {_axis_name(index, len(size))} 0, "
                             f"where there is no pixel to repeat, got {max(before, after)}")
    return value, fill
