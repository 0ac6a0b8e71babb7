"""Convolution, in NCHW and NHWC, with weights that come with the call and with fixed ones, and its gradients."""

import numpy as np
import pytest

import fastconv as fc
from benchmarks.layers import CONV

LARGE_FILTERS = {f"blur-{size}": size for size in (15, 31, 63)}  # of a gray image of 512 x 512 pixels


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
def test_forward_nhwc(benchmark, convolution):
    (x, weight, bias, _), options = convolution
    benchmark(fc.conv2d, np.ascontiguousarray(x.transpose(0, 2, 3, 1)), weight, bias, data_format="NHWC", **options)


@pytest.mark.parametrize("layer", LARGE_FILTERS)
def test_large_filter(benchmark, random, layer):
    size = LARGE_FILTERS[layer]
    benchmark(fc.conv2d, random(1, 1, 512, 512), random(1, 1, size, size), padding="same")


@pytest.mark.parametrize("layer", CONV)
def test_planned(benchmark, convolution):
    (x, weight, bias, _), options = convolution
    benchmark(fc.plan_conv2d(x.shape, weight, bias, **options), x)


@pytest.mark.parametrize("layer", CONV)
@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True)],
                         ids=["x", "weight", "bias"])
def test_gradient(benchmark, convolution, needs):
    (x, weight, _, grad), options = convolution
    benchmark(fc.conv2d_backward, grad, x, weight, needs=needs, **options)
