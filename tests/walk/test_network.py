"""A walk through a network shows what the network computes, and changes nothing in it."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim, walk


def state_of(model):
    return ({name: array.copy() for name, array in model.state_dict().items()},
            [parameter.grad for parameter in model.parameters()], model.training)


def unchanged(model, before):
    state, gradients, training = before
    assert all(np.array_equal(array, state[name]) for name, array in model.state_dict().items())
    assert all(a is b for a, b in zip(gradients, (parameter.grad for parameter in model.parameters())))
    assert model.training == training


def networks():
    head = [nn.Flatten(), nn.Linear(4 * 6 * 6, 5)]
    return {
        "log-probabilities": (nn.models.lenet5(rng=0), (1, 28, 28)),
        "logits": (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, rng=1), nn.ReLU(), nn.AvgPool2d(2), *head), (3, 12, 12)),
        "chains inside": (nn.Sequential({"body": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, rng=1), nn.BatchNorm2d(4),
                                                               nn.ReLU(), nn.MaxPool2d(2)),
                                         "head": nn.Sequential(nn.Dropout(0.5), *head)}), (3, 12, 12)),
        "blocks": (nn.models.resnet_small(rng=0), (3, 32, 32)),
    }


@pytest.mark.parametrize("name", networks())
def test_forward_shows_the_feature_maps(name):
    model, shape = networks()[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before = state_of(model)
    seen = walk.forward(model, x)
    unchanged(model, before)
    maps = model.feature_maps(x[None])
    assert [one.name for one in seen.layers] == [layer for layer, _ in maps]
    for one, (_, array) in zip(seen.layers, maps):
        assert np.array_equal(one.output, array[0])
        for axis, size in zip(one.formula, one.output.shape[1:]):
            assert axis.outputs == size
    for one, following in zip(seen.layers, seen.layers[1:]):
        assert np.array_equal(one.output, following.input)
    assert np.allclose(seen.probabilities, model.predict_proba(x[None])[0], atol=1e-6)
    assert seen.prediction == model.predict(x[None])[0]
    assert np.allclose(np.exp(seen.log_probabilities), seen.probabilities, atol=1e-6)
    assert sum(one.parameters for one in seen.layers) == sum(p.data.size for p in model.parameters())


@pytest.mark.parametrize("name", ["log-probabilities", "logits", "blocks"])
def test_backward_shows_the_models_gradients(name):
    model, shape = networks()[name]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    before = state_of(model)
    seen = walk.backward(model, x, 2)
    unchanged(model, before)
    loss = nn.NLLLoss() if model.returns == "log-probabilities" else nn.CrossEntropyLoss()
    model.train()
    value = loss(model(x[None]), np.array([2]))
    grad_x = model.backward(loss.backward())
    assert np.isclose(seen.loss, value, rtol=1e-6) and np.isclose(seen.loss, -seen.forward.log_probabilities[2])
    assert np.allclose(seen.layers[0].grad_input, grad_x[0], rtol=1e-4, atol=1e-6)
    gradients = {name: array for one in seen.layers for name, array in one.gradients.items()}
    expected = dict(model.named_parameters())
    assert gradients.keys() == expected.keys()
    for parameter_name, array in gradients.items():
        assert np.allclose(array, expected[parameter_name].grad, rtol=1e-4, atol=1e-5), parameter_name
    for one, following in zip(seen.layers, seen.layers[1:]):
        assert np.array_equal(one.grad_output, following.grad_input)
        assert one.grad_output.shape == one.output.shape and one.grad_input.shape == one.input.shape
    assert np.array_equal(seen.onehot, np.eye(len(seen.onehot), dtype=np.float32)[2])
    assert np.allclose(seen.error, seen.forward.probabilities - seen.onehot)


def test_the_gradient_of_the_logits_is_p_minus_onehot():
    model, shape = networks()["log-probabilities"]
    seen = walk.backward(model, data.digits("test").images[0], 7)
    last = seen.layers[-1]
    assert last.name.endswith("LogSoftmax") and np.allclose(last.grad_input, seen.error, atol=1e-6)


def test_dropout_is_left_out_on_the_way_back():
    model, shape = networks()["chains inside"]
    seen = walk.backward(model, np.ones(shape, np.float32), 0)
    dropout = next(one for one in seen.layers if one.name == "head.0: Dropout")
    assert np.array_equal(dropout.input, dropout.output) and np.array_equal(dropout.grad_input, dropout.grad_output)
    assert "nothing is dropped" in dropout.rule


def test_a_step_goes_along_the_gradient_that_is_shown():
    for name in ("log-probabilities", "chains inside"):
        model, shape = networks()[name]
        x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
        step, seen = walk.update(model, x[None], [1], lr=0.1), walk.backward(model, x, 1)
        assert step.loss_before == seen.loss
        gradients = {key: array for one in seen.layers for key, array in one.gradients.items()}
        assert gradients.keys() == step.gradients.keys()
        for key, array in gradients.items():
            assert np.allclose(array, step.gradients[key], rtol=1e-5, atol=1e-6), key


def test_every_layer_says_its_rule():
    seen = walk.backward(nn.models.lenet5(rng=0), data.digits("test").images[0], 7)
    rules = {one.name.split()[-1]: one.rule for one in seen.layers}
    assert "passes where the input was above 0" in rules["ReLU"] and "winner" in rules["MaxPool2d"]
    assert "patch" in rules["Conv2d"] and "p - onehot" in rules["LogSoftmax"]


def test_update_is_the_step_of_gradient_descent():
    model, _ = networks()["log-probabilities"]
    digits = data.digits("train")
    x, labels = digits.images[:16], digits.labels[:16]
    before = state_of(model)
    seen = walk.update(model, x, labels, lr=0.1)
    unchanged(model, before)
    loss = nn.NLLLoss()
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    first = loss(model(x), labels)
    model.backward(loss.backward(), False)
    optimiser.step()
    assert seen.loss_before == first and seen.loss_after == loss(model(x), labels) < first
    for name, parameter in model.named_parameters():
        assert np.array_equal(seen.after[name], parameter.data)
        assert np.array_equal(seen.gradients[name], parameter.grad)
        assert np.array_equal(seen.before[name], before[0][name])


def test_what_no_walk_can_show():
    with pytest.raises(ValueError, match="one number for each class"):
        walk.forward(nn.Sequential(nn.Conv2d(1, 2, 3)), np.ones((1, 8, 8), np.float32))
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax())
    assert walk.forward(model, np.ones((1, 2, 2), np.float32)).probabilities.shape == (3,)
    with pytest.raises(ValueError, match="LogSoftmax"):
        walk.backward(model, np.ones((1, 2, 2), np.float32), 0)
    with pytest.raises(ValueError, match="target"):
        walk.backward(nn.models.lenet5(), np.ones((1, 28, 28), np.float32), 10)
    for x in (np.ones((1, 28, 28), np.float32), np.ones((0, 1, 28, 28), np.float32), np.float32(1)):
        with pytest.raises(ValueError, match="x must be"):
            walk.update(nn.models.lenet5(), x, [1])
    with pytest.raises(ValueError, match="x must hold at least one image"):
        walk.predictions(nn.models.lenet5(), np.float32(1), [1])
    with pytest.raises(ValueError, match="layer 0"):
        walk.forward(nn.models.lenet5(), np.ones((3, 28, 28), np.float32))


def test_a_walk_is_imported_when_it_is_asked_for():
    assert fc.walk is walk and "walk" in dir(fc)
