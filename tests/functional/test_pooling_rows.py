"""Max pooling with windows of few rows, without indices, which reads rows of planes as they lie (pooling/rows.pyx)."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.runtime import isa

WINDOWS = [    # kernel, stride, padding, dilation, ceil_mode
    (3, 2, 1, 1, False),
    (3, 2, 0, 1, True),
    (2, 2, 1, 1, True),
    ((3, 4), (1, 3), (1, 2), 1, False),
    ((4, 3), (3, 5), (2, 1), 1, True),    # steps that leave columns out
    ((2, 1), (2, 2), 0, 1, False),
    ((2, 3), (1, 2), (1, 1), (5, 4), False),
    ((1, 16), (2, 3), (0, 8), 1, False),
]
SIZES = [(9, 16), (5, 33), (12, 70)]


def views(x):
    """x, x as a part of a larger array, and x in the middle of memory that no window may see."""
    n, c, h, w = x.shape
    yield x
    around = np.full((n, c, h + 2, w + 3), np.nan, x.dtype)
    around[:, :, 1:-1, 1:-2] = x
    yield around[:, :, 1:-1, 1:-2]


def check(size, window, dtype):
    kernel, stride, padding, dilation, ceil_mode = window
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(dtype)
    x[0, 1, 2, 4:7], x[1, 0, :, 9], x[1, 2] = np.nan, np.inf, -np.inf
    wanted, _ = reference.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    for seen, threads in itertools.product(views(x), (1, 2, 3)):
        with fc.num_threads(threads):
            y = fc.max_pool2d(seen, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_as_the_loops(size, window, dtype):
    check(size, window, dtype)


def check_instruction_set():
    for size, window, dtype in itertools.product(SIZES, WINDOWS, (np.float32, np.float64)):
        check(size, window, dtype)


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)
