"""A model as the runner sees it: read by the ``onnx`` package, checked, and put into plain Python.

Operators are known by the names of the default domain, and mean what the model's opset says. What a model needs and the
runner lacks is said at once, for all of its nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["Graph", "Node", "UnsupportedModel", "onnx_package", "read"]

OLDEST_OPSET = 6
LARGEST_CHECKED = 1 << 30    # bytes of a model, beyond which onnx cannot check it in memory

#: What arrays of a program can be made of.
DTYPES = tuple(map(np.dtype, ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
                              "uint32", "uint64", "bool")))

_DOMAINS = ("", "ai.onnx")


class UnsupportedModel(ValueError):
    """A model that needs what the runner lacks: the message names all of it."""


def onnx_package() -> ModuleType:
    """The ``onnx`` package, which reads models."""
    try:
        return import_module("onnx")
    except ImportError:
        raise ImportError("fastconv.adapters.onnx needs the package onnx, which reads models: "
                          "pip install 'fastconv[onnx]'") from None


class Node:
    """An operator with the names of its arrays; an input that is left out is ''."""

    __slots__ = ("op", "name", "inputs", "outputs", "attributes", "version")

    def __init__(self, op: str, name: str, inputs: Iterable[str], outputs: Iterable[str],
                 attributes: dict[str, Any], version: int) -> None:
        self.op, self.name, self.inputs, self.outputs = op, name, list(inputs), list(outputs)
        self.attributes, self.version = attributes, version

    def like(self, op: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: Any) -> Node:
        """Another operator in its place."""
        return Node(op, self.name, inputs, outputs, attributes, self.version)

    def __str__(self) -> str:
        return f"{self.op} {self.name!r}" if self.name else f"{self.op} -> {', '.join(self.outputs)}"

    __repr__ = __str__


class Graph:
    """Nodes in an order in which they can run; inputs with dtype and shape, where None is any size."""

    def __init__(self, inputs: dict[str, tuple[np.dtype, tuple | None]], outputs: list[str],
                 constants: dict[str, np.ndarray], nodes: list[Node], opset: int) -> None:
        self.inputs, self.outputs, self.constants, self.nodes, self.opset = inputs, outputs, constants, nodes, opset


def read(model: Any, known: Iterable[str], checked: bool = False) -> Graph:
    """A path, the bytes of a file or a ModelProto -> its graph, all of whose operators are among the known ones.

    checked: whether the onnx package has checked it before.
    """
    onnx = onnx_package()
    if isinstance(model, (str, os.PathLike)):
        if not os.path.exists(model):
            raise FileNotFoundError(2, "there is no such file", os.fspath(model))
        proto = _parsed(onnx, lambda: onnx.load(os.fspath(model)), os.fspath(model))
    elif isinstance(model, (bytes, bytearray, memoryview)):
        proto = _parsed(onnx, lambda: onnx.load_from_string(bytes(model)), "model")
    elif isinstance(model, onnx.ModelProto):
        proto = model
    else:
        raise TypeError("model must be a path, the bytes of a file or an onnx.ModelProto, "
                        f"got {type(model).__name__}")
    if not checked and proto.ByteSize() < LARGEST_CHECKED:
        try:
            onnx.checker.check_model(proto)
        except onnx.checker.ValidationError as error:
            raise ValueError(f"model is not a valid ONNX model: {_first_lines(error)}") from None
    if proto.functions:
        proto = import_module("onnx.inliner").inline_local_functions(proto)
    return _graph(onnx, proto, frozenset(known))


def _parsed(onnx: ModuleType, load: Any, name: str) -> Any:
    try:
        return load()
    except OSError:
        raise
    except Exception as error:    # protobuf's DecodeError, and what a file without end raises
        raise ValueError(f"{name} is not an ONNX model: {_first_lines(error)}") from None


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _graph(onnx: ModuleType, proto: Any, known: frozenset[str]) -> Graph:
    opset = next((each.version for each in proto.opset_import if each.domain in _DOMAINS), 1)
    lacking: dict[str, list[str]] = {}
    numbers: list[str] = []
    nodes, constants = _body(onnx, proto.graph, opset, known, (lacking, numbers))
    faults = [f"{op} ({len(names)} node{'s' if len(names) > 1 else ''}: {', '.join(map(repr, names[:8]))}"
              f"{', ...' if len(names) > 8 else ''})" for op, names in sorted(lacking.items())] + numbers
    inputs: dict[str, tuple[np.dtype, tuple | None]] = {}
    for value in proto.graph.input:
        form = _form(onnx, value)
        if value.name not in constants and form is not None:
            inputs[value.name] = form
        elif value.name not in constants:
            faults.append(f"the type of the input {value.name!r}")
    if opset < OLDEST_OPSET:
        faults.append(f"opset {opset}: it must be {OLDEST_OPSET} or later")
    if faults:
        raise UnsupportedModel(f"the model needs what the runner lacks: {'; '.join(faults)}. Other operators are run "
                               "by ONNX Runtime, or by onnx.reference.ReferenceEvaluator with "
                               "new_ops=fastconv.adapters.onnx.ops()")
    return Graph(inputs, [value.name for value in proto.graph.output], constants, nodes, opset)


def _body(onnx: ModuleType, graph: Any, opset: int, known: frozenset[str],
          faults: tuple[dict[str, list[str]], list[str]]) -> tuple[list[Node], dict[str, np.ndarray]]:
    """The nodes and constants of a graph or a branch; faults: where the operators that the runner lacks are added, with
    their nodes, and the constants that it cannot take."""
    (lacking, numbers), nodes, constants = faults, [], {}
    for each in graph.node:
        name = each.op_type if each.domain in _DOMAINS else f"{each.domain}.{each.op_type}"
        called = each.name or ", ".join(each.output)
        node = Node(name, each.name, each.input, each.output, {}, opset)
        if name not in known:
            lacking.setdefault(name, []).append(called)
            continue
        for attribute in each.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH and name == "If":
                node.attributes[attribute.name] = branch = _branch(onnx, attribute.g, opset, known, faults)
                # A pass may give an input another name, the branches keep theirs.
                captured = node.attributes.setdefault("captured", [])
                captured += [taken for taken in branch.inputs if taken not in captured]
                node.inputs[1:] = captured
            elif attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                lacking.setdefault(f"{name} with a subgraph", []).append(called)
            else:
                node.attributes[attribute.name] = _plain(onnx, attribute)
        nodes.append(node)
    for tensor in graph.initializer:
        array = _array(onnx, tensor)
        if array is not None:
            constants[tensor.name] = array
        else:
            kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
            numbers.append(f"the {kind} numbers of {tensor.name!r}")
    numbers += [f"the sparse numbers of {tensor.values.name!r}" for tensor in graph.sparse_initializer]
    return nodes, constants


def _branch(onnx: ModuleType, graph: Any, opset: int, known: frozenset[str],
            faults: tuple[dict[str, list[str]], list[str]]) -> Graph:
    """A branch, whose inputs are what it takes from the graph around it, of any dtype and shape."""
    nodes, constants = _body(onnx, graph, opset, known, faults)
    outputs = [value.name for value in graph.output]
    own = {*constants, *(name for node in nodes for name in node.outputs)}
    taken = dict.fromkeys(name for name in (*(name for node in nodes for name in node.inputs), *outputs)
                          if name and name not in own)
    return Graph(dict.fromkeys(taken, (np.dtype(np.void), None)), outputs, constants, nodes, opset)


def _plain(onnx: ModuleType, attribute: Any) -> Any:
    """The value of an attribute: numbers, text, lists of them, or an array."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == onnx.AttributeProto.TENSOR:
        return _array(onnx, value)
    if isinstance(value, (int, float)):
        return value
    return [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in value]


def _array(onnx: ModuleType, tensor: Any) -> np.ndarray | None:
    """The numbers of a tensor, or None where they are of a kind that no program takes."""
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError):
        return None
    return array if array.dtype in DTYPES else None


def _form(onnx: ModuleType, value: Any) -> tuple[np.dtype, tuple | None] | None:
    """The dtype and the shape of an input, or None where it is no array."""
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, TypeError):
        return None
    if not value.type.HasField("tensor_type") or dtype not in DTYPES:
        return None
    if not tensor.HasField("shape"):
        return dtype, None
    return dtype, tuple(each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)
