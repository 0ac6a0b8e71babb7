"""Transposed convolution: against plain loops in float64, and what belongs to every operation."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import transposed
from processes import check_with_isa
from transposed import ACTIVATE, Case

import fastconv as fc
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.planner.transposed import TransposedPlan, _drivers, transposed_plan
from fastconv._core.problem.simpler import simpler
from fastconv._core.runtime import isa
from fastconv.functional import transposed as machinery, transposed_volumes

FORWARD = {axes: f"conv_transpose{axes}d" for axes in (1, 2, 3)}
BACKWARD = {axes: f"{name}_backward" for axes, name in FORWARD.items()}
KINDS = {1: machinery.SIGNALS, 2: machinery.IMAGES, 3: transposed_volumes.VOLUMES}
F32, F64 = np.float32, np.float64


def forward(case, x, weight, bias, **options):
    """In the case's data format and back."""
    function = getattr(fc, FORWARD[case.axes])
    return case.back(function(case.form(x), weight, bias, **case.window(), data_format=case.data_format,
                              activation=case.activation, **options))


def backward(case, grad_output, x, weight):
    function = getattr(fc, BACKWARD[case.axes])
    grad_x, grad_weight, grad_bias = function(case.form(grad_output), case.form(x), weight, **case.window(),
                                              data_format=case.data_format)
    return case.back(grad_x), grad_weight, grad_bias


def is_close(got, wanted, what):
    """Within the error that is promised of transforms in float32, the rounding of float64."""
    bound = 2e-5 if got.dtype == F32 else 1e-13
    assert got.shape == wanted.shape
    assert np.linalg.norm(got - wanted) <= bound * max(np.linalg.norm(wanted), 1e-2), what


def check_forward(case, seed, dtype):
    x, weight, bias = case.arrays(seed, dtype)
    sums = transposed.conv_transpose(x, weight, bias, **case.window())
    y = forward(case, x, weight, bias)
    assert y.dtype == dtype
    is_close(y, ACTIVATE[case.activation](sums), case)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("axes", FORWARD)
def test_against_plain_loops(axes, dtype):
    for seed, case in enumerate(transposed.random_cases(80, axes, 3, 9 if axes < 3 else 4)):
        check_forward(case, seed, dtype)


LAYERS = [    # one for each way and driver, and shapes at the edges of their tiles
    Case((1, 8, 1, 1), (8, 5, 4, 4)),                                              # one output a filter
    Case((9, 20, 1, 1), (20, 6, 4, 4)),                                            # images are pixels
    Case((9, 20, 1, 1), (20, 6, 4, 4), channels_last=True, activation="relu"),
    Case((2, 16, 7, 7), (16, 12, 4, 4), 2, 1, activation="relu"),
    Case((2, 17, 7, 9), (17, 13, 4, 4), 2, 1, channels_last=True, activation="tanh"),
    Case((1, 33, 8, 8), (33, 16, 2, 2), 2),                                        # patches side by side
    Case((1, 32, 13, 11), (32, 18, 2, 2), 2, activation="leaky_relu", channels_last=True),
    Case((2, 16, 12, 12), (16, 16, 3, 3), 2, 1, 1, activation="relu"),             # winograd, transposed
    Case((1, 40, 15, 17), (40, 33, 3, 3), 2, ((0, 1), (1, 0)), 1, activation="sigmoid"),
    Case((1, 40, 15, 17), (40, 33, 3, 3), 2, 1, 1, channels_last=True, activation="relu"),
    Case((1, 24, 14, 14), (24, 24, 3, 3), 1, 1, activation="relu"),
    Case((1, 24, 11, 12), (24, 24, 5, 5), 1, 2),
    Case((1, 24, 11, 12), (24, 20, 5, 5), 2, 2, 1, activation="relu"),
    Case((2, 6, 9, 8), (6, 1, 4, 4), 2, 1, groups=6, activation="relu"),           # depthwise, in pairs of columns
    Case((2, 6, 9, 8), (6, 1, 4, 4), 2, 1, groups=6, channels_last=True),
    Case((2, 6, 9, 8), (6, 2, 3, 3), 1, 1, groups=6),
    Case((2, 12, 6, 6), (12, 4, 3, 3), 3, 0, groups=3, activation="tanh"),
    Case((1, 5, 6, 6), (5, 7, 2, 2), 4, 0, 3, activation="sigmoid"),               # pixels that no tap meets
    Case((1, 20, 6, 6), (20, 7, 2, 2), 4, 0, 3, activation="sigmoid", channels_last=True),
    Case((1, 40, 6, 6), (40, 35, 1, 1), 3, "same", activation="sigmoid"),
    Case((2, 4, 1, 9), (4, 6, 1, 5), 1, 0),
    Case((2, 4, 9, 1), (4, 6, 5, 1), (2, 1), 0),
    Case((1, 1, 6, 7), (1, 3, 5, 4), 2, "same"),
    Case((1, 4, 5, 5), (4, 6, 3, 3), 2, 0, 2, 3),                                  # output_padding of a stride or more
    Case((2, 8, 5, 5), (8, 6, 3, 3), 1, 2, 0, 2),
    Case((1, 2, 4, 4), (2, 3, 9, 8), 1, 3),
    Case((1, 3, 4, 4), (3, 2, 1, 1), (5, 7), ((2, 3), (4, 1))),
    Case((2, 16, 40), (16, 12, 4), 2, 1, activation="relu"),                       # signals
    Case((2, 16, 40), (16, 12, 16), 8, 4, channels_last=True),
    Case((1, 33, 50), (33, 16, 3), 1, "same", 0, 4, activation="tanh"),
    Case((2, 6, 30), (6, 1, 5), 2, 2, 1, 1, 6),
    Case((3, 20, 1), (20, 5, 7), 1, 0, channels_last=True),
    Case((2, 6, 3, 5, 4), (6, 5, 2, 2, 2), 2, activation="relu"),                  # volumes, plane by plane
    Case((1, 16, 3, 6, 7), (16, 12, 2, 2, 2), 2, 0, 1, channels_last=True),
    Case((1, 5, 4, 3, 6), (5, 6, 1, 3, 3), (3, 2, 2), (0, 1, 1), (2, 1, 0), activation="sigmoid"),
    Case((2, 6, 4, 5, 6), (6, 2, 3, 3, 3), 1, 1, groups=2, activation="tanh"),     # and by phases
    Case((1, 8, 3, 4, 5), (8, 6, 4, 4, 4), 2, 1, activation="relu", channels_last=True),
    Case((1, 4, 3, 3, 4), (4, 3, 3, 2, 3), (1, 3, 2), ((2, 0), (0, 1), (1, 1)), (0, 2, 1), (2, 1, 1)),
    Case((2, 7, 1, 1, 1), (7, 5, 4, 4, 4), 1, 0, activation="leaky_relu"),
    Case((2, 9, 3, 4, 5), (9, 6, 1, 1, 1), 1, 0, activation="relu"),               # one row of all pixels
    Case((2, 3, 6, 7), (3, 2, 2, 2), 1, 2),                                        # pixels of x that meet nothing
]


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_layers(case, dtype):
    check_forward(case, 1, dtype)


def prepare(gradient, weight):
    """What a TransposedPlan of this way would make of the weights."""
    plan = TransposedPlan.__new__(TransposedPlan)
    vars(plan).update(vars(gradient))
    return plan.prepare(weight)


def check_every_driver(case, dtypes=(F32, F64), named=("winograd", "fft")):
    """Each way that does not refuse the problem, whatever it is expected to take."""
    for dtype in dtypes:
        x, weight, bias = case.arrays(5, dtype)
        wanted = ACTIVATE[case.activation](transposed.conv_transpose(x, weight, bias, **case.window()))
        call, *_ = KINDS[case.axes].find_call(case.form(x), weight, bias, **case.window(), data_format=case.data_format,
                                              activation=case.activation)
        problem, taken = call.plan.whole, 0
        for driver in (*DATA_GRADIENT, *itertools.chain.from_iterable(map(_drivers, named))):
            for simple in (None, simpler(problem)):
                plan = DataGradient(problem, (driver,), simple)
                if plan.driver != driver:
                    continue
                taken += 1
                y = np.full(call.shape, np.nan, dtype)
                seen = weight if call.filters is None else call.filters(weight)
                for prepared in ((), prepare(plan, seen)):
                    plan(case.form(x) if call.view is None else call.view(case.form(x)), seen,
                         y if call.view is None else call.view(y), bias, call.epilogue, *prepared)
                    is_close(case.back(y), wanted, f"{driver.name} {simple is None}")
        assert taken > 1


@pytest.mark.parametrize("case", [case for case in LAYERS if case.axes < 3], ids=str)
def test_every_driver(case):
    check_every_driver(case)


def check_instruction_set():
    for case in LAYERS:
        if case.axes < 3:
            check_every_driver(case, (F32,), ())
        else:
            check_forward(case, 1, F32)


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_instruction_set)


@pytest.mark.parametrize("axes", FORWARD)
def test_gradients(axes):
    """Each is the adjoint of a linear map: of x, of the weights, of the bias."""
    layers = [case for case in LAYERS if case.axes == axes]
    for seed, case in enumerate([*layers, *transposed.random_cases(60, axes, 8, 9 if axes < 3 else 3)]):
        case = case._replace(activation=None)
        x, weight, bias = case._replace(bias=True).arrays(seed)
        rng = np.random.default_rng(seed)
        grad_output = rng.standard_normal(transposed.conv_transpose(x, weight, None, **case.window()).shape)
        grad_x, grad_weight, grad_bias = backward(case, grad_output, x, weight)
        assert (grad_x.shape, grad_weight.shape, grad_bias.shape) == (x.shape, weight.shape, bias.shape)
        for _ in range(2):
            direction = rng.standard_normal(x.shape)
            np.testing.assert_allclose((grad_x * direction).sum(), (grad_output * transposed.conv_transpose(
                direction, weight, None, **case.window())).sum(), rtol=1e-9, atol=1e-9, err_msg=str(case))
            direction = rng.standard_normal(weight.shape)
            np.testing.assert_allclose((grad_weight * direction).sum(), (grad_output * transposed.conv_transpose(
                x, direction, None, **case.window())).sum(), rtol=1e-9, atol=1e-9, err_msg=str(case))
        np.testing.assert_allclose(grad_bias, grad_output.sum(axis=(0, *range(2, grad_output.ndim))), rtol=1e-9,
                                   atol=1e-9)


def test_is_the_adjoint_of_conv2d():
    rng = np.random.default_rng(0)
    for stride, padding, dilation, groups in ((1, 0, 1, 1), (2, 1, 1, 2), ((3, 2), ((1, 0), (2, 1)), 2, 1)):
        images, weight = rng.standard_normal((2, 6, 17, 19)), rng.standard_normal((8, 6 // groups, 3, 5))
        options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
        y = fc.conv2d(images, weight, **options)
        x = rng.standard_normal(y.shape)
        back = fc.conv_transpose2d(x, weight, output_size=images.shape[2:], **options)
        np.testing.assert_allclose((y * x).sum(), (images * back).sum(), rtol=1e-12)


def test_float32_is_as_right_as_the_data_gradient():
    rng = np.random.default_rng(2)
    for case in (Case((2, 64, 14, 14), (64, 32, 4, 4), 2, 1), Case((1, 128, 20, 20), (128, 64, 3, 3), 2, 1, 1),
                 Case((1, 96, 16, 16), (96, 64, 3, 3), 1, 1), Case((1, 256, 9, 9), (256, 64, 2, 2), 2),
                 Case((1, 64, 12, 12), (64, 40, 5, 5), 2, 2, 1)):
        x, weight = (rng.standard_normal(shape) for shape in (case.x_shape, case.weight_shape))
        y = forward(case, x.astype(F32), weight.astype(F32), None)
        wanted = forward(case, x.astype(F32).astype(F64), weight.astype(F32).astype(F64), None)
        assert np.linalg.norm(y - wanted) < 2e-5 * np.linalg.norm(wanted)


def test_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(4)
    for case in LAYERS:
        x, weight = (rng.standard_normal(shape).astype(F32) for shape in (case.x_shape, case.weight_shape))
        bias = rng.standard_normal(weight.shape[1] * case.groups).astype(F32)
        results = []
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                y = forward(case, x, weight, bias)
                results.append((y, *backward(case, np.ascontiguousarray(y), x, weight)))
        for other in results[1:]:
            for got, wanted in zip(other, results[0]):
                np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("algorithm", ["direct", "gemm", "winograd", "fft"])
def test_algorithms(algorithm):
    served = 0
    for case in LAYERS:
        for dtype in (F32, F64):
            x, weight, bias = case.arrays(6, dtype)
            wanted = ACTIVATE[case.activation](transposed.conv_transpose(x, weight, bias, **case.window()))
            try:
                y = forward(case, x, weight, bias, algorithm=algorithm)
            except ValueError as error:
                assert algorithm == "winograd" or case.axes == 3
                assert f"{algorithm!r} is not possible" in str(error)
                continue
            served += 1
            is_close(y, wanted, case)
    assert served > 10


def test_output_size_is_an_output_padding():
    x, weight = np.ones((1, 2, 5, 6)), np.ones((2, 3, 3, 3))
    for size, more in (((9, 11), 0), (10, (1, -1)), ((10, 12), 1)):
        if isinstance(more, tuple):
            with pytest.raises(ValueError, match="output_size must have a width from 11 to 12 here, got 10"):
                fc.conv_transpose2d(x, weight, stride=2, padding=1, output_size=size)
            continue
        np.testing.assert_array_equal(
            fc.conv_transpose2d(x, weight, stride=2, padding=1, output_size=size),
            fc.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=more))


def test_same_is_stride_times_the_size():
    for taps, stride, dilation in ((1, 3, 1), (2, 2, 1), (3, 2, 2), (5, 1, 1), (4, 3, 1)):
        y = fc.conv_transpose2d(np.ones((1, 2, 5, 7)), np.ones((2, 3, taps, taps)), stride=stride, dilation=dilation,
                                padding="same")
        assert y.shape == (1, 3, 5 * stride, 7 * stride)


def test_forms():
    """One image, strided and negative views, lists, out=, an empty batch."""
    rng = np.random.default_rng(1)
    x, weight, bias = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(3)
    options = dict(stride=2, padding=1, activation="relu")
    wanted = fc.conv_transpose2d(x, weight, bias, **options)
    np.testing.assert_array_equal(fc.conv_transpose2d(x[1], weight, bias, **options), wanted[1])
    backwards = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    for view in (np.repeat(x, 2, axis=3)[..., ::2], backwards, np.asfortranarray(x)):
        np.testing.assert_allclose(fc.conv_transpose2d(view, weight, bias, **options), wanted, rtol=1e-12, atol=1e-12)
    turned = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    np.testing.assert_allclose(fc.conv_transpose2d(x, turned, bias[::-1][::-1], **options), wanted, rtol=1e-12,
                               atol=1e-12)
    np.testing.assert_array_equal(fc.conv_transpose2d(x.tolist(), weight.tolist(), bias.tolist(), **options), wanted)
    out = np.full_like(wanted, np.nan)
    assert fc.conv_transpose2d(x, weight, bias, out=out, **options) is out
    np.testing.assert_array_equal(out, wanted)
    assert fc.conv_transpose2d(x[:0], weight, bias, **options).shape == (0, *wanted.shape[1:])
    grad_x, grad_weight, grad_bias = fc.conv_transpose2d_backward(wanted[:0], x[:0], weight, stride=2, padding=1)
    assert grad_x.shape == (0, 4, 6, 5) and not grad_weight.any() and not grad_bias.any()
    gradients = fc.conv_transpose2d_backward(wanted, x, weight, stride=2, padding=1, needs=(False, True, False))
    assert [gradient is None for gradient in gradients] == [True, False, True]


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid"])
def test_a_tap_that_is_not_finite_reaches_what_it_is_added_to(activation):
    rng = np.random.default_rng(5)
    for case in LAYERS:
        case = case._replace(activation=activation)
        for bad in (np.inf, -np.inf, np.nan):
            x = rng.uniform(0.5, 1, case.x_shape).astype(F32)
            weight = rng.uniform(0.5, 1, case.weight_shape).astype(F32)
            weight.reshape(*weight.shape[:2], -1)[-1, 0, weight.shape[-1] - 1] = bad  # ends the first row
            with np.errstate(all="ignore"):
                wanted = ACTIVATE[activation](transposed.conv_transpose(x, weight, None, **case.window()))
                y = forward(case, x, weight, None)
            np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted), err_msg=f"{case} {bad}")
            np.testing.assert_array_equal(np.isinf(y), np.isinf(wanted), err_msg=f"{case} {bad}")


def test_a_pixel_that_is_not_finite_reaches_its_filter():
    rng = np.random.default_rng(6)
    for case in LAYERS:
        case = case._replace(activation="relu")
        x, weight = rng.uniform(0.5, 1, case.x_shape), rng.uniform(0.5, 1, case.weight_shape)
        for dtype in (F32, F64):
            x.reshape(*x.shape[:2], -1)[-1, 0, -1] = np.nan
            wanted = transposed.conv_transpose(x, weight, None, **case.window())
            y = forward(case, x.astype(dtype), weight.astype(dtype), None)
            np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted), err_msg=str(case))


# ---------------------------------------------------------------------------------------------------------------------
# Plans


def test_plans_have_the_same_bits():
    for case in LAYERS:
        x, weight, bias = case.arrays(7, F32)
        options = {**case.window(), "activation": case.activation, "data_format": case.data_format}
        wanted = getattr(fc, FORWARD[case.axes])(case.form(x), weight, bias, **options)
        plan = getattr(fc, "plan_" + FORWARD[case.axes])(case.form(x).shape, weight, bias, **options)
        assert plan.output_shape == wanted.shape and plan.dtype == F32
        weight[...], again = 0, pickle.loads(pickle.dumps(plan))
        for each in (plan, again, copy.copy(plan)):
            for threads in (1, 2):
                with fc.num_threads(threads):
                    np.testing.assert_array_equal(each(case.form(x)), wanted, err_msg=str(case))
        out = np.empty_like(wanted)
        assert plan(case.form(x), out=out) is out
        np.testing.assert_array_equal(out, wanted)


def test_a_plan_keeps_weights_that_are_packed_before():
    x = np.ones((1, 64, 16, 16), F32)
    for taps, stride, padding in ((4, 2, 1), (2, 2, 0), (3, 1, 1), (3, 2, 1)):
        plan = fc.plan_conv_transpose2d(x.shape, np.ones((64, 32, taps, taps), F32), stride=stride, padding=padding)
        assert plan._prepared != ()


def test_the_memory_of_plans_is_bounded():
    assert transposed_plan.cache_info().maxsize <= 256


# ---------------------------------------------------------------------------------------------------------------------
# explain, and scratch


def test_explain():
    told = fc.explain((2, 64, 14, 14), (64, 32, 3, 3), stride=2, padding=1, output_padding=1, transposed=True)
    assert told.output_shape == (2, 32, 28, 28) and told.padding == ((1, 1), (1, 1))
    assert told.formula == ("OH = (H - 1) S - 2P + FH + OP = (14 - 1) * 2 - 2*1 + 3 + 1 = 28",
                            "OW = (W - 1) S - 2P + FW + OP = (14 - 1) * 2 - 2*1 + 3 + 1 = 28")
    assert told.flops == 2 * 2 * 64 * 14 * 14 * 32 * 9
    expected = {name: nanoseconds for name, nanoseconds, _ in told.candidates if nanoseconds is not None}
    assert min(expected, key=expected.get) == told.driver and told.driver in str(told)
    for algorithm in ("direct", "gemm", "winograd", "fft"):
        assert fc.explain((64, 14, 14), (64, 32, 3, 3), stride=2, algorithm=algorithm,
                          transposed=True).algorithm == algorithm
    uneven = fc.explain((5, 7, 4), (4, 6, 2, 3), padding=((1, 0), (0, 0)), dilation=(1, 2), data_format="NHWC",
                        transposed=True)
    assert uneven.formula == ("OH = (H - 1) S - PT - PB + FH = (5 - 1) * 1 - 1 - 0 + 2 = 5",
                              "OW = (W - 1) S + D (FW - 1) + 1 = (7 - 1) * 1 + 2 * (3 - 1) + 1 = 11")
    assert uneven.output_shape == (5, 11, 6)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("size", "taps", "options"), [
    (1, 1, {"stride": 3, "padding": 1, "output_padding": 2}), (2, 1, {"stride": 2, "padding": 1})])
def test_a_result_that_no_tap_leads_to(axes, size, taps, options):
    """What is left is the bias, and that is explained too."""
    x, weight, bias = np.ones((1, 2, *(size,) * axes)), np.ones((2, 3, *(taps,) * axes)), np.array([1.0, -2.0, 3.0])
    told = fc.explain(x.shape, weight.shape, dtype="float64", transposed=True, **options)
    y = getattr(fc, f"conv_transpose{axes}d")(x, weight, bias, **options)
    assert told.output_shape == y.shape and "no tap" in str(told)
    np.testing.assert_array_equal(y, np.broadcast_to(bias.reshape(3, *(1,) * axes), y.shape[1:])[None])


def test_scratch_is_bounded():
    """8 MB a thread, whatever the shape, and what explain says is about what is taken."""
    rng = np.random.default_rng(0)
    beyond = []
    for _ in range(400):
        c, k = (int(2000 ** rng.random()) for _ in range(2))
        size, taps = ([int(most ** rng.random()) for _ in range(2)] for most in (300, 12))
        stride, dilation = ([int(rng.choice([1, 2, 2, 3, 5])) for _ in range(2)], [int(rng.choice([1, 1, 2]))] * 2)
        if c * k * np.prod(taps) > 5 * 10**7:
            continue
        for data_format, dtype in (("NCHW", "float32"), ("NHWC", "float64")):
            x_shape = (int(rng.choice([1, 4])), c, *size)
            x_shape = x_shape if data_format == "NCHW" else (x_shape[0], *size, c)
            with fc.num_threads(1):
                told = fc.explain(x_shape, (c, k, *taps), stride=tuple(stride), dilation=tuple(dilation),
                                  data_format=data_format, dtype=dtype, transposed=True)
            if told.workspace > 8 << 20:
                beyond.append((told.driver, told.workspace / 2**20, x_shape, (c, k, *taps), stride, dilation))
    assert beyond == []
