"""Sums of very many terms in single precision, equal ones, whose rounding errors all point the
same way, and random ones."""

import cases
import numpy as np
import pytest

import fastconv as fc
from fastconv._core.depthwise import forward as depthwise
from fastconv._core.problem.convolution import Convolution, Window

BOUND = 1.5e-6    # of the largest; a running sum of a million equal terms loses 1e-5 to 1e-3


def fill(kind, *shape):
    rng = np.random.default_rng(sum(shape))
    return np.full(shape, 0.1, np.float32) if kind == "equal" else rng.random(shape, np.float32)


def error(got, wanted):
    return np.abs(got - wanted).max() / np.abs(wanted).max()


GRADIENTS = {
    "depthwise": ((1, 2, 900, 1000), (2, 1, 3, 3), 2),
    "depthwise, several filters": ((2, 2, 600, 700), (4, 1, 3, 3), 2),
    "depthwise, any filter": ((1, 1, 900, 1000), (1, 1, 2, 3), 1),
    "depthwise, transposed planes": ((4000, 16, 7, 7), (16, 1, 3, 3), 16),
    "depthwise, channels last": ((1, 16, 500, 600), (16, 1, 3, 3), 16),
    "depthwise, channels last, a wide image": ((1, 16, 3, 60_000), (16, 1, 3, 3), 16),
    "depthwise, channels last, any filter": ((1, 16, 300, 600), (16, 1, 2, 1), 16),
    "depthwise, channels last, pixels side by side": ((1, 4, 700, 900), (4, 1, 3, 3), 4),
    "depthwise, channels last, several filters": ((1, 8, 400, 600), (16, 1, 3, 3), 8),
    "one channel": ((1, 1, 1200, 1000), (1, 1, 1, 1), 1),
    "few channels": ((1, 4, 900, 1000), (4, 4, 1, 1), 1),
    "taps": ((1, 8, 400, 500), (8, 8, 3, 3), 1),
    "channels": ((1, 64, 300, 400), (64, 64, 1, 1), 1),
}


@pytest.mark.parametrize("kind", ["equal", "random"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_weight_gradient(name, kind):
    x_shape, (k, c, r, s), groups = GRADIENTS[name]
    oh, ow = x_shape[2] - r + 1, x_shape[3] - s + 1
    x, grad = fill(kind, *x_shape), fill(kind, x_shape[0], k, oh, ow)
    form = "NHWC" if "channels last" in name else "NCHW"
    weight, filters = np.ones((k, c, r, s), np.float32), k // groups
    wanted = np.empty(weight.shape)
    wide_x, wide_grad = (np.moveaxis(array, 1, 0).astype(np.float64) for array in (x, grad))
    for first in range(groups):
        of = slice(first * filters, (first + 1) * filters)
        g = wide_grad[of].reshape(filters, -1)
        for i in range(r):
            for j in range(s):
                seen = wide_x[first * c:(first + 1) * c, :, i:i + oh, j:j + ow].reshape(c, -1)
                wanted[of, :, i, j] = g @ seen.T
    results = []
    for threads in (1, 3):
        with fc.num_threads(threads):
            results.append(fc.conv2d_backward(cases.to_format(grad, form), cases.to_format(x, form),
                                              weight, groups=groups, data_format=form, needs=(False, True, False))[1])
    assert error(results[0], wanted) < BOUND
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("kind", ["equal", "random"])
@pytest.mark.parametrize("rows, features, outputs", [(1, 4096, 8), (2, 4097, 9), (3, 300_000, 5), (70, 20_000, 17)])
def test_linear(rows, features, outputs, kind):
    x, weight, bias = fill(kind, rows, features), fill(kind, outputs, features), fill(kind, outputs)
    wanted = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    results = []
    for threads in (1, 3):
        with fc.num_threads(threads):
            results.append(fc.linear(x, weight, bias))
    assert error(results[0], wanted) < BOUND
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("kind", ["equal", "random"])
@pytest.mark.parametrize("layout", ["planes", "every second column", "strides"])
def test_large_filter_of_one_channel(layout, kind):
    """100 x 100 taps, and 3 x 1000, which are not tall."""
    for r, s in ((100, 100), (3, 1000), (30, 7)):
        x, weight, bias = fill(kind, 1, 1, r + 8, s + 20), fill(kind, 1, 1, r, s), fill(kind, 1)
        step = 2 if layout == "strides" else 1
        wide = np.lib.stride_tricks.sliding_window_view(x[0, 0].astype(np.float64), (r, s))[::step, ::step]
        wanted = (wide * weight[0, 0]).sum((2, 3)) + bias
        out = np.zeros((1, 1, *wanted.shape), np.float32)
        if layout == "every second column":    # as the data gradient has it
            out = np.zeros((1, 1, wanted.shape[0], 2 * wanted.shape[1]), np.float32)[..., ::2]
            depthwise.conv2d(Convolution(x, weight, bias, out, Window()))
        else:
            fc.conv2d(x, weight, bias, stride=step, algorithm="direct", activation="relu", out=out)
        assert error(out[0, 0], wanted) < BOUND
