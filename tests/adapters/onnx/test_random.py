"""Random models: the runner beside ONNX Runtime, with maps in either order, run twice on the same memory."""

import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx_graphs import assert_close, expected  # noqa: E402
from onnx_random import random_model  # noqa: E402

from fastconv.adapters.onnx.graph import read  # noqa: E402
from fastconv.adapters.onnx.operators import OPERATORS  # noqa: E402
from fastconv.adapters.onnx.session import Session  # noqa: E402


@pytest.mark.parametrize("seed", range(120))
def test_a_random_model(seed):
    model, feeds = random_model(seed)
    wanted = expected(model, feeds)
    for orders in ((True,), (False,)):
        session = Session(read(model, OPERATORS), orders=orders)
        for _ in range(2):
            assert_close(session.run(feeds), wanted, 2e-4)


def test_the_models_are_of_all_kinds():
    nodes = [node.op_type for seed in range(120) for node in random_model(seed)[0].graph.node]
    assert len(set(nodes)) > 30 and nodes.count("Conv") > 120
