"""Errors inside a model name the layer, and keep their type."""

import copy
import pickle

import numpy as np
import pytest

from fastconv import nn

X = np.ones((2, 1, 8, 8), np.float32)


class Block(nn.Module):
    def __init__(self, inner, other=None):
        self.inner, self.others = inner, [other]

    def forward(self, x):
        return x + self.inner(x)

    def backward(self, grad_output, needs_input_grad=True):
        return grad_output + self.inner.backward(grad_output)


class Raises(nn.Module):
    def __init__(self, error, backward=False):
        self._error, self._late = error, backward

    def forward(self, x):
        if not self._late:
            raise self._error
        return x

    def backward(self, grad_output, needs_input_grad=True):
        raise self._error


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return str(caught.value)


def test_a_shape_names_the_layer_and_what_it_got():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(70, 10))
    assert message(ValueError, lambda: model(X)).startswith(
        "layer 3, Linear(70, 10), given x of shape (2, 72) and dtype float32: x must have 70 features")
    assert message(ValueError, lambda: model(X[:, :, :2])).startswith(
        "layer 0, Conv2d(1, 2, 3), given x of shape (2, 1, 2, 8) and dtype float32: ")
    for call in (model.predict, model.predict_proba, model.feature_maps):
        assert message(ValueError, lambda call=call: call(X)).startswith("layer 3, Linear(70, 10), given x")
    assert "layer 3, Linear(70, 10), given x of shape (1, 72)" in message(ValueError, lambda: model.summary((1, 8, 8)))


def test_a_dtype_names_the_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Linear(4, 2, dtype="float64"))
    assert message(TypeError, lambda: model(X)).startswith(
        "layer 2, Linear(4, 2, dtype='float64'), given x of shape (2, 4) and dtype float32: ")
    assert message(TypeError, lambda: model(X.astype(int))).startswith(
        "layer 0, Flatten(), given x of shape (2, 1, 8, 8) and dtype int64: x must be float32 or float64, got int64")
    assert message(TypeError, lambda: model(None)).startswith("layer 0, Flatten(), given x of type NoneType: ")


def test_the_name_is_that_of_the_state_dict_at_any_depth():
    wrong = nn.Conv2d(3, 1, 3, padding=1)
    model = nn.Sequential({"body": nn.Sequential(nn.ReLU(), Block(nn.Sequential(nn.Tanh(), Block(wrong))))})
    prefix = ("layer body.1.inner.1.inner, Conv2d(3, 1, 3, padding=1), "
              "given x of shape (2, 1, 8, 8) and dtype float32: weight")
    assert message(ValueError, lambda: model(X)).startswith(prefix)
    assert "body.1.inner.1.inner.weight" in model.state_dict()
    listed = nn.Sequential(Block(nn.ReLU(), wrong))
    listed[0].inner = lambda x: listed[0].others[0](x)
    assert message(ValueError, lambda: listed(X)).startswith("layer 0.others.0, Conv2d(3, 1, 3")
    hidden = nn.Sequential(Block(lambda x: wrong(x)))
    assert message(ValueError, lambda: hidden(X)).startswith("layer 0, Block(<function")  # no name leads to it
    assert message(ValueError, lambda: Block(wrong)(X)).startswith("layer inner, Conv2d(3, 1, 3")


def test_a_layer_alone_says_what_the_operation_says():
    assert message(ValueError, lambda: nn.Linear(3, 2)(X)).startswith("x must have 3 features")


def test_backward_names_the_layer():
    model = nn.Sequential(nn.Sequential(nn.ReLU(), Block(nn.Sequential(nn.Tanh(), nn.Conv2d(1, 1, 3, padding=1)))),
                          nn.Flatten())
    model(X)
    assert message(ValueError, lambda: model.backward(np.ones((2, 63), np.float32))).startswith(
        "layer 1, Flatten(), given grad_output of shape (2, 63) and dtype float32: grad_output")
    for needs in (True, False):
        model(X)
        assert message(TypeError, lambda needs=needs: model.backward(np.ones((2, 64)), needs)).startswith(
            "layer 0.1.inner.1, Conv2d(1, 1, 3, padding=1), "
            "given grad_output of shape (2, 1, 8, 8) and dtype float64: ")
    model(X)
    model[0][1].inner[0].recall()
    assert message(RuntimeError, lambda: model.backward(np.ones((2, 64), np.float32))).startswith(
        "layer 0.1.inner.0, Tanh(), given grad_output of shape (2, 1, 8, 8) and dtype float32: "
        "Tanh.backward needs a forward pass")


class Own(ValueError):
    pass


@pytest.mark.parametrize("error",
                         [ValueError("no"), TypeError("no"), IndexError("no"), RuntimeError("no"), MemoryError("no"),
                          AssertionError("no"), Own("no"), NotImplementedError("no")], ids=repr)
@pytest.mark.parametrize("backward", [False, True])
def test_the_error_is_the_same_object(error, backward):
    error = copy.copy(error)
    model = nn.Sequential(nn.ReLU(), nn.Sequential(Raises(error, backward)))
    with pytest.raises(type(error)) as caught:
        model.backward(model(X))
    assert caught.value is error
    what = "grad_output" if backward else "x"
    assert str(error) == f"layer 1.0, {model[1][0]!r}, given {what} of shape (2, 1, 8, 8) and dtype float32: no"
    again = pickle.loads(pickle.dumps(error)) if not isinstance(error, Own) else copy.copy(error)
    assert str(again) == str(error)


@pytest.mark.parametrize("error",
                         [KeyError("no"), ZeroDivisionError("no"), ValueError(), ValueError("a", 1), OSError(2, "no"),
                          UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), KeyboardInterrupt("no")], ids=repr)
def test_other_errors_pass_as_they_are(error):
    args = error.args
    with pytest.raises(type(error)) as caught:
        nn.Sequential(Raises(error))(X)
    assert caught.value is error and error.args == args


def test_a_repr_that_fails_hides_no_error():
    class Broken(Block):
        def __repr__(self):
            return self.missing

    assert message(ValueError, lambda: nn.Sequential(Broken(nn.Linear(3, 3)))(X)).startswith(
        "layer 0.inner, Linear(3, 3), given")
    broken = Broken(lambda x: x + np.ones(3))
    assert message(ValueError, lambda: nn.Sequential(broken)(X)).startswith(
        "layer 0, an object of type Broken, given x of shape")


def test_a_long_repr_is_cut():
    model = nn.Sequential(Block(nn.Sequential(*[nn.ReLU() for _ in range(50)])))
    model[0].forward = lambda x: x + np.ones(3)
    text = message(ValueError, lambda: model(X))
    assert (text.startswith("layer 0, Block(Sequential( (0): ReLU() (1)") and "..., given x of shape" in text
            and "\n" not in text)
