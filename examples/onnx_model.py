"""An ONNX model three ways: by ONNX's reference evaluator, as it is and with fastconv's operators, and by the runner.

    python onnx_model.py                        # a small network, written here node by node
    python onnx_model.py model.onnx 1x3x48x192  # one of yours, and the shape of its input

Needs the package onnx (pip install onnx). The script compares the results and prints the times.
"""

import sys
import time

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fastconv.adapters.onnx

NUMBERS = ("scale", "shift", "mean", "variance")    # of a batch normalisation


def small_network():
    """Convolutions with normalisations, a residual block, average pooling and a fully connected layer."""
    rng = np.random.default_rng(0)
    constants = {"fc": rng.standard_normal((32, 10)) / 6, "offset": np.zeros(10)}
    nodes, x = [], "image"
    for i, channels in enumerate((3, 32, 32)):
        constants[f"w{i}"] = rng.standard_normal((32, channels, 3, 3)) / np.sqrt(9 * channels)
        constants.update({f"{name}{i}": rng.uniform(0.5, 1.5, 32) for name in NUMBERS})
        nodes += [helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1], name=f"conv {i}"),
                  helper.make_node("BatchNormalization", [f"c{i}", *(f"{name}{i}" for name in NUMBERS)], [f"n{i}"])]
        if i == 2:
            nodes.append(helper.make_node("Add", ["n2", "r0"], ["s"]))
        nodes.append(helper.make_node("Relu", ["s" if i == 2 else f"n{i}"], [f"r{i}"]))
        x = f"r{i}"
    nodes += [helper.make_node("GlobalAveragePool", [x], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"]),
              helper.make_node("Gemm", ["flat", "fc", "offset"], ["scores"])]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def milliseconds(run, repeat=5):
    """The least of some runs."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times)


def main():
    model = onnx.load(sys.argv[1]) if len(sys.argv) > 1 else small_network()
    shape = tuple(map(int, sys.argv[2].split("x"))) if len(sys.argv) > 2 else (1, 3, 64, 64)
    session = fastconv.adapters.onnx.load(model)
    feeds = {session.input_names[0]: np.random.default_rng(1).standard_normal(shape).astype(np.float32)}

    evaluator = ReferenceEvaluator(model)
    faster = ReferenceEvaluator(model, new_ops=fastconv.adapters.onnx.ops())
    wanted = faster.run(None, feeds)[0]
    for got in (session.run(feeds)[0], evaluator.run(None, feeds)[0]):
        # The evaluator's own batch normalisation of opsets 9 to 13 is wrong.
        print("largest difference:", np.abs(got - wanted).max())
    print(session.explain(feeds))
    print(f"ONNX's reference evaluator     {milliseconds(lambda: evaluator.run(None, feeds)):9.2f} ms")
    print(f"  with fastconv's operators    {milliseconds(lambda: faster.run(None, feeds)):9.2f} ms")
    print(f"fastconv's runner              {milliseconds(lambda: session.run(feeds)):9.2f} ms")


if __name__ == "__main__":
    main()
