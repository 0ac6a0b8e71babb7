"""Running a model: programs for the shapes that come, each made once and kept, with a bound."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv._core.runtime import memory as buffers
from fastconv.adapters.onnx import memory
from fastconv.adapters.onnx.explanation import Explanation, Line
from fastconv.adapters.onnx.fold import folded
from fastconv.adapters.onnx.graph import Graph, Node, UnsupportedModel, read
from fastconv.adapters.onnx.operators import OPERATORS, run_operator
from fastconv.adapters.onnx.program import Builder, NeedsValue, Step, Value, placed
from fastconv.functional.foreign import shown

__all__ = ["Session", "load"]

MOST_PROGRAMS = 16            # of one session, for inputs of different shapes
MOST_ARENAS = 4               # of one program, for threads that run it at the same time
MOST_PREPARED = 512 << 20     # bytes of weights that programs share


def load(model: Any) -> Session:
    """Read a model and make it ready to run on NumPy arrays, without ONNX Runtime.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        Opset 6 or later; float32 or float64 convolutions.

    Returns
    -------
    Session
        ``session.run({"x": x})`` returns a list of arrays, ``session(x)`` too.

    Raises
    ------
    ImportError
        Where the package onnx is missing.
    UnsupportedModel
        A ValueError that names all operators that the runner lacks, with their nodes.
    ValueError, TypeError, OSError
        What is no model, or cannot be read.

    Examples
    --------
    >>> import fastconv.adapters.onnx, numpy as np
    >>> session = fastconv.adapters.onnx.load("model.onnx")         # doctest: +SKIP
    >>> session.run({"x": np.ones((1, 3, 32, 32), np.float32)})     # doctest: +SKIP
    """
    return Session(read(model, OPERATORS))


class Arena:
    """The arrays of a program in memory of their own, and its calls on them."""

    def __init__(self, program: Program) -> None:
        room = buffers.empty((program.places.nbytes // 8,), np.float64).view(np.uint8)
        arrays: dict[int, np.ndarray] = {}

        def array(value: Value) -> np.ndarray:
            if value.constant is not None:
                return value.constant
            found = arrays.get(id(value))
            if found is None:
                if value.base is None:
                    found = placed(room[program.places.offsets[id(value)]:], value)
                else:
                    assert value.view is not None
                    found = value.view(array(value.base))
                arrays[id(value)] = found
            return found

        self.inputs = [(name, array(value)) for name, value in program.inputs]
        self.calls = [step.bind(*map(array, (*step.inputs, *step.outputs))) for step in program.steps]
        self.outputs = [array(value) for value in program.outputs]

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[int]) -> list[np.ndarray]:
        for name, array in self.inputs:
            np.copyto(array, feeds[name])
        for call in self.calls:
            call()
        return self.results(wanted)

    def results(self, wanted: Sequence[int]) -> list[np.ndarray]:
        """Arrays of their own, which the next run leaves alone."""
        results = []
        for index in wanted:
            array = self.outputs[index]
            result = buffers.empty(array.shape, array.dtype)
            np.copyto(result, array)
            results.append(result)
        return results


class Program:
    """The steps for inputs of given shapes, the places of their arrays, and arenas that are not in use now."""

    def __init__(self, steps: list[Step], inputs: list[tuple[str, Value]], outputs: list[Value]) -> None:
        self.steps, self.inputs, self.outputs = steps, inputs, outputs
        self.places = memory.plan(steps, [value for _, value in inputs], outputs)
        self._idle: list[Arena] = [Arena(self)]

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[int]) -> list[np.ndarray]:
        try:
            arena = self._idle.pop()    # of a list, which is safe in threads
        except IndexError:
            arena = Arena(self)
        try:
            with np.errstate(all="ignore"):
                return arena.run(feeds, wanted)
        finally:
            if len(self._idle) < MOST_ARENAS:
                self._idle.append(arena)

    def timed(self, feeds: Mapping[str, np.ndarray], repeat: int) -> list[float]:
        """The least seconds that each step took."""
        arena = Arena(self)
        least = [float("inf")] * len(arena.calls)
        with np.errstate(all="ignore"):
            for _ in range(repeat):
                for name, array in arena.inputs:    # whose memory later arrays take
                    np.copyto(array, feeds[name])
                for index, call in enumerate(arena.calls):
                    begin = time.perf_counter()
                    call()
                    least[index] = min(least[index], time.perf_counter() - begin)
        return least


class Prepared:
    """What was made of constant arrays, for the programs of all shapes; the oldest goes where there is too much."""

    def __init__(self) -> None:
        # The array stays with its entry: as long as it lives no other one has its id.
        self._kept: OrderedDict[Any, tuple[Any, int, np.ndarray]] = OrderedDict()
        self._nbytes, self._lock = 0, threading.RLock()

    def __call__(self, array: np.ndarray, key: Any, make: Callable[[], Any]) -> Any:
        key = id(array), key
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            made = make()
            size = _nbytes(made) + array.nbytes
            self._kept[key] = made, size, array
            self._nbytes += size
            while self._nbytes > MOST_PREPARED and len(self._kept) > 1:
                self._nbytes -= self._kept.popitem(last=False)[1][1]
            return made


def _nbytes(made: Any) -> int:
    if isinstance(made, (tuple, list)):
        return sum(map(_nbytes, made))
    return getattr(made, "nbytes", 64)


class Session:
    """A model that runs on NumPy arrays. What `load` returns.

    Attributes
    ----------
    input_names, output_names : list of str
        In the order of the model.
    """

    def __init__(self, graph: Graph, fold: bool = True, orders: Sequence[bool] = (True, False)) -> None:
        self._graph = folded(graph) if fold else graph
        self._orders = orders
        self.input_names, self.output_names = list(graph.inputs), list(graph.outputs)
        self._programs: OrderedDict[Any, Program] = OrderedDict()
        self._static: set[str] = set()    # inputs whose values a program depends on
        self._prepared, self._lock = Prepared(), threading.Lock()
        self._last: dict[str, np.ndarray] | None = None

    def run(self, inputs: Any, outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Compute the outputs.

        Parameters
        ----------
        inputs : dict of str to array
            An array for each input of the model, by its name.
        outputs : sequence of str, optional
            Which outputs are wanted; by default all.

        Returns
        -------
        list of array
            In the order of the names.

        Raises
        ------
        TypeError, ValueError
            An input that is missing or unknown, or has another dtype or shape than the model says.
        """
        feeds = self._checked(inputs)
        wanted = range(len(self.output_names)) if outputs is None else [self._position(name) for name in outputs]
        return self._program(feeds).run(feeds, wanted)

    def __call__(self, *inputs: Any, **named: Any) -> list[np.ndarray]:
        """`run`, with arrays in the order of the inputs, by their names, or in one dict."""
        if len(inputs) == 1 and not named and isinstance(inputs[0], Mapping):
            return self.run(inputs[0])
        if len(inputs) > len(self.input_names):
            raise TypeError(f"the model has {len(self.input_names)} inputs ({', '.join(self.input_names)}), "
                            f"got {len(inputs)} arrays")
        return self.run({**dict(zip(self.input_names, inputs)), **named})

    def explain(self, inputs: Any, repeat: int = 20) -> Explanation:
        """What each step does, and how long it takes: run on these inputs, so many times.

        Returns
        -------
        Explanation
            Prints as a table: node, shape, how it is computed, microseconds, share of the time.
        """
        feeds = self._checked(inputs)
        program = self._program(feeds)
        seconds = program.timed(feeds, repeat)
        lines = [Line(str(step.node) if step.node else "", step.outputs[0].shape, step.about, each)
                 for step, each in zip(program.steps, seconds)]
        return Explanation(lines, program.places.nbytes, program.places.unshared)

    # -- what a run needs

    def _position(self, name: str) -> int:
        if name not in self.output_names:
            raise ValueError(f"outputs must be among {', '.join(self.output_names)}, got {shown(name)}")
        return self.output_names.index(name)

    def _checked(self, inputs: Any) -> dict[str, np.ndarray]:
        if not isinstance(inputs, Mapping):
            raise TypeError(f"inputs must be a dict of arrays by name ({', '.join(self.input_names)}), "
                            f"got {type(inputs).__name__}")
        for name in inputs:
            if name not in self._graph.inputs:
                raise ValueError(f"inputs must be among {', '.join(self.input_names)}, got {shown(name)}")
        feeds = {}
        for name, (dtype, shape) in self._graph.inputs.items():
            if name not in inputs:
                raise ValueError(f"inputs lacks {name!r}, which the model needs")
            array = inputs[name]
            if type(array) is not np.ndarray:
                array = np.asarray(array)
            if array.dtype != dtype:
                raise TypeError(f"input {name!r} must be {dtype}, got {array.dtype}: "
                                f"pass {name}.astype(np.{dtype})")
            if shape is not None and (len(shape) != array.ndim or any(
                    size is not None and size != given for size, given in zip(shape, array.shape))):
                form = ", ".join("any" if size is None else str(size) for size in shape)
                raise ValueError(f"input {name!r} must have shape ({form}), got {array.shape}")
            feeds[name] = array
        return feeds

    def _key(self, feeds: dict[str, np.ndarray]) -> Any:
        return tuple([(array.shape, array.tobytes() if name in self._static else None)
                      for name, array in feeds.items()])

    def _program(self, feeds: dict[str, np.ndarray]) -> Program:
        program = self._programs.get(self._key(feeds))
        if program is None:
            with self._lock:
                while program is None:
                    try:
                        program = self._compiled(feeds)
                    except NeedsValue as needed:
                        if needed.feeds <= self._static:
                            raise RuntimeError("a program depends on a value that is not known") from None
                        self._static |= needed.feeds
                self._programs[self._key(feeds)] = program
                while len(self._programs) > MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        return program

    def _compiled(self, feeds: dict[str, np.ndarray]) -> Program:
        """The program with maps in the order in which the convolutions are expected to be done first."""
        found = [self._built(feeds, Builder(maps_last, self._prepared)) for maps_last in self._orders]
        return Program(*min(found, key=lambda each: each[0].nanoseconds)[1:])

    def _built(self, feeds: dict[str, np.ndarray], builder: Builder) -> tuple[Builder, Any, Any, Any]:
        """The steps, the inputs and the outputs of a program, from its builder."""
        graph = self._graph
        values = {name: builder.constant(array) for name, array in graph.constants.items()}
        inputs = []
        takers = {name: node.op for node in reversed(graph.nodes) for name in node.inputs}
        for name, array in feeds.items():
            if name in self._static:
                values[name] = builder.constant(array.copy())
                continue
            order = builder.map_order(array.ndim) if takers.get(name) in TAKE_MAPS else None
            values[name] = Value(array.shape, array.dtype, order, feeds=frozenset((name,)))
            inputs.append((name, values[name]))
        for node in graph.nodes:
            _emit(builder, node, values)
        outputs = [values[name] for name in graph.outputs]
        return builder, builder.steps, inputs, outputs


#: Operators that want maps in the order in which they are kept.
TAKE_MAPS = frozenset(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
                       "BatchNormalization"))


def _emit(builder: Builder, node: Node, values: dict[str, Value]) -> None:
    """The steps of a node; its results go among the values."""
    given = [values[name] if name else None for name in node.inputs]
    try:
        results = run_operator(builder, node, given)
    except (TypeError, ValueError, MemoryError, NotImplementedError) as error:
        kind = ValueError if type(error) is NotImplementedError else type(error)
        kind = UnsupportedModel if type(error) is NotImplementedError else kind
        raise kind(f"node {node}: {error}") from error
    for name, result in zip(node.outputs, results):
        if name:
            values[name] = result
