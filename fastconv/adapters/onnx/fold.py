"""Passes over a graph that leave fewer nodes: what is constant is computed, what follows a convolution joins it.

    Constant, and what nothing needs       gone
    Conv, BatchNormalization               one convolution with other weights; so with Mul and Add of a number a channel
    BatchNormalization, Conv               the same, and with Mul and Add; offsets only where nothing is padded
    x Sigmoid(x), x HardSigmoid(x)         Swish, HardSwish; so with what exporters write for these and for Gelu
    Conv, activation                       the activation is applied while the result is in the cache
    Conv, Add of another map               the sums are added to that map

None of this depends on shapes that are not known yet. Each pass is exact but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv.adapters.onnx.graph import Graph, Node
from fastconv.adapters.onnx.operators import run_operator
from fastconv.adapters.onnx.operators.arithmetic import hard_sigmoid_line
from fastconv.adapters.onnx.operators.normalisation import trains
from fastconv.adapters.onnx.patterns import Uses, rewritten
from fastconv.adapters.onnx.program import Builder

__all__ = ["folded"]

#: Activations that a convolution applies: the node -> the index and the slope.
_ACTIVATIONS: dict[str, Callable[[Node], tuple[int, float]]] = {
    "Relu": lambda node: (elementwise.RELU, 0.0), "Sigmoid": lambda node: (elementwise.SIGMOID, 0.0),
    "Tanh": lambda node: (elementwise.TANH, 0.0),
    "LeakyRelu": lambda node: (elementwise.LEAKY_RELU, node.attributes.get("alpha", 0.01)),
}

_CONVOLUTIONS = ("Conv", "ConvTranspose")


def folded(graph: Graph) -> Graph:
    """The graph that does the same with fewer nodes."""
    for one in (_without_constants, rewritten, _with_plain_hard_sigmoids, _into_weights, _into_weights_behind,
                _with_activations, _with_residuals):
        graph = one(graph)
    return _without_unused(graph)


def _made(graph: Graph, nodes: list[Node], constants: dict[str, np.ndarray] | None = None) -> Graph:
    return Graph(graph.inputs, graph.outputs, graph.constants if constants is None else constants, nodes, graph.opset)


def _without_constants(graph: Graph) -> Graph:
    """What follows from constants alone among these; nothing but an array's name stands under its first name."""
    constants, nodes = dict(graph.constants), []
    names: dict[str, str] = {}
    for node in graph.nodes:
        node = node.like(node.op, [names.get(name, name) for name in node.inputs], node.outputs, **node.attributes)
        if all(not name or name in constants for name in node.inputs) and node.op not in _LARGER:
            constants.update(_computed(node, constants))
        elif node.op in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs and len(node.inputs) == 1 and (
                not any(node.outputs[1:])):
            names[node.outputs[0]] = node.inputs[0]
        else:
            nodes.append(node)
    return _made(graph, nodes, constants)


#: What a file says in few bytes.
_LARGER = ("Expand", "Tile", "ConstantOfShape", "Resize", "Upsample", "Range")


def _computed(node: Node, constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The results of a node whose inputs are constants."""
    builder = Builder(False)
    results = run_operator(builder, node, [builder.constant(constants[name]) if name else None for name in node.inputs])
    return {name: builder.known(value) for name, value in zip(node.outputs, results) if name}


def _without_unused(graph: Graph) -> Graph:
    needed, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if any(name in needed for name in node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    constants = {name: array for name, array in graph.constants.items() if name in needed}
    return _made(graph, kept[::-1], constants)


# ---------------------------------------------------------------------------------------------------------------------
# Into the weights


def _with_plain_hard_sigmoids(graph: Graph) -> Graph:
    """HardSigmoid as fastconv has it, of a factor and an offset that a convolution before it can take up."""
    constants, nodes, uses = dict(graph.constants), [], Uses(graph)
    made = {node.outputs[0]: node for node in graph.nodes if node.op in _CONVOLUTIONS
            and _has_constant_weights(node, graph.constants)}
    for node in graph.nodes:
        conv = made.get(node.inputs[0]) if node.op == "HardSigmoid" else None
        factor, offset = hard_sigmoid_line(node) if conv is not None else (1.0, 0.0)
        if conv is None or not uses.once(node.inputs[0]) or (factor == 1 and not offset):
            nodes.append(node)
            continue
        name, dtype = node.outputs[0], constants[conv.inputs[1]].dtype
        constants[f"{name} factor"], constants[f"{name} offset"] = (
            np.array([number], dtype) for number in (factor, offset))
        nodes += [node.like("Mul", [node.inputs[0], f"{name} factor"], [f"{name} product"]),
                  node.like("Add", [f"{name} product", f"{name} offset"], [f"{name} line"]),
                  node.like("HardSigmoid", [f"{name} line"], node.outputs, alpha=1 / 6, beta=0.5)]
    return _made(graph, nodes, constants)


def _into_weights(graph: Graph) -> Graph:
    """Factors and offsets of channels behind a convolution with constant weights become part of these."""
    constants, uses = dict(graph.constants), Uses(graph)
    nodes: list[Node] = []
    made: dict[str, Node] = {}    # convolutions by the name of their result
    for node in graph.nodes:
        conv, line = _behind(node, constants, made)
        if conv is None or line is None or not uses.once(conv.outputs[0]):
            nodes.append(node)
            if node.op in _CONVOLUTIONS and _has_constant_weights(node, constants):
                made[node.outputs[0]] = node
            continue
        joined = _rescaled(conv, node, line, constants)
        nodes[nodes.index(conv)] = joined
        made[joined.outputs[0]] = joined
    return _made(graph, nodes, constants)


def _has_constant_weights(node: Node, constants: dict[str, np.ndarray]) -> bool:
    names = [name for name in node.inputs[1:] if name]
    return all(name in constants and constants[name].dtype in (np.float32, np.float64) for name in names)


def _channels(node: Node, constants: dict[str, np.ndarray]) -> int:
    weight = constants[node.inputs[1]]
    return len(weight) if node.op == "Conv" else weight.shape[1] * node.attributes.get("group", 1)


class _Line(NamedTuple):
    """A factor and an offset for each channel, or one for all of them."""

    factor: np.ndarray
    offset: np.ndarray


def _behind(node: Node, constants: dict[str, np.ndarray], made: dict[str, Node]) -> tuple[Node | None, _Line | None]:
    """Where a node is a line for each channel of a convolution before it: that, and the line."""
    for side, name in enumerate(node.inputs[:2]):
        conv = made.get(name)
        if conv is not None:
            weight = constants[conv.inputs[1]]
            line = _line(node, side, constants, (weight.ndim, _channels(conv, constants)), weight.dtype)
            if line is not None:
                return conv, line
    return None, None


def _line(node: Node, side: int, constants: dict[str, np.ndarray], maps: tuple[int, int],
          dtype: Any) -> _Line | None:
    """What a node does to the maps that are its input of this side, and have so many axes and channels."""
    if node.op == "BatchNormalization":
        if side or not all(name in constants for name in node.inputs[1:]) or len(node.outputs) > 1 or (
                trains(node) or node.attributes.get("spatial", 1) != 1):
            return None
        scale, offset, mean, variance = (constants[name].astype(np.float64) for name in node.inputs[1:5])
        factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        return _Line(factor, offset - mean * factor)
    if node.op not in ("Mul", "Add", *(("Sub", "Div") if side == 0 else ())):
        return None
    other = constants.get(node.inputs[1 - side])
    numbers = None if other is None or other.dtype != dtype else _for_each_channel(other, *maps)
    if numbers is None:
        return None
    if node.op in ("Mul", "Div"):
        with np.errstate(divide="ignore"):
            return _Line(numbers if node.op == "Mul" else 1 / numbers, np.zeros(1))
    return _Line(np.ones(1), numbers if node.op == "Add" else -numbers)


def _for_each_channel(array: np.ndarray, ndim: int, channels: int) -> np.ndarray | None:
    """A number for each channel, or one for all, of an array that is repeated to fit maps; else None."""
    if array.size == 1 and array.ndim <= ndim:
        return array.reshape(1).astype(np.float64)
    shape = (1,) * (ndim - array.ndim) + array.shape
    if array.ndim <= ndim and shape == (1, channels, *(1,) * (ndim - 2)):
        return array.reshape(-1).astype(np.float64)
    return None


def _rescaled(conv: Node, node: Node, line: _Line, constants: dict[str, np.ndarray]) -> Node:
    """The convolution whose result is that of the node."""
    factor, offset = (np.broadcast_to(each, _channels(conv, constants)) for each in line)
    weight = constants[conv.inputs[1]]
    if conv.op == "Conv":
        shape = (-1, *(1,) * (weight.ndim - 1))
        changed = weight * factor.reshape(shape)
    else:    # (C, K / groups, ...): channel c belongs to a group of filters
        groups = conv.attributes.get("group", 1)
        each = factor.reshape(groups, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
        changed = (weight.reshape(groups, -1, *weight.shape[1:]) * each).reshape(weight.shape)
    has_bias = len(conv.inputs) > 2 and conv.inputs[2]
    bias = constants[conv.inputs[2]] * factor + offset if has_bias else offset
    names = f"{node.outputs[0]} weight", f"{node.outputs[0]} bias"
    constants[names[0]], constants[names[1]] = changed.astype(weight.dtype), bias.astype(weight.dtype)
    return conv.like(conv.op, [conv.inputs[0], *names], node.outputs[:1], **conv.attributes)


#: Offsets of maps up to which a convolution takes them up. It then multiplies the maps before the offset, which lie so
#: much further from zero: where the numbers behind it are of order one, rounding errors grow by no more than this.
_LARGEST_OFFSET = 8.0


def _into_weights_behind(graph: Graph) -> Graph:
    """Factors and offsets of channels before a convolution with constant weights become part of these."""
    constants, uses = dict(graph.constants), Uses(graph)
    dropped: set[str] = set()    # results of nodes that are part of a convolution
    nodes = []
    for node in graph.nodes:
        if node.op == "Conv" and _has_constant_weights(node, constants):
            source, line = _before(node, graph, uses, dropped)
            if line is not None:
                node = _with_line_before(node, source, line, constants)
        nodes.append(node)
    return _made(graph, [node for node in nodes if not dropped.intersection(node.outputs)], constants)


def _before(conv: Node, graph: Graph, uses: Uses, dropped: set[str]) -> tuple[str, _Line | None]:
    """The maps before the lines that a convolution takes up, whose nodes are dropped; and these lines as one."""
    weight = graph.constants[conv.inputs[1]]
    maps = weight.ndim, weight.shape[1] * conv.attributes.get("group", 1)
    names, lines = [conv.inputs[0]], [_Line(np.ones(1), np.zeros(1))]
    while uses.once(names[-1]) and names[-1] in uses.makers:
        node = uses.makers[names[-1]]
        found = [(name, line) for side, name in enumerate(node.inputs[:2]) if name not in graph.constants
                 and (line := _line(node, side, graph.constants, maps, weight.dtype)) is not None]
        if not found:
            break
        (name, line), last = found[0], lines[-1]
        names.append(name)
        lines.append(_Line(line.factor * last.factor, line.offset * last.factor + last.offset))
    while len(lines) > 1 and not (_may_be_taken_up(lines[-1], conv) and (
            uses.makers[names[-2]].op == "BatchNormalization" or _are_maps(names[-1], graph, uses, maps))):
        lines.pop(), names.pop()
    dropped.update(names[:-1])
    return names[-1], lines[-1] if len(lines) > 1 else None


#: Operators whose results have the axes and channels of their first input.
_SAME_CHANNELS = frozenset((*_ACTIVATIONS, "Clip", "HardSigmoid", "HardSwish", "Swish", "Gelu", "Elu", "MaxPool",
                            "AveragePool", "BatchNormalization", "InstanceNormalization"))


def _are_maps(name: str, graph: Graph, uses: Uses, maps: tuple[int, int]) -> bool:
    """Whether an array is known to have so many axes and channels: a constant may be what gives it more of them."""
    while name in uses.makers:
        node = uses.makers[name]
        moving = [each for each in node.inputs if each not in graph.constants]
        constant = [graph.constants[each] for each in node.inputs if each in graph.constants]
        keeps = node.op in _SAME_CHANNELS or (node.op in ("Mul", "Add", "Sub", "Div") and len(constant) == 1
                                              and _for_each_channel(constant[0], *maps) is not None)
        if not keeps:
            break
        name = moving[0]
    if name in graph.inputs:
        shape = graph.inputs[name][1]
        return shape is not None and len(shape) == maps[0] and shape[1] == maps[1]
    maker = uses.makers.get(name)
    return maker is not None and maker.op in _CONVOLUTIONS and _has_constant_weights(maker, graph.constants) and (
        graph.constants[maker.inputs[1]].ndim == maps[0] and _channels(maker, graph.constants) == maps[1])


def _may_be_taken_up(line: _Line, conv: Node) -> bool:
    """Padding is zeros behind the line: the same as zeros before it where that has no offset."""
    explicit = conv.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    padded = not explicit or any(conv.attributes.get("pads", ()))
    finite = bool(np.isfinite(line.factor).all() and np.isfinite(line.offset).all())
    return finite and float(np.abs(line.offset).max()) <= (0.0 if padded else _LARGEST_OFFSET)


def _with_line_before(conv: Node, source: str, line: _Line, constants: dict[str, np.ndarray]) -> Node:
    """The convolution of the maps before the line."""
    weight = constants[conv.inputs[1]].astype(np.float64)
    groups, count = conv.attributes.get("group", 1), weight.shape[1]
    # (K, C / groups, ...): the channels that each filter sees are those of its group.
    factor, offset = (np.broadcast_to(each, groups * count).reshape(groups, count).repeat(len(weight) // groups, 0)
                      for each in line)
    bias = (weight * offset.reshape(*offset.shape, *(1,) * (weight.ndim - 2))).sum(axis=tuple(range(1, weight.ndim)))
    if len(conv.inputs) > 2 and conv.inputs[2]:
        bias += constants[conv.inputs[2]]
    names = f"{conv.outputs[0]} weight behind a line", f"{conv.outputs[0]} bias behind a line"
    dtype = constants[conv.inputs[1]].dtype
    constants[names[0]] = (weight * factor.reshape(*factor.shape, *(1,) * (weight.ndim - 2))).astype(dtype)
    constants[names[1]] = bias.astype(dtype)
    return conv.like(conv.op, [source, *names], conv.outputs, **conv.attributes)


# ---------------------------------------------------------------------------------------------------------------------
# Into the epilogue


def _with_activations(graph: Graph) -> Graph:
    """Activations that only follow a convolution, a sum, a product or a normalisation become part of it."""
    uses = Uses(graph)
    nodes: list[Node] = []
    position: dict[str, int] = {}
    for node in graph.nodes:
        found = _activation(node, graph)
        before = position.get(node.inputs[0]) if found and node.inputs else None
        if found is None or before is None or not uses.once(node.inputs[0]):
            if node.op in (*_CONVOLUTIONS, "Add", "Gemm", "BatchNormalization"):
                position[node.outputs[0]] = len(nodes)
            nodes.append(node)
            continue
        first = nodes[before]
        nodes[before] = first.like(first.op, first.inputs, node.outputs, **{**first.attributes, "activation": found})
    return _made(graph, nodes)


def _activation(node: Node, graph: Graph) -> tuple[int, float] | None:
    if node.op in _ACTIVATIONS:
        return _ACTIVATIONS[node.op](node)
    if node.op != "Clip":
        return None
    if node.version < 11:
        low, high = node.attributes.get("min"), node.attributes.get("max")
    else:
        names = (*node.inputs[1:], "", "")[:2]
        if any(name and name not in graph.constants for name in names):
            return None
        low, high = (float(graph.constants[name].reshape(())) if name else None for name in names)
    if low != 0 or high not in (None, 6, np.inf):
        return None
    return (elementwise.RELU6 if high == 6 else elementwise.RELU), 0.0


def _with_residuals(graph: Graph) -> Graph:
    """A sum of a convolution's result, which nothing else needs, and another array: the convolution adds to that.

    The convolution then runs where the sum stood, when the other array is there.
    """
    uses = Uses(graph)
    convolutions = {node.outputs[0]: node for node in graph.nodes if node.op == "Conv"
                    and "activation" not in node.attributes and len(node.inputs) in (2, 3)}
    order = {name: index for index, node in enumerate(graph.nodes) for name in node.outputs}
    moved: set[str] = set()
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op == "Add" and node.inputs[0] != node.inputs[1]:
            sides = [side for side in (0, 1) if node.inputs[side] in convolutions and uses.once(node.inputs[side])
                     and node.inputs[1 - side] not in graph.constants]
            # Of two convolutions the later one: the other is done by then, and its result may be overwritten.
            sides.sort(key=lambda side: -order[node.inputs[side]])
            if sides:
                conv = convolutions[node.inputs[sides[0]]]
                moved.add(conv.outputs[0])
                given = [*conv.inputs, *("",) * (3 - len(conv.inputs)), node.inputs[1 - sides[0]]]
                nodes.append(conv.like("Conv", given, node.outputs, **{**conv.attributes, **node.attributes}))
                continue
        nodes.append(node)
    return _made(graph, [node for node in nodes if not (node.op == "Conv" and node.outputs[0] in moved)])

