"""What steers the page's training, and what tells of it."""

import base64
import json
import time

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim
from fastconv.data.framing import Framing
from fastconv.lecture.forward import forward
from fastconv.lecture.page import Page
from fastconv.lecture.shown import Shown
from fastconv.lecture.train import events, train, weights

DIGITS = data.digits("test")


@pytest.fixture
def page():
    made = Page.of(None, None, None, Framing(), "secret", Shown.of(None, None))
    train(made, {"action": "set", "settings": {"batch_size": 500, "epochs": 1}}, {})
    yield made
    made.training.close()


def told(stream):
    """The document of the next event."""
    text = next(stream).decode()
    assert text.startswith("data: ") and text.endswith("\n\n") and text.count("\n") == 2
    return json.loads(text[6:])


def numbers(entry):
    return np.frombuffer(base64.b64decode(entry["values"]), "<f4").reshape(entry["shape"])


def finished(page):
    while page.training.progress.running:
        time.sleep(0.01)
    return page.training.progress


def test_start_to_end(page, tmp_path, capsys):
    state, _ = train(page, {"action": "start"}, {})
    assert state["running"] and state["settings"]["batch_size"] == 500
    finished(page)
    event = told(events(page))
    assert event["done"] and not event["running"] and event["steps"] == len(event["losses"]) == 8
    assert event["first"] == 0 and event["epochs"] == 1 and event["images_per_second"] > 0
    model = nn.models.lenet5(rng=0)
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), 0.05, 0.9), nn.NLLLoss())
    history = trainer.fit(data.digits(), 1, 500, validation=DIGITS, progress=False)
    assert event["history"]["train_loss"] == history.train_loss
    assert event["history"]["validation_accuracy"] == history.validation_accuracy
    (tmp_path / "weights.npz").write_bytes(weights(page, {}, {}))
    arrays = fc.load_weights(tmp_path / "weights.npz")
    assert arrays.keys() == model.state_dict().keys()
    for name, array in arrays.items():
        assert np.array_equal(array, model.state_dict()[name]), name
    names = {}
    exec(event["code"].replace("seed=0)", "seed=0, progress=False)"), names)
    for name, array in names["model"].state_dict().items():
        assert np.array_equal(array, model.state_dict()[name]), name
    for entry in event["filters"]:
        assert np.array_equal(numbers(entry), model.state_dict()[f"{entry['path']}.weight"])
    confusion, predictions = np.array(event["confusion"]), model.predict(DIGITS.images)
    assert confusion.shape == (10, 10) and confusion[7, 1] == np.sum((DIGITS.labels == 7) & (predictions == 1))
    assert len(event["mistakes"]) == 12
    for mistake in event["mistakes"]:
        at = mistake["number"]
        assert mistake["taken"] == predictions[at] != mistake["label"] == DIGITS.labels[at]
        assert np.array_equal(numbers(mistake), DIGITS.images[at])
        assert np.isclose(mistake["probability"], model.predict_proba(DIGITS.images[at:at + 1])[0, predictions[at]],
                          atol=1e-6)


def test_events_bring_what_is_new(page):
    stream = events(page)
    first = told(stream)
    assert (first["steps"], first["losses"], first["running"]) == (0, [], False)
    assert not any(first["history"].values()) and "validation_loss" in first["history"]
    assert "confusion" not in first and [entry["path"] for entry in first["filters"]] == ["0", "3"]
    for steps in (1, 2):
        train(page, {"action": "step"}, {})
        event = told(stream)
        assert (event["first"], len(event["losses"]), event["steps"]) == (steps - 1, 1, steps)
        assert event["number"] > first["number"]
        assert not np.array_equal(numbers(event["filters"][0]), numbers(first["filters"][0]))
    for _ in range(6):
        train(page, {"action": "step"}, {})
    last = told(stream)
    assert last["first"] == 2 and len(last["losses"]) == 6 and last["history"]["epoch"] == [1] and last["confusion"]
    train(page, {"action": "set", "settings": {"lr": 0.5}}, {})
    after = told(stream)
    assert after["settings"]["lr"] == 0.5 and after["losses"] == [] and after["history"]["epoch"] == []
    assert "confusion" not in after
    train(page, {"action": "reset"}, {})
    again = told(stream)
    assert (again["run"], again["first"], again["steps"]) == (1, 0, 0)
    assert np.array_equal(numbers(again["filters"][0]), numbers(first["filters"][0]))
    fresh = told(events(page))
    assert fresh["run"] == 1 and fresh["steps"] == 0


def test_what_diverged_is_told(page):
    train(page, {"action": "set", "settings": {"lr": 1e30, "epochs": 2}}, {})
    train(page, {"action": "start"}, {})
    finished(page)
    event = told(events(page))
    assert "diverged" in event["error"] and not event["done"]


def test_predictions_are_of_the_model_as_it_is(page):
    head, before = forward(page, {"image": "digit:0"}, {})
    assert not head["trained"] and not page.trained
    train(page, {"action": "step"}, {})
    head, after = forward(page, {"image": "digit:0"}, {})
    assert head["trained"] and page.trained
    assert not np.array_equal(before["probabilities"], after["probabilities"])
    expected = page.training.progress.model.predict_proba(DIGITS.images[:1])[0]
    assert np.allclose(after["probabilities"], expected, atol=1e-6)
    assert "load_weights" in page.about()["source"] and "load_weights" not in page.written


@pytest.mark.parametrize(("head", "message"), [
    ({}, "action must be"), ({"action": "stop"}, "action must be"), ({"action": "set", "settings": [1]}, "settings"),
    ({"action": "set", "settings": {"lr": None}}, "lr"), ({"action": "set", "settings": {"speed": 1}}, "speed"),
])
def test_what_is_refused(page, head, message):
    with pytest.raises((TypeError, ValueError), match=message):
        train(page, head, {})


def test_a_model_of_colour_images_trains_on_the_digits():
    """As it takes them: the page frames them as it frames a picture."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(),
                          nn.Linear(4, 10, rng=0))
    page = Page.of(model, None, None, Framing.checked(size=(16, 16), channels=3), "secret", Shown.of(None, None))
    train(page, {"action": "set", "settings": {"batch_size": 4000, "epochs": 1}}, {})
    train(page, {"action": "step"}, {})
    assert page.training.progress.predictions.x.shape == (1000, 3, 16, 16)
    page.training.close()
