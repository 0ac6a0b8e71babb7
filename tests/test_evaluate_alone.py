"""An evaluation writes nothing into the loss of a training, however deep in it a call is remembered."""

import collections
import functools
import os
import types

import numpy as np
import pytest

from fastconv import nn, optim
from fastconv.training import Trainer

RNG = np.random.default_rng(0)
X, LABELS = RNG.random((12, 1, 2, 2), np.float32), np.arange(12) % 3


class Loss:
    """Around another one, which is found somewhere in an attribute."""

    def __init__(self, keep, find):
        self.kept, self.find = keep(nn.CrossEntropyLoss()), find

    def __call__(self, output, labels):
        return self.find(self.kept)(output, labels)

    def backward(self):
        return self.find(self.kept).backward()


class Slots:
    __slots__ = ("__own", "inner")

    def __init__(self, inner):
        self.__own = self.inner = inner


class Teaching(nn.CrossEntropyLoss):
    """With a network, an array that each call writes into, a generator, and an open file."""

    def __init__(self):
        super().__init__()
        self.teacher = nn.Sequential(nn.Linear(3, 3, rng=1), nn.Dropout(0.5, rng=2))
        self.calls, self.rng, self.file = np.zeros(1), np.random.default_rng(3), open(os.devnull)

    def __call__(self, output, labels):
        self.calls += 1
        return super().__call__(output, labels) + 0 * self.teacher(output).sum() * self.rng.random()


WAYS = {
    "attribute": (lambda inner: inner, lambda kept: kept),
    "two deep": (lambda inner: Loss(lambda one: one, lambda one: one), lambda kept: kept),
    "list": (lambda inner: [inner], lambda kept: kept[0]),
    "tuple in a dict": (lambda inner: {"a": (1, inner)}, lambda kept: kept["a"][1]),
    "deque": (lambda inner: collections.deque([inner]), lambda kept: kept[0]),
    "ordered dict": (lambda inner: collections.OrderedDict(a=inner), lambda kept: kept["a"]),
    "namespace": (lambda inner: types.SimpleNamespace(a=inner), lambda kept: kept.a),
    "slots": (Slots, lambda kept: kept.inner),
    "bound method": (lambda inner: inner.__call__, lambda kept: getattr(kept, "__self__", kept)),
    "partial": (lambda inner: functools.partial(lambda one: one, inner), lambda kept: kept()),
}


def trainer(loss):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, rng=0))
    return Trainer(model, optim.SGD(model.parameters(), lr=0.1), loss)


@pytest.mark.parametrize("keep, find", WAYS.values(), ids=WAYS)
def test_a_loss_inside_a_loss(keep, find):
    subject = trainer(Loss(keep, find))
    subject.loss(subject.model(X[:6]), LABELS[:6])
    expected = subject.loss.backward()
    found = subject.evaluate((X, LABELS), 4)
    np.testing.assert_array_equal(subject.loss.backward(), expected)  # of six images, not of four
    assert found == trainer(nn.CrossEntropyLoss()).evaluate((X, LABELS), 4)


def test_a_network_an_array_and_a_generator_inside_a_loss():
    loss = Teaching()
    subject = trainer(loss)
    with loss.file:
        subject.loss(subject.model(X[:6]), LABELS[:6])
        expected, state = loss.backward(), loss.rng.bit_generator.state
        dropped, kept = loss.teacher[1].generator.bit_generator.state, loss.teacher[0]._remembered
        subject.evaluate((X, LABELS), 4)
        np.testing.assert_array_equal(loss.backward(), expected)
        assert loss.calls == 1 and loss.rng.bit_generator.state == state and loss.teacher.training
        assert loss.teacher[1].generator.bit_generator.state == dropped and loss.teacher[0]._remembered is kept


def test_a_loss_that_knows_the_model_has_that_one():
    subject = trainer(nn.CrossEntropyLoss())
    seen = []

    class Regular(nn.CrossEntropyLoss):
        def __call__(self, output, labels):
            seen.append((self.model is subject.model, self.model.training, self.trainer is subject))
            return super().__call__(output, labels)

    subject.loss = Regular()
    subject.loss.model, subject.loss.trainer = subject.model, subject
    subject.evaluate((X, LABELS))
    assert seen == [(True, False, True)] and subject.model.training
