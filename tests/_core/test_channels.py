"""The direct driver with channels in the lanes: exactly the plain loops on integers,
for every layout and edge of its tiles."""

import itertools

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.direct import forward as channels
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.runtime import isa

VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
}
MODES = ("constant", "reflect", "replicate", "circular", "symmetric")


def check(x_shape, weight_shape, stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0)), mode=0, view="nchw", seed=0,
          dtype=np.float32, bias=True):
    rng = np.random.default_rng(seed)
    x, weight = (rng.integers(-3, 4, shape).astype(dtype) for shape in (x_shape, weight_shape))
    b = rng.integers(-3, 4, weight_shape[0]).astype(dtype) if bias else None
    groups = x_shape[1] // weight_shape[1]
    wanted = reference.conv2d(x, weight, b, stride=stride, dilation=dilation, padding=padding, groups=groups,
                              padding_mode=MODES[mode], padding_value=2.0 if mode == 0 else 0.0)
    y = VIEWS[view](np.full(wanted.shape, np.nan, dtype))
    window = Window(stride, dilation, (padding[0][0], padding[1][0]), mode, 2.0 if mode == 0 else 0.0)
    channels.conv2d(Convolution(VIEWS[view](x), VIEWS[view](weight), b, y, window))
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37])
def test_channels_and_filters(count, dtype, view):
    check((2, count, 5, 6), (count, count, 3, 2), padding=((1, 0), (0, 1)), view=view, dtype=dtype)
    check((2, 3, 5, 6), (count, 3, 1, 1), view=view, dtype=dtype, bias=False)


@pytest.mark.parametrize("width", [1, 6, 7, 13, 14, 15, 16, 17, 28, 29, 33])
def test_widths(width):
    check((2, 5, 3, width), (18, 5, 2, 3), padding=((0, 0), (1, 1)))
    check((2, 5, 3, 2 * width), (18, 5, 2, 3), stride=(2, 2), padding=((0, 0), (1, 1)))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("images", [1, 3, 5, 13, 14, 15, 29, 70])
def test_tiles_of_images(images, view):
    """Rows of 1 to 5 outputs, shorter than a tile: of many images it takes the same pixel."""
    for width, stride in ((1, (1, 1)), (2, (1, 1)), (5, (1, 1)), (4, (2, 2))):
        check((images, 19, 4, width + 2), (35, 19, 3, 3), stride=stride, padding=((1, 1), (0, 0)), view=view)
    check((images, 3, 6, 9), (17, 3, 3, 4), stride=(3, 5), view=view, dtype=np.float64)     # planes as they are
    check((images, 8, 4, 4), (8, 4, 3, 3), stride=(2, 2), padding=((1, 1), (1, 1)), view=view)    # narrow groups
    check((images, 16, 2, 3), (20, 16, 1, 1), view=view)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("mode", range(4))
def test_padding_stride_dilation(mode, view):
    for stride in ((1, 1), (2, 2), (3, 1), (1, 2), (2, 5)):
        check((2, 6, 9, 12), (14, 6, 3, 3), stride=stride, dilation=(2, 1), padding=((2, 1), (0, 3)),
              mode=mode, view=view)


@pytest.mark.parametrize("view", VIEWS)
def test_pointwise_with_any_stride(view):
    for stride in ((1, 1), (2, 2), (3, 3), (5, 4), (1, 7)):
        check((3, 18, 11, 23), (20, 18, 1, 1), stride=stride, view=view)
    check((1, 4, 5, 5), (16, 4, 1, 1), padding=((0, 2), (1, 0)), view=view)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("view", VIEWS)
def test_depth_in_parts_and_tiles_of_several_rows(view, dtype):
    """So many channels that low tiles meet them in parts, and rows that they do not divide, of one image and of three;
    filters and channels fill their vectors or not."""
    for images, width, depth, filters in ((1, 7, 150, 32), (3, 5, 143, 21), (3, 13, 260, 7)):
        check((images, depth, 4, width + 2), (filters, depth, 3, 3), padding=((1, 1), (0, 0)), view=view, dtype=dtype)
        check((images, depth, 9, 2 * width), (filters, depth, 3, 3), stride=(2, 2), padding=((1, 1), (1, 0)),
              view=view, dtype=dtype)
        check((images, 4 * depth, 3, width), (filters, 4 * depth, 1, 1), view=view, dtype=dtype)


def check_depth_in_parts():
    test_depth_in_parts_and_tiles_of_several_rows("nchw", np.float32)


@pytest.mark.parametrize("name", isa.known())
def test_depth_in_parts_with_every_instruction_set(name):
    check_with_isa(name, check_depth_in_parts)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("view", VIEWS)
def test_filters_and_pixels_larger_than_l2(view, threads):
    """They are packed before the first block, and read from L3, block by block."""
    with fc.num_threads(threads):
        check((2, 1030, 15, 9), (264, 1030, 1, 1), view=view)
        check((2, 600, 31, 18), (150, 600, 1, 1), stride=(2, 2), view=view, dtype=np.float64)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 7])
def test_few_channels(channels, view):
    """NHWC: a row of taps is one stretch of memory, where it is no longer than a vector and not dilated."""
    for size, dilation in ((1, 1), (3, 1), (3, 2), (7, 1)):
        for mode in range(4):
            check((2, channels, 9, 17), (20, channels, size, size), dilation=(1, dilation),
                  padding=((1, 3), (2, 0)), mode=mode, view=view)
            check((2, channels, 9, 17), (33, channels, size, size), stride=(2, 3), padding=((0, 3), (2, 1)),
                  mode=mode, view=view)


def check_narrow_groups():
    """Groups of 2 to 8 channels that share a vector, all of it or a part,
    and numbers of groups that leave each alone."""
    for width in range(2, 9):
        for groups in (2, 3, 4, 7, 12):
            for dtype in (np.float32, np.float64):
                for view in VIEWS:
                    x_shape, weight_shape = (2, groups * width, 6, 9), (groups * width, width)
                    check(x_shape, (*weight_shape, 3, 3), padding=((1, 1), (1, 1)), view=view, dtype=dtype)
                    check(x_shape, (*weight_shape, 3, 2), stride=(2, 2), padding=((0, 1), (2, 0)), mode=width % 4,
                          view=view, dtype=dtype)
                    check(x_shape, (*weight_shape, 2, 3), dilation=(3, 2), view=view, dtype=dtype, bias=False)
                    check(x_shape, (*weight_shape, 1, 1), view=view, dtype=dtype)


@pytest.mark.parametrize("name", isa.known())
def test_narrow_groups_with_every_instruction_set(name):
    check_with_isa(name, check_narrow_groups)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("width, groups", [(8, 6), (4, 8), (3, 10)])
def test_narrow_groups_with_threads_and_prepared_weights(width, groups, data_format):
    rng = np.random.default_rng(width)
    x = rng.integers(-3, 4, (5, groups * width, 61, 40)).astype(np.float32)
    w = rng.integers(-3, 4, (groups * width, width, 3, 3)).astype(np.float32)
    wanted = np.maximum(fc.conv2d(x, w, padding=1, stride=2, groups=groups, algorithm="gemm"), 0)
    if data_format == "NHWC":
        x, wanted = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), wanted.transpose(0, 2, 3, 1)
    options = dict(padding=1, stride=2, groups=groups, data_format=data_format, activation="relu", algorithm="direct")
    plan = fc.plan_conv2d(x.shape, w, **options)
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(fc.conv2d(x, w, **options), wanted)
            np.testing.assert_array_equal(plan(x), wanted)


@pytest.mark.parametrize("view", ["nchw", "nhwc"])
@pytest.mark.parametrize("filters", [6, 32, 40, 64])
def test_activation(filters, view):
    """relu is exact: whether tiles go straight to y or not, each output gets it, in blocks of one thread and of all."""
    rng = np.random.default_rng(0)
    for shape, groups in (((1, 12, 6, 7), 1), ((9, 12, 33, 35), 1), ((9, 12, 33, 35), 2)):
        x = rng.integers(-3, 4, shape).astype(np.float32)
        w = rng.integers(-3, 4, (filters, shape[1] // groups, 3, 3)).astype(np.float32)
        wanted = np.maximum(reference.conv2d(x, w, None, padding=1, groups=groups), 0)
        y = VIEWS[view](np.full(wanted.shape, np.nan, np.float32))
        channels.conv2d(Convolution(VIEWS[view](x), w, None, y, Window(origin=(1, 1)), Epilogue(1)))
        np.testing.assert_array_equal(y, wanted)


def test_only_its_own_part_of_a_wider_array():
    """y is every pixel's middle channels, and rows with a gap: what lies between is left alone."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 5, 30, 31)).astype(np.float32)
    for filters in (16, 32, 48):
        w = rng.integers(-3, 4, (filters, 5, 1, 1)).astype(np.float32)
        whole = np.full((2, 33, 40, filters + 7), np.nan, np.float32)
        y = whole[:, 1:31, 4:35, 3:3 + filters].transpose(0, 3, 1, 2)
        channels.conv2d(Convolution(VIEWS["nhwc"](x), w, None, y, Window()))
        np.testing.assert_array_equal(y, reference.conv2d(x, w, None))
        assert np.isnan(whole).sum() == whole.size - y.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("filters", [8, 16, 24, 32, 40, 48, 60, 64, 80, 96, 100, 128, 160])
def test_pointwise_where_pixels_share_sets_of_the_cache(filters, dtype):
    """Pixels of 4 KB: one panel, pairs of panels, a single one or a partial one behind them,
    shared out to threads or not."""
    rng = np.random.default_rng(filters)
    whole = rng.integers(-3, 4, (3, 12, 14, 4096 // np.dtype(dtype).itemsize)).astype(dtype)
    for x in (whole, whole[:1], whole[:, ::2, ::2], whole[:, 1:9, 2:11], whole[..., 5:42], whole[:, :, :1]):
        w = rng.integers(-3, 4, (filters, x.shape[3], 1, 1)).astype(dtype)
        b = rng.integers(-3, 4, filters).astype(dtype)
        wanted = np.einsum("nhwc,kc->nkhw", x, w[:, :, 0, 0]) + b[:, np.newaxis, np.newaxis]
        for threads in (1, 2, 3):
            for activation in (0, 1):
                for y in (VIEWS["nhwc"](np.full(wanted.shape, np.nan, dtype)), np.full(wanted.shape, np.nan, dtype)):
                    with fc.num_threads(threads):
                        channels.conv2d(Convolution(x.transpose(0, 3, 1, 2), w, b, y, Window(), Epilogue(activation)))
                    np.testing.assert_array_equal(y, np.maximum(wanted, 0) if activation else wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("filters", [16, 32, 80])
def test_pointwise_planes_in_blocks_of_unequal_size(filters, dtype):
    """The last block has fewer pixels than the others: what its X has room for beyond the image is its own."""
    rng = np.random.default_rng(filters)
    for shape in ((1, 512, 3, 17), (1, 1024, 3, 17), (2, 70, 5, 17), (1, 100, 1, 131), (3, 33, 7, 7)):
        x = rng.integers(-3, 4, shape).astype(dtype)
        w = rng.integers(-3, 4, (filters, shape[1], 1, 1)).astype(dtype)
        wanted = np.einsum("nchw,kc->nkhw", x, w[:, :, 0, 0])
        for threads in (1, 2, 3):
            y = np.full(wanted.shape, np.nan, dtype)
            with fc.num_threads(threads):
                channels.conv2d(Convolution(x, w, None, y, Window()))
            np.testing.assert_array_equal(y, wanted)


def check_pointwise():
    for filters, dtype in itertools.product((8, 40, 96, 160), (np.float32, np.float64)):
        test_pointwise_where_pixels_share_sets_of_the_cache(filters, dtype)
        test_last_panel_for_any_number_of_threads(filters, dtype)
        test_pointwise_planes_in_blocks_of_unequal_size(filters, dtype)


@pytest.mark.parametrize("name", isa.known())
def test_pointwise_with_every_instruction_set(name):
    check_with_isa(name, check_pointwise)


def test_groups_and_many_blocks():
    check((5, 24, 20, 30), (32, 12, 3, 3), padding=((1, 1), (1, 1)))
    check((40, 8, 9, 9), (16, 8, 3, 3), padding=((1, 1), (1, 1)))
    check((1, 3, 4, 3000), (16, 3, 3, 3), padding=((1, 1), (1, 1)))
    for filters in (16, 64, 96, 128, 136):
        for groups in (2, 4):
            check((2, 512, 5, 15), (filters, 512 // groups, 1, 1), view="nhwc")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("filters", [1, 5, 8, 12, 16, 17, 24, 33, 48, 52, 80, 81, 96, 144])
def test_last_panel_for_any_number_of_threads(filters, dtype):
    """Narrow, lacking filters or full: with few blocks and many, in place or not, packed beforehand or by the plan."""
    rng = np.random.default_rng(filters)
    for x_shape, size, stride in (((1, 24, 14, 14), 1, 1), ((2, 40, 30, 31), 1, 2), ((1, 12, 25, 40), 3, 1),
                                  ((1, 3, 33, 34), 4, 2)):
        x = rng.integers(-3, 4, x_shape).astype(dtype)
        w = rng.integers(-3, 4, (filters, x_shape[1], size, size)).astype(dtype)
        b = rng.integers(-3, 4, filters).astype(dtype)
        wanted = reference.conv2d(x, w, b, stride=stride, padding=size // 2)
        for view in ("nchw", "nhwc"):
            for threads in (1, 2, 3, 5):
                for prepare in (lambda _: None, channels.prepare):
                    y = VIEWS[view](np.full(wanted.shape, np.nan, dtype))
                    conv = Convolution(VIEWS[view](x), w, b, y, Window((stride, stride), origin=(size // 2, size // 2)))
                    with fc.num_threads(threads):
                        channels.conv2d(conv, prepare(conv))
                    np.testing.assert_array_equal(y, wanted)
