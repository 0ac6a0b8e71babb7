"""The bands on their own: a filter that is one at a single tap, and zero elsewhere,
reads out what a band has for that tap.

Infinities around the image would show (zero times infinity is no number) wherever a band took more than its own pixels.
"""

import itertools

import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv._core.depthwise import forward as depthwise
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.product import forward as product

MODES = ("constant", "reflect", "replicate", "circular", "symmetric")
VALUE = 7.0

LAYOUTS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "rows apart": lambda a: surrounded(a)[:, :, 2:2 + a.shape[2], 3:3 + a.shape[3]],
    "every second": lambda a: surrounded(np.repeat(np.repeat(a, 2, 2), 2, 3))[:, :, 2:2 + 2 * a.shape[2]:2,
                                                                              3:3 + 2 * a.shape[3]:2],
    "backwards": lambda a: np.ascontiguousarray(a[:, :, ::-1, ::-1])[:, :, ::-1, ::-1],
}


def surrounded(a):
    return np.pad(a, ((0, 0), (0, 0), (2, 2), (3, 3)), constant_values=np.inf)


def check(driver, x_shape, taps, stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0)),
          mode="constant", layout="nchw", dtype=np.float32):
    """Every output of every tap's filter is the padded pixel there. One channel sees all taps' filters."""
    n, c, h, w = x_shape
    x = np.arange(1, np.prod(x_shape) + 1, dtype=dtype).reshape(x_shape)
    r, s = taps
    groups = c if driver is depthwise else 1
    channels = c // groups
    filters = np.zeros((groups, r * s * channels, channels, r, s), dtype)
    for k, (channel, i, j) in enumerate(itertools.product(range(channels), range(r), range(s))):
        filters[:, k, channel, i, j] = 1
    padded = reference.pad(x, padding, mode, VALUE)
    oh = (padded.shape[2] - dilation[0] * (r - 1) - 1) // stride[0] + 1
    ow = (padded.shape[3] - dilation[1] * (s - 1) - 1) // stride[1] + 1
    y = np.full((n, c * r * s, oh, ow), np.nan, dtype)
    window = Window(stride, dilation, (padding[0][0], padding[1][0]), MODES.index(mode), VALUE)
    driver.conv2d(Convolution(LAYOUTS[layout](x), filters.reshape(-1, channels, r, s), None, y, window))
    for k, (channel, i, j) in enumerate(itertools.product(range(c), range(r), range(s))):
        rows = slice(i * dilation[0], i * dilation[0] + (oh - 1) * stride[0] + 1, stride[0])
        columns = slice(j * dilation[1], j * dilation[1] + (ow - 1) * stride[1] + 1, stride[1])
        np.testing.assert_array_equal(y[:, k], padded[:, channel, rows, columns],
                                      err_msg=f"channel {channel}, tap ({i}, {j})")


DRIVERS = pytest.mark.parametrize("driver", [product, depthwise], ids=["product", "depthwise"])


@DRIVERS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", MODES)
def test_padding(mode, layout, driver):
    for padding in (((0, 0), (0, 0)), ((1, 2), (3, 0)), ((4, 0), (0, 4)), ((0, 3), (4, 4))):
        check(driver, (2, 3, 6, 9), (2, 3), padding=padding, mode=mode, layout=layout)


@DRIVERS
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (2, 2), (3, 2), (1, 5), (4, 7)])
def test_stride(stride, layout, driver):
    """Phases of rows and columns, of which a filter with fewer taps than the stride wants only some."""
    for taps in ((1, 1), (2, 2), (3, 3), (1, 4), (5, 2)):
        check(driver, (1, 2, 13, 22), taps, stride=stride, padding=((1, 1), (2, 1)), layout=layout)


@DRIVERS
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "every second"])
@pytest.mark.parametrize("dilation", [(1, 2), (2, 1), (3, 3), (2, 4), (5, 7)])
def test_dilation_and_stride(dilation, layout, driver):
    for stride in ((1, 1), (2, 2), (3, 2), (2, 4)):
        check(driver, (1, 2, 19, 27), (3, 3), stride=stride, dilation=dilation, padding=((3, 2), (1, 4)),
              mode="reflect", layout=layout)


@DRIVERS
def test_taps_that_share_nothing(driver):
    """A dilation beyond all outputs: each tap has rows and columns of its own."""
    check(driver, (1, 3, 40, 50), (3, 3), dilation=(18, 22), padding=((1, 0), (0, 1)))
    check(driver, (1, 3, 40, 50), (2, 2), stride=(2, 3), dilation=(37, 45))


@DRIVERS
@pytest.mark.parametrize("mode", MODES)
def test_all_padding(mode, driver):
    """More of it than there is image; for the constant, windows that meet no pixel at all."""
    check(driver, (1, 2, 1, 1) if mode != "reflect" else (1, 2, 5, 5), (3, 3), padding=((1, 1), (1, 1)), mode=mode)
    if mode in ("constant", "replicate"):
        check(driver, (2, 2, 2, 3), (2, 3), stride=(3, 2), padding=((11, 9), (20, 30)), mode=mode)


@DRIVERS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37, 530, 1100])
def test_widths(width, dtype, driver):
    """Less than a vector, a few of them and one pixel more, several blocks of columns."""
    for layout in ("nchw", "nhwc", "rows apart"):
        check(driver, (1, 2, 4, width), (2, 3), padding=((1, 0), (1, 1)), layout=layout, dtype=dtype)


@DRIVERS
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_of_rows(threads, driver):
    """So high that there are several, each with the rows around it."""
    with fc.num_threads(threads):
        for stride in ((1, 1), (2, 2)):
            check(driver, (2, 2, 120, 70), (3, 3), stride=stride, padding=((2, 1), (1, 2)), mode="circular")
