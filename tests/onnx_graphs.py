"""Models for the tests, written node by node, and what they come to: by ONNX Runtime, or by plain float64."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
helper = onnx.helper


def model(nodes, inputs, outputs, constants=None, opset=17):
    """A model of (op, inputs, outputs, attributes) or nodes; inputs by name: (dtype, shape)."""
    nodes = [node if not isinstance(node, tuple) else helper.make_node(node[0], node[1], node[2], **dict(*node[3:]))
             for node in nodes]
    typed = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
             for name, (dtype, shape) in inputs.items()]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "test", typed, [helper.make_empty_tensor_value_info(name) for name in outputs],
                              initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return with_types(made)


def expected(proto, feeds):
    """What ONNX Runtime computes, without rewriting the graph."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = runtime.InferenceSession(proto.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def with_types(proto):
    """A model whose outputs have types."""
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    known = {value.name: value for value in inferred.graph.value_info}
    for output in inferred.graph.output:
        if output.name in known and not output.type.WhichOneof("value"):
            output.CopyFrom(known[output.name])
    return inferred


def assert_close(got, wanted, tolerance=2e-5):
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, (ours.dtype, ours.shape, theirs.dtype,
                                                                          theirs.shape)
        if ours.dtype.kind != "f":
            np.testing.assert_array_equal(ours, theirs)
            continue
        scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1e-3)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)
