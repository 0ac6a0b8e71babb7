"""The data gradient of strided convolutions: patches as channels, Winograd's algorithm transposed,
and the choice between them."""

import ctypes
import itertools
import math
import mmap
import sys

import numpy as np
import pytest
from data_gradients import VIEWS, arrays, by_the_formula, problem
from processes import check_with_isa

import fastconv as fc
from fastconv._core.data_gradient import subpixel
from fastconv._core.data_gradient.filters import swap_channels
from fastconv._core.direct import data_gradient as direct
from fastconv._core.planner.data_gradient import DataGradient
from fastconv._core.planner.drivers import DATA_GRADIENT, DIRECT, PRODUCT, WINOGRAD
from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.interleave import interleave
from fastconv._core.runtime import isa
from fastconv._core.winograd import data_gradient as winograd


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


# ---------------------------------------------------------------------------------------------------------------------
# Patches


@pytest.mark.parametrize("rows, columns", [(1, 2), (2, 2), (2, 3), (4, 4), (3, 16), (1, 17)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_patches_side_by_side(rows, columns, dtype):
    y = np.random.default_rng(0).standard_normal((2, 3, rows, columns, 4, 5)).astype(dtype)
    whole = y.transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 4 * rows, 5 * columns)
    channels_behind = np.ascontiguousarray(y.transpose(0, 4, 5, 1, 2, 3)).transpose(0, 3, 4, 5, 1, 2)
    for top, left, h, w in ((0, 0, 4 * rows, 5 * columns), (rows - 1, 1, 3 * rows, 4 * columns - 1),
                            (1, columns + 1, 2, 3 * columns - 2)):
        h, w = min(h, 4 * rows - top), min(w, 5 * columns - left)
        for view, of_y in itertools.product(VIEWS.values(), (y, channels_behind)):
            x = view(np.full((2, 3, h, w), np.nan, dtype))
            interleave(of_y, x, (top, left), (rows, columns))
            np.testing.assert_array_equal(x, whole[:, :, top:top + h, left:left + w])


FILLED = (None, 3, 5)
LAYERS = [
    ((2, 3, 16, 16), (5, 3, 4, 4), (4, 4), (0, 0), 1),          # patches
    ((2, 3, 17, 19), (5, 3, 4, 4), (4, 4), (0, 0), 1),          # and pixels that none covers
    ((1, 4, 15, 14), (6, 4, 4, 4), (4, 4), (1, 2), 1),          # that begin in the padding
    ((2, 4, 12, 12), (6, 2, 2, 2), (2, 2), (0, 0), 2),
    ((3, 4, 5, 5), (7, 4, 5, 5), (1, 1), (0, 0), 1),            # one output
    ((3, 4, 6, 7), (7, 4, 5, 5), (1, 1), (0, 1), 1),            # few
    ((2, 1, 11, 9), (7, 1, 3, 9), (1, 1), (0, 0), 1),           # one column of outputs
    ((2, 3, 21, 23), (5, 3, 11, 11), (4, 4), (2, 2), 1),
    ((2, 5, 13, 14), (6, 5, 5, 5), (2, 2), (2, 2), 1),
    ((2, 6, 13, 14), (9, 2, 5, 3), (2, 2), ((1, 0), (2, 3)), 3),
    ((1, 3, 20, 21), (4, 3, 7, 7), (2, 3), (3, 3), 1),
    ((1, 2, 9, 8), (4, 2, 3, 5), (1, 2), (5, 4), 1),            # outputs that see padding alone
    ((1, 40, 9, 9), (3, 40, 9, 9), (2, 2), (4, 4), 1),
    ((2, 6, 11, 12), (5, 6, 1, 1), (2, 2), (0, 0), 1),          # patches smaller than the stride
    ((2, 6, 17, 15), (6, 2, 1, 3), (2, 5), (0, 2), 3),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_patches_exactly(layer, monkeypatch):
    each = problem(*layer)
    grad_output, weight = arrays(each, np.float64)
    wanted = by_the_formula(each, grad_output, weight)
    taken = 0
    for block_bytes, weight_bytes in ((1 << 20, 3 << 19), (1000, 9000)):
        monkeypatch.setattr(subpixel, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(subpixel, "WEIGHT_BYTES", weight_bytes)
        for filled, driver, view in itertools.product(FILLED, (DIRECT, PRODUCT), VIEWS):
            patches, merged = subpixel.laid_out(each, filled)
            if patches is None or driver.refuses(merged):
                continue
            taken += 1
            grad_x = VIEWS[view](np.full(each.x_shape, np.nan))
            assert not subpixel.ByPatches(patches, driver)(VIEWS[view](grad_output), weight, grad_x)
            np.testing.assert_array_equal(grad_x, wanted, err_msg=f"{patches} {view}")
    assert taken


@pytest.mark.parametrize("layer", [((3, 24, 40, 40), (32, 24, 5, 5), (2, 2), (2, 2), 1),
                                   ((2, 16, 33, 35), (32, 16, 4, 4), (2, 2), (1, 1), 1),
                                   ((2, 3, 112, 112), (64, 3, 7, 7), (2, 2), (3, 3), 1),
                                   ((1, 3, 64, 64), (48, 3, 11, 11), (4, 4), (2, 2), 1)])
def test_patches_by_winograd(layer):
    each = problem(*layer, itemsize=4)
    rng = np.random.default_rng(1)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    wanted = by_the_formula(each, grad_output, weight)
    chosen = [patches for patches, merged in (subpixel.laid_out(each, filled) for filled in FILLED)
              if patches is not None and WINOGRAD.refuses(merged) is None]
    assert chosen
    for patches, view in itertools.product(chosen, VIEWS):
        grad_x = VIEWS[view](np.full(each.x_shape, np.nan, np.float32))
        assert not subpixel.ByPatches(patches, WINOGRAD)(VIEWS[view](grad_output), weight, grad_x)
        assert relative_error(grad_x, wanted) < 1e-5


# ---------------------------------------------------------------------------------------------------------------------
# Winograd's algorithm, transposed


TRANSPOSED = next(driver for driver in DATA_GRADIENT if driver.name == "winograd, transposed")


def transposed(each, grad_output, weight, view="nchw"):
    grad_x = VIEWS[view](np.full(each.x_shape, np.nan, grad_output.dtype))
    again = winograd.data_gradient(Convolution(VIEWS[view](grad_output), swap_channels(weight, each.groups), None,
                                               grad_x, Window((2, 2), (1, 1), each.origin)))
    return grad_x, again


@pytest.mark.parametrize("channels, filters, groups",
                         [(1, 8, 1), (3, 17, 1), (16, 16, 1), (33, 17, 1), (5, 40, 1), (4, 8, 2), (16, 16, 8),
                          (24, 24, 3), (9, 9, 3), (34, 66, 2), (40, 40, 5)])
def test_transposed_channels_and_groups(channels, filters, groups):
    each = problem((3, channels, 19, 22), (filters, channels // groups, 3, 3), (2, 2), (1, 1), groups, 4)
    rng = np.random.default_rng(channels * filters + groups)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    wanted = by_the_formula(each, grad_output, weight)
    grad_x, _ = transposed(each, grad_output, weight)
    assert relative_error(grad_x, wanted) < 5e-6
    for view in VIEWS:
        np.testing.assert_array_equal(transposed(each, grad_output, weight, view)[0], grad_x)


@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0), ((0, 1), (1, 0)), ((9, 0), (3, 12))])
def test_transposed_sizes(padding):
    rng = np.random.default_rng(3)
    for h, w in itertools.product((3, 4, 5, 8, 9, 10, 17, 18, 19), (3, 9, 16, 33)):
        each = problem((2, 5, h, w), (9, 5, 3, 3), (2, 2), padding, 1, 4)
        grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                               for shape in (each.output_shape, each.weight_shape))
        assert relative_error(transposed(each, grad_output, weight)[0],
                              by_the_formula(each, grad_output, weight)) < 5e-6


def test_transposed_in_double_precision_is_exact_to_rounding():
    each = problem((2, 20, 30, 41), (40, 20, 3, 3), (2, 2), (1, 1))
    grad_output, weight = arrays(each, np.float64)
    assert relative_error(transposed(each, grad_output, weight)[0], by_the_formula(each, grad_output, weight)) < 1e-14


# Filters made once or for each block; blocks of parts of an image, and of several; U of one vector of channels.
BLOCKS = [((9, 32, 28, 28), (64, 32, 3, 3)), ((1, 40, 150, 160), (96, 40, 3, 3)), ((5, 256, 14, 14), (300, 256, 3, 3)),
          ((2, 24, 20, 20), (1000, 24, 3, 3))]


@pytest.mark.parametrize("x_shape, weight_shape", BLOCKS)
def test_transposed_blocks_and_threads(x_shape, weight_shape):
    each = problem(x_shape, weight_shape, (2, 2), (1, 1), 1, 4)
    rng = np.random.default_rng(4)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    with fc.num_threads(1):
        grad_x, again = transposed(each, grad_output, weight)
    assert again == [] and relative_error(grad_x, by_the_formula(each, grad_output, weight)) < 5e-6
    for threads in (2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(transposed(each, grad_output, weight)[0], grad_x)


def test_transposed_scratch_is_bounded():
    for x_shape, weight_shape in [*BLOCKS, ((1, 64, 1000, 300), (64, 64, 3, 3)), ((64, 512, 14, 14), (512, 512, 3, 3)),
                                  ((1, 512, 96, 56), (1024, 512, 3, 3)), ((1, 1024, 7, 7), (2048, 1024, 3, 3))]:
        each = problem(x_shape, weight_shape, (2, 2), (1, 1), 1, 4)
        assert TRANSPOSED.refuses(each) is None
        conv = Convolution(np.empty(each.output_shape, np.float32),
                           swap_channels(np.empty(weight_shape, np.float32), 1), None, np.empty(x_shape, np.float32),
                           Window((2, 2), (1, 1), (1, 1)))
        assert winograd.workspace(conv, True) <= 16 << 20


def check_instruction_set():
    """Sizes around tiles, panels and vectors of any instruction set, and patches by each driver."""
    rng = np.random.default_rng(5)
    for channels, filters, groups in ((7, 15, 1), (31, 33, 1), (8, 8, 4), (16, 16, 2)):
        for view in ("nchw", "nhwc"):
            each = problem((2, channels, 21, 34), (filters, channels // groups, 3, 3), (2, 2), (1, 1), groups, 4)
            grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                                   for shape in (each.output_shape, each.weight_shape))
            assert relative_error(transposed(each, grad_output, weight, view)[0],
                                  by_the_formula(each, grad_output, weight)) < 5e-6
    for layer in LAYERS:
        each = problem(*layer)
        grad_output, weight = arrays(each, np.float32)
        wanted = by_the_formula(each, grad_output, weight)
        for driver in (DIRECT, PRODUCT):
            grad_x = np.full(each.x_shape, np.nan, np.float32)
            if DIRECTLY.refuses(each) is None:
                DataGradient(each, (DIRECTLY,))(grad_output, weight, grad_x)
                np.testing.assert_array_equal(grad_x, wanted)
            patches, _ = subpixel.laid_out(each, None)
            assert not subpixel.ByPatches(patches, driver)(grad_output, weight, grad_x)
            np.testing.assert_array_equal(grad_x, wanted)


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)


# ---------------------------------------------------------------------------------------------------------------------
# All phases in one call, channels in the lanes

DIRECTLY, LAST = next(driver for driver in DATA_GRADIENT if driver.name == "direct, all phases"), DATA_GRADIENT[-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [
    ((3, 40, 14, 14), (70, 40, 3, 3), (2, 2), (1, 1), 1),       # tiles that go on from row to row
    ((2, 33, 7, 9), (17, 33, 3, 3), (2, 2), (1, 1), 1),
    ((2, 40, 8, 8), (70, 40, 4, 4), (2, 2), (1, 1), 1),         # rows of X once for each column where a tap begins
    ((3, 20, 9, 7), (33, 20, 5, 5), (2, 2), ((2, 1), (2, 2)), 1),
    ((5, 20, 28, 28), (40, 20, 1, 1), (2, 2), (0, 0), 1),       # phases without taps
    ((2, 100, 14, 13), (50, 100, 2, 2), (3, 2), (1, 0), 1),
    ((1, 3, 11, 12), (4, 3, 7, 2), (5, 1), (3, 9), 1),
    ((2, 16, 75, 80), (9, 16, 3, 3), (2, 2), ((2, 0), (0, 3)), 1),    # several blocks, weights packed beforehand,
    ((1, 129, 70, 60), (120, 129, 3, 3), (2, 2), (1, 1), 1),          # or for each
    ((1, 3, 81, 81), (4, 3, 3, 3), (2, 2), (1, 1), 1),          # where the phase that reaches far has a row less
    ((2, 3, 34, 998), (1, 3, 6, 4), (4, 4), (2, 2), 1),
    ((3, 24, 14, 13), (36, 6, 3, 3), (2, 2), (1, 1), 4),        # groups, of less than a vector of channels,
    ((1, 99, 20, 21), (51, 33, 3, 5), (2, 3), ((2, 0), (1, 3)), 3),    # of two,
    ((1, 32, 75, 80), (64, 16, 3, 3), (2, 2), (0, 0), 2),       # in several blocks, weights packed beforehand,
    ((1, 200, 70, 60), (200, 100, 3, 3), (2, 2), (1, 1), 2),    # or for each,
    ((2, 20, 11, 12), (5, 4, 2, 2), (3, 3), (0, 0), 5),         # one filter each, pixels without taps,
    ((2, 6, 13, 9), (12, 1, 3, 3), (2, 2), (1, 1), 6),          # one channel each,
    ((2, 40, 14, 15), (80, 20, 3, 3), (1, 1), (1, 1), 2),       # without a stride
    ((1, 8, 110, 104), (8, 8, 6, 4), (3, 3), ((2, 0), (1, 1)), 1),
    ((2, 64, 9, 8), (1, 64, 3, 3), (2, 2), (1, 1), 1),
    ((3, 1, 8, 8), (1, 1, 3, 3), (2, 2), (1, 1), 1),
    ((1, 17, 5, 40), (33, 17, 3, 3), (3, 3), (0, 0), 1),
    ((2, 6, 107, 107), (4, 6, 7, 7), (8, 8), (2, 2), 1),        # a block's last row needs one of the next block in
    ((2, 6, 211, 211), (3, 6, 7, 7), (16, 16), (2, 2), 1),      # phases that are shorter than others
])
def test_all_phases_in_one_call_exactly(layer, dtype):
    each = problem(*layer, itemsize=np.dtype(dtype).itemsize)
    grad_output, weight = arrays(each, dtype)
    wanted, by = by_the_formula(each, grad_output, weight), DataGradient(each, (DIRECTLY,))
    assert by.driver is DIRECTLY
    apart = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    some = np.pad(weight, ((0, 0), (1, 2), (0, 0), (0, 0)), constant_values=np.nan)[:, 1:-2]
    for view, weights in itertools.product(VIEWS, (weight, apart, some)):
        for threads in (1, 2, 3):
            grad_x = VIEWS[view](np.full(each.x_shape, np.nan, dtype))
            with fc.num_threads(threads):
                by(VIEWS[view](grad_output), weights, grad_x)
            np.testing.assert_array_equal(grad_x, wanted, err_msg=f"{view} {threads}")


def random_strided(rng, most=30):
    """Strides, dilation and padding of all sizes, planes of at most so many rows and columns."""
    taps, stride, dilation = (tuple(int(n) for n in rng.integers(1, most, 2)) for most in (5, 5, 4))
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 6, (2, 2)))
    size = tuple(int(rng.integers(1, most)) for _ in range(2))
    outputs = tuple((n + sum(p) - d * (t - 1) - 1) // s + 1
                    for n, p, t, s, d in zip(size, pads, taps, stride, dilation))
    n, c, k = (int(rng.integers(1, bound)) for bound in ((4, 40, 40) if most <= 30 else (3, 6, 6)))
    groups = int(rng.choice([1, 1, 2, 5]))
    return ConvProblem((n, groups * c, *size), (groups * k, c, *taps), stride, pads, dilation, groups, outputs, 8,
                       bool(rng.integers(2)), "constant")


@pytest.mark.parametrize(("most", "count"), [(30, 60), (200, 30)])    # of one block mostly, of several
def test_all_phases_in_one_call_are_those_of_the_passes(most, count):
    rng, taken = np.random.default_rng(11), 0
    while taken < count:
        each = random_strided(rng, most)
        if min(each.output_size) < 1 or DIRECTLY.refuses(each) is not None:
            continue
        taken += 1
        grad_output, weight = arrays(each, np.float64)
        results = [np.full(each.x_shape, np.nan) for _ in range(2)]
        for driver, grad_x in zip((DIRECTLY, LAST), results):
            DataGradient(each, (driver,))(grad_output, weight, grad_x)
        np.testing.assert_array_equal(*results, err_msg=str(each))


def at_the_end_of_memory(array):
    """A copy that ends where a page begins that must not be touched."""
    pages = -(-array.nbytes // mmap.PAGESIZE) + 1
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE)
    last = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + (pages - 1) * mmap.PAGESIZE
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(last), mmap.PAGESIZE, 0) == 0
    copy = np.frombuffer(memory, array.dtype, array.size,
                         (pages - 1) * mmap.PAGESIZE - array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are protected by Linux's mprotect")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("taps", [(1, 1), (2, 2), (1, 3), (3, 3), (5, 5), (4, 1)])
def test_nothing_is_read_behind_the_weights(taps, dtype):
    """Where a channel has fewer taps than a vector has lanes, those of several are read at once."""
    drivers = [driver for driver in DATA_GRADIENT if driver.name in ("direct, all phases", "phases, direct")]
    for c, k, stride, groups in itertools.product((1, 5, 15, 16, 17, 33), (2, 7, 16), ((1, 1), (2, 2)), (1, 2)):
        each = problem((2, groups * c, 7, 9), (groups * k, c, *taps), stride, (1, 0), groups, np.dtype(dtype).itemsize)
        grad_output, weight = arrays(each, dtype)
        for driver in drivers:
            if driver.refuses(each) is None:
                grad_x = np.full(each.x_shape, np.nan, dtype)
                DataGradient(each, (driver,))(grad_output, at_the_end_of_memory(weight), grad_x)
                np.testing.assert_array_equal(grad_x, by_the_formula(each, grad_output, weight))


def test_scratch_of_all_phases_is_bounded():
    rng, taken = np.random.default_rng(12), 0
    while taken < 200:
        n, c, k, h, w = (int(2 ** rng.uniform(0, most)) for most in (6, 12, 12, 9, 11))
        taps, stride = (tuple(int(2 ** rng.uniform(0, most)) for _ in range(2)) for most in (4, 4))
        size = int(rng.choice([4, 8]))
        if c * k * math.prod(taps) > 1 << 24 or n * max(c, k) * h * w > 1 << 26 or h < taps[0] or w < taps[1]:
            continue
        groups = math.gcd(c, k) if rng.random() < 0.3 else 1
        each = problem((n, c, h, w), (k, c // groups, *taps), stride, (0, 0), groups, size, bool(rng.integers(2)))
        if DIRECTLY.refuses(each) is not None:
            continue
        taken += 1
        dtype = np.dtype(f"f{size}")
        shapes = (each.output_shape, (c // groups, k, *taps), each.x_shape)
        grad_output, weight, grad_x = (parts.unbacked(shape, dtype, each.channels_last and i != 1)
                                       for i, shape in enumerate(shapes))
        conv = Convolution(grad_output, weight, None, grad_x, Window(stride, (1, 1), (0, 0)))
        assert direct.workspace(conv, True) <= 16 << 20, each


# ---------------------------------------------------------------------------------------------------------------------
# The choice, and values that must not spread


def planned(each):
    """What is chosen for a problem as it is, not in a simpler form."""
    return DataGradient(each).driver.name


def test_the_choice():
    for x_shape, filters in (((8, 64, 56, 56), 128), ((8, 128, 56, 56), 256), ((4, 128, 96, 96), 128)):
        each = problem(x_shape, (filters, x_shape[1], 3, 3), (2, 2), (1, 1), 1, 4)
        assert planned(each) == "winograd, transposed"
        assert planned(each._replace(itemsize=8)) != "winograd, transposed"
    for layer in (((32, 3, 32, 32), (192, 3, 4, 4), (4, 4)), ((8, 3, 224, 224), (96, 3, 16, 16), (16, 16)),
                  ((64, 1, 56, 300), (100, 1, 3, 300), (1, 1))):
        assert planned(problem(*layer, itemsize=4)).startswith("patches")
    assert planned(problem((8, 64, 56, 56), (64, 64, 3, 3), (1, 1), (1, 1), 1, 4)) == "phases, winograd"
    # Many filters on few pixels: transformed ones, or those of each phase, would take longer to make than they save.
    of_intel = [((8, 128, 28, 28), 256), ((8, 256, 14, 14), 512)] if isa.costs()[0] == "avx512 of Intel" else []
    for x_shape, filters in (((1, 256, 14, 14), 512), *of_intel):
        assert planned(problem(x_shape, (filters, x_shape[1], 3, 3), (2, 2), (1, 1), 1, 4)) == "direct, all phases"
    assert planned(problem((1, 16, 5, 5), (120, 16, 5, 5), (1, 1), (0, 0), 1, 4)) == "one output"


def test_a_plan_holds_what_its_calls_need():
    """The second call of a problem makes no plan and asks for none."""
    each = problem((2, 4, 9, 9), (8, 4, 3, 3), (2, 2), (1, 1))
    grad_output, weight = arrays(each, np.float64)
    plan = conv2d_plan(each, "auto").data_gradient
    assert conv2d_plan(each, "auto").data_gradient is plan
    for _ in range(2):
        grad_x = np.full(each.x_shape, np.nan)
        plan(grad_output, weight, grad_x)
        np.testing.assert_array_equal(grad_x, by_the_formula(each, grad_output, weight))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_driver_exactly(layer):
    """Each driver of the list alone, on views of all kinds."""
    each = problem(*layer)
    grad_output, weight = arrays(each, np.float64)
    wanted = by_the_formula(each, grad_output, weight)
    for driver in DATA_GRADIENT:
        if driver.refuses(each) is not None or driver.by.transforms:
            continue
        for view in VIEWS:
            grad_x = VIEWS[view](np.full(each.x_shape, np.nan))
            DataGradient(each, (driver,))(VIEWS[view](grad_output), weight, grad_x)
            np.testing.assert_array_equal(grad_x, wanted, err_msg=f"{driver.name} {view}")


def test_one_output_of_weights_in_pieces_is_left_to_others():
    each = problem((2, 16, 5, 5), (12, 16, 5, 5), (1, 1))
    grad_output, weight = arrays(each, np.float64)
    plan = conv2d_plan(each, "auto").data_gradient
    assert plan.driver.name == "one output"
    apart = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    for given in (weight, apart):
        grad_x = np.full(each.x_shape, np.nan)
        plan(grad_output, given, grad_x)
        np.testing.assert_array_equal(grad_x, by_the_formula(each, grad_output, weight))


SPREADING = [problem((3, 64, 40, 40), (64, 64, 3, 3), (2, 2), (1, 1), 1, 4),
             problem((2, 24, 40, 40), (32, 24, 5, 5), (2, 2), (2, 2), 1, 4),
             problem((2, 16, 33, 35), (32, 16, 4, 4), (2, 2), (1, 1), 1, 4),
             problem((2, 3, 32, 32), (64, 3, 4, 4), (4, 4), (0, 0), 1, 4)]


def backward(each, grad_output, weight):
    x = np.zeros(each.x_shape, np.float32)
    return fc.conv2d_backward(grad_output, x, weight, stride=each.stride, padding=each.pads,
                              needs=(True, False, False))[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e20])
@pytest.mark.parametrize("each", SPREADING)
def test_what_a_pixel_does_not_see_does_not_reach_it(each, value):
    rng = np.random.default_rng(7)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    quiet = backward(each, grad_output, weight)
    where = (len(grad_output) - 1, 3, each.output_size[0] // 2, 2)
    grad_output[where] = value
    grad_x = backward(each, grad_output, weight)
    seen = np.zeros(each.x_shape, bool)
    rows, columns = (slice(max(0, at * step - before), max(0, at * step - before + taps))
                     for at, step, before, taps in zip(where[2:], each.stride, each.origin, each.taps))
    seen[where[0], :, rows, columns] = True
    assert np.isfinite(grad_x[~seen]).all()
    assert relative_error(grad_x[~seen], quiet[~seen]) < 1e-5
    assert (np.abs(grad_x[seen]) > 1e15).all() if value == 1e20 else not np.isfinite(grad_x[seen]).any()


@pytest.mark.parametrize("each", SPREADING)
def test_a_weight_that_is_not_finite_meets_no_padding(each):
    rng = np.random.default_rng(8)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    weight[1, 2, 0, 1] = np.inf
    with np.errstate(invalid="ignore"):
        wanted = by_the_formula(each, np.ones_like(grad_output), np.where(np.isfinite(weight), 0, 1))
    np.testing.assert_array_equal(np.isfinite(backward(each, grad_output, weight)), wanted == 0)


@pytest.mark.parametrize("each", SPREADING)
def test_adjoint(each):
    """<conv(x, w), g> = <x, grad_x>."""
    rng = np.random.default_rng(9)
    grad_output, weight, x = (rng.standard_normal(shape).astype(np.float32)
                              for shape in (each.output_shape, each.weight_shape, each.x_shape))
    y = fc.conv2d(x, weight, stride=each.stride, padding=each.pads).astype(np.float64)
    inner, other = np.vdot(y, grad_output), np.vdot(x.astype(np.float64), backward(each, grad_output, weight))
    assert abs(inner - other) <= 1e-5 * math.sqrt(np.vdot(y, y) * np.vdot(grad_output, grad_output))


@pytest.mark.parametrize("each", SPREADING)
def test_the_same_bits_for_any_number_of_threads(each):
    rng = np.random.default_rng(10)
    grad_output, weight = (rng.standard_normal(shape).astype(np.float32)
                           for shape in (each.output_shape, each.weight_shape))
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results.append(backward(each, grad_output, weight))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
