"""Data gradients of weights that were prepared beforehand: the bits of those that were not,
for any number of threads."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import isa

WAYS = {driver.name: driver for driver in DATA_GRADIENT}
LAYERS = [
    ("direct, all phases", ((2, 70, 8, 8), (33, 70, 4, 4), (1, 1), 1)),
    ("direct, all phases", ((1, 16, 75, 80), (9, 16, 3, 3), (0, 1), 1)),        # packed before all blocks,
    ("direct, all phases", ((1, 129, 70, 60), (120, 129, 3, 3), (1, 1), 1)),    # or for each
    ("direct, all phases", ((2, 60, 21, 34), (36, 20, 3, 3), (1, 1), 3)),
    ("direct, all phases", ((1, 200, 70, 60), (200, 100, 3, 3), (1, 1), 2)),
    ("winograd, transposed", ((2, 40, 21, 34), (24, 40, 3, 3), (1, 1), 1)),
    ("winograd, transposed", ((1, 200, 30, 30), (200, 200, 3, 3), (1, 1), 1)),  # in panels, if not prepared
    ("winograd, transposed", ((2, 32, 20, 20), (32, 8, 3, 3), (1, 1), 4)),
]


def images(shape, channels_last, dtype):
    n, c, h, w = shape
    y = np.full((n, h, w, c) if channels_last else shape, np.nan, dtype)
    return y.transpose(0, 3, 1, 2) if channels_last else y


def check(name, layer, dtype, channels_last):
    x_shape, weight_shape, padding, groups = layer
    pads = tuple((p, p) for p in padding)
    size = tuple((n + 2 * p - taps) // 2 + 1 for n, p, taps in zip(x_shape[2:], padding, weight_shape[2:]))
    problem = ConvProblem(x_shape, weight_shape, (2, 2), pads, (1, 1), groups, size, np.dtype(dtype).itemsize,
                          channels_last, "constant")
    rng, by, results = np.random.default_rng(13), DataGradient(problem, (WAYS[name],)), []
    assert by.driver is WAYS[name]
    weight = rng.standard_normal(weight_shape).astype(dtype)
    grad_output = images(problem.output_shape, channels_last, dtype)
    grad_output[...] = rng.standard_normal(grad_output.shape)
    prepared = by.fill.prepare(grad_output, weight, images(x_shape, channels_last, dtype))
    assert prepared
    for threads, made in itertools.product((1, 2, 3), ((), prepared)):
        grad_x = images(x_shape, channels_last, dtype)
        with fc.num_threads(threads):
            by(grad_output, weight, grad_x, prepared=made)
        results.append(grad_x)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    wanted, *_ = reference.conv2d_backward(grad_output.astype(np.float64), np.zeros(x_shape), weight.astype(np.float64),
                                           stride=2, padding=pads, groups=groups)
    assert np.linalg.norm(results[0] - wanted) < 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("name", "layer"), LAYERS)
def test_prepared_weights_give_the_same_bits(name, layer, channels_last):
    for dtype in (np.float32, np.float64)[:2 if name == "direct, all phases" else 1]:
        check(name, layer, dtype, channels_last)


def check_instruction_set():
    for (name, layer), channels_last in itertools.product(LAYERS, (False, True)):
        check(name, layer, np.float32, channels_last)


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)
