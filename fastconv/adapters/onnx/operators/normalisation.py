"""Normalisations, at inference: of batches by numbers that are known, of instances, groups and layers by their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS, activated, broadcast
from fastconv.adapters.onnx.operators.channels import NOTHING, scaled
from fastconv.adapters.onnx.program import Builder, Value


def trains(node: Node) -> bool:
    """Whether a batch normalisation measures the batch, as opset 6 does where `is_test` does not say otherwise."""
    return bool(node.attributes.get("training_mode", 0)) or (node.version < 7 and not node.attributes.get("is_test", 0))


def BatchNormalization(builder: Builder, node: Node, x: Value, scale: Value, offset: Value, mean: Value,
                       variance: Value) -> Value:
    """A factor and an offset for each channel, which follow from the four numbers."""
    if trains(node) or len([name for name in node.outputs if name]) > 1:
        raise NotImplementedError("training_mode is not supported: the runner predicts")
    if node.attributes.get("spatial", 1) != 1:
        raise NotImplementedError("spatial 0 of opset 8 and before is not supported")
    for name, value in (("scale", scale), ("B", offset), ("mean", mean), ("var", variance)):
        if value.shape != x.shape[1:2]:
            raise ValueError(f"{name} must have shape {x.shape[1:2]}, one number for each channel, got {value.shape}")
    epsilon = node.attributes.get("epsilon", 1e-5)
    dtype = x.dtype if x.dtype in FLOATS else np.dtype(np.float32)
    factors, offsets = builder.new(scale.shape, dtype), builder.new(scale.shape, dtype)

    def bind(*arrays: np.ndarray) -> Callable[[], Any]:
        return functools.partial(_line, epsilon, *arrays)

    builder.emit(bind, [scale, offset, mean, variance], [factors, offsets], "factors and offsets")
    if x.dtype in FLOATS and 3 <= x.ndim <= 4 and x.size:
        return scaled(builder, x, factors, offsets, node.attributes.get("activation", NOTHING))
    shape = (*scale.shape, *(1,) * (x.ndim - 2))
    lines = [builder.view(value, shape, lambda array: array.reshape(shape)) for value in (factors, offsets)]

    def run(x: np.ndarray, factors: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
        np.copyto(out, x * factors + offsets, casting="unsafe")

    y = broadcast(builder, run, x, *lines)
    return y if "activation" not in node.attributes else activated(builder, y, *node.attributes["activation"])


def _line(epsilon: float, scale: np.ndarray, offset: np.ndarray, mean: np.ndarray, variance: np.ndarray,
          factors: np.ndarray, offsets: np.ndarray) -> None:
    exact = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    np.copyto(factors, exact, casting="unsafe")
    np.copyto(offsets, offset - mean * exact, casting="unsafe")


def _grouped(builder: Builder, x: Value, groups: int, epsilon: float, scale: Value | None,
             offset: Value | None) -> Value:
    """Each group of channels of each image as fastconv normalises it."""
    from fastconv.functional.layer_normalisation import group_norm

    if x.dtype not in FLOATS:
        raise NotImplementedError(f"normalisation of {x.dtype} is not supported")
    x = builder.plain(x)
    out = builder.new(x.shape, x.dtype)
    given = [x, *(value for value in (scale, offset) if value is not None)]

    def bind(x: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
        *numbers, y = others
        weight, bias = (*numbers, None, None)[:2]
        return functools.partial(group_norm, x, groups, weight, bias, eps=epsilon, out=y)

    builder.emit(bind, given, [out], "of groups")
    return out


def InstanceNormalization(builder: Builder, node: Node, x: Value, scale: Value, offset: Value) -> Value:
    return _grouped(builder, x, x.shape[1], node.attributes.get("epsilon", 1e-5), scale, offset)


def GroupNormalization(builder: Builder, node: Node, x: Value, scale: Value, offset: Value) -> Value:
    if node.version < 21:    # where scale and bias have a number for each group, which was withdrawn
        raise NotImplementedError("GroupNormalization before opset 21 is not supported")
    return _grouped(builder, x, node.attributes["num_groups"], node.attributes.get("epsilon", 1e-5), scale, offset)


def LayerNormalization(builder: Builder, node: Node, x: Value, scale: Value,
                       offset: Value | None = None) -> list[Value]:
    """Of the last axes; the mean and the reciprocal of the standard deviation too, where they are asked for."""
    from fastconv.functional.layer_normalisation import layer_norm

    axis, epsilon = node.attributes.get("axis", -1) % x.ndim, node.attributes.get("epsilon", 1e-5)
    if x.dtype not in FLOATS or scale.shape != x.shape[axis:]:
        raise NotImplementedError(f"normalisation of {x.dtype} with a scale of shape {scale.shape} is not supported")
    x = builder.plain(x)
    out, shape = builder.new(x.shape, x.dtype), x.shape[axis:]

    def bind(x: np.ndarray, scale: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
        *offset, y = others
        return functools.partial(layer_norm, x, shape, scale, offset[0] if offset else None, eps=epsilon, out=y)

    builder.emit(bind, [x, scale] if offset is None else [x, scale, offset], [out], "of layers")
    if not any(node.outputs[1:]):
        return [out]
    along = tuple(range(axis, x.ndim))
    mean, deviation = (builder.new((*x.shape[:axis], *(1,) * len(along)), x.dtype) for _ in range(2))

    def measure(x: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
        np.mean(x, along, out=mean, keepdims=True)
        np.divide(1, np.sqrt(np.var(x, along, keepdims=True) + x.dtype.type(epsilon)), out=deviation)

    builder.emit(lambda *arrays: functools.partial(measure, *arrays), [x], [mean, deviation], "NumPy")
    return [out, mean, deviation]


def LRN(builder: Builder, node: Node, x: Value) -> Value:
    """Each pixel divided by a power of the squares of the channels around it."""
    size, bias = node.attributes["size"], node.attributes.get("bias", 1.0)
    alpha, beta = node.attributes.get("alpha", 1e-4), node.attributes.get("beta", 0.75)
    before, channels = (size - 1) // 2, x.shape[1]

    def run(x: np.ndarray, out: np.ndarray) -> None:
        squares, total = np.square(x), np.zeros_like(x)
        for distance in range(-before, size - before):    # each channel sees those around it that there are
            first, last = max(0, -distance), channels - max(0, distance)
            if first < last:
                total[:, first:last] += squares[:, first + distance:last + distance]
        np.divide(x, (x.dtype.type(bias) + x.dtype.type(alpha / size) * total) ** x.dtype.type(beta), out)

    return broadcast(builder, run, x)


OPERATORS = {"BatchNormalization": BatchNormalization, "InstanceNormalization": InstanceNormalization,
             "GroupNormalization": GroupNormalization, "LayerNormalization": LayerNormalization, "LRN": LRN}
