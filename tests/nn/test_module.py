"""Parameter and Module: names, state, modes, prediction."""

import copy
import pickle

import numpy as np
import pytest

from fastconv import nn


class Residual(nn.Module):
    def __init__(self, inner):
        self.inner = inner
        self.scale = nn.Parameter(np.ones(1, np.float32))

    def forward(self, x):
        y = self.inner(x)
        self.remember(y)
        return x + self.scale.data * y

    def backward(self, grad_output, needs_input_grad=True):
        y = self.recall()
        self.scale.add_grad((grad_output * y).sum(keepdims=True).reshape(1))
        return grad_output + self.inner.backward(grad_output * self.scale.data)


def residual():
    return Residual(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, rng=0), nn.ReLU()))


def test_parameter_holds_a_contiguous_array():
    parameter = nn.Parameter(np.arange(6.0).reshape(2, 3).T, "w")
    assert parameter.data.flags.c_contiguous
    assert parameter.shape == (3, 2)
    assert parameter.grad is None
    assert repr(parameter) == "Parameter('w', shape=(3, 2), dtype=float64)"
    with pytest.raises(TypeError, match="data must be float32 or float64, got int64"):
        nn.Parameter(np.arange(3))


def test_names_reach_any_depth():
    model = residual()
    assert list(model.state_dict()) == ["scale", "inner.0.weight", "inner.0.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "inner", "inner.0", "inner.1"]
    assert [parameter.shape for parameter in model.parameters()] == [(1,), (2, 2, 3, 3), (2,)]


def test_own_module_learns_through_its_parts():
    model = residual()
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 4)).astype(np.float32)
    y = model(x)
    grad_x = model.backward(np.ones_like(y))
    assert grad_x.shape == x.shape
    np.testing.assert_allclose(model.scale.grad, [(y - x).sum()], rtol=1e-5)
    assert all(parameter.grad.shape == parameter.shape for parameter in model.parameters())
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_train_and_eval_reach_any_depth():
    model = residual()
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train() is model
    assert all(module.training for _, module in model.named_modules())


def test_evaluating_restores_each_mode_even_after_an_error():
    model = residual()
    model.inner.eval()
    modes = [module.training for _, module in model.named_modules()]
    with pytest.raises(ZeroDivisionError), model.evaluating():
        assert not any(module.training for _, module in model.named_modules())
        raise ZeroDivisionError
    assert [module.training for _, module in model.named_modules()] == modes == [True, False, False, False]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module must define forward"):
        nn.Module()(np.zeros(1))
    with pytest.raises(NotImplementedError, match="Module must define backward"):
        nn.Module().backward(np.zeros(1))


def test_state_dict_goes_round():
    source, target = nn.models.lenet5(rng=0), nn.models.lenet5(rng=1)
    arrays = [parameter.data for parameter in target.parameters()]
    target.load_state_dict(source.state_dict())
    for name, array in target.state_dict().items():
        np.testing.assert_array_equal(array, source.state_dict()[name])
    assert all(parameter.data is array for parameter, array in zip(target.parameters(), arrays))


def test_a_copy_is_apart():
    model = residual()
    again, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(nn.models.lenet5()))
    again.scale.data += 1
    assert model.scale.data == 1
    assert repr(pickled) == repr(nn.models.lenet5())


def test_load_state_dict_converts_to_the_parameters_dtype():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[1, 2]], "bias": np.array([0.5], np.float16)})
    assert layer.weight.data.dtype == layer.bias.data.dtype == np.float32
    np.testing.assert_array_equal(layer.weight.data, [[1, 2]])


def test_load_state_dict_names_everything_that_differs_and_changes_nothing():
    layer = nn.Conv2d(1, 2, 3, rng=0)
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    with pytest.raises(ValueError, match=r"missing bias; unknown gain; weight has shape \(2, 1, 5, 5\), "
                                         r"must have \(2, 1, 3, 3\)"):
        layer.load_state_dict({"weight": np.zeros((2, 1, 5, 5)), "gain": np.zeros(2)})
    with pytest.raises(ValueError, match="bias has dtype complex128, not a real number"):
        layer.load_state_dict({"weight": np.zeros((2, 1, 3, 3)), "bias": np.zeros(2, complex)})
    with pytest.raises(TypeError, match="state must map names to arrays, got list"):
        layer.load_state_dict([1, 2])
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("last", [[], [nn.LogSoftmax()], [nn.Softmax()]], ids=["logits", "logarithms", "probabilities"])
def test_predict_gives_labels_and_predict_proba_probabilities(last):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5, rng=0), *last)
    x = np.random.default_rng(0).standard_normal((10, 3, 2, 2)).astype(np.float32)
    scores = x.reshape(10, 12) @ model[1].weight.data.T
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for batch_size in (1, 3, 10, 256):
        np.testing.assert_array_equal(model.predict(x, batch_size), scores.argmax(axis=1))
        np.testing.assert_allclose(model.predict_proba(x, batch_size), expected, rtol=1e-5)
    assert model.training
    assert model.predict(x[:0]).shape == (0,)
    assert model.predict_proba(x[:0]).shape == (0, 5)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.predict(x, 0)
    with pytest.raises(TypeError, match="x must be float32 or float64, got uint8"):
        model.predict(np.zeros((1, 3, 2, 2), np.uint8))
