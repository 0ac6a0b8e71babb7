"""Tiles of the direct driver that leave out taps which meet zeros around the image, or read the image where it lies:
exactly the plain loops on integers, and no more products than these have."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

from fastconv._core.direct import forward as channels
from fastconv._core.direct.layout import laid_out
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime import isa

#: The plane, the filter, stride, dilation and padding, of which the taps of many outputs meet nothing but padding.
GEOMETRIES = [
    ((5, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((1, 1), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((4, 7), (9, 5), (1, 1), (1, 1), (4, 2)),
    ((5, 6), (9, 9), (2, 2), (1, 1), (4, 4)),
    ((13, 13), (3, 3), (1, 1), (12, 12), (12, 12)),
    ((9, 30), (3, 3), (1, 1), (4, 2), (4, 2)),
    ((8, 8), (7, 7), (2, 2), (1, 1), (3, 3)),
    ((6, 33), (1, 5), (1, 1), (1, 1), (0, 2)),
    ((21, 4), (5, 1), (3, 1), (1, 1), (2, 0)),
    ((3, 3), (2, 2), (1, 1), (7, 1), (4, 1)),      # rows of taps jump over the image
    ((2, 3), (1, 1), (1, 1), (1, 1), (3, 2)),      # outputs that meet no tap at all
    ((17, 19), (3, 4), (2, 3), (2, 1), (5, 1)),
]


def outputs_of(plane, filter_, stride, dilation, padding):
    return tuple((n + 2 * p - d * (r - 1) - 1) // s + 1
                 for n, r, s, d, p in zip(plane, filter_, stride, dilation, padding))


def amid_nan(shape, rng, channels_last):
    """An array of small integers, of which everything around is NaN."""
    n, c, h, w = shape
    if channels_last:
        return amid_nan((n, h, w, c), rng, False).transpose(0, 3, 1, 2)
    whole = np.full(tuple(size + 4 for size in shape), np.nan, np.float32)
    inner = whole[tuple(slice(2, size + 2) for size in shape)]
    inner[...] = rng.integers(-3, 4, shape)
    return inner


def check(geometry, images, channels_, filters, channels_last, groups=1):
    plane, filter_, stride, dilation, padding = geometry
    rng = np.random.default_rng(0)
    x = amid_nan((images, channels_ * groups, *plane), rng, channels_last)
    weight = rng.integers(-3, 4, (filters * groups, channels_, *filter_)).astype(np.float32)
    bias = rng.integers(-3, 4, filters * groups).astype(np.float32)
    wanted = reference.conv2d(x, weight, bias, stride=stride, dilation=dilation, padding=[(p, p) for p in padding],
                              groups=groups)
    y = np.full(wanted.shape, np.nan, np.float32)
    if channels_last:
        y = np.ascontiguousarray(y.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    channels.conv2d(Convolution(x, weight, bias, y, Window(stride, dilation, padding, 0, 0.0)))
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("channels_last", [False, True], ids=["planes", "pixels"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_plain_loops(geometry, channels_last):
    for images, channels_, filters in ((1, 16, 33), (3, 5, 17), (19, 20, 8), (2, 33, 70), (1, 3, 16)):
        check(geometry, images, channels_, filters, channels_last)
    check(geometry, 2, 17, 19, channels_last, groups=3)
    check(geometry, 2, 4, 4, channels_last, groups=4)     # side by side in a vector


def every_geometry():
    for geometry, channels_last in itertools.product(GEOMETRIES, (False, True)):
        test_plain_loops(geometry, channels_last)


@pytest.mark.parametrize("name", isa.compiled())
def test_every_instruction_set(name):
    check_with_isa(name, every_geometry)


def met(geometry, every_column):
    """How many pairs of outputs and taps there are, of which some row, or pixel, of the image meets the tap."""
    of_axes = []
    for axis, (n, r, s, d, p) in enumerate(zip(*geometry)):
        count = outputs_of(*geometry)[axis]
        of_axes.append(sum(0 <= i * s + t * d - p < n or (axis == 1 and every_column)
                           for i, t in itertools.product(range(count), range(r))))
    return of_axes[0] * of_axes[1]


@pytest.mark.parametrize("geometry", GEOMETRIES[:9], ids=str)
def test_products_are_left_out(geometry):
    plane, filter_, stride, dilation, padding = geometry
    problem = ConvProblem((1, 64, *plane), (64, 64, *filter_), stride, tuple((p, p) for p in padding), dilation, 1,
                          outputs_of(*geometry), 4, False, "constant")
    layout, _, tiles, _ = laid_out(problem)
    assert layout["blocking"]["count"] == 1
    assert tiles["pixel_taps"] == met(geometry, every_column=not layout["tiling"]["by_columns"])
    _, _, tiles, _ = laid_out(problem._replace(padding_mode="circular"))     # what is not zero counts
    assert tiles["pixel_taps"] == np.prod(outputs_of(*geometry)) * np.prod(filter_)


def test_every_block_counts():
    """A first row of outputs that meets two rows of taps does not stand for all others."""
    problem = ConvProblem((2, 256, 64, 64), (192, 256, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, (32, 32), 4, False,
                          "constant")
    layout, _, tiles, blocks = laid_out(problem)
    assert blocks == layout["blocking"]["row_blocks"] > 1
    assert tiles["outputs"] == 32 * 32
    assert tiles["pixel_taps"] == met(((64, 64), (3, 3), (2, 2), (1, 1), (1, 1)),
                                      every_column=not layout["tiling"]["by_columns"])


def test_most_of_what_meets_padding_is_left_out():
    """Of 13 x 13 pixels under taps 12 apart all but a ninth meet one tap of nine."""
    problem = ConvProblem((8, 64, 13, 13), (192, 64, 3, 3), (1, 1), ((12, 12), (12, 12)), (12, 12), 1, (13, 13), 4,
                          False, "constant")
    layout, _, tiles, _ = laid_out(problem)
    assert layout["tiling"]["by_columns"]
    assert tiles["pixel_taps"] < 0.16 * layout["blocking"]["images"] * 13 * 13 * 9


@pytest.mark.parametrize("channels_count, in_place", [(24, True), (64, True), (256, False), (512, False)])
def test_pixels_are_read_where_they_lie(channels_count, in_place):
    """Unless they share the sets of L1."""
    problem = ConvProblem((1, channels_count, 28, 28), (32, channels_count, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1,
                          (14, 14), 4, True, "constant")
    layout, _, _, _ = laid_out(problem)
    assert layout["in_place"] == in_place
    assert not laid_out(problem._replace(channels_last=False))[0]["in_place"]
