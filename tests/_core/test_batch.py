"""The sum with images in the lanes: every number of images, layout, window and thread, exactly the plain loops on
integers."""

import itertools

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.batch import cost, forward
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import isa

#: The plane, the filter, stride, dilation and padding.
GEOMETRIES = [
    ((5, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((7, 4), (2, 3), (1, 1), (1, 1), (0, 0)),
    ((1, 1), (3, 3), (1, 1), (1, 1), (1, 1)),      # taps in the padding alone
    ((2, 3), (1, 1), (1, 1), (1, 1), (3, 2)),      # outputs that meet no tap at all
    ((9, 8), (5, 4), (2, 3), (1, 1), (4, 1)),
    ((6, 19), (3, 3), (1, 2), (2, 4), (2, 5)),
    ((3, 3), (2, 2), (1, 1), (7, 1), (4, 1)),      # rows of taps jump over the image
    ((4, 3), (2, 3), (1, 1), (1, 6), (1, 7)),      # and columns
    ((1, 40), (1, 9), (1, 1), (1, 1), (0, 4)),
    ((8, 8), (4, 4), (4, 4), (1, 1), (0, 0)),
]
IN_MEMORY = ["planes", "rows", "pixels", "pixels of groups", "every second"]


def outputs_of(plane, filter_, stride, dilation, padding):
    return tuple((n + 2 * p - d * (r - 1) - 1) // s + 1
                 for n, r, s, d, p in zip(plane, filter_, stride, dilation, padding))


def placed(array, memory):
    """The array as a view of a larger one, in this order in memory, with NaN around it."""
    n, c, h, w = array.shape
    if memory.startswith("pixels"):
        more = 3 if memory.endswith("groups") else 0
        view = np.full((n, h, w, c + more), np.nan, array.dtype).transpose(0, 3, 1, 2)[:, :c]
    elif memory == "every second":
        view = np.full((n, c, h, 2 * w), np.nan, array.dtype)[..., ::2]
    else:
        view = np.full((n, c, h, w + (3 if memory == "rows" else 0)), np.nan, array.dtype)[..., :w]
    view[...] = array
    return view


def convolve(x, weight, bias, geometry, memory="planes", epilogue=(), mode=0, value=0.0):
    """The driver alone."""
    _, _, stride, dilation, padding = geometry
    y = placed(np.full((len(x), len(weight), *outputs_of(*geometry)), np.nan, x.dtype), memory)
    window = Window(stride, dilation, padding, mode, value)
    forward.conv2d(Convolution(placed(x, memory), weight, bias, y, window, Epilogue(*epilogue)))
    return y


def integers(geometry, images, channels, filters, groups=1, dtype=np.float32):
    plane, filter_, *_ = geometry
    rng = np.random.default_rng(0)
    return [rng.integers(-3, 4, shape).astype(dtype)
            for shape in ((images, channels * groups, *plane), (filters * groups, channels, *filter_),
                          (filters * groups,))]


def plain(x, weight, bias, geometry, **options):
    _, _, stride, dilation, padding = geometry
    return reference.conv2d(x, weight, bias, stride=stride, dilation=dilation, padding=[(p, p) for p in padding],
                            groups=x.shape[1] // weight.shape[1], **options)


@pytest.mark.parametrize("memory", IN_MEMORY)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_plain_loops(geometry, memory):
    for sizes in ((33, 3, 7, 1), (16, 1, 2, 3), (5, 2, 15, 1), (1, 1, 1, 1), (17, 4, 29, 2)):
        arrays = integers(geometry, *sizes)
        np.testing.assert_array_equal(convolve(*arrays, geometry, memory), plain(*arrays, geometry))


@pytest.mark.parametrize("images", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_images(images, dtype):
    for filters in (1, 5, 6, 7, 13, 14, 15, 28):
        arrays = integers(GEOMETRIES[0], images, 2, filters, dtype=dtype)
        np.testing.assert_array_equal(convolve(*arrays, GEOMETRIES[0]), plain(*arrays, GEOMETRIES[0]))


def every_geometry():
    for geometry, memory in itertools.product(GEOMETRIES, IN_MEMORY):
        test_plain_loops(geometry, memory)
    for images, dtype in itertools.product((1, 9, 40), (np.float32, np.float64)):
        test_any_number_of_images(images, dtype)


@pytest.mark.parametrize("name", isa.compiled())
def test_every_instruction_set(name):
    check_with_isa(name, every_geometry)


@pytest.mark.parametrize("activation", [1, 2])
def test_bias_and_activation(activation):
    for geometry in GEOMETRIES:
        x, weight, bias = integers(geometry, 19, 3, 8)
        sums = plain(x, weight, bias, geometry)
        wanted = np.maximum(sums, 0) + (0.25 * np.minimum(sums, 0) if activation == 2 else 0)
        np.testing.assert_array_equal(convolve(x, weight, bias, geometry, epilogue=(activation, 0.25)), wanted)
        np.testing.assert_array_equal(convolve(x, weight, None, geometry), plain(x, weight, None, geometry))


def test_threads_have_the_same_bits():
    geometry = ((30, 31), (3, 3), (1, 1), (1, 1), (1, 1))
    rng = np.random.default_rng(0)
    shapes = (70, 6, 30, 31), (10, 3, 3, 3), (10,)
    x, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    results = []
    for threads in (1, 2, 3, 5):
        with fc.num_threads(threads):
            results.append(convolve(x, weight, bias, geometry))
    for each in results[1:]:
        np.testing.assert_array_equal(each, results[0])
    np.testing.assert_allclose(results[0], plain(x, weight, bias, geometry), atol=1e-5)


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_make_nan_of_padding(strange):
    for geometry in GEOMETRIES:
        x, weight, bias = integers(geometry, 17, 2, 3)
        weight[1, 0, 0, 0] = strange
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(convolve(x, weight, bias, geometry), plain(x, weight, bias, geometry))


@pytest.mark.parametrize("mode", range(len(cases.PADDING_MODES)))
def test_other_padding(mode):
    """It leaves it to the matrix product."""
    x, weight, bias = integers(GEOMETRIES[0], 18, 2, 3)
    wanted = plain(x, weight, bias, GEOMETRIES[0], padding_mode=cases.PADDING_MODES[mode], padding_value=2.0)
    np.testing.assert_array_equal(convolve(x, weight, bias, GEOMETRIES[0], mode=mode, value=2.0), wanted)


def test_images_whose_rows_take_much_scratch():
    """Two rows of 200 channels x 4,000 columns of 32 images are 205 MB: parts of them are computed one by one."""
    geometry = ((2, 4000), (2, 3), (1, 1), (1, 1), (0, 1))
    x, weight, bias = integers(geometry, 3, 200, 2)
    y = placed(np.full((3, 2, 1, 4000), np.nan, np.float32), "planes")
    conv = Convolution(x, weight, bias, y, Window((1, 1), (1, 1), (0, 1), 0, 0.0))
    assert forward.workspace(conv, True) > 8 << 20
    forward.conv2d(conv)
    np.testing.assert_array_equal(y, plain(x, weight, bias, geometry))


def test_turned_filters():
    """Views with any strides, as those of a data gradient."""
    geometry = GEOMETRIES[0]
    x, weight, bias = integers(geometry, 20, 3, 5)
    wanted = plain(x, weight, bias, geometry)
    turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(convolve(x, turned.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], bias, geometry), wanted)


@pytest.mark.parametrize("axis", [(5, 3, 1, 1, 1), (1, 3, 1, 1, 1), (7, 5, 2, 1, 2), (4, 3, 1, 6, 7), (3, 2, 1, 7, 4)])
def test_taps_that_are_counted_meet_the_image(axis):
    size, taps, stride, dilation, before = axis
    outputs = (size + 2 * before - dilation * (taps - 1) - 1) // stride + 1
    met = sum(0 <= i * stride + t * dilation - before < size for i in range(outputs) for t in range(taps))
    assert cost.met_taps(size, taps, stride, dilation, before, outputs) == met


def test_the_planner_does_not_count_forever():
    """Nobody has such arrays, but `explain` and messages about bad sizes ask what they would cost."""
    assert cost.met_taps(2**40, 3, 1, 1, 1, 2**40) == 3 * 2**40 - 2
    assert 0 < cost.met_taps(2**40, 2**39, 1, 1, 0, 2**39 + 1) <= 2**80
    shape, filters = (8, 2, 2**40, 2), (3, 2, 3, 3)
    assert fc.explain(shape, filters, padding=1, dtype="float32").output_shape == (8, 3, 2**40, 2)


def test_the_planner_takes_it():
    """Six filters on many small images, and on the way back."""
    told = fc.explain((64, 6, 10, 10), (6, 6, 5, 5), padding=4, dtype="float32")
    assert told.driver == "images", told.candidates
    problem = ConvProblem((3, 16, 12, 12), (6, 16, 5, 5), (1, 1), ((4, 4), (4, 4)), (1, 1), 1, (16, 16), 4, False,
                          "constant")
    assert "fewer than 4 images" in cost.refuses(problem)
    assert "not of zeros" in cost.refuses(problem._replace(x_shape=(64, 16, 12, 12), padding_mode="reflect"))
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((64, 6, 14, 14)), rng.standard_normal((16, 6, 5, 5))
    grad = rng.standard_normal((64, 16, 10, 10))
    grad_x, _, _ = fc.conv2d_backward(grad, x, weight, needs=(True, False, False))
    moved = rng.standard_normal(x.shape)
    np.testing.assert_allclose((grad_x * moved).sum(), (grad * reference.conv2d(moved, weight, None)).sum(), rtol=1e-9)
