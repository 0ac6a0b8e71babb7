"""`Trainer.lr_find`: it finds a rate that trains, and leaves everything as it was."""

import copy

import numpy as np
import pytest
from small_training import IMAGES, LABELS, TRAIN, fit, same_weights, trainer, without_time

from fastconv import nn, optim
from fastconv.training import Trainer


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("schedule", [None, "batches"])
def test_a_training_after_it_is_the_one_without_it(optimizer, schedule):
    """Weights, the optimiser's state and rate, the schedule, and the generators of dropout are as they were."""
    tried, untouched = trainer(optimizer, schedule), trainer(optimizer, schedule)
    search = tried.lr_find(TRAIN, steps=12, batch_size=10)
    assert len(search.lr) == len(search.loss) == len(search.smoothed) > 3
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in tried.optimizer.params)
    histories = [fit(one, epochs=2 if schedule is None else 6) for one in (tried, untouched)]
    same_weights(tried, untouched)
    assert without_time(histories[0]) == without_time(histories[1])


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_what_it_was(training):
    one = trainer()
    one.model.set_mode(training)
    one.lr_find(TRAIN, steps=4)
    assert one.model.training is training


def test_rates_grow_by_one_factor_and_the_suggestion_trains():
    one = trainer(dropout=0.0)
    search = one.lr_find((IMAGES, LABELS), lowest=1e-4, highest=10, steps=60, batch_size=20)
    assert search.lr[0] == 1e-4 and max(search.lr) <= 10
    assert np.allclose(np.diff(np.log(search.lr)), np.log(1e5) / 59)
    assert search.suggestion in search.lr and min(search.smoothed) < search.smoothed[0]
    one.optimizer.lr = search.suggestion
    history = fit(one, epochs=12)
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]


def test_each_loss_is_that_of_the_batch_before_its_step():
    one = trainer(dropout=0.0)
    again = copy.deepcopy(one.model).train()
    search = one.lr_find(TRAIN, lowest=0.01, highest=0.1, steps=3, batch_size=44)
    optimiser, loss = optim.SGD(again.parameters(), 0.01, momentum=0.9), nn.NLLLoss()
    for rate, value in zip(search.lr, search.loss, strict=True):
        optimiser.lr = rate
        optimiser.zero_grad()
        assert np.isclose(loss(again(TRAIN[0]), TRAIN[1]), value, rtol=1e-4)
        again.backward(loss.backward())
        optimiser.step()


def test_it_ends_where_the_loss_runs_away():
    search = trainer().lr_find(TRAIN, lowest=1.0, highest=1e30, steps=100)
    assert len(search.lr) < 60 and np.isfinite(search.loss).all()
    lost = trainer()
    lost.model.layers["0"].weight.data[:] = 1e38
    nothing = lost.lr_find(TRAIN, steps=5)
    assert nothing.lr == nothing.loss == [] and nothing.suggestion is None


def test_errors_name_the_argument():
    one = trainer()
    for wrong, message in ((dict(lowest=0), "lowest must"), (dict(highest=1e-7), "highest must be above lowest"),
                           (dict(steps=2), "steps must"), (dict(steps=10**9), "steps must be at most"),
                           (dict(batch_size=0), "batch_size must")):
        with pytest.raises(ValueError, match=message):
            one.lr_find(TRAIN, **wrong)
    with pytest.raises(ValueError, match="train_set: labels must be below 3"):
        one.lr_find((IMAGES, LABELS + 1))


def test_its_curve():
    matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, rng=0))
    search = Trainer(model, optim.SGD(model.parameters(), 0.1), nn.CrossEntropyLoss()).lr_find(TRAIN, steps=20)
    display = search.plot(ax=Figure().subplots())
    assert display.lines_["smoothed"].get_xdata().tolist() == search.lr
    assert display.lines_["smoothed"].get_ydata().tolist() == search.smoothed
