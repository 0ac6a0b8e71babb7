"""plan_conv2d: the bits of conv2d, weights that are fixed, and what it refuses."""

import copy
import pickle

import cases
import numpy as np
import pytest

import fastconv as fc

LAYERS = {  # one for each driver and form of its filters
    "winograd, all transformed before": ((2, 16, 14, 14), (24, 16, 3, 3), {"padding": 1}),
    "winograd, transformed block by block": ((3, 200, 12, 12), (200, 200, 3, 3), {"padding": 1}),
    "winograd, stride 2": ((2, 64, 15, 15), (70, 64, 3, 3), {"stride": 2}),
    "winograd, 5 x 5": ((2, 20, 12, 12), (20, 20, 5, 5), {}),
    "winograd, joined groups": ((2, 48, 14, 14), (48, 8, 3, 3), {"groups": 6, "padding": 1}),
    "direct": ((2, 20, 9, 9), (40, 20, 3, 3), {"dilation": 2}),
    "direct, groups": ((2, 20, 9, 9), (40, 10, 4, 2), {"groups": 2}),
    "direct, joined groups": ((2, 24, 9, 9), (24, 4, 3, 3), {"groups": 6, "stride": 2}),
    "direct, 1 x 1 with stride": ((2, 40, 9, 9), (33, 40, 1, 1), {"stride": 3}),
    "gemm": ((2, 5, 60, 60), (7, 5, 4, 3), {"padding": 2}),
    "gemm, groups": ((2, 30, 70, 70), (45, 10, 1, 1), {"groups": 3}),
    "gemm, more filters than a stage holds": ((1, 512, 70, 70), (900, 512, 2, 2), {}),
    "fft": ((2, 1, 150, 160), (2, 1, 33, 31), {"padding": 16}),
    "fft, by matrix products": ((4, 24, 60, 60), (24, 24, 15, 15), {"padding": 7}),
    "fft, filters in parts": ((1, 64, 40, 40), (48, 64, 31, 31), {"padding": 15}),
    "fft, groups, stride, dilation": ((2, 6, 60, 50), (9, 2, 11, 9),
                                      {"groups": 3, "stride": 2, "dilation": 3, "padding": 9}),
    "depthwise": ((2, 18, 20, 20), (36, 1, 3, 3), {"groups": 18}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_same_bits(name, dtype):
    x_shape, weight_shape, options = LAYERS[name]
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape, weight_shape[0]))
    options = {"algorithm": "direct" if name == "depthwise" else name.split(",")[0], **options}
    wanted = fc.conv2d(x, weight, bias, activation="relu", **options)
    plan = fc.plan_conv2d(x_shape, weight, bias, activation="relu", **options)
    assert plan.algorithm == options["algorithm"]
    assert plan.output_shape == wanted.shape and plan.dtype == dtype
    out = np.empty_like(wanted)
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(plan(x), wanted)
            assert plan(x, out=out) is out
    np.testing.assert_array_equal(out, wanted)


def test_random_options():
    for case in cases.random_conv_cases(60, 17):
        x, weight, bias, _ = case.arrays(dtype=np.float32)
        x = cases.to_format(x, case.data_format)
        options = {**case.window(), "data_format": case.data_format}
        plan = fc.plan_conv2d(x.shape, weight, bias, **options)
        np.testing.assert_array_equal(plan(x), fc.conv2d(x, weight, bias, **options))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("function", "x_shape", "weight_shape", "options"), [
    ("conv1d", (2, 6, 9), (5, 6, 9), {}),
    ("conv2d", (3, 42, 5, 7), (46, 42, 5, 7), {}),                          # one output: filters are read as they lie
    ("conv2d", (3, 42, 2, 8), (46, 42, 3, 5), {"stride": (2, 3), "padding": (2, 1)}),
    ("conv2d", (4, 20, 9, 6), (30, 20, 3, 6), {}),                          # one row
    ("conv3d", (1, 6, 6, 7, 5), (2, 6, 5, 5, 5), {}),
    ("conv_transpose2d", (3, 20, 1, 1), (20, 30, 4, 4), {}),
    ("conv_transpose3d", (1, 12, 4, 5, 6), (12, 20, 2, 2, 2), {"stride": 2}),
])
def test_weights_of_any_strides_are_copied_to_c_order(function, x_shape, weight_shape, options, dtype):
    rng = np.random.default_rng(5)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape))
    plan, call = getattr(fc, f"plan_{function}"), getattr(fc, function)
    wanted = call(x, weight, **options)
    for turned in (np.asfortranarray(weight), np.ascontiguousarray(weight[..., ::-1])[..., ::-1]):
        np.testing.assert_array_equal(plan(x_shape, turned, **options)(x), wanted)


def test_weights_are_fixed():
    x, weight, bias = np.ones((1, 16, 8, 8), np.float32), np.ones((16, 16, 3, 3), np.float32), np.ones(16, np.float32)
    plan = fc.plan_conv2d(x.shape, weight, bias)
    before = plan(x)
    weight[...], bias[...] = 0, 0
    np.testing.assert_array_equal(plan(x), before)


def test_not_finite_goes_where_the_sum_sends_it():
    x, weight = np.ones((2, 64, 28, 28), np.float32), np.ones((64, 64, 3, 3), np.float32)
    x[1, 3, 4, 5] = np.nan
    plan = fc.plan_conv2d(x.shape, weight)
    assert plan.algorithm == "winograd"
    np.testing.assert_array_equal(np.isnan(plan(x)), np.isnan(fc.conv2d(x, weight, algorithm="gemm")))


def test_empty_batch_and_one_image():
    weight = np.ones((4, 3, 3, 3), np.float32)
    assert fc.plan_conv2d((0, 3, 8, 8), weight)(np.empty((0, 3, 8, 8), np.float32)).shape == (0, 4, 6, 6)
    assert fc.plan_conv2d((8, 8, 3), weight, data_format="NHWC")(np.ones((8, 8, 3), np.float32)).shape == (6, 6, 4)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))],
                         ids=["copy", "deepcopy", "pickle"])
def test_copies_and_pickles(again, name):
    x_shape, weight_shape, options = LAYERS[name]
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(np.float32)
                       for shape in (x_shape, weight_shape, weight_shape[0]))
    plan = fc.plan_conv2d(x_shape, weight, bias, activation="leaky_relu", **options)
    made = again(plan)
    assert repr(made) == repr(plan) and made.reason == plan.reason
    np.testing.assert_array_equal(made(x), plan(x))


def test_a_pickle_of_a_plan_for_one_image_with_the_channels_last():
    x, weight = np.arange(600.0).reshape(10, 12, 5), np.arange(90.0).reshape(2, 5, 3, 3)
    plan = fc.plan_conv2d(x.shape, weight, data_format="NHWC", padding=((1, 0), (2, 1)), padding_value=0.5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(plan))(x), plan(x))
