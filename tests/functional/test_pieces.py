"""What pieces of a result need of an image: positions along one axis, and calls that are checked without an image."""

import numpy as np
import pytest

import fastconv as fc
from fastconv.functional.pieces import Axis, Span, pixels, weight_dtype, windowed


def test_positions_and_spans():
    axis = Axis(size=20, outputs=9, taps=3, stride=2, dilation=2, before=3, after=2)
    assert axis.positions(0, 1) == range(-3, 2) and axis.positions(2, 5) == range(1, 10)
    assert axis.span(0, 2) == Span(0, 4, 3, 0)
    assert axis.span(2, 5) == Span(1, 10, 0, 0)
    assert axis.span(8, 9) == Span(13, 18, 0, 0)
    assert [axis.output_after(position) for position in (-9, -3, 0, 1, 2, 99)] == [0, 0, 2, 2, 3, 9]


def test_a_span_of_nothing_but_padding_has_its_length():
    axis = Axis(size=2, outputs=30, taps=3, stride=1, dilation=1, before=15, after=15)
    assert axis.span(0, 4) == Span(0, 0, 6, 0)
    assert axis.span(26, 30) == Span(0, 0, 6, 0)


def test_the_last_window_of_ceil_mode_reaches_beyond_the_padding():
    known = windowed(fc.max_pool2d, (1, 8, 8), np.dtype(np.float32), (3,), dict(ceil_mode=True, padding=1, stride=3))
    assert known.axes[0].outputs == 3 and known.axes[0].span(2, 3) == Span(5, 8, 0, 0)
    known = windowed(fc.max_pool2d, (1, 9, 9), np.dtype(np.float32), (4,), dict(ceil_mode=True, padding=1, stride=4))
    assert known.axes[0].positions(2, 3) == range(7, 11) and known.axes[0].span(2, 3) == Span(7, 9, 0, 1)


@pytest.mark.parametrize(("mode", "name"), [("reflect", "reflect"), ("symmetric", "symmetric"),
                                            ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pixels_are_those_of_numpys_padding(mode, name, size):
    expected = np.pad(np.arange(size), (11, 14), name)
    np.testing.assert_array_equal(pixels(range(-11, size + 14), size, mode), expected)


def test_there_are_no_pixels_in_constant_padding():
    assert pixels(range(-2, 5), 3, "constant").tolist() == [-1, -1, 0, 1, 2, -1, -1]


@pytest.mark.parametrize(("function", "shape", "arguments", "options", "places", "result"), [
    (fc.conv2d, (2, 3, 9, 8), (np.ones((4, 3, 2, 2), np.float32),), {}, (2, 3), (2, 4, 8, 7)),
    (fc.conv2d, (9, 8, 3), (np.ones((4, 3, 2, 2), np.float32),), dict(data_format="NHWC"), (0, 1), (8, 7, 4)),
    (fc.conv2d, (9, 8), (np.ones((4, 1, 2, 2), np.float32),), dict(data_format="NHWC"), (0, 1), (8, 7, 4)),
    (fc.conv2d, (9, 8), (np.ones((4, 1, 2, 2), np.float32),), {}, (1, 2), (4, 8, 7)),
    (fc.max_pool1d, (3, 9), (2,), {}, (1,), (3, 4)),
    (fc.avg_pool3d, (4, 6, 8), (2,), {}, (1, 2, 3), (1, 2, 3, 4)),
])
def test_forms(function, shape, arguments, options, places, result):
    known = windowed(function, shape, np.dtype(np.float32), arguments, options)
    assert known.places == places and known.shape == result
    assert (known.channel is None) == (len(shape) != int(function.__name__[-2]))
    expected = arguments[0].dtype if function is fc.conv2d else None
    assert weight_dtype(function, arguments, options) == expected
