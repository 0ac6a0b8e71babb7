"""The operators under ONNX's reference evaluator."""

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_graphs import assert_close, expected, helper, model  # noqa: E402
from onnx_random import random_model  # noqa: E402

from fastconv.adapters.onnx import ops, report  # noqa: E402

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.fixture(autouse=True)
def _counted_anew():
    report().reset()


def test_the_classes_are_named_as_the_operators():
    names = [each.__name__ for each in ops()]
    assert len(names) == len(set(names)) > 90 and {"Conv", "MaxPool", "Gemm", "Resize"} <= set(names)
    assert all(each.op_domain == "" for each in ops())


@pytest.mark.parametrize("seed", range(60))
def test_a_random_model(seed):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    proto, feeds = random_model(seed)
    wanted = expected(proto, feeds)
    evaluator = ReferenceEvaluator(proto, new_ops=ops())
    for _ in range(2):
        assert_close(evaluator.run(None, feeds), wanted, 2e-4)
    assert report().handed_on == {} and sum(report().served.values()) == 2 * len(proto.graph.node)


@pytest.mark.parametrize("opset", [9, 11, 13, 14, 17])
def test_batch_normalisation_of_every_opset(opset):
    """That of the evaluator itself is wrong for opsets 9 to 13."""
    constants = {"s": numbers(3), "o": numbers(3), "m": numbers(3), "v": np.abs(numbers(3)) + 0.5}
    proto = model([("BatchNormalization", ["x", "s", "o", "m", "v"], ["y"], dict(epsilon=0.25))],
                  {"x": (np.float32, (2, 3, 4, 5))}, ["y"], constants, opset)
    x = numbers(2, 3, 4, 5)
    s, o, m, v = (constants[name].astype(np.float64).reshape(3, 1, 1) for name in "somv")
    [y] = ReferenceEvaluator(proto, new_ops=ops()).run(None, {"x": x})
    np.testing.assert_allclose(y, (x - m) / np.sqrt(v + 0.25) * s + o, rtol=1e-5, atol=1e-5)


def test_in_a_function_with_attributes_of_each_call():
    function = helper.make_function(
        "local", "Leak", ["a"], ["b"], [_linked("LeakyRelu", ["a"], ["b"], "alpha", "slope")],
        [helper.make_opsetid("", 17)], ["slope"])
    evaluator = ReferenceEvaluator(function, new_ops=ops())
    for slope in (0.5, 0.25):
        [y] = evaluator.run(None, {"a": np.float32([-8, 4])}, attributes={"slope": slope})
        assert y.tolist() == [-8 * slope, 4]
    assert report().served == {"LeakyRelu": 2}


def test_in_a_subgraph():
    def branch(op):
        return helper.make_graph([helper.make_node(op, ["x"], [f"{op} y"])], op, [], [
            helper.make_tensor_value_info(f"{op} y", onnx.TensorProto.FLOAT, [2])])

    proto = model([helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg"))],
                  {"c": (np.bool_, ()), "x": (np.float32, (2,))}, ["y"])
    evaluator = ReferenceEvaluator(proto, new_ops=ops())
    for condition, wanted in ((True, [0, 4]), (False, [8, -4])):
        [y] = evaluator.run(None, {"c": np.array(condition), "x": np.float32([-8, 4])})
        assert y.tolist() == wanted
    assert report().served == {"Relu": 1, "Neg": 1}


def _linked(op, inputs, outputs, attribute, parameter):
    node = helper.make_node(op, inputs, outputs)
    linked = node.attribute.add()
    linked.name, linked.ref_attr_name, linked.type = attribute, parameter, onnx.AttributeProto.FLOAT
    return node


def test_what_is_refused_is_handed_on_and_counted():
    proto = model([("BatchNormalization", ["x", "s", "o", "m", "v"], ["y", "m2", "v2"], dict(training_mode=1))],
                  {"x": (np.float32, (2, 3, 4, 5))}, ["y"],
                  {name: np.ones(3, np.float32) for name in "somv"}, 15)
    x = numbers(2, 3, 4, 5)
    plain = ReferenceEvaluator(proto).run(None, {"x": x})
    assert_close(ReferenceEvaluator(proto, new_ops=ops()).run(None, {"x": x}), plain)
    [(operation, reason)] = report().handed_on
    assert operation == "BatchNormalization" and "training_mode" in reason and "1 handed on" in str(report())


def test_a_mistake_is_the_evaluators_own_error():
    proto = model([("Conv", ["x", "w"], ["y"])], {"x": (np.float32, ("n", "c", 4, 4))}, ["y"],
                  {"w": numbers(5, 3, 3, 3)})
    with pytest.raises(Exception):
        ReferenceEvaluator(proto, new_ops=ops()).run(None, {"x": numbers(1, 4, 4, 4)})


def test_results_are_no_views_of_what_went_in():
    proto = model([("Reshape", ["x", "s"], ["y"]), ("Relu", ["y"], ["z"])], {"x": (np.float32, (2, 3))}, ["y", "z"],
                  {"s": np.array([6])})
    x = numbers(2, 3)
    y, z = ReferenceEvaluator(proto, new_ops=ops()).run(None, {"x": x})
    assert not np.shares_memory(y, x)
    y[:] = 7
    assert not (x == 7).any()
