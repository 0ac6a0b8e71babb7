"""Activations that exporters write as several nodes, put together again."""

from __future__ import annotations

import math
from collections import Counter

from fastconv.adapters.onnx.graph import Graph, Node

__all__ = ["Uses", "rewritten"]


class Uses:
    """How often each array is needed, and which node makes it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.counts = Counter(name for node in graph.nodes for name in node.inputs if name)
        self.counts.update(graph.outputs)
        self.makers = {name: node for node in graph.nodes for name in node.outputs}

    def once(self, name: str) -> bool:
        """Whether one node alone needs it."""
        return self.counts[name] == 1 and name not in self.graph.outputs

    def maker(self, name: str, op: str, times: int = 1) -> Node | None:
        """The node that makes an array, if it is this operator and the array is needed so often."""
        node = self.makers.get(name)
        fits = node is not None and node.op == op and self.counts[name] == times and name not in self.graph.outputs
        return node if fits else None

    def number(self, name: str) -> float | None:
        """The number that a constant is, or None."""
        array = self.graph.constants.get(name)
        return float(array.reshape(())) if array is not None and array.size == 1 and array.ndim <= 1 else None

    def operand(self, node: Node, number: float | None = None) -> tuple[str, float] | None:
        """Of a node with two inputs the one that is no number, and the number, if it is the given one."""
        for side in (1, 0) if node.op in ("Add", "Mul") else (1,):
            found = self.number(node.inputs[side])
            if found is not None and (number is None or math.isclose(found, number, rel_tol=1e-5)):
                return node.inputs[1 - side], found
        return None


def rewritten(graph: Graph) -> Graph:
    """The graph with the activations of these forms as one node each."""
    for find in (_hard_swish, _swish, _gelu):
        uses = Uses(graph)
        nodes = [find(uses, node) or node for node in graph.nodes]
        graph = Graph(graph.inputs, graph.outputs, graph.constants, _needed(graph, nodes), graph.opset)
    return graph


def _needed(graph: Graph, nodes: list[Node]) -> list[Node]:
    """Without the nodes whose results nobody needs any more."""
    needed, kept = set(graph.outputs), []
    for node in reversed(nodes):
        if any(name in needed for name in node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _clipped(uses: Uses, name: str) -> str | None:
    """The array of which this is the part from 0 to 6, or None."""
    node = uses.maker(name, "Clip")
    if node is None:
        return None
    if node.version < 11:
        low, high = node.attributes.get("min"), node.attributes.get("max")
    else:
        low, high = (uses.number(each) if each else None for each in (*node.inputs[1:], "", "")[:2])
    return node.inputs[0] if low == 0 and high == 6 else None


def _hard_swish(uses: Uses, node: Node) -> Node | None:
    """x HardSigmoid(x), x clip(x + 3) / 6, (x / 6) clip(x + 3) and the like."""
    if node.op == "Mul":
        for x, gate in (node.inputs, node.inputs[::-1]):
            sigmoid = uses.maker(gate, "HardSigmoid")
            if sigmoid is not None and sigmoid.inputs[0] == x and math.isclose(
                    sigmoid.attributes.get("alpha", 0.2), 1 / 6, rel_tol=1e-5) and (
                    sigmoid.attributes.get("beta", 0.5) == 0.5):
                return node.like("HardSwish", [x], node.outputs)
            # x (clip(x + 3) / 6)
            inner = _sixth(uses, gate)
            if inner is not None and _shifted(uses, inner) == x:
                return node.like("HardSwish", [x], node.outputs)
    outer = _sixth_of(uses, node)
    product = None if outer is None else uses.maker(outer, "Mul")
    if product is not None:
        for x, clipped in (product.inputs, product.inputs[::-1]):
            if _shifted(uses, clipped) == x:
                return node.like("HardSwish", [x], node.outputs)
    return None


def _sixth_of(uses: Uses, node: Node) -> str | None:
    """The array that a node divides by 6."""
    for op, number in (("Div", 6.0), ("Mul", 1 / 6)):
        found = uses.operand(node, number) if node.op == op else None
        if found is not None:
            return found[0]
    return None


def _sixth(uses: Uses, name: str) -> str | None:
    node = uses.makers.get(name)
    return _sixth_of(uses, node) if node is not None and uses.once(name) else None


def _shifted(uses: Uses, name: str) -> str | None:
    """The array x of which this is clip(x + 3)."""
    source = _clipped(uses, name)
    node = None if source is None else uses.maker(source, "Add")
    found = None if node is None else uses.operand(node, 3.0)
    return None if found is None else found[0]


def _swish(uses: Uses, node: Node) -> Node | None:
    """x sigmoid(x)"""
    if node.op == "Mul":
        for x, gate in (node.inputs, node.inputs[::-1]):
            sigmoid = uses.maker(gate, "Sigmoid")
            if sigmoid is not None and sigmoid.inputs[0] == x:
                return node.like("Swish", [x], node.outputs)
    return None


def _gelu(uses: Uses, node: Node) -> Node | None:
    """x (1 + erf(x / sqrt 2)) / 2, in any order of the products."""
    if node.op != "Mul":
        return None
    factors = _factors(uses, node)
    numbers = [number for number in map(uses.number, factors) if number is not None]
    arrays = [name for name in factors if uses.number(name) is None]
    if len(numbers) != 1 or not math.isclose(numbers[0], 0.5) or len(arrays) != 2:
        return None
    for x, gate in (arrays, arrays[::-1]):
        if _error_function(uses, gate) == x:
            return node.like("Gelu", [x], node.outputs)
    return None


def _factors(uses: Uses, node: Node) -> list[str]:
    """The inputs of a product of products that nothing else needs."""
    found = []
    for name in node.inputs:
        inner = uses.maker(name, "Mul")
        found += [name] if inner is None else inner.inputs
    return found


def _error_function(uses: Uses, name: str) -> str | None:
    """The array x of which this is 1 + erf(x / sqrt 2)."""
    total = uses.maker(name, "Add")
    found = None if total is None else uses.operand(total, 1.0)
    erf = None if found is None else uses.maker(found[0], "Erf")
    scaled = None if erf is None else uses.makers.get(erf.inputs[0])
    if scaled is None or not uses.once(scaled.outputs[0]):
        return None
    for op, number in (("Div", math.sqrt(2)), ("Mul", math.sqrt(0.5))):
        inner = uses.operand(scaled, number) if scaled.op == op else None
        if inner is not None:
            return inner[0]
    return None

