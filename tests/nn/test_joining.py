"""Residual and Concat: outputs and gradients, what is done in place, messages, files, threads."""

import numpy as np
import pytest
from gradients import numeric_gradient

import fastconv as fc
from fastconv import nn

F64 = {"dtype": "float64", "rng": 0}


def chain(data_format="NCHW"):
    return nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, data_format=data_format, **F64), nn.Tanh(),
                         nn.Conv2d(6, 4, 3, padding=1, data_format=data_format, **F64))


def formatted(x, data_format):
    return x if data_format == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


MODELS = {
    "identity": lambda form: nn.Residual(chain(form)),
    "activation": lambda form: nn.Residual(chain(form), activation="relu"),
    "leaky": lambda form: nn.Residual(chain(form), activation="leaky_relu"),
    "sigmoid": lambda form: nn.Residual(chain(form), activation="sigmoid"),
    "shortcut": lambda form: nn.Residual(nn.Conv2d(4, 3, 3, 2, 1, data_format=form, **F64),
                                         nn.Conv2d(4, 3, 1, 2, data_format=form, **F64), activation="relu6"),
    "body that returns x": lambda form: nn.Residual(nn.Dropout(0.0)),
    "kept output": lambda form: nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 1, data_format=form, **F64), nn.Tanh())),
    "nested": lambda form: nn.Residual(nn.Residual(chain(form), activation="tanh"), nn.Dropout(0.0), activation="relu"),
    "concat": lambda form: nn.Concat([nn.Conv2d(4, 3, 1, data_format=form, **F64),
                                      nn.MaxPool2d(3, 1, 1, data_format=form), nn.Residual(chain(form))],
                                     data_format=form),
    "dense": lambda form: nn.Sequential(nn.Concat({"x": nn.Dropout(0.0), "more": chain(form)}, data_format=form),
                                        nn.Conv2d(8, 2, 1, data_format=form, **F64)),
}


def functions(name):
    """The same in NumPy, by the layers of the model."""
    return {
        "identity": lambda m, x: m.body(x) + x,
        "activation": lambda m, x: np.maximum(m.body(x) + x, 0),
        "leaky": lambda m, x: fc.leaky_relu(m.body(x) + x),
        "sigmoid": lambda m, x: fc.sigmoid(m.body(x) + x),
        "shortcut": lambda m, x: np.clip(m.body(x) + m.shortcut(x), 0, 6),
        "body that returns x": lambda m, x: x + x,
        "kept output": lambda m, x: m.body(x) + x,
        "nested": lambda m, x: np.maximum(np.tanh(m.body.body(x) + x) + x, 0),
        "concat": lambda m, x: np.concatenate([branch(x) for branch in m.branches.values()],
                                              1 if m.data_format == "NCHW" else 3),
        "dense": lambda m, x: m[1](np.concatenate([x, m[0].branches["more"](x)],
                                                  1 if m[0].data_format == "NCHW" else 3)),
    }[name]


@pytest.fixture(params=[(name, form) for name in MODELS for form in ("NCHW", "NHWC")], ids="-".join)
def case(request):
    name, form = request.param
    x = np.random.default_rng(1).permutation(2 * 4 * 5 * 6).reshape(2, 4, 5, 6) / 100 - 1.203
    return MODELS[name](form), formatted(x, form), functions(name)


def test_outputs(case):
    model, x, function = case
    before = x.copy()
    expected = function(model, x)
    for mode in (True, False):
        model.train(mode)
        for _ in range(2):
            np.testing.assert_allclose(model(x), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(x, before)


def test_gradients_are_the_derivatives(case):
    model, x, _ = case
    grad_output = np.random.default_rng(2).standard_normal(model(x).shape)

    def value():
        return float((model(x) * grad_output).sum())

    arrays = [x, *model.state_dict().values()]
    expected = [numeric_gradient(value, array) for array in arrays]
    for needs in (True, False):
        model.zero_grad()
        model(x)
        given = grad_output.copy()
        grad_x = model.backward(given, needs)
        np.testing.assert_array_equal(given, grad_output)
        if needs:
            np.testing.assert_allclose(grad_x, expected[0], rtol=1e-6, atol=1e-7)
        elif model.parameters():
            assert grad_x is None
        for parameter, wanted in zip(model.parameters(), expected[1:], strict=True):
            np.testing.assert_allclose(parameter.grad, wanted, rtol=1e-6, atol=1e-7)


def test_backward_needs_one_forward_in_training_mode(case):
    model, x, _ = case
    grad_output = np.ones(model(x).shape)
    model.backward(grad_output)
    with pytest.raises(RuntimeError, match="backward needs a forward pass in training mode"):
        model.backward(grad_output)


def test_a_file_makes_it_anew(case, tmp_path):
    model, x, _ = case
    path = tmp_path / "model.npz"
    fc.save(model, path)
    again = fc.load(path)
    assert repr(again) == repr(model) and type(again) is type(model)
    np.testing.assert_array_equal(again(x), model.eval()(x))


def test_feature_maps_are_left_as_they_were(case):
    """What is shown of the layers inside is not what the sum was made of in place. Of whole numbers: another driver may
    add to it, in another order."""
    model, x, _ = case
    for parameter in model.parameters():
        parameter.data[...] = np.rint(4 * parameter.data)
    x, whole = np.rint(4 * x), nn.Sequential(model)
    maps = whole.feature_maps(x)[-1][1]
    np.testing.assert_array_equal(maps, whole.eval()(x))
    inside = nn.Sequential({"a": chain(), "b": nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 1, **F64)))})
    images = np.random.default_rng(0).standard_normal((1, 4, 6, 6))
    maps = dict(inside.feature_maps(images))
    np.testing.assert_allclose(maps["b: Residual"], maps["a.2: Conv2d"] + inside.layers["b"].body(maps["a.2: Conv2d"]))


def test_names():
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 1)), nn.Conv2d(4, 4, 1)),
                          nn.Concat({"left": nn.Conv2d(4, 2, 1), "right": nn.Sequential(nn.Conv2d(4, 2, 1))}))
    assert list(model.state_dict()) == ["0.body.0.weight", "0.body.0.bias", "0.shortcut.weight", "0.shortcut.bias",
                                        "1.left.weight", "1.left.bias", "1.right.0.weight", "1.right.0.bias"]
    assert [parameter.name for parameter in model.parameters()] == list(model.state_dict())


def test_summary_counts_what_is_inside():
    model = nn.Sequential(nn.Residual(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 1), activation="relu"),
                          nn.Concat([nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)]))
    summary = model.summary((4, 5, 6))
    assert [row.layer for row in summary.rows] == ["0: Residual", "1: Concat"]
    assert [row.multiply_adds for row in summary.rows] == [30 * (4 * 8 * 9 + 4 * 8), 30 * 8 * 2 * 2]
    assert summary.parameters == 4 * 8 * 9 + 8 + 4 * 8 + 8 + 2 * (16 + 2)


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def test_shapes_that_do_not_fit_are_named():
    x = np.ones((2, 4, 8, 8), np.float32)
    model = nn.Sequential(nn.Residual(nn.Conv2d(4, 8, 3, stride=2, padding=1)))
    text = message(ValueError, lambda: model(x))
    assert "layer 0, Residual" in text
    assert "its body gives (2, 8, 4, 4), x itself, its shortcut, has (2, 4, 8, 8)" in text
    assert "write shortcut=nn.Conv2d(...)" in text
    model = nn.Residual(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 1, stride=2))
    assert "its body gives (2, 8, 8, 8), its shortcut gives (2, 8, 4, 4)" in message(ValueError, lambda: model(x))
    model = nn.Residual(nn.GlobalAvgPool2d())  # which NumPy would repeat
    assert "its body gives (2, 4, 1, 1)" in message(ValueError, lambda: model(x))
    model = nn.Concat({"plain": nn.Conv2d(4, 8, 1), "small": nn.Conv2d(4, 8, 1, stride=2)})
    text = message(ValueError, lambda: model(x))
    assert "branch plain gives (2, 8, 8, 8) of float32, branch small (2, 8, 4, 4) of float32" in text
    model = nn.Concat([nn.Dropout(0.0), nn.Flatten()])
    assert "branch 0 gives (2, 4, 8, 8) of float32, branch 1 (2, 256)" in message(ValueError, lambda: model(x))


def test_what_is_refused_at_birth():
    layer = nn.ReLU()
    assert "branches must be a list or a mapping" in message(TypeError, lambda: nn.Concat([]))
    assert "branches must be a list or a mapping" in message(TypeError, lambda: nn.Concat(layer))
    assert "branches must be fastconv.nn modules, branch 1 is 3" in message(TypeError, lambda: nn.Concat([layer, 3]))
    assert "branches must be objects of their own" in message(ValueError, lambda: nn.Concat([layer, layer]))
    assert "same object" in message(ValueError, lambda: nn.Residual(layer, layer))
    assert "body" in message(TypeError, lambda: nn.Residual(3))
    assert "shortcut" in message(TypeError, lambda: nn.Residual(layer, 3))
    assert "activation must be" in message(ValueError, lambda: nn.Residual(layer, activation="gelu"))


def test_an_error_of_the_gradient_names_the_layer():
    model = nn.Sequential(nn.Concat([nn.Residual(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)), nn.Conv2d(4, 2, 1)]))
    x = np.ones((2, 4, 8, 8), np.float32)
    model(x)
    text = message(ValueError, lambda: model.backward(np.ones((2, 6, 8, 7), np.float32)))
    assert text.startswith("layer 0.0.body, Conv2d(4, 4, 1)"), text
    model.layers["0"].branches["0"].layers["body"].eval()
    model(x)
    text = message(RuntimeError, lambda: model.backward(np.ones((2, 6, 8, 8), np.float32)))
    assert text.startswith("layer 0.0.body, Conv2d(4, 4, 1)"), text


def test_the_sum_is_made_in_place_where_nobody_keeps_it(monkeypatch):
    rooms = []
    original = fc.add

    def spy(x, other, **options):
        rooms.append(options.get("out") is not None)
        return original(x, other, **options)

    monkeypatch.setattr(nn.joining.F, "add", spy)
    x = np.ones((1, 4, 6, 6), np.float32)
    for body, forward, backward in (
            (nn.Conv2d(4, 4, 1), True, True), (nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()), False, True),
            (nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1)), True, False), (nn.Dropout(0.0), False, False)):
        rooms.clear()
        model = nn.Residual(body)
        model.backward(model(x))
        assert rooms == [forward, backward], body


def test_add():
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for shape in ((), (0, 3), (7,), (3, 5, 41), (2, 30000)):
            a, b = (np.asarray(rng.standard_normal(shape), dtype) for _ in range(2))
            for name in (None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6"):
                expected = a + b if name is None else getattr(fc, name)(np.asarray(a + b))
                np.testing.assert_array_equal(fc.add(a, b, activation=name), expected)
                for threads in (2, 3):
                    with fc.num_threads(threads):
                        np.testing.assert_array_equal(fc.add(a, b, activation=name), expected)
                for index in range(2):
                    both = [a.copy(), b.copy()]
                    assert fc.add(*both, activation=name, out=both[index]) is both[index]
                    np.testing.assert_array_equal(both[index], expected)
                if a.ndim > 1:
                    np.testing.assert_array_equal(fc.add(a[:, ::-1], np.asfortranarray(b)[:, ::-1], activation=name),
                                                  expected[:, ::-1])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(fc.add(np.array([np.inf, np.nan, np.inf]), np.array([1.0, 1.0, -np.inf])),
                                      [np.inf, np.nan, np.nan])


@pytest.mark.parametrize("layer", [nn.ReLU, nn.ReLU6])
def test_an_activation_behind_a_convolution_is_fused_to_the_same_bits(layer):
    rng = np.random.default_rng(0)
    for groups, data_format in ((1, "NCHW"), (16, "NCHW"), (16, "NHWC"), (1, "NHWC")):
        conv, activation = nn.Conv2d(16, 16, 3, padding=1, groups=groups, data_format=data_format, rng=0), layer()
        model = nn.Sequential(conv, activation)
        conv.weight.data *= 4
        x = rng.standard_normal((2, 16, 14, 16)).astype(np.float32)
        for mode in (True, False):
            model.train(mode)
            np.testing.assert_array_equal(model(x), activation(conv(x)))
        model.train()
        y = model(x)
        grad_x = model.backward(np.ones_like(y))
        assert (y == 0).any() and (layer is nn.ReLU or (y == 6).any())
        activation(conv(x))
        np.testing.assert_array_equal(conv.backward(activation.backward(np.ones_like(y))), grad_x)
