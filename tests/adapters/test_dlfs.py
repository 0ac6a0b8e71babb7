"""The layers of "Deep Learning from Scratch" against the book's formulas as plain loops."""

import course_loops as loops
import numpy as np
import pytest

from fastconv.adapters import dlfs

CASES = [((2, 3, 7, 7), (5, 5), 1, 0), ((3, 1, 8, 6), (3, 3), 1, 1), ((1, 4, 9, 8), (3, 2), 2, 1),
         ((2, 2, 6, 6), (2, 3), 3, 2), ((1, 1, 4, 4), (4, 4), 1, 0), ((2, 5, 5, 5), (1, 1), 2, 0)]


def rows_of(x, window, stride, pad):
    six = loops.columns_of(x, *window, stride, pad)
    return six.transpose(3, 4, 5, 0, 1, 2).reshape(-1, six.shape[0] * window[0] * window[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize(("x_shape", "window", "stride", "pad"), CASES)
def test_matrices(x_shape, window, stride, pad, dtype):
    x = np.random.default_rng(0).integers(0, 9, x_shape).astype(dtype)
    col = dlfs.im2col(x, *window, stride, pad)
    assert col.dtype == np.float64
    np.testing.assert_array_equal(col, rows_of(x, window, stride, pad))
    back = dlfs.col2im(col.astype(np.float32), x_shape, *window, stride, pad)
    assert back.dtype == np.float64 and back.shape == x_shape
    np.testing.assert_array_equal(back, loops.sum_of_columns(loops.columns_of(x, *window, stride, pad), x_shape[2:],
                                                             stride, pad))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "window", "stride", "pad"), CASES)
def test_convolution_has_the_books_results_and_attributes(x_shape, window, stride, pad, dtype):
    rng = np.random.default_rng(1)
    x, W, b = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal((4, x_shape[1], *window)), rng.random(4)
    layer = dlfs.Convolution(W, b, stride, pad)
    assert layer.x is layer.col is layer.col_W is layer.dW is layer.db is None
    y = layer.forward(x)
    assert y.dtype == np.float64 and layer.x is x
    np.testing.assert_allclose(y, loops.conv_forward(x, W, b, stride, pad), atol=1e-12)
    np.testing.assert_array_equal(layer.col, rows_of(x, window, stride, pad))
    np.testing.assert_array_equal(layer.col_W, W.reshape(4, -1).T)
    dout = rng.standard_normal(y.shape)
    dx = layer.backward(dout)
    for got, expected in zip((dx, layer.dW, layer.db), loops.conv_backward(dout, x, W, stride, pad)):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_step_of_the_optimiser_is_seen():
    """The book's optimisers change the arrays in place."""
    W = np.ones((1, 1, 1, 1))
    layer = dlfs.Convolution(W, np.zeros(1))
    assert layer.forward(np.ones((1, 1, 2, 2)))[0, 0, 0, 0] == 1
    W -= 3
    assert layer.forward(np.ones((1, 1, 2, 2)))[0, 0, 0, 0] == -2


@pytest.mark.parametrize("values", ["random", "ties", "integers"])
@pytest.mark.parametrize(("x_shape", "window", "stride"), [
    ((2, 3, 4, 4), (2, 2), 2), ((1, 2, 7, 6), (3, 2), 1), ((2, 1, 9, 9), (3, 3), 2), ((2, 2, 8, 7), (2, 3), 3)])
def test_pooling_has_the_books_results_and_positions(x_shape, window, stride, values):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(x_shape) if values == "random" else rng.integers(0, 2, x_shape)
    x = x.astype(float) if values == "ties" else x
    layer = dlfs.Pooling(*window, stride)
    assert layer.x is layer.arg_max is None
    out, places = loops.pool_forward(x, *window, stride)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, out)
    assert y.dtype == np.float64 and layer.x is x
    np.testing.assert_array_equal(layer.arg_max, places.transpose(0, 2, 3, 1).ravel())
    dout = rng.standard_normal(y.shape)
    np.testing.assert_allclose(layer.backward(dout), loops.pool_backward(dout, x, *window, stride), atol=1e-14)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: dlfs.Pooling(2, 2, pad=1), ValueError, "pad must be 0, got 1: .*numpy.pad"),
    (lambda: dlfs.Pooling(0, 2), ValueError, "pool_h"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)), np.ones(1), stride=0), ValueError, "stride"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)), np.ones(1)).backward(1.0), RuntimeError, r"layer\.forward\(x\)"),
    (lambda: dlfs.Pooling(2, 2).backward(1.0), RuntimeError, r"layer\.forward\(x\)"),
    (lambda: dlfs.im2col(np.ones((3, 4)), 2, 2), ValueError, "input_data must have shape"),
    (lambda: dlfs.im2col(np.ones((1, 1, 3, 4)), 5, 2), ValueError, "must fit into the padded image"),
    (lambda: dlfs.col2im(np.ones((3, 4)), (1, 1, 4, 4), 2, 2), ValueError, "col must have shape"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)) * 1j, np.ones(1)).forward(np.ones((1, 1, 2, 2))), TypeError,
     "W must be"),
])
def test_what_cannot_be_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
