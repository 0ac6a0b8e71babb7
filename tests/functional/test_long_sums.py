"""Sums over many pixels, rows or classes are as right as those over a few:
to 1e-6 in single precision, in every layout."""

import numpy as np
import pytest
from processes import check_with_isa

import fastconv as fc
from fastconv._core.runtime import isa

NEAR = {"rtol": 1e-6}
FORMATS = ["NCHW", "NHWC"]
GREY = np.float32(0.1)  # a sum of equal numbers loses the same way at every step


def in_format(x, data_format):
    """An (N, C, H, W) array in memory of that format, as the function wants it."""
    return np.ascontiguousarray(x if data_format == "NCHW" else x.transpose(0, 2, 3, 1))


def images(shape, seed=0):
    """A grey image and one of random pixels, (N, C, H, W)."""
    return np.full(shape, GREY), np.random.default_rng(seed).random(shape, np.float32)


def window_sums(x, kernel_size, stride):
    """The sums over windows, in double precision, by differences of running sums."""
    for axis, (size, step) in zip((2, 3), zip(kernel_size, stride)):
        running = np.cumsum(np.insert(x.astype(np.float64), 0, 0, axis), axis)
        starts = np.arange(0, x.shape[axis] - size + 1, step)
        x = running.take(starts + size, axis) - running.take(starts, axis)
    return x


@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.parametrize("data_format", FORMATS)
def test_global_average(data_format, channels):
    for x in images((1, channels, 700, 500)):
        y = fc.global_avg_pool2d(in_format(x, data_format), data_format=data_format)
        np.testing.assert_allclose(y.ravel(), x.mean((2, 3), dtype=np.float64).ravel(), **NEAR)


@pytest.mark.parametrize("data_format", FORMATS)
def test_global_average_of_more_pixels_than_single_precision_counts(data_format):
    shape = (1, 2, 4200, 4100) if data_format == "NCHW" else (1, 4200, 4100, 2)
    white = np.broadcast_to(np.float32(1), shape)
    np.testing.assert_array_equal(fc.global_avg_pool2d(white, data_format=data_format).ravel(), 1)


WINDOWS = {
    "one long row": ((1, 2, 1, 90_000), (1, 70_000), (1, 1000)),
    "one long column": ((1, 2, 90_000, 1), (70_000, 1), (1000, 1)),
    "rows": ((1, 2, 3, 9_000), (3, 3_000), (1, 20)),
    "rows, near": ((1, 2, 3, 9_000), (3, 3_000), (1, 7)),
    "columns": ((1, 2, 3_000, 20), (1_000, 3), (3, 2)),
    "squares": ((1, 3, 90, 91), (40, 40), (1, 1)),
    "large squares": ((1, 2, 310, 300), (290, 280), (5, 5)),
}


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name, data_format):
    shape, kernel_size, stride = WINDOWS[name]
    for x in images(shape):
        expected = window_sums(x, kernel_size, stride) / np.prod(kernel_size)
        formatted = in_format(x, data_format)
        y = fc.avg_pool2d(formatted, kernel_size, stride=stride, data_format=data_format)
        np.testing.assert_allclose(y, in_format(expected, data_format), **NEAR)
        if data_format == "NCHW":  # columns that are no neighbours
            y = fc.avg_pool2d(np.repeat(x, 2, axis=3)[..., ::2], kernel_size, stride=stride)
            np.testing.assert_allclose(y, expected, **NEAR)


def check_windows():
    """For other instruction sets."""
    for name in WINDOWS:
        for data_format in FORMATS:
            test_windows(name, data_format)
    for data_format in FORMATS:
        test_global_average(data_format, 3)
        test_bias_gradient(data_format)
    for axis in (0, 1):
        test_softmax(axis)


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_windows)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("shape, kernel_size, stride", [((2, 3, 60, 61), 30, 1), ((1, 2, 40, 400), (3, 90), (1, 2)),
                                                        ((1, 2, 300, 290), 280, 1), ((1, 2, 1, 3000), (1, 1000), 1),
                                                        ((1, 2, 3000, 1), (1000, 1), 1), ((1, 70, 20, 21), 9, 1)],
                         ids=str)
def test_gradient_of_averages(shape, kernel_size, stride, data_format):
    (r, s), (step_h, step_w) = np.broadcast_to(kernel_size, 2), np.broadcast_to(stride, 2)
    oh, ow = (shape[2] - r) // step_h + 1, (shape[3] - s) // step_w + 1
    covers_h = np.array([[i * step_h <= h < i * step_h + r for i in range(oh)] for h in range(shape[2])], float)
    covers_w = np.array([[j * step_w <= w < j * step_w + s for j in range(ow)] for w in range(shape[3])], float)
    for grad in images((*shape[:2], oh, ow)):
        expected = covers_h @ (grad.astype(np.float64) / (r * s)) @ covers_w.T
        grad_x = fc.avg_pool2d_backward(in_format(grad, data_format),
                                        in_format(expected, data_format).shape, kernel_size, stride=stride,
                                        data_format=data_format)
        np.testing.assert_allclose(grad_x, in_format(expected, data_format), **NEAR)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("size, output_size",
                         [((1, 1), (700, 600)), ((3, 2), (500, 301)), ((50, 1), (7, 9000))], ids=str)
def test_gradient_of_adaptive_averages(size, output_size, data_format):
    """More outputs than pixels: each pixel is in many windows."""
    shares = []
    for length, outputs in zip(size, output_size):
        share = np.zeros((length, outputs))
        for i in range(outputs):
            pixels = slice(i * length // outputs, -((i + 1) * -length // outputs))
            share[pixels, i] = 1 / len(range(length)[pixels])
        shares.append(share)
    for grad in images((1, 3, *output_size)):
        expected = shares[0] @ grad.astype(np.float64) @ shares[1].T
        grad_x = fc.adaptive_avg_pool2d_backward(in_format(grad, data_format),
                                                 in_format(expected, data_format).shape, output_size,
                                                 data_format=data_format)
        np.testing.assert_allclose(grad_x, in_format(expected, data_format), **NEAR)


@pytest.mark.parametrize("data_format", FORMATS)
def test_gradient_of_maxima(data_format):
    """A pixel that is the maximum of many windows."""
    x = np.zeros((1, 2, 300, 310), np.float32)
    x[:, :, 150, 160] = 1
    formatted, options = in_format(x, data_format), {"stride": 1, "data_format": data_format}
    y, indices = fc.max_pool2d(formatted, (150, 140), return_indices=True, **options)
    for grad in images((1, 2, *(y.shape[2:] if data_format == "NCHW" else y.shape[1:3]))):
        grad_x = fc.max_pool2d_backward(in_format(grad, data_format), indices, formatted.shape, (150, 140), **options)
        expected = np.zeros((2, 300 * 310))
        for channel, positions in enumerate(indices[0] if data_format == "NCHW" else indices[0].transpose(2, 0, 1)):
            np.add.at(expected[channel], positions.ravel(), grad[0, channel].ravel().astype(np.float64))
        np.testing.assert_allclose(grad_x, in_format(expected.reshape(x.shape), data_format), **NEAR)
    indices.flat[5] = -1
    with pytest.raises(ValueError, match="indices"):
        fc.max_pool2d_backward(in_format(grad, data_format), indices, formatted.shape, (150, 140), **options)


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax(axis):
    rng = np.random.default_rng(0)
    for x in (np.zeros((1_000_000, 3), np.float32), rng.standard_normal((300_000, 5), np.float32)):
        x = np.ascontiguousarray(x if axis == 0 else x.T)
        powers = np.exp(x.astype(np.float64))
        expected = powers / powers.sum(axis, keepdims=True)
        y = fc.softmax(x, axis)
        np.testing.assert_allclose(y, expected, **NEAR)
        log_y = fc.log_softmax(x, axis)
        np.testing.assert_allclose(log_y, np.log(expected), **NEAR)
        grad = np.full(x.shape, GREY) * rng.random(x.shape, np.float32)
        weighted = (grad * y.astype(np.float64)).sum(axis, keepdims=True)
        np.testing.assert_allclose(fc.softmax_backward(grad, y, axis), y * (grad - weighted), rtol=1e-6,
                                   atol=1e-6 * y.max())
        expected = grad - np.exp(log_y.astype(np.float64)) * grad.sum(axis, keepdims=True, dtype=np.float64)
        np.testing.assert_allclose(fc.log_softmax_backward(grad, log_y, axis), expected, rtol=1e-6, atol=1e-6)


def test_cross_entropy_of_many_classes_and_rows():
    x = np.zeros((2, 1_000_000), np.float32)
    np.testing.assert_allclose(fc.cross_entropy(x, [0, 5]), np.log(1e6), **NEAR)
    x, labels = np.full((300_000, 2), GREY), np.zeros(300_000, int)
    for reduction, right in (("mean", np.log(2)), ("sum", 300_000 * np.log(2))):
        np.testing.assert_allclose(fc.cross_entropy(x, labels, reduction=reduction), right, **NEAR)
        log_probs = np.full((300_000, 2), -GREY)
        right = float(GREY) * (1 if reduction == "mean" else 300_000)
        np.testing.assert_allclose(fc.nll_loss(log_probs, labels, reduction=reduction), right, **NEAR)


@pytest.mark.parametrize("data_format", FORMATS)
def test_bias_gradient(data_format):
    for channels in (1, 3, 16):
        for grad in images((2, channels, 600, 500)):
            formatted, weight = in_format(grad, data_format), np.ones((channels, 1, 1, 1), np.float32)
            _, _, grad_bias = fc.conv2d_backward(formatted, formatted, weight, groups=channels, data_format=data_format,
                                                 needs=(False, False, True))
            np.testing.assert_allclose(grad_bias, grad.sum((0, 2, 3), dtype=np.float64), **NEAR)
            rows = in_format(grad, "NHWC").reshape(-1, channels)
            _, _, grad_bias = fc.linear_backward(rows, rows[:, :1], np.ones((channels, 1), np.float32),
                                                 needs=(False, False, True))
            np.testing.assert_allclose(grad_bias, grad.sum((0, 2, 3), dtype=np.float64), **NEAR)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_what_is_not_finite_goes_where_the_sum_sends_it(value, data_format):
    x = np.full((1, 3, 30, 31), GREY)
    x[0, 1, 20, 17] = value
    x[0, 2, 3:5, 3] = value
    with np.errstate(over="ignore"):
        expected = (x.sum((2, 3), dtype=np.float32) / np.float32(x[0, 0].size)).ravel()
    expected[2] = expected[2] if abs(value) != 3e38 else np.nan
    y = fc.global_avg_pool2d(in_format(x, data_format), data_format=data_format).ravel()
    np.testing.assert_allclose(y[:2], expected[:2], rtol=1e-5)
    assert np.isnan(y[2]) if np.isnan(value) else y[2] == np.inf * np.sign(value) or abs(value) == 3e38
    y = fc.avg_pool2d(in_format(x, data_format), (30, 31), data_format=data_format).ravel()
    np.testing.assert_allclose(y[:2], expected[:2], rtol=1e-5)
