"""Passes for inference: the order in which maps lie follows from the layers and the form of x alone, and nobody sees
it."""

import copy
import pickle
import threading

import numpy as np
import pytest

from fastconv import nn
from fastconv._core.runtime import isa
from fastconv.nn import passes

RNG = np.random.default_rng(5)


def images(*shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


def drawn(model):
    """The model in evaluation mode, with statistics and weights of normalisations drawn."""
    for array in model.state_dict().values():
        if array.ndim == 1 and array.dtype.kind == "f":
            array[...] = RNG.uniform(0.5, 1.5, array.shape)
    return model.eval()


def apart(model, x):
    """Layer by layer, with nothing fused and nothing kept."""
    return model.feature_maps(x)[-1][1]


def assert_right(model, x):
    wanted, y = apart(model, x), model(x)
    assert y.shape == wanted.shape and y.dtype == wanted.dtype and y.flags.c_contiguous and y.flags.owndata
    np.testing.assert_allclose(y, wanted, rtol=2e-4, atol=2e-5 * max(1.0, np.abs(wanted).max(initial=0)))
    for _ in range(3):
        np.testing.assert_array_equal(model(x), y)
    return y


def narrow(*between):
    """A chain that is done sooner with channels last: 1 x 1 convolutions around a depthwise one, with other layers
    between."""
    def pointwise(c, k, rng):
        return [nn.Conv2d(c, k, 1, bias=False, rng=rng), nn.BatchNorm2d(k)]

    return drawn(nn.Sequential(
        *pointwise(8, 96, 0), nn.ReLU6(), nn.Conv2d(96, 96, 3, padding=1, groups=96, rng=1), nn.ReLU(), *between,
        *pointwise(96, 32, 2), *pointwise(32, 96, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(),
        nn.Linear(96, 5, rng=4)))


@pytest.fixture
def always(monkeypatch):
    """Channels last wherever that is possible."""
    monkeypatch.setattr(passes, "_GAIN", 0.0)
    monkeypatch.setattr(passes, "_COPY", 0.0)


@pytest.fixture
def runs(monkeypatch):
    """The order of each pass."""
    seen, run = [], passes._run
    monkeypatch.setattr(passes, "_run", lambda chain, x, order: seen.append(order) or run(chain, x, order))
    return seen


MODELS = {
    "lenet5": (lambda: nn.models.lenet5(rng=0), (1, 28, 28), False),
    "resnet18": (lambda: nn.models.resnet18(7, small=True, rng=0), (3, 16, 16), None),
    "resnet_small": (lambda: nn.models.resnet_small(rng=0), (3, 16, 16), None),
    "mobilenet_v2": (lambda: nn.models.mobilenet_v2(7, width=0.35, rng=0), (3, 64, 64), True),
    "vgg11": (lambda: nn.models.vgg11(7, hidden=16, rng=0), (3, 32, 32), None),
    "vgg11, normalised": (lambda: nn.models.vgg11(7, batch_norm=True, hidden=16, rng=0), (3, 32, 32), None),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name, runs):
    make, shape, last = MODELS[name]
    model = drawn(make())
    for batch in (1, 3, 0):
        y = assert_right(model, images(batch, *shape))
        assert last is None or not batch or isa.in_use() != "avx512" or runs[-1] is last
        assert y.shape[0] == batch


@pytest.mark.parametrize("name", MODELS)
def test_models_with_channels_last_wherever_possible(name, always, runs):
    make, shape, _ = MODELS[name]
    model = drawn(make())
    for batch in (1, 3, 0):
        assert_right(model, images(batch, *shape))
        assert runs[-1] is (batch > 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.ELU(), nn.GELU(), nn.SiLU(), nn.Hardswish(),
    nn.Hardsigmoid(), nn.Softplus(), nn.Identity(), nn.Softmax(1), nn.LogSoftmax(-1), nn.Dropout(), nn.Dropout2d(),
    nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d((2, 3)),
    nn.GlobalMaxPool2d(), nn.GlobalAvgPool2d(), nn.Sequential(), nn.Flatten(),
    nn.Residual(nn.Conv2d(6, 6, 3, padding=1, rng=3), activation="relu"),
    nn.Residual(nn.MaxPool2d(3, 1, 1), nn.Conv2d(6, 6, 1, rng=3)), nn.BasicBlock(6, 8, 2, rng=3),
    nn.InvertedResidual(6, 6, rng=3)], ids=repr)
def test_each_known_layer_takes_maps_with_channels_last(layer, dtype, always, runs):
    if any(True for _ in layer.parameters()) and dtype == "float64":
        pytest.skip("weights of single precision")
    model = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, rng=0, dtype=dtype), layer).eval()
    for shape in ((2, 4, 9, 7), (1, 4, 6, 6)):
        assert_right(model, images(*shape, dtype=dtype))
        assert runs[-1] is True
    assert not any(vars(module).get("_remembered") for _, module in model.named_modules())


@pytest.mark.parametrize("make", [
    lambda: nn.BatchNorm2d(6), lambda: nn.PReLU(6), lambda: nn.GroupNorm(2, 6),
    lambda: nn.MaxPool2d(2, return_indices=True),
    lambda: nn.Concat([nn.Conv2d(6, 2, 1, rng=1), nn.MaxPool2d(3, 1, 1)]), lambda: nn.ConvTranspose2d(6, 3, 2, rng=1)])
def test_other_layers_get_planes(make, always, runs):
    model = nn.Sequential(nn.Conv2d(4, 6, 3, rng=0), nn.Sequential(nn.ReLU(), nn.ReLU()), make()).eval()
    x = images(2, 4, 8, 8)
    wanted, y = apart(model, x), model(x)
    np.testing.assert_array_equal(y[0] if isinstance(y, tuple) else y, wanted[0] if isinstance(y, tuple) else wanted)
    assert runs == [False]


class Own(nn.Module):
    """Says how its input lay."""

    def __init__(self):
        self.seen = []

    def forward(self, x):
        self.seen.append((x.flags.c_contiguous, x.copy()))
        return x


def test_a_layer_of_ones_own_sees_planes_once_a_pass():
    own, x = Own(), images(1, 8, 28, 28)
    model, plain = narrow(own), narrow()
    model.load_state_dict(dict(zip(model.state_dict(), plain.state_dict().values())))
    y = assert_right(model, x)
    assert len(own.seen) == 5 and all(contiguous for contiguous, _ in own.seen)
    np.testing.assert_allclose(plain(x), y, rtol=1e-4, atol=1e-5)


def test_what_ran_before_does_not_matter():
    """The layers change between the passes of one model, and are those of another one from the beginning."""
    x = images(1, 8, 28, 28)
    model = narrow(nn.Identity())
    first = model(x)
    own, identity = Own(), model.layers["5"]
    model.layers["5"] = own
    fresh = copy.deepcopy(model)
    np.testing.assert_array_equal(model(x), fresh(x))
    assert len(own.seen) == 1 and own.seen[0][0]
    model.layers["5"] = identity
    np.testing.assert_array_equal(model(x), first)
    for order in (False, True):
        (form, known), = model._passes.known.items()
        model._passes.keep(form, known._replace(channels_last=order, program=None))
        np.testing.assert_array_equal(model(x), first)


def test_a_layer_that_trains_runs_once(always, runs):
    model = nn.Sequential(nn.Conv2d(4, 6, 3, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=1), nn.Conv2d(6, 6, 1, rng=2),
                          nn.BatchNorm2d(6)).eval()
    model[2].train()
    model[4].train()
    for _ in range(2):
        model(images(2, 4, 8, 8))
    assert runs == [False] * 2 and model[4].num_batches_tracked == 2


def test_a_method_of_its_own_makes_a_layer_one_of_ones_own(always, runs):
    model = nn.Sequential(nn.Conv2d(4, 6, 3, rng=0), nn.ReLU()).eval()
    seen = []
    model[1].forward = lambda x: seen.append(x.flags.c_contiguous) or x
    model(images(1, 4, 8, 8))
    assert seen == [True] and runs == [False]


def test_layers_are_seen_as_planes():
    model, x = narrow(), images(1, 8, 28, 28)
    model(x)
    for _, maps in model.feature_maps(x):
        assert maps.flags.c_contiguous
    assert model[0](x).flags.c_contiguous
    inner = model[:7]
    y = assert_right(inner, x)
    assert y.flags.writeable


def test_errors_are_those_of_the_layers():
    model = narrow(nn.MaxPool2d(5))
    model(images(1, 8, 28, 28))
    for shape in ((1, 7, 28, 28), (1, 8, 3, 3), (8, 28), (1, 8, 28, 0)):
        x = images(*shape)
        with pytest.raises((ValueError, TypeError)) as caught:
            model(x)
        with pytest.raises((ValueError, TypeError)) as wanted:
            apart(model, x)
        assert str(caught.value) == str(wanted.value)


def test_images_alone_and_pixels_stay_what_they_are(always):
    x = images(4, 9, 9)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2)).eval()
    np.testing.assert_array_equal(model(x), apart(model, x))
    x = images(2, 9, 9, 4)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, rng=0, data_format="NHWC"), nn.ReLU(), nn.Dropout(),
                          nn.MaxPool2d(2, data_format="NHWC")).eval()
    np.testing.assert_array_equal(model(x), apart(model, x))


def test_weights_that_somebody_holds_give_the_same_bits(always):
    model = nn.Sequential(nn.Conv2d(4, 32, 1, rng=0), nn.ReLU(), nn.Conv2d(32, 24, 3, rng=1)).eval()
    x = images(1, 4, 12, 12)
    held = model.state_dict()
    y = model(x)
    for _ in range(3):
        np.testing.assert_array_equal(model(x), y)
    del held
    for _ in range(3):
        np.testing.assert_array_equal(model(x), y)
    for array in model.state_dict().values():
        array += 0.25
    assert not np.allclose(model(x), y)
    assert_right(model, x)


def test_copies_and_pickles():
    model, x = narrow(), images(2, 8, 28, 28)
    y = model(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), narrow()):
        other.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(other(x), y)


def test_many_threads_and_forms():
    model = narrow()
    xs = [images(1 + i % 3, 8, 12 + 4 * i, 16) for i in range(6)]
    fresh = [copy.deepcopy(model)(x) for x in xs]
    wrong = []

    def work(start):
        for i in range(30):
            which = (start + i) % len(xs)
            if not np.array_equal(model(xs[which]), fresh[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_few_forms_are_remembered():
    model = narrow()
    for width in range(3, 3 + passes._MOST_FORMS + 5):
        model(images(1, 8, 4, width))
    assert 0 < len(model._passes.known) <= passes._MOST_FORMS
