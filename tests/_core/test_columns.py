"""The data gradient of few pixels, from filters as they lie (product/columns.pyx)."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.problem.convolution import Epilogue
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import isa
from fastconv.functional.convolution import ACTIVATIONS

COLUMNS = next(driver for driver in DATA_GRADIENT if driver.name == "columns")
LAYERS = [    # x, weights, stride, padding, dilation
    ((1, 16, 8, 8), (40, 16, 4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    ((1, 256, 8, 8), (70, 256, 4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1)),       # several blocks of channels
    ((3, 48, 3, 4), (33, 48, 3, 3), (1, 1), ((1, 1), (1, 0)), (1, 1)),
    ((1, 16, 9, 7), (16, 16, 5, 2), (3, 1), ((4, 2), (0, 3)), (1, 2)),         # taps that meet padding alone
    ((1, 32, 11, 5), (17, 32, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),        # pixels that no tap meets
    ((8, 16, 3, 2), (16, 16, 2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((1, 80, 1, 9), (100, 80, 1, 3), (3, 2), ((0, 0), (2, 1)), (1, 1)),        # one row, whose stride is more
    ((1, 16, 1, 4), (20, 16, 3, 3), (2, 2), ((4, 4), (1, 1)), (1, 1)),         # one row that is met with that stride
]


def problem_of(layer, dtype, channels_last):
    x_shape, weight_shape, stride, pads, dilation = layer
    size = tuple((n + sum(p) - d * (t - 1) - 1) // s + 1
                 for n, p, t, s, d in zip(x_shape[2:], pads, weight_shape[2:], stride, dilation))
    return ConvProblem(x_shape, weight_shape, stride, pads, dilation, 1, size, np.dtype(dtype).itemsize, channels_last,
                       "constant")


def in_order(array, channels_last):
    if channels_last:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(array)


def by_the_reference(problem, grad_output, weight):
    return reference.conv2d_backward(grad_output, np.zeros(problem.x_shape), weight, stride=problem.stride,
                                     padding=problem.pads, dilation=problem.dilation)[0]


def check(layer, dtype, channels_last):
    problem, rng = problem_of(layer, dtype, channels_last), np.random.default_rng(3)
    by = DataGradient(problem, (COLUMNS,))
    assert by.driver is COLUMNS
    grad_output = in_order(rng.integers(-3, 4, problem.output_shape).astype(dtype), channels_last)
    weight, bias = (rng.integers(-3, 4, shape).astype(dtype) for shape in (problem.weight_shape, problem.x_shape[1]))
    wanted = by_the_reference(problem, grad_output, weight)
    for threads in (1, 2, 3):
        grad_x = in_order(np.full(problem.x_shape, np.nan, dtype), channels_last)
        with fc.num_threads(threads):
            by(grad_output, weight, grad_x)
            np.testing.assert_array_equal(grad_x, wanted)
            by(grad_output, weight, grad_x, bias, Epilogue(ACTIVATIONS.index("relu")))
        np.testing.assert_array_equal(grad_x, np.maximum(wanted + bias[:, None, None], 0))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", LAYERS)
def test_exactly(layer, dtype, channels_last):
    check(layer, dtype, channels_last)


def check_instruction_set():
    for layer, dtype, channels_last in itertools.product(LAYERS, (np.float32, np.float64), (False, True)):
        check(layer, dtype, channels_last)


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_accuracy_and_the_same_bits_for_any_number_of_threads(dtype):
    problem, rng = problem_of(LAYERS[1], dtype, False), np.random.default_rng(4)
    grad_output, weight = (rng.standard_normal(shape).astype(dtype)
                           for shape in (problem.output_shape, problem.weight_shape))
    results = []
    for threads in (1, 2, 3):
        results.append(np.full(problem.x_shape, np.nan, dtype))
        with fc.num_threads(threads):
            DataGradient(problem, (COLUMNS,))(grad_output, weight, results[-1])
    wanted = by_the_reference(problem, grad_output, weight)
    assert np.linalg.norm(results[0] - wanted) < 4 * np.finfo(dtype).eps * np.linalg.norm(wanted)
    np.testing.assert_array_equal(results[1:], [results[0]] * 2)


def test_weights_in_pieces_are_left_to_others():
    problem, rng = problem_of(LAYERS[0], np.float64, False), np.random.default_rng(5)
    grad_output, weight = (rng.integers(-3, 4, shape).astype(np.float64)
                           for shape in (problem.output_shape, problem.weight_shape))
    apart, grad_x = np.repeat(weight, 2, axis=1)[:, ::2], np.full(problem.x_shape, np.nan)
    DataGradient(problem)(grad_output, apart, grad_x)
    np.testing.assert_array_equal(grad_x, by_the_reference(problem, grad_output, weight))


def test_what_is_not_finite_meets_no_padding():
    x, weight = np.ones((1, 64, 4, 4), np.float32), np.ones((64, 32, 4, 4), np.float32)
    assert fc.explain(x.shape, weight.shape, stride=2, padding=1, transposed=True).algorithm == "gemm"
    weight[3, 5, 0, 0] = np.inf    # which meets every second pixel from the second on
    y = fc.conv_transpose2d(x, weight, stride=2, padding=1)
    assert not np.isnan(y).any()
    assert np.isinf(y).sum() == np.isinf(y[0, 5]).sum() == 9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scratch_is_what_explain_says(dtype):
    told = fc.explain((1024, 4, 4), (1024, 512, 4, 4), stride=2, padding=1, transposed=True, dtype=dtype)
    assert told.algorithm == "gemm" and told.workspace <= 1 << 20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_filters_of_thousands_of_taps_take_little_scratch(dtype):
    """So few of their weights are copied at a time."""
    problem = problem_of(((1, 32, 64, 63), (18, 32, 63, 63), (1, 1), ((0, 0), (0, 0)), (1, 1)), dtype, False)
    rng = np.random.default_rng(3)
    grad_output, weight = (rng.integers(-3, 4, shape).astype(dtype)
                           for shape in (problem.output_shape, problem.weight_shape))
    grad_x = np.empty(problem.x_shape, dtype)
    assert COLUMNS.refuses(problem) is None
    driver = COLUMNS.lay_out(problem)
    assert driver.workspace(grad_output, weight, grad_x) <= 2 << 20
    assert driver(grad_output, weight, grad_x) == ()
    wanted = np.zeros(problem.x_shape)
    for row in range(2):
        wanted[:, :, row:row + 63] += np.einsum("nk,kcrs->ncrs", grad_output[:, :, row, 0], weight)
    np.testing.assert_array_equal(grad_x, wanted)
