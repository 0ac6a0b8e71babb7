"""Losses of numbers, the options of those of classes, and weights of samples; plain losses of classes: test_loss."""

import numpy as np
import pytest
from gradients import numeric_gradient

from fastconv import nn

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((5, 4)), RNG.random((5, 4))
LABELS = np.array([0, 3, -100, 1, 2])
LOG_PROBS = X - np.log(np.exp(X).sum(axis=1, keepdims=True))
WEIGHT = np.array([0.5, 1.0, 2.0, 4.0])
SAMPLES = np.array([1.0, 0.0, 3.0, 0.5, 2.0])

CASES = {
    "mse": (nn.MSELoss(), X, T), "l1": (nn.L1Loss(), X, T), "huber": (nn.HuberLoss(delta=0.5), X, T),
    "smooth l1": (nn.SmoothL1Loss(beta=0.5), X, T), "bce": (nn.BCEWithLogitsLoss(), X, T),
    "bce with weights": (nn.BCEWithLogitsLoss(WEIGHT, pos_weight=1 / WEIGHT), X, T),
    "cross-entropy": (nn.CrossEntropyLoss(0.1, weight=WEIGHT), X, LABELS),
    "cross-entropy of probabilities": (nn.CrossEntropyLoss(weight=WEIGHT), X, T),
    "cross-entropy of maps": (nn.CrossEntropyLoss(ignore_index=1), X.reshape(5, 2, 2), LABELS[:, None] % 3 % 2 + np.eye(
        5, 2, dtype=int)),
    "nll": (nn.NLLLoss(WEIGHT), LOG_PROBS, LABELS),
}  # fmt: skip


@pytest.mark.parametrize("sample_weight", [None, SAMPLES], ids=["", "sample_weight"])
@pytest.mark.parametrize("case", CASES)
def test_backward_is_the_derivative(case, sample_weight):
    loss, x, target = CASES[case]
    x = x.copy()
    if isinstance(loss, nn.NLLLoss):
        x -= 0.1  # a step of the numerical derivative is no log-probability above 0
    expected = numeric_gradient(lambda: float(loss(x, target, sample_weight)), x)
    loss(x, target, sample_weight)
    np.testing.assert_allclose(loss.backward(), expected, atol=1e-9)
    np.testing.assert_allclose(loss.backward(2.0), 2 * expected, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_equal_weights_change_nothing_and_whole_ones_are_repetitions(case):
    loss, x, target = CASES[case]
    plain, grad = loss(x, target), loss.backward()
    assert loss(x, target, np.full(5, 0.3)) == pytest.approx(plain, rel=1e-13)
    np.testing.assert_allclose(loss.backward(), grad, rtol=1e-12, atol=1e-15)
    if case == "bce with weights":
        return  # the weights of each pair are those of the batch
    times = [2, 0, 1, 3, 1]
    expected = loss(np.repeat(x, times, 0), np.repeat(target, times, 0))
    assert loss(x, target, times) == pytest.approx(expected, rel=1e-13)


def test_reductions():
    for case, (loss, x, target) in CASES.items():
        for reduction in ("sum", "none"):
            made = eval(repr(loss), {**vars(nn), "array": np.array})
            made.reduction = reduction
            value = made(x, target)
            grad = made.backward(np.ones_like(value) if reduction == "none" else 1.0)
            assert grad.shape == x.shape, case
            with pytest.raises(ValueError, match="sample_weight must be left None"):
                made(x, target, SAMPLES)
    assert nn.MSELoss(reduction="none")(X, T).shape == X.shape


def test_the_repr_is_the_call():
    assert repr(nn.MSELoss()) == "MSELoss()" and repr(nn.HuberLoss(delta=0.5)) == "HuberLoss(delta=0.5)"
    assert repr(nn.CrossEntropyLoss(0.1, ignore_index=255)) == "CrossEntropyLoss(label_smoothing=0.1, ignore_index=255)"


@pytest.mark.parametrize("weights, error, message", [
    (np.ones(4), ValueError, r"sample_weight must have shape \(5,\), one number for each sample, got \(4,\)"),
    (np.ones((5, 1)), ValueError, "sample_weight must have shape"),
    (["a"] * 5, TypeError, "sample_weight must be real numbers"),
    ([True] * 5, TypeError, "sample_weight must be real numbers"),
    ([1, 1, 1, 1, -1], ValueError, "sample_weight must be finite and at least 0, got -1.0"),
    ([1, 1, 1, 1, np.nan], ValueError, "sample_weight must be finite and at least 0, got nan"),
])
def test_bad_weights_of_samples(weights, error, message):
    loss = nn.MSELoss()
    value = loss(X, T)
    grad = loss.backward()
    with pytest.raises(error, match=message):
        loss(X, T, weights)
    np.testing.assert_array_equal(loss.backward(), grad)  # of the last call that was right
    assert value == loss(X, T)


@pytest.mark.parametrize("make, error, message", [
    (lambda: nn.MSELoss("average"), ValueError, "reduction must be one of 'mean', 'sum', 'none'"),
    (lambda: nn.L1Loss(None), ValueError, "reduction must be one of"),
    (lambda: nn.HuberLoss(delta=0), ValueError, "delta must be above 0"),
    (lambda: nn.SmoothL1Loss(beta=-1), ValueError, "beta must be at least 0"),
    (lambda: nn.BCEWithLogitsLoss([1, 2]), TypeError, "weight must be float32 or float64"),
    (lambda: nn.BCEWithLogitsLoss(pos_weight=1), TypeError, "pos_weight must be float32 or float64"),
    (lambda: nn.CrossEntropyLoss(weight="a"), TypeError, "weight must be"),
    (lambda: nn.CrossEntropyLoss(ignore_index=1.5), TypeError, "ignore_index must be an integer"),
    (lambda: nn.NLLLoss(reduction="all"), ValueError, "reduction must be one of"),
    (lambda: nn.MSELoss().backward(), RuntimeError, "MSELoss.backward needs a call before it"),
])
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("make", [
    nn.NLLLoss, lambda: nn.NLLLoss(np.array([1.0, 2.0, 0.5])), lambda: nn.NLLLoss(ignore_index=1),
    lambda: nn.NLLLoss(reduction="sum"), nn.MSELoss])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_of_a_batch_is_that_of_its_parts_by_what_they_count_for(make, weighted):
    loss, rng = make(), np.random.default_rng(0)
    x, target = np.log(rng.dirichlet(np.ones(3), 9)), np.arange(9) % 3
    if isinstance(loss, nn.MSELoss):
        target = rng.random(x.shape)
    weights = (rng.random(9),) if weighted and loss.reduction == "mean" else ()
    counts, values = [], []
    for some in (slice(0, 2), slice(2, 9)):
        part = [weight[some] for weight in weights]
        counts.append(loss.counted(target[some], *part))
        values.append(loss(x[some], target[some], *part))
    total = 1.0 if loss.reduction == "sum" else sum(counts)
    np.testing.assert_allclose(np.dot(counts, values) / total, loss(x, target, *weights), rtol=1e-12)
