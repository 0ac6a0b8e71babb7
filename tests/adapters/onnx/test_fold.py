"""The passes over a graph: what they leave, and that results stay the same."""

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import assert_close, model  # noqa: E402

from fastconv.adapters.onnx.fold import folded  # noqa: E402
from fastconv.adapters.onnx.graph import read  # noqa: E402
from fastconv.adapters.onnx.operators import OPERATORS  # noqa: E402
from fastconv.adapters.onnx.session import Session  # noqa: E402

RNG = np.random.default_rng(0)
X = {"x": (np.float32, (2, 4, 6, 5))}


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CONV = ("Conv", ["x", "w", "b"], ["c"], dict(pads=[1, 1, 1, 1]))
CONSTANTS = {"w": numbers(3, 4, 3, 3), "b": numbers(3), "s": numbers(3), "o": numbers(3), "m": numbers(3),
             "v": np.abs(numbers(3)) + 0.5, "k": numbers(3, 1, 1), "three": np.float32([3]), "six": np.float32([6]),
             "zero": np.float32(0), "half": np.float32(0.5), "one": np.float32(1), "root": np.float32(2**0.5),
             "wt": numbers(4, 3, 3, 3), "wg": numbers(4, 2, 2, 2), "o4": numbers(1, 4, 1, 1), "w2": numbers(3, 3, 1, 1),
             "w2_": numbers(3, 4, 1, 1), "w4": numbers(6, 2, 3, 2), "k4": numbers(4, 1, 1),
             "s4": np.abs(numbers(1, 4, 1, 1)) + 0.5,
             "s4_": numbers(4), "o4_": numbers(4), "m4": numbers(4), "v4": np.abs(numbers(4)) + 0.5,
             "far": np.float32([9])}
NORM = ("BatchNormalization", ["c", "s", "o", "m", "v"], ["y"])
CLIP = ("Clip", ["a", "zero", "six_"], ["h"])

# The nodes, and the operators that are left.
GRAPHS = {
    "batch normalisation": ([CONV, NORM], ["Conv"]),
    "and an activation": ([CONV, (*NORM[:2], ["n"]), ("Relu", ["n"], ["y"])], ["Conv"]),
    "of a transposed convolution": ([("ConvTranspose", ["x", "wt"], ["c"], dict(strides=[2, 2])), NORM,
                                     ], ["ConvTranspose"]),
    "of groups, transposed": ([("ConvTranspose", ["x", "wg"], ["c"], dict(group=2)), ("Mul", ["c", "o4"], ["y"])],
                              ["ConvTranspose"]),
    "a factor and an offset a channel": ([CONV, ("Mul", ["k", "c"], ["p"]), ("Sub", ["p", "k"], ["y"])], ["Conv"]),
    "one factor": ([CONV, ("Div", ["c", "six"], ["y"])], ["Conv"]),
    "a quotient of one": ([CONV, ("Div", ["six", "c"], ["y"])], ["Conv", "Div"]),
    "a result that is needed twice": ([CONV, NORM, ("Add", ["c", "y"], ["z"])], ["Conv", "BatchNormalization", "Add"]),
    "a residual": ([CONV, ("Conv", ["c", "w2"], ["d"]), ("Add", ["d", "c"], ["e"]), ("Relu", ["e"], ["y"])],
                   ["Conv", "Conv"]),
    "a residual of two": ([CONV, ("Conv", ["x", "w"], ["d"], dict(pads=[1, 1, 1, 1])), ("Add", ["c", "d"], ["y"])],
                          ["Conv", "Conv"]),
    "twice itself": ([CONV, ("Add", ["c", "c"], ["y"])], ["Conv", "Add"]),
    "hard swish": ([CONV, ("HardSigmoid", ["c"], ["g"], dict(alpha=1 / 6, beta=0.5)), ("Mul", ["c", "g"], ["y"])],
                   ["Conv", "HardSwish"]),
    "hard swish in parts": ([CONV, ("Add", ["c", "three"], ["a"]), CLIP, ("Mul", ["c", "h"], ["p"]),
                             ("Div", ["p", "six"], ["y"])], ["Conv", "HardSwish"]),
    "hard swish in other parts": ([CONV, ("Add", ["three", "c"], ["a"]), CLIP, ("Div", ["h", "six"], ["g"]),
                                   ("Mul", ["g", "c"], ["y"])], ["Conv", "HardSwish"]),
    "another hard sigmoid": ([CONV, ("HardSigmoid", ["c"], ["y"], dict(alpha=0.2, beta=0.6))],
                             ["Conv", "HardSigmoid"]),
    "swish": ([CONV, ("Sigmoid", ["c"], ["g"]), ("Mul", ["g", "c"], ["y"])], ["Conv", "Swish"]),
    "not swish": ([CONV, ("Sigmoid", ["c"], ["g"]), ("Mul", ["g", "x_"], ["y"])], ["Conv", "Mul"]),
    "gelu": ([CONV, ("Div", ["c", "root"], ["d"]), ("Erf", ["d"], ["e"]), ("Add", ["e", "one"], ["f"]),
              ("Mul", ["c", "f"], ["p"]), ("Mul", ["p", "half"], ["y"])], ["Conv", "Gelu"]),
    "a line before": ([("Sub", ["x", "k4"], ["a"]), ("Div", ["a", "s4"], ["n"]), ("Conv", ["n", "w", "b"], ["y"])],
                      ["Conv"]),
    "a normalisation before": ([("BatchNormalization", ["x", "s4_", "o4_", "m4", "v4"], ["n"]),
                                ("Conv", ["n", "w"], ["y"])], ["Conv"]),
    "a line before groups": ([("Mul", ["o4", "x"], ["a"]), ("Add", ["k4", "a"], ["n"]),
                              ("Conv", ["n", "w4"], ["y"], dict(group=2))], ["Conv"]),
    "a factor before padding": ([("Mul", ["x", "o4"], ["n"]),
                                 ("Conv", ["n", "w", "b"], ["y"], dict(pads=[1, 1, 1, 1]))], ["Conv"]),
    "an offset before padding": ([("Add", ["x", "o4"], ["a"]), ("Mul", ["a", "half"], ["n"]),
                                  ("Conv", ["n", "w", "b"], ["y"], dict(auto_pad="SAME_UPPER"))], ["Add", "Conv"]),
    "a large offset before": ([("Add", ["x", "far"], ["n"]), ("Conv", ["n", "w", "b"], ["y"])], ["Add", "Conv"]),
    "a quotient before": ([("Div", ["half", "x"], ["n"]), ("Conv", ["n", "w", "b"], ["y"])], ["Div", "Conv"]),
    "a factor of zero under it": ([("Div", ["x", "zero"], ["n"]), ("Conv", ["n", "w", "b"], ["y"])], ["Conv", "Div"]),
    "a constant that makes channels": ([("GlobalMaxPool", ["x"], ["g"]), ("ReduceMean", ["g"], ["f"], dict(axes=[1])),
                                        ("Mul", ["f", "o4"], ["n"]), ("Conv", ["n", "w2_", "b"], ["y"])],
                                       ["Conv", "GlobalMaxPool", "Mul", "ReduceMean"]),
    "a line that is needed twice": ([("Mul", ["x", "half"], ["n"]), ("Conv", ["n", "w", "b"], ["y"]),
                                     ("Relu", ["n"], ["z"])], ["Conv", "Mul", "Relu"]),
    "lines between": ([CONV, ("Relu", ["c"], ["r"]), ("Mul", ["r", "k"], ["n"]), ("Conv", ["n", "w2", "b"], ["y"])],
                      ["Conv", "Conv"]),
    "constants": ([("Constant", [], ["q"], dict(value_float=2.0)), ("Mul", ["q", "half"], ["r"]),
                   ("Mul", ["x", "r"], ["y"])], ["Mul"]),
    "what nothing needs": ([("Relu", ["x"], ["y"]), ("Sigmoid", ["x"], ["z_"])], ["Relu"]),
    "an array under other names": ([("Identity", ["x"], ["a"]), ("Dropout", ["a"], ["d"]), ("Relu", ["d"], ["y"])],
                                   ["Relu"]),
    "an activation that is an output": ([CONV, ("Relu", ["c"], ["y"]), ("Identity", ["c"], ["z"])],
                                        ["Conv", "Relu", "Identity"]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_left_does_the_same(name):
    nodes, left = GRAPHS[name]
    inputs = dict(X)
    used = {each for node in nodes for each in node[1]}
    if "x_" in used:
        inputs["x_"] = (np.float32, (2, 3, 6, 5))
    constants = {key: value for key, value in {**CONSTANTS, "six_": np.float32(6)}.items() if key in used}
    made = [each for node in nodes for each in node[2]]
    outputs = ["y", *(["z"] if "z" in made else [])]
    proto = model(nodes, inputs, outputs, constants, opset=14)
    graph = read(proto, OPERATORS)
    assert sorted(node.op for node in folded(graph).nodes) == sorted(left)
    feeds = {key: numbers(*shape) for key, (_, shape) in inputs.items()}
    plain = Session(graph, fold=False).run(feeds)
    assert_close(Session(graph).run(feeds), plain)
    assert_close(Session(graph, orders=(False,)).run(feeds), plain)


def test_a_graph_is_left_as_it_is():
    proto = model([CONV, NORM], X, ["y"], {key: CONSTANTS[key] for key in "wbsomv"}, opset=14)
    graph = read(proto, OPERATORS)
    before = [str(node) for node in graph.nodes], {key: value.copy() for key, value in graph.constants.items()}
    folded(graph)
    assert [str(node) for node in graph.nodes] == before[0]
    for key, value in before[1].items():
        np.testing.assert_array_equal(graph.constants[key], value)
