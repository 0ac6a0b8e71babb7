"""What the C API computes, in a thread that Python has never seen: against the float64 reference."""

import numpy as np
import pytest
import reference
from c_api.clients import DTYPES, LAYOUTS, MEMORIES, addresses, close, placed, planned, run, strides

import fastconv as fc

MODES = {"constant": 0, "reflect": 1, "symmetric": 2, "replicate": 3, "circular": 4}
ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2, "sigmoid": 3, "tanh": 4, "relu6": 5}
ALGORITHMS = {"auto": 0, "direct": 1, "gemm": 2, "winograd": 3, "fft": 4}

# x, weight, options of the reference: one for each family of drivers, and for every option.
CONVOLUTIONS = {
    "product": ((2, 3, 17, 15), (5, 3, 3, 3), dict(stride=(2, 1), padding=((1, 2), (0, 3)))),
    "many channels": ((2, 32, 12, 12), (48, 32, 3, 3), dict(padding=1)),
    "depthwise": ((2, 6, 14, 13), (6, 1, 3, 3), dict(padding=1, groups=6)),
    "groups and dilation": ((1, 8, 15, 16), (12, 4, 2, 3), dict(groups=2, dilation=(2, 3), padding=2)),
    "pointwise": ((3, 16, 9, 11), (24, 16, 1, 1), {}),
    "large filter": ((1, 2, 40, 41), (3, 2, 15, 15), dict(padding=7)),
    "one output": ((4, 16, 5, 5), (10, 16, 5, 5), {}),
    "value": ((1, 3, 9, 9), (4, 3, 3, 3), dict(padding=2, padding_value=-1.5)),
    **{mode: ((1, 3, 9, 10), (4, 3, 3, 3), dict(padding=2, padding_mode=mode)) for mode in list(MODES)[1:]},
}


def random(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def fields_of(x_shape, weight_shape, dtype, memory, stride=1, padding=0, dilation=1, groups=1, padding_mode="constant",
              padding_value=0.0):
    stride, dilation = reference.pair(stride), reference.pair(dilation)
    (top, bottom), (left, right) = reference.pads(padding, x_shape[2:], weight_shape[2:], stride, dilation)
    return dict(dtype=DTYPES[np.dtype(dtype)], layout=LAYOUTS[MEMORIES[memory][0]], x_shape=x_shape,
                weight_shape=weight_shape, stride=stride, dilation=dilation, padding=(top, bottom, left, right),
                groups=groups, padding_mode=MODES[padding_mode], padding_value=padding_value)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(client, case, dtype, memory):
    x_shape, weight_shape, options = CONVOLUTIONS[case]
    x, weight, bias = random(x_shape, dtype, 0), random(weight_shape, dtype, 1), random(weight_shape[:1], dtype, 2)
    expected = reference.conv2d(x, weight, bias, **options)
    x, y = placed(x, memory), MEMORIES[memory][1](expected.shape, dtype)
    weight = placed(weight, "turned" if memory == "turned" else "NCHW")
    plan = planned(client, "conv2d", **fields_of(x_shape, weight_shape, dtype, memory, **options),
                   x_strides=strides(x, memory), weight_strides=weight.strides, y_strides=strides(y, memory))
    assert client.output_shape(plan) == (0, "", expected.shape)
    run(client, "conv2d", plan, x, weight, bias, y)
    close(y, expected)
    run(client, "conv2d", plan, x, weight, None, y)
    close(y, reference.conv2d(x, weight, None, **options))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_gradients_of_a_convolution(client, case, dtype, memory):
    x_shape, weight_shape, options = CONVOLUTIONS[case]
    x, weight = random(x_shape, dtype, 0), random(weight_shape, dtype, 1)
    grad_y = random(reference.conv2d(x, weight, **options).shape, dtype, 2)
    expected = reference.conv2d_backward(grad_y, x, weight, **options)
    x, grad_y, grad_x = placed(x, memory), placed(grad_y, memory), MEMORIES[memory][1](x_shape, dtype)
    grad_weight, grad_bias = np.full(weight_shape, np.nan, dtype), np.full(weight_shape[0], np.nan, dtype)
    plan = planned(client, "conv2d_backward", **fields_of(x_shape, weight_shape, dtype, memory, **options),
                   x_strides=strides(x, memory), y_strides=strides(grad_y, memory),
                   grad_x_strides=strides(grad_x, memory))
    run(client, "conv2d_backward", plan, grad_y, x, weight, grad_x, grad_weight, grad_bias)
    for gradient, right in zip((grad_x, grad_weight, grad_bias), expected):
        close(gradient, right)
    # Each by itself, without what it does not need.
    for given, wanted, right in (((grad_y, None, weight), (grad_x, None, None), expected[0]),
                                 ((grad_y, x, None), (None, grad_weight, None), expected[1]),
                                 ((grad_y, None, None), (None, None, grad_bias), expected[2])):
        gradient = next(array for array in wanted if array is not None)
        gradient.fill(np.nan)
        run(client, "conv2d_backward", plan, *given, *wanted)
        close(gradient, right)
    run(client, "conv2d_backward", plan, None, None, None, None, None, None)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(client, activation):
    x, weight = random((2, 3, 8, 9), np.float64, 0), random((4, 3, 3, 3), np.float64, 1)
    y = np.empty((2, 4, 6, 7))
    plan = planned(client, "conv2d", **fields_of(x.shape, weight.shape, np.float64, "NCHW"),
                   activation=ACTIVATIONS[activation])
    run(client, "conv2d", plan, x, weight, None, y)
    expected = reference.conv2d(x, weight)
    close(y, expected if activation is None else getattr(reference, activation)(expected))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_are_those_of_conv2d(client, algorithm):
    """To the bit; and they differ from each other, so the number is looked at."""
    x, weight = random((2, 16, 20, 20), np.float32, 0), random((16, 16, 3, 3), np.float32, 1)
    results = {}
    for name in (algorithm, "direct" if algorithm != "direct" else "winograd"):
        y = np.empty((2, 16, 18, 18), np.float32)
        plan = planned(client, "conv2d", **fields_of(x.shape, weight.shape, np.float32, "NCHW"),
                       algorithm=ALGORITHMS[name])
        run(client, "conv2d", plan, x, weight, None, y)
        np.testing.assert_array_equal(y, fc.conv2d(x, weight, algorithm=name))
        results[name] = y
    first, second = results.values()
    assert algorithm == "auto" or (first != second).any()


# kernel_size and options of the reference, those of averages last
POOLINGS = {
    "2 x 2": ((2, 3, 12, 14), (2, 2), {}),
    "overlapping": ((2, 3, 13, 11), (3, 3), dict(stride=(2, 1), padding=((1, 0), (1, 1)))),
    "ceil_mode": ((1, 5, 10, 9), (3, 2), dict(stride=(2, 2), ceil_mode=True)),
    "large": ((1, 2, 40, 40), (20, 17), dict(stride=(7, 9), padding=3)),
}


def pool_fields(x_shape, kernel_size, dtype, layout, stride=(0, 0), padding=0, ceil_mode=False, dilation=1, **more):
    step = kernel_size if stride == (0, 0) else stride
    (top, bottom), (left, right) = reference.pads(padding, x_shape[2:], kernel_size, step, reference.pair(dilation))
    return dict(dtype=DTYPES[np.dtype(dtype)], layout=LAYOUTS[layout], x_shape=x_shape, kernel_size=kernel_size,
                stride=stride, padding=(top, bottom, left, right), dilation=reference.pair(dilation),
                ceil_mode=int(ceil_mode), **more)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", POOLINGS)
def test_max_pooling(client, case, dtype, memory):
    x_shape, kernel_size, options = POOLINGS[case]
    x = random(x_shape, dtype, 0)
    expected, positions = reference.max_pool2d(x, kernel_size, **options)
    grad_y = random(expected.shape, dtype, 1)
    expected_grad = reference.max_pool2d_backward(grad_y.astype(np.float64), positions, x_shape)
    layout = MEMORIES[memory][0]
    x, grad_y = placed(x, memory), placed(grad_y, memory)
    y, indices = MEMORIES[layout][1](expected.shape, dtype), MEMORIES[layout][1](expected.shape, np.int64)
    fields = pool_fields(x_shape, kernel_size, dtype, layout, **options)
    plan = planned(client, "max_pool2d", **fields, x_strides=strides(x, memory))
    assert client.output_shape(plan) == (0, "", expected.shape)
    run(client, "max_pool2d", plan, x, y, indices)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, positions)
    y.fill(np.nan)
    run(client, "max_pool2d", plan, x, y, None)
    np.testing.assert_array_equal(y, expected)
    grad_x = MEMORIES[layout][1](x_shape, dtype)
    plan = planned(client, "max_pool2d_backward", **fields, grad_y_strides=strides(grad_y, memory))
    run(client, "max_pool2d_backward", plan, grad_y, indices, grad_x)
    close(grad_x, expected_grad)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("case", POOLINGS)
def test_average_pooling(client, case, counted, dtype, memory):
    x_shape, kernel_size, options = POOLINGS[case]
    x = random(x_shape, dtype, 0)
    expected = reference.avg_pool2d(x, kernel_size, **options, count_include_pad=counted)
    grad_y = random(expected.shape, dtype, 1)
    expected_grad = reference.avg_pool2d_backward(grad_y, x_shape, kernel_size, **options, count_include_pad=counted)
    layout = MEMORIES[memory][0]
    x, grad_y, y = placed(x, memory), placed(grad_y, memory), MEMORIES[layout][1](expected.shape, dtype)
    fields = pool_fields(x_shape, kernel_size, dtype, layout, **options, count_include_pad=int(counted))
    run(client, "avg_pool2d", planned(client, "avg_pool2d", **fields, x_strides=strides(x, memory)), x, y)
    close(y, expected)
    grad_x = MEMORIES[layout][1](x_shape, dtype)
    plan = planned(client, "avg_pool2d_backward", **fields, grad_y_strides=strides(grad_y, memory))
    run(client, "avg_pool2d_backward", plan, grad_y, grad_x)
    close(grad_x, expected_grad)


def test_options_of_poolings_that_the_reference_has_not(client):
    x = random((2, 3, 11, 12), np.float64, 0)
    for kind, options, names in (
            ("avg_pool2d", dict(divisor_override=3), {}),
            ("avg_pool2d", dict(dilation=(2, 3)), {}),
            ("max_pool2d", dict(dilation=(2, 3)), {}),
            ("avg_pool2d", dict(padding=((2, 2), (1, 1)), wide_padding=True), dict(wide_padding=1))):
        expected = getattr(fc, kind)(x, (3, 2), **options)
        assert (expected != getattr(fc, kind)(x, (3, 2)).flat[0]).any()
        options.pop("wide_padding", None)
        y = np.empty(expected.shape)
        plan = planned(client, kind, **pool_fields(x.shape, (3, 2), np.float64, "NCHW", **options, **names))
        run(client, kind, plan, x, y, *((None,) if kind == "max_pool2d" else ()))
        np.testing.assert_array_equal(y, expected)


def test_no_images_and_no_channels(client):
    """Pointers to arrays without elements may be NULL; where there are no channels the result is the bias."""
    weight, bias = random((4, 3, 3, 3), np.float32, 0), random(4, np.float32, 1)
    plan = planned(client, "conv2d", **fields_of((0, 3, 8, 8), (4, 3, 3, 3), np.float32, "NCHW"))
    assert client.output_shape(plan) == (0, "", (0, 4, 6, 6))
    run(client, "conv2d", plan, None, weight, bias, None)
    plan = planned(client, "conv2d", **fields_of((2, 0, 8, 8), (4, 0, 3, 3), np.float32, "NHWC"))
    y = placed(np.zeros((2, 4, 6, 6), np.float32), "NHWC")
    run(client, "conv2d", plan, None, None, bias, y)
    np.testing.assert_array_equal(y, np.broadcast_to(bias[:, None, None], y.shape))
    plan = planned(client, "conv2d_backward", **fields_of((0, 3, 8, 8), (4, 3, 3, 3), np.float32, "NCHW"))
    grad_weight, grad_bias = np.full_like(weight, np.nan), np.full_like(bias, np.nan)
    run(client, "conv2d_backward", plan, None, None, weight, None, grad_weight, grad_bias)
    assert not grad_weight.any() and not grad_bias.any()
    for kind, pointers in (("max_pool2d", 3), ("avg_pool2d", 2), ("max_pool2d_backward", 3),
                           ("avg_pool2d_backward", 2)):
        plan = planned(client, kind, **pool_fields((0, 3, 8, 8), (2, 2), np.float32, "NCHW"))
        run(client, kind, plan, *[None] * pointers)


def test_results_beside_inputs_in_one_buffer(client):
    """Interleaved, sharing no element: that is no overlap."""
    x, weight = random((1, 2, 6, 8), np.float64, 0), random((2, 2, 1, 1), np.float64, 1)
    both = np.zeros((1, 4, 6, 8))
    both[:, ::2] = x
    y = both[:, 1::2]
    plan = planned(client, "conv2d", **fields_of(x.shape, weight.shape, np.float64, "NCHW"),
                   x_strides=y.strides, y_strides=y.strides)
    run(client, "conv2d", plan, both, weight, None, y)
    close(y, reference.conv2d(x, weight))
    np.testing.assert_array_equal(both[:, ::2], x)


def test_broadcast_inputs(client):
    """A stride of 0 along one axis of what is read."""
    x, weight = random((1, 3, 8, 8), np.float64, 0), random((4, 3, 3, 3), np.float64, 1)
    y = np.empty((5, 4, 6, 6))
    plan = planned(client, "conv2d", **fields_of((5, 3, 8, 8), weight.shape, np.float64, "NCHW"),
                   x_strides=(0, *x.strides[1:]))
    run(client, "conv2d", plan, x, weight, None, y)
    close(y, np.repeat(reference.conv2d(x, weight), 5, axis=0))


def test_several_calls_at_once(client):
    """Three threads, one plan, each its own images: the same bits as one after the other."""
    weight, bias = random((32, 16, 3, 3), np.float32, 0), random(32, np.float32, 1)
    images = [random((2, 16, 30, 30), np.float32, 2 + i) for i in range(3)]
    results = [np.full((2, 32, 28, 28), np.nan, np.float32) for _ in images]
    plan = planned(client, "conv2d", **fields_of((2, 16, 30, 30), weight.shape, np.float32, "NCHW"))
    calls = [addresses(x, weight, bias, y) for x, y in zip(images, results)]
    for _ in range(20):
        for y in results:
            y.fill(np.nan)
        assert client.run("conv2d", plan, calls, False) == [(0, "")] * 3
        for x, y in zip(images, results):
            np.testing.assert_array_equal(y, fc.conv2d(x, weight, bias))


@pytest.mark.parametrize("held", [True, False])
def test_with_the_gil_and_without(client, held):
    x, weight = random((2, 3, 8, 9), np.float64, 0), random((4, 3, 3, 3), np.float64, 1)
    y = np.empty((2, 4, 6, 7))
    plan = planned(client, "conv2d", **fields_of(x.shape, weight.shape, np.float64, "NCHW"))
    assert client.run("conv2d", plan, [addresses(x, weight, None, y)], held) == [(0, "")]
    close(y, reference.conv2d(x, weight))
