"""Convolutions in one, two and three dimensions, and transposed ones.

What a driver makes of constant weights is made once for a plan, and kept for programs of other shapes that need the
same. A step is nothing but the call of the driver on a record of arrays that stay where they are.

The passes over the graph (fold.py) leave three attributes: `activation`, the index and the slope of one that follows;
`residual`, that the last input is an array of the result's shape which is added before that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import Epilogue
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS, activated, broadcast, converted
from fastconv.adapters.onnx.operators.channels import NOTHING
from fastconv.adapters.onnx.operators.products import multiplied
from fastconv.adapters.onnx.operators.windows import pads_of, per_axis
from fastconv.adapters.onnx.program import Builder, Value


def _dimensions(axes: int) -> Any:
    """The convolutions over so many axes."""
    if axes == 1:
        from fastconv.functional.signals import SIGNALS

        return SIGNALS
    if axes == 2:
        from fastconv.functional.conv import IMAGES

        return IMAGES
    from fastconv.functional.volumes import VOLUMES

    return VOLUMES


def _transposed(axes: int) -> Any:
    if axes == 1:
        from fastconv.functional.transposed import SIGNALS

        return SIGNALS
    if axes == 2:
        from fastconv.functional.transposed import IMAGES

        return IMAGES
    from fastconv.functional.transposed_volumes import VOLUMES

    return VOLUMES


def _rows(array: np.ndarray) -> np.ndarray:
    """Signals as images of one row."""
    return array[:, :, None] if array.ndim == 3 else array


def _checked(x: Value, weight: Value, bias: Value | None) -> int:
    """How many axes the maps have."""
    axes = x.ndim - 2
    if not 1 <= axes <= 3:
        raise NotImplementedError(f"convolutions of maps with {axes} axes are not supported, only of 1 to 3")
    for name, value in (("X", x), ("W", weight), ("B", bias)):
        if value is not None and value.dtype not in FLOATS:
            raise NotImplementedError(f"{name} of {value.dtype} is not supported: convolutions are of float32 and "
                                      "float64")
        if value is not None and value.dtype != x.dtype:
            raise TypeError(f"{name} must be {x.dtype}, as X, got {value.dtype}")
    if weight.ndim != x.ndim:
        raise ValueError(f"W must have {x.ndim} axes, as X, got shape {weight.shape}")
    return axes


def in_single_precision(operator: Callable[..., Value]) -> Callable[..., Value]:
    """The same of half precision: computed in single precision and rounded."""
    @functools.wraps(operator)
    def wrapped(builder: Builder, node: Node, *values: Value | None) -> Value:
        if values[0] is None or values[0].dtype != np.float16:
            return operator(builder, node, *values)
        wider = [value if value is None or value.dtype != np.float16 else converted(builder, value, np.float32)
                 for value in values]
        return converted(builder, operator(builder, node, *wider), np.float16)

    return wrapped


@in_single_precision
def Conv(builder: Builder, node: Node, x: Value, weight: Value, bias: Value | None = None,
         residual: Value | None = None) -> Value:
    axes = _checked(x, weight, bias)
    stride, dilation = per_axis(node, "strides", axes), per_axis(node, "dilations", axes)
    pads = pads_of(node, x.shape[2:], weight.shape[2:], stride, dilation)
    activation = node.attributes.get("activation", NOTHING)
    if x.shape[2:] == weight.shape[2:] == (1,) * axes and not any(map(sum, pads)) and x.shape[1] == weight.shape[1]:
        return _of_pixels(builder, activation, x, weight, bias, residual)
    x = builder.as_maps(x)
    kind = _dimensions(axes)
    plan, _ = kind.planned(x.shape, weight.shape, stride, pads, dilation, node.attributes.get("group", 1), "constant",
                           0.0, "auto", x.dtype.itemsize, builder.maps_last)
    shape = tuple(kind.output_shape(plan.problem))
    if bias is not None and bias.shape != shape[1:2]:
        raise ValueError(f"B must have shape {shape[1:2]}, one number for each filter, got {bias.shape}")
    out = builder.maps(shape, x.dtype)
    if residual is not None and residual.shape == shape and residual.dtype == x.dtype and axes == 2:
        adding = conv2d_plan(plan.problem._replace(accumulate=True), "auto")
        if adding.driver is plan.driver and x.size:
            residual = builder.as_maps(residual)
            _emit(builder, adding, kind, [x, weight, bias, residual], out, activation, True)
            return out
    apart = NOTHING if residual is not None else activation
    if 0 in shape:
        builder.emit(lambda *arrays: lambda: None, [x, weight], [out], "nothing to compute")
    else:
        _emit(builder, plan, kind, [x, weight, bias], out, apart)
    if residual is None:
        return out
    out = broadcast(builder, np.add, out, residual)
    return out if not activation[0] else activated(builder, out, *activation)


def _of_pixels(builder: Builder, activation: tuple[int, float], x: Value, weight: Value, bias: Value | None,
               residual: Value | None) -> Value:
    """Maps of one pixel: a product of matrices."""
    shape, filters = (x.shape[0], weight.shape[0], *x.shape[2:]), weight.shape[:2]
    rows = builder.view(builder.plain(x), x.shape[:2], lambda array: array.reshape(array.shape[:2]))
    turned = builder.view(builder.plain(weight), filters[::-1], lambda array: array.reshape(filters).T, (1, 0))
    y = multiplied(builder, rows, turned, bias)
    y = builder.view(y, shape, lambda array: array.reshape(shape))
    if residual is not None:
        y = broadcast(builder, np.add, y, residual)
    return activated(builder, y, *activation) if activation[0] else y


def _emit(builder: Builder, plan: Any, kind: Any, given: list[Value | None], out: Value, activation: tuple[int, float],
          accumulate: bool = False) -> None:
    """The step of a convolution; of four inputs the last is what is added."""
    window, epilogue = plan.window(), Epilogue(*activation, accumulate)
    present = [value for value in given if value is not None]
    prepared = _prepared(builder, given[1], plan, plan.problem)
    has_bias = given[2] is not None
    record, convolve = kind.record, plan.convolve
    builder.nanoseconds += getattr(plan, "nanoseconds", 0.0)

    def bind(*arrays: np.ndarray) -> Callable[[], Any]:
        x, w, *others, y = arrays
        bias = np.ascontiguousarray(others[0]) if has_bias else None
        call = functools.partial(convolve, record(_rows(x), _rows(w), bias, _rows(y), window, epilogue), *prepared())
        if accumulate and not _same_place(others[-1], y):
            return functools.partial(_add, others[-1], y, call)
        return call

    about = f"{plan.algorithm if kind.axes == 3 else plan.driver.name}{', added to a map' if accumulate else ''}"
    builder.emit(bind, present, [out], about, len(present) - 1 if accumulate else None)


def _prepared(builder: Builder, weight: Any, plan: Any, key: Any) -> Callable[[], tuple[Any, ...]]:
    """Makes, when arrays are bound, what the driver needs of constant weights."""
    constant = weight.constant
    if constant is None:
        return tuple
    return lambda: builder.keep(constant, key, lambda: plan.prepare(_rows(constant)))


def _same_place(a: np.ndarray, b: np.ndarray) -> bool:
    return a.__array_interface__["data"][0] == b.__array_interface__["data"][0]


def _add(residual: np.ndarray, y: np.ndarray, call: Callable[[], Any]) -> None:
    np.copyto(y, residual)
    call()


@in_single_precision
def ConvTranspose(builder: Builder, node: Node, x: Value, weight: Value, bias: Value | None = None) -> Value:
    axes = _checked(x, weight, bias)
    stride, dilation = per_axis(node, "strides", axes), per_axis(node, "dilations", axes)
    more = per_axis(node, "output_padding", axes, 0)
    groups = node.attributes.get("group", 1)
    kernel = weight.shape[2:]
    pads, sizes = _transposed_pads(node, x.shape[2:], kernel, stride, dilation, more)
    x = builder.as_maps(x)
    kind = _transposed(axes)
    if x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise ValueError(f"W must have {x.shape[1]} filters, as X has channels, and group divide them, got shape "
                         f"{weight.shape} and group {groups}")
    shape = (x.shape[0], weight.shape[1] * groups, *sizes)
    if min(sizes) < 1:
        raise ValueError(f"pads leave nothing of the result: its size would be {sizes}")
    problem = kind.problem(shape, weight.shape, stride, pads, dilation, groups, tuple(x.shape[2:]), x.dtype.itemsize,
                           builder.maps_last, "constant")
    plan = kind.planned(problem, "auto")
    out = builder.maps(shape, x.dtype)
    if x.size == 0:
        raise NotImplementedError("an empty batch is not supported here")
    epilogue = Epilogue(*node.attributes.get("activation", NOTHING))
    prepared = _prepared(builder, weight, plan, ("transposed", problem))
    builder.nanoseconds += getattr(plan, "expected", 0.0)

    def bind(x: np.ndarray, w: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
        *bias, y = others
        return functools.partial(plan, _rows(x), _rows(w), _rows(y), bias[0] if bias else None, epilogue, *prepared())

    given = [x, weight] if bias is None else [x, weight, bias]
    builder.emit(bind, given, [out], plan.algorithm if axes == 3 else plan.driver.name)
    return out


def _transposed_pads(node: Node, size: Any, kernel: Any, stride: Any, dilation: Any, more: Any) -> tuple[Any, Any]:
    """The padding that is cut off, and the size of the result."""
    full = [(length - 1) * step + distance * (taps - 1) + 1 + each
            for length, step, distance, taps, each in zip(size, stride, dilation, kernel, more)]
    wanted, auto = node.attributes.get("output_shape"), node.attributes.get("auto_pad", "NOTSET")
    if wanted:
        wanted = tuple(wanted)[-len(full):]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(length * step for length, step in zip(size, stride))
    else:
        pads = pads_of(node, size, kernel, stride, dilation)
        return pads, tuple(length - before - after for length, (before, after) in zip(full, pads))
    cut = []
    for length, asked in zip(full, wanted):
        total = max(length - asked, 0)
        fewer, rest = total // 2, total - total // 2
        # The odd one is at the end with SAME_UPPER, as in the convolution that leads back.
        cut.append((fewer, rest) if auto == "SAME_UPPER" else (rest, fewer))
    return tuple(cut), tuple(wanted)


OPERATORS = {"Conv": Conv, "ConvTranspose": ConvTranspose}
