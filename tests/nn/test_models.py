"""The ready-made models against the same networks in PyTorch, from its weights: outputs, gradients, running statistics,
in either layout; and what all models can do: files, summary, feature maps, threads."""

import threading

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

SMALL = {"init": "he_normal", "rng": 0}

# By name: the model, the network in PyTorch (both from these arguments), and images.
MODELS = {
    "resnet18": (lambda **made: nn.models.resnet18(5, 3, **made), lambda t: t.ResNet(5, 3), (2, 3, 40, 33)),
    "resnet18 small": (lambda **made: nn.models.resnet18(5, 1, True, **made), lambda t: t.ResNet(5, 1, small=True),
                       (2, 1, 10, 10)),
    "resnet_small": (lambda **made: nn.models.resnet_small(5, 3, **made),
                     lambda t: t.ResNet(5, 3, (16, 32, 64), 3, True), (3, 3, 12, 12)),
    "mobilenet_v2": (lambda **made: nn.models.mobilenet_v2(7, width=0.35, **made),
                     lambda t: t.MobileNetV2(7, width=0.35), (4, 3, 64, 48)),
    "vgg11": (lambda **made: nn.models.vgg11(4, 3, hidden=12, **made), lambda t: t.VGG11(4, 3, hidden=12),
              (2, 3, 40, 32)),
    "vgg11_bn": (lambda **made: nn.models.vgg11(4, 1, True, hidden=12, **made),
                 lambda t: t.VGG11(4, 1, True, hidden=12), (2, 1, 32, 64)),
    "unet": (lambda **made: nn.models.unet(3, 4, 8, 3, **made), lambda t: t.UNet(3, 4, 8, 3), (2, 3, 24, 32)),
    "unet of odd images": (lambda **made: nn.models.unet(1, 2, 4, 3, **made), lambda t: t.UNet(1, 2, 4, 3),
                           (2, 1, 21, 30)),
    "unet bilinear": (lambda **made: nn.models.unet(2, 3, 8, 2, True, **made),
                      lambda t: t.UNet(2, 3, 8, 2, True), (2, 2, 11, 14)),
}


def formatted(x, data_format):
    return x if data_format == "NCHW" or x.ndim < 4 else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def without_dropout(model):
    for _, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@pytest.fixture(params=MODELS)
def pair(request):
    """The network in PyTorch with running statistics of its own, and images, both in float64."""
    torch = pytest.importorskip("torch")
    import torch_models

    make, of_torch, shape = MODELS[request.param]
    torch.manual_seed(0)
    network = of_torch(torch_models).double()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
    return make, network, np.random.default_rng(0).standard_normal(shape)


def close(got, expected, name):
    expected = expected.detach().numpy()
    assert np.shape(got) == expected.shape, name
    size = np.linalg.norm(expected)
    assert np.linalg.norm(got - expected) <= 1e-9 * size + 1e-12, name


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_as_in_torch(pair, data_format):
    import torch

    make, network, x = pair
    model = without_dropout(make(data_format=data_format, dtype="float64"))
    model.load_state_dict(network.state_dict())
    assert list(model.state_dict()) == list(network.state_dict())

    network.eval()
    y = model.eval()(formatted(x, data_format))
    close(y if y.ndim < 4 or data_format == "NCHW" else y.transpose(0, 3, 1, 2), network(torch.tensor(x)), "evaluation")

    network.train()
    variable = torch.tensor(x, requires_grad=True)
    expected = network(variable)
    grad = np.random.default_rng(1).standard_normal(expected.shape)
    expected.backward(torch.tensor(grad))
    y = model.train()(formatted(x, data_format))
    close(y if y.ndim < 4 or data_format == "NCHW" else y.transpose(0, 3, 1, 2), expected, "training")
    grad_x = model.backward(formatted(grad, data_format))
    close(grad_x if data_format == "NCHW" else grad_x.transpose(0, 3, 1, 2), variable.grad, "x")
    of_torch = dict(network.named_parameters())
    for name, parameter in model.named_parameters():
        close(parameter.grad, of_torch[name].grad, name)
    for name, buffer in network.named_buffers():
        close(model.state_dict()[name], buffer, name)


def small(name, **made):
    make, _, shape = MODELS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return make(rng=0, **made), formatted(x, made.get("data_format", "NCHW"))


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_makes_it_anew(name, data_format, tmp_path):
    model, x = small(name, data_format=data_format)
    model(x)  # the running statistics move
    path = tmp_path / "model.npz"
    fc.save(model, path)
    again = fc.load(path)
    assert repr(again) == repr(model) and list(again.state_dict()) == list(model.state_dict())
    np.testing.assert_array_equal(again(x), model.eval()(x))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", MODELS)
def test_summary_and_feature_maps(name, data_format):
    model, x = small(name, data_format=data_format)
    before = {key: value.copy() for key, value in model.state_dict().items()}
    summary, maps = model.summary(x.shape[1:]), model.feature_maps(x)
    assert summary.parameters == sum(parameter.data.size for parameter in model.parameters())
    assert [row.layer for row in summary.rows] == [name for name, _ in maps]
    assert [row.output_shape for row in summary.rows] == [array.shape[1:] for _, array in maps]
    np.testing.assert_allclose(maps[-1][1], model.eval()(x), rtol=1e-4, atol=1e-4)
    assert all((value == before[key]).all() for key, value in model.state_dict().items())


def test_multiply_adds():
    """Those that are known of the networks."""
    assert nn.models.resnet18(rng=0).summary((3, 224, 224)).multiply_adds == 1_814_073_344
    assert nn.models.mobilenet_v2(rng=0).summary((3, 224, 224)).multiply_adds == 300_774_272
    assert nn.models.resnet_small(rng=0).summary((3, 32, 32)).multiply_adds == 40_813_184


@pytest.mark.parametrize("name", MODELS)
def test_needs_no_input_gradient(name):
    model, x = small(name)
    without_dropout(model)
    grads = []
    for needs in (True, False):
        model.zero_grad()
        y = model(x)
        grad_x = model.backward(np.ones_like(y), needs)
        assert (grad_x is not None) == needs
        grads.append([parameter.grad for parameter in model.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["resnet_small", "mobilenet_v2", "unet", "vgg11_bn"])
def test_predictions_from_several_threads(name):
    """While one thread trains the mode, the others' results are those of one alone, and nothing is written."""
    model, x = small(name)
    right = model.predict_proba(x)
    before = {key: value.copy() for key, value in model.state_dict().items()}
    got, threads = {}, []
    for i in range(6):
        def predict(i=i):
            got[i] = [model.predict_proba(x) for _ in range(3)]
        threads.append(threading.Thread(target=predict))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert model.training and len(got) == 6
    for results in got.values():
        for result in results:
            np.testing.assert_array_equal(result, right)
    assert all((value == before[key]).all() for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", MODELS)
def test_the_bits_do_not_depend_on_threads(name):
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            model, x = small(name)
            without_dropout(model)
            y = model(x)
            grad_x = model.backward(np.ones_like(y))
            results.append([y, grad_x, *(parameter.grad for parameter in model.parameters()), model.eval()(x)])
    for others in results[1:]:
        for a, b in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(a, b)


def test_predictions_of_each_pixel():
    for data_format in ("NCHW", "NHWC"):
        model, x = small("unet", data_format=data_format)
        labels, probabilities = model.predict(x), model.predict_proba(x)
        assert labels.shape == (2, 24, 32) and probabilities.shape == (2, 24, 32, 4)
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(probabilities.argmax(-1), labels)


@pytest.mark.parametrize(("error", "argument", "call"), [
    (TypeError, "classes", lambda: nn.models.resnet18(1.5)), (ValueError, "classes", lambda: nn.models.resnet_small(0)),
    (ValueError, "classes", lambda: nn.models.mobilenet_v2(0)),
    (ValueError, "classes", lambda: nn.models.vgg11(-1, hidden=4)),
    (ValueError, "classes", lambda: nn.models.unet(3, 0)), (TypeError, "small", lambda: nn.models.resnet18(10, 3, 1)),
    (ValueError, "in_channels", lambda: nn.models.resnet18(10, 0)),
    (ValueError, "width", lambda: nn.models.mobilenet_v2(width=0)),
    (TypeError, "width", lambda: nn.models.mobilenet_v2(width="1")),
    (ValueError, "width", lambda: nn.models.mobilenet_v2(width=float("nan"))),
    (TypeError, "batch_norm", lambda: nn.models.vgg11(10, 3, None)),
    (ValueError, "hidden", lambda: nn.models.vgg11(hidden=0)), (ValueError, "depth", lambda: nn.models.unet(depth=0)),
    (ValueError, "features", lambda: nn.models.unet(features=0)),
    (ValueError, "features", lambda: nn.models.unet(features=3, bilinear=True)),
    (TypeError, "bilinear", lambda: nn.models.unet(bilinear=1)),
    (ValueError, "data_format", lambda: nn.models.resnet18(data_format="HWC")),
    (TypeError, "dtype", lambda: nn.models.vgg11(dtype="float16")),
    (ValueError, "init", lambda: nn.models.resnet_small(init="he")),
    (TypeError, "rng", lambda: nn.models.mobilenet_v2(rng="seed")),
    (ValueError, "stride", lambda: nn.BasicBlock(4, 4, 0)),
    (ValueError, "expand_ratio", lambda: nn.InvertedResidual(4, 4, 1, 0)),
])
def test_what_is_refused(error, argument, call):
    with pytest.raises(error, match=rf"\b{argument}\b"):
        call()
