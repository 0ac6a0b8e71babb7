"""The Winograd driver on filters of one row: every number of taps, layout, group size, padding mode and dilation; its
error; values that are not finite, and those that are louder than others by far."""

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.runtime import isa
from fastconv._core.winograd import forward as winograd

TAPS = (2, 3, 5)
VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
}
RELU = 1


def convolve(x, weight, bias=None, padding=0, view="nchw", **options):
    """The driver alone, on (N, C, H, W) arrays laid out as VIEWS says."""
    outputs = fc.conv_output_size(x.shape[3], weight.shape[3], 1, padding)
    y = VIEWS[view](np.full((len(x), len(weight), x.shape[2], outputs), np.nan, x.dtype))
    window = Window((1, 1), (1, 1), (0, padding), options.get("mode", 0), options.get("value", 0.0))
    conv = Convolution(VIEWS[view](x), weight, bias, y, window, Epilogue(options.get("activation", 0), 0.01))
    winograd.conv2d(conv, winograd.prepare(conv) if options.get("prepared") else None)
    return y


def drawn(seed, x_shape, weight_shape, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, weight_shape, weight_shape[:1]))


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("channels, filters, groups",
                         [(1, 1, 1), (3, 17, 1), (16, 16, 1), (17, 33, 1), (40, 5, 1), (130, 9, 1), (4, 4, 2),
                          (16, 16, 8), (24, 24, 3), (9, 9, 3), (66, 34, 2)])
def test_channels_and_groups(taps, channels, filters, groups):
    x, weight, bias = drawn(channels + filters, (3, channels, 2, 22), (filters, channels // groups, 1, taps))
    wanted = reference.conv2d(x, weight, bias, padding=(0, 1), groups=groups)
    y = convolve(x, weight, bias, 1)
    assert relative_error(y, wanted) < 1e-5
    relu = convolve(x, weight, bias, 1, activation=RELU)
    np.testing.assert_array_equal(relu, np.maximum(y, 0))
    for view in VIEWS:
        np.testing.assert_array_equal(convolve(x, weight, bias, 1, view), y)
        np.testing.assert_array_equal(convolve(x, weight, bias, 1, view, prepared=True), y)
        np.testing.assert_array_equal(convolve(x, weight, bias, 1, view, activation=RELU), relu)


def check_every_size():
    for dtype, bound in ((np.float32, 1e-5), (np.float64, 1e-13)):
        for taps in TAPS:
            for width in (5, 6, 8, 9, 37, 300):
                x, weight, bias = drawn(width, (2, 18, 1, width), (20, 18, 1, taps), dtype)
                wanted = reference.conv2d(x, weight, bias, padding=(0, 2))
                for view in VIEWS:
                    assert relative_error(convolve(x, weight, bias, 2, view), wanted) < bound, (taps, width, view)


@pytest.mark.parametrize("name", isa.known())
def test_every_size_with_every_instruction_set(name):
    check_with_isa(name, check_every_size)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", range(len(cases.PADDING_MODES)))
@pytest.mark.parametrize("taps", TAPS)
def test_padding_modes(taps, mode, groups):
    x, weight, _ = drawn(mode, (2, 8, 3, 11), (8, 8 // groups, 1, taps))
    wanted = reference.conv2d(x, weight, None, padding=(0, 3), padding_mode=cases.PADDING_MODES[mode],
                              padding_value=1.5, groups=groups)
    for view in VIEWS:
        assert relative_error(convolve(x, weight, None, 3, view, mode=mode, value=1.5), wanted) < 1e-5


# (items, channels, samples), filters, taps: what is one thread's, what all share, filters in one place or in panels
LAYOUTS = [((5, 64, 90), 64, 3), ((1, 64, 3000), 64, 2), ((16, 128, 125), 256, 3), ((2, 256, 31), 512, 3),
           ((3, 96, 64), 100, 5), ((1, 320, 700), 320, 2), ((2, 40, 7), 33, 5)]


@pytest.mark.parametrize("x_shape, filters, taps", LAYOUTS)
def test_any_number_of_threads_gives_the_same_bits(x_shape, filters, taps):
    x, weight, bias = drawn(filters, (*x_shape[:2], 1, x_shape[2]), (filters, x_shape[1], 1, taps))
    wanted = convolve(x, weight, bias, 1)
    assert relative_error(wanted, fc.conv2d(x, weight, bias, padding=(0, 1), algorithm="gemm")) < 1e-5
    for threads in (1, 2, 3, 16):
        with fc.num_threads(threads):
            for view in ("nchw", "nhwc"):
                np.testing.assert_array_equal(convolve(x, weight, bias, 1, view), wanted)
                np.testing.assert_array_equal(convolve(x, weight, bias, 1, view, prepared=True), wanted)


@pytest.mark.parametrize("taps", TAPS)
def test_error(taps):
    """The promise is 2e-5."""
    x, weight, _ = drawn(taps, (1, 512, 1, 64), (32, 512, 1, taps))
    wanted = reference.conv2d(x, weight, None)
    assert relative_error(convolve(x, weight), wanted) < (6e-6 if taps == 5 else 2.5e-6)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("dilation", [1, 2, 7])
def test_signals(taps, dilation):
    """What a signal and its gradients make of it, in a call and a plan."""
    x, weight, bias = drawn(dilation, (3, 24, 150), (20, 24, taps))
    options = {"dilation": dilation, "padding": 3}
    window = {"dilation": (1, dilation), "padding": (0, 3)}
    planes = x[:, :, None], weight[:, :, None]
    y = fc.conv1d(x, weight, bias, algorithm="winograd", **options)
    wanted = reference.conv2d(*planes, bias, **window)[:, :, 0]
    assert relative_error(y, wanted) < 1e-5
    plan = fc.plan_conv1d(x.shape, weight, bias, algorithm="winograd", **options)
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(plan(x), y)
    exact = reference.conv2d_backward(wanted[:, :, None], *planes, **window)
    for got, exact_one in zip(fc.conv1d_backward(y, x, weight, **options), exact):
        assert relative_error(got.reshape(exact_one.shape), exact_one) < 1e-5


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e30])
def test_what_is_not_finite_or_loud_stays_where_the_sum_has_it(taps, value):
    """Outputs that see quiet samples alone, beside one that is louder by far, are as good as others."""
    x, weight, _ = drawn(4, (4, 128, 700), (128, 128, taps))
    x[1, 3, 401] = value
    told = fc.explain(x.shape, weight.shape, padding=1)
    assert told.algorithm == "winograd", told
    y, sums = fc.conv1d(x, weight, padding=1), fc.conv1d(x, weight, padding=1, algorithm="gemm")
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(sums))
    quiet = np.ones(y.shape[2], bool)
    quiet[402 - taps:402 + 1] = False
    assert relative_error(y[..., quiet], sums[..., quiet]) < 1e-5
    for first in range(396, 402 - taps):    # each output by itself
        assert relative_error(y[1, :, first], sums[1, :, first]) < 1e-5


def test_what_it_does_not_serve():
    x, weight, _ = drawn(5, (1, 8, 40), (8, 8, 3))
    for options in ({"stride": 2}, {"padding": 3, "padding_mode": "reflect", "dilation": 2}):
        with pytest.raises(ValueError, match="rows or columns of 2, 3 or 5 taps with stride 1"):
            fc.conv1d(x, weight, algorithm="winograd", **options)
    with pytest.raises(ValueError, match="rows or columns of 2, 3 or 5 taps with stride 1"):
        fc.conv1d(x, np.ones((8, 8, 4), np.float32), algorithm="winograd")
