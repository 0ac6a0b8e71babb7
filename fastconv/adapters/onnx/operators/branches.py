"""If: where exporters do not know a size, they write both ways and let the shape decide, which is known here."""

from __future__ import annotations

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.program import Builder, Value


def If(builder: Builder, node: Node, condition: Value, *captured: Value | None) -> list[Value]:
    """The steps of one branch; captured: what the branches take from the graph around them, as the reader lists it."""
    from fastconv.adapters.onnx.operators import run_operator

    branch = node.attributes["then_branch" if builder.known(condition).reshape(-1)[0] else "else_branch"]
    values = dict(zip(node.attributes["captured"], captured))
    values |= {name: builder.constant(array) for name, array in branch.constants.items()}
    for each in branch.nodes:
        results = run_operator(builder, each, [values[name] if name else None for name in each.inputs])
        values |= zip(each.outputs, results)
    builder.node = node
    return [values[name] for name in branch.outputs]


OPERATORS = {"If": If}
