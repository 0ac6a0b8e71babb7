"""Losses of class labels against the formulas, their gradients, reductions, label smoothing."""

import numpy as np
import pytest
import reference
from gradients import numeric_gradient

import fastconv as fc

DTYPES = [np.float32, np.float64]
REDUCTIONS = ["mean", "sum", "none"]


def batch(dtype=np.float64, n=9, classes=5):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n, classes)) * 4).astype(dtype), rng.integers(0, classes, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy(smoothing, reduction, dtype):
    for n, classes in ((9, 5), (1, 1), (64, 10), (33, 1000)):
        logits, target = batch(dtype, n, classes)
        near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
        options = {"reduction": reduction, "label_smoothing": smoothing}
        loss = fc.cross_entropy(logits, target, **options)
        assert np.shape(loss) == ((n,) if reduction == "none" else ()) and loss.dtype == dtype
        np.testing.assert_allclose(loss, reference.cross_entropy(logits, target, **options), **near)
        for grad_output in [1.0, -2.5] + ([np.linspace(-1, 1, n).astype(dtype)] if reduction == "none" else []):
            grad = fc.cross_entropy_backward(logits, target, **options, grad_output=grad_output)
            assert grad.dtype == dtype
            np.testing.assert_allclose(
                grad, reference.cross_entropy_backward(logits, target, **options, grad_output=grad_output), **near)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction, dtype):
    logits, target = batch(dtype)
    log_probs = fc.log_softmax(logits)
    near = {"rtol": 8 * np.finfo(dtype).eps}
    loss = fc.nll_loss(log_probs, target, reduction=reduction)
    assert loss.dtype == dtype
    np.testing.assert_allclose(loss, reference.nll_loss(log_probs, target, reduction), **near)
    grad_output = np.arange(9, dtype=dtype) if reduction == "none" else 3.0
    np.testing.assert_allclose(fc.nll_loss_backward(log_probs, target, reduction=reduction, grad_output=grad_output),
                               reference.nll_loss_backward(log_probs, target, reduction, grad_output), **near)


def test_cross_entropy_is_nll_of_log_softmax():
    logits, target = batch(np.float32)
    log_probs = fc.log_softmax(logits)
    assert fc.cross_entropy(logits, target) == fc.nll_loss(log_probs, target)
    grad = fc.log_softmax_backward(fc.nll_loss_backward(log_probs, target), log_probs)
    np.testing.assert_allclose(fc.cross_entropy_backward(logits, target), grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_by_finite_differences(reduction, smoothing):
    logits, target = batch()
    options = {"reduction": reduction, "label_smoothing": smoothing}
    np.testing.assert_allclose(fc.cross_entropy_backward(logits, target, **options),
                               numeric_gradient(lambda: fc.cross_entropy(logits, target, **options), logits),
                               rtol=1e-5, atol=1e-8)


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0.0], [0.0, 1e4]], np.float32)
    assert fc.cross_entropy(logits, [0, 1]) == 0
    assert fc.cross_entropy(logits, [1, 0]) == 1e4
    np.testing.assert_array_equal(fc.cross_entropy_backward(logits, [0, 1]), np.zeros((2, 2)))


def test_sum_keeps_the_accuracy_of_double():
    log_probs = np.full((200_000, 1), -0.1, np.float32)
    loss = fc.nll_loss(log_probs, np.zeros(200_000, int), reduction="sum")
    np.testing.assert_allclose(loss, 200_000 * float(np.float32(0.1)), rtol=1e-7)


def test_any_strides_and_label_types():
    logits, target = batch()
    expected, grad = fc.cross_entropy(logits, target), fc.cross_entropy_backward(logits, target)
    for view in (np.asfortranarray(logits), np.repeat(logits, 2, axis=1)[:, ::2]):
        assert fc.cross_entropy(view, target) == expected
        np.testing.assert_array_equal(fc.cross_entropy_backward(view, target), grad)
        log_probs = fc.log_softmax(logits)
        assert fc.nll_loss(np.asfortranarray(log_probs), target) == fc.nll_loss(log_probs, target)
    for labels in (target.tolist(), target.astype(np.uint8), np.repeat(target, 2)[::2]):
        assert fc.cross_entropy(logits, labels) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4096, 64), (256, 1000), (9, 32000), (3, 70_000), (5000, 3), (17, 16), (17, 17)])
def test_rows_of_all_lengths_and_layouts_with_any_number_of_threads(shape, dtype):
    """Rows of more than 65536 scores that are not contiguous are copied piece by piece."""
    logits, target = batch(dtype, *shape)
    weights = np.linspace(-1, 1, len(logits)).astype(dtype)
    near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    for options in ({}, {"label_smoothing": 0.1}, {"reduction": "none"}):
        more = {"grad_output": weights} if "reduction" in options else {}
        wanted = None
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                results = [fc.cross_entropy(logits, target, **options),
                           fc.cross_entropy_backward(logits, target, **options, **more)]
            wanted = results if wanted is None else wanted
            for result, expected in zip(results, wanted):
                np.testing.assert_array_equal(result, expected)
        view = np.asfortranarray(logits)
        np.testing.assert_allclose(wanted[0], reference.cross_entropy(logits, target, **options), **near)
        np.testing.assert_allclose(wanted[1],
                                   reference.cross_entropy_backward(logits, target, **options, **more), **near)
        np.testing.assert_allclose(fc.cross_entropy(view, target, **options), wanted[0], **near)
        np.testing.assert_array_equal(fc.cross_entropy_backward(view, target, **options, **more), wanted[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [5, 70_000])
def test_scores_that_are_not_finite(classes, dtype):
    logits = np.zeros((6, classes), dtype)
    logits[0, :-1], logits[1, 1:], logits[2], logits[3, 3], logits[4, 3] = -np.inf, -np.inf, -np.inf, np.nan, np.inf
    logits[5, :classes // 2], logits[5, classes // 2] = -np.inf, np.nan
    for view in (logits, np.asfortranarray(logits)):
        losses = fc.cross_entropy(view, [classes - 1, 0, 0, 0, 0, 0], reduction="none")
        np.testing.assert_array_equal(losses, [0, 0, np.nan, np.nan, np.nan, np.nan])
        assert fc.cross_entropy(view[:1], [0]) == np.inf


def test_empty_batch():
    logits, target = np.zeros((0, 5), np.float32), np.zeros(0, np.int64)
    assert fc.cross_entropy(logits, target, reduction="sum") == 0
    assert np.isnan(fc.cross_entropy(logits, target)) and np.isnan(fc.nll_loss(logits, target))
    assert fc.cross_entropy(logits, target, reduction="none").shape == (0,)
    assert fc.cross_entropy_backward(logits, target).shape == (0, 5)
    assert fc.nll_loss_backward(logits, target).shape == (0, 5)


def test_against_torch():
    torch = pytest.importorskip("torch")
    logits, target = batch()
    for reduction in REDUCTIONS:
        for smoothing in (0.0, 0.2):
            variable = torch.tensor(logits, requires_grad=True)
            expected = torch.nn.functional.cross_entropy(variable, torch.tensor(target), reduction=reduction,
                                                         label_smoothing=smoothing)
            options = {"reduction": reduction, "label_smoothing": smoothing}
            np.testing.assert_allclose(fc.cross_entropy(logits, target, **options),
                                       expected.detach().numpy(), rtol=1e-12)
            expected.sum().backward()
            np.testing.assert_allclose(fc.cross_entropy_backward(logits, target, **options), variable.grad.numpy(),
                                       rtol=1e-12, atol=1e-15)
