"""The product of one channel with filters of one row: every layout, number of filters, dilation and padding mode, and
outputs larger than the caches."""

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.product import rows
from fastconv._core.runtime import isa


def convolve(x, weight, bias=None, *, padding=0, dilation=1, activation=0, mode=0, value=0.0, channels_last=False):
    """The driver alone, on (N, C, H, W) arrays, of which those of the last kind are in memory as NHWC."""
    outputs = fc.conv_output_size(x.shape[3], weight.shape[3], 1, padding, dilation)
    shape = (len(x), len(weight), x.shape[2], outputs)
    y = np.full(shape, np.nan, x.dtype)
    if channels_last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        y = np.full((shape[0], *shape[2:], shape[1]), np.nan, x.dtype).transpose(0, 3, 1, 2)
    window = Window((1, 1), (1, dilation), (0, padding), mode, value)
    rows.conv2d(Convolution(x, weight, bias, y, window, Epilogue(activation, 0.25)))
    return y


def check_sizes():
    """Integers: every order of the sum has the same bits."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for filters in (1, 5, 6, 7, 14, 29, 300):
            for width, taps, dilation, padding in ((1, 1, 1, 0), (3, 2, 1, 1), (15, 7, 2, 6), (16, 9, 3, 12),
                                                   (33, 9, 1, 0), (70, 11, 6, 30), (500, 7, 80, 240)):
                x = rng.integers(-4, 5, (2, 1, 2, width)).astype(dtype)
                weight = rng.integers(-4, 5, (filters, 1, 1, taps)).astype(dtype)
                bias = rng.integers(-4, 5, filters).astype(dtype)
                wanted = reference.conv2d(x, weight, bias, padding=(0, padding), dilation=(1, dilation))
                for channels_last in (False, True):
                    got = convolve(x, weight, bias, padding=padding, dilation=dilation, channels_last=channels_last)
                    np.testing.assert_array_equal(got, wanted)
                np.testing.assert_array_equal(
                    convolve(x, weight, bias, padding=padding, dilation=dilation, activation=1), np.maximum(wanted, 0))


@pytest.mark.parametrize("name", isa.known())
def test_sizes_with_every_instruction_set(name):
    check_with_isa(name, check_sizes)


@pytest.mark.parametrize("mode", range(len(cases.PADDING_MODES)))
def test_padding_modes_and_groups(mode):
    rng = np.random.default_rng(mode)
    x = rng.standard_normal((2, 3, 2, 19)).astype(np.float32)
    weight = rng.standard_normal((21, 1, 1, 5)).astype(np.float32)
    wanted = reference.conv2d(x, weight, None, padding=(0, 4), dilation=(1, 2), groups=3,
                              padding_mode=cases.PADDING_MODES[mode], padding_value=1.5)
    got = convolve(x, weight, None, padding=4, dilation=2, mode=mode, value=1.5)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_strided_filters_and_signals():
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (2, 1, 80)).astype(np.float32)[..., ::2]
    weight = rng.integers(-4, 5, (9, 7, 1)).astype(np.float32)[:, ::-1].transpose(0, 2, 1)
    wanted = reference.conv2d(x[:, :, None], weight[:, :, None], None)[:, :, 0]
    np.testing.assert_array_equal(convolve(x[:, :, None], weight[:, :, None])[:, :, 0], wanted)
    np.testing.assert_array_equal(fc.conv1d(x, weight, algorithm="gemm"), wanted)


@pytest.mark.parametrize("shape, filters, padding", [
    ((40, 1, 1, 1500), 150, 3),     # past the caches, a panel in one piece,
    ((3, 1, 5, 9001), 67, 0),       # or row by row, in several blocks
])
def test_outputs_larger_than_the_caches(shape, filters, padding):
    rng = np.random.default_rng(2)
    x = rng.integers(-4, 5, shape).astype(np.float32)
    weight = rng.integers(-4, 5, (filters, 1, 1, 7)).astype(np.float32)
    bias = rng.integers(-4, 5, filters).astype(np.float32)
    y = fc.conv2d(x, weight, bias, padding=(0, padding), algorithm="direct")
    assert y.nbytes > 24 << 20
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(convolve(x, weight, bias, padding=padding), y)


def test_planner_takes_it_for_random_filters_on_series():
    for size, filters, taps, dilation, padding in ((500, 271, 7, 1, 0), (500, 57, 9, 6, 24), (500, 100, 11, 4, 20)):
        told = fc.explain((100, 1, size), (filters, 1, taps), dilation=dilation, padding=padding)
        assert told.driver == "rows", told
        assert told.workspace < 1 << 20
    rng = np.random.default_rng(3)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 1, 300), (90, 1, 9)))
    np.testing.assert_allclose(fc.conv1d(x, weight, dilation=3), fc.conv1d(x, weight, dilation=3, algorithm="direct"),
                               atol=1e-5)
    assert fc.explain(x.shape, weight.shape, stride=2).driver != "rows"
