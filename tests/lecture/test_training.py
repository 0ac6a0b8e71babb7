"""A training that is steered ends with the bits of one that is not, and what others see of it is of one step."""

import threading
import time

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim
from fastconv.lecture.loop import Loop, Settings
from fastconv.lecture.training import Training

TRAIN, TEST = data.digits()[:640], data.digits("test")[:200]


def lenet():
    return nn.models.lenet5(rng=0)


def read():
    return TRAIN, TEST


@pytest.fixture
def training():
    made = Training(lenet(), read, Settings(epochs=2))
    yield made
    made.close()


def finished(training, seconds=60):
    """Its progress once it rests."""
    end = time.monotonic() + seconds
    while training.progress.running:
        assert time.monotonic() < end
        time.sleep(0.01)
    return training.progress


def fitted(epochs, batch_size=64, lr=0.05, momentum=0.9, seed=0):
    model = lenet()
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr, momentum), nn.NLLLoss())
    history = trainer.fit(TRAIN, epochs, batch_size, validation=TEST, seed=seed, progress=False)
    return model.state_dict(), history


def assert_weights(model, expected):
    state = model.state_dict()
    assert state.keys() == expected.keys()
    for name, array in state.items():
        assert np.array_equal(array, expected[name]), name


def test_it_is_the_trainers(training):
    expected, history = fitted(2)
    training.start()
    progress = finished(training)
    assert_weights(progress.model, expected)
    assert progress.done and not progress.error and progress.steps == 20 and not progress.model.training
    for name in ("epoch", "train_loss", "train_accuracy", "validation_accuracy", "lr"):
        assert progress.history[name] == getattr(history, name), name
    assert np.allclose(progress.history["validation_loss"], history.validation_loss, rtol=1e-6)
    assert progress.predictions.accuracy == history.validation_accuracy[-1]
    assert progress.images_per_second > 0 and len(progress.losses) == 20


def test_steps_and_pauses_change_no_bit(training):
    expected, _ = fitted(2)
    for count in range(1, 13):
        assert training.step().steps == count
    assert not training.progress.running and training.progress.batch == 2 and training.progress.batches == 10
    for _ in range(3):
        training.start()
        training.pause()
        before = training.progress.steps
        time.sleep(0.05)
        assert training.progress.steps == before
        if training.progress.done:
            break
    if not training.progress.done:
        training.start()
    assert_weights(finished(training).model, expected)


def test_a_reset_begins_with_the_first_weights(training):
    for _ in range(3):
        training.step()
    training.set(seed=5, epochs=1)
    progress = training.reset()
    assert progress.run == 1 and progress.steps == 0 and progress.predictions is None and progress.losses == []
    assert_weights(progress.model, lenet().state_dict())
    training.start()
    assert_weights(finished(training).model, fitted(1, seed=5)[0])


def test_settings_count_while_it_runs(training):
    model = lenet()
    optimizer, loss = optim.SGD(model.parameters(), 0.05, 0.9), nn.NLLLoss()
    loader = data.DataLoader(TRAIN, 64, shuffle=True, seed=0)
    for number, (x, y) in enumerate(loader.batches(0)):
        if number == 4:
            optimizer.lr, optimizer.momentum = 0.01, 0.5
        optimizer.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward(), needs_input_grad=False)
        optimizer.step()
    for _ in range(4):
        training.step()
    settings = training.set(lr=0.01, momentum=0.5, batch_size=100).settings
    assert (settings.lr, settings.momentum, settings.batch_size) == (0.01, 0.5, 100)
    assert training.progress.batches == 10  # this epoch's batches stay
    for _ in range(6):
        training.step()
    assert_weights(training.progress.model, model.state_dict())
    assert training.progress.batches == 7 and training.progress.history["lr"] == [0.01]
    training.set(epochs=1)
    assert training.progress.done


def test_set_while_it_runs_is_seen(training):
    training.set(epochs=1000)
    training.start()
    training.set(lr=0.001)
    steps = training.progress.steps
    while training.progress.steps == steps:
        time.sleep(0.01)
    assert training.progress.settings.lr == 0.001
    training.set(epochs=1)
    assert finished(training).done


@pytest.mark.parametrize(("values", "message"), [
    ({"lr": -1}, "lr must be at least 0"), ({"lr": "0.1"}, "lr"), ({"momentum": 1.0}, "momentum"),
    ({"batch_size": 0}, "batch_size"), ({"epochs": True}, "epochs"), ({"seed": -1}, "seed"),
    ({"lr": 0.5, "rate": 1}, "one of lr, momentum, batch_size, epochs, seed, got 'rate'"),
])
def test_what_cannot_be_set(training, values, message):
    before = training.progress.settings
    with pytest.raises((TypeError, ValueError), match=message):
        training.set(**values)
    assert training.progress.settings == before


def test_what_cannot_go_on(training):
    training.set(epochs=1)
    training.start()
    finished(training)
    for action in (training.start, training.step):
        with pytest.raises(ValueError, match="epochs must be more than the 1 that are done"):
            action()
    training.set(epochs=2, lr=1e30)
    training.start()
    progress = finished(training)
    assert "diverged in epoch 2" in progress.error and "reset" in progress.error
    assert all(np.isfinite(loss) for loss in progress.losses)
    with pytest.raises(ValueError, match="diverged"):
        training.step()
    assert training.reset().error == ""
    training.set(lr=0.05)
    assert training.step().steps == 1


def test_a_model_that_does_not_fit():
    wrong = Training(nn.Sequential(nn.Flatten(), nn.Linear(100, 10)), read)
    with pytest.raises(ValueError, match="layer 1"):
        wrong.start()
    few = Training(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), read)
    with pytest.raises(ValueError, match="labels must be below 3"):
        few.step()
    assert few.progress.steps == 0
    wrong.close()
    few.close()


def test_the_model_that_is_given_stays_as_it_is():
    model = lenet()
    training = Training(model, read)
    training.step()
    assert_weights(model, lenet().state_dict())
    assert all(parameter.grad is None for parameter in model.parameters())
    training.close()


def test_what_is_published_is_of_one_step(training):
    """Whoever predicts while it trains does it with the weights of a step, which a run without others has too."""
    training.set(epochs=3)
    seen = {}

    def watch():
        for progress in training.progresses():
            if progress is None or progress.run:
                return
            first = progress.model.predict_proba(TEST.images[:20])
            assert np.array_equal(first, progress.model.predict_proba(TEST.images[:20]))
            seen[progress.steps] = first

    watcher = threading.Thread(target=watch)
    watcher.start()
    training.start()
    finished(training)
    training.reset()
    watcher.join(30)
    assert not watcher.is_alive() and len(seen) >= 2 and 30 in seen
    loop = Loop(lenet(), TRAIN, TEST, Settings(epochs=3))
    for steps in range(31):
        if steps in seen:
            assert np.array_equal(loop.model.predict_proba(TEST.images[:20]), seen[steps]), steps
        if steps < 30:
            loop.step(Settings(epochs=3))


def test_two_who_ask_at_once(training):
    training.set(epochs=50)
    training.start()
    problems = []

    def ask():
        try:
            for _ in range(10):
                training.set(lr=0.01)
                training.pause()
                training.step()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems and not training.progress.running and training.progress.steps >= 40


def test_it_ends_when_it_is_closed():
    training = Training(lenet(), read, Settings(epochs=1000))
    training.start()
    before = threading.active_count()
    training.close()
    training.close()
    assert threading.active_count() == before - 1


def test_it_takes_little_of_the_trainings_time():
    """Publishing is what a page's training does beside the loop: its share is small by construction."""
    training = Training(lenet(), read, Settings(epochs=4))
    training.start()
    published = 0
    for progress in training.progresses():
        published += 1
        if progress is None or progress.done:
            break
    seconds = sum(training.progress.history["seconds"])
    assert published <= 10 * seconds + 12  # ten a second, one an epoch, and those of what was asked
    training.close()
