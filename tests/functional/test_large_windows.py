"""Windows that share most of their pixels: exact maxima, averages that a loud pixel spoils
nowhere but where it is seen."""

import sys
import time

import numpy as np
import pytest
from processes import check_with_isa, peak_memory

import fastconv as fc
from fastconv._core.runtime import isa

scipy_ndimage = pytest.importorskip("scipy.ndimage")

FORMATS = ["NCHW", "NHWC"]


def in_format(x, data_format):
    return np.ascontiguousarray(x if data_format == "NCHW" else x.transpose(0, 2, 3, 1))


def to_nchw(x, data_format):
    return x if data_format == "NCHW" else x.transpose(0, 3, 1, 2)


def check_filters():
    for dtype in (np.float32, np.float64):
        for shape, size in (((1, 2, 130, 170), (25, 25)), ((1, 5, 33, 300), (31, 3)), ((2, 3, 300, 20), (5, 9)),
                            ((1, 1, 600, 610), (63, 101))):
            x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
            options = {"stride": 1, "padding": (size[0] // 2, size[1] // 2)}
            maxima = scipy_ndimage.maximum_filter(x, (1, 1, *size), mode="constant", cval=-np.inf)
            means = scipy_ndimage.uniform_filter(x.astype(np.float64), (1, 1, *size), mode="constant")
            for data_format in FORMATS:
                formatted, layout = in_format(x, data_format), {"data_format": data_format}
                y, index = fc.max_pool2d(formatted, size, return_indices=True, **options, **layout)
                np.testing.assert_array_equal(to_nchw(y, data_format), maxima)
                np.testing.assert_array_equal(fc.max_pool2d(formatted, size, **options, **layout), y)
                index = to_nchw(index, data_format).reshape(*shape[:2], -1)
                np.testing.assert_array_equal(np.take_along_axis(x.reshape(*shape[:2], -1), index, 2).reshape(shape),
                                              maxima)
                mean = fc.avg_pool2d(formatted, size, **options, **layout)
                np.testing.assert_allclose(to_nchw(mean, data_format), means, rtol=0, atol=8 * np.finfo(dtype).eps)
                grad_x = fc.avg_pool2d_backward(formatted, formatted.shape, size, **options, **layout)
                np.testing.assert_allclose(to_nchw(grad_x, data_format), means, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", isa.known())
def test_against_filters_of_scipy(name):
    check_with_isa(name, check_filters)


@pytest.mark.parametrize("value", [1e20, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kernel_size, stride",
                         [(3, 1), (9, 1), (13, 1), (25, 1), (13, 2), ((1, 31), 1), ((40, 2), 1)], ids=str)
def test_what_a_window_does_not_see_does_not_matter(kernel_size, stride, data_format, value):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 60, 70), np.float32)
    options = {"stride": stride, "padding": tuple(k // 2 for k in np.broadcast_to(kernel_size, 2).tolist()),
               "data_format": data_format}
    for pixel in ((30, 35), (0, 0), (59, 69)):
        loud, seen = x.copy(), np.zeros_like(x)
        loud[0, 1][pixel], seen[0, 1][pixel] = value, 1
        quiet = fc.avg_pool2d(in_format(x, data_format), kernel_size, **options)
        spoilt = fc.max_pool2d(in_format(seen, data_format), kernel_size, **options) > 0
        y = fc.avg_pool2d(in_format(loud, data_format), kernel_size, **options)
        np.testing.assert_array_equal(y[~spoilt], quiet[~spoilt])
        assert spoilt.any() and not (np.abs(y[spoilt]) < 1e15).any()
        grad = fc.avg_pool2d_backward(y, in_format(x, data_format).shape, kernel_size, **options)
        calm = fc.avg_pool2d_backward(quiet, in_format(x, data_format).shape, kernel_size, **options)
        reached = fc.avg_pool2d_backward(spoilt.astype(np.float32), in_format(x, data_format).shape,
                                         kernel_size, **options) > 0
        np.testing.assert_array_equal(grad[~reached], calm[~reached])


@pytest.mark.parametrize("data_format", FORMATS)
def test_many_equal_pixels(data_format):
    """A sum of 101 x 99 equal numbers is right to 1e-6."""
    x = np.full((1, 2, 200, 210), np.float32(0.1))
    y = fc.avg_pool2d(in_format(x, data_format), (101, 99), stride=1, data_format=data_format)
    np.testing.assert_allclose(y, np.float32(0.1), rtol=1e-6)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kernel_size, padding, counted",
                         [(31, 15, True), ((9, 4), ((4, 2), (0, 2)), False), (2, 0, True)], ids=str)
def test_gradient_is_the_adjoint(kernel_size, padding, counted, data_format):
    rng = np.random.default_rng(0)
    x = in_format(rng.standard_normal((2, 5, 40, 50)), data_format)
    options = {"stride": 1, "padding": padding, "count_include_pad": counted, "data_format": data_format}
    y = fc.avg_pool2d(x, kernel_size, **options)
    grad = rng.standard_normal(y.shape)
    for view in (grad, np.repeat(grad, 2, 3)[..., ::2],
                 np.ascontiguousarray(grad.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)):
        grad_x = fc.avg_pool2d_backward(view, x.shape, kernel_size, **options)
        np.testing.assert_allclose((y * grad).sum(), (x * grad_x).sum(), rtol=1e-10)


# ---------------------------------------------------------------------------------------------------------------------
# Windows that no band holds: rows first, then columns


def taps(output, kernel_size, stride, padding, dilation, size):
    """The pixels of an axis that are in a window, as a slice."""
    start = output * stride - padding
    inside = [at for at in range(start, start + kernel_size * dilation, dilation) if 0 <= at < size]
    return slice(inside[0], inside[-1] + 1, dilation)


def each_window(x, outputs, kernel_size, stride, padding, dilation):
    """(output, window, its pixels' positions in a plane) of all windows of the planes x (..., H, W)."""
    plane = np.arange(x.shape[-2] * x.shape[-1]).reshape(x.shape[-2:])
    for i, j in np.ndindex(*outputs):
        at = (..., *(taps(*of_axis) for of_axis in zip((i, j), kernel_size, stride, padding, dilation, x.shape[-2:])))
        yield (..., i, j), x[at].reshape(*x.shape[:-2], -1), plane[at].ravel()


# (shape, kernel_size, stride, padding, dilation)
LARGE = {
    "stride_1": ((1, 1, 530, 541), (521, 530), (1, 1), (0, 0), (1, 1)),
    "padding": ((1, 2, 300, 280), (515, 517), (9, 13), (257, 258), (1, 1)),
    "strides": ((1, 1, 700, 660), (560, 520), (20, 31), (40, 0), (1, 1)),
    "dilation": ((1, 1, 620, 640), (60, 70), (2, 3), (20, 0), (10, 9)),
    "tall": ((1, 1, 3000, 120), (2900, 100), (7, 2), (0, 0), (1, 1)),
    "wide": ((2, 1, 120, 3000), (100, 2900), (2, 7), (0, 0), (1, 1)),
    "channels": ((1, 17, 140, 150), (131, 133), (1, 2), (0, 5), (1, 1)),
}


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", LARGE)
def test_windows_that_no_band_holds(name, data_format):
    shape, kernel_size, stride, padding, dilation = LARGE[name]
    rng = np.random.default_rng(0)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "data_format": data_format}
    x = np.round(rng.standard_normal(shape) * 100).astype(np.float32)    # each maximum several times
    odd = x.copy()
    odd[..., ::7, ::11] = -np.inf
    odd[0, -1, shape[2] // 2 :: 90, shape[3] // 2 :: 70] = np.nan
    for planes in (x, odd, np.full_like(x, -np.inf)):
        y, index = fc.max_pool2d(in_format(planes, data_format), kernel_size, return_indices=True, **options)
        np.testing.assert_array_equal(fc.max_pool2d(in_format(planes, data_format), kernel_size, **options), y)
        y, index = to_nchw(y, data_format), to_nchw(index, data_format)
        for at, window, positions in each_window(planes, y.shape[2:], kernel_size, stride, padding, dilation):
            np.testing.assert_array_equal(y[at], window.max(-1))
            last = window.shape[-1] - 1 - np.isnan(window)[..., ::-1].argmax(-1)    # of several NaN, as in PyTorch
            np.testing.assert_array_equal(
                index[at], positions[np.where(np.isnan(window).any(-1), last, window.argmax(-1))])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("counted", [{}, {"count_include_pad": False}, {"divisor_override": 1000}], ids=str)
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", LARGE)
def test_averages_of_windows_that_no_band_holds(name, data_format, counted, dtype):
    shape, kernel_size, stride, padding, dilation = LARGE[name]
    x = np.random.default_rng(0).random(shape).astype(dtype)
    y = to_nchw(fc.avg_pool2d(in_format(x, data_format), kernel_size, stride=stride, padding=padding,
                              dilation=dilation, data_format=data_format, **counted), data_format)
    wanted = np.empty(y.shape)
    for at, window, _ in each_window(x.astype(float), y.shape[2:], kernel_size, stride, padding, dilation):
        wanted[at] = window.sum(-1) / (counted.get("divisor_override")
                                       or (np.prod(kernel_size) if not counted else window.shape[-1]))
    np.testing.assert_allclose(y, wanted, rtol=8 * np.finfo(dtype).eps)


def test_the_cost_of_a_window_does_not_grow_with_its_pixels():
    """401 x 401 windows of 600 x 600 would be 6e10 comparisons, or additions: half a minute."""
    x = np.random.default_rng(0).random((1000, 1000), np.float32)
    for data_format, images in (("NCHW", x[None]), ("NHWC", np.stack([x] * 3, -1))):
        start = time.process_time()
        fc.max_pool2d(images, 600, stride=1, data_format=data_format, return_indices=True)
        fc.avg_pool2d(images, 600, stride=1, data_format=data_format)
        assert time.process_time() - start < 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("data_format", FORMATS)
def test_scratch_of_windows_that_no_band_holds(data_format):
    shape = (1, 3, 1500, 1500) if data_format == "NCHW" else (1, 1500, 1500, 3)
    grown = peak_memory(f"x = np.ones({shape}, np.float32); fc.max_pool2d(x, 2, data_format={data_format!r})",
                        f"fc.max_pool2d(x, 1300, stride=1, return_indices=True, data_format={data_format!r})", 2)
    assert grown < 3 * 201 * 201 * 12 / 2**20 + 8
