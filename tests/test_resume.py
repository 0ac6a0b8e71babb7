"""Resuming: exactly, or refused by name before anything has changed."""

import copy
import io
import json
import os
import zipfile

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim
from fastconv.nn.serialization import read_npz, write_npz
from fastconv.training import EarlyStopping, Trainer
from fastconv.training.run import generators_of

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((40, 1, 8, 8), np.float32), np.arange(40) % 3
VALIDATION = RNG.random((12, 1, 8, 8), np.float32), np.arange(12) % 3

MADE = dict(
    model=lambda: nn.Sequential(nn.Conv2d(1, 4, 3, rng=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                                nn.Dropout(0.3, rng=2), nn.Linear(36, 3, rng=3), nn.LogSoftmax()),
    optimizer=lambda params: optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.01),
    schedule=lambda optimizer: optim.OneCycleLR(optimizer, 0.1, epochs=4, steps_per_epoch=4),
    loss=lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
)  # fmt: skip
FIT = dict(train_set=(IMAGES, LABELS), epochs=4, batch_size=10, seed=3, augment=data.RandomAffine(shift=1),
           validation=VALIDATION, early_stopping=EarlyStopping(9, restore_best=True), progress=False)  # fmt: skip


def trainer(kind=Trainer, **made):
    made = MADE | made
    model = made["model"]()
    optimizer = made["optimizer"](model.parameters())
    return kind(model, optimizer, made["loss"](), made["schedule"](optimizer))


def everything(subject):
    """What a refused call must leave alone."""
    generators = [rng.bit_generator.state for rng in generators_of(subject.model).values()]
    schedule = subject.schedule and (subject.schedule.state_dict(), vars(subject.optimizer)["lr"])
    modes = [module.training for _, module in subject.model.named_modules()]
    return copy.deepcopy((subject.model.state_dict(), subject.optimizer.state_dict(), schedule, generators, modes))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The bytes of a checkpoint in the second of four epochs."""

    class Broken(Trainer):
        left = 6

        def _step(self, *batch):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            super()._step(*batch)

    path = tmp_path_factory.mktemp("checkpoint") / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        trainer(Broken).fit(**FIT, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def path(checkpoint, tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(checkpoint)
    return path


def refused(subject, path, message, **fit):
    content = path.read_bytes()
    before = everything(subject)
    with pytest.raises(ValueError, match=message):
        subject.fit(**FIT | fit, checkpoint=path, resume=True)
    np.testing.assert_equal(everything(subject), before)
    assert path.read_bytes() == content and os.listdir(path.parent) == ["run.npz"]


def test_a_run_that_is_made_as_it_was_goes_on_to_the_same_bits(path, capsys):
    whole, resumed = trainer(), trainer()
    expected = whole.fit(**FIT)
    history = resumed.fit(**FIT | dict(progress=True), checkpoint=path, resume=True)
    np.testing.assert_equal(everything(resumed), everything(whole))
    assert history.lr == expected.lr and history.train_loss == expected.train_loss
    assert capsys.readouterr().err.startswith(f"going on from {path}: 1 of 4 epochs are done\n")


OTHER_IMAGES = IMAGES.copy()
OTHER_IMAGES[5, 0, 2, 2] += 1e-3
OTHER_LABELS = LABELS.copy()
OTHER_LABELS[:3] = OTHER_LABELS[2::-1]


def layers(**changed):
    def make():
        made = list(MADE["model"]())
        for index, layer in changed.items():
            made[int(index[1:])] = layer()
        return nn.Sequential(*made)

    return make


@pytest.mark.parametrize("made, fit, message", [
    ({}, dict(seed=4), "run.npz is of a run with seed 3, this one has 4"),
    ({}, dict(batch_size=11), "of a run with batch_size 10, this one has 11"),
    ({}, dict(train_set=(IMAGES[:-1], LABELS[:-1])), "of a run with images 40, this one has 39"),
    ({}, dict(train_set=(OTHER_IMAGES, LABELS)), "of a run with checksum of the images"),
    ({}, dict(train_set=(IMAGES, OTHER_LABELS)), "of a run with checksum of the labels"),
    ({}, dict(train_set=(IMAGES[..., :7], LABELS)), "of a run with image shape 1 x 8 x 8, this one has 1 x 8 x 7"),
    ({}, dict(augment=None), r"of a run with augment RandomAffine\(shift=1.0, .*\), this one has None"),
    ({}, dict(augment=data.RandomAffine(shift=1.5)), "of a run with augment .*this one has .*shift=1.5"),
    ({}, dict(augment=data.Compose([data.RandomAffine(shift=1)])), "of a run with augment .*this one has Compose"),
    ({}, dict(augment=lambda images, rng: images), "of a run with augment .*this one has .*lambda"),
    ({}, dict(validation=None, early_stopping=None), "of a run with validation images 12, .*, this one has None"),
    ({}, dict(validation=(VALIDATION[0] / 2, VALIDATION[1])), "of a run with validation "),
    ({}, dict(early_stopping=3),
     r"of a run with early_stopping EarlyStopping\(patience=9, .*this one has .*patience=3"),
    (dict(model=layers(_1=nn.Tanh)), {}, r"of a run with layer 1 ReLU\(\), this one has Tanh\(\)"),
    (dict(model=layers(_4=lambda: nn.Dropout(0.4))), {},
     r"of a run with layer 4 Dropout\(p=0.3\), this one has Dropout\(p=0.4\)"),
    (dict(model=layers(_2=lambda: nn.AvgPool2d(2))), {}, "of a run with layer 2 MaxPool2d.*, this one has AvgPool2d"),
    (dict(model=layers(_6=lambda: nn.Linear(3, 3))), {}, "of a run with layer 6 LogSoftmax.*, this one has Linear"),
    (dict(loss=nn.NLLLoss), {},
     r"of a run with loss CrossEntropyLoss\(label_smoothing=0.1\), this one has NLLLoss\(\)"),
    (dict(loss=lambda: nn.CrossEntropyLoss(0.2)), {},
     "of a run with loss .*this one has CrossEntropyLoss.label_smoothing=0.2"),
    (dict(optimizer=lambda params: optim.SGD(params, lr=0.06, momentum=0.9, weight_decay=0.01)), {},
     "of a run with lr 0.05, this one has 0.06"),
    (dict(optimizer=lambda params: optim.SGD(params, lr=0.05, momentum=0.8, weight_decay=0.01)), {},
     "of a run with momentum 0.9, this one has 0.8"),
    (dict(optimizer=lambda params: optim.SGD(params, lr=0.05, momentum=0.9)), {},
     "of a run with weight_decay 0.01, this one has 0.0"),
    (dict(optimizer=lambda params: optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)), {},
     "of a run with nesterov False, this one has True"),
    (dict(optimizer=lambda params: optim.Adam(params, lr=0.05)), {}, "of a run with optimizer SGD, this one has Adam"),
    (dict(schedule=lambda optimizer: None), {}, "of a run with schedule OneCycleLR, this one has None"),
    (dict(schedule=lambda optimizer: optim.StepLR(optimizer, 2)), {},
     "of a run with schedule OneCycleLR, this one has StepLR"),
    (dict(schedule=lambda optimizer: optim.OneCycleLR(optimizer, 0.2, epochs=4, steps_per_epoch=4)), {},
     "of a run with schedule's max_lr 0.1, this one has 0.2"),
    (dict(schedule=lambda optimizer: optim.OneCycleLR(optimizer, 0.1, 16, pct_start=0.5)), {},
     "schedule's pct_start 0.3, this one has 0.5"),
    (dict(schedule=lambda optimizer: optim.OneCycleLR(optimizer, 0.1, epochs=6, steps_per_epoch=4)), dict(epochs=6),
     r"schedule's total_steps 16, this one has 24 \(that run was of 4 epochs, this one is of 6: "
     "a run goes on for more epochs only"),
    ({}, dict(epochs=6), "epochs must fit the schedule: 6 take 24 steps of it, OneCycleLR was made for total_steps=16"),
    ({}, dict(epochs=1), "of a run that is in epoch 2 already, epochs must be at least that, got 1"),
])  # fmt: skip
def test_a_run_that_is_made_otherwise_is_refused_by_name(path, made, fit, message):
    refused(trainer(**made), path, message, **fit)


@pytest.mark.parametrize("kind", [lambda params: optim.SGD(params, lr=0.05, momentum=0.9),
                                  lambda params: optim.Adam(params, 0.01)])
@pytest.mark.parametrize("then, now, names", [
    ((0, 1, 2), (2, 1, 0), ("0.weight, 0.bias, 1.weight", "1.weight, 0.bias, 0.weight")),
    ((0, 1, 2, 3), (0, 3, 2, 1), ("0.weight, 0.bias, 1.weight, 1.bias", "0.weight, 1.bias, 1.weight, 0.bias")),
    ((0, 1), (2, 3), ("0.weight, 0.bias", "1.weight, 1.bias")),
    ((0, 1), (0, 1, 2), ("0.weight, 0.bias", "0.weight, 0.bias, 1.weight")),
])  # fmt: skip
def test_parameters_in_another_order_and_others_of_equal_shapes_are_refused_by_name(tmp_path, kind, then, now, names):
    def make(chosen):
        def model():
            return nn.Sequential(Same(rng=1), Same(rng=2), nn.Flatten(), nn.LogSoftmax())

        return trainer(model=model, optimizer=lambda params: kind([params[index] for index in chosen]),
                       schedule=lambda optimizer: None)

    path, whole, resumed = tmp_path / "run.npz", make(then), make(then)
    whole.fit(**FIT)
    make(then).fit(**FIT | dict(epochs=2), checkpoint=path)
    refused(make(now), path, f"of a run with optimizer's parameters {names[0]}, this one has {names[1]}$")
    resumed.fit(**FIT, checkpoint=path, resume=True)
    np.testing.assert_equal(everything(resumed), everything(whole))


class Same(nn.Conv2d):
    """Convolutions of equal shapes."""

    def __init__(self, rng):
        super().__init__(1, 1, 3, padding=1, rng=rng)

    def settings(self):
        return {}


def test_parameters_of_the_loss_have_names_too(tmp_path):
    def make(order):
        model, loss = MADE["model"](), nn.CrossEntropyLoss()
        loss.first, loss.second = (nn.Parameter(np.ones(3, np.float32)) for _ in range(2))
        mixed = {"first": loss.first, "second": loss.second}
        return Trainer(model, optim.SGD([*model.parameters(), *(mixed[name] for name in order)], lr=0.05), loss)

    path = tmp_path / "run.npz"
    make(("first", "second")).fit(**FIT | dict(epochs=1), checkpoint=path)
    refused(make(("second", "first")), path,
            "parameters 0.weight, .*, loss.first, loss.second, this one has .*, loss.second, loss.first")


def test_betas_of_adam_are_compared_though_the_schedule_moves_one(tmp_path):
    path = tmp_path / "run.npz"
    trainer(optimizer=lambda params: optim.Adam(params, 0.01, (0.9, 0.99))).fit(**FIT, checkpoint=path)
    refused(trainer(optimizer=lambda params: optim.Adam(params, 0.01, (0.9, 0.98))), path,
            r"of a run with betas \[0.9, 0.99\], this one has \[0.9, 0.98\]")
    refused(trainer(optimizer=lambda params: optim.AdamW(params, 0.01, (0.9, 0.99), weight_decay=0)), path,
            "of a run with optimizer Adam, this one has AdamW")


@pytest.mark.parametrize("schedule", [
    lambda optimizer: None,
    lambda optimizer: optim.StepLR(optimizer, 2),
    lambda optimizer: optim.CosineAnnealingLR(optimizer, 5),
])  # fmt: skip
def test_more_epochs_where_the_schedule_allows_them(tmp_path, schedule, capsys):
    path = tmp_path / "run.npz"
    whole, first, second = (trainer(schedule=schedule) for _ in range(3))
    expected = whole.fit(**FIT)
    first.fit(**FIT | dict(epochs=2), checkpoint=path)
    history = second.fit(**FIT | dict(progress=True), checkpoint=path, resume=True)
    np.testing.assert_equal(everything(second), everything(whole))
    assert history.train_loss == expected.train_loss and history.lr == expected.lr
    assert "2 of 4 epochs are done (it was a run of 2)" in capsys.readouterr().err
    # The very trainer that made the file goes on too, though its schedule has moved its rate.
    first.fit(**FIT, checkpoint=path, resume=True)
    np.testing.assert_equal(everything(first), everything(whole))


def test_the_number_of_threads_and_the_bar_may_differ(path):
    whole, resumed = trainer(), trainer()
    with fc.num_threads(1):
        whole.fit(**FIT)
    with fc.num_threads(2):
        resumed.fit(**FIT | dict(progress=True), checkpoint=path, resume=True)
    np.testing.assert_equal(everything(resumed), everything(whole))


# ---------------------------------------------------------------------------------------------------------------------
# Damaged files


def test_every_shorter_file_is_refused(path, checkpoint):
    subject = trainer()
    before = everything(subject)
    for length in range(0, len(checkpoint), len(checkpoint) // 40):
        path.write_bytes(checkpoint[:length])
        with pytest.raises(ValueError, match="run.npz is not a readable .npz file"):
            subject.fit(**FIT, checkpoint=path, resume=True)
    np.testing.assert_equal(everything(subject), before)


def test_a_file_with_a_wrong_byte_is_refused_or_the_same(path, checkpoint):
    """Zip keeps a checksum of each array; what it does not cover is not used."""
    whole = trainer()
    whole.fit(**FIT)
    for position in np.random.default_rng(1).integers(0, len(checkpoint), 60):
        content = bytearray(checkpoint)
        content[position] ^= 0x10
        path.write_bytes(content)
        subject = trainer()
        before = everything(subject)
        try:
            subject.fit(**FIT, checkpoint=path, resume=True)
        except ValueError:
            np.testing.assert_equal(everything(subject), before)
        else:
            np.testing.assert_equal(everything(subject), everything(whole))


def test_other_files(path, tmp_path):
    path.write_bytes(b"")
    refused(trainer(), path, "run.npz is not a readable .npz file")
    np.savez(path, x=np.zeros(3))
    refused(trainer(), path, "run.npz is not a checkpoint of a training, it holds arrays alone")
    fc.save(trainer().model, path)
    refused(trainer(), path, "run.npz is not a checkpoint of a training, it is a model")
    write_npz(path, {}, json.dumps({"format": 1, "checkpoint": {}}))
    refused(trainer(), path, "run.npz is a checkpoint of an earlier version of fastconv, .*: "
            "finish the run with that version, or train anew")
    write_npz(path, {}, json.dumps({"format": 9, "checkpoint": {}}))
    refused(trainer(), path, "it is of an unknown format 9")


def changed(document, where, value):
    """A copy of nested dictionaries with one entry changed, or left out (None as a type)."""
    document = copy.deepcopy(document)
    *way, last = where
    inside = document
    for name in way:
        inside = inside[name]
    if value is KeyError:
        del inside[last]
    else:
        inside[last] = value
    return document


@pytest.mark.parametrize("where, value, message", [
    (("settings",), None, "is damaged: it does not say what its run was made with"),
    (("epochs",), "four", "is damaged: it does not say what its run was made with"),
    (("settings", "seed"), KeyError, "is of a run with seed None, this one has 3"),
    (("settings", "optimizer's parameters"), KeyError,
     "is of a run with optimizer's parameters None, this one has 0.weight, .*the file does not say it: "
     ".* an earlier version"),
    (("checkpoint",), [], "cannot be resumed: its state must have"),
    (("checkpoint", "generators"), KeyError, "cannot be resumed: its state must have"),
    (("checkpoint", "run"), None, "its run must have"),
    (("checkpoint", "run", "lr"), KeyError, "its run must have"),
    (("checkpoint", "run", "epoch"), -1, "its run: epoch must be at least 0, got -1"),
    (("checkpoint", "run", "epoch"), 1.0, "its run: epoch must be an integer"),
    (("checkpoint", "run", "batch"), 5, "its run: batch must be at most 4, got 5"),
    (("checkpoint", "run", "loss"), "high", "its run: loss must be a real number"),
    (("checkpoint", "run", "stopped"), 0, "its run: stopped must be True or False"),
    (("checkpoint", "run", "best_weights"), {}, "its state does not fit the model: missing 0.bias"),
    (("checkpoint", "run", "history", "lr"), [], "its history: lr must be a list of 1 entries"),
    (("checkpoint", "run", "history", "lr"), ["x"], "its history: lr must be a real number"),
    (("checkpoint", "run", "history", "train_loss"), [None], "its history: train_loss must be a real number"),
    (("checkpoint", "run", "history", "rate"), [1], "its history must have"),
    (("checkpoint", "model", "0.bias"), KeyError, "does not fit the model: missing 0.bias"),
    (("checkpoint", "model", "7.bias"), {"array": "model/0.bias"}, "does not fit the model: unknown 7.bias"),
    (("checkpoint", "model", "0.bias"), 1.0, "0.bias is no array"),
    (("checkpoint", "model", "0.bias"), {"array": "model/5.bias"},
     r"0.bias is float32 of shape \(3,\), must be float32 of shape \(4,\)"),
    (("checkpoint", "model", "0.bias"), {"array": "model/9"}, "cannot be resumed: the array model/9 is missing"),
    (("checkpoint", "optimizer", "lr"), "x", "state: lr must be a real number"),
    (("checkpoint", "optimizer", "momentum"), -1, "state: momentum must be at least 0"),
    (("checkpoint", "optimizer", "state"), [], "state must be for 4 parameters, got 0"),
    (("checkpoint", "optimizer", "state", 3), {"velocity": [1.0]},
     r"velocity of parameter 3 has shape \(1,\), must have \(3,\)"),
    (("checkpoint", "schedule", "steps"), 17, "state: steps must be at most 16, got 17"),
    (("checkpoint", "schedule", "base_lr"), None, "state: base_lr must be a real number"),
    (("checkpoint", "schedule"), None, "its run is without a schedule"),
    (("checkpoint", "generators"), {}, "has the random generators"),
    (("checkpoint", "generators", "4.generator"), {"bit_generator": "MT19937"},
     "its state of the random generator 4.generator is not one of PCG64"),
    (("checkpoint", "generators", "4.generator"), None,
     "its state of the random generator 4.generator is not one of PCG64"),
    (("checkpoint", "generators", "4.generator", "state", "inc"), "one",
     "its state of the random generator 4.generator is not one of PCG64"),
])  # fmt: skip
def test_a_file_with_a_wrong_entry_is_refused(path, where, value, message):
    arrays, document = read_npz(path)
    write_npz(path, arrays, json.dumps(changed(document, where, value)))
    refused(trainer(), path, message)


@pytest.mark.parametrize("array, message", [
    (np.zeros(4), r"0.bias is float64 of shape \(4,\), must be float32 of shape \(4,\)"),
    (np.zeros((2, 2), np.float32), r"0.bias is float32 of shape \(2, 2\), must be"),
    (np.zeros(4, int), "0.bias is int64"),
    (None, "the array model/0.bias is missing"),
])  # fmt: skip
def test_a_file_with_a_wrong_array_is_refused(path, array, message):
    arrays, document = read_npz(path)
    arrays.pop("model/0.bias")
    write_npz(path, arrays | ({} if array is None else {"model/0.bias": array}), json.dumps(document))
    refused(trainer(), path, message)


def test_an_entry_of_the_archive_that_is_missing_is_named(path, checkpoint):
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if "velocity" not in name:
                new.writestr(name, old.read(name))
    refused(trainer(), path, "the array optimizer/state/0/velocity is missing")


def test_a_model_that_cannot_be_written_is_refused_first(path):
    subject = trainer()
    subject.model[5].bias.data.flags.writeable = False
    refused(subject, path, "nothing can be loaded into the model: its 5.bias is read-only")


class Own(nn.Module):
    """A layer of a user, with odd names and attributes."""

    def __init__(self, table, inner):
        self.table, self.inner = table, inner
        self.array = nn.Parameter(np.zeros(3, np.float32))

    def forward(self, x):
        return self.inner(x) + self.array.data

    def backward(self, grad_output, needs_input_grad=True):
        self.array.add_grad(grad_output.sum(axis=0))
        return self.inner.backward(grad_output, needs_input_grad)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_layers_of_ones_own_and_every_generator_resume(tmp_path, bits):
    def make(table=(1, 2)):
        inner = nn.Sequential(nn.Flatten(), nn.Dropout(0.2, rng=np.random.Generator(bits(5))), nn.Linear(64, 3, rng=3))
        return trainer(model=lambda: nn.Sequential(Own(np.array(table), inner)), loss=nn.CrossEntropyLoss,
                       schedule=lambda optimizer: None)

    path = tmp_path / "run.npz"
    whole, first, second = make(), make(), make()
    whole.fit(**FIT)
    first.fit(**FIT | dict(epochs=2), checkpoint=path)
    second.fit(**FIT, checkpoint=path, resume=True)
    np.testing.assert_equal(second.model.state_dict(), whole.model.state_dict())
    refused(make((1, 3)), path, "of a run with layer 0 Own.table=array of int64 .2,. .*, this one has Own.table=array")
