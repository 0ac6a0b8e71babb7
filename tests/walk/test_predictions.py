"""What a network takes many images for, and its losses beside the trainer's."""

import numpy as np

import fastconv as fc
from fastconv import data, nn, optim, walk


def test_the_losses_are_the_trainers():
    digits, model = data.digits("test"), nn.models.lenet5(rng=0)
    seen = walk.predictions(model, digits.images, digits.labels)
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.NLLLoss())
    scores = trainer.evaluate(digits)
    assert scores["accuracy"] == seen.accuracy and np.isclose(scores["loss"], seen.loss, rtol=1e-6)
    assert np.array_equal(seen.mistakes, sorted(seen.mistakes, key=lambda number: -seen.losses[number]))
    never = walk.PredictionsWalk(digits.images[:1], np.array([1]), np.float32([[1, 0]]))
    assert np.isinf(never.loss)
