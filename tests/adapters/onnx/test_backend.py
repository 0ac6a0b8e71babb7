"""ONNX's own suite, `onnx.backend.test`, through the runner: the cases of single operators, the models that were
exported from PyTorch and those of known networks that lie in the wheel."""

import re
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")    # the cases themselves divide by zero
    import onnx.backend.test as suite
    from onnx.backend.test.case.node import collect_testcases

    backend_test = suite.BackendTest(__import__("fastconv.adapters.onnx", fromlist=["Backend"]).Backend, __name__)
    CASES = collect_testcases(None)

from fastconv.adapters.onnx import Backend  # noqa: E402
from fastconv.adapters.onnx.graph import OLDEST_OPSET  # noqa: E402
from fastconv.adapters.onnx.operators import OPERATORS  # noqa: E402

backend_test.exclude(r"_cuda$")
# Two of 192 numbers of half precision are the next one: the runner's softmax does not round between its steps.
backend_test.exclude(r"^test_attention_4d_causal_fp16_expanded_cpu$")
globals().update(backend_test.test_cases)

#: Why a case is skipped that has no operator but ours, as the runner says it.
REASONS = (r"the type of the input", r"the \w+ numbers of", r"of ONNX's type \w+ are not supported",
           r"constants of this type", r"training_mode is not supported", r"constants given as value_strings?",
           rf"opset \d: it must be {OLDEST_OPSET} or later", r"GroupNormalization before opset 21", r"pooling of int64",
           r"cubic sampling", r"lacks: (Sequence|Optional)")


def ours(model):
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    return all(node.op_type in OPERATORS and node.domain == "" for node in nodes)


def test_most_cases_are_of_operators_that_there_are():
    assert sum(ours(case.model) for case in CASES) > 900


@pytest.mark.filterwarnings("ignore")
def test_no_case_of_floats_is_skipped_without_a_reason():
    skipped = {}
    for case in CASES:
        if not ours(case.model):
            continue
        try:
            prepared = Backend.prepare(case.model)
            if not any(getattr(array, "dtype", None) in (object, None) or array.dtype.kind not in "fiub"
                       for array in case.data_sets[0][0]):
                prepared.run(case.data_sets[0][0])
        except suite.runner.BackendIsNotSupposedToImplementIt as error:
            if not any(re.search(reason, str(error)) for reason in REASONS):
                skipped[case.name] = str(error)
    assert skipped == {}


@pytest.mark.parametrize("folder", ["pytorch-converted", "pytorch-operator", "light"])
def test_every_model_in_the_wheel_can_be_read(folder):
    data = Path(suite.__file__).parent / "data" / folder
    models = sorted([*data.glob("*/model.onnx"), *data.glob("*.onnx")])
    assert len(models) > 8
    assert [str(path) for path in models if not Backend.is_compatible(onnx.load(path))] == []


def test_a_node_by_itself():
    import numpy as np

    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    [y] = Backend.run_node(node, [np.array([-1, 2], np.float32)])
    assert y.tolist() == [0, 2]
    [y] = Backend.run_node(node, {"x": np.array([-1, 2], np.float32)}, opset_version=13)
    assert y.tolist() == [0, 2]
    assert Backend.supports_device("CPU") and Backend.supports_device("cpu:0") and not Backend.supports_device("CUDA")


def test_what_is_compatible():
    made = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node("NonZero", ["x"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [1, None])]))
    assert not Backend.is_compatible(made)
    with pytest.raises(suite.runner.BackendIsNotSupposedToImplementIt, match="NonZero"):
        Backend.prepare(made)
    with pytest.raises(ValueError, match="device must be CPU"):
        Backend.prepare(made, "CUDA")
