"""Predicting while others predict or train: each sees its own mode, and nothing is written that a training needs."""

import asyncio
import contextvars
import copy
import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

X = np.random.default_rng(0).standard_normal((48, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(48) % 3


class Centre(nn.Module):
    """Subtracts a running mean, which training passes move; remembers by itself where it trains."""

    def __init__(self):
        self.register_buffer("mean", np.zeros(4, np.float32))
        self.seen = None

    def forward(self, x):
        if self.training:
            self.mean += 0.1 * (x.mean(axis=(0, 2, 3)) - self.mean)
            self.seen = x
        return x - self.mean[:, None, None]

    def backward(self, grad_output, needs_input_grad=True):
        assert self.seen.shape == grad_output.shape
        self.seen = None
        return grad_output


class Block(nn.Module):
    def __init__(self):
        self.layers = [nn.Conv2d(4, 4, 3, padding=1, rng=1), nn.Tanh()]

    def forward(self, x):
        return x + self.layers[1](self.layers[0](x))

    def backward(self, grad_output, needs_input_grad=True):
        return grad_output + self.layers[0].backward(self.layers[1].backward(grad_output))


def model():
    """Every layer that remembers something, in some place, and two modules of one's own."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=0), nn.ReLU(), Centre(), Block(), nn.MaxPool2d(2),
        nn.LeakyReLU(), nn.Sigmoid(), nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.AdaptiveAvgPool2d(2),
        nn.Dropout(0.3, rng=5), nn.Flatten(), nn.Linear(16, 8, rng=2), nn.Tanh(), nn.Dropout(0.5, rng=6),
        nn.Linear(8, 3, rng=3), nn.LogSoftmax(),
    )  # fmt: skip


def trainer(subject):
    return fc.Trainer(subject, optim.SGD(subject.parameters(), lr=0.05, momentum=0.9), nn.NLLLoss())


INFERENCE = {
    "predict": lambda trainer, x: trainer.model.predict(x, 7),
    "predict_proba": lambda trainer, x: trainer.model.predict_proba(x, 7),
    "evaluate": lambda trainer, x: trainer.evaluate((x, LABELS[: len(x)]), 5),
    "feature_maps": lambda trainer, x: trainer.model.feature_maps(x),
    "summary": lambda trainer, x: trainer.model.summary((1, 8, 8)),
}


class Interrupted(nn.Module):
    """Lets others in, in the middle of each pass of a training."""

    def __init__(self, call):
        self.call = call

    def others(self):
        worker = threading.Thread(target=self.call)
        worker.start()
        worker.join()

    def forward(self, x):
        if self.training:
            self.others()
        return x

    def backward(self, grad_output, needs_input_grad=True):
        self.others()
        return grad_output


@pytest.mark.parametrize("name", INFERENCE)
def test_a_training_has_the_same_bits_with_inference_between_its_layers(name):
    """Other threads run inference after each layer of each pass, forward and backward, on other images."""
    alone, crowded = model(), model()
    expected = trainer(alone).fit((X, LABELS), 2, 16, progress=False)
    layers, results = [], []
    for layer in crowded:
        layers += [layer, Interrupted(lambda: results.append(INFERENCE[name](subject, X[:13])))]
    subject = trainer(nn.Sequential(*layers, nn.Flatten()))
    history = subject.fit((X, LABELS), 2, 16, progress=False)
    assert len(results) == 2 * 2 * 3 * len(crowded)  # epochs, directions, batches
    assert history.train_loss == expected.train_loss
    for (_, a), (_, b) in zip(alone.state_dict().items(), crowded.state_dict().items(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert alone[10].generator.random() == crowded[10].generator.random()


@pytest.mark.parametrize("training", [True, False])
def test_many_threads_predict_what_one_does_and_leave_the_mode(training):
    wide = nn.Sequential(nn.Conv2d(1, 64, 1, rng=7),
                         nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, rng=8), nn.Conv2d(64, 1, 1, rng=9)))
    subject = nn.Sequential(wide[0], wide[1], *model()).train(training)
    modes = [module.training for _, module in subject.named_modules()]
    images = [X[i : i + 9] for i in range(8)]
    # In batches of these sizes, as the algorithm may depend on the size.
    expected = [subject.predict_proba(x, 1 + i) for i, x in enumerate(images)]
    maps = [subject.feature_maps(x)[-1][1] for x in images]
    state = copy.deepcopy(subject.state_dict())
    wrong = []

    def work(i):
        for _ in range(30):
            if not (np.array_equal(subject.predict_proba(images[i], 1 + i), expected[i])
                    and np.array_equal(subject.feature_maps(images[i])[-1][1], maps[i])):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert [module.training for _, module in subject.named_modules()] == modes == [training] * len(modes)
    for name, array in subject.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert (subject[1][0]._kept._kept is None) == training  # nothing is left behind in a model that trains


def test_predict_beside_a_fit_that_is_not_synchronised():
    alone, crowded = model(), model()
    trainer(alone).fit((X, LABELS), 4, 8, progress=False)
    subject, done, rows = trainer(crowded), threading.Event(), []

    def work():
        while not done.is_set():
            rows.append(crowded.predict_proba(X[:5]))
            subject.evaluate((X[:6], LABELS[:6]))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        subject.fit((X, LABELS), 4, 8, validation=(X, LABELS), progress=False)
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert len(rows) > 2
    np.testing.assert_allclose(np.concatenate(rows).sum(axis=1), 1, rtol=1e-5)
    for name, array in alone.state_dict().items():
        np.testing.assert_array_equal(array, crowded.state_dict()[name])


def test_a_prediction_between_forward_and_backward_changes_no_gradient():
    subject, reference = model(), model()
    grad = np.random.default_rng(1).standard_normal((48, 3)).astype(np.float32)
    subject(X), reference(X)
    subject.predict(X[:3])
    np.testing.assert_array_equal(subject.backward(grad), reference.backward(grad))


def test_the_mode_is_that_of_the_model_inside_alone():
    teacher, student = model(), model()
    with teacher.evaluating():
        assert not any(module.training for _, module in teacher.named_modules())
        assert all(module.training for _, module in student.named_modules())
        with student.evaluating():
            assert not teacher.training and not student.training
        assert not teacher.training and student.training
        y = student(X)
        student.backward(np.ones_like(y))
        teacher.eval()
    assert not teacher.training
    teacher.train()
    with teacher.evaluating():
        teacher.train()
        assert not teacher.training
    assert teacher.training


def test_a_task_has_its_own_mode_and_a_thread_can_take_it():
    subject, seen = model(), []

    async def predicting(inside, other):
        with subject.evaluating():
            inside.set()
            await other.wait()
            seen.append(subject.training)

    async def training(inside, other):
        await inside.wait()
        seen.append(subject.training)
        other.set()

    async def both():
        inside, other = asyncio.Event(), asyncio.Event()
        await asyncio.gather(predicting(inside, other), training(inside, other))

    asyncio.run(both())
    assert seen == [True, False]
    with subject.evaluating():
        context = contextvars.copy_context()
        worker = threading.Thread(target=lambda: seen.append(context.run(lambda: subject.training)))
        worker.start()
        worker.join()
    assert seen == [True, False, False]


def test_evaluation_mode_forgets_and_the_other_one_gives_back():
    layer = nn.Conv2d(64, 64, 3, rng=0)
    x = np.ones((4, 64, 30, 30), np.float32)
    y = layer(x)
    layer.eval()
    with pytest.raises(RuntimeError, match="Conv2d.backward needs a forward pass in training mode"):
        layer.backward(y)
    layer(x)
    assert layer._kept._kept is not None
    layer.training = True
    layer.train()
    assert layer._kept._kept is None


def test_copies_and_pickles_keep_the_mode():
    subject = model().eval()
    with copy.deepcopy(model()).evaluating():
        assert not copy.deepcopy(subject).training
    busy = model()
    with busy.evaluating():
        again = copy.deepcopy(busy)
    assert again.training and busy.training
