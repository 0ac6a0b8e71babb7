"""What a network takes many images for is counted."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim, walk

DIGITS = data.digits("test")


@pytest.mark.parametrize("model", [
    nn.models.lenet5(rng=0),
    nn.Sequential(nn.Flatten(), nn.Linear(784, 10, rng=0)),
    nn.Sequential(nn.Flatten(), nn.Linear(784, 10, rng=0), nn.Softmax()),
], ids=lambda model: model.returns)
def test_it_is_what_predict_says(model):
    seen = walk.predictions(model, DIGITS.images, DIGITS.labels, batch_size=300)
    assert np.array_equal(seen.predictions, model.predict(DIGITS.images))
    assert np.allclose(seen.probabilities, model.predict_proba(DIGITS.images), atol=1e-6)
    assert np.allclose(seen.losses, -np.log(seen.probabilities[range(1000), DIGITS.labels]), rtol=1e-3, atol=1e-4)
    for truth, taken in ((0, 0), (3, 5), (9, 4)):
        assert seen.confusion[truth, taken] == np.sum((DIGITS.labels == truth) & (seen.predictions == taken))
    assert seen.confusion.sum() == 1000 and seen.accuracy == seen.confusion.trace() / 1000
    worst = seen.mistakes[:12]
    assert len(worst) == 12 and not np.any(seen.predictions[worst] == DIGITS.labels[worst])
    wrong = seen.predictions != DIGITS.labels
    assert np.array_equal(seen.losses[worst], np.sort(seen.losses[wrong])[::-1][:12])
    assert len(seen.mistakes) == wrong.sum()


def test_it_is_what_the_trainer_says():
    model = nn.models.lenet5(rng=0)
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.NLLLoss())
    scores, seen = trainer.evaluate(DIGITS), walk.predictions(model, DIGITS.images, DIGITS.labels)
    assert scores["accuracy"] == seen.accuracy and np.isclose(scores["loss"], seen.loss, rtol=1e-6)


def test_what_cannot_be_seen():
    model = nn.models.lenet5(rng=0)
    with pytest.raises(ValueError, match="at least one image"):
        walk.predictions(model, DIGITS.images[:0], DIGITS.labels[:0])
    with pytest.raises(ValueError, match="labels"):
        walk.predictions(model, DIGITS.images[:3], [0, 1, 10])
    with pytest.raises(ValueError, match="one number for each class"):
        walk.predictions(nn.Sequential(nn.Conv2d(1, 2, 3)), DIGITS.images[:2], [0, 1])
