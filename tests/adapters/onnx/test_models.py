"""Models that other packages bring along, beside ONNX Runtime."""

import importlib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx.reference import ReferenceEvaluator  # noqa: E402

from fastconv.adapters.onnx import load, ops, report  # noqa: E402

MODELS = {
    "text direction": ("rapidocr", "models/ch_ppocr_mobile_v2.0_cls_mobile.onnx", [(1, 3, 48, 192), (3, 3, 48, 192)]),
    "text detection": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", [(1, 3, 96, 128)]),
    "text recognition": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx",
                         [(1, 3, 48, 160), (2, 3, 48, 96)]),
}


def model_file(package, path):
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package}, whose wheel has the model, is not installed")
    return str(Path(spec.origin).parent / path)


def image(shape):
    """A line of dark strokes on white, which a detector takes for text."""
    rng, (rows, columns) = np.random.default_rng(0), shape[-2:]
    x = np.ones(shape, np.float32)
    for column in range(8, columns - 8):
        if column % 12 < 10 and rng.random() < 0.8:
            x[..., rows // 3:2 * rows // 3:2 + column % 3, column] = -1
    x[..., rows // 2, 8:-8] = -1
    return x


@pytest.mark.parametrize("name", MODELS)
def test_a_model_in_a_wheel(name):
    package, path, shapes = MODELS[name]
    file = model_file(package, path)
    session = load(file)
    theirs = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for shape in shapes:
        feeds = {session.input_names[0]: image(shape)}
        wanted = theirs.run(None, feeds)
        for got, want in zip(session.run(feeds), wanted):
            assert got.shape == want.shape
            assert want.max() > 0.3    # all three end in probabilities
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=5e-5)


def test_the_evaluator_computes_the_text_direction_with_nothing_handed_on():
    file = model_file(*MODELS["text direction"][:2])
    feeds = {"x": image((1, 3, 48, 192))}
    report().reset()
    [got] = ReferenceEvaluator(file, new_ops=ops()).run(None, feeds)
    [want] = runtime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, feeds)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    assert report().handed_on == {} and report().served["Conv"] == 53


def test_the_text_direction_is_one_step_for_few_nodes():
    """Normalisations and activations are part of the convolutions, products of maps and gates are one step."""
    session = load(model_file(*MODELS["text direction"][:2]))
    x = image((1, 3, 48, 192))
    session.run({"x": x})
    [program] = session._programs.values()
    assert len(program.steps) < 125 and program.places.nbytes < 500_000
