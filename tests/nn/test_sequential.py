"""Sequential: the chain, names, feature maps, summary."""

import re
from collections import OrderedDict

import numpy as np
import pytest

from fastconv import nn


def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 4, rng=0))


X = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)


def test_forward_and_backward_are_the_layers_one_by_one():
    model, layers = small(), list(small())
    y = X
    for layer in layers:
        y = layer(y)
    np.testing.assert_array_equal(model(X), y)
    grad = grad_output = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    for layer in reversed(layers):
        grad = layer.backward(grad)
    np.testing.assert_array_equal(model.backward(grad_output), grad)
    expected = [parameter.grad for layer in layers for parameter in layer.parameters()]
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad, wanted)


@pytest.mark.parametrize("before", [[], [nn.AvgPool2d(1), nn.Tanh()]], ids=["first layer", "third layer"])
def test_without_the_input_gradient(before):
    model = nn.Sequential(*before, *small())
    grad_output = np.ones((3, 4), np.float32)
    model(X)
    assert model.backward(grad_output).shape == X.shape
    expected = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    model(X)
    assert model.backward(grad_output, needs_input_grad=False) is None
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad, wanted)


def test_without_parameters_there_is_nothing_to_do():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    y = model(X)
    assert model.backward(y, needs_input_grad=False) is None


def test_empty_is_the_identity():
    model = nn.Sequential()
    assert model(X) is X
    assert model.backward(X) is X
    assert repr(model) == "Sequential()"
    assert model.returns == "logits"


def test_names_are_numbers_or_given():
    assert list(small().state_dict()) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    named = nn.Sequential(OrderedDict(conv1=nn.Conv2d(1, 2, 3), act=nn.ReLU()))
    assert list(named.state_dict()) == ["conv1.weight", "conv1.bias"]
    nested = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 2, bias=False))
    assert list(nested.state_dict()) == ["0.1.weight", "0.1.bias", "1.weight"]
    assert [parameter.name for parameter in nested.parameters()] == list(nested.state_dict())


def test_it_is_a_sequence():
    model = small()
    assert len(model) == 5
    assert model[0] is next(iter(model))
    assert isinstance(model[-1], nn.Linear)
    head = model[-2:]
    assert list(head.state_dict()) == ["4.weight", "4.bias"]
    assert head[-1] is model[-1]
    with pytest.raises(IndexError):
        model[5]


def test_repr_of_a_nested_model():
    model = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Flatten())
    assert repr(model) == "Sequential(\n  (0): Sequential(\n    (0): ReLU()\n  )\n  (1): Flatten()\n)"


def test_feature_maps_are_the_outputs_of_all_layers_in_eval_mode():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU()), nn.Dropout(0.9), nn.Flatten())
    maps = model.feature_maps(X)
    assert [name for name, _ in maps] == ["0.0: Conv2d", "0.1: ReLU", "1: Dropout", "2: Flatten"]
    np.testing.assert_array_equal(maps[1][1], np.maximum(maps[0][1], 0))
    np.testing.assert_array_equal(maps[2][1], maps[1][1])
    np.testing.assert_array_equal(maps[-1][1], model.eval()(X))
    assert model.train().feature_maps(X) and model.training


def test_summary_counts():
    summary = nn.models.lenet5().summary((1, 28, 28))
    assert [row.layer for row in summary.rows][:3] == ["0: Conv2d", "1: ReLU", "2: MaxPool2d"]
    assert [row.output_shape for row in summary.rows][2:5] == [(6, 14, 14), (16, 10, 10), (16, 10, 10)]
    assert [row.parameters for row in summary.rows if row.parameters] == [156, 2416, 48120, 10164, 850]
    assert [row.multiply_adds for row in summary.rows if row.multiply_adds] == [117600, 240000, 48000, 10080, 840]
    assert (summary.parameters, summary.multiply_adds) == (61706, 416520)
    assert str(summary).splitlines()[-1].split() == ["total", "61,706", "416,520"]
    grouped = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, data_format="NHWC", dtype="float64"))
    assert grouped.summary((5, 6, 4)).multiply_adds == 3 * 4 * 8 * 2 * 9
    head = str(nn.Sequential().summary((1,))).splitlines()[0]
    assert head.split() == ["layer", "output", "shape", "parameters", "multiply-adds"]


class Block(nn.Module):
    """y = x + f(x), where f is a list of layers; `times` calls of the last of them."""

    def __init__(self, layers, times=1):
        self.layers, self.times = layers, times

    def forward(self, x):
        y = x
        for layer in [*self.layers, *self.layers[-1:] * (self.times - 1)]:
            y = layer(y)
        return x + y


class Skip(nn.Sequential):
    """A chain that does more than run its layers."""

    def forward(self, x):
        return x + super().forward(x)


def conv(channels=2, **options):
    return nn.Conv2d(channels, channels, 3, padding=1, rng=0, **options)


ONE = 8 * 8 * 2 * 2 * 9  # multiply-adds of such a convolution with 2 channels


def test_summary_counts_in_blocks_and_adds_up():
    class Says(Block):
        def multiply_adds(self, output_shape):
            return 7 * output_shape[0]

    class Nested(nn.Module):
        def __init__(self):
            self.parts = nn.ModuleList([Block([conv()]), nn.Sequential(conv(groups=2), nn.ReLU())])

        def forward(self, x):
            return self.parts[1](self.parts[0](x))

    model = nn.Sequential(conv(), nn.Sequential(conv(), nn.Sequential(Block([nn.Sequential(conv(), nn.Tanh())]))),
                          Skip(conv(), conv()), Block([conv(), conv()], times=3), Nested(), Says([conv()]),
                          Block([Says([conv()]), conv()]), nn.ReLU())
    summary = model.summary((2, 8, 8))
    assert [(row.layer, row.multiply_adds) for row in summary.rows] == [
        ("0: Conv2d", ONE), ("1.0: Conv2d", ONE), ("1.1.0: Block", ONE), ("2: Skip", 2 * ONE), ("3: Block", 4 * ONE),
        ("4: Nested", ONE + ONE // 2), ("5: Says", 14), ("6: Block", 14 + ONE), ("7: ReLU", 0)]  # fmt: skip
    assert summary.multiply_adds == 11 * ONE + ONE // 2 + 28
    assert summary.parameters == sum(parameter.data.size for parameter in model.parameters())
    assert all(row.output_shape == (2, 8, 8) for row in summary.rows)


def test_summary_and_feature_maps_of_a_chain_that_does_more():
    model = Skip(conv(), nn.Tanh())
    x = np.random.default_rng(0).standard_normal((3, 2, 8, 8)).astype(np.float32)
    maps = dict(model.feature_maps(x))
    assert list(maps) == ["0: Conv2d", "1: Tanh"]
    np.testing.assert_array_equal(model(x), x + maps["1: Tanh"])
    assert model.summary((2, 8, 8)).multiply_adds == ONE
    inside = dict(nn.Sequential(model, nn.Flatten()).feature_maps(x))
    assert list(inside) == ["0: Skip", "1: Flatten"]
    np.testing.assert_array_equal(inside["0: Skip"], model(x))


def test_feature_maps_of_layers_that_are_called_twice_or_never():
    class Twice(nn.Sequential):
        def forward(self, x):
            return self[0](self[0](x))

    model = Twice(nn.Tanh(), nn.ReLU())
    maps = model.feature_maps(X)
    assert [name for name, _ in maps] == ["0: Tanh", "0: Tanh"]
    np.testing.assert_array_equal(maps[1][1], model(X))


@pytest.mark.parametrize("last, returns", [
    ([nn.Flatten()], "logits"), ([nn.Softmax(), nn.Flatten()], "probabilities"),
    ([nn.LogSoftmax(axis=1), nn.Sequential(nn.Flatten()), nn.Flatten()], "log-probabilities"),
    ([nn.Softmax(), nn.Linear(4, 4)], "logits"), ([nn.Sequential(nn.Sequential(nn.LogSoftmax()))], "log-probabilities"),
])  # fmt: skip
def test_flatten_at_the_end_does_not_change_what_the_output_means(last, returns):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, rng=0), *last)
    assert model.returns == returns
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    if returns == "probabilities":
        np.testing.assert_array_equal(model.predict_proba(X), model(X))


def test_a_block_may_hold_one_module_twice_but_a_chain_not():
    class Twice(nn.Module):
        def __init__(self, inner):
            self.inner, self.all = inner, [inner]

    inner = nn.ReLU()
    assert len(list(nn.Sequential(Twice(inner)).named_modules())) == 3
    with pytest.raises(ValueError, match="layer 1.inner is the same object as layer 0"):
        nn.Sequential(inner, Twice(inner))


def test_bad_arguments():
    relu = nn.ReLU()
    with pytest.raises(TypeError, match="layer 1 is 'relu'"):
        nn.Sequential(relu, "relu")
    with pytest.raises(TypeError, match="layer 0 is <class"):
        nn.Sequential(nn.ReLU)
    with pytest.raises(ValueError, match="layer 2 is the same object as layer 0"):
        nn.Sequential(relu, nn.Tanh(), relu)
    with pytest.raises(ValueError, match="layer 1.0 is the same object as layer 0"):
        nn.Sequential(relu, nn.Sequential(relu))
    with pytest.raises(ValueError, match="names without a dot, got 'a.b'"):
        nn.Sequential({"a.b": relu})
    with pytest.raises(ValueError, match="input_shape must be at least 1"):
        small().summary((1, 0, 8))
    with pytest.raises(TypeError, match="input_shape must be a sequence of integers"):
        small().summary(8)


FORMS = {
    "C, H, W": (nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(1), nn.GlobalAvgPool2d()),
    "H, W, C": (nn.Conv2d(1, 2, 3, data_format="NHWC"), nn.MaxPool2d(2, data_format="NHWC")),
}


@pytest.mark.parametrize(("form", "layer"),
                         [(form, layer) for form, layers in FORMS.items() for layer in layers], ids=repr)
def test_a_model_of_images_is_given_other_shapes(form, layer):
    for model in (nn.Sequential(layer), nn.Sequential(nn.Sequential(layer), nn.Flatten())):
        for shape in ((28, 28), (28,), (1, 1, 28, 28)):
            with pytest.raises(ValueError, match=re.escape(f"input_shape must be ({form}), got {shape}")):
                model.summary(shape)
        image = np.zeros((1, 28, 28) if form == "C, H, W" else (28, 28, 1), np.float32)
        match = f"x must be a batch (N, {form}), got shape {image.shape}: write x[None] for one image ({form})"
        for predict in (model.predict, model.predict_proba):
            with pytest.raises(ValueError, match=re.escape(match)):
                predict(image)
            assert len(predict(image[None])) == 1
        model.summary(image.shape)


def test_a_model_of_vectors_takes_any_shape():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    assert model.summary((3, 4)).parameters == model.summary((12,)).parameters == 26
    assert model.predict(np.zeros((5, 3, 4), np.float32)).shape == (5,)
    for layer in (nn.Flatten(), nn.PReLU(), nn.BatchNorm1d(12)):
        assert nn.Sequential(layer, nn.Linear(12, 2)).summary((12,)).rows[-1].output_shape == (2,)


def test_a_model_of_signals_or_volumes_is_given_their_shape():
    for layer, form, shape in ((nn.Conv1d(2, 3, 3), "C, L", (2, 8)), (nn.MaxPool3d(2), "C, D, H, W", (2, 4, 6, 8))):
        assert nn.Sequential(layer).summary(shape).rows[0].layer == f"0: {type(layer).__name__}"
        with pytest.raises(ValueError, match=re.escape(f"input_shape must be ({form}), got (2, 8, 8)")):
            nn.Sequential(layer).summary((2, 8, 8))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"groups": 2, "bias": False},
                                     {"data_format": "NHWC", "padding_mode": "reflect"}, {"dtype": "float64"}])
def test_a_relu_behind_a_convolution_gives_the_bits_of_a_layer_of_its_own(options, training):
    shape = (3, 7, 9, 4) if options.get("data_format") == "NHWC" else (3, 4, 7, 9)
    x, grad = np.random.default_rng(0).standard_normal((2, *shape)).astype(options.get("dtype", "float32"))
    model = nn.Sequential(conv(4, **options), nn.ReLU(), conv(4, **options), nn.ReLU(), nn.ReLU()).train(training)
    results = []
    for one_by_one in (False, True):
        y = x
        for layer in model if one_by_one else [model]:
            y = layer(y)
        results.append([y])
        if training:
            model.zero_grad()
            results[-1] += [model.backward(grad), *(parameter.grad for parameter in model.parameters())]
    for result, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_a_layer_with_a_forward_of_its_own_is_asked():
    class Twice(nn.ReLU):
        def forward(self, x):
            return 2 * super().forward(x)

    x = np.random.default_rng(0).standard_normal((1, 2, 5, 5)).astype(np.float32)
    plain = nn.Sequential(conv(), nn.ReLU())
    wanted = 2 * plain(x)
    np.testing.assert_array_equal(nn.Sequential(conv(), Twice())(x), wanted)
    plain[1].forward = lambda x: 2 * np.maximum(x, 0)
    np.testing.assert_array_equal(plain(x), wanted)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3, "stride": 2, "padding": 1},
                                     {"kernel_size": 3, "stride": 1, "data_format": "NHWC"}])
def test_the_gradients_of_a_relu_and_max_pooling_have_the_bits_of_each_by_itself(options):
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(**{"kernel_size": 2, **options}), nn.Tanh())
    x = np.random.default_rng(0).integers(-2, 3, (2, 8, 9, 8)).astype(np.float32)
    x[0, 0, 0, 0], x[0, 4, 4, 4], x[1, 5, 5, 5] = np.nan, np.inf, -np.inf
    y = model(x)
    grad = grad_output = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    for layer in reversed(list(model)):
        grad = layer.backward(grad)
    model(x)
    np.testing.assert_array_equal(model.backward(grad_output), grad)
    with pytest.raises(RuntimeError, match="needs a forward pass"):  # the ReLU has forgotten its values, as the others
        model[0].backward(grad)


def test_a_relu_with_a_backward_of_its_own_is_asked():
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    y = model(np.ones((1, 1, 2, 2)))
    model[0].backward = lambda grad_output: 3 * grad_output
    assert model.backward(y).max() == 3
