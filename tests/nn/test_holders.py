"""Modules and parameters in whatever an attribute may be: found under a name, or refused by name."""

import collections
import types
import weakref

import numpy as np
import pytest

from fastconv import nn, optim
from fastconv.training import Trainer

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


class Held(nn.Module):
    """Two layers, one after the other, in something that holds them."""

    def __init__(self, hold):
        layers = [nn.Linear(4, 5, rng=0), nn.Linear(5, 3, rng=1)]
        self.held, self.layers = hold(layers), lambda: layers

    def forward(self, x):
        for layer in self.layers():
            x = layer(x)
        return x

    def backward(self, grad_output, needs_input_grad=True):
        for layer in self.layers()[::-1]:
            grad_output = layer.backward(grad_output)
        return grad_output


def array(layers, shape):
    held = np.empty(len(layers), object)
    held[:] = layers
    return held.reshape(shape)


class Deque(collections.deque):
    pass


HOLDERS = {
    "list": (list, "0", "1"),
    "deque": (collections.deque, "0", "1"),
    "deque of one's own": (Deque, "0", "1"),
    "UserList": (collections.UserList, "0", "1"),
    "namespace": (lambda layers: types.SimpleNamespace(a=layers[0], b=layers[1]), "a", "b"),
    "proxy": (lambda layers: types.MappingProxyType({"a": layers[0], "b": layers[1]}), "a", "b"),
    "UserDict": (lambda layers: collections.UserDict(a=layers[0], b=layers[1]), "a", "b"),
    "ChainMap": (lambda layers: collections.ChainMap({"b": layers[1]}, {"a": layers[0]}), "a", "b"),
    "object array": (lambda layers: array(layers, (2,)), "0", "1"),
    "object array of two dimensions": (lambda layers: array(layers, (2, 1)), "0", "1"),
    "deep": (lambda layers: {"x": types.SimpleNamespace(y=collections.deque([None, (1, *layers)]))},
             "x.y.1.1", "x.y.1.2"),
    "array in a list": (lambda layers: [array(layers, (2,))], "0.0", "0.1"),
}  # fmt: skip


@pytest.mark.parametrize("hold, first, second", HOLDERS.values(), ids=HOLDERS)
def test_modules_are_found_and_learn(hold, first, second):
    model = Held(hold)
    assert list(model.state_dict()) == [f"held.{name}.{kind}" for name in (first, second)
                                        for kind in ("weight", "bias")]
    plain = nn.Sequential(nn.Linear(4, 5, rng=0), nn.Linear(5, 3, rng=1))
    for subject in (model, plain):
        Trainer(subject, optim.SGD(subject.parameters(), lr=0.1), nn.CrossEntropyLoss()).fit(
            (X.reshape(6, 1, 1, 4), np.arange(6) % 3), 0, progress=False)
        assert not any(module.training for _, module in subject.named_modules())
        subject.train()
        subject(X)
        subject.backward(np.ones((6, 3), np.float32))
        optimizer = optim.SGD(subject.parameters(), lr=0.1)
        optimizer.step()
    for found, expected in zip(model.parameters(), plain.parameters(), strict=True):
        np.testing.assert_array_equal(found.data, expected.data)


UNORDERED = {
    "set": set,
    "frozenset": frozenset,
    "WeakSet": weakref.WeakSet,
    "dict_values": lambda layers: dict(enumerate(layers)).values(),
}


@pytest.mark.parametrize("name, hold", UNORDERED.items(), ids=UNORDERED)
@pytest.mark.parametrize("wrap, path", [(lambda value: value, "held"), (lambda value: [1, value], "held.1")])
def test_what_has_no_order_is_refused_by_name(name, hold, wrap, path):
    model = Held(lambda layers: wrap(hold(layers)))
    for call in (model.parameters, model.state_dict, model.eval, lambda: nn.Sequential(model)):
        with pytest.raises(TypeError, match=rf"^{path} is a {name} that holds a Module, without an "
                                            "order to name it by: write a list, a tuple or a dict"):
            call()


def test_parameters_in_holders_and_what_holds_none():
    class Own(nn.Module):
        def __init__(self):
            self.scales = collections.deque([nn.Parameter([1.0]), nn.Parameter([2.0])])
            self.names, self.numbers = {"a", "b"}, np.arange(3)
            self.texts, self.views = np.array(["a", None], object), {"a": 1}.values()

    assert list(Own().state_dict()) == ["scales.0", "scales.1"]
    model = Own()
    model.names = {nn.Parameter([1.0])}
    with pytest.raises(TypeError, match="names is a set that holds a Parameter"):
        model.parameters()
