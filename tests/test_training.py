"""Trainer: what it learns and records, reports, early stopping, checkpoints that continue with the same bits."""

import io
import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from small_training import (
    IMAGES,
    LABELS,
    RNG,
    TRAIN,
    VALIDATION,
    Interrupting,
    fit,
    same_weights,
    trainer,
    without_time,
)

import fastconv as fc
from fastconv import data, functional as F, nn, optim
from fastconv._core.pointwise import update
from fastconv.training import EarlyStopping, History, Trainer, checkpoint
from fastconv.training.interrupt import gated
from fastconv.training.run import Run


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


class AtStep:
    """An augmentation that calls a function before one of the steps."""

    def __init__(self, step, function):
        self.step, self.function = step, function

    def __call__(self, images, rng):
        if self.step == 0:
            self.function()
        self.step -= 1
        return images

    def __getstate__(self):
        return {}


def test_a_checkpoint_is_written_while_the_training_goes_on(tmp_path, monkeypatch):
    """The disk is not done before the next epoch has begun, and keeps what was when the epoch ended."""
    path, later, write = tmp_path / "run.npz", threading.Event(), checkpoint.write_npz
    threads, kept, start = [], [], threading.Thread.start

    def slow(*arguments):
        assert later.wait(60)
        write(*arguments)

    def look():
        later.set()
        threads[0].join(60)
        kept.append(path.read_bytes())

    monkeypatch.setattr(checkpoint, "write_npz", slow)
    monkeypatch.setattr(threading.Thread, "start", lambda self: (threads.append(self), start(self)))
    whole, resumed = trainer("Adam", "batches"), trainer("Adam", "batches")
    expected = fit(whole, 3, augment=AtStep(7, look), checkpoint=path)
    path.write_bytes(kept[0])  # of the first epoch, of 5 steps
    history = fit(resumed, 3, augment=AtStep(-1, look), checkpoint=path, resume=True)
    same_weights(resumed, whole)
    assert without_time(history) == without_time(expected)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch, epochs):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_npz", full)
    with pytest.raises(OSError, match="No space left on device"):
        fit(trainer(), epochs, checkpoint=tmp_path / "run.npz")


def test_without_a_thread_the_caller_writes_the_checkpoint(tmp_path, monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    path, subject, resumed = tmp_path / "run.npz", trainer(), trainer()
    fit(subject, 2, checkpoint=path)
    fit(resumed, 2, checkpoint=path, resume=True)
    same_weights(resumed, subject)


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

        def __getstate__(self):
            return {}  # one that interrupts is otherwise the same

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


def test_a_loss_of_ones_own_may_take_labels_for_other_things_than_outputs():
    class Squared:
        def __call__(self, output, labels):
            error = output - labels[:, None].astype(output.dtype)
            self.grad = error / np.float32(error.size)
            return np.mean(error**2) / 2

        def backward(self):
            return self.grad

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, rng=1))
    history = Trainer(model, optim.SGD(model.parameters(), lr=0.01), Squared()).fit(TRAIN, 3, validation=VALIDATION,
                                                                                    progress=False)
    assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.parametrize("schedule, optimizer",
                         [("batches", "SGD"), ("batches", "Adam"), ("epochs", "SGD"), (None, "Adam")])
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


def test_bytes_are_divided_by_255_everywhere():
    pixels = np.uint8(np.clip(IMAGES, 0, 2) * 127)
    first, second = trainer(), trainer()
    first.fit((pixels, LABELS), 1, progress=False)
    second.fit((pixels / np.float32(255), LABELS), 1, progress=False)
    same_weights(first, second)
    np.testing.assert_array_equal(first.predict(pixels), second.predict(pixels / np.float32(255)))
    assert first.evaluate((pixels, LABELS)) == second.evaluate((pixels / np.float32(255), LABELS))


CALLS = 1000


def small_function(a, b, *, key):
    return {"a": a, "b": [b, key]}


def lenet_steps(batch):
    """A function that trains LeNet by one step on so many images."""
    model = nn.models.lenet5(rng=0)
    subject = Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), nn.NLLLoss())
    images, labels = RNG.random((batch, 1, 28, 28)).astype(np.float32), np.arange(batch) % 10
    run = Run()
    return lambda: subject._step(run, images, labels)


def test_a_step_costs_little_python(monkeypatch):
    """Layers, loss, optimiser and trainer add to the operations of a LeNet step what CALLS calls of a small Python
    function take (some 0.3 ms): the best of many. One image leaves the interpreter in the cache, which the pixels
    of many would push out."""
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
        for name in getattr(owner, "__all__", list(vars(owner))):
            function = getattr(owner, name)
            if callable(function) and not isinstance(function, type):
                monkeypatch.setattr(owner, name, timed(function))
    step, costs, calls = lenet_steps(batch=1), [], []
    with fc.num_threads(1), gated() as gate:
        for _ in range(100):
            inside, start = 0.0, time.perf_counter()
            with gate:
                step()
            costs.append(time.perf_counter() - start - inside)
            start = time.perf_counter()
            for number in range(1000):
                small_function(number, number, key=number)
            calls.append((time.perf_counter() - start) / 1000)
    assert 0 < min(costs) < CALLS * min(calls)


def python_calls(function):
    """How many functions, of Python and of C, the interpreter calls in a call of this one."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def test_a_step_calls_as_many_functions_whatever_its_batch():
    counts = []
    for batch in (1, 64, 128):
        step = lenet_steps(batch)
        for _ in range(3):
            step()
        counts.append(python_calls(step))
    # One image goes through linear layers by another way than many, which asks for a length or two less.
    assert counts[1] == counts[2] < 450 and abs(counts[0] - counts[1]) <= 5
