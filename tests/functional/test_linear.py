"""linear and its gradients: exactly on integers, shapes, strides, threads."""

import numpy as np
import pytest
import reference
from gradients import numeric_gradient

import fastconv as fc

DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1, 1), (1, 400, 120), (5, 7, 3), (15, 30, 17), (16, 33, 40), (17, 1, 5), (64, 400, 120),
          (65, 20, 1), (3, 2000, 11)]


def draw(rng, *shape, dtype=np.float64):
    return rng.integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_exactly_on_integers(shape, dtype):
    n, inputs, outputs = shape
    rng = np.random.default_rng(0)
    x, weight = draw(rng, n, inputs, dtype=dtype), draw(rng, outputs, inputs, dtype=dtype)
    bias, grad = draw(rng, outputs, dtype=dtype), draw(rng, n, outputs, dtype=dtype)
    y = fc.linear(x, weight, bias)
    assert y.dtype == dtype and y.flags.c_contiguous
    np.testing.assert_array_equal(y, reference.linear(x, weight, bias))
    np.testing.assert_array_equal(fc.linear(x, weight), reference.linear(x, weight))
    for result, expected in zip(fc.linear_backward(grad, x, weight), reference.linear_backward(grad, x, weight)):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding(dtype):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((64, 400)).astype(dtype), rng.standard_normal((120, 400)).astype(dtype)
    error = np.abs(fc.linear(x, weight) - reference.linear(x, weight)).max()
    assert error < 4 * np.sqrt(400) * np.finfo(dtype).eps * np.sqrt(400)


def test_any_strides_and_leading_dimensions():
    rng = np.random.default_rng(0)
    x, weight, grad = draw(rng, 4, 5, 12), draw(rng, 9, 12), draw(rng, 4, 5, 9)
    expected = x @ weight.T
    for views in ((x, weight), (np.asfortranarray(x), np.asfortranarray(weight)),
                  (np.ascontiguousarray(x[..., ::-1])[..., ::-1], np.repeat(weight, 2, axis=0)[::2])):
        np.testing.assert_array_equal(fc.linear(*views), expected)
        grad_x, grad_weight, grad_bias = fc.linear_backward(np.asfortranarray(grad), *views)
        np.testing.assert_array_equal(grad_x, grad @ weight)
        np.testing.assert_array_equal(grad_weight, np.einsum("abk,abc->kc", grad, x))
        np.testing.assert_array_equal(grad_bias, grad.sum(axis=(0, 1)))
    np.testing.assert_array_equal(fc.linear(x[0, 0], weight), expected[0, 0])
    assert fc.linear_backward(grad[0, 0], x[0, 0], weight)[0].shape == (12,)


@pytest.mark.parametrize("rows", [1, 3, 15, 16, 40, 64, 70])
def test_weights_and_bias_with_strides(rows):
    rng = np.random.default_rng(0)
    x, weight, bias = draw(rng, rows, 33), draw(rng, 20, 33), draw(rng, 20)
    expected = reference.linear(x, weight, bias)
    for a in (x, np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        for w in (weight, np.asfortranarray(weight), np.repeat(weight, 2, 0)[::2]):
            for b in (bias, np.repeat(bias, 2)[::2], bias[::-1].copy()[::-1]):
                np.testing.assert_array_equal(fc.linear(a, w, b), expected)


def test_empty_batch():
    x, weight, bias = np.zeros((0, 3), np.float32), np.ones((4, 3), np.float32), np.ones(4, np.float32)
    assert fc.linear(x, weight, bias).shape == (0, 4)
    grad_x, grad_weight, grad_bias = fc.linear_backward(np.zeros((0, 4), np.float32), x, weight)
    assert grad_x.shape == (0, 3) and not grad_weight.any() and grad_weight.shape == (4, 3) and not grad_bias.any()


def test_only_what_is_needed():
    x, weight, grad = np.ones((2, 3)), np.ones((4, 3)), np.ones((2, 4))
    every = fc.linear_backward(grad, x, weight)
    for wanted in range(8):
        needs = tuple(bool(wanted >> i & 1) for i in range(3))
        for needed, result, expected in zip(needs, fc.linear_backward(grad, x, weight, needs=needs), every):
            assert (result is not None) == needed
            if needed:
                np.testing.assert_array_equal(result, expected)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    x, weight, bias, grad = (rng.standard_normal(shape) for shape in ((3, 4), (5, 4), (5,), (3, 5)))
    gradients = fc.linear_backward(grad, x, weight)
    for variable, gradient in zip((x, weight, bias), gradients):
        np.testing.assert_allclose(gradient,
                                   numeric_gradient(lambda: (fc.linear(x, weight, bias) * grad).sum(), variable),
                                   rtol=1e-6, atol=1e-8)


def test_nan_stays_in_its_row():
    x = np.ones((20, 6), np.float32)
    x[3, 2] = np.nan
    y = fc.linear(x, np.ones((7, 6), np.float32))
    assert np.isnan(y[3]).all() and not np.isnan(np.delete(y, 3, axis=0)).any()


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_same_bits_for_any_number_of_threads(rows):
    rng = np.random.default_rng(0)
    x, weight, bias, grad = (rng.standard_normal(shape).astype(np.float32)
                             for shape in ((rows, 700), (300, 700), (300,), (rows, 300)))
    with fc.num_threads(1):
        expected = fc.linear(x, weight, bias), *fc.linear_backward(grad, x, weight)
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            for result, wanted in zip((fc.linear(x, weight, bias), *fc.linear_backward(grad, x, weight)), expected):
                np.testing.assert_array_equal(result, wanted)
