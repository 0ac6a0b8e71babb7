"""The weight gradient with filters in the lanes: exactly the plain loops on integers,
for every layout and edge of its tiles."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.depthwise import weight_gradient as depthwise
from fastconv._core.direct import weight_gradient as direct
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.runtime import isa

VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "every fifth": lambda a: np.repeat(a, 5, axis=3)[..., ::5],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
    "rows of more": lambda a: np.pad(a, ((0, 1), (0, 1), (0, 1), (0, 3)))[:-1, :-1, :-1, :-3],
}
MODES = ("constant", "reflect", "replicate", "circular", "symmetric")
TILES = (1, 2, 3, 6, 7, 8, 13, 14, 15, 16, 17, 31, 32, 33, 37)


def guarded(shape, dtype):
    """Filters, each in one piece, with something around them that nobody may touch."""
    whole = np.full((shape[0] + 2, int(np.prod(shape[1:])) + 40), 7, dtype)
    return whole, whole[1:-1, 20:-20].reshape(shape) if shape[0] == 1 else np.lib.stride_tricks.as_strided(
        whole[1:, 20:], shape, (whole.strides[0], *np.empty(shape[1:], dtype).strides))


def check(x_shape, weight_shape, stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0)), mode=0, view="nchw", seed=0,
          dtype=np.float32, driver=direct):
    rng = np.random.default_rng(seed)
    x, weight = rng.integers(-3, 4, x_shape).astype(dtype), np.zeros(weight_shape, dtype)
    window = {"stride": stride, "dilation": dilation, "padding": padding, "groups": x_shape[1] // weight_shape[1],
              "padding_mode": MODES[mode], "padding_value": 2.0 if mode == 0 else 0.0}
    grad = rng.integers(-3, 4, reference.conv2d(x, weight, None, **window).shape).astype(dtype)
    whole, grad_weight = guarded(weight_shape, dtype)
    grad_weight[...] = np.nan
    driver.conv2d_weight_gradient(Convolution(VIEWS[view](x), grad_weight, None, VIEWS[view](grad), Window(
        stride, dilation, (padding[0][0], padding[1][0]), mode, window["padding_value"])))
    np.testing.assert_array_equal(grad_weight, reference.conv2d_backward(grad, x, weight, **window)[1])
    grad_weight[...] = 7
    np.testing.assert_array_equal(whole, 7)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_and_filters(dtype, view):
    for count in TILES:
        check((2, count, 5, 6), (count, count, 3, 2), padding=((1, 0), (0, 1)), view=view, dtype=dtype)
        check((2, 3, 5, 6), (count, 3, 1, 1), view=view, dtype=dtype)
        check((2, count, 5, 6), (5, count, 2, 1), view=view, dtype=dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_lines_of_scalars(channels):
    """Every tile: rows of taps that are taken together, and cut."""
    for r, s in itertools.product((1, 2, 3, 4, 5, 7), (1, 2, 3, 4, 5, 7, 11)):
        check((2, channels, r + 2, s + 5), (19, channels, r, s), padding=((1, 0), (0, 1)))
        check((1, channels, r + 2, s + 5), (9, channels, r, s), dtype=np.float64)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("mode", range(4))
def test_padding_stride_dilation(mode, view):
    for stride in ((1, 1), (2, 2), (3, 1), (1, 2), (2, 5)):
        for channels in (6, 17):
            check((2, channels, 9, 12), (14, channels, 3, 3), stride=stride, dilation=(2, 1),
                  padding=((2, 1), (0, 3)), mode=mode, view=view)
            check((2, channels, 9, 12), (14, channels, 3, 3), stride=stride, dilation=(1, 2),
                  padding=((1, 1), (1, 2)), mode=mode, view=view)


@pytest.mark.parametrize("view", VIEWS)
def test_pointwise_with_any_stride(view):
    for stride in ((1, 1), (2, 2), (3, 2), (5, 7)):
        check((3, 20, 11, 13), (33, 20, 1, 1), stride=stride, view=view)
        check((3, 20, 11, 13), (33, 20, 1, 1), stride=stride, padding=((1, 1), (2, 0)), view=view)


@pytest.mark.parametrize("view", VIEWS)
def test_planes_of_any_size(view):
    for height, width in ((1, 1), (1, 2), (2, 2), (3, 3), (4, 4), (7, 7), (1, 40), (40, 1), (5, 127), (5, 128),
                          (3, 129), (2, 700)):
        for images in (1, 3, 70):
            check((images, 3, height, width), (5, 3, 3, 3), padding=((1, 1), (1, 1)), view=view, seed=images)


def test_many_blocks():
    check((3, 5, 90, 70), (20, 5, 3, 3), padding=((1, 1), (1, 1)))
    check((2, 5, 6, 9000), (20, 5, 2, 3), padding=((1, 1), (1, 1)))
    check((300, 20, 6, 7), (20, 20, 3, 3), padding=((1, 1), (1, 1)), view="nhwc")
    check((1, 3, 60, 70), (4, 3, 30, 20), stride=(2, 3))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("each", [1, 2, 3, 4, 8, 16, 17])
def test_groups(each, view):
    check((2, 3 * each, 6, 5), (3 * each, each, 3, 3), padding=((1, 1), (1, 1)), view=view)
    check((2, 4 * each, 5, 6), (8 * each, each, 2, 1), view=view)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("each", [2, 3, 4])
def test_narrow_groups_channel_by_channel(each, view):
    """What the depthwise driver does with groups of several channels."""
    for stride in ((1, 1), (2, 2), (1, 3)):
        check((2, 3 * each, 9, 8), (3 * each, each, 3, 3), stride=stride, padding=((1, 1), (1, 1)), view=view,
              driver=depthwise)
        check((2, 16 * each, 5, 20), (32 * each, each, 2, 1), stride=stride, view=view, dtype=np.float64,
              driver=depthwise)


def check_all():
    for dtype, view in itertools.product((np.float32, np.float64), ("nchw", "nhwc")):
        for count in TILES:
            check((2, count, 5, 6), (count, count, 3, 3), padding=((1, 0), (0, 1)), view=view, dtype=dtype)
            check((2, 3, 5, 6), (count, 3, 2, 5), padding=((1, 0), (2, 1)), view=view, dtype=dtype)
    for r, s in itertools.product((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 7)):
        for channels in (1, 2, 3):
            check((2, channels, r + 2, s + 5), (19, channels, r, s), padding=((1, 0), (0, 1)))
    test_many_blocks()


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_all)


def gradient(x, grad, taps, groups=1):
    weight = np.full((grad.shape[1], x.shape[1] // groups, *taps), np.nan, x.dtype)
    direct.conv2d_weight_gradient(Convolution(x, weight, None, grad, Window(origin=(taps[0] // 2, taps[1] // 2))))
    return weight


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(3)
    for images, channels, filters, size, groups in ((16, 3, 32, 30, 1), (2, 40, 100, 14, 1), (1, 64, 300, 9, 1),
                                                    (3, 32, 64, 20, 4)):
        x = rng.standard_normal((images, channels, size, size), np.float32)
        grad = rng.standard_normal((images, filters, size, size), np.float32)
        results = []
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                results.append(gradient(x, grad, (3, 3), groups).tobytes())
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("x_shape, filters, taps", [((1, 4, 900, 1000), 4, (1, 1)), ((1, 3, 700, 700), 8, (3, 3)),
                                                    ((20_000, 16, 7, 7), 16, (3, 3)), ((1, 64, 300, 400), 64, (1, 1)),
                                                    ((70, 600, 20, 20), 700, (1, 1))])
def test_long_sums(x_shape, filters, taps):
    """Equal terms, whose rounding errors all point the same way."""
    x, grad = np.full(x_shape, 0.1, np.float32), np.full((x_shape[0], filters, *x_shape[2:]), 0.1, np.float32)
    (n, _, h, w), (r, s) = x_shape, taps
    rows, columns = np.arange(r)[:, None] - r // 2, np.arange(s) - s // 2
    wanted = n * (h - abs(rows)) * (w - abs(columns)) * np.float64(np.float32(0.1)) ** 2
    assert np.abs(gradient(x, grad, taps) / wanted - 1).max() < 1.5e-6


def test_loud_values_stay_where_they_are_seen():
    rng = np.random.default_rng(5)
    x, grad = rng.standard_normal((2, 17, 9, 9), np.float32), rng.standard_normal((2, 40, 9, 9), np.float32)
    quiet = gradient(x, grad, (3, 3))
    x[1, 16], grad[0, 39] = np.inf, np.nan
    loud = gradient(x, grad, (3, 3))
    np.testing.assert_array_equal(loud[:39, :16], quiet[:39, :16])
    assert not np.isfinite(loud[39]).any() and not np.isfinite(loud[:, 16]).any()
