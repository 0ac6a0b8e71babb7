"""Batch normalisation behind a convolution: evaluation folds it into the weights, whatever happens to them; with a ReLU
behind it, training goes through both in one pass."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn
from fastconv.functional import folding

RNG = np.random.default_rng(0)


def chain(relu=True, data_format="NCHW", dtype="float32", **options):
    """Convolution and normalisation with settings of every kind, statistics and weights drawn."""
    conv = nn.Conv2d(16, 24, 3, padding=1, data_format=data_format, dtype=dtype, rng=0,
                     **{"bias": False, **options})
    norm = nn.BatchNorm2d(24, data_format=data_format, dtype=dtype)
    model = nn.Sequential(conv, norm, *([nn.ReLU()] if relu else []))
    draw(model)
    return model.eval()


def draw(model):
    for name, array in model.state_dict().items():
        if not name.endswith("tracked") and not name.startswith("0.weight"):
            array[...] = RNG.uniform(0.5, 2, array.shape)


def images(data_format="NCHW", dtype="float32", size=12):
    shape = (2, 16, size, size) if data_format == "NCHW" else (2, size, size, 16)
    return RNG.standard_normal(shape).astype(dtype)


def apart(model, x):
    """Layer by layer."""
    for layer in model:
        x = layer(x)
    return x


def assert_right(model, x):
    wanted = apart(model, x)
    got = model(x)
    assert got.dtype == wanted.dtype
    error = np.linalg.norm(got.astype(np.float64) - wanted) / np.linalg.norm(wanted)
    assert error < (3e-6 if got.dtype == np.float32 else 1e-14)
    return got


@pytest.fixture
def folds(monkeypatch):
    """How often weights were folded."""
    calls, fold = [], folding.folded
    monkeypatch.setattr(folding, "folded", lambda *arguments: calls.append(1) or fold(*arguments))
    return calls


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("options", [{}, {"bias": True}, {"groups": 8}, {"stride": 2}, {"padding_mode": "reflect"},
                                     {"padding_value": 0.5}, {"dilation": 2}], ids=str)
def test_folded_gives_the_same(folds, options, data_format, dtype):
    for relu in (True, False):
        model, before = chain(relu, data_format, dtype, **options), len(folds)
        for _ in range(3):
            assert_right(model, images(data_format, dtype, 24))
        assert len(folds) == before + 1


CHANGES = {
    "a filter": lambda conv, norm: conv.weight.data.__setitem__((3, 2, 1, 0), 5.0),
    "the bias": lambda conv, norm: conv.bias.data.__setitem__(3, 5.0),
    "norm weight": lambda conv, norm: norm.weight.data.__imul__(2),
    "norm bias": lambda conv, norm: norm.bias.data.__iadd__(1),
    "running mean": lambda conv, norm: norm.running_mean.__iadd__(1),
    "running variance": lambda conv, norm: norm.running_var.__imul__(3),
    "eps": lambda conv, norm: setattr(norm, "eps", 1.0),
    "other filters": lambda conv, norm: setattr(conv.weight, "data", conv.weight.data * 2),
    "filters of other strides": lambda conv, norm: setattr(conv.weight, "data", np.asfortranarray(conv.weight.data)),
    "other statistics": lambda conv, norm: setattr(norm, "running_mean", norm.running_mean * 2),
    "strided statistics": lambda conv, norm: setattr(norm, "running_mean", np.repeat(norm.running_mean, 2)[::2]),
    "no bias": lambda conv, norm: setattr(conv, "bias", None),
    "no norm weight": lambda conv, norm: setattr(norm, "weight", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_is_folded_anew(name):
    model, x = chain(bias=True), images()
    before = assert_right(model, x)
    CHANGES[name](model[0], model[1])
    after = assert_right(model, x)
    assert name in ("filters of other strides", "strided statistics") or not np.array_equal(before, after)


def test_a_training_in_between_is_seen():
    model, x = chain(), images()
    assert_right(model, x)
    y = model.train()(x)
    model.backward(np.ones_like(y))
    assert_right(model.eval(), x)


def test_training_layers_are_not_folded(folds):
    model, x = chain(), images()
    model[0].train()
    apart_y = apart(model, x)
    np.testing.assert_array_equal(model(x), apart_y)
    model.eval()[1].train()
    model(x)
    nn.Sequential(model[0].eval(), nn.BatchNorm2d(24, track_running_stats=False).eval())(x)
    assert not folds


def test_large_filters_of_small_images_are_folded_once(folds):
    conv, norm = nn.Conv2d(256, 512, 1, rng=0), nn.BatchNorm2d(512)
    model = nn.Sequential(conv, norm, nn.ReLU()).eval()
    draw(model)
    for _ in range(3):
        assert_right(model, RNG.standard_normal((1, 256, 3, 3)).astype(np.float32))
    assert len(folds) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["running_mean", "running_var", "weight", "x"])
def test_what_is_not_finite(where, value):
    model, x = chain(), images()
    clean = model(x)
    if where == "x":
        x[0, 3, 5, 5] = value
    else:
        array = getattr(model[1], where)
        (array.data if where == "weight" else array)[7] = value
    with np.errstate(all="ignore"):
        got, wanted = model(x), apart(model, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    if where != "x":
        np.testing.assert_allclose(np.delete(got, 7, 1), np.delete(clean, 7, 1), rtol=1e-4, atol=1e-4)


def test_weights_that_would_overflow_are_not_folded():
    model, x = chain(False), images()
    model[0].weight.data *= 1e20
    model[1].weight.data[...] = 1e20
    model[1].running_mean[...] = 0
    x *= 1e-10
    assert np.isfinite(apart(model, x)).any()
    np.testing.assert_allclose(model(x), apart(model, x), rtol=1e-5)


def test_each_layer_is_still_seen():
    model, x = chain(), images()
    maps = dict(model.feature_maps(x))
    np.testing.assert_array_equal(maps["0: Conv2d"], model[0](x))
    np.testing.assert_array_equal(maps["1: BatchNorm2d"], model[1](model[0](x)))
    assert [row.layer for row in model.summary((16, 12, 12)).rows] == ["0: Conv2d", "1: BatchNorm2d", "2: ReLU"]


def test_errors_are_those_of_the_layers():
    model = chain()
    for x in (images()[:, :15], images()[0], images(dtype="float64"), images().astype(int)):
        with pytest.raises((ValueError, TypeError)) as caught:
            model(x)
        with pytest.raises(type(caught.value)) as wanted:
            apart(model, x)
        assert str(wanted.value) in str(caught.value) and "layer " in str(caught.value)
    assert model(images()[:0]).shape == (0, 24, 12, 12)


def test_copies_and_files_are_empty_and_right(tmp_path):
    model, x = chain(), images()
    wanted = model(x)
    fc.save(model, tmp_path / "m.npz")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fc.load(tmp_path / "m.npz")):
        assert other[0]._folded._kept is None
        np.testing.assert_array_equal(other(x), wanted)


def test_several_threads_predict_while_the_weights_change():
    model = nn.Sequential(*chain(), nn.Flatten(), nn.Linear(24 * 144, 3, rng=1)).eval()
    x, possible, seen = images(), [], []
    states = [model[1].running_mean.copy(), model[1].running_mean + 1]
    for state in states:
        model[1].running_mean[...] = state
        possible.append(model.predict_proba(x))

    def predict():
        for _ in range(20):
            seen.append(model.predict_proba(x))

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 60
    for got in seen:
        np.testing.assert_array_equal(got, possible[1])


def test_inference_writes_nothing():
    model, x = chain().train(), images()
    before = {name: value.copy() for name, value in model.state_dict().items()}
    with model.evaluating():
        model(x)
    assert all(module._remembered is None for _, module in model.named_modules())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(16), nn.BatchNorm2d(16, affine=False),
                                  nn.BatchNorm2d(16, track_running_stats=False)], ids=repr)
def test_a_relu_behind_it_is_the_same_in_training(norm):
    x, grad = images(), images()
    results = []
    for together in (True, False):
        layers = [copy.deepcopy(norm), nn.ReLU()]
        model = nn.Sequential(*layers)
        if together:
            y = model(x)
            assert layers[0].went_through_relu()
            grad_x = model.backward(grad)
        else:
            y = apart(model, x)
            assert not layers[0].went_through_relu()
            grad_x = model.backward(grad)
        results.append([y, grad_x, *(parameter.grad for parameter in model.parameters()), *model.state_dict().values()])
        for layer in layers:
            with pytest.raises(RuntimeError, match="forward pass in training mode"):
                layer.backward(grad)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_backward_layer_by_layer_after_a_pass_together():
    x, grad = images(), images()
    model = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU())
    model(x)
    wanted = model.backward(grad)
    model(x)
    np.testing.assert_array_equal(model[0].backward(model[1].backward(grad)), wanted)


def test_before_a_pooling():
    x, grad = images(), images(size=6)
    results = []
    for together in (True, False):
        model = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        y = model(x) if together else apart(model, x)
        results.append([y, model.backward(grad), *(parameter.grad for parameter in model.parameters())])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_folded_for_good():
    inner = chain()
    model = nn.Sequential(inner, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(864, 5, bias=False, rng=1),
                          nn.BatchNorm1d(5), nn.Sigmoid()).eval()
    draw(model[4:])
    before = {name: value.copy() for name, value in model.state_dict().items()}
    x = images()
    wanted = apart(nn.Sequential(*inner), x)
    for layer in model[1:]:
        wanted = layer(wanted)
    made = nn.fold_batch_norm(model.train())
    assert not any(module.training for _, module in made.named_modules()) and model.training
    np.testing.assert_allclose(made(x), wanted, rtol=1e-4, atol=1e-5)
    assert list(made.state_dict()) == ["0.0.weight", "0.0.bias", "3.weight", "3.bias"]
    assert [parameter.name for parameter in made.parameters()] == list(made.state_dict())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(TypeError, match="model must be"):
        nn.fold_batch_norm("model")


def test_folded_for_good_comes_back_from_a_file(tmp_path):
    made = nn.fold_batch_norm(chain())
    fc.save(made, tmp_path / "m.npz")
    np.testing.assert_array_equal(fc.load(tmp_path / "m.npz")(images() * 0), made(images() * 0))


def test_what_cannot_be_folded_stays():
    model = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4),
                          nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    assert list(nn.fold_batch_norm(model).layers) == list(model.layers)
