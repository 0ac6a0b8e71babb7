"""Operators for ``onnx.reference.ReferenceEvaluator(model, new_ops=ops())``: those of the runner, one node at a time.

Each is a program of one node, kept for the shapes and types that it was made for. What a node asks for and the runner
refuses is handed to the evaluator's own operator of the model's opset, and counted in `report()` with the reason.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
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
_LEFT = frozenset(("Constant", "Identity", "If", "Shape", "Size"))

_report = Report()


def report() -> Report:
    """The calls that fastconv computed, and those that the evaluator did itself, by operator."""
    return _report


class _NodeProgram:
    """The steps of one node for inputs of given forms, bound to new arrays in each call.

    Arrays stand in slots: the inputs, then what the steps need, views and constants among it.
    """

    def __init__(self, node: Node, arrays: list[np.ndarray | None], fixed: frozenset[int]) -> None:
        builder = Builder(False)
        self._slots: dict[int, int] = {}
        self._values: list[Value] = []    # alive as long as their ids are keys
        self._tape: list[tuple[Any, ...]] = []    # (make, where it takes from, where it goes)
        self.inputs: list[int] = []
        values: list[Value | None] = []
        moving = []
        for position, array in enumerate(arrays):
            if array is None:
                values.append(None)
            elif position in fixed:
                values.append(builder.constant(array.copy()))
            else:
                value = Value(array.shape, array.dtype, feeds=frozenset((str(position),)))
                values.append(value)
                moving.append(value)
                self.inputs.append(position)
        for value in moving:
            self._slot(value)
        results = run_operator(builder, node, values)
        for step in builder.steps:
            sources, targets = ([self._slot(value) for value in some] for some in (step.inputs, step.outputs))
            self._tape.append((step.bind, [*sources, *targets], None))
        # A result must not be a view of an input, or a constant that the next call would see changed.
        self.results = [(self._slot(value), value.root in moving or value.root.constant is not None)
                        for value in results]
        self.warns = any(step.about == "NumPy" for step in builder.steps)

    def _slot(self, value: Value) -> int:
        """Where the array of a value stands; on the tape is how it comes there."""
        index = self._slots.get(id(value))
        if index is None:
            source = None if value.base is None or value.constant is not None else self._slot(value.base)
            index = self._slots[id(value)] = len(self._values)
            self._values.append(value)
            if value.constant is not None:
                self._tape.append((_same(value.constant), None, index))
            elif source is not None:
                self._tape.append((value.view, source, index))
            elif index >= len(self.inputs):
                self._tape.append((_room(value), None, index))
        return index

    def run(self, arrays: list[Any]) -> tuple[np.ndarray, ...]:
        slots: list[Any] = [None] * len(self._values)
        for index, position in enumerate(self.inputs):
            array = arrays[position]
            slots[index] = array if array.flags.c_contiguous else np.ascontiguousarray(array).reshape(array.shape)
        if self.warns:
            with np.errstate(all="ignore"):
                self._play(slots)
        else:
            self._play(slots)
        return tuple([slots[index].copy() if copied else slots[index] for index, copied in self.results])

    def _play(self, slots: list[Any]) -> None:
        for make, source, target in self._tape:
            if target is None:
                make(*[slots[index] for index in source])()
            elif source is None:
                slots[target] = make()
            else:
                slots[target] = make(slots[source])


def _same(array: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: array


def _room(value: Value) -> Callable[[], np.ndarray]:
    """Makes an array for a value."""
    if value.plain:
        return functools.partial(buffers.empty, value.shape, value.dtype)
    return lambda: placed(np.empty(value.nbytes, np.uint8), value)


class Programs:
    """Those of one node of a model."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._programs: OrderedDict[Any, _NodeProgram] = OrderedDict()
        self._fixed: frozenset[int] = frozenset()    # inputs whose values the program depends on

    def run(self, arrays: list[np.ndarray | None]) -> tuple[np.ndarray, ...]:
        while True:
            fixed = self._fixed
            key = tuple([None if array is None else (array.shape, array.dtype, array.tobytes()) if i in fixed else
                         (array.shape, array.dtype) for i, array in enumerate(arrays)])
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
    base: Any = import_module("onnx.reference.op_run").OpRun
    load_op = import_module("onnx.reference.ops._op_list").load_op

    class Operator(base):
        """An operator that fastconv computes."""

        op_domain = ""

        def run(self, *inputs: Any, linked_attributes: Any = None, context: Any = None, **options: Any) -> Any:
            """As `OpRun.run`, without what that does for each call where all is as in the call before."""
            programs = getattr(self, "_programs", None)
            if programs is None or linked_attributes is not None or _refusal(inputs) is not None:
                return super().run(*inputs, linked_attributes=linked_attributes, context=context, **options)
            return self._computed(programs, inputs, {})

        def _run(self, *inputs: Any, **attributes: Any) -> tuple[Any, ...]:
            reason = _refusal(inputs)
            if reason is not None:
                return self._handed_on(reason, inputs, attributes)
            programs = _programs(self, attributes)
            if not self.has_linked_attribute:    # those of a function may be others in each call
                self._programs = programs
            return self._computed(programs, inputs, attributes)

        def _computed(self, programs: Programs, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
            try:
                results = programs.run([None if each is None else np.asarray(each) for each in inputs])
            except (NotImplementedError, TypeError, ValueError) as error:
                return self._handed_on(str(error), inputs, attributes)
            _report.serve(self.onnx_node.op_type)
            return results[:max(len(self.onnx_node.output), 1)]

        def _handed_on(self, reason: str, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
            op = self.onnx_node.op_type
            _report.hand_on(op, reason)
            if getattr(self, "_own", None) is None:
                self._own = load_op("", op, self.run_params["opsets"][""])(self.onnx_node, self.run_params)
            if self.has_linked_attribute:    # whose values only the call knows
                return self._own._run(*inputs, **attributes)
            return self._own.run(*inputs)

    return tuple(type(name, (Operator,), {"__module__": __name__, "__doc__": f"{name}, computed by fastconv."})
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
    """Those of the node of an operator with these attributes."""
    node, given = op.onnx_node, {name: value for name, value in attributes.items() if value is not None}
    return Programs(Node(node.op_type, node.name, node.input, node.output, given, op.run_params["opsets"][""]))


def ops() -> list[type]:
    """Classes of operators that are computed by fastconv.

    Returns
    -------
    list of type
        For ``onnx.reference.ReferenceEvaluator(model, new_ops=ops())``: they take the place of the evaluator's own, in
        every opset and in subgraphs; not in the functions of a model, to which the evaluator does not hand them.

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
