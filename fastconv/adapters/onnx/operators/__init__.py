"""The operators of the runner, by subject. Each is a function of the builder of a program, the node, and the values of
its inputs (None where one is left out), and returns the value of its result, or a list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators import (
    arithmetic,
    branches,
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
    name: operator for module in (arithmetic, branches, convolution, joining, normalisation, pooling, products,
                                  recurrent, reductions, resizing, sampling, selecting, shapes)
    for name, operator in module.OPERATORS.items()}


def run_operator(builder: Builder, node: Node, inputs: Sequence[Value | None]) -> list[Value]:
    """Emits the steps of a node and returns the values of its outputs."""
    builder.node = node
    results = OPERATORS[node.op](builder, node, *inputs)
    return results if isinstance(results, list) else [results]
