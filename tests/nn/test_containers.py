"""ModuleList and ModuleDict: lists and dicts, and modules."""

import copy
import pickle

import numpy as np
import pytest

from fastconv import nn


def linears(count):
    return [nn.Linear(2, 2, bias=False, rng=index) for index in range(count)]


def test_a_list():
    a, b, c = linears(3)
    blocks = nn.ModuleList([a, b])
    blocks.append(c)
    blocks.insert(0, nn.ReLU())
    blocks += [nn.Tanh()]
    assert len(blocks) == 5 and blocks[1] is a and blocks[-2] is c and b in blocks
    assert [type(block).__name__ for block in blocks] == ["ReLU", "Linear", "Linear", "Linear", "Tanh"]
    assert list(blocks.state_dict()) == ["1.weight", "2.weight", "3.weight"]
    assert isinstance(blocks[1:3], nn.ModuleList) and list(blocks[1:3]) == [a, b]
    blocks[1], blocks[2:4] = b, [c]
    del blocks[0]
    assert list(blocks)[:2] == [b, c] and blocks.pop() is not None
    assert not any(module.training for _, module in blocks.eval().named_modules())
    assert (repr(nn.ModuleList([nn.ReLU()])) == "ModuleList(\n  (0): ReLU()\n)"
            and repr(nn.ModuleList()) == "ModuleList()")
    for again in (copy.deepcopy(blocks), pickle.loads(pickle.dumps(blocks))):
        assert again[0] is not b
        np.testing.assert_array_equal(again.state_dict()["0.weight"], b.weight.data)


def test_a_dict():
    a, b = linears(2)
    heads = nn.ModuleDict({"a": a})
    heads["b"] = b
    assert list(heads) == ["a", "b"] and heads["b"] is b and "c" not in heads and heads.get("c") is None
    assert dict(heads.items()) == {"a": a, "b": b}
    assert list(heads.state_dict()) == ["a.weight", "b.weight"]
    assert heads != nn.ModuleDict(heads) and heads == heads and len({heads}) == 1
    assert heads.pop("a") is a and len(heads) == 1
    assert repr(heads) == "ModuleDict(\n  (b): Linear(2, 2, bias=False)\n)"


def test_names_in_a_module_and_in_each_other():
    class Own(nn.ModuleList):
        def __init__(self):
            super().__init__([nn.ModuleDict({"x": nn.ModuleList(linears(1))})])
            self.last = linears(1)[0]

    class Net(nn.Module):
        def __init__(self):
            self.blocks = Own()
            self.plain = [nn.ModuleDict([("y", linears(1)[0])])]

    assert list(Net().state_dict()) == ["blocks.0.x.0.weight", "blocks.last.weight", "plain.0.y.weight"]


def test_what_they_do_not_take():
    with pytest.raises(TypeError, match="must be fastconv.nn modules, got 'relu'"):
        nn.ModuleList(["relu"])
    with pytest.raises(TypeError, match="must be fastconv.nn modules, got <class"):
        nn.ModuleList().append(nn.ReLU)
    with pytest.raises(TypeError, match="must be fastconv.nn modules, got 1"):
        nn.ModuleList(linears(2))[0:1] = [1]
    with pytest.raises(TypeError, match="must be fastconv.nn modules, got None"):
        nn.ModuleDict({"a": None})
    for name in ("a.b", "", 3):
        with pytest.raises(ValueError, match="modules must have names without a dot, got"):
            nn.ModuleDict()[name] = nn.ReLU()
    for container in (nn.ModuleList([nn.ReLU()]), nn.ModuleDict({"a": nn.ReLU()})):
        with pytest.raises(NotImplementedError, match="holds modules and is none to be called"):
            container(np.zeros(1))


@pytest.mark.parametrize("wrong", [None, 3, 1.5, nn.ReLU(), ..., np.float32(2)], ids=str)
def test_what_holds_no_modules(wrong):
    with pytest.raises(TypeError, match="modules must be a list of fastconv.nn modules, got "):
        nn.ModuleList(wrong)
    with pytest.raises(TypeError, match="modules must be a dict of names and fastconv.nn modules, or pairs of "):
        nn.ModuleDict(wrong)


@pytest.mark.parametrize("wrong", [np.ones((2, 3, 4)), [1, 2], "abc", [()]], ids=str)
def test_what_holds_no_pairs(wrong):
    with pytest.raises((TypeError, ValueError), match="modules must "):
        nn.ModuleDict(wrong)


def test_dicts_of_pairs_and_of_dicts():
    one = nn.ReLU()
    for modules in ([("a", one)], {"a": one}, nn.ModuleDict({"a": one}), iter([("a", one)])):
        assert dict(nn.ModuleDict(modules)) == {"a": one}
