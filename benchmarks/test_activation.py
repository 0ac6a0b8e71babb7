"""Activations, forward and backward, on the feature maps of three layers."""

import pytest

import fastconv as fc
from benchmarks.layers import CONV

LAYERS = "lenet-1", "resnet-4-3x3", "resnet-2-1x1-up"  # 1.2, 0.8 and 12.8 MB


@pytest.fixture(params=LAYERS)
def layer(request):
    return request.param


@pytest.fixture
def maps(layer, random):
    return random(*CONV[layer].y_shape)


@pytest.mark.parametrize("function", [fc.relu, fc.leaky_relu, fc.sigmoid, fc.tanh, fc.flatten],
                         ids=lambda f: f.__name__)
def test_forward(benchmark, maps, function):
    benchmark(function, maps)


@pytest.mark.parametrize("function", [fc.relu_backward, fc.leaky_relu_backward, fc.sigmoid_backward, fc.tanh_backward],
                         ids=lambda f: f.__name__)
def test_backward(benchmark, maps, function):
    benchmark(function, maps, maps)


def test_flatten_backward(benchmark, maps):
    benchmark(fc.flatten_backward, fc.flatten(maps), maps.shape)
