"""What follows the convolutions: the fully connected layer, softmax and the losses, forward and backward."""

import numpy as np
import pytest

import fastconv as fc

# rows, features in, classes: the first fully connected layer of LeNet-5, its last one, that of ResNet-50
SIZES = {"lenet-fc1": (64, 400, 120), "lenet-fc3": (64, 84, 10), "resnet-fc": (64, 2048, 1000)}


@pytest.fixture(params=SIZES)
def layer(request):
    return request.param


@pytest.fixture
def features(layer, random):
    """(x, weight, bias) of a fully connected layer."""
    rows, inputs, classes = SIZES[layer]
    return random(rows, inputs), random(classes, inputs), random(classes)


@pytest.fixture
def scores(layer, random):
    rows, _, classes = SIZES[layer]
    return random(rows, classes)


@pytest.fixture
def target(scores):
    rows, classes = scores.shape
    return np.random.default_rng(0).integers(classes, size=rows)


def test_linear(benchmark, features):
    benchmark(fc.linear, *features)


def test_linear_backward(benchmark, features, scores):
    x, weight, _ = features
    benchmark(fc.linear_backward, scores, x, weight)


@pytest.mark.parametrize("function", [fc.softmax, fc.log_softmax], ids=lambda f: f.__name__)
def test_softmax(benchmark, scores, function):
    benchmark(function, scores)


@pytest.mark.parametrize("function", [fc.softmax_backward, fc.log_softmax_backward], ids=lambda f: f.__name__)
def test_softmax_backward(benchmark, scores, function):
    benchmark(function, scores, scores)


@pytest.mark.parametrize("function", [fc.nll_loss, fc.cross_entropy, fc.nll_loss_backward, fc.cross_entropy_backward],
                         ids=lambda f: f.__name__)
def test_loss(benchmark, scores, target, function):
    benchmark(function, scores, target)
