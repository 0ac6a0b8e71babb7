"""Calls so small that the way to the loops is most of their time, beside PyTorch's where it is installed, on one thread."""

import pytest

import fastconv as fc

CONV = {  # x, weight, whether with a bias, padding
    "1 of 1, 3x3": ((1, 1, 8, 8), (1, 1, 3, 3), False, 0),
    "1 of 1, 3x3, bias, padding": ((1, 1, 8, 8), (1, 1, 3, 3), True, 1),
    "8 of 3, 3x3": ((1, 3, 8, 8), (8, 3, 3, 3), False, 0),
    "8 of 8, 3x3": ((1, 8, 8, 8), (8, 8, 3, 3), True, 1),
    "16 of 16, 1x1": ((1, 16, 4, 4), (16, 16, 1, 1), False, 0),
}


def _torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.set_num_threads(1)
    return torch


@pytest.fixture(params=CONV)
def layer(request):
    return request.param


@pytest.fixture
def convolution(layer, random):
    """x, weight, bias or None, and the options."""
    x_shape, weight_shape, with_bias, padding = CONV[layer]
    arrays = random(*x_shape), random(*weight_shape), random(weight_shape[0]) if with_bias else None
    return arrays, {"padding": padding} if padding else {}


def test_conv2d(benchmark, convolution):
    arrays, options = convolution
    benchmark(fc.conv2d, *arrays, **options)


def test_conv2d_torch(benchmark, convolution):
    torch = _torch()
    arrays, options = convolution
    tensors = [None if array is None else torch.from_numpy(array) for array in arrays]
    with torch.inference_mode():
        benchmark(torch.nn.functional.conv2d, *tensors, **options)


def test_plan(benchmark, convolution):
    (x, weight, bias), options = convolution
    benchmark(fc.plan_conv2d(x.shape, weight, bias, **options), x)


def test_plan_into_out(benchmark, convolution):
    (x, weight, bias), options = convolution
    plan = fc.plan_conv2d(x.shape, weight, bias, **options)
    benchmark(plan, x, out=plan(x))


OTHERS = {  # the shapes of the arrays, the options here, and in PyTorch
    "linear": (((1, 128), (10, 128), (10,)), {}, {}),
    "max_pool2d": (((1, 1, 8, 8),), {"kernel_size": 2}, {"kernel_size": 2}),
    "avg_pool2d": (((1, 1, 8, 8),), {"kernel_size": 2}, {"kernel_size": 2}),
    "relu": (((64,),), {}, {}),
    "sigmoid": (((64,),), {}, {}),
    "log_softmax": (((1, 10),), {}, {"dim": -1}),
}


@pytest.mark.parametrize("layer", OTHERS)
def test_other(benchmark, random, layer):
    shapes, options, _ = OTHERS[layer]
    benchmark(getattr(fc, layer), *(random(*shape) for shape in shapes), **options)


@pytest.mark.parametrize("layer", OTHERS)
def test_other_torch(benchmark, random, layer):
    torch = _torch()
    shapes, _, options = OTHERS[layer]
    with torch.inference_mode():
        benchmark(getattr(torch.nn.functional, layer), *(torch.from_numpy(random(*shape)) for shape in shapes), **options)
