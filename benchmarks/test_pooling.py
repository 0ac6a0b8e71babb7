"""Max and average pooling, forward and backward: with a window, adaptive, and global."""

import pytest

import fastconv as fc
from benchmarks.layers import POOL

ADAPTIVE = 7, 7  # the output size before the classifier of VGG-16


@pytest.fixture(params=POOL)
def layer(request):
    return request.param


@pytest.fixture
def pooling(layer, random):
    """x, grad_output, the kernel and the other options of a layer."""
    shape = POOL[layer]
    return (random(*shape.x_shape), random(*shape.y_shape), shape.kernel,
            {"stride": shape.stride, "padding": shape.padding})


def test_max_pool2d(benchmark, pooling):
    x, _, kernel, options = pooling
    benchmark(fc.max_pool2d, x, kernel, return_indices=True, **options)


def test_max_pool2d_backward(benchmark, pooling):
    x, grad, kernel, options = pooling
    _, indices = fc.max_pool2d(x, kernel, return_indices=True, **options)
    benchmark(fc.max_pool2d_backward, grad, indices, x.shape, kernel, **options)


def test_avg_pool2d(benchmark, pooling):
    x, _, kernel, options = pooling
    benchmark(fc.avg_pool2d, x, kernel, **options)


def test_avg_pool2d_backward(benchmark, pooling):
    x, grad, kernel, options = pooling
    benchmark(fc.avg_pool2d_backward, grad, x.shape, kernel, **options)


def test_adaptive_max_pool2d(benchmark, pooling):
    benchmark(fc.adaptive_max_pool2d, pooling[0], ADAPTIVE, return_indices=True)


def test_adaptive_max_pool2d_backward(benchmark, pooling):
    x = pooling[0]
    y, indices = fc.adaptive_max_pool2d(x, ADAPTIVE, return_indices=True)
    benchmark(fc.adaptive_max_pool2d_backward, y, indices, x.shape, ADAPTIVE)


def test_adaptive_avg_pool2d(benchmark, pooling):
    benchmark(fc.adaptive_avg_pool2d, pooling[0], ADAPTIVE)


def test_adaptive_avg_pool2d_backward(benchmark, pooling):
    x = pooling[0]
    benchmark(fc.adaptive_avg_pool2d_backward, fc.adaptive_avg_pool2d(x, ADAPTIVE), x.shape, ADAPTIVE)


def test_global_max_pool2d(benchmark, pooling):
    benchmark(fc.global_max_pool2d, pooling[0], return_indices=True)


def test_global_max_pool2d_backward(benchmark, pooling):
    x = pooling[0]
    y, indices = fc.global_max_pool2d(x, return_indices=True)
    benchmark(fc.global_max_pool2d_backward, y, indices, x.shape)


def test_global_avg_pool2d(benchmark, pooling):
    benchmark(fc.global_avg_pool2d, pooling[0])


def test_global_avg_pool2d_backward(benchmark, pooling):
    x = pooling[0]
    benchmark(fc.global_avg_pool2d_backward, fc.global_avg_pool2d(x), x.shape)
