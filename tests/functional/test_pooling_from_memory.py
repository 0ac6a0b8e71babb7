"""Images of long pixels that no cache holds are pooled pixel by pixel: to the same bits as their parts, which caches do
hold."""

import numpy as np
import pytest
from processes import check_with_isa

import fastconv as fc
from fastconv._core.runtime import isa

WINDOWS = {"2": (2, 2), "3 / 2": (3, 2), "1 x 5": ((1, 5), (1, 3)), "4 / 1": (4, 1)}
CHANNELS = {np.float32: (128, 261), np.float64: (64, 135)}    # whole vectors, and parts of one
PART = 4 << 20    # bytes


def check(window, dtype, channels):
    kernel_size, stride = WINDOWS[window]
    height, step = (kernel_size, stride) if isinstance(stride, int) else (kernel_size[0], stride[0])
    columns = 61
    rows = (17 << 20) // (columns * channels * np.dtype(dtype).itemsize) + 1
    x = np.random.default_rng(0).standard_normal((1, rows, columns, channels)).astype(dtype)
    x[0, 5, 7, 3], x[0, 6, 8, 4], x[0, 7, 9] = np.nan, np.inf, 0.5
    options = {"stride": stride, "data_format": "NHWC"}
    mean = fc.avg_pool2d(x, kernel_size, **options)
    best = fc.max_pool2d(x, kernel_size, **options)
    also, indices = fc.max_pool2d(x, kernel_size, return_indices=True, **options)
    np.testing.assert_array_equal(also, best)
    outputs = PART // x[0, 0].nbytes // step - height    # rows of them in a part
    for first in range(0, mean.shape[1], outputs):
        part = x[:, first * step:(first + outputs - 1) * step + height]
        which = np.s_[:, first:first + outputs]
        expected, places = fc.max_pool2d(part, kernel_size, return_indices=True, **options)
        np.testing.assert_array_equal(mean[which], fc.avg_pool2d(part, kernel_size, **options))
        np.testing.assert_array_equal(best[which], expected)
        np.testing.assert_array_equal(indices[which], places + first * step * columns)


@pytest.mark.parametrize("dtype", CHANNELS)
@pytest.mark.parametrize("window", WINDOWS)
def test_the_bits_of_the_parts(window, dtype):
    for channels in CHANNELS[dtype]:
        check(window, dtype, channels)


def check_each_precision():
    for dtype, channels in CHANNELS.items():
        check("2", dtype, channels[1])


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_each_precision)
