"""Activations, softmax and flatten against float64 references: accuracy, special values, shapes, strides, threads."""

from pathlib import Path

import numpy as np
import pytest
import reference
from gradients import numeric_gradient
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
ELEMENTWISE = {
    "relu": (fc.relu, fc.relu_backward, False),
    "leaky_relu": (fc.leaky_relu, fc.leaky_relu_backward, False),
    "sigmoid": (fc.sigmoid, fc.sigmoid_backward, True),
    "tanh": (fc.tanh, fc.tanh_backward, True),
    "relu6": (fc.relu6, fc.relu6_backward, False),
}
SIZES = [0, 1, 7, 8, 15, 16, 17, 33, 1000, 16384, 16385, 40000]
SOFTMAX_SHAPES = [((1,), 0), ((7,), 0), ((64, 10), 1), ((5, 1), 1), ((3, 1000), -1), ((16, 17), 0), ((3, 7, 5, 5), 1),
                  ((2, 33, 70), 1), ((4, 3, 64), -2), ((0, 10), 1), ((3, 0, 2), 1), ((3, 2, 0), 1)]


def units_in_the_last_place(y, exact):
    """How far y is from the longer exact number, in units of y's last place there."""
    smallest = np.finfo(y.dtype).smallest_subnormal
    spacing = np.maximum(np.spacing(np.abs(exact).astype(y.dtype)).astype(exact.dtype), smallest)
    return np.abs(y - exact) / spacing


def arguments(dtype, size=200_000):
    rng = np.random.default_rng(0)
    limit = 110 if dtype == np.float32 else 760
    return np.concatenate([rng.uniform(-limit, limit, size), rng.uniform(-2, 2, size), rng.standard_normal(size) * 1e-3,
                           np.logspace(-45, 2, 1000), -np.logspace(-45, 2, 1000)]).astype(dtype)


def check_accuracy():
    for dtype in DTYPES:
        x = arguments(dtype)
        longer = x.astype(np.float64 if dtype == np.float32 else np.longdouble)
        with np.errstate(over="ignore", under="ignore"):
            assert units_in_the_last_place(fc.tanh(x), np.tanh(longer)).max() <= 3
            assert units_in_the_last_place(fc.sigmoid(x), 1 / (1 + np.exp(-longer))).max() <= 3
            small = np.exp(-np.abs(longer[x < 0]))   # 1 / (1 + exp(-x)) itself overflows in float64
            assert units_in_the_last_place(fc.sigmoid(x[x < 0]), small / (1 + small)).max() <= 3


@pytest.mark.skipif(np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps, reason="needs a longer float than float64")
def test_accuracy():
    check_accuracy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_against_the_reference(name, dtype):
    forward, backward, takes_result = ELEMENTWISE[name]
    near = {"rtol": 16 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    rng = np.random.default_rng(0)
    for size in SIZES:
        x, grad = (rng.standard_normal(size) * 3).astype(dtype), rng.standard_normal(size).astype(dtype)
        y = forward(x)
        assert y.dtype == dtype and y.shape == x.shape
        np.testing.assert_allclose(y, getattr(reference, name)(x), **near)
        value = y if takes_result else x
        grad_x = backward(grad, value)
        assert grad_x.dtype == dtype and grad_x.shape == x.shape
        np.testing.assert_allclose(grad_x, getattr(reference, f"{name}_backward")(grad, value), **near)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1000, -1000], dtype)
    nan = np.nan
    np.testing.assert_array_equal(fc.relu(x), np.array([0, 0, np.inf, 0, nan, 1e-40, 0, 1000, 0], dtype))
    np.testing.assert_array_equal(fc.relu6(x), np.array([0, 0, 6, 0, nan, 1e-40, 0, 6, 0], dtype))
    np.testing.assert_array_equal(fc.leaky_relu(x, 0.5),
                                  np.array([0, 0, np.inf, -np.inf, nan, 1e-40, -0.5e-40, 1000, -500], dtype))
    np.testing.assert_array_equal(fc.sigmoid(x), np.array([0.5, 0.5, 1, 0, nan, 0.5, 0.5, 1, 0], dtype))
    y = fc.tanh(x)
    np.testing.assert_array_equal(y, np.array([0, 0, 1, -1, nan, 1e-40, -1e-40, 1, -1], dtype))
    np.testing.assert_array_equal(np.signbit(y[:2]), [False, True])


def test_relu_backward_at_zero_and_nan():
    np.testing.assert_array_equal(fc.relu_backward(np.full(4, 5.0), np.array([-1.0, 0.0, 1.0, np.nan])), [0, 0, 5, 5])
    np.testing.assert_array_equal(fc.relu_backward(np.array([np.nan, np.nan]), np.array([-1.0, 1.0])), [0, np.nan])
    np.testing.assert_array_equal(fc.relu6_backward(np.full(5, 5.0), np.array([0.0, 1.0, 6.0, 7.0, np.nan])),
                                  [0, 5, 0, 0, 5])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_any_shape_and_strides(name):
    forward, backward, _ = ELEMENTWISE[name]
    x = np.random.default_rng(0).standard_normal((4, 5, 6, 7))
    for view in (x, x.transpose(0, 2, 3, 1), x[::2, ::-1, :, ::3], x[0, 0, 0, :], x[0, 0, 0, 0], np.asfortranarray(x),
                 np.broadcast_to(x[:, :, :1], x.shape)):
        before = np.array(view)
        y = forward(view)
        np.testing.assert_array_equal(y, forward(before))
        np.testing.assert_array_equal(view, before)
        assert y.flags.c_contiguous and y.shape == np.shape(view)
        np.testing.assert_array_equal(backward(view, view), backward(before, before))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient_by_finite_differences(name):
    forward, backward, takes_result = ELEMENTWISE[name]
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal(19) + 0.01, rng.standard_normal(19)
    grad_x = backward(weight, forward(x) if takes_result else x)
    np.testing.assert_allclose(grad_x, numeric_gradient(lambda: (forward(x) * weight).sum(), x), rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------------------------------------------------------
# Softmax


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SOFTMAX_SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape, axis, dtype):
    forward, backward = getattr(fc, name), getattr(fc, f"{name}_backward")
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape) * 5).astype(dtype), rng.standard_normal(shape).astype(dtype)
    y = forward(x, axis)
    assert y.dtype == dtype and y.shape == shape
    if x.size == 0:
        assert backward(grad, y, axis).shape == shape
        return
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, getattr(reference, name)(x, axis), rtol=32 * eps, atol=8 * eps)
    expected = getattr(reference, f"{name}_backward")(grad, y, axis)
    tolerance = 16 * eps * max(1, np.abs(grad).sum(axis=axis).max())
    np.testing.assert_allclose(backward(grad, y, axis), expected, rtol=32 * eps, atol=tolerance)
    np.testing.assert_array_equal(forward(np.moveaxis(x, axis, 0), 0),
                                  np.moveaxis(forward(np.ascontiguousarray(x), axis), axis, 0)
                                  if x.ndim == 1 else forward(np.ascontiguousarray(np.moveaxis(x, axis, 0)), 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_extremes(axis, dtype):
    x = np.array([[1e4, 0, -1e4], [-np.inf, 0, 0], [np.inf, 0, 0], [np.nan, 0, 0], [-np.inf] * 3], dtype)
    nan = np.nan
    expected = np.array([[1, 0, 0], [0, 0.5, 0.5], [nan] * 3, [nan] * 3, [nan] * 3], dtype)
    logarithm = np.array([[0, -1e4, -2e4], [-np.inf, np.log(0.5), np.log(0.5)], [nan] * 3, [nan] * 3, [nan] * 3], dtype)
    if axis == 0:
        x, expected, logarithm = x.T, expected.T, logarithm.T
    y = fc.softmax(x, axis)
    np.testing.assert_array_equal(y, expected)
    log_y = fc.log_softmax(x, axis)
    np.testing.assert_allclose(log_y[~np.isnan(x)],
                               np.where(np.isnan(logarithm), log_y, logarithm)[~np.isnan(x)], rtol=1e-6)
    rows = log_y if axis == 1 else log_y.T
    assert np.isnan(rows[2:]).any(axis=1).all() and not np.isnan(rows[:2]).any()


# ---------------------------------------------------------------------------------------------------------------------
# Flatten


def test_flatten():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    y = fc.flatten(x)
    np.testing.assert_array_equal(y, x.reshape(2, 60))
    np.testing.assert_array_equal(fc.flatten_backward(y, x.shape), x)
    assert np.shares_memory(y, x)
    assert fc.flatten(x[:0]).shape == (0, 60) and fc.flatten_backward(y[:0], (0, 3, 4, 5)).shape == (0, 3, 4, 5)
    assert fc.flatten(x[0, 0, 0]).shape == (5, 1)
    np.testing.assert_array_equal(fc.flatten(x.transpose(0, 2, 3, 1)), x.transpose(0, 2, 3, 1).reshape(2, 60))
    with pytest.raises(ValueError, match="grad_output"):
        fc.flatten_backward(y, (2, 3, 4, 4))


# ---------------------------------------------------------------------------------------------------------------------
# Threads, instruction sets


def test_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((70, 33, 41)).astype(np.float32), rng.standard_normal((70, 33, 41)).astype(np.float32)

    def results():
        for forward, backward, _ in ELEMENTWISE.values():
            yield forward(x)
            yield backward(grad, x)
        for axis in (1, 2):
            yield fc.softmax(x, axis)
            yield fc.log_softmax_backward(grad, x, axis)

    with fc.num_threads(1):
        expected = list(results())
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            for result, wanted in zip(results(), expected):
                np.testing.assert_array_equal(result, wanted)


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import test_activation
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    test_activation.check_accuracy()
    for dtype in test_activation.DTYPES:
        test_activation.test_special_values(dtype)
        for name in test_activation.ELEMENTWISE:
            test_activation.test_against_the_reference(name, dtype)
        for shape, axis in test_activation.SOFTMAX_SHAPES:
            test_activation.test_softmax("softmax", shape, axis, dtype)
            test_activation.test_softmax("log_softmax", shape, axis, dtype)
"""


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    if name not in isa.usable():
        pytest.skip(f"{name} is not in this build or this CPU does not have it")
    here = Path(__file__).resolve().parent
    in_new_process(FORCED, name, here, here.parent)


def test_against_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((6, 50)), rng.standard_normal((6, 50))
    for name, function in {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
                           "leaky_relu": torch.nn.functional.leaky_relu, "relu6": torch.nn.functional.relu6,
                           "softmax": lambda v: torch.softmax(v, -1),
                           "log_softmax": lambda v: torch.log_softmax(v, -1)}.items():
        variable = torch.tensor(x, requires_grad=True)
        expected = function(variable)
        expected.backward(torch.tensor(grad))
        y = getattr(fc, name)(x)
        takes_input = name in ("relu", "relu6", "leaky_relu")
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(getattr(fc, f"{name}_backward")(grad, x if takes_input else y),
                                   variable.grad.numpy(), rtol=1e-12, atol=1e-14)
