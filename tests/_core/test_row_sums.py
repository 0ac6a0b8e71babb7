"""Products of matrices from sums of rows: exactly the plain product on integers,
on every edge of the tiles, blocks and runs."""

import numpy as np
import pytest

import fastconv as fc
from fastconv._core.product import row_sums


def draw(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def check(rows, depth, columns, dtype=np.float32, turned=False):
    """b and y are parts of others, whose rest must neither be read (NaN) nor written; a may be turned in memory."""
    a = draw(depth, rows, dtype=dtype).T if turned else draw(rows, depth, dtype=dtype)
    b = draw(depth, columns, dtype=dtype, seed=1)
    around_b, around_y = np.full((depth, columns + 19), np.nan, dtype), np.full((rows + 1, columns + 17), 7, dtype)
    around_b[:, :columns] = b
    y = around_y[:rows, :columns]
    row_sums.product(a, around_b[:, :columns], y)
    np.testing.assert_array_equal(y, a @ b)
    assert (around_y[rows:] == 7).all() and (around_y[:, columns:] == 7).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 84, 129])
def test_columns(columns, dtype):
    for rows in (1, 2, 3, 4, 5, 6, 7):
        check(rows, 11, columns, dtype, turned=rows % 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 2, 7, 8, 9, 127, 128, 129, 256, 300])
def test_depth(depth, dtype):
    for rows in (1, 3, 4, 5, 50):
        check(rows, depth, 37, dtype, turned=rows % 2)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_blocks_of_rows_and_columns(threads):
    with fc.num_threads(threads):
        check(1, 300, 4000)
        check(2, 1000, 1025)
        check(97, 1, 2500)
        check(100, 140, 1100)
        check(49, 300, 65, np.float64)


def test_same_bits_for_any_number_of_threads_and_rows():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 1001)).astype(np.float32), rng.standard_normal((1001, 1500)).astype(np.float32)
    wanted = None
    for threads in (1, 2, 3, 7):
        with fc.num_threads(threads):
            y = np.empty((50, 1500), np.float32)
            row_sums.product(a, b, y)
            wanted = y if wanted is None else wanted
            np.testing.assert_array_equal(y, wanted)
    for first in (0, 5, 49):
        row = np.empty((1, 1500), np.float32)
        row_sums.product(a[first:first + 1], b, row)
        np.testing.assert_array_equal(row, wanted[first:first + 1])
    assert np.linalg.norm(wanted - a.astype(float) @ b.astype(float)) < 1e-6 * np.linalg.norm(wanted)


def test_long_sums_of_equal_terms():
    y = np.empty((2, 5), np.float32)
    row_sums.product(np.full((2, 100_000), 0.1, np.float32), np.ones((100_000, 5), np.float32), y)
    np.testing.assert_allclose(y, 100_000 * float(np.float32(0.1)), rtol=2e-6)


def test_not_finite_stays_in_its_own_sums():
    a, b = np.ones((7, 20), np.float32), np.ones((20, 90), np.float32)
    a[3, 19], b[0, 84] = np.nan, np.inf
    y = np.empty((7, 90), np.float32)
    row_sums.product(a, b, y)
    rest = np.delete(y, 3, axis=0)
    assert np.isnan(y[3]).all() and np.isinf(rest[:, 84]).all() and (np.delete(rest, 84, axis=1) == 20).all()
