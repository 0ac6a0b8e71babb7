"""State dicts behind a beginning that a wrapper, a checkpoint or a class of one's own put before
the names: what to write."""

import re

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

PREFIXES = {"module.": "as torch.nn.DataParallel leaves them",
            "_orig_mod.": "as torch.compile leaves them", "model.": "", "module._orig_mod.": "",
            "net.body.": ""}  # fmt: skip


def model(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.Flatten(), nn.Linear(8, 3, rng=rng))


def refused(subject, state):
    before = {name: array.copy() for name, array in subject.state_dict().items()}
    with pytest.raises(ValueError, match="state does not fit the model") as caught:
        subject.load_state_dict(state)
    np.testing.assert_equal(subject.state_dict(), before)
    return str(caught.value)


def written(message, **names):
    """Runs the expression that a message has behind "write" or "then"."""
    exec(re.search(r"(?:write|then) (\w+\.load_state_dict\(.*\))$", message)[1], {"fastconv": fc, **names})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_expression_takes_the_beginning_away(prefix):
    theirs, ours = model(0), model(1)
    state = {f"{prefix}{name}": array for name, array in theirs.state_dict().items()}
    message = refused(ours, state)
    assert PREFIXES[prefix] in message and "missing" not in message
    written(message, model=ours, state=state)
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())


def test_names_of_other_parts_beside_the_model():
    theirs, ours = model(0), model(1)
    state = {f"model.{name}": array for name, array in theirs.state_dict().items()} | {"loss.weight": np.ones(3)}
    message = refused(ours, state)
    assert "if name.startswith('model.')" in message
    written(message, model=ours, state=state)
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())


def test_a_model_inside_a_module_of_ones_own():
    class Wrapped(nn.Module):
        def __init__(self, net):
            self.net = net

    theirs, ours = model(0), Wrapped(model(1))
    state = theirs.state_dict()
    message = refused(ours, state)
    assert "its names are those of the model without 'net.'" in message
    written(message, model=ours, state=state)
    np.testing.assert_equal(ours.net.state_dict(), theirs.state_dict())


def test_where_more_is_wrong_a_wrapper_is_named_first_and_then_the_rest():
    state = {f"module.{name}": array for name, array in model(0).state_dict().items() if name != "0.bias"}
    assert "write model.load_state_dict" in refused(model(1), state)
    assert "missing 0.bias" in refused(model(1), {name.removeprefix("module."): array for name, array in state.items()})


@pytest.mark.parametrize("state",
                         [{}, {"0.weight": np.ones((2, 1, 3, 3))}, {"a.b": np.ones(2)}, {"module": np.ones(2)}])
def test_other_differences_are_listed(state):
    assert "missing 2.weight" in refused(model(), state)


def test_where_several_beginnings_fit_none_is_chosen():
    layer = nn.Linear(2, 2)
    state = {f"{number}.{name}": array for number in (0, 2) for name, array in layer.state_dict().items()}
    assert "missing weight" in refused(layer, state)
    assert "missing 0.weight" in refused(nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 2)), layer.state_dict())
    assert "missing 2.weight" in refused(nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 2, bias=False)),
                                         layer.state_dict())


def test_a_module_that_is_called_module_keeps_its_names():
    class Wrapped(nn.Module):
        def __init__(self, module):
            self.module = module

    theirs, ours = Wrapped(model(0)), Wrapped(model(1))
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())
    assert "missing module.0.bias" in refused(ours, {"module.0.weight": ours.module[0].weight.data})


def test_real_wrappers_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    ours = model()
    state = torch.nn.DataParallel(theirs).state_dict()
    written(refused(ours, state), model=ours, state=state)
    np.testing.assert_array_equal(ours[2].weight.data, theirs[2].weight.detach().numpy())


def test_load_says_it_of_a_file(tmp_path):
    theirs, ours = model(0), model(1)
    path = tmp_path / "parallel.npz"
    np.savez(path, **{f"module._orig_mod.{name}": array for name, array in theirs.state_dict().items()})
    with pytest.raises(ValueError, match="parallel.npz holds weights only: build the model, then") as caught:
        fc.load(path)
    written(str(caught.value), model=ours, path=path)
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())


def test_load_says_that_a_checkpoint_is_one(tmp_path):
    theirs, ours = model(0), model(1)
    path = tmp_path / "run.npz"
    images, labels = np.random.default_rng(0).random((6, 4, 4), np.float32), np.arange(6) % 3
    trainer = fc.Trainer(theirs, optim.Adam(theirs.parameters(), lr=0.1), nn.CrossEntropyLoss())
    trainer.fit((images, labels), 1, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="run.npz is a checkpoint of a training, not a model: "
                                         r"go on with Trainer.fit\(..., checkpoint='.*run.npz', resume=True\), "
                                         ".*fastconv train --resume") as caught:  # fmt: skip
        fc.load(path)
    written(str(caught.value), model=ours, path=path)
    np.testing.assert_equal(ours.state_dict(), theirs.state_dict())
    message = refused(model(1), fc.load_weights(path))
    assert "the names of the model stand behind 'model/' in it: write" in message


@pytest.mark.parametrize("write, message", [
    (lambda path: fc.save(model(), path), "it is a model"),
    (lambda path: np.savez(path, images=np.zeros((2, 4, 4)), labels=[0, 1]), "it holds arrays alone"),
])  # fmt: skip
def test_what_is_no_checkpoint(tmp_path, write, message):
    subject = model()
    path = tmp_path / "other.npz"
    write(path)
    trainer = fc.Trainer(subject, optim.SGD(subject.parameters(), lr=0.1), nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match=f"other.npz is not a checkpoint of a training, {message}"):
        trainer.fit((np.eye(4)[None].repeat(2, axis=0), [0, 1]), 1, checkpoint=path, resume=True, progress=False)


def test_an_error_about_a_class_is_of_a_public_kind(tmp_path):
    class Own(nn.Linear):
        pass

    fc.save(nn.Sequential(Own(2, 2)), tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"write fc.load\('.*m.npz', classes=\[Own\]\)") as caught:
        fc.load(tmp_path / "m.npz")
    assert type(caught.value) is ValueError


def test_arrays_of_objects_in_a_file_of_weights(tmp_path):
    np.savez(tmp_path / "m.npz", weight=np.array([1.0, 2.0], object))
    with pytest.raises(ValueError, match="'weight' in it has dtype object, .*write it with np.savez as numbers, "
                                         "such as array.astype"):
        fc.load_weights(tmp_path / "m.npz")
