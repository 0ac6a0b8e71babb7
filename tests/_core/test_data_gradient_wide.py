"""The data gradient of few channels, whose pixels of a row are the channels of a convolution."""

import itertools

import numpy as np
import pytest
from data_gradients import VIEWS, arrays, by_the_formula, problem
from processes import check_with_isa

import fastconv as fc
from fastconv._core.data_gradient import subpixel
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.problem.convolution import Epilogue
from fastconv._core.runtime import isa
from fastconv.functional.convolution import ACTIVATIONS

WIDE = [driver for driver in DATA_GRADIENT if driver.name.startswith("pixels of a row")]
LAYERS = [
    ((3, 1, 12, 16), (30, 1, 5, 5), (1, 1), (0, 0)),
    ((2, 3, 9, 17), (7, 3, 7, 7), (1, 1), (3, 3)),                # a last patch of one pixel
    ((1, 4, 5, 11), (2, 4, 3, 2), (1, 1), (2, 1)),                # outputs that see padding alone
    ((2, 2, 8, 9), (17, 2, 1, 9), (1, 1), (0, 0)),                # one column of outputs
    ((2, 2, 8, 13), (5, 2, 2, 3), (1, 1), ((0, 1), (4, 2))),
    ((1, 1, 3, 8), (3, 1, 1, 1), (1, 1), (0, 0)),
]


def taken(each):
    return [driver for driver in WIDE if driver.refuses(each) is None]


@pytest.mark.parametrize("layer", LAYERS)
def test_exactly(layer, monkeypatch):
    each = problem(*layer)
    grad_output, weight = arrays(each, np.float64)
    wanted = by_the_formula(each, grad_output, weight)
    assert taken(each)
    for block_bytes in (1 << 20, 1000):
        monkeypatch.setattr(subpixel, "BLOCK_BYTES", block_bytes)
        for driver in taken(each):
            for name, view in VIEWS.items():
                grad_x = view(np.full(each.x_shape, np.nan))
                assert not driver.lay_out(each)(view(grad_output), weight, grad_x)
                np.testing.assert_array_equal(grad_x, wanted, err_msg=f"{driver.name} {name}")


def test_zeros_that_fill_a_filter_meet_nothing_that_is_not_finite():
    """Then another driver is left to do it: each pixel is NaN or not as the sum has it."""
    each = problem((2, 1, 10, 16), (6, 1, 3, 3), (1, 1), (1, 1))
    grad_output, weight = arrays(each, np.float64)
    grad_output[1, 2, 4, 5] = np.nan
    for driver in taken(each):
        grad_x = np.empty(each.x_shape)
        assert len(driver.lay_out(each)(grad_output, weight, grad_x)) == len(grad_x)
    with fc.num_threads(1):
        grad_x, _, _ = fc.conv2d_backward(grad_output, np.zeros(each.x_shape), weight, padding=1,
                                          needs=(True, False, False))
    assert np.isnan(grad_x).sum() == np.isnan(grad_x[1, 0, 3:6, 4:7]).sum() == 9


def test_what_it_is_not_for():
    whole = problem((2, 3, 9, 17), (7, 3, 5, 5), (1, 1), (2, 2))
    assert taken(whole)
    for other in (whole._replace(itemsize=4), whole._replace(padding_mode="reflect"),
                  problem((2, 3, 9, 17), (7, 3, 5, 5), (2, 1), (2, 2)),
                  problem((2, 8, 9, 17), (7, 8, 5, 5), (1, 1), (2, 2)),
                  problem((2, 2, 9, 17), (4, 1, 5, 5), (1, 1), (2, 2), 2),
                  problem((2, 3, 9, 1), (7, 3, 5, 1), (1, 1), (2, 0))):
        assert not taken(other)


FIRST_LAYER = problem((3, 1, 28, 28), (30, 1, 5, 5), (1, 1), (0, 0))    # of a course's network


def test_bits():
    """For any number of threads the same, prepared or not."""
    each, rng = FIRST_LAYER, np.random.default_rng(0)
    grad_output, weight = rng.standard_normal(each.output_shape), rng.standard_normal(each.weight_shape)
    wanted = np.maximum(by_the_formula(each, grad_output, weight) + 1, 0)
    for driver in taken(each):
        by, results = DataGradient(each, (driver,)), []
        assert by.driver is driver
        prepared = by.fill.prepare(grad_output, weight, np.empty(each.x_shape))
        for threads, made in itertools.product((1, 2, 3), ((), prepared)):
            grad_x = np.full(each.x_shape, np.nan)
            with fc.num_threads(threads):
                by(grad_output, weight, grad_x, np.ones(1), Epilogue(ACTIVATIONS.index("relu")), made)
            results.append(grad_x)
        assert all(np.array_equal(result, results[0]) for result in results[1:])
        np.testing.assert_allclose(results[0], wanted, atol=1e-12)


def check_choice():
    assert DataGradient(FIRST_LAYER).driver in WIDE


@pytest.mark.skipif("avx2" not in isa.known(), reason="longer vectors add few filters up in rows, at least as fast")
def test_choice():
    check_with_isa("avx2", check_choice)


def check_instruction_set():
    for layer in LAYERS:
        each = problem(*layer)
        grad_output, weight = arrays(each, np.float64)
        for driver in taken(each):
            grad_x = np.full(each.x_shape, np.nan)
            assert not driver.lay_out(each)(grad_output, weight, grad_x)
            np.testing.assert_array_equal(grad_x, by_the_formula(each, grad_output, weight))


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)
