"""LSTM, GRU and RNN beside their formulas, a step and an image at a time, and ONNX Runtime; branches that shapes
decide."""

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import assert_close, expected, helper, model  # noqa: E402

from fastconv.adapters.onnx import load  # noqa: E402
from fastconv.adapters.onnx.graph import UnsupportedModel  # noqa: E402

STEPS, BATCH, DEPTH, SIZE = 5, 3, 4, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(op, x, states, w, r, bw, br, peepholes, before_reset):
    """The next states of one image: x (depth,), states (size,) each."""
    a, h, n = w @ x + bw, states[0], len(states[0])
    if op == "RNN":
        return [np.tanh(a + r @ h + br)]
    if op == "GRU":
        z, reset = (sigmoid(a[i:i + n] + r[i:i + n] @ h + br[i:i + n]) for i in (0, n))
        last = slice(2 * n, 3 * n)
        inner = reset * (r[last] @ h + br[last]) if before_reset else r[last] @ (reset * h) + br[last]
        return [(1 - z) * np.tanh(a[last] + inner) + z * h]
    i, o, f, c = np.split(a + r @ h + br, 4)
    of_i, of_o, of_f = np.split(peepholes, 3)
    new = sigmoid(f + of_f * states[1]) * states[1] + sigmoid(i + of_i * states[1]) * np.tanh(c)
    return [sigmoid(o + of_o * new) * np.tanh(new), new]


def by_the_formula(op, arrays, backwards, before_reset):
    x, w, r, b, _, *rest = arrays
    initial, peepholes = rest[:1 + (op == "LSTM")], rest[2] if len(rest) > 2 else np.zeros((len(w), 3 * SIZE))
    y = np.zeros((len(x), len(w), x.shape[1], SIZE))
    last = [np.zeros((len(w), x.shape[1], SIZE)) for _ in initial]
    for direction, back in enumerate(backwards):
        for image in range(x.shape[1]):
            states = [each[direction, image].astype(np.float64) for each in initial]
            for t in reversed(range(len(x))) if back else range(len(x)):
                bw, br = np.split(b[direction].astype(np.float64), 2)
                states = step(op, x[t, image].astype(np.float64), states, w[direction], r[direction], bw, br,
                              peepholes[direction], before_reset)
                y[t, direction, image] = states[0]
            for result, state in zip(last, states):
                result[direction, image] = state
    return [y, *last]


def recurrent(op, direction, dtype=np.float32, **attributes):
    """A model of one layer with all of its inputs, its feeds, and its arrays."""
    rng, both = np.random.default_rng(0), 2 if direction == "bidirectional" else 1
    shapes = {"x": (STEPS, BATCH, DEPTH), "w": (both, GATES[op] * SIZE, DEPTH), "r": (both, GATES[op] * SIZE, SIZE),
              "b": (both, 2 * GATES[op] * SIZE), "": (), "h": (both, BATCH, SIZE)}
    if op == "LSTM":
        shapes |= {"c": (both, BATCH, SIZE), "p": (both, 3 * SIZE)}
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    constants = {name: arrays[name] for name in "wrbp" if name in arrays}
    feeds = {name: arrays[name] for name in "xhc" if name in arrays}
    outputs = ["y", "y_h", "y_c"][:2 + (op == "LSTM")]
    made = model([(op, list(shapes), outputs, dict(hidden_size=SIZE, direction=direction, **attributes))],
                 {name: (dtype, array.shape) for name, array in feeds.items()}, outputs, constants)
    return made, feeds, list(arrays.values())


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "attributes"), [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}),
                                                ("RNN", {})])
def test_beside_the_formula_and_onnx_runtime(op, attributes, direction):
    made, feeds, arrays = recurrent(op, direction, **attributes)
    got = load(made).run(feeds)
    backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    for ours, wanted in zip(got, by_the_formula(op, arrays, backwards, bool(attributes))):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, wanted, atol=2e-6)
    assert_close(got, expected(made, feeds))


def test_double_precision_and_a_session_that_runs_twice():
    made, feeds, arrays = recurrent("LSTM", "bidirectional", np.float64)
    session = load(made)
    first, second = session.run(feeds), session.run(feeds)
    for ours, again, wanted in zip(first, second, by_the_formula("LSTM", arrays, [False, True], False)):
        np.testing.assert_allclose(ours, wanted, atol=1e-13)
        np.testing.assert_array_equal(ours, again)


def test_other_activations():
    made, feeds, _ = recurrent("RNN", "forward", activations=["Relu"])
    assert_close(load(made).run(feeds), expected(made, feeds))
    made, feeds, _ = recurrent("LSTM", "forward", clip=0.5)
    with pytest.raises(UnsupportedModel, match="clip.* not supported"):
        load(made).run(feeds)


def branch(name, nodes, output, kind=onnx.TensorProto.FLOAT):
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, kind, None)])


def squeezed(shape, op="Squeeze"):
    """What PyTorch writes for x.abs().squeeze(1) where it does not know the size of the axis."""
    node = helper.make_node
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    then = branch("then", [node(op, ["a", "axis"][:1 + (op == "Squeeze")], ["t"])], "t")
    then.initializer.append(axis)
    nodes = [node("Abs", ["x"], ["a"]), node("Shape", ["x"], ["s"]), node("Gather", ["s", "one"], ["n"]),
             node("Equal", ["n", "one"], ["is one"]),
             node("If", ["is one"], ["f"], then_branch=then,
                  else_branch=branch("else", [node("Identity", ["a"], ["e"])], "e")),
             node("Neg", ["f"], ["y"])]
    graph = helper.make_graph(nodes, "test", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "w"])],
                              [onnx.numpy_helper.from_array(np.array(1), "one")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def test_a_branch_that_the_shape_decides():
    session = load(squeezed(["n", "c", "w"]))
    for shape in ((2, 1, 5), (2, 3, 5), (4, 1, 2)):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        [y] = session.run({"x": x})
        np.testing.assert_array_equal(y, -np.abs(x[:, 0] if shape[1] == 1 else x))


def test_what_a_branch_lacks_is_named():
    with pytest.raises(UnsupportedModel, match="NonZero .1 node: 't'"):
        load(squeezed(["n", "c", "w"], "NonZero"))
