"""The fast layers of CS231n against the formulas of the course as plain loops."""

import course_loops as loops
import numpy as np
import pytest

from fastconv.adapters import cs231n

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-12}


def geometries(count, seed):
    """Shapes (N, C, H, W), filters (F, HH, WW), stride and pad, as they come."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        hh, ww = rng.integers(1, 5, 2)
        pad, stride = rng.integers(0, 4), rng.integers(1, 4)
        h, w = rng.integers(max(1, hh - 2 * pad), 9), rng.integers(max(1, ww - 2 * pad), 9)
        yield (tuple(map(int, (rng.integers(1, 4), rng.integers(1, 5), h, w))),
               tuple(map(int, (rng.integers(1, 6), hh, ww))), int(stride), int(pad))


CASES = [*geometries(25, 0), ((2, 3, 4, 4), (3, 4, 4), 2, 1), ((4, 3, 5, 5), (2, 3, 3), 3, 1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "filters", "stride", "pad"), CASES)
def test_convolution_forward_and_backward(x_shape, filters, stride, pad, dtype):
    rng = np.random.default_rng(1)
    count, hh, ww = filters
    x, w, b = rng.standard_normal(x_shape), rng.standard_normal((count, x_shape[1], hh, ww)), rng.standard_normal(count)
    x = x.astype(dtype)
    out, cache = cs231n.conv_forward_fast(x, w, b, {"stride": stride, "pad": pad})
    expected = loops.conv_forward(x, w, b, stride, pad)
    assert out.dtype == dtype and out.shape == expected.shape
    np.testing.assert_allclose(out, expected, atol=TOLERANCE[dtype] * 10)
    dout = rng.standard_normal(out.shape)
    for got, wanted in zip(cs231n.conv_backward_fast(dout, cache), loops.conv_backward(dout, x, w, stride, pad)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, atol=TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("values", ["random", "ties"])
@pytest.mark.parametrize(("x_shape", "window", "stride"), [
    ((2, 3, 4, 4), (2, 2), 2), ((3, 2, 8, 8), (2, 2), 2), ((1, 2, 7, 6), (3, 2), 1), ((2, 1, 9, 9), (3, 3), 2),
    ((2, 2, 8, 7), (2, 3), 3), ((1, 1, 5, 5), (5, 5), 1), ((2, 3, 7, 7), (2, 2), 2)])
def test_pooling_gives_the_gradient_to_the_first_of_equal_maxima(x_shape, window, stride, values):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(x_shape) if values == "random" else rng.integers(0, 2, x_shape).astype(float)
    out, cache = cs231n.max_pool_forward_fast(x, dict(pool_height=window[0], pool_width=window[1], stride=stride))
    np.testing.assert_array_equal(out, loops.pool_forward(x, *window, stride)[0])
    dout = rng.standard_normal(out.shape)
    np.testing.assert_allclose(cs231n.max_pool_backward_fast(dout, cache),
                               loops.pool_backward(dout, x, *window, stride), atol=1e-14)


def test_a_tie_is_not_split_as_the_reshape_version_splits_it():
    x = np.ones((1, 1, 2, 2), np.float32)
    out, cache = cs231n.max_pool_forward_fast(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    dx = cs231n.max_pool_backward_fast(np.ones(out.shape), cache)
    assert dx.dtype == np.float32 and dx.ravel().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "filters", "stride", "pad"), CASES)
def test_columns(x_shape, filters, stride, pad, dtype):
    x = np.random.default_rng(3).standard_normal(x_shape).astype(dtype)
    six = loops.columns_of(x, *filters[1:], stride, pad)
    cols = cs231n.im2col_cython(x, *filters[1:], pad, stride)
    assert cols.dtype == dtype and cols.flags.c_contiguous and cols.flags.writeable
    rows = six.shape[0] * six.shape[1] * six.shape[2]
    np.testing.assert_array_equal(cols, six.transpose(0, 1, 2, 4, 5, 3).reshape(rows, -1))  # images fastest
    back = loops.sum_of_columns(six, x_shape[2:], stride, pad)
    for got in (cs231n.col2im_cython(cols, *x_shape, *filters[1:], pad, stride),
                cs231n.col2im_6d_cython(six.astype(dtype), *x_shape, *filters[1:], pad, stride)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, back, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda x, w, b: cs231n.conv_forward_fast(x, w, b, {"stride": 1}), ValueError,
     "conv_param must have the keys 'stride', 'pad'"),
    (lambda x, w, b: cs231n.conv_forward_fast(x, w, b, {"stride": 0, "pad": 1}), ValueError, "'stride'"),
    (lambda x, w, b: cs231n.conv_forward_fast(x, w, b, {"stride": 1, "pad": 0.5}), TypeError, "'pad'"),
    (lambda x, w, b: cs231n.conv_forward_fast(x, w[:, :2], b, {"stride": 1, "pad": 1}), ValueError, "w must have"),
    (lambda x, w, b: cs231n.conv_forward_fast(x, w, b[:2], {"stride": 1, "pad": 1}), ValueError, "b must have"),
    (lambda x, w, b: cs231n.conv_forward_fast(x, w * 1j, b, {"stride": 1, "pad": 1}), TypeError, "w must hold real"),
    (lambda x, w, b: cs231n.conv_forward_fast(x[0], w, b, {"stride": 1, "pad": 1}), ValueError, "x must have shape"),
    (lambda x, w, b: cs231n.max_pool_forward_fast(x, {"stride": 1}), ValueError, "'pool_height', 'pool_width'"),
    (lambda x, w, b: cs231n.im2col_cython(x, 9, 9, 0, 1), ValueError, "must fit into the padded image"),
    (lambda x, w, b: cs231n.col2im_cython(x[0, 0], 2, 3, 5, 5, 3, 3, 1, 1), ValueError, "cols must have shape"),
])
def test_what_cannot_be_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 3, 5, 5)), np.ones((4, 3, 3, 3)), np.ones(4))
