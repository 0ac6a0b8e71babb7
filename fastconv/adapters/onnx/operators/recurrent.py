"""Recurrent layers, of which text recognition has some behind its convolutions: LSTM, GRU and RNN.

What the inputs of all steps add to the gates is one matrix product; in each step comes the product of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._core.product import forward as product
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS
from fastconv.adapters.onnx.operators.products import multiplied
from fastconv.adapters.onnx.program import Builder, Value

States = list[np.ndarray]
#: (what the input adds to the gates, what the state adds, the states) -> the states; the first is the output.
Cell = Callable[[np.ndarray, np.ndarray, States], States]

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.tanh(x * x.dtype.type(0.5)) * x.dtype.type(0.5) + x.dtype.type(0.5)


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": _sigmoid, "tanh": np.tanh, "relu": lambda x: np.maximum(x, x.dtype.type(0))}


def _functions(node: Node, default: tuple[str, ...]) -> list[Callable[[np.ndarray], np.ndarray]]:
    """The activations, of all directions one after the other."""
    given: Any = node.attributes.get("activations") or default * 2
    names = [name.lower() for name in given]
    unknown = sorted({name for name in names if name not in _FUNCTIONS})
    if unknown or any(node.attributes.get(name) for name in ("clip", "input_forget")):
        raise NotImplementedError("clip, input_forget, and activations other than Sigmoid, Tanh and Relu are not "
                                  f"supported, got {', '.join(unknown) or 'one of the former'}")
    return [_FUNCTIONS[name] for name in names]


def LSTM(builder: Builder, node: Node, x: Value, w: Value, r: Value, b: Value | None = None,
         lengths: Value | None = None, h: Value | None = None, c: Value | None = None,
         peepholes: Value | None = None) -> list[Value]:
    """i, o, f = f(x W + h R), c' = f c + i g(x W + h R), h' = o h(c'); peepholes add a share of c to i, o and f."""
    functions = _functions(node, ("Sigmoid", "Tanh", "Tanh"))
    shares = None if peepholes is None else builder.known(peepholes)

    def cell(direction: int) -> Cell:
        gate, candidate, shown = functions[3 * direction:3 * direction + 3]
        of_i, of_o, of_f = (0, 0, 0) if shares is None else np.split(shares[direction], 3)

        def step(from_x: np.ndarray, from_h: np.ndarray, states: States) -> States:
            i, o, f, new = np.split(from_x + from_h, 4, axis=1)
            c = gate(f + of_f * states[1]) * states[1] + gate(i + of_i * states[1]) * candidate(new)
            return [gate(o + of_o * c) * shown(c), c]

        return step

    return _layer(builder, node, x, (w, r, b), lengths, [h, c], (4, cell))


def GRU(builder: Builder, node: Node, x: Value, w: Value, r: Value, b: Value | None = None,
        lengths: Value | None = None, h: Value | None = None) -> list[Value]:
    """z, r = f(x W + h R), n = g(x W + (r h) R), h' = (1 - z) n + z h; or r is multiplied with h R, as PyTorch does."""
    functions, size = _functions(node, ("Sigmoid", "Tanh")), r.shape[2]
    if not node.attributes.get("linear_before_reset", 0):
        matrices, offsets = builder.known(r)[:, 2 * size:], _offsets(builder, b, r)[1][:, 2 * size:]

    def cell(direction: int) -> Cell:
        gate, candidate = functions[2 * direction:2 * direction + 2]

        def step(from_x: np.ndarray, from_h: np.ndarray, states: States) -> States:
            z, reset = np.split(gate(from_x[:, :2 * size] + from_h[:, :2 * size]), 2, axis=1)
            if node.attributes.get("linear_before_reset", 0):
                from_state = reset * from_h[:, 2 * size:]
            else:
                from_state = np.empty_like(states[0])
                product.product(reset * states[0], np.ascontiguousarray(matrices[direction].T), offsets[direction],
                                from_state, True)
            new = candidate(from_x[:, 2 * size:] + from_state)
            return [new + z * (states[0] - new)]

        return step

    return _layer(builder, node, x, (w, r, b), lengths, [h], (3, cell))


def RNN(builder: Builder, node: Node, x: Value, w: Value, r: Value, b: Value | None = None,
        lengths: Value | None = None, h: Value | None = None) -> list[Value]:
    """h' = f(x W + h R)."""
    functions = _functions(node, ("Tanh",))
    return _layer(builder, node, x, (w, r, b), lengths, [h],
                  (1, lambda direction: lambda from_x, from_h, states: [functions[direction](from_x + from_h)]))


def _offsets(builder: Builder, b: Value | None, r: Value) -> tuple[np.ndarray, np.ndarray]:
    """The biases beside x W, and those beside h R: a row a direction."""
    rows = r.shape[1]
    known = np.zeros((r.shape[0], 2 * rows), r.dtype) if b is None else builder.known(b)
    return known[:, :rows], known[:, rows:]


def _layer(builder: Builder, node: Node, x: Value, weights: tuple[Value, Value, Value | None], lengths: Value | None,
           initial: Sequence[Value | None], kind: tuple[int, Callable[[int], Cell]]) -> list[Value]:
    """Y (steps, directions, batch, hidden) and the last states (directions, batch, hidden)."""
    (w, r, b), (gates, cell), batch_first = weights, kind, bool(node.attributes.get("layout", 0))
    if x.dtype not in FLOATS or x.ndim != 3 or w.ndim != 3 or r.ndim != 3:
        raise ValueError(f"X, W and R must be of floats, with three axes, got {x.dtype} of shape {x.shape}, "
                         f"{w.shape} and {r.shape}")
    backwards = _DIRECTIONS.get(node.attributes.get("direction", "forward"), ())
    size = r.shape[2]
    if w.shape != (len(backwards), gates * size, x.shape[2]) or r.shape != (len(backwards), gates * size, size):
        raise ValueError(f"W and R must have shapes {(len(backwards), gates * size, x.shape[2])} and "
                         f"{(len(backwards), gates * size, size)} by the direction and the sizes of X and R, got "
                         f"{w.shape} and {r.shape}")
    x = _swapped(builder, x) if batch_first else x
    steps, batch, depth = x.shape
    if lengths is not None and (builder.known(lengths) != steps).any():
        raise NotImplementedError("sequences of different lengths are not supported")
    matrices, turned = builder.known(w), np.ascontiguousarray(builder.known(r).transpose(0, 2, 1))
    beside_x, beside_h = _offsets(builder, b, r)
    flat = builder.view(builder.plain(x), (steps * batch, depth), lambda array: array.reshape(-1, depth))
    from_x = [multiplied(builder, flat, builder.constant(each.T), builder.constant(offsets))
              for each, offsets in zip(matrices, beside_x)]
    shape = (len(backwards), batch, size)
    first = [builder.constant(np.zeros(shape), x.dtype) if each is None else _swapped(builder, each) if batch_first
             else each for each in initial]
    y, last = builder.new((steps, *shape), x.dtype), [builder.new(shape, x.dtype) for _ in initial]
    cells = [cell(direction) for direction in range(len(backwards))]

    def bind(*arrays: np.ndarray) -> Callable[[], Any]:
        given, results = arrays[:len(from_x) + len(first)], arrays[len(from_x) + len(first):]
        of_steps = [each.reshape(steps, batch, gates * size) for each in given[:len(from_x)]]
        from_h = np.empty((batch, gates * size), x.dtype)

        def run() -> None:
            for direction, back in enumerate(backwards):
                states = [np.ascontiguousarray(each[direction]) for each in given[len(from_x):]]
                for step in reversed(range(steps)) if back else range(steps):
                    product.product(states[0], turned[direction], beside_h[direction], from_h, True)
                    states = cells[direction](of_steps[direction][step], from_h, states)
                    results[0][step, direction] = states[0]
                for result, state in zip(results[1:], states):
                    result[direction] = state

        return run

    builder.emit(bind, [*from_x, *first], [y, *last], "recurrent")
    if batch_first:
        return [_swapped(builder, y, (2, 0, 1, 3)), *(_swapped(builder, each) for each in last)]
    return [y, *last]


def _swapped(builder: Builder, value: Value, axes: tuple[int, ...] = (1, 0, 2)) -> Value:
    order = tuple(axes.index(axis) for axis in value.order)
    return builder.view(value, [value.shape[axis] for axis in axes], lambda array: array.transpose(axes), order)


OPERATORS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
