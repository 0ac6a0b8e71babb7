"""Resuming with functions and classes of one's own: refused by name where they differ in anything that a run depends
on, to the same bits, in another process too, where they do not."""

import collections
import functools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fastconv import data, nn, optim
from fastconv.nn.serialization import read_npz, write_npz
from fastconv.training import DivergedError, Trainer
from fastconv.training.described import UNKNOWN, described

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((24, 1, 8, 8), np.float32), np.arange(24) % 3
FACTOR = 0.9


def train(path=None, epochs=2, change=None, **made):
    """A run with the parts that are given, resumed if the file is there."""
    layer, loss = made.get("layer", nn.ReLU)(), made.get("loss", nn.CrossEntropyLoss)()
    model = nn.Sequential(layer, nn.Flatten(), nn.Dropout(0.2, rng=1), nn.Linear(64, 3, rng=0))
    optimizer = made.get("optimizer", lambda params: optim.SGD(params, 0.05, 0.9))(model.parameters())
    trainer = Trainer(model, optimizer, loss, made.get("schedule", lambda optimizer: None)(optimizer))
    if change:
        change(trainer)
    trainer.fit((IMAGES, LABELS), epochs, 8, progress=False, augment=made.get("augment", lambda: None)(),
                checkpoint=path, resume=path is not None and path.exists())
    return model.state_dict()


def scaled(factor):
    def scale(x, rng):
        return x * np.float32(factor)

    return scale


def by_default(factor):
    def scale(x, rng, factor=factor):
        return x * np.float32(factor)

    return scale


def by_attribute(factor):
    def scale(x, rng):
        return x * np.float32(scale.factor)

    scale.factor = factor
    return scale


def by_global(factor):
    code = compile("def scale(x, rng):\n    return (lambda: x * numpy.float32(f()))()\ndef f():\n    return factor\n",
                   "scale", "exec")
    exec(code, names := {"numpy": np, "factor": factor, "__name__": "__main__"})
    return names["scale"]


class Private:
    def __init__(self, factor):
        self._factor = factor

    def __call__(self, x, rng):
        return x * np.float32(self._factor)

    def augment(self, x, rng):
        return self(x, rng)


class Slots:
    __slots__ = ("_factor",)

    def __init__(self, factor):
        self._factor = factor

    def __call__(self, x, rng):
        return x * np.float32(self._factor)


def of_class(factor):
    return type("Scaled", (), {"factor": factor, "__call__": lambda self, x, rng: x * np.float32(self.factor)})()


def deep(factor):
    inner = scaled(factor)
    for _ in range(9):
        inner = data.Compose([inner])
    return inner


AUGMENTATIONS = {
    "another constant": lambda factor: {0.9: lambda x, rng: x * np.float32(0.9),
                                        0.5: lambda x, rng: x * np.float32(0.5)}[factor],
    "closure": scaled,
    "default": by_default,
    "attribute of the function": by_attribute,
    "global behind another function": by_global,
    "private attribute": Private,
    "slot": Slots,
    "attribute of the class": of_class,
    "bound method": lambda factor: Private(factor).augment,
    "partial": lambda factor: functools.partial(lambda factor, x, rng: x * np.float32(factor), factor),
    "ten objects deep": deep,
    "closure over an array": lambda factor: scaled(np.full((1, 1, 8, 8), factor)),
    "closure over a set": lambda factor: (lambda names: lambda x, rng: x * len(names))({"a", "b", str(factor)}),
    "closure over a deque": lambda factor: (lambda q: lambda x, rng: x * q[0])(collections.deque([factor])),
}  # fmt: skip


class Loss(nn.CrossEntropyLoss):
    def __init__(self, weight):
        super().__init__()
        self._weight = weight

    def backward(self):
        return super().backward() * np.float32(self._weight)


class Scale(nn.Module):
    """With a factor under a private name, and an array that is no buffer; it keeps its input in its own way."""

    def __init__(self, factor, table=1.0, function=None):
        self._factor = np.float32(factor)
        self.table = np.full((8, 8), table, np.float32)
        self.pairs = [(nn.ReLU(), function or np.tanh)]

    def forward(self, x):
        if self.training:
            self.input, self._shape = x, x.shape
        return x * self._factor * self.table

    def backward(self, grad_output, needs_input_grad=True):
        return grad_output * self._factor * self.table


class Warm(optim.Schedule):
    def __init__(self, optimizer, epochs):
        self._epochs = epochs
        super().__init__(optimizer)

    def lr_at(self, step):
        return self.base_lr * min(1.0, (step + 1) / self._epochs)


class Clipped(optim.SGD):
    def __init__(self, params, highest):
        super().__init__(params, 0.05, 0.9)
        self.highest = highest

    def step(self):
        for parameter in self.params:
            parameter.grad = np.clip(parameter.grad, -self.highest, self.highest)
        super().step()


def patch(trainer):
    trainer.model[0].forward = lambda x: x * 0


def steps(optimizer):
    return optim.StepLR(optimizer, 3)


OTHERS = {
    **{name: ("augment", dict(augment=functools.partial(make, 0.9)), dict(augment=functools.partial(make, 0.5)))
       for name, make in AUGMENTATIONS.items()},
    "loss": ("loss", dict(loss=lambda: Loss(1.0)), dict(loss=lambda: Loss(2.0))),
    "layer": ("layer 0", dict(layer=lambda: Scale(1)), dict(layer=lambda: Scale(2))),
    "array of a layer": ("layer 0", dict(layer=lambda: Scale(1)), dict(layer=lambda: Scale(1, 2.0))),
    "function of a layer": ("layer 0", dict(layer=lambda: Scale(1, 1.0, np.tanh)),
                            dict(layer=lambda: Scale(1, 1.0, np.sin))),
    "method of one layer": ("layer 0", dict(layer=lambda: Scale(1)), dict(layer=lambda: Scale(1), change=patch)),
    "method of a layer of fastconv": ("layer 0", {}, dict(change=patch)),
    "schedule": ("schedule", dict(schedule=lambda made: Warm(made, 3)), dict(schedule=lambda made: Warm(made, 9))),
    "optimizer": ("optimizer", dict(optimizer=lambda params: Clipped(params, 1.0)),
                  dict(optimizer=lambda params: Clipped(params, 0.1))),
    "lr behind the schedule": ("lr 0.05, this one has 0.5", dict(schedule=steps), dict(
        schedule=steps, change=lambda trainer: setattr(trainer.optimizer, "lr", 0.5))),
    "beta that the schedule does not move": (
        r"betas \[0.9, 0.999\], this one has \[0.95, 0.5\]",
        dict(optimizer=optim.Adam, schedule=lambda made: optim.OneCycleLR(made, 0.1, 6)),
        dict(optimizer=optim.Adam, schedule=lambda made: optim.OneCycleLR(made, 0.1, 6),
             change=lambda trainer: setattr(trainer.optimizer, "betas", (0.95, 0.5)))),
    "base_lr": ("schedule's base_lr 0.05, this one has 7.0", dict(schedule=steps), dict(
        schedule=steps, change=lambda trainer: setattr(trainer.schedule, "base_lr", 7.0))),
}  # fmt: skip


@pytest.mark.parametrize("name, then, now", OTHERS.values(), ids=OTHERS)
def test_another_run_is_refused_by_name_and_the_same_goes_on_to_the_same_bits(tmp_path, name, then, now):
    path = tmp_path / "run.npz"
    whole = train(**then)
    train(path, 1, **then)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"run.npz is of a run with {name}"):
        train(path, **now)
    assert path.read_bytes() == content
    np.testing.assert_equal(train(path, **then), whole)


def test_the_trainer_that_made_the_file_goes_on_though_its_passes_left_something(tmp_path):
    path = tmp_path / "run.npz"
    model = nn.Sequential(Scale(1), nn.Flatten(), nn.Dropout(0.2, rng=1), nn.Linear(64, 3, rng=0))
    trainer = Trainer(model, optim.SGD(model.parameters(), 0.05, 0.9), Loss(1.0))
    for epochs in (1, 2):
        trainer.fit((IMAGES, LABELS), epochs, 8, progress=False, checkpoint=path, resume=epochs > 1)
    np.testing.assert_equal(model.state_dict(), train(layer=lambda: Scale(1), loss=lambda: Loss(1.0)))


class Learning(nn.CrossEntropyLoss):
    """With a parameter of its own, which the optimizer moves too."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.ones(1, np.float32))

    def __call__(self, output, labels):
        self.output = output
        return super().__call__(output * self.scale.data, labels)

    def backward(self):
        grad = super().backward()
        self.scale.add_grad(np.float32([(grad * self.output).sum()]))
        return grad * self.scale.data


def test_the_parameters_of_the_loss_go_on_where_they_were(tmp_path):
    def make():
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, rng=0))
        loss = Learning()
        return Trainer(model, optim.SGD([*model.parameters(), loss.scale], 0.05, 0.9), loss)

    path, whole, first, resumed = tmp_path / "run.npz", make(), make(), make()
    options = dict(batch_size=8, progress=False)
    whole.fit((IMAGES, LABELS), 3, **options)
    first.fit((IMAGES, LABELS), 1, **options, checkpoint=path)
    assert first.loss.scale.data != 1
    resumed.fit((IMAGES, LABELS), 3, **options, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.loss.scale.data, whole.loss.scale.data)
    np.testing.assert_equal(resumed.model.state_dict(), whole.model.state_dict())
    arrays, document = read_npz(path)
    del document["checkpoint"]["beside"]["parameter 2 of the optimizer"]
    write_npz(path, arrays, json.dumps(document))
    subject = make()
    with pytest.raises(ValueError, match="cannot be resumed: its state does not fit .* missing parameter 2 of the opt"):
        subject.fit((IMAGES, LABELS), 3, **options, checkpoint=path, resume=True)
    assert subject.loss.scale.data == 1


def test_the_parameters_of_the_loss_go_back_where_a_run_diverges():
    model, loss = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, rng=0)), Learning()
    trainer = Trainer(model, optim.SGD([*model.parameters(), loss.scale], 0.05, 0.9), loss)
    trainer.fit((IMAGES, LABELS), 1, 8, progress=False)
    before = loss.scale.data.copy()

    def spoil(images, rng):
        spoil.left -= 1
        return images if spoil.left else images * np.float32(np.nan)

    spoil.left = 3
    with pytest.raises(DivergedError):
        trainer.fit((IMAGES, LABELS), 1, 8, progress=False, augment=spoil)
    np.testing.assert_array_equal(loss.scale.data, before)


class Locked:
    """A class says itself what does not count."""

    def __init__(self, factor):
        self.factor, self.lock = factor, threading.Lock()

    def __getstate__(self):
        return {"factor": self.factor}

    def __call__(self, x, rng):
        return x * np.float32(self.factor)


def over(value):
    """A function that closes over a value."""
    return lambda x, rng: (value, x)[1]


@pytest.mark.parametrize("make, what", [
    (lambda: over(threading.Lock()), "lock"),
    (lambda: over(iter([1])), "an iterator"),
    (lambda: over(np.random.default_rng(0)), r"a random generator \(Generator\) of its own"),
    (lambda: over({"a": [np.random.default_rng(0)]}), r"a random generator \(Generator\) of its own"),
    (lambda: over(np.frompyfunc(lambda x: x, 1, 1)), "the ufunc"),
    (lambda: over(sys.__stderr__), "TextIOWrapper"),
    (lambda: over({threading.Lock()}), "lock"),
])  # fmt: skip
def test_what_cannot_be_compared_is_refused_by_name(tmp_path, make, what):
    path, augment = tmp_path / "run.npz", make()
    train(path, 1, augment=lambda: augment)
    with pytest.raises(ValueError, match=f"cannot be resumed, since nobody knows .* had the same augment: .*{what}"):
        train(path, augment=lambda: augment)


def test_a_class_leaves_out_what_does_not_count(tmp_path):
    path = tmp_path / "run.npz"
    train(path, 1, augment=lambda: Locked(0.9))
    with pytest.raises(ValueError, match=r"augment Locked\(factor=0.9; code .*, this one has Locked\(factor=0.5"):
        train(path, augment=lambda: Locked(0.5))
    np.testing.assert_equal(train(path, augment=lambda: Locked(0.9)), train(augment=lambda: Locked(0.9)))


class Cached:
    """Its property is there after the first call alone."""

    def __init__(self, factor):
        self._factor = factor

    @functools.cached_property
    def plane(self):
        return np.full((8, 8), self._factor, np.float32)

    def __call__(self, x, rng):
        return x * self.plane


def test_a_cached_property_does_not_count(tmp_path):
    path, augment = tmp_path / "run.npz", Cached(0.9)
    for epochs, one in ((1, augment), (2, augment), (3, Cached(0.9))):
        found = train(path, epochs, augment=lambda one=one: one)
    np.testing.assert_equal(found, train(epochs=3, augment=lambda: Cached(0.9)))
    with pytest.raises(ValueError, match=r"augment Cached\(_factor=0.9; code .*, this one has Cached\(_factor=0.5"):
        train(path, 4, augment=lambda: Cached(0.5))


@pytest.mark.parametrize("emptied", [[0, 1], [1]])
def test_an_optimizer_whose_state_was_taken_out_of_the_file_is_refused(tmp_path, emptied):
    path = tmp_path / "run.npz"
    train(path, 1)
    arrays, document = read_npz(path)
    for index in emptied:
        document["checkpoint"]["optimizer"]["state"][index] = {}
        del arrays[f"optimizer/state/{index}/velocity"]
    write_npz(path, arrays, json.dumps(document))
    with pytest.raises(ValueError, match="run.npz is damaged: it was changed after it was written"):
        train(path)


def everything_of_ones_own():
    """As many kinds of values as there are words for, some in the order of their hashes."""
    augment = [make(0.9) for make in AUGMENTATIONS.values()]
    cyclic = {"self": None, 1: Scale(1), "class": Scale}
    cyclic["self"] = cyclic
    return [*augment, {"x", "y", "z", 3, None, scaled}, cyclic, Loss(1.0), slice(1, 2), np.float32(0.1), RNG.random]


def test_words_are_the_same_in_every_process(tmp_path):
    """A set has another order there, objects other addresses, and this file may lie elsewhere."""
    (tmp_path / "elsewhere.py").write_text(Path(__file__).read_text())
    code = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
import elsewhere
print(*map(elsewhere.described, elsewhere.everything_of_ones_own()), sep="\\n")
made = dict(augment=lambda: elsewhere.Private(0.9), layer=lambda: elsewhere.Scale(1), loss=lambda: elsewhere.Loss(2.0))
state = elsewhere.train(Path(sys.argv[1], "run.npz"), int(sys.argv[2]), **made)
np.savez(Path(sys.argv[1], f"{sys.argv[2]}.npz"), **state)
"""
    words = [subprocess.run([sys.executable, "-c", code, str(tmp_path), str(epochs)], capture_output=True, text=True,
                            check=True, env={**os.environ, "PYTHONHASHSEED": str(epochs)}).stdout
             for epochs in (1, 2)]  # fmt: skip
    assert words[0] == words[1] and len(words[0].splitlines()) == len(AUGMENTATIONS) + 6
    assert [UNKNOWN in line for line in words[0].splitlines()] == [False] * (len(AUGMENTATIONS) + 5) + [True]
    whole = train(augment=lambda: Private(0.9), layer=lambda: Scale(1), loss=lambda: Loss(2.0))
    np.testing.assert_equal(dict(np.load(tmp_path / "2.npz")), whole)


def test_words_of_what_is_installed_are_short():
    assert described(data.RandomShift(1)) == "RandomShift(pixels=1, fill=0.0)"
    assert described([np.tanh, nn.ReLU, 1, (2.5,), "a"]) == "[numpy.tanh, ReLU, 1, [2.5], 'a']"


def test_arrays_of_other_libraries_count_by_their_values():
    torch = pytest.importorskip("torch")
    for gradient in (False, True):
        made = [torch.tensor([1.0, last], requires_grad=gradient) for last in (2.0, 2.0, 3.0)]
        assert described(made[0]) == described(made[1]) != described(made[2])
    assert described(np.poly1d([1, 2])) != described(np.poly1d([1, 3]))
