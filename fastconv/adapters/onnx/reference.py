"""Operators for ``onnx.reference.ReferenceEvaluator(model, new_ops=ops())``: those of the runner, one node at a time.

Each is a program of one node, kept for the shapes and types that it was made for. What a node asks for and the runner
refuses is handed to the evaluator's own operator of the model's opset, and counted in `report()` with the reason.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Any

import numpy as np

from fastconv._core.runtime import memory as buffers
from fastconv.adapters.onnx.graph import DTYPES, Node, onnx_package
from fastconv.adapters.onnx.operators import OPERATORS, run_operator
from fastconv.adapters.onnx.program import Builder, NeedsValue, Value, placed
from fastconv.adapters.report import Report

__all__ = ["ops", "report"]

MOST_PROGRAMS = 64    # of one node, for inputs of different shapes

#: What the evaluator does as quickly itself: nothing is computed there.
_LEFT = frozenset(("Constant", "Identity", "Shape", "Size"))

_report = Report()


def report() -> Report:
    """The calls that fastconv computed, and those that the evaluator did itself, by operator."""
    return _report


class _NodeProgram:
    """The steps of one node for inputs of given forms; bound to new arrays in each call."""

    def __init__(self, node: Node, arrays: list[np.ndarray | None], fixed: frozenset[int]) -> None:
        builder = Builder(False)
        self.inputs: list[tuple[int, Value]] = []
        values: list[Value | None] = []
        for position, array in enumerate(arrays):
            if array is None:
                values.append(None)
            elif position in fixed:
                values.append(builder.constant(array.copy()))
            else:
                value = Value(array.shape, array.dtype, feeds=frozenset((str(position),)))
                values.append(value)
                self.inputs.append((position, value))
        self.outputs = run_operator(builder, node, values)
        self.steps = builder.steps

    def run(self, arrays: list[Any]) -> tuple[np.ndarray, ...]:
        found: dict[int, np.ndarray] = {id(value): np.ascontiguousarray(arrays[position]).reshape(value.shape)
                                        for position, value in self.inputs}

        def array(value: Value) -> np.ndarray:
            if value.constant is not None:
                return value.constant
            there = found.get(id(value))
            if there is None:
                if value.base is not None and value.view is not None:
                    there = value.view(array(value.base))
                elif value.plain:
                    there = buffers.empty(value.shape, value.dtype)
                else:
                    there = placed(np.empty(value.nbytes, np.uint8), value)
                found[id(value)] = there
            return there

        with np.errstate(all="ignore"):
            for step in self.steps:
                step.bind(*map(array, (*step.inputs, *step.outputs)))()
        return tuple(self._own(value, array(value), arrays) for value in self.outputs)

    def _own(self, value: Value, result: np.ndarray, arrays: list[Any]) -> np.ndarray:
        """A result that is no view of an input or of a constant that the next call would see changed."""
        if value.constant is not None or any(
                type(given) is np.ndarray and np.may_share_memory(result, given) for given in arrays):
            return result.copy()
        return result


class Programs:
    """Those of one node of a model."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._programs: OrderedDict[Any, _NodeProgram] = OrderedDict()
        self._fixed: frozenset[int] = frozenset()    # inputs whose values the program depends on

    def run(self, arrays: list[np.ndarray | None]) -> tuple[np.ndarray, ...]:
        while True:
            fixed = self._fixed
            key = (fixed, *((None if array is None else (array.shape, array.dtype,
                                                         array.tobytes() if i in fixed else None))
                            for i, array in enumerate(arrays)))
            program = self._programs.get(key)
            if program is None:
                try:
                    program = _NodeProgram(self.node, arrays, fixed)
                except NeedsValue as needed:
                    self._fixed = fixed | {int(position) for position in needed.feeds}
                    continue
                self._programs[key] = program
                while len(self._programs) > MOST_PROGRAMS:
                    self._programs.popitem(last=False)
            return program.run(arrays)


@functools.cache
def _classes() -> tuple[type, ...]:
    onnx_package()
    from onnx.reference.op_run import OpRun
    from onnx.reference.ops._op_list import load_op

    def run(self: Any, *inputs: Any, **attributes: Any) -> tuple[Any, ...]:
        op = type(self).__name__
        reason = _refusal(inputs)
        if reason is None:
            programs = _programs(self, attributes)
            try:
                results = programs.run([None if each is None else np.asarray(each) for each in inputs])
            except (NotImplementedError, TypeError, ValueError) as error:
                reason = str(error)
            else:
                _report.serve(op)
                return results[:max(len(self.onnx_node.output), 1)]
        _report.hand_on(op, reason)
        own = load_op("", op, self.run_params["opsets"][""])
        if getattr(self, "_own", None) is None:
            self._own = own(self.onnx_node, self.run_params)
        linked = {name: attributes[name] for name in attributes} if self.has_linked_attribute else None
        return self._own.run(*inputs, linked_attributes=linked)

    return tuple(type(name, (OpRun,), {"op_domain": "", "_run": run, "__module__": __name__, "__doc__":
                                       f"{name}, computed by fastconv."})
                 for name in sorted(OPERATORS) if name not in _LEFT)


def _refusal(inputs: tuple[Any, ...]) -> str | None:
    """Why inputs cannot be those of a program, or None."""
    for each in inputs:
        if each is not None and not isinstance(each, (np.ndarray, np.generic)):
            return f"inputs of type {type(each).__name__}"
        if each is not None and each.dtype not in DTYPES:
            return f"arrays of {each.dtype}"
    return None


def _programs(op: Any, attributes: dict[str, Any]) -> Programs:
    """Those of the node of an operator, which may have other attributes in each call of a function."""
    if not op.has_linked_attribute:
        programs = getattr(op, "_fastconv", None)
        if programs is None:
            programs = op._fastconv = _made(op, attributes)
        return programs
    return _made(op, attributes)


def _made(op: Any, attributes: dict[str, Any]) -> Programs:
    node, given = op.onnx_node, {name: value for name, value in attributes.items() if value is not None}
    return Programs(Node(node.op_type, node.name, node.input, node.output, given, op.run_params["opsets"][""]))


def ops() -> list[type]:
    """Classes of operators that are computed by fastconv.

    Returns
    -------
    list of type
        For ``onnx.reference.ReferenceEvaluator(model, new_ops=ops())``: they take the place of the evaluator's own, in
        every opset, in subgraphs and functions too.

    Raises
    ------
    ImportError
        Where the package onnx is missing.

    Examples
    --------
    >>> from fastconv.adapters.onnx import ops
    >>> from onnx.reference import ReferenceEvaluator                 # doctest: +SKIP
    >>> evaluator = ReferenceEvaluator("model.onnx", new_ops=ops())   # doctest: +SKIP
    """
    return list(_classes())
