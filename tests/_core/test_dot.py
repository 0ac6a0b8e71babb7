"""Inner products of rows: exactly the plain product on integers, on every edge of the tiles,
and the same bits however it is cut."""

import numpy as np
import pytest

import fastconv as fc
from fastconv._core.product import dot


def draw(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def check(rows, depth, outputs, dtype=np.float32, bias=True):
    """The arrays are parts of others, whose rest must neither be read (NaN) nor written."""
    x, w, b = (draw(rows, depth, dtype=dtype), draw(outputs, depth, dtype=dtype, seed=1),
               draw(outputs, dtype=dtype, seed=2))
    around_x, around_w = np.full((rows, depth + 20), np.nan, dtype), np.full((outputs, depth + 19), np.nan, dtype)
    around_y = np.full((rows + 1, outputs + 17), 7, dtype)
    around_x[:, :depth], around_w[:, :depth] = x, w
    y = around_y[:rows, :outputs]
    dot.product(around_x[:, :depth], around_w[:, :depth], b if bias else None, y)
    np.testing.assert_array_equal(y, x @ w.T + (b if bias else 0))
    assert (around_y[rows:] == 7).all() and (around_y[:, outputs:] == 7).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37])
def test_features(depth, dtype):
    for rows in (1, 2, 3, 4, 5):
        check(rows, depth, 11, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 37])
def test_outputs(outputs, dtype):
    for rows in (1, 2, 3, 4, 5, 7, 9):
        check(rows, 21, outputs, dtype, bias=outputs % 2)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_blocks_of_rows_and_of_outputs(threads):
    with fc.num_threads(threads):
        check(63, 300, 130)
        check(130, 900, 300)
        check(1, 70_000, 9)
        check(300, 10, 3, np.float64)


def test_same_bits_for_any_number_of_threads_and_rows():
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((70, 1001), (203, 1001), 203))
    wanted = None
    for threads in (1, 2, 3, 7):
        with fc.num_threads(threads):
            y = np.empty((70, 203), np.float32)
            dot.product(x, w, b, y)
            wanted = y if wanted is None else wanted
            np.testing.assert_array_equal(y, wanted)
    for first in (0, 5, 69):
        row = np.empty((1, 203), np.float32)
        dot.product(x[first:first + 1], w, b, row)
        np.testing.assert_array_equal(row, wanted[first:first + 1])
    assert np.abs(wanted - (x.astype(float) @ w.T.astype(float) + b)).max() < 1e-4


def test_not_finite_stays_in_its_own_sums():
    x, w = np.ones((5, 20), np.float32), np.ones((9, 20), np.float32)
    x[3, 19], w[8, 0] = np.nan, np.inf
    y = np.empty((5, 9), np.float32)
    dot.product(x, w, None, y)
    assert np.isnan(y[3]).all() and np.isinf(y[[0, 1, 2, 4], 8]).all() and (y[[0, 1, 2, 4], :8] == 20).all()
