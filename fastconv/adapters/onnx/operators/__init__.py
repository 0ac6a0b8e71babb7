"""The operators of the runner, by subject. Each is a function of the builder of a program, the node, and the values of
its inputs (None where one is left out), and returns the value of its result, or a list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators import (
    arithmetic,
    convolution,
    joining,
    normalisation,
    pooling,
    products,
    recurrent,
    reductions,
    resizing,
    sampling,
    selecting,
    shapes,
)
from fastconv.adapters.onnx.program import Builder, Value

__all__ = ["OPERATORS", "run_operator"]

OPERATORS: dict[str, Callable[..., Any]] = {
    name: operator for module in (arithmetic, convolution, joining, normalisation, pooling, products,
                                  recurrent, reductions, resizing, sampling, selecting, shapes)
    for name, operator in module.OPERATORS.items()}


def run_operator(builder: Builder, node: Node, inputs: Sequence[Value | None]) -> list[Value]:
    """Emits the steps of a node and returns the values of its outputs."""
    builder.node = node
    results = OPERATORS[node.op](builder, node, *inputs)
    return results if isinstance(results, list) else [results]


def _if(builder: Builder, node: Node, condition: Value, *captured: Value | None) -> list[Value]:
    """If: where exporters do not know a size they write both ways and let the shape decide, which is known here. The
    steps of one branch; captured: what the branches take from the graph around them, as the reader lists it."""
    branch = node.attributes["then_branch" if builder.known(condition).reshape(-1)[0] else "else_branch"]
    values = dict(zip(node.attributes["captured"], captured))
    values |= {name: builder.constant(array) for name, array in branch.constants.items()}
    for each in branch.nodes:
        results = run_operator(builder, each, [values[name] if name else None for name in each.inputs])
        values |= zip(each.outputs, results)
    builder.node = node
    return [values[name] for name in branch.outputs]


OPERATORS["If"] = _if    # which runs other operators
