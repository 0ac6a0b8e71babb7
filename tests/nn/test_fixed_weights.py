"""In evaluation mode weights that nobody can have changed are not compared any more: what is a change, and what is not.
And the memory of maps, which serves again when nothing of a map is left."""

import copy
import pickle
import threading
import weakref

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn
from fastconv._core.runtime import arrays
from fastconv.functional.rooms import MOST, Rooms

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 16, 12, 12)).astype(np.float32)


def chain():
    """A convolution that is folded, one that is not, and one that no driver prepares anything for."""
    model = nn.Sequential(nn.Conv2d(16, 24, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(24), nn.ReLU6(),
                          nn.Conv2d(24, 16, 1, rng=1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16, rng=2))
    model[1].running_var[...] = RNG.uniform(0.5, 2, 24)
    return model.eval()


def wanted_of(model, x=X):
    """In double precision, layer by layer, with nothing kept."""
    state = {name: value.copy() for name, value in model.state_dict().items()}
    twin = nn.Sequential(nn.Conv2d(16, 24, 3, padding=1, bias=False, dtype="float64"),
                         nn.BatchNorm2d(24, dtype="float64", eps=model[1].eps), nn.ReLU6(),
                         nn.Conv2d(24, 16, 1, dtype="float64"), nn.ReLU(),
                         nn.Conv2d(16, 16, 3, groups=16, dtype="float64")).eval()
    twin.load_state_dict(state)
    y = x.astype(np.float64)
    for layer in twin:
        y = layer(y)
    return y


def assert_right(model):
    y = model(X)
    assert y.flags.owndata and y.flags.c_contiguous
    wanted = wanted_of(model)
    assert np.linalg.norm(y - wanted) / np.linalg.norm(wanted) < 2e-6
    return y


# ---------------------------------------------------------------------------------------------------------------------
# Seals


def test_a_seal_is_whole_until_the_array_is_given_out():
    parameter = nn.Parameter(np.ones(8))
    seal = parameter.seal()
    assert seal is not None and parameter.seal() is seal and parameter.is_sealed(seal)
    repr(parameter), parameter.shape, parameter.grad
    assert parameter.is_sealed(seal)
    parameter.data += 0
    assert not parameter.is_sealed(seal) and parameter.seal() not in (None, seal)


@pytest.mark.parametrize("hold", [lambda p: p.data, lambda p: p.data[2:4], lambda p: memoryview(p.data),
                                  lambda p: weakref.ref(p.data), lambda p: {"state": p.data}], ids=str)
def test_who_holds_the_array_may_change_it_at_any_time(hold):
    parameter = nn.Parameter(np.ones(8))
    held = hold(parameter)
    assert parameter.seal() is None
    del held
    assert parameter.seal() is not None


def test_memory_that_is_somebody_elses_has_no_seal():
    base = np.ones(16)
    parameter = nn.Parameter(base[:8])
    del base
    assert parameter.seal() is None
    parameter.data = np.frombuffer(bytearray(64), np.float64)
    assert parameter.seal() is None
    parameter.data = np.ones(8)
    assert parameter.seal() is not None


def test_copies_have_seals_of_their_own():
    parameter = nn.Parameter(np.ones(8), "name")
    seal = parameter.seal()
    for other in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert other.name == "name" and not other.is_sealed(seal)
        np.testing.assert_array_equal(other.data, parameter.data)
    shared = copy.copy(parameter)
    assert parameter.seal() is None and shared.seal() is None


# ---------------------------------------------------------------------------------------------------------------------
# What is noticed


def ones(layer, name):
    getattr(layer, name).data[...] = 1


CHANGES = {
    "folded weight": lambda model: model[0].weight.data.__setitem__((0, 0), 1),
    "plain weight": lambda model: model[3].weight.data.__setitem__((0, 0), 1),
    "depthwise weight": lambda model: model[5].weight.data.__setitem__((0, 0), 1),
    "plain bias": lambda model: ones(model[3], "bias"),
    "scale": lambda model: model[1].weight.data.__imul__(2),
    "shift": lambda model: ones(model[1], "bias"),
    "mean": lambda model: model[1].running_mean.__iadd__(1),
    "variance": lambda model: setattr(model[1], "running_var", model[1].running_var * 2),
    "eps": lambda model: setattr(model[1], "eps", 0.5),
    "state dict": lambda model: model.load_state_dict(
        {name: value + 1 for name, value in chain().state_dict().items()}),
    "another array": lambda model: setattr(model[0].weight, "data", model[0].weight.data * 2),
    "another parameter": lambda model: setattr(model[0], "weight", nn.Parameter(model[0].weight.data * 2)),
    "training": lambda model: (model.train(), model(X), model.eval()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change):
    model = chain()
    for _ in range(4):
        before = assert_right(model)
        model(X), model(X)    # nobody holds anything: with seals
    CHANGES[change](model)
    assert not np.array_equal(model(X), before)
    for _ in range(3):
        assert_right(model)
        model(X)


@pytest.mark.parametrize("index", [0, 3, 5])
def test_an_array_that_was_given_out_long_ago_can_be_written_into(index):
    model = chain()
    held = model[index].weight.data[:1]
    for value in (0.5, -1, 2):
        for _ in range(3):
            before = model(X)
        held[...] = value
        assert not np.array_equal(model(X), before)
        assert_right(model)


def test_layers_that_become_others_are_noticed():
    model = chain()
    for _ in range(3):
        before = model(X)
    model[2].forward = lambda x: x * 0
    np.testing.assert_array_equal(model(X), model[3:](np.zeros((2, 24, 12, 12), np.float32)))
    del model[2].forward
    np.testing.assert_array_equal(model(X), before)
    model.layers["2"] = nn.LeakyReLU()
    wanted = X
    for layer in model:
        wanted = layer(wanted)
    np.testing.assert_allclose(model(X), wanted, rtol=1e-4, atol=1e-5)


def test_errors_stay_those_of_the_layers():
    model = chain()
    for _ in range(3):
        model(X)
    for wrong, message in ((X[:, :3], "layer 0, Conv2d"), (X.astype(np.float64), "weight is float32 but x is float64"),
                           (X[0], "batch")):
        with pytest.raises((ValueError, TypeError), match=message):
            model(wrong)
    model(X)


# ---------------------------------------------------------------------------------------------------------------------
# What is saved, and what stays the same


def test_sealed_weights_are_not_compared(monkeypatch):
    model = chain()
    for _ in range(3):
        wanted = model(X)
    compared = []
    monkeypatch.setattr(arrays, "is_copy", lambda *both: compared.append(both) or True)
    np.testing.assert_array_equal(model(X), wanted)
    assert not compared
    held = model[0].weight.data
    np.testing.assert_array_equal(model(X), wanted)
    assert [value is held for value, _ in compared] == [True]


def test_the_bits_are_those_of_the_first_pass():
    model = chain()
    first = model(X)
    held = model.state_dict()
    for _ in range(3):
        np.testing.assert_array_equal(model(X), first)
    del held
    for _ in range(3):
        np.testing.assert_array_equal(model(X), first)
    model.train().eval()
    for size in (1, 2, 1):
        np.testing.assert_array_equal(model(X[:size]), first[:size])


@pytest.mark.parametrize("layer", [nn.Conv2d(16, 8, 3), nn.Conv2d(16, 8, 1), nn.Conv2d(16, 16, 3, groups=16),
                                   nn.Conv2d(16, 8, 3, stride=2, padding=1, bias=False)], ids=str)
def test_a_layer_alone_has_the_bits_of_the_function(layer):
    layer.eval()
    wanted = fc.conv2d(X, layer.weight.data, layer.bias.data if layer.bias else None, **layer._options)
    for _ in range(4):
        y = layer(X)
        assert y.flags.owndata
        np.testing.assert_array_equal(y, wanted)
    if layer.bias:
        layer.bias.data += 1
        np.testing.assert_array_equal(layer(X), fc.conv2d(X, layer.weight.data, layer.bias.data, **layer._options))


def test_training_and_copies_keep_nothing():
    model = chain()
    for _ in range(3):
        model(X)
    assert model[0]._folded._kept is not None and model[3]._kept._kept is not None
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.deepcopy(model).train()):
        assert other[0]._folded._kept is None and other[0]._folded.note is None and other[3]._kept._kept is None
    model.train()
    assert model[0]._folded._kept is None and model[0]._folded.note is None and model[3]._kept._kept is None


# ---------------------------------------------------------------------------------------------------------------------
# Rooms


def test_a_room_serves_again_when_nothing_is_left_of_its_array():
    rooms = Rooms()
    first = rooms.take((2, 3), np.float32, 24)
    place = first.ctypes.data
    view = first[1:]
    assert rooms.hold(first) and not rooms.hold(np.ones(3)) and not rooms.hold(3)
    second = rooms.take((3,), np.float64, 24)
    assert not np.may_share_memory(first, second)
    del first
    assert rooms.take((1,), np.float32, 4).ctypes.data != place    # a view is left
    del view
    assert rooms.take((4,), np.float32, 16).ctypes.data == place
    assert rooms.take((7,), np.float32, 28).shape == (7,)


def test_there_are_few_rooms():
    rooms = Rooms()
    held = [rooms.take((4,), np.float32, 16) for _ in range(MOST + 3)]
    assert [array.flags.owndata for array in held] == [False] * MOST + [True] * 3
    for i, array in enumerate(held):
        array[...] = i
    assert [float(array[0]) for array in held] == list(range(MOST + 3))


def test_other_threads_take_memory_of_their_own():
    rooms, taken = Rooms(), []
    rooms.take((4,), np.float32, 16)
    thread = threading.Thread(target=lambda: taken.append(rooms.take((4,), np.float32, 16)))
    thread.start()
    thread.join()
    assert taken[0].flags.owndata and not rooms.hold(taken[0])


class Collector(nn.Module):
    """Keeps what comes by."""

    def __init__(self):
        self.seen = []

    def forward(self, x):
        self.seen.append((x, x.copy()))
        return x


def test_what_a_layer_keeps_is_not_written_over():
    layers = []
    for i in range(6):
        layers += [nn.Conv2d(16, 16, 3, padding=1, rng=i), nn.ReLU(), Collector()]
    model = nn.Sequential(*layers).eval()
    for _ in range(4):
        model(X)
    for collector in model[2::3]:
        assert len(collector.seen) == 4
        for array, as_it_was in collector.seen:
            np.testing.assert_array_equal(array, as_it_was)


def test_results_own_their_memory_also_where_the_last_layer_hands_on_its_input():
    model = nn.Sequential(nn.Conv2d(16, 4, 3, rng=0), nn.Dropout()).eval()
    results = [model(X) for _ in range(4)]
    assert all(y.flags.owndata and y.flags.c_contiguous for y in results)
    for y in results[1:]:
        np.testing.assert_array_equal(y, results[0])
        assert not np.may_share_memory(y, results[0])
    flat = nn.Sequential(nn.Conv2d(16, 4, 3, rng=0), nn.Flatten()).eval()
    results = [flat(X) for _ in range(4)]
    results[0][...] = 0
    assert results[1].any()
