"""`fc.check_gradients`: right layers pass, wrong ones fail by name."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

X = np.random.default_rng(0).standard_normal((2, 3, 8, 8))


@pytest.mark.parametrize("layer", [
    nn.Conv2d(3, 4, 3, padding=1, rng=0),
    nn.Conv2d(3, 6, 3, stride=2, groups=3, rng=0),
    nn.BatchNorm2d(3),
    nn.GELU(),
    nn.MaxPool2d(2),
    nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 5, rng=0),
                  nn.LogSoftmax()),
    nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, rng=0), nn.BatchNorm2d(3))),
], ids=lambda layer: type(layer).__name__)
def test_layers_are_right_and_stay_as_they_were(layer):
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    found = fc.check_gradients(layer, X, samples=8)
    assert found, str(found)
    assert set(found.errors) == {"x", *dict(layer.named_parameters())}
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert all(parameter.data.dtype == np.float32 for parameter in layer.parameters())


class WrongWeight(nn.Module):
    """Forgets that its weight is used at every pixel of the batch."""

    def __init__(self):
        self.weight = nn.Parameter(np.full(3, 0.5, np.float32))

    def forward(self, x):
        self.remember(x)
        return x * self.weight.data[:, None, None]

    def backward(self, grad_output, needs_input_grad=True):
        x = self.recall()
        self.weight.add_grad((grad_output * x)[0].sum(axis=(1, 2)))
        return grad_output * self.weight.data[:, None, None]


def test_what_is_wrong_is_named():
    found = fc.check_gradients(WrongWeight(), X)
    assert not found and found.errors["weight"] > 0.01 and found.errors["x"] < 1e-7
    lines = str(found).splitlines()
    assert "x " in lines[0] and "right" in lines[0] and "weight" in lines[1] and "WRONG" in lines[1]
    index, given, expected = found.worst["weight"]
    assert f"at {list(index)} backward gives {given:.8g}, the finite difference {expected:.8g}" in lines[1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_wrong(value):
    class Lost(nn.ReLU):
        def backward(self, grad_output, needs_input_grad=True):
            gradient = super().backward(grad_output)
            gradient.flat[::3] = value
            return gradient

    found = fc.check_gradients(Lost(), X)
    assert not found and found.errors["x"] == np.inf and "WRONG" in str(found)
    assert not np.isfinite(found.worst["x"][1])


def test_what_cannot_be_checked():
    with pytest.raises(ValueError, match="Dropout"):
        fc.check_gradients(nn.Dropout(0.5), X)
    with pytest.raises(ValueError, match="samples"):
        fc.check_gradients(nn.ReLU(), X, samples=0)
    for tolerance in (-1, np.nan):
        with pytest.raises(ValueError, match="tolerance must be at least 0"):
            fc.check_gradients(nn.ReLU(), X, tolerance=tolerance)
    with pytest.raises(TypeError, match="layer must be a fastconv.nn.Module"):
        fc.check_gradients(nn.ReLU, X)


def test_one_number_of_a_models_gradient():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, rng=0), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.5),
                          nn.Flatten(), nn.Linear(256, 5, rng=0))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    x = X[0].astype(np.float32)
    for name, index in (("0.weight", (3, 2, 1, 0)), ("1.weight", (2,)), ("5.weight", (4, 200)), ("5.bias", (1,))):
        one = fc.walk.finite_difference(model, x, 2, name, index)
        seen = fc.walk.backward(model, x, 2)
        gradient = next(layer.gradients[name] for layer in seen.layers if name in layer.gradients)[index]
        assert np.isclose(one.difference, one.gradient, rtol=1e-6, atol=1e-9)
        assert np.isclose(one.gradient, gradient, rtol=1e-3, atol=1e-6)
        assert one.value == before[name][index] and (one.loss_above > one.loss_below) == (one.gradient > 0)
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())


def test_a_number_that_the_model_has_not():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    for name, index, message in (("2.weight", (0, 0), "'1.weight', '1.bias', got '2.weight'"),
                                 ("1.bias", (5,), "less than 5"), ("1.weight", (0,), "2 numbers")):
        with pytest.raises(ValueError, match=message):
            fc.walk.finite_difference(model, X[0].astype(np.float32), 0, name, index)
    with pytest.raises(ValueError, match="step"):
        fc.walk.finite_difference(model, X[0].astype(np.float32), 0, "1.bias", (0,), step=0.0)
