"""What becomes of a sum: a fused activation has the bits of one that follows,
and a sum that is added to y is that of both."""

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.depthwise import forward as depthwise
from fastconv._core.direct import forward as direct
from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.pointwise import elementwise
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.product import forward as product
from fastconv._core.runtime import isa
from fastconv._core.winograd import forward as winograd

SLOPE = 0.25
KINDS = (elementwise.RELU, elementwise.LEAKY_RELU, elementwise.SIGMOID, elementwise.TANH, elementwise.RELU6)
FUNCTIONS = (lambda v: v, reference.relu, lambda v: reference.leaky_relu(v, SLOPE), reference.sigmoid, reference.tanh,
             reference.relu6)

VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
}

# x, filters, window: of each a whole tile, rests of tiles in every direction, and more than one block.
SUMS = {
    "3 x 3": ((2, 5, 9, 19), (21, 5, 3, 3), Window(origin=(1, 1))),
    "rows": ((1, 17, 6, 33), (33, 17, 3, 2), Window(origin=(1, 0))),
    "strided": ((2, 6, 9, 11), (16, 3, 3, 2), Window((2, 3), origin=(1, 0))),
    "pointwise": ((3, 40, 5, 7), (35, 40, 1, 1), Window()),
    "blocks": ((1, 3, 40, 50), (70, 3, 1, 1), Window()),
    "few filters": ((2, 19, 12, 13), (3, 19, 1, 1), Window()),
    "twelve filters": ((1, 9, 12, 13), (12, 9, 1, 1), Window()),
    "one filter": ((1, 70, 40, 50), (1, 70, 1, 1), Window()),
    "slices": ((1, 900, 3, 17), (9, 900, 1, 1), Window()),
    "channels of a power of two": ((1, 512, 3, 17), (80, 512, 1, 1), Window()),
    "planes": ((1, 3, 12, 21), (18, 3, 5, 5), Window((2, 2), origin=(2, 2))),
    "narrow groups": ((1, 24, 6, 17), (24, 2, 3, 3), Window(origin=(1, 1))),
    "halves": ((1, 32, 6, 17), (32, 8, 3, 3), Window(origin=(1, 1))),
}
DRIVERS = {"product": product.conv2d, "direct": direct.conv2d}
WITHOUT_SUMS = {    # drivers that overwrite, or whose sums of whole numbers are not exact
    "winograd": (winograd.conv2d, (2, 17, 9, 19), (40, 17, 3, 3), Window(origin=(1, 1))),
    "winograd with stride 2": (winograd.conv2d, (1, 16, 13, 10), (19, 16, 3, 3), Window((2, 2), origin=(1, 1))),
    "depthwise": (depthwise.conv2d, (2, 17, 9, 19), (17, 1, 3, 3), Window(origin=(1, 1))),
}


def whole(x_shape, weight_shape, window, seed=0):
    """Arrays of whole numbers, whose sums are exact, and the sum."""
    rng = np.random.default_rng(seed)
    x, w, bias = (rng.integers(-3, 4, shape).astype(float) for shape in (x_shape, weight_shape, weight_shape[0]))
    padding = [(before, before) for before in window.origin]
    y = reference.conv2d(x, w, bias, stride=window.stride, padding=padding, groups=x_shape[1] // weight_shape[1])
    return x, w, bias, y


def loud(x_shape, weight_shape, window, dtype, view):
    """Normal numbers, but a NaN, an infinity, and products too small to be anything but -0; and room for the result."""
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape))
    x[0, 0, -1, -1], x[0, -1, 0, 0], x[-1, :, 2:, :5] = np.nan, np.inf, np.finfo(dtype).tiny
    w[::3] = -np.abs(w[::3]) * np.finfo(dtype).tiny
    shape = reference.conv2d(x, w, stride=window.stride, padding=[(before, before) for before in window.origin],
                             groups=x_shape[1] // weight_shape[1]).shape
    bias = rng.standard_normal(weight_shape[0]).astype(dtype)
    bias[::3] = -0.0
    return VIEWS[view](x), w, bias, VIEWS[view](np.full(shape, 7, dtype))


def assert_same_bits(a, b):
    np.testing.assert_array_equal(np.ascontiguousarray(a).view(np.uint8), np.ascontiguousarray(b).view(np.uint8))


def check_fused(convolve, sizes, dtype, view):
    with np.errstate(invalid="ignore", over="ignore"):
        x, w, bias, y = loud(*sizes, dtype, view)
    for added in (bias, None):
        convolve(Convolution(x, w, added, y, sizes[2]))
        plain = np.array(y, order="C")
        for kind in KINDS:
            y[...] = 7
            convolve(Convolution(x, w, added, y, sizes[2], Epilogue(kind, SLOPE)))
            assert_same_bits(y, elementwise.activation(plain, kind, SLOPE))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SUMS)
def test_a_fused_activation_has_the_bits_of_one_that_follows(name, dtype, view):
    for convolve in DRIVERS.values():
        check_fused(convolve, SUMS[name], dtype, view)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WITHOUT_SUMS)
def test_fused_in_other_drivers(name, dtype, view):
    convolve, *sizes = WITHOUT_SUMS[name]
    check_fused(convolve, sizes, dtype, view)


def check_added(convolve, sizes, dtype, view, kind=0):
    """Whole numbers: the sum of both is exact, and so are the activations but sigmoid and tanh."""
    x, w, bias, sums = whole(*sizes)
    before = np.random.default_rng(2).integers(-9, 10, sums.shape).astype(float)
    y = VIEWS[view](before.astype(dtype))
    convolve(Convolution(VIEWS[view](x.astype(dtype)), w.astype(dtype), bias.astype(dtype), y, sizes[2],
                         Epilogue(kind, SLOPE, accumulate=True)))
    wanted = FUNCTIONS[kind](before + sums)
    if kind in (elementwise.SIGMOID, elementwise.TANH):
        np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", SUMS)
def test_the_sum_is_added_to_y(name, driver, dtype, view):
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            check_added(DRIVERS[driver], SUMS[name], dtype, view)
    for kind in KINDS:
        check_added(DRIVERS[driver], SUMS[name], dtype, view, kind)


@pytest.mark.parametrize("kind", (0, *KINDS))
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [name for name in WITHOUT_SUMS if "winograd" in name])
def test_a_transform_is_added_to_y_but_for_rows_that_it_returns(name, view, kind):
    convolve, *sizes = WITHOUT_SUMS[name]
    x, w, bias, sums = whole(*sizes)
    before = np.random.default_rng(2).integers(-9, 10, sums.shape).astype(float)
    wanted = FUNCTIONS[kind](before + sums)
    x[0, 1, -1, -1] = np.inf    # its rows of tiles are left: those behind the fourth, or the last ones
    y = VIEWS[view](before.astype(np.float32))
    left = convolve(Convolution(VIEWS[view](x.astype(np.float32)), w.astype(np.float32), bias.astype(np.float32), y,
                                sizes[2], Epilogue(kind, SLOPE, accumulate=True)))
    assert [image for image, _, _ in left] == [0] and left[0][2] == y.shape[2]
    for image, first, last in left:
        y[image, :, first:last] = wanted[image, :, first:last]
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("driver", DRIVERS)
def test_many_times_and_as_exactly_as_the_sums(driver):
    """Against a float64 sum of all: that of four convolutions, each added to what was there."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal((20, 30, 3, 3)).astype(np.float32)
    y, wanted = np.zeros((2, 20, 8, 18), np.float32), 0
    for _ in range(4):
        x = rng.standard_normal((2, 30, 8, 18)).astype(np.float32)
        DRIVERS[driver](Convolution(x, w, None, y, Window(origin=(1, 1)), Epilogue(accumulate=True)))
        wanted = wanted + reference.conv2d(x.astype(float), w.astype(float), padding=1)
    assert np.linalg.norm(y - wanted) <= 1e-6 * np.linalg.norm(wanted)


@pytest.mark.parametrize("driver", DRIVERS)
def test_added_in_parts_where_scratch_is_short(driver):
    check_added(DRIVERS[driver], ((1, 90_000, 1, 3), (17, 90_000, 1, 1), Window()), np.float32, "nchw",
                elementwise.RELU)


def test_the_planner_takes_a_driver_that_can_add():
    for x_shape, weight_shape, groups in (((1, 32, 20, 20), (32, 1, 3, 3), 32), ((1, 64, 20, 20), (64, 64, 3, 3), 1),
                                          ((1, 1, 40, 40), (1, 1, 21, 21), 1), ((1, 64, 1, 1), (10, 64, 1, 1), 1)):
        taps = weight_shape[2] // 2
        problem = ConvProblem(x_shape, weight_shape, (1, 1), ((taps, taps), (taps, taps)), (1, 1), groups,
                              x_shape[2:], 4, False, "constant")
        assert not conv2d_plan(problem, "auto").driver.accumulates or groups == 1
        assert conv2d_plan(problem._replace(accumulate=True), "auto").driver.accumulates


def check_all():
    for sizes in SUMS.values():
        for convolve in DRIVERS.values():
            for dtype in (np.float32, np.float64):
                for view in VIEWS:
                    check_fused(convolve, sizes, dtype, view)
                    check_added(convolve, sizes, dtype, view, elementwise.LEAKY_RELU)
    for convolve, *sizes in WITHOUT_SUMS.values():
        check_fused(convolve, sizes, np.float32, "nhwc")


@pytest.mark.parametrize("name", isa.known())
def test_with_every_instruction_set(name):
    check_with_isa(name, check_all)
