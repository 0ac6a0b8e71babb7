"""Trainer: arguments and data that are refused before the first step, what looks wrong and is said,
runs that diverge."""

import copy
import os

import numpy as np
import pytest
from small_training import IMAGES, LABELS, TRAIN, VALIDATION, Interrupting, fit, same_weights, trainer, without_time

from fastconv import data, nn, optim
from fastconv.training import DivergedError, EarlyStopping, Trainer
from fastconv.training.run import Run, state_of


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
    *((lambda path, wrong=wrong: trainer().fit(wrong, 1), TypeError,
       "train_set must be an ArrayDataset or a pair .* got")
      for wrong in (3, None, "digits", IMAGES, (IMAGES,), [IMAGES, LABELS])),
    *((lambda path, wrong=wrong: fit(trainer(), validation=wrong), TypeError,
       "validation must be an ArrayDataset or a pair .* got")
      for wrong in (3, "digits", IMAGES, (IMAGES,))),
    (lambda path: trainer().fit((IMAGES, LABELS[1:]), 1), ValueError, r"train_set: labels must have shape \(60,\)"),
    (lambda path: fit(trainer(), validation=(IMAGES[0, 0], LABELS)), ValueError, "validation: images must have shape"),
    (lambda path: fit(trainer(), validation=(IMAGES, LABELS / 2)), TypeError, "validation: labels must be integer"),
    *((lambda path, wrong=wrong: fit(trainer(), checkpoint=wrong), TypeError, "checkpoint must be a str or a path")
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

    with pytest.raises(DivergedError,
                       match=f"(optimizer's {name} of parameter|parameter) .*bias is not finite|the loss of batch"):
        fit(subject, 1, augment=Spoiling())
    np.testing.assert_equal(state_of(subject, Run()), good)
    subject.optimizer.state[1][name][0] = np.nan
    with pytest.raises(ValueError, match=f"state: {name} of parameter 1 must be finite"):
        fit(subject, 1)


@pytest.mark.parametrize("loss", [nn.NLLLoss, lambda: nn.CrossEntropyLoss(0.1)])
@pytest.mark.parametrize("train, validation, message", [
    (TRAIN, (IMAGES[:9, :, :7], LABELS[:9]),
     r"validation must hold images of shape \(1, 8, 8\), as train_set does, got \(1, 7, 8\)"),
    (TRAIN, (IMAGES[:9].repeat(3, axis=1), LABELS[:9]), r"validation must hold images of shape .* got \(3, 8, 8\)"),
    (TRAIN, (IMAGES, LABELS + 3),
     "validation: labels must be below 3, the number of the model's outputs, got 5 for image 2$"),
    (TRAIN, (IMAGES, LABELS + 1), "validation: labels must be below 3, .* got 3 for image 2: .* pass labels - 1"),
    (TRAIN, data.ArrayDataset(IMAGES, np.where(np.arange(60) == 59, 4, 0), list("abcde")),
     "validation: .* got 4 for image 59$"),
    ((IMAGES, np.where(np.arange(60) == 41, 3, LABELS)), VALIDATION,
     "train_set: labels must be below 3, .* got 3 for image 41$"),
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
        return copy.deepcopy((state_of(subject, Run()), modes,
                              [parameter.grad for parameter in subject.optimizer.params]))

    before = everything()
    with pytest.raises(ValueError, match=message):
        subject.fit(train, 2, 10, validation=validation, checkpoint=tmp_path / "run.npz", progress=False)
    np.testing.assert_equal(everything(), before)
    assert not os.listdir(tmp_path)


def test_a_schedule_that_ends_before_the_run_is_refused_at_once():
    subject = trainer(schedule="batches")  # for 6 epochs of 5 batches
    before = subject.model.state_dict()["0.weight"].copy()
    with pytest.raises(ValueError, match="epochs must fit the schedule: 7 take 35 steps of it, "
                                         "OneCycleLR was made for total_steps=30$"):
        fit(subject, 7)
    np.testing.assert_array_equal(subject.model.state_dict()["0.weight"], before)
    fit(subject, 6)
    with pytest.raises(ValueError,
                       match="1 take 5 steps of it, OneCycleLR was made for total_steps=30, of which 30 are done"):
        fit(subject, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["train_set", "validation"])
def test_images_that_are_not_finite_are_refused(name, value):
    images = IMAGES.copy()
    images[7, 0, 3, 3] = images[11, 0, 0, 0] = value
    sets = {"train_set": TRAIN, "validation": VALIDATION} | {name: (images, LABELS)}
    subject = trainer()
    before = {key: array.copy() for key, array in subject.model.state_dict().items()}
    with pytest.raises(ValueError,
                       match=f"{name}: images must be finite, 2 of 60 hold NaN or infinity, the first is number 7"):
        subject.fit(sets["train_set"], 1, validation=sets["validation"], progress=False)
    np.testing.assert_equal(subject.model.state_dict(), before)


def test_images_and_labels_that_look_wrong_are_said():
    with pytest.warns(data.DataWarning, match="reach from 0 to 2.., where 0 to 1 is expected: write images / 255"):
        trainer(dropout=0).fit((np.floor(IMAGES * 127), LABELS), 1, progress=False)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 901))
    subject = Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss())
    with pytest.warns(data.DataWarning, match="labels from 3 to 900 make 901 classes, 899 of them without an image: "
                                         r"write labels = np.unique\(labels, return_inverse=True\)\[1\]"):
        subject.fit((IMAGES, np.where(LABELS, 3, 900)), 1, progress=False)


class Poisoned(nn.NLLLoss):
    """A loss that is not finite from one of its calls on."""

    def __init__(self, at, value=np.nan):
        self._left, self._value = at, value

    def __call__(self, log_probs, target):
        self._left -= 1
        value = super().__call__(log_probs, target)
        return self._value if self._left < 0 else value


@pytest.mark.parametrize("at, epochs", [(0, 0), (3, 0), (5, 1), (7, 1), (14, 2)])
@pytest.mark.parametrize("optimizer, schedule",
                         [("SGD", None), ("SGD", "batches"), ("Adam", "epochs"), ("Adam", "batches")])
def test_a_run_that_diverges_ends_as_its_last_good_epoch_left_it(tmp_path, optimizer, schedule, at, epochs):
    path = tmp_path / "run.npz"
    subject, reference = trainer(optimizer, schedule), trainer(optimizer, schedule)
    good = fit(reference, epochs, validation=None)
    subject.loss = Poisoned(at)
    with pytest.raises(FloatingPointError,
                       match=f"diverged in epoch {epochs + 1}, the loss of batch {at % 5 + 1} is nan: try") as caught:
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
