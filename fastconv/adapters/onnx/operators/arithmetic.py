"""Element by element: arithmetic, comparisons, activations.

Activations of floats are fastconv's own; arithmetic is NumPy's, into arrays that are there already.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv._core.pointwise import addition, curves, elementwise
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.channels import scaled
from fastconv.adapters.onnx.operators.erf import erf
from fastconv.adapters.onnx.program import Builder, Value
from fastconv.adapters.onnx.types import dtype_of

# From so many on a row of channels is long enough for NumPy's loops: 64 x 80 x 80 pixels take 138 us there, 178 with
# filters of one tap; 8 x 12 x 96 12.5 and 4.3.
MANY_CHANNELS = 64

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def call(function: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """A step that calls function(*inputs, output)."""
    if isinstance(function, np.ufunc):
        return lambda *arrays: functools.partial(function, *arrays[:-1], out=arrays[-1])
    return lambda *arrays: functools.partial(function, *arrays)


def broadcast(builder: Builder, function: Callable[..., Any], *values: Value, dtype: Any = None,
              about: str = "NumPy") -> Value:
    """function(*arrays, out) of arrays that are repeated to fit."""
    shape = np.broadcast_shapes(*(value.shape for value in values))
    out = builder.like(shape, values[0].dtype if dtype is None else dtype, *values)
    alike = [i for i, value in enumerate(values) if value.shape == shape and value.dtype == out.dtype
             and value.lies(out.order)]
    builder.emit(call(function), values, [out], about, alike[0] if alike else None)
    return out


def same_dtype(*values: Value) -> None:
    if len({value.dtype for value in values}) > 1:
        raise TypeError(f"the inputs must be of one type, got {', '.join(str(value.dtype) for value in values)}")


def aligned(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    """The second operand; in opset 6 `axis` says with which axis of the first one its own begin."""
    if node.version >= 7 or x.shape == y.shape:
        return y
    first = node.attributes.get("axis", x.ndim - y.ndim)
    shape = (*y.shape, *(1,) * (x.ndim - first % x.ndim - y.ndim)) if x.ndim and y.ndim else y.shape
    return builder.view(builder.plain(y), shape, lambda array: array.reshape(shape))


def binary(function: Callable[..., Any], dtype: Any = None) -> Callable[..., Value]:
    def operator(builder: Builder, node: Node, x: Value, y: Value) -> Value:
        same_dtype(x, y)
        y = aligned(builder, node, x, y)
        return broadcast(builder, function, x, y, dtype=dtype)

    return operator


def unary(function: Callable[..., Any], dtype: Any = None) -> Callable[..., Value]:
    def operator(builder: Builder, node: Node, x: Value) -> Value:
        return broadcast(builder, function, x, dtype=dtype)

    return operator


def variadic(function: Callable[..., Any]) -> Callable[..., Value]:
    def operator(builder: Builder, node: Node, x: Value, *others: Value) -> Value:
        same_dtype(x, *others)
        for other in others:
            x = broadcast(builder, function, x, other)
        return x

    return operator


def Add(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    """A sum; of arrays that lie alike with the activation that follows it, in one pass."""
    same_dtype(x, y)
    y = aligned(builder, node, x, y)
    activation = node.attributes.get("activation")
    if x.shape == y.shape and x.dtype in FLOATS and x.size:
        lead = y if x.constant is not None else x
        other = builder.in_memory_order(x if lead is y else y, lead.order)
        out = builder.new(x.shape, x.dtype, lead.order)
        kind, slope = activation or (0, 0.0)

        def bind(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
            return functools.partial(addition.add, a, b, y, kind, slope)

        builder.emit(bind, [lead, other], [out], "sum", 0)
        return out
    out = broadcast(builder, np.add, x, y)
    return out if activation is None else activated(builder, out, *activation)


def Mul(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    """A product; of a map with a factor a channel as a convolution with filters of one tap."""
    same_dtype(x, y)
    y = aligned(builder, node, x, y)
    for maps, factors in ((x, y), (y, x)):
        few = maps.ndim == 4 and maps.shape[0] == 1 and maps.shape[1] < MANY_CHANNELS and maps.dtype in FLOATS
        if few and factors.shape == (1, maps.shape[1], 1, 1) and maps.size > 4 * factors.size:
            return scaled(builder, maps, factors)
    return broadcast(builder, np.multiply, x, y)


def Div(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    """Of integers rounded towards zero, as in C."""
    same_dtype(x, y)
    y = aligned(builder, node, x, y)
    return broadcast(builder, np.divide if x.dtype.kind == "f" else _quotient, x, y)


def _quotient(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    whole = np.floor_divide(a, b)
    if a.dtype.kind == "i":    # floor goes down where the quotient is negative and there is a rest
        whole += (np.remainder(a, b) != 0) & ((a < 0) != (b < 0))
    np.copyto(out, whole)


def Mod(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    same_dtype(x, y)
    """With the sign of the divisor, or with fmod 1 of the dividend."""
    return broadcast(builder, np.fmod if node.attributes.get("fmod", 0) else np.remainder, x, y)


def Pow(builder: Builder, node: Node, x: Value, y: Value) -> Value:
    """Of the type of the base, whatever that of the exponent is."""
    y = aligned(builder, node, x, y)
    if y.constant is not None and y.size == 1 and y.ndim <= x.ndim and x.dtype in FLOATS:
        exponent = float(y.constant.reshape(()))
        if exponent == 2:
            return broadcast(builder, np.square, x)
        if exponent == 0.5:
            return broadcast(builder, np.sqrt, x)
    if x.dtype == y.dtype and x.dtype.kind == "f":
        return broadcast(builder, np.power, x, y)
    return broadcast(builder, _power, x, y)


def _power(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    if a.dtype.kind == "i" and b.dtype.kind == "i":    # NumPy refuses negative exponents of integers
        b = b.astype(np.float64)
    np.copyto(out, np.power(a, b), casting="unsafe")


def Where(builder: Builder, node: Node, condition: Value, x: Value, y: Value) -> Value:
    same_dtype(x, y)
    return broadcast(builder, lambda c, a, b, out: np.copyto(out, np.where(c, a, b)), condition, x, y, dtype=x.dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Activations


def flat(array: np.ndarray) -> np.ndarray:
    """A view of an array that is one piece of memory, as one axis."""
    order = sorted(range(array.ndim), key=lambda axis: (array.shape[axis] == 1, -array.strides[axis]))
    return array.transpose(order).reshape(-1)


def activated(builder: Builder, x: Value, kind: int, slope: float = 0.0) -> Value:
    """One of the activations that convolutions have too."""
    if x.dtype not in FLOATS:
        return _activated_as_double(builder, x, kind, slope)
    out = builder.new(x.shape, x.dtype, x.order)

    def bind(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        return functools.partial(elementwise.activation, flat(x), kind, slope, flat(y))

    builder.emit(bind, [x], [out], "activation", 0)
    return out


def _activated_as_double(builder: Builder, x: Value, kind: int, slope: float) -> Value:
    """Of half precision, and of integers where that makes sense."""
    def run(x: np.ndarray, out: np.ndarray) -> None:
        np.copyto(out, elementwise.activation(np.array(x, np.float64), kind, slope), casting="unsafe")

    return broadcast(builder, run, x)


def curved(builder: Builder, x: Value, kind: int, options: Any = None) -> Value:
    """One of the curves that stand by themselves."""
    options = curves.CurveOptions() if options is None else options
    if x.dtype not in FLOATS:
        return broadcast(builder, lambda x, out: np.copyto(
            out, curves.curve(np.array(x, np.float64), kind, options, None), casting="unsafe"), x)
    out = builder.new(x.shape, x.dtype, x.order)

    def bind(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        return functools.partial(curves.curve, flat(x), kind, options, flat(y))

    builder.emit(bind, [x], [out], "curve", 0)
    return out


def Relu(builder: Builder, node: Node, x: Value) -> Value:
    return activated(builder, x, elementwise.RELU)


def LeakyRelu(builder: Builder, node: Node, x: Value) -> Value:
    return activated(builder, x, elementwise.LEAKY_RELU, node.attributes.get("alpha", 0.01))


def Sigmoid(builder: Builder, node: Node, x: Value) -> Value:
    return activated(builder, x, elementwise.SIGMOID)


def Tanh(builder: Builder, node: Node, x: Value) -> Value:
    return activated(builder, x, elementwise.TANH)


def Elu(builder: Builder, node: Node, x: Value) -> Value:
    return curved(builder, x, curves.ELU, curves.CurveOptions(alpha=node.attributes.get("alpha", 1.0)))


def Gelu(builder: Builder, node: Node, x: Value) -> Value:
    return curved(builder, x, curves.GELU if node.attributes.get("approximate", "none") == "none" else
                  curves.GELU_TANH)


def Swish(builder: Builder, node: Node, x: Value) -> Value:
    alpha = node.attributes.get("alpha", 1.0)
    if alpha == 1:
        return curved(builder, x, curves.SILU)
    scaled = broadcast(builder, np.multiply, x, builder.constant(alpha, x.dtype))
    return broadcast(builder, np.multiply, x, activated(builder, scaled, elementwise.SIGMOID))


def Softplus(builder: Builder, node: Node, x: Value) -> Value:
    return curved(builder, x, curves.SOFTPLUS, curves.CurveOptions(threshold=700.0))


def HardSwish(builder: Builder, node: Node, x: Value) -> Value:
    return curved(builder, x, curves.HARDSWISH)


def HardSigmoid(builder: Builder, node: Node, x: Value) -> Value:
    """That of fastconv, clip(z / 6 + 1 / 2, 0, 1), of a line z."""
    factor, offset = hard_sigmoid_line(node)
    if factor != 1:
        x = broadcast(builder, np.multiply, x, builder.constant(x.dtype.type(factor)))
    if offset:
        x = broadcast(builder, np.add, x, builder.constant(x.dtype.type(offset)))
    return curved(builder, x, curves.HARDSIGMOID)


def hard_sigmoid_line(node: Node) -> tuple[float, float]:
    """The factor and the offset by which the argument becomes that of clip(z / 6 + 1 / 2, 0, 1)."""
    factor, offset = 6 * node.attributes.get("alpha", 0.2), 6 * node.attributes.get("beta", 0.5) - 3
    return (1.0 if math.isclose(factor, 1, rel_tol=1e-6) else factor), offset


def Clip(builder: Builder, node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    if node.version < 11:
        low, high = (None if name not in node.attributes else builder.constant(node.attributes[name], x.dtype)
                     for name in ("min", "max"))
    if x.dtype in FLOATS and low is not None and low.constant is not None and low.constant == 0:
        if high is None or (high.constant is not None and high.constant == np.inf):
            return activated(builder, x, elementwise.RELU)
        if high.constant is not None and high.constant == 6:
            return activated(builder, x, elementwise.RELU6)
    if low is not None:
        x = broadcast(builder, np.maximum, x, low)
    if high is not None:
        x = broadcast(builder, np.minimum, x, high)
    return x


def PRelu(builder: Builder, node: Node, x: Value, slope: Value) -> Value:
    """The slope is repeated to fit x; in opset 6 it has a number for each channel."""
    if node.version < 7 and slope.size > 1:
        shape = (slope.size, *(1,) * (x.ndim - 2))
        slope = builder.view(builder.plain(slope), shape, lambda array: array.reshape(shape))

    def run(x: np.ndarray, slope: np.ndarray, out: np.ndarray) -> None:
        scaled = np.multiply(x, slope)
        np.copyto(out, np.where(x < 0, scaled, x))

    if slope.size == 1 and slope.constant is not None and x.dtype in FLOATS:
        return activated(builder, x, elementwise.LEAKY_RELU, float(slope.constant.reshape(())))
    return broadcast(builder, run, x, slope)


def Erf(builder: Builder, node: Node, x: Value) -> Value:
    return broadcast(builder, lambda x, out: np.copyto(out, erf(x), casting="unsafe"), x)


def ThresholdedRelu(builder: Builder, node: Node, x: Value) -> Value:
    alpha = x.dtype.type(node.attributes.get("alpha", 1.0))
    return broadcast(builder, lambda x, out: np.copyto(out, np.where(x > alpha, x, x.dtype.type(0))), x)


def Selu(builder: Builder, node: Node, x: Value) -> Value:
    alpha = node.attributes.get("alpha", 1.67326319217681884765625)
    gamma = node.attributes.get("gamma", 1.05070102214813232421875)
    curve = curved(builder, x, curves.ELU, curves.CurveOptions(alpha=alpha))
    return broadcast(builder, np.multiply, curve, builder.constant(gamma, x.dtype))


def Softsign(builder: Builder, node: Node, x: Value) -> Value:
    return broadcast(builder, lambda x, out: np.divide(x, 1 + np.abs(x), out), x)


def IsInf(builder: Builder, node: Node, x: Value) -> Value:
    signs = [sign for sign, name in ((1, "detect_positive"), (-1, "detect_negative")) if node.attributes.get(name, 1)]
    return broadcast(builder, lambda x, out: np.copyto(out, np.isinf(x) & np.isin(np.sign(x), signs)), x, dtype=bool)


def Celu(builder: Builder, node: Node, x: Value) -> Value:
    alpha = x.dtype.type(node.attributes.get("alpha", 1.0))
    return broadcast(builder, lambda x, out: np.copyto(out, np.where(x > 0, x, alpha * np.expm1(x / alpha))), x)


def Mish(builder: Builder, node: Node, x: Value) -> Value:
    return broadcast(builder, lambda x, out: np.multiply(x, np.tanh(np.logaddexp(x, x.dtype.type(0))), out), x)


def converted(builder: Builder, x: Value, dtype: Any) -> Value:
    """Of another type, as C converts."""
    if x.dtype == dtype:
        return builder.view(x, x.shape, lambda array: array, x.order)
    return broadcast(builder, lambda x, out: np.copyto(out, x, casting="unsafe"), x, dtype=dtype)


def Cast(builder: Builder, node: Node, x: Value) -> Value:
    return converted(builder, x, dtype_of(node.attributes["to"], "to"))


def CastLike(builder: Builder, node: Node, x: Value, like: Value) -> Value:
    return converted(builder, x, like.dtype)


def Mean(builder: Builder, node: Node, x: Value, *others: Value) -> Value:
    total = variadic(np.add)(builder, node, x, *others)
    return broadcast(builder, np.divide, total, builder.constant(1 + len(others), x.dtype))


def _reciprocal(x: np.ndarray, out: np.ndarray) -> None:
    np.divide(x.dtype.type(1), x, out)


OPERATORS = {
    "Add": Add, "Sub": binary(np.subtract), "Mul": Mul, "Div": Div, "Mod": Mod, "Pow": Pow,
    "Sqrt": unary(np.sqrt), "Exp": unary(np.exp), "Log": unary(np.log), "Abs": unary(np.abs), "Neg": unary(np.negative),
    "Reciprocal": unary(_reciprocal), "Floor": unary(np.floor), "Ceil": unary(np.ceil), "Round": unary(np.rint),
    "Sign": unary(np.sign), "Sin": unary(np.sin), "Cos": unary(np.cos), "Erf": Erf,
    "Max": variadic(np.maximum), "Min": variadic(np.minimum), "Sum": variadic(np.add), "Mean": Mean,
    "Equal": binary(np.equal, bool), "Greater": binary(np.greater, bool), "Less": binary(np.less, bool),
    "GreaterOrEqual": binary(np.greater_equal, bool), "LessOrEqual": binary(np.less_equal, bool),
    "And": binary(np.logical_and, bool), "Or": binary(np.logical_or, bool), "Xor": binary(np.logical_xor, bool),
    "Not": unary(np.logical_not, bool), "Where": Where, "IsNaN": unary(np.isnan, bool), "IsInf": IsInf,
    "Relu": Relu, "LeakyRelu": LeakyRelu, "PRelu": PRelu, "Sigmoid": Sigmoid, "Tanh": Tanh, "Elu": Elu, "Selu": Selu,
    "Celu": Celu, "Mish": Mish,
    "Gelu": Gelu, "Swish": Swish, "Softplus": Softplus, "Softsign": Softsign, "ThresholdedRelu": ThresholdedRelu,
    "HardSwish": HardSwish, "HardSigmoid": HardSigmoid, "Clip": Clip, "Cast": Cast, "CastLike": CastLike,
}
