"""Convolution, with weights that come with the call and with fixed ones, and its two gradients."""

import pytest

import fastconv as fc
from benchmarks.layers import CONV


@pytest.fixture
def convolution(layer, random):
    """(x, weight, bias, grad_output) of a layer, and the options of its convolution."""
    shape = CONV[layer]
    arrays = random(*shape.x_shape), random(*shape.weight_shape), random(shape.k), random(*shape.y_shape)
    return arrays, {"stride": shape.stride, "padding": shape.padding, "groups": shape.groups}


@pytest.mark.parametrize("layer", CONV)
def test_forward(benchmark, convolution):
    (x, weight, bias, _), options = convolution
    benchmark(fc.conv2d, x, weight, bias, **options)


@pytest.mark.parametrize("layer", CONV)
def test_planned(benchmark, convolution):
    (x, weight, bias, _), options = convolution
    benchmark(fc.plan_conv2d(x.shape, weight, bias, **options), x)


@pytest.mark.parametrize("layer", CONV)
def test_grad_x(benchmark, convolution):
    (x, weight, _, grad), options = convolution
    benchmark(fc.conv2d_backward, grad, x, weight, needs=(True, False, False), **options)


@pytest.mark.parametrize("layer", CONV)
def test_grad_weight(benchmark, convolution):
    (x, weight, _, grad), options = convolution
    benchmark(fc.conv2d_backward, grad, x, weight, needs=(False, True, True), **options)
