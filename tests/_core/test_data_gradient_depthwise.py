"""The data gradient of depthwise convolutions with a stride: planes as pixels, and columns in pairs."""

import itertools

import numpy as np
import pytest
from data_gradients import VIEWS, arrays, by_the_formula, problem
from processes import check_with_isa

import fastconv as fc
from fastconv._core.data_gradient import as_pixels
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Epilogue
from fastconv._core.runtime import isa
from fastconv.functional.convolution import ACTIVATIONS

LAST = DATA_GRADIENT[-1]
OF_CHANNELS = {driver.name: driver for driver in DATA_GRADIENT
               if driver.name in ("planes as pixels, depthwise", "pairs of columns, depthwise")}
DEPTHWISE_LAYERS = [
    ((5, 40, 4, 4), (40, 1, 5, 5), (2, 2), (2, 2), 40),
    ((3, 17, 7, 7), (17, 1, 3, 3), (2, 2), (1, 1), 17),           # the last column is of one phase
    ((2, 20, 10, 11), (20, 1, 3, 4), (3, 2), (0, 1), 20),
    ((2, 33, 12, 8), (33, 1, 1, 2), (2, 2), (0, 0), 33),          # rows that no tap meets
    ((1, 64, 20, 20), (64, 1, 7, 7), (2, 2), ((3, 2), (3, 4)), 64),
    ((3, 18, 6, 9), (18, 1, 2, 3), (2, 3), (1, 1), 18),
]


def check_depthwise(layer, dtype):
    each = problem(*layer, itemsize=np.dtype(dtype).itemsize)
    grad_output, weight = arrays(each, dtype)
    bias = np.arange(each.x_shape[1], dtype=dtype)
    wanted = by_the_formula(each, grad_output, weight)
    by = [DataGradient(each, (driver,)) for driver in OF_CHANNELS.values() if driver.refuses(each) is None]
    assert by
    for way, view in itertools.product(by, VIEWS):
        for threads in (1, 2, 3):
            grad_x = VIEWS[view](np.full(each.x_shape, np.nan, dtype))
            with fc.num_threads(threads):
                way(VIEWS[view](grad_output), weight, grad_x)
                np.testing.assert_array_equal(grad_x, wanted, err_msg=f"{way.driver.name} {view} {threads}")
                way(VIEWS[view](grad_output), weight, grad_x, bias, Epilogue(ACTIVATIONS.index("relu")))
            np.testing.assert_array_equal(grad_x, np.maximum(wanted + bias[:, None, None], 0))
    return {way.driver.name for way in by}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block_bytes", [1, 20_000, 1 << 20])
def test_depthwise_exactly(block_bytes, dtype, monkeypatch):
    monkeypatch.setattr(as_pixels, "BLOCK_BYTES", block_bytes)
    assert set().union(*(check_depthwise(layer, dtype) for layer in DEPTHWISE_LAYERS)) == set(OF_CHANNELS)


def check_all_depthwise():
    for layer in DEPTHWISE_LAYERS:
        check_depthwise(layer, np.float32)


@pytest.mark.parametrize("name", isa.known())
def test_depthwise_by_each_instruction_set(name):
    check_with_isa(name, check_all_depthwise)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_depthwise_with_what_is_not_finite(value):
    """A tap makes NaN where it meets a gradient, not where it meets the zeros around them."""
    for layer, driver in itertools.product(DEPTHWISE_LAYERS[:4], OF_CHANNELS.values()):
        each = problem(*layer)
        if driver.refuses(each) is None:
            grad_output, weight = arrays(each, np.float64)
            weight[3, 0, 0, 0], grad_output[0, 5, 1, 1] = value, value
            results = [np.empty(each.x_shape) for _ in range(2)]
            for by, grad_x in zip((driver, LAST), results):
                DataGradient(each, (by,))(grad_output, weight, grad_x)
            np.testing.assert_array_equal(*results, err_msg=f"{driver.name} {layer}")


def test_small_planes_are_transposed_and_larger_ones_go_in_pairs():
    def planned_for(plane):
        return DataGradient(problem((32, 256, plane, plane), (256, 1, 3, 3), (2, 2), (1, 1), 256, 4)).driver.name

    assert planned_for(4) == "planes as pixels, depthwise" and planned_for(56) == "pairs of columns, depthwise"


def test_scratch_of_planes_as_pixels_is_bounded():
    each = problem((1000, 512, 32, 32), (512, 1, 3, 3), (2, 2), (1, 1), 512, 4)
    driver = OF_CHANNELS["planes as pixels, depthwise"]
    assert driver.refuses(each) is None
    shapes = (each.output_shape, each.weight_shape, each.x_shape)
    assert driver.lay_out(each).workspace(*(parts.unbacked(shape, np.dtype(np.float32)) for shape in shapes)) < 8 << 20
