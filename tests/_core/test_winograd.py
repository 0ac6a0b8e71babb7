"""The Winograd driver: every scheme, layout, group size and padding mode; its error; values that are not finite."""

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.runtime import isa
from fastconv._core.winograd import forward as winograd

SCHEMES = {"f43": (3, 1), "f45": (5, 1), "f43s2": (3, 2), "f42": (2, 1)}
VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "nhwc, some channels": lambda a: np.pad(a.transpose(0, 2, 3, 1),
                                            ((0, 0),) * 3 + ((1, 2),)).transpose(0, 3, 1, 2)[:, 1:-2],
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
}
RELU = 1


def convolve(x, weight, bias=None, stride=1, padding=0, view="nchw", **options):
    """The driver alone, on (N, C, H, W) arrays laid out as VIEWS says."""
    size = fc.conv_output_size(x.shape[2:], weight.shape[2:], stride, padding)
    y = VIEWS[view](np.full((len(x), len(weight), *size), np.nan, x.dtype))
    window = Window((stride, stride), (1, 1), (padding, padding), options.get("mode", 0), options.get("value", 0.0))
    conv = Convolution(VIEWS[view](x), weight, bias, y, window, Epilogue(options.get("activation", 0), 0.01))
    winograd.conv2d(conv, winograd.prepare(conv) if options.get("prepared") else None)
    return y


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("channels, filters, groups",
                         [(1, 1, 1), (3, 17, 1), (16, 16, 1), (17, 33, 1), (40, 5, 1), (4, 4, 2),
                          (16, 16, 8), (24, 24, 3), (9, 9, 3), (66, 34, 2)])
def test_channels_and_groups(scheme, channels, filters, groups):
    size, stride = SCHEMES[scheme]
    rng = np.random.default_rng(channels * filters + groups)
    x = rng.standard_normal((3, channels, 13, 10)).astype(np.float32)
    weight = rng.standard_normal((filters, channels // groups, size, size)).astype(np.float32)
    bias = rng.standard_normal(filters).astype(np.float32)
    wanted = reference.conv2d(x, weight, bias, stride=stride, padding=1, groups=groups)
    y = convolve(x, weight, bias, stride, 1)
    assert relative_error(y, wanted) < 1e-5
    relu = convolve(x, weight, bias, stride, 1, activation=RELU)
    np.testing.assert_array_equal(relu, np.maximum(y, 0))
    for view in VIEWS:
        np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view), y)
        np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view, activation=RELU), relu)


def check_narrow_groups():
    """Groups of 1 to 8 channels that share vectors, of which the last is partly filled,
    and the gradient of their input."""
    rng = np.random.default_rng(6)
    for width in range(1, 9):
        groups = 2 * (16 // width) + 1
        channels = groups * width
        for dtype, bound in ((np.float32, 1e-5), (np.float64, 1e-13)):
            x = rng.standard_normal((2, channels, 7, 10)).astype(dtype)
            bias = rng.standard_normal(channels).astype(dtype)
            for size, stride in SCHEMES.values():
                weight = rng.standard_normal((channels, width, size, size)).astype(dtype)
                wanted = reference.conv2d(x, weight, bias, stride=stride, padding=1, groups=groups)
                for view in VIEWS:
                    y = convolve(x, weight, bias, stride, 1, view)
                    assert relative_error(y, wanted) < bound, (width, size, stride, view)
                    np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view, prepared=True), y)
                    np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view, activation=RELU),
                                                  np.maximum(y, 0))
                if stride == 1:
                    grad_output = rng.standard_normal(wanted.shape).astype(dtype)
                    got = fc.conv2d_backward(grad_output, x, weight, padding=1, groups=groups)[0]
                    wanted = reference.conv2d_backward(grad_output, x, weight, padding=1, groups=groups)[0]
                    assert relative_error(got, wanted) < bound, (width, size)


@pytest.mark.parametrize("name", isa.known())
def test_narrow_groups_with_every_instruction_set(name):
    check_with_isa(name, check_narrow_groups)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_not_finite_stays_in_its_group(data_format):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((2, 48, 24, 24)).astype(np.float32)
    weight = rng.standard_normal((48, 16, 3, 3)).astype(np.float32)
    x[1, 20, 5, 6] = np.nan
    x = cases.to_format(x, data_format)
    assert fc.explain(x.shape, weight.shape, padding=1, groups=3, data_format=data_format).algorithm == "winograd"
    auto, gemm = (cases.to_nchw(fc.conv2d(x, weight, padding=1, groups=3, data_format=data_format, algorithm=name),
                                data_format)
                  for name in ("auto", "gemm"))
    np.testing.assert_array_equal(np.isnan(auto), np.isnan(gemm))
    np.testing.assert_array_equal(auto[1, :, 4:8], gemm[1, :, 4:8])    # the tiles that meet it
    np.testing.assert_allclose(auto, gemm, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("height, width", [(5, 5), (6, 7), (9, 33), (20, 5), (5, 300), (31, 18)])
def test_planes(scheme, height, width):
    size, stride = SCHEMES[scheme]
    rng = np.random.default_rng(height * width)
    for images in (1, 5):
        x = rng.standard_normal((images, 18, height, width)).astype(np.float32)
        weight = rng.standard_normal((20, 18, size, size)).astype(np.float32)
        wanted = reference.conv2d(x, weight, None, stride=stride, padding=2)
        assert relative_error(convolve(x, weight, None, stride, 2), wanted) < 1e-5
        for view in VIEWS:
            np.testing.assert_array_equal(convolve(x, weight, None, stride, 2, view),
                                          convolve(x, weight, None, stride, 2))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", range(len(cases.PADDING_MODES)))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_padding_modes(scheme, mode, groups):
    size, stride = SCHEMES[scheme]
    rng = np.random.default_rng(mode)
    x = rng.standard_normal((2, 8, 9, 11)).astype(np.float32)
    weight = rng.standard_normal((8, 8 // groups, size, size)).astype(np.float32)
    name = cases.PADDING_MODES[mode]
    wanted = reference.conv2d(x, weight, None, stride=stride, padding=3, padding_mode=name,
                              padding_value=1.5, groups=groups)
    for view in VIEWS:
        assert relative_error(convolve(x, weight, None, stride, 3, view, mode=mode, value=1.5), wanted) < 1e-5


@pytest.mark.parametrize("channels, bound", [(64, 2e-6), (256, 4e-6), (512, 5e-6)])
def test_error(channels, bound):
    """3 x 3: about twice the direct float32 sum's; 5 x 5 up to five times. The promise is 2e-5 for all."""
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((1, channels, 14, 14)).astype(np.float32)
    for size, stride, factor in ((3, 1, 1), (3, 2, 1), (5, 1, 3)):
        weight = rng.standard_normal((32, channels, size, size)).astype(np.float32)
        wanted = reference.conv2d(x, weight, None, stride=stride, padding=1)
        assert relative_error(convolve(x, weight, None, stride, 1), wanted) < factor * bound


def test_float64_to_rounding():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 32, 12, 12)), rng.standard_normal((32, 32, 3, 3))
    assert relative_error(convolve(x, weight, None, 1, 1), reference.conv2d(x, weight, None, padding=1)) < 1e-14


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", [None, "relu", "sigmoid"])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_not_finite_goes_where_the_sum_sends_it(value, activation, data_format):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 16, 12, 12)).astype(np.float32)
    weight = rng.standard_normal((16, 16, 3, 3)).astype(np.float32)
    x[1, 2, 5, 6] = value
    x = cases.to_format(x, data_format)
    assert fc.explain(x.shape, weight.shape, padding=1, data_format=data_format).algorithm == "winograd"
    auto, gemm = (fc.conv2d(x, weight, padding=1, activation=activation, data_format=data_format, algorithm=name)
                  for name in ("auto", "gemm"))
    np.testing.assert_array_equal(np.isfinite(auto), np.isfinite(gemm))
    auto, gemm = cases.to_nchw(auto, data_format), cases.to_nchw(gemm, data_format)
    np.testing.assert_array_equal(auto[1, :, 4:8], gemm[1, :, 4:8])    # the tiles that meet it
    np.testing.assert_allclose(auto, gemm, atol=1e-4)


def test_overflow_inside_the_transform_only():
    x = np.full((1, 16, 8, 8), 2e37, np.float32)
    weight = np.full((16, 16, 3, 3), 1e-3, np.float32)
    np.testing.assert_allclose(fc.conv2d(x, weight), fc.conv2d(x, weight, algorithm="gemm"), rtol=1e-5)


# (images, channels, rows, columns), filters, size, stride, groups. What is said is true of AVX-512 and one thread:
# where the transformed filters are, and whether a block is one thread's.
LAYOUTS = [
    ((5, 64, 30, 30), 64, 3, 1, 1),        # a copy for each thread; private blocks
    ((9, 32, 13, 13), 32, 3, 1, 4),        # of four groups, joined in pairs
    ((3, 28, 90, 90), 28, 3, 1, 7),        # of seven groups, four in a vector
    ((3, 96, 20, 20), 96, 3, 1, 2),        # of two groups of 48
    ((4, 128, 28, 28), 128, 3, 2, 1),      # in one place; private blocks
    ((2, 64, 27, 27), 96, 5, 1, 1),
    ((1, 48, 12, 200), 128, 3, 1, 1),      # three strips: two threads share the block
    ((3, 200, 14, 14), 200, 3, 1, 1),      # a panel just before its use; one shared block
    ((1, 300, 9, 6), 24, 3, 2, 1),
    ((2, 320, 40, 40), 320, 3, 1, 1),      # in one place; two shared blocks
]


@pytest.mark.parametrize("x_shape, filters, size, stride, groups", LAYOUTS)
def test_any_number_of_threads_and_any_layout_gives_the_same_bits(x_shape, filters, size, stride, groups):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(x_shape).astype(np.float32)
    weight = rng.standard_normal((filters, x_shape[1] // groups, size, size)).astype(np.float32)
    bias = rng.standard_normal(filters).astype(np.float32)
    gemm = fc.conv2d(x, weight, bias, stride=stride, padding=1, groups=groups, algorithm="gemm")
    wanted = convolve(x, weight, bias, stride, 1)
    assert relative_error(wanted, gemm) < 1e-5
    for threads in (1, 2, 3, 16):
        with fc.num_threads(threads):
            for view in ("nchw", "nhwc"):
                np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view), wanted)
                np.testing.assert_array_equal(convolve(x, weight, bias, stride, 1, view, prepared=True), wanted)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("size", [3, 5])
def test_dilation(size, data_format):
    """Phases of several sizes, one in the padding alone (2 rows, dilation 4), in the forward pass,
    a plan and the gradients; a NaN reaches what the sum sends it to, and no other phase."""
    rng = np.random.default_rng(size)
    for x_shape, dilation, padding, groups in (
            ((2, 6, 13, 18), (2, 2), 3, 1), ((1, 6, 9, 8), (1, 3), (2, 7), 2), ((3, 6, 11, 10), (3, 1), 6, 1),
            ((1, 6, 2, 9), (4, 2), (8, 4), 1)):
        x = rng.standard_normal(x_shape).astype(np.float32)
        w = rng.standard_normal((9 * groups, 6 // groups, size, size)).astype(np.float32)
        b = rng.standard_normal(9 * groups).astype(np.float32)
        options = {"dilation": dilation, "padding": padding, "groups": groups, "padding_value": 0.5,
                   "activation": "relu"}
        wanted = np.maximum(reference.conv2d(x, w, b, dilation=dilation, padding=padding, groups=groups,
                                             padding_value=0.5), 0)
        here = cases.to_format(x, data_format)
        y = fc.conv2d(here, w, b, data_format=data_format, algorithm="winograd", **options)
        assert relative_error(cases.to_nchw(y, data_format), wanted) < 1e-5
        plan = fc.plan_conv2d(here.shape, w, b, data_format=data_format, algorithm="winograd", **options)
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                np.testing.assert_array_equal(plan(here), y)
                np.testing.assert_array_equal(fc.conv2d(here, w, b, data_format=data_format,
                                                        algorithm="winograd", **options), y)
        here[0, here.shape[1] // 2, here.shape[2] // 2, 1] = np.nan
        y = fc.conv2d(here, w, b, data_format=data_format, algorithm="winograd", **options)
        wanted = fc.conv2d(here, w, b, data_format=data_format, algorithm="gemm", **options)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))


def test_dilation_is_chosen_where_it_pays():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 32, 40, 40)).astype(np.float32)
    w = rng.standard_normal((48, 32, 3, 3)).astype(np.float32)
    options = {"padding": 2, "dilation": 2}
    assert fc.explain(x.shape, w.shape, **options).algorithm == "winograd"
    assert fc.explain(x.shape, w.shape, padding_mode="reflect", **options).algorithm != "winograd"
    assert fc.explain(x.shape, w.shape, padding=12, dilation=12).algorithm != "winograd"
    with pytest.raises(ValueError, match="dilation with stride 1 and constant padding"):
        fc.conv2d(x, w, algorithm="winograd", padding_mode="reflect", **options)
    y = fc.conv2d(x, w, **options)
    wanted = reference.conv2d(x, w, None, **options)
    assert relative_error(y, wanted) < 1e-5
    grad_x, _, _ = fc.conv2d_backward(y, x, w, **options)
    back = fc.conv2d_backward(y.astype(np.float64), x.astype(np.float64), w.astype(np.float64), **options)[0]
    assert relative_error(grad_x, back) < 1e-5


def test_random_options():
    checked = 0
    for case in cases.random_conv_cases(1200, 40):
        if not (cases.may_be_winograd(case, np.float32) and np.all(np.asarray(case.stride) == 1)):
            continue
        x, weight, bias, _ = case.arrays(dtype=np.float32)
        y = fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **case.window(), data_format=case.data_format,
                      algorithm="winograd")
        wanted = reference.conv2d(x, weight, bias, **case.window())
        cases.assert_close_to_sum(cases.to_nchw(y, case.data_format), wanted, case)
        checked += 1
    assert checked > 15
