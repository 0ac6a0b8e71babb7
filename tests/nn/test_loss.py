"""Losses: values against formulas, gradients against numerical derivatives."""

import numpy as np
import pytest
from gradients import numeric_gradient

import fastconv as fc
from fastconv import nn

LOGITS = np.random.default_rng(0).standard_normal((5, 4))
TARGET = np.array([0, 3, 1, 1, 2])
LOG_PROBS = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))


def test_values():
    expected = -LOG_PROBS[np.arange(5), TARGET].mean()
    assert nn.NLLLoss()(LOG_PROBS, TARGET) == pytest.approx(expected, rel=1e-14)
    assert nn.CrossEntropyLoss()(LOGITS, TARGET) == pytest.approx(expected, rel=1e-14)
    smoothed = 0.9 * expected - 0.1 * LOG_PROBS.mean()
    assert nn.CrossEntropyLoss(label_smoothing=0.1)(LOGITS, TARGET) == pytest.approx(smoothed, rel=1e-14)


@pytest.mark.parametrize("loss", [nn.NLLLoss(), nn.CrossEntropyLoss(), nn.CrossEntropyLoss(0.2)], ids=repr)
def test_backward_is_the_derivative(loss):
    x = LOG_PROBS.copy()
    expected = numeric_gradient(lambda: float(loss(x, TARGET)), x)
    loss(x, TARGET)
    np.testing.assert_allclose(loss.backward(), expected, atol=1e-9)
    np.testing.assert_array_equal(loss.backward(), loss.backward())


def test_both_ways_to_end_a_classifier_give_the_same_gradient():
    log_softmax, nll, cross_entropy = nn.LogSoftmax(), nn.NLLLoss(), nn.CrossEntropyLoss()
    nll(log_softmax(LOGITS), TARGET)
    cross_entropy(LOGITS, TARGET)
    np.testing.assert_allclose(log_softmax.backward(nll.backward()), cross_entropy.backward(), atol=1e-15)


def test_errors():
    for loss in (nn.NLLLoss(), nn.CrossEntropyLoss()):
        with pytest.raises(RuntimeError, match=f"{type(loss).__name__}.backward needs a call before it"):
            loss.backward()
        with pytest.raises(ValueError, match="target must be class numbers from 0 to 3, got 4"):
            loss(LOGITS, TARGET + 1)
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="label_smoothing must be from 0 to 1"):
            nn.CrossEntropyLoss(label_smoothing=value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_are_never_positive(dtype):
    log_probs, loss = LOG_PROBS.astype(dtype), nn.NLLLoss()
    value = loss(log_probs, TARGET)
    grad = loss.backward()
    for wrong, shown in ((LOGITS, "1.304"), (np.exp(LOG_PROBS), "0.5"), (LOGITS.tolist(), "1.304")):
        with pytest.raises(ValueError, match=rf"log_probs must be log-probabilities.*got {shown}.*nn.LogSoftmax\(\).*"
                                             r"nn.CrossEntropyLoss\(\)"):
            loss(wrong, TARGET)
    log_probs[1, 2] = np.inf
    with pytest.raises(ValueError, match="got inf"):
        nn.NLLLoss()(log_probs, TARGET)
    np.testing.assert_array_equal(loss.backward(), grad)  # the failed calls left the last good one
    assert loss(LOG_PROBS.astype(dtype), TARGET) == value
    for harmless in (1e-7, 0.0, -0.0, -np.inf, np.nan):
        log_probs[1, 2] = harmless
        assert loss(log_probs, TARGET) == value  # the class in column 2 is not the right one of row 1
    log_probs[1, 3] = np.nan
    assert np.isnan(loss(log_probs, TARGET))
    assert np.isnan(loss(np.empty((0, 4), dtype), np.empty(0, int)))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2)])
def test_outputs_that_are_no_log_probabilities_are_said_once(shape):
    """Scores below 0 could be some; that their probabilities do not add up to 1 tells."""
    scores = -5 - np.random.default_rng(0).random(shape)
    labels = np.zeros((4, *shape[2:]), int)
    loss = nn.NLLLoss()
    with pytest.warns(UserWarning, match=r"add up to 0\.01.* nn\.LogSoftmax\(\), or take nn\.CrossEntropy") as seen:
        loss(scores, labels)
        loss(scores, labels)
    assert len(seen) == 1 and seen[0].filename == __file__
    nn.NLLLoss()(fc.log_softmax(scores, axis=1), labels)  # a warning would be an error here
