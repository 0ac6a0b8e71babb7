"""Trainer: what it learns and records, reports, early stopping, checkpoints that continue with the same bits."""

import copy
import io
import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim
from fastconv import functional as F
from fastconv._core.pointwise import update
from fastconv.training import DivergedError, EarlyStopping, History, Trainer
from fastconv.training.interrupt import gated
from fastconv.training.run import Run, state_of

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
IMAGES = (RNG.random((60, 1, 8, 8)) + np.eye(8)[None, None] * (LABELS == 1)[:, None, None, None]
          + np.eye(8)[::-1] * (LABELS == 2)[:, None, None, None]).astype(np.float32)  # fmt: skip
TRAIN, VALIDATION = (IMAGES[:44], LABELS[:44]), (IMAGES[44:], LABELS[44:])


def trainer(optimizer="SGD", schedule=None, dropout=0.3):
    rng = np.random.default_rng(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Dropout(dropout, rng=2), nn.Linear(36, 3, rng=rng), nn.LogSoftmax())  # fmt: skip
    made = {"SGD": lambda: optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
            "Adam": lambda: optim.Adam(model.parameters(), lr=0.01)}[optimizer]()  # fmt: skip
    made_schedule = {
        None: lambda: None,
        "epochs": lambda: optim.CosineAnnealingLR(made, T_max=6),
        "batches": lambda: optim.OneCycleLR(made, max_lr=0.1, epochs=6, steps_per_epoch=5),
    }[schedule]()
    return Trainer(model, made, nn.NLLLoss(), made_schedule)


def fit(trainer, epochs=6, **options):
    options = dict(batch_size=10, validation=VALIDATION, progress=False, seed=3) | options
    return trainer.fit(TRAIN, epochs, **options)


def same_weights(first, second):
    for (name, a), (_, b) in zip(first.model.state_dict().items(), second.model.state_dict().items(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def without_time(history):
    return {name: values for name, values in history.to_dict().items() if name != "seconds"}


def test_it_learns_and_records():
    subject = trainer(schedule="epochs", dropout=0.0)
    history = fit(subject, 6)
    assert isinstance(history, History) and len(history) == 6
    assert history.epoch == [1, 2, 3, 4, 5, 6]
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.validation_accuracy[-1] > 0.8  # chance is a third
    assert history.lr[0] == 0.05 and history.lr == sorted(history.lr, reverse=True)
    assert all(seconds > 0 for seconds in history.seconds)
    assert all(len(values) == 6 for values in history.to_dict().values())
    assert json.loads(json.dumps(history.to_dict())) == history.to_dict()
    scores = subject.evaluate(VALIDATION)
    assert scores == {"loss": history.validation_loss[-1], "accuracy": history.validation_accuracy[-1]}
    assert (subject.predict(VALIDATION[0]) == VALIDATION[1]).mean() == scores["accuracy"]
    assert not subject.model.training


def test_one_epoch_by_hand():
    subject, reference = trainer(), trainer()
    history = fit(subject, 1, validation=None)
    loss, values, hits = nn.NLLLoss(), [], 0
    for x, y in data.DataLoader(TRAIN, 10, shuffle=True, seed=3):
        reference.optimizer.zero_grad()
        output = reference.model(x)
        values += [float(loss(output, y))] * len(y)
        hits += (output.argmax(axis=1) == y).sum()
        reference.model.backward(loss.backward())
        reference.optimizer.step()
    same_weights(subject, reference)
    assert history.train_loss == pytest.approx([np.mean(values)], rel=1e-12)
    assert history.train_accuracy == [hits / 44]
    assert history.validation_loss == history.validation_accuracy == [None]


def test_evaluate_does_not_depend_on_the_batch_size():
    subject = trainer()
    whole = subject.evaluate(TRAIN, batch_size=44)
    parts = subject.evaluate(data.ArrayDataset(*TRAIN), batch_size=7)
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert parts["accuracy"] == whole["accuracy"]
    assert subject.model.training


def test_evaluate_changes_nothing():
    first, second = trainer(), trainer()
    fit(first, 2, validation=VALIDATION)
    fit(second, 2, validation=None)
    same_weights(first, second)


def test_a_seed_repeats_the_run():
    first, second, other = trainer(), trainer(), trainer()
    assert without_time(fit(first)) == without_time(fit(second))
    same_weights(first, second)
    fit(other, seed=4)
    assert not np.array_equal(first.model[0].weight.data, other.model[0].weight.data)


def test_any_number_of_threads_gives_the_same_bits():
    runs = []
    for threads in (1, 2, 3, 7):
        with fc.num_threads(threads):
            runs.append(trainer("Adam"))
            fit(runs[-1], 2, augment=data.RandomAffine())
    for run in runs[1:]:
        same_weights(run, runs[0])



class Interrupting(data.RandomAffine):
    """Ctrl-C after so many batches; its settings are the same with and without."""

    def __init__(self, after=-1):
        super().__init__()
        self._left = after

    def __call__(self, images, rng):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return super().__call__(images, rng)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("schedule", [None, "epochs", "batches"])
@pytest.mark.parametrize("steps", [0, 1, 7, 10, 12, 29])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, optimizer, schedule, steps):
    """Broken off after `steps` of 30 batches, at the first, the last, or in the middle of an epoch."""
    path = tmp_path / "run.npz"
    options = dict(augment=Interrupting(), early_stopping=EarlyStopping(5, restore_best=True))
    whole, broken, resumed = (trainer(optimizer, schedule) for _ in range(3))
    expected = fit(whole, **options)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, **options | dict(augment=Interrupting(steps)), checkpoint=path)
    assert os.listdir(tmp_path) == ["run.npz"]
    history = fit(resumed, **options, checkpoint=path, resume=True)
    same_weights(resumed, whole)
    assert without_time(history) == without_time(expected)
    assert resumed.optimizer.lr == whole.optimizer.lr


def test_a_run_goes_on_for_more_epochs(tmp_path):
    path = tmp_path / "run.npz"
    whole, first, second = trainer(), trainer(), trainer()
    expected = fit(whole, 4)
    fit(first, 2, checkpoint=path)
    history = fit(second, 4, checkpoint=path, resume=True)
    same_weights(second, whole)
    assert without_time(history) == without_time(expected)
    third = trainer()
    assert without_time(fit(third, 4, checkpoint=path, resume=True)) == without_time(expected)  # nothing left to do
    same_weights(third, whole)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as Python has it, also where whoever started the tests has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="needs signals")
def test_ctrl_c_waits_for_the_end_of_the_step(tmp_path, ctrl_c):
    """The signal comes in the middle of a step; the checkpoint has the step whole."""

    class Loss(nn.NLLLoss):
        def __init__(self, interrupt_at=None):
            self._interrupt_at, self._calls = interrupt_at, 0

        def backward(self):
            self._calls += 1
            if self._calls == self._interrupt_at:
                signal.raise_signal(signal.SIGINT)
            return super().backward()

    path = tmp_path / "run.npz"
    whole, broken, resumed = trainer(), trainer(), trainer()
    fit(whole)
    broken.loss, resumed.loss = Loss(8), Loss()
    with pytest.raises(KeyboardInterrupt):
        fit(broken, checkpoint=path)
    assert broken.loss._calls == 8
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    fit(resumed, checkpoint=path, resume=True)
    same_weights(resumed, whole)


def test_training_in_another_thread():
    subject, reference = trainer(), trainer()
    worker = threading.Thread(target=fit, args=(subject, 2))
    worker.start()
    worker.join()
    fit(reference, 2)
    same_weights(subject, reference)


def test_early_stopping_waits_for_patience():
    subject = trainer()
    subject.optimizer.lr = 0.0  # nothing becomes better after the first epoch
    assert len(fit(subject, 20, early_stopping=3)) == 4
    assert len(fit(trainer(), 5, early_stopping=EarlyStopping(2, min_delta=1e9))) == 3
    assert len(fit(trainer(), 5, early_stopping=EarlyStopping(1, "train_loss"), validation=None)) >= 2


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
def test_early_stopping_restores_the_best(monitor):
    subject = trainer()
    subject.optimizer.lr = 0.8  # too high on purpose: up and down
    history = fit(subject, 12, early_stopping=EarlyStopping(12, monitor, restore_best=True))
    values = getattr(history, monitor)
    best = min(values) if monitor == "validation_loss" else max(values)
    assert subject.evaluate(VALIDATION)[monitor.removeprefix("validation_")] == best
    assert values[-1] != best


def test_lines_without_a_terminal(capsys):
    fit(trainer(), 2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ") and "validation loss" in lines[0] and lines[0].endswith(" s")
    fit(trainer(), 1, progress=True, validation=None)
    assert "validation" not in capsys.readouterr().err
    fit(trainer(), 1, progress=False)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(trainer(), 1, progress=True)
    assert "epoch 1/1: " in sys.stderr.getvalue() and "0/5" in sys.stderr.getvalue()


def test_lines_on_a_terminal_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(trainer(), 1, progress=True)
    assert sys.stderr.getvalue().count("\n") == 1


def test_no_epochs():
    assert len(fit(trainer(), 0)) == 0


def bad(model=None, optimizer=None, loss=None, schedule=None):
    reference = trainer(schedule="epochs")
    return Trainer(model or reference.model, optimizer or reference.optimizer, loss or nn.NLLLoss(), schedule)


@pytest.mark.parametrize("call, error, message", [
    (lambda path: bad(model="lenet"), TypeError, "model must be a fastconv.nn module, got str"),
    (lambda path: bad(optimizer="sgd"), TypeError, "optimizer must be a fastconv.optim optimizer, got str"),
    (lambda path: bad(loss=nn.NLLLoss), TypeError, "loss must be a loss such as nn.NLLLoss"),
    (lambda path: bad(loss="nll"), TypeError, "loss must be a loss"),
    (lambda path: bad(schedule=1), TypeError, "schedule must be a fastconv.optim schedule or None, got int"),
    (lambda path: bad(schedule=trainer(schedule="epochs").schedule), ValueError,
     "schedule must be of the same optimizer"),
    (lambda path: fit(trainer(), -1), ValueError, "epochs must be at least 0"),
    (lambda path: fit(trainer(), 1.5), TypeError, "epochs must be an integer"),
    (lambda path: fit(trainer(), progress=1), TypeError, "progress must be True or False"),
    (lambda path: fit(trainer(), batch_size=0), ValueError, "batch_size must be at least 1"),
    (lambda path: fit(trainer(), seed=None), TypeError, "seed must be an integer"),
    (lambda path: fit(trainer(), augment=3), TypeError, "augment must be"),
    (lambda path: trainer().fit((IMAGES[:0], LABELS[:0]), 1), ValueError, "train_set must hold at least one image"),
    *((lambda path, wrong=wrong: trainer().fit(wrong, 1), TypeError, "train_set must be an ArrayDataset or a pair .* got")
      for wrong in (3, None, "digits", IMAGES, (IMAGES,), [IMAGES, LABELS])),
    *((lambda path, wrong=wrong: fit(trainer(), validation=wrong), TypeError, "validation must be an ArrayDataset or a pair .* got")
      for wrong in (3, "digits", IMAGES, (IMAGES,))),
    (lambda path: trainer().fit((IMAGES, LABELS[1:]), 1), ValueError, r"train_set: labels must have shape \(60,\)"),
    (lambda path: fit(trainer(), validation=(IMAGES[0, 0], LABELS)), ValueError, "validation: images must have shape"),
    (lambda path: fit(trainer(), validation=(IMAGES, LABELS / 2)), TypeError, "validation: labels must be integer"),
    *((lambda path, wrong=wrong: fit(trainer(), checkpoint=wrong), TypeError, "checkpoint must be a path or None, got")
      for wrong in (3, b"a.npz", ["a.npz"])),
    (lambda path: fit(trainer(), validation=(IMAGES[:0], LABELS[:0])), ValueError, "validation must hold at least one"),
    (lambda path: trainer().evaluate((IMAGES[:0], LABELS[:0])), ValueError, "dataset must hold at least one image"),
    (lambda path: fit(trainer(), early_stopping=0), ValueError, "early_stopping must be at least 1"),
    (lambda path: fit(trainer(), early_stopping=2, validation=None), ValueError,
     "early_stopping on validation_loss needs validation"),
    (lambda path: EarlyStopping(monitor="loss"), ValueError, "monitor must be one of 'validation_loss'"),
    (lambda path: EarlyStopping(patience=0), ValueError, "patience must be at least 1"),
    (lambda path: EarlyStopping(min_delta=-1), ValueError, "min_delta must be at least 0, got -1"),
    (lambda path: EarlyStopping(restore_best=None), TypeError, "restore_best must be True or False"),
    (lambda path: fit(trainer(), resume=True), ValueError, "resume needs checkpoint"),
    (lambda path: fit(trainer(), checkpoint=path / "a.npz", resume=True), ValueError,
     "checkpoint must be an existing file"),
    (lambda path: fit(trainer(), checkpoint=path / "a.npz", resume="yes"), TypeError, "resume must be True or False"),
    (lambda path: fit(trainer(), checkpoint=path / "a.pt"), ValueError, "checkpoint must end in .npz"),
    (lambda path: fit(trainer(), checkpoint=path / "b" / "a.npz"), ValueError,
     "checkpoint must be in a folder that exists"),
])  # fmt: skip
def test_bad_arguments(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)


@pytest.mark.parametrize("optimizer, name", [("SGD", "velocity"), ("Adam", "m"), ("Adam", "v")])
def test_state_that_is_not_finite_is_refused_before_a_run_and_ends_it(optimizer, name):
    """A state like that cannot be loaded: neither from a checkpoint nor when the run diverges."""
    subject = trainer(optimizer)
    fit(subject, 1)
    good = copy.deepcopy(state_of(subject, Run()))

    class Spoiling(Interrupting):
        def __call__(self, images, rng):
            subject.optimizer.state[1][name][0] = np.inf
            return super().__call__(images, rng)

    with pytest.raises(DivergedError, match=f"(optimizer's {name} of parameter|parameter) .*bias is not finite|the loss of batch"):
        fit(subject, 1, augment=Spoiling())
    np.testing.assert_equal(state_of(subject, Run()), good)
    subject.optimizer.state[1][name][0] = np.nan
    with pytest.raises(ValueError, match=f"state: {name} of parameter 1 must be finite"):
        fit(subject, 1)


@pytest.mark.parametrize("loss", [nn.NLLLoss, lambda: nn.CrossEntropyLoss(0.1)])
@pytest.mark.parametrize("train, validation, message", [
    (TRAIN, (IMAGES[:9, :, :7], LABELS[:9]), r"validation must hold images of shape \(1, 8, 8\), as train_set does, got \(1, 7, 8\)"),
    (TRAIN, (IMAGES[:9].repeat(3, axis=1), LABELS[:9]), r"validation must hold images of shape .* got \(3, 8, 8\)"),
    (TRAIN, (IMAGES, LABELS + 3), "validation: labels must be below 3, the number of the model's outputs, got 5 for image 2$"),
    (TRAIN, (IMAGES, LABELS + 1), "validation: labels must be below 3, .* got 3 for image 2: .* pass labels - 1"),
    (TRAIN, data.ArrayDataset(IMAGES, np.where(np.arange(60) == 59, 4, 0), list("abcde")), "validation: .* got 4 for image 59$"),
    ((IMAGES, np.where(np.arange(60) == 41, 3, LABELS)), VALIDATION, "train_set: labels must be below 3, .* got 3 for image 41$"),
    ((IMAGES[..., :7], LABELS), None, r"layer 5, Linear\(36, 3\)"),
])  # fmt: skip
def test_a_run_that_would_fail_on_its_data_is_refused_before_the_first_step(tmp_path, train, validation, message, loss):
    subject = trainer("Adam", schedule="batches")
    subject.loss = loss()
    subject.model[0].train()
    subject.model[4].eval()
    subject.optimizer.params[0].grad = np.ones((4, 1, 3, 3), np.float32)

    def everything():
        modes = [module.training for _, module in subject.model.named_modules()]
        return copy.deepcopy((state_of(subject, Run()), modes, [parameter.grad for parameter in subject.optimizer.params]))

    before = everything()
    with pytest.raises(ValueError, match=message):
        subject.fit(train, 2, 10, validation=validation, checkpoint=tmp_path / "run.npz", progress=False)
    np.testing.assert_equal(everything(), before)
    assert not os.listdir(tmp_path)


def test_a_loss_of_ones_own_may_take_labels_for_other_things_than_outputs():
    class Squared:
        def __call__(self, output, labels):
            error = output - labels[:, None].astype(output.dtype)
            self.grad = error / np.float32(error.size)
            return np.mean(error**2) / 2

        def backward(self):
            return self.grad

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, rng=1))
    history = Trainer(model, optim.SGD(model.parameters(), lr=0.01), Squared()).fit(TRAIN, 3, validation=VALIDATION, progress=False)
    assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.parametrize("schedule, optimizer", [("batches", "SGD"), ("batches", "Adam"), ("epochs", "SGD"), (None, "Adam")])
@pytest.mark.parametrize("steps", [None, 5, 7, 10])
def test_the_history_has_the_rates_that_were_used(tmp_path, schedule, optimizer, steps, monkeypatch):
    """Of the last step of each epoch, in a run at one go and in one that was broken off."""
    used = []
    kind = optim.SGD if optimizer == "SGD" else optim.Adam
    step = kind.step
    monkeypatch.setattr(kind, "step", lambda self: (used.append(self.lr), step(self)))
    options = dict(checkpoint=tmp_path / "run.npz")
    if steps is not None:
        with pytest.raises(KeyboardInterrupt):
            fit(trainer(optimizer, schedule), augment=Interrupting(steps), **options)
    history = fit(trainer(optimizer, schedule), augment=Interrupting(), resume=steps is not None, **options)
    assert len(used) == 30
    assert history.lr == used[4::5]


def test_a_schedule_that_ends_before_the_run_is_refused_at_once():
    subject = trainer(schedule="batches")  # for 6 epochs of 5 batches
    before = subject.model.state_dict()["0.weight"].copy()
    with pytest.raises(ValueError, match="epochs must fit the schedule: 7 take 35 steps of it, OneCycleLR was made for total_steps=30$"):
        fit(subject, 7)
    np.testing.assert_array_equal(subject.model.state_dict()["0.weight"], before)
    fit(subject, 6)
    with pytest.raises(ValueError, match="1 take 5 steps of it, OneCycleLR was made for total_steps=30, of which 30 are done"):
        fit(subject, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Data that cannot be learnt, or look wrong, and runs that diverge


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["train_set", "validation"])
def test_images_that_are_not_finite_are_refused(name, value):
    images = IMAGES.copy()
    images[7, 0, 3, 3] = images[11, 0, 0, 0] = value
    sets = {"train_set": TRAIN, "validation": VALIDATION} | {name: (images, LABELS)}
    subject = trainer()
    before = {key: array.copy() for key, array in subject.model.state_dict().items()}
    with pytest.raises(ValueError, match=f"{name}: images must be finite, 2 of 60 hold NaN or infinity, the first is number 7"):
        subject.fit(sets["train_set"], 1, validation=sets["validation"], progress=False)
    np.testing.assert_equal(subject.model.state_dict(), before)


def test_images_and_labels_that_look_wrong_are_said():
    with pytest.warns(data.DataWarning, match="reach from 0 to 2.., where 0 to 1 is expected: write images / 255"):
        trainer(dropout=0).fit((np.floor(IMAGES * 127), LABELS), 1, progress=False)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 901))
    subject = Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss())
    with pytest.warns(data.DataWarning, match=r"labels from 3 to 900 make 901 classes, 899 of them without an image: write labels = "
                                         r"np.unique\(labels, return_inverse=True\)\[1\]"):
        subject.fit((IMAGES, np.where(LABELS, 3, 900)), 1, progress=False)


def test_bytes_are_divided_by_255_everywhere():
    pixels = np.uint8(np.clip(IMAGES, 0, 2) * 127)
    first, second = trainer(), trainer()
    first.fit((pixels, LABELS), 1, progress=False)
    second.fit((pixels / np.float32(255), LABELS), 1, progress=False)
    same_weights(first, second)
    np.testing.assert_array_equal(first.predict(pixels), second.predict(pixels / np.float32(255)))
    assert first.evaluate((pixels, LABELS)) == second.evaluate((pixels / np.float32(255), LABELS))


class Poisoned(nn.NLLLoss):
    """A loss that is not finite from one of its calls on."""

    def __init__(self, at, value=np.nan):
        self._left, self._value = at, value

    def __call__(self, log_probs, target):
        self._left -= 1
        value = super().__call__(log_probs, target)
        return self._value if self._left < 0 else value


@pytest.mark.parametrize("at, epochs", [(0, 0), (3, 0), (5, 1), (7, 1), (14, 2)])
@pytest.mark.parametrize("optimizer, schedule", [("SGD", None), ("SGD", "batches"), ("Adam", "epochs"), ("Adam", "batches")])
def test_a_run_that_diverges_ends_as_its_last_good_epoch_left_it(tmp_path, optimizer, schedule, at, epochs):
    path = tmp_path / "run.npz"
    subject, reference = trainer(optimizer, schedule), trainer(optimizer, schedule)
    good = fit(reference, epochs, validation=None)
    subject.loss = Poisoned(at)
    with pytest.raises(FloatingPointError, match=f"diverged in epoch {epochs + 1}, the loss of batch {at % 5 + 1} is nan: try") as caught:
        fit(subject, validation=None, checkpoint=path)
    same_weights(subject, reference)
    np.testing.assert_equal(subject.optimizer.state_dict(), reference.optimizer.state_dict())
    if schedule:
        assert subject.schedule.state_dict() == reference.schedule.state_dict()
    assert without_time(caught.value.history) == without_time(good)
    assert not subject.model.training
    assert path.exists() == (epochs > 0)
    # The generator of Dropout is as it was too: the run goes on as if nothing had been.
    subject.loss = reference.loss
    fit(subject, 1, validation=None), fit(reference, 1, validation=None)
    same_weights(subject, reference)


def test_a_run_that_diverges_keeps_its_best_weights():
    subject, reference = trainer(), trainer()
    stopping = EarlyStopping(10, restore_best=True)
    fit(reference, 2, early_stopping=stopping)
    subject.loss = Poisoned(14)
    with pytest.raises(DivergedError, match="epoch 3"):
        fit(subject, 6, early_stopping=stopping)
    same_weights(subject, reference)


def test_a_last_step_that_ruins_the_weights_is_found():
    subject = trainer(dropout=0)
    before = {key: array.copy() for key, array in subject.model.state_dict().items()}
    subject.optimizer.lr = 1e38
    with pytest.raises(DivergedError, match="parameter .* is not finite|loss of .* is"), np.errstate(all="ignore"):
        fit(subject, 1, batch_size=22)
    np.testing.assert_equal(subject.model.state_dict(), before)


CALLS = 1500


def small_function(a, b, *, key):
    return {"a": a, "b": [b, key]}


def test_a_step_costs_little_python(monkeypatch):
    """Layers, loss, optimiser and trainer add to the operations of a LeNet step what CALLS calls of a small Python function take
    (some 0.5 ms): the best of many."""
    inside = 0.0

    def timed(function):
        def call(*args, **kwargs):
            nonlocal inside
            start = time.perf_counter()
            result = function(*args, **kwargs)
            inside += time.perf_counter() - start
            return result

        return call

    for owner in (F, update):
        for name, function in list(vars(owner).items()):
            if callable(function) and not isinstance(function, type):
                monkeypatch.setattr(owner, name, timed(function))
    model = nn.models.lenet5(rng=0)
    subject = Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), nn.NLLLoss())
    images, labels = RNG.random((64, 1, 28, 28)).astype(np.float32), np.arange(64) % 10
    run, costs, calls = Run(), [], []
    with fc.num_threads(1), gated() as gate:
        for _ in range(50):
            inside, start = 0.0, time.perf_counter()
            with gate:
                subject._step(run, images, labels)
            costs.append(time.perf_counter() - start - inside)
            start = time.perf_counter()
            for number in range(1000):
                small_function(number, number, key=number)
            calls.append((time.perf_counter() - start) / 1000)
    assert 0 < min(costs) < CALLS * min(calls)
