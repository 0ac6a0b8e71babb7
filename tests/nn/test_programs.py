"""Passes that come again as programs: when they are made, to which bits, and that every change ends them."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

from fastconv import nn
from fastconv.functional.folding import FoldedWeights
from fastconv.nn import passes
from fastconv.nn.programs import Held, Program

RNG = np.random.default_rng(6)
X = RNG.standard_normal((2, 8, 12, 12)).astype(np.float32)


def normalised(c, k, size, rng, **options):
    return [nn.Conv2d(c, k, size, padding=size // 2, rng=rng, **options), nn.BatchNorm2d(k)]


def chain():
    """Chains in chains, ways that meet again with and without a shortcut, and layers that are no convolutions."""
    model = nn.Sequential(
        *normalised(8, 16, 3, 0), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Residual(nn.Sequential(*normalised(16, 16, 1, 1), nn.ReLU6(), *normalised(16, 16, 3, 2, groups=16))),
        nn.BasicBlock(16, 24, 2, rng=3), nn.InvertedResidual(24, 24, rng=4), nn.InvertedResidual(24, 16, 2, rng=5),
        nn.LeakyReLU(), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Dropout(), nn.Linear(16, 5, rng=6), nn.Softmax())
    for array in model.state_dict().values():
        if array.ndim == 1 and array.dtype == np.float32:
            array[...] = RNG.uniform(0.5, 1.5, array.shape)
    return model.eval()


@pytest.fixture
def taken(monkeypatch):
    """The programs that ran."""
    seen, run = [], Program.run
    monkeypatch.setattr(Program, "run", lambda self, x: seen.append(self) or run(self, x))
    return seen


def settled(model, taken, x=X):
    """What a model gives by its program."""
    for _ in range(5):
        y, count = model(x), len(taken)
    model(x)
    assert len(taken) == count + 1
    return y


def assert_right(model, x=X):
    """What the layers give one by one; afterwards there is a program again."""
    wanted = model.feature_maps(x)[-1][1]
    for _ in range(6):
        np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gain", [passes._GAIN, 0.0, 1e9], ids=["as expected", "pixels", "planes"])
def test_a_program_gives_the_bits_of_the_pass(gain, taken, monkeypatch):
    monkeypatch.setattr(passes, "_GAIN", gain)
    model, fresh = chain(), None
    for x in (X, X[:1], X.transpose(0, 1, 3, 2), X.astype(np.float32)[:, :, ::-1]):
        fresh = copy.deepcopy(model)(x)
        y = settled(model, taken, x)
        np.testing.assert_array_equal(y, fresh)
        assert y.flags.owndata and y.flags.c_contiguous
        results = [model(x) for _ in range(3)]
        results[0][...] = 0
        np.testing.assert_array_equal(results[1], fresh)
    assert_right(model)


CHANGES = {
    "a filter": lambda model: model[0].weight.data.__setitem__((3, 2, 1, 0), 9.0),
    "the bias": lambda model: model[0].bias.data.__setitem__(3, 9.0),
    "a bias inside": lambda model: model[4].body[1].bias.data.__iadd__(3),
    "norm weight": lambda model: model[1].weight.data.__imul__(3),
    "running mean": lambda model: model[5].downsample[1].running_mean.__iadd__(3),
    "running variance": lambda model: model[6][0][0][1].running_var.__imul__(9),
    "eps": lambda model: setattr(model[1], "eps", 3.0),
    "other filters": lambda model: setattr(model[0].weight, "data", model[0].weight.data * 3),
    "another bias": lambda model: setattr(model[0].bias, "data", model[0].bias.data + 3),
    "other statistics": lambda model: setattr(model[1], "running_mean", model[1].running_mean + 3),
    "no bias": lambda model: setattr(model[0], "bias", None),
    "no norm weight": lambda model: setattr(model[5].layers["bn1"], "weight", None),
    "another parameter": lambda model: setattr(model[1], "weight", nn.Parameter(model[1].weight.data * 3)),
    "another layer": lambda model: model.layers.__setitem__("8", nn.Tanh()),
    "another order": lambda model: model.layers.__setitem__("2", model.layers.pop("2")),
    "one layer less": lambda model: model.layers.pop("8"),
    "a layer inside": lambda model: model[4].body.layers.__setitem__("2", nn.Tanh()),
    "a method": lambda model: setattr(model[8], "forward", lambda x: x + 3),
    "a method of what is folded": lambda model: setattr(model[2], "forward", lambda x: x + 3),
    "another class": lambda model: setattr(model[8], "__class__", nn.Sigmoid),
    "an activation": lambda model: setattr(model[4], "activation", "tanh"),
    "the shortcut": lambda model: setattr(model[4], "shortcut", nn.Conv2d(16, 16, 1, rng=9).eval()),
    "a slope": lambda model: setattr(model[8], "negative_slope", 0.9),
    "the last weights": lambda model: model[12].weight.data.__imul__(3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(name, taken):
    model = chain()
    before = settled(model, taken)
    CHANGES[name](model)
    if name == "another order":
        model.layers["1"] = model.layers.pop("1")    # behind all others
        with pytest.raises(ValueError, match="layer 1"):
            model(X)
        return
    assert_right(model)
    assert not np.allclose(model(X), before, rtol=1e-3)


def test_weights_that_somebody_holds_may_change_at_any_time(taken):
    model = chain()
    settled(model, taken)
    held = model[0].weight.data
    before, count = model(X), len(taken)
    held *= 3
    assert not np.allclose(model(X), before) and len(taken) == count
    del held
    assert_right(model)
    assert len(taken) > count


def test_it_is_not_tried_again_and_again(monkeypatch):
    model = chain()
    held, tried = model[12].weight.data, []
    monkeypatch.setattr(passes, "Held", lambda chain: tried.append(chain) or Held(chain))
    for _ in range(12):
        model(X)
    assert held is not None and len(tried) == passes._MOST_FAILURES


def test_a_layer_that_trains_ends_it(taken):
    model = chain()
    settled(model, taken)
    count = len(taken)
    model[1].train()
    model(X)
    assert model[1].num_batches_tracked == 1 and len(taken) == count
    model.train()
    assert not model._passes.known
    model(X)
    assert model[1].num_batches_tracked == 2


def test_a_call_that_gives_something_else_ends_it(taken):
    """What it does depends on more than its attributes are."""
    size = [3, 3]
    model = nn.Sequential(*normalised(8, 16, 1, 0), nn.AdaptiveAvgPool2d(size), *normalised(16, 4, 3, 1)).eval()
    settled(model, taken)
    size[:] = 5, 4
    assert_right(model)
    assert model(X).shape == (2, 4, 5, 4)


def test_what_a_program_kept_is_given_back():
    model = chain()
    for _ in range(6):
        model(X)
    prepared = [weakref.ref(known.program) for known in model._passes.known.values()]
    assert len(prepared) == 1 and prepared[0]() is not None
    model.train()
    gc.collect()
    assert prepared[0]() is None


def test_evaluating_keeps_none():
    model = chain().train()
    with model.evaluating():
        for _ in range(6):
            model(X)
    assert not model._passes.known


def test_copies_and_pickles_have_none(taken):
    model = chain()
    y = settled(model, taken)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not other._passes.known
        for _ in range(6):
            np.testing.assert_array_equal(other(X), y)


def test_a_shallow_copy_has_attributes_of_its_own(taken):
    block = nn.BasicBlock(8, 8, rng=0).eval()
    wanted = settled(block, taken)
    other = copy.copy(block)
    other.activation = "tanh"
    for _ in range(6):
        assert np.abs(other(X)).max() <= 1 < wanted.max()
        np.testing.assert_array_equal(block(X), wanted)


def test_each_layer_is_still_seen_and_errors_name_it(taken):
    model = chain()
    settled(model, taken)
    count = len(taken)
    assert len(model.feature_maps(X)) == len(model) and len(taken) == count
    with pytest.raises(ValueError, match="layer 0, Conv2d"):
        model(X[:, :7])
    assert model(X[:0]).shape == (0, 5)


def test_threads_predict_while_the_weights_change(taken):
    model, possible, wrong, done = chain(), [], [], threading.Event()
    states = [model[1].running_mean.copy(), model[1].running_mean + 3]
    for state in states:
        model[1].running_mean[...] = state
        possible.append(settled(model, taken))

    def work():
        while not done.is_set():
            y = model(X)
            if not any(np.array_equal(y, each) for each in possible):
                wrong.append(y)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(40):
        model[1].running_mean = states[i % 2].copy()
        model(X)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_another_thread_gives_back_meanwhile(monkeypatch, taken):
    """Training begins in another thread between a convolution and the note of its step: no program, the same result."""
    model = chain()
    wanted = [model(X) for _ in range(2)][-1]
    again = FoldedWeights.again

    def given_back(self, *of_call):
        y = again(self, *of_call)
        self.forget()
        return y

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(FoldedWeights, "again", given_back)
        for _ in range(4):
            np.testing.assert_allclose(model(X), wanted, rtol=1e-4, atol=1e-6)
    assert not taken
    settled(model, taken)
