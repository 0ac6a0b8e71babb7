"""The structs of ``fastconv.h``, checked: sizes, strides and options -> what a plan of the C API runs with.

Sizes and options are checked by ``fastconv.functional``; what stands here is what C alone has: numbers for choices,
and memory that is described by strides.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.problem.convolution import Epilogue, Window
from fastconv.functional import checks, pooling_calls
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import ACTIVATIONS, NEGATIVE_SLOPE

# What the numbers of fastconv.h mean; they never change.
DTYPES = {1: np.dtype(np.float32), 2: np.dtype(np.float64)}
LAYOUTS = {0: "NCHW", 1: "NHWC"}
MODES = {0: "constant", 1: "reflect", 2: "symmetric", 3: "replicate", 4: "circular"}
FUSED = {0: None, 1: "relu", 2: "leaky_relu", 3: "sigmoid", 4: "tanh", 5: "relu6"}
ALGORITHMS = {0: "auto", 1: "direct", 2: "gemm", 3: "winograd", 4: "fft"}

NO_STRIDES = (0, 0, 0, 0)
ORDERS = {False: (3, 2, 1, 0), True: (1, 3, 2, 0)}    # of the axes N, C, H, W, from neighbours in memory on


class Form(NamedTuple):
    """How an array of four axes lies in memory: strides in bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    itemsize: int


class ConvolutionParts(NamedTuple):
    """A checked convolution, or its gradients; y: or grad_y."""

    plan: Any
    window: Window
    epilogue: Epilogue
    x: Form
    weight: Form
    y: Form
    grad_x: Form
    grad_weight: Form
    bias: Form


class PoolingParts(NamedTuple):
    """A checked pooling, or its gradient; x: or grad_x, y: or grad_y."""

    windows: Any
    channels_last: bool
    x: Form
    y: Form
    indices: Form


def conv2d(fields: dict[str, Any], backward: bool) -> ConvolutionParts:
    """The fields of a ``fastconv_conv2d``."""
    dtype, last = _dtype(fields), _channels_last(fields)
    x_shape, weight_shape = tuple(fields["x_shape"]), _sizes(fields["weight_shape"], "weight_shape")
    checks.image_shape(x_shape, "NCHW", "x_shape", filters=weight_shape)
    mode = _chosen(fields, "padding_mode", MODES)
    activation, algorithm = _chosen(fields, "activation", FUSED), _chosen(fields, "algorithm", ALGORITHMS)
    if backward and (activation is not None or algorithm != "auto"):
        raise ValueError("activation and algorithm must be 0 in a plan of gradients, "
                         f"got {fields['activation']} and {fields['algorithm']}: undo the activation before")
    x = read("x", x_shape, fields["x_strides"], dtype.itemsize, last)
    plan, fill = IMAGES.planned(
        x_shape, weight_shape, tuple(fields["stride"]), _pads(fields), tuple(fields["dilation"]), fields["groups"],
        mode, fields["padding_value"], algorithm, dtype.itemsize,
        last if _without(fields["x_strides"]) else abs(x.strides[1]) < abs(x.strides[3]))
    y_shape = plan.problem.output_shape
    for name, shape in (("x", x_shape), ("weight", weight_shape), ("the result", y_shape)):
        checks.fits_memory(shape, dtype, name)
    weight = read("weight", weight_shape, fields["weight_strides"], dtype.itemsize)
    grad_weight = read("grad_weight", weight_shape, NO_STRIDES, dtype.itemsize)
    if backward:
        y = read("y", y_shape, fields["y_strides"], dtype.itemsize, last)
    else:
        y = written("y", y_shape, fields["y_strides"], dtype.itemsize, last)
        _unused(fields, "grad_x_strides", "a plan of gradients")
    grad_x = written("grad_x", x_shape, fields["grad_x_strides"], dtype.itemsize, last)
    bias = Form((weight_shape[0],), (dtype.itemsize,), dtype.itemsize)
    epilogue = Epilogue(ACTIVATIONS.index(activation), NEGATIVE_SLOPE)
    return ConvolutionParts(plan, plan.window(fill), epilogue, x, weight, y, grad_x, grad_weight, bias)


def pool2d(fields: dict[str, Any], average: bool, backward: bool) -> PoolingParts:
    """The fields of a ``fastconv_pool2d``."""
    dtype, last = _dtype(fields), _channels_last(fields)
    x_shape = tuple(fields["x_shape"])
    checks.image_shape(x_shape, "NCHW", "x_shape")
    counted = _flag(fields, "count_include_pad")
    if not average and (fields["divisor_override"] or not counted):
        raise ValueError("count_include_pad and divisor_override must be 1 and 0 for max pooling, "
                         f"got {fields['count_include_pad']} and {fields['divisor_override']}")
    stride = None if tuple(fields["stride"]) == (0, 0) else tuple(fields["stride"])
    windows = pooling_calls.sliding(
        x_shape[2:], tuple(fields["kernel_size"]), stride, _pads(fields), tuple(fields["dilation"]),
        _flag(fields, "ceil_mode"), _flag(fields, "wide_padding"), counted, fields["divisor_override"] or None)
    y_shape = (*x_shape[:2], *windows.output_size)
    for name, shape in (("x", x_shape), ("the result", y_shape)):
        checks.fits_memory(shape, np.dtype(np.int64), name)
    _unused(fields, *(("x_strides", "a pooling") if backward else ("grad_y_strides", "a gradient")))
    x = read("x", x_shape, fields["x_strides"], dtype.itemsize, last)
    y = read("grad_y", y_shape, fields["grad_y_strides"], dtype.itemsize, last)
    return PoolingParts(windows, last, x, y, read("indices", y_shape, NO_STRIDES, 8, last))


# ---------------------------------------------------------------------------------------------------------------------
# Memory


def read(name: str, shape: tuple[int, ...], strides: list[int] | tuple[int, ...], itemsize: int,
         channels_last: bool = False) -> Form:
    """An array of this shape in memory, by its strides, or, where all of them are 0, without gaps."""
    if _without(strides):
        steps, step = [0] * 4, itemsize
        for axis in ORDERS[channels_last]:
            steps[axis] = step
            step *= max(shape[axis], 1)
        return Form(shape, tuple(steps), itemsize)
    given = tuple(strides)
    if any(step % itemsize for step in given):
        raise ValueError(f"{name}_strides must be multiples of the {itemsize} bytes of an element, got {given}: "
                         "strides are counted in bytes")
    if 0 not in shape and sum(abs(step) * (length - 1) for step, length in zip(given, shape)) > sys.maxsize - itemsize:
        raise ValueError(f"{name}_strides must stay within the memory that can be addressed, got {given} for shape "
                         f"{shape}")
    return Form(shape, given, itemsize)


def written(name: str, shape: tuple[int, ...], strides: list[int] | tuple[int, ...], itemsize: int,
            channels_last: bool = False) -> Form:
    """The same of an array that is written: no two elements share memory."""
    form = read(name, shape, strides, itemsize, channels_last)
    spanned = itemsize
    for step, length in sorted((abs(step), length) for step, length in zip(form.strides, shape) if length > 1):
        if step < spanned:
            raise ValueError(f"{name}_strides must keep elements apart, each larger than all that smaller ones span, "
                             f"got {form.strides} for shape {shape}")
        spanned += step * (length - 1)
    return form


# ---------------------------------------------------------------------------------------------------------------------
# Fields


def _dtype(fields: dict[str, Any]) -> np.dtype[Any]:
    dtype: np.dtype[Any] = _chosen(fields, "dtype", DTYPES)
    return dtype


def _channels_last(fields: dict[str, Any]) -> bool:
    return bool(_chosen(fields, "layout", LAYOUTS) == "NHWC")


def _chosen(fields: dict[str, Any], name: str, choices: dict[int, Any]) -> Any:
    if fields[name] not in choices:
        meanings = ", ".join(f"{number} ({meaning or 'none'})" for number, meaning in choices.items())
        raise ValueError(f"{name} must be one of {meanings}, got {fields[name]}")
    return choices[fields[name]]


def _flag(fields: dict[str, Any], name: str) -> bool:
    if fields[name] not in (0, 1):
        raise ValueError(f"{name} must be 0 or 1, got {fields[name]}")
    return bool(fields[name])


def _sizes(value: list[int], name: str) -> tuple[int, ...]:
    return checks.integers(value, name, minimum=0)


def _pads(fields: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    top, bottom, left, right = fields["padding"]
    return (top, bottom), (left, right)


def _without(strides: list[int] | tuple[int, ...]) -> bool:
    return tuple(strides) == NO_STRIDES


def _unused(fields: dict[str, Any], name: str, of: str) -> None:
    if not _without(fields[name]):
        raise ValueError(f"{name} must be 0, 0, 0, 0 here, got {tuple(fields[name])}: they are for {of}")
