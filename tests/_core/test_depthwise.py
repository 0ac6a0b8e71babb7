"""The depthwise driver and its kernels: exact on integers, for every instruction set, layout,
edge and number of threads."""

import itertools
from pathlib import Path

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa, in_new_process

from fastconv._core.depthwise import forward as depthwise, weight_gradient as depthwise_gradient
from fastconv._core.depthwise.pair import conv2d_pair
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.runtime import isa, threads

DTYPES = [np.float32, np.float64]
MODES = {mode: index for index, mode in enumerate(cases.PADDING_MODES)}


def geometry(case):
    """stride, dilation, origin and padding mode as the driver takes them."""
    stride, dilation = reference.pair(case.stride), reference.pair(case.dilation)
    pads = reference.pads(case.padding, case.x_shape[2:], case.weight_shape[2:], stride, dilation)
    return stride, dilation, (pads[0][0], pads[1][0]), MODES[case.padding_mode]


def view(array, data_format):
    """A copy of an (N, C, H, W) array in the memory order of the format, seen as (N, C, H, W) again."""
    return cases.to_nchw(cases.to_format(array, data_format), data_format)


def forward(case, x, weight, bias, y, activation=0, slope=0.0):
    stride, dilation, origin, mode = geometry(case)
    window = Window(stride, dilation, origin, mode, case.padding_value)
    depthwise.conv2d(Convolution(x, weight, bias, y, window, Epilogue(activation, slope)))
    return y


def weight_gradient(case, grad_output, x):
    stride, dilation, origin, mode = geometry(case)
    grad_weight = np.full(case.weight_shape, np.nan, x.dtype)
    window = Window(stride, dilation, origin, mode, case.padding_value)
    depthwise_gradient.conv2d_weight_gradient(Convolution(x, grad_weight, None, grad_output, window))
    return grad_weight


def check_exactly(case, dtype):
    x, weight, bias, grad_output = case.arrays(dtype=dtype, integers=True)
    x, grad_output = view(x, case.data_format), view(grad_output, case.data_format)
    y = view(np.full(case.output_shape(), np.nan, dtype), case.data_format)
    np.testing.assert_array_equal(forward(case, x, weight, bias, y), reference.conv2d(x, weight, bias, **case.window()))
    np.testing.assert_array_equal(weight_gradient(case, grad_output, x),
                                  reference.conv2d_backward(grad_output, x, weight, **case.window())[1])


def depthwise_case(channels, height, width, filter_size, multiplier=1, images=1, **options):
    return cases.ConvCase((images, channels, height, width), (channels * multiplier, 1, *reference.pair(filter_size)),
                          groups=channels, **options)


def kernel_cases():
    """Every micro-kernel at the edges of its tile: one vector wide (2 to 16 elements) and seven,
    four, two or one row high."""
    for size, stride in itertools.product((3, 5, 7, 2, (1, 4), (5, 1)), (1, 2)):
        width_of = 1 if stride == 1 else 2
        for width in (1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 19, 31, 32, 33, 37):
            yield depthwise_case(2, 4, width * width_of, size, stride=stride, padding=(3, 3))
        for height in (1, 2, 3, 6, 7, 8, 13, 14, 17):
            yield depthwise_case(1, height * width_of, 18 * width_of, size, images=2, stride=stride, padding=(3, 3))
    for size, channels in itertools.product((1, 3, 5, 7, (2, 5)), (2, 3, 4, 7, 8, 9, 15, 16, 17, 19, 24, 33)):
        yield depthwise_case(channels, 3, 13, size, images=2, padding=3, data_format="NHWC")
    for size, stride in itertools.product((3, 5, 7, 2), (1, 2, 3)):
        for width in (1, 2, 3, 4, 5, 7, 8, 9, 11):
            yield depthwise_case(17, 2, width * stride, size, stride=stride, padding=1 if size < 5 else 3,
                                 data_format="NHWC")
        for height in (1, 2, 3, 4, 5, 6, 7, 8, 9):
            yield depthwise_case(17, height * stride, 6, size, images=2, stride=stride, padding=size // 2,
                                 data_format="NHWC")
    for size, stride in itertools.product((3, 5, 7, 1, 2, 4, (1, 7)), (1, 2, 3)):    # planes with channels in the lanes
        for channels in (3, 4, 7, 8, 15, 16, 31, 32, 47):
            yield depthwise_case(channels, 5, 6, size, stride=stride, padding=(3, 3))
        for height, width in ((1, 1), (1, 9), (9, 1), (4, 4), (7, 7), (13, 10), (20, 17)):
            yield depthwise_case(16, height * stride, width, size, images=2, stride=stride, padding=(3, 3))


KERNEL_CASES = list(kernel_cases())


def check_all_kernels():
    for case, dtype in itertools.product(KERNEL_CASES, DTYPES):
        check_exactly(case, dtype)


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_all_kernels)


MIXED = [case for case in cases.random_conv_cases(600, seed=3) if case.weight_shape[1] == 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_mixed_options(dtype):
    assert len(MIXED) > 80
    for case in MIXED:
        check_exactly(case, dtype)


OTHER_CASES = {
    "several_row_blocks": depthwise_case(2, 301, 40, 3, padding=1),
    "several_row_blocks_stride_two": depthwise_case(2, 301, 40, 3, stride=2, padding=1),
    "several_row_blocks_nhwc": depthwise_case(20, 150, 40, 3, padding=1, data_format="NHWC"),
    "several_column_blocks": depthwise_case(2, 3, 1301, 3, padding=1),
    "several_column_blocks_stride_two": depthwise_case(2, 3, 2602, 3, stride=2, padding=(1, 2)),
    "several_column_blocks_nhwc": depthwise_case(20, 3, 301, 3, stride=(1, 2), padding=1, data_format="NHWC"),
    "several_column_pieces_nhwc": depthwise_case(70, 5, 900, 3, padding=1, data_format="NHWC"),
    "several_groups_of_channels_nhwc": depthwise_case(203, 5, 6, 3, padding=1, data_format="NHWC"),
    "several_groups_of_channels_band_nhwc": depthwise_case(203, 5, 6, 2, padding=1, data_format="NHWC"),
    "one_column_nhwc": depthwise_case(20, 9, 1, 3, stride=2, padding=1, data_format="NHWC"),
    "one_row_nhwc": depthwise_case(20, 1, 9, 3, stride=2, padding=1, data_format="NHWC"),
    "one_output_nhwc": depthwise_case(20, 7, 7, 7, stride=2, data_format="NHWC"),
    **{f"dilation_{stride}_nhwc": depthwise_case(20, 12, 25, 3, dilation=(2, 3), stride=stride, padding=(3, 4),
                                                 data_format="NHWC")
       for stride in (1, 2, 3)},
    "taps_share_nothing_nhwc": depthwise_case(20, 9, 40, 3, dilation=(30, 50), padding=(30, 50), data_format="NHWC"),
    "large_filter_nhwc": depthwise_case(20, 20, 21, (19, 20), padding=9, data_format="NHWC"),
    "cropped_nhwc": depthwise_case(20, 20, 40, 3, padding=((-2, -3), (-1, -5)), data_format="NHWC"),
    "only_padding_nhwc": depthwise_case(20, 2, 2, 1, padding=((4, 0), (5, 0)), padding_value=2.0, data_format="NHWC"),
    "padding_value_large_filter_nhwc": depthwise_case(18, 9, 8, 7, padding=5, padding_value=-3.0, data_format="NHWC"),
    "multiplier": depthwise_case(3, 12, 20, 3, multiplier=4, images=2, padding=1),
    "multiplier_nhwc": depthwise_case(5, 12, 20, 3, multiplier=4, images=2, padding=1, data_format="NHWC"),
    "one_channel_many_filters": depthwise_case(1, 28, 28, 5, multiplier=6, images=5, padding=2),
    "few_channels_nhwc": depthwise_case(3, 12, 20, 3, padding=1, data_format="NHWC"),
    "taps_share_nothing": depthwise_case(2, 9, 40, 3, dilation=(30, 50), padding=(30, 50)),
    "taps_share_nothing_stride": depthwise_case(2, 90, 90, 3, dilation=(20, 21), stride=(3, 4)),
    "dilation_in_steps_of_the_stride": depthwise_case(2, 30, 60, 3, dilation=2, stride=2, padding=3),
    "odd_dilation_even_stride": depthwise_case(2, 30, 60, 3, dilation=3, stride=2, padding=3),
    "large_filter": depthwise_case(2, 20, 21, (19, 20), padding=9),
    "cropped": depthwise_case(2, 20, 40, 3, padding=((-2, -3), (-1, -5))),
    "only_padding": depthwise_case(2, 2, 2, 1, padding=((4, 0), (5, 0)), padding_value=2.0),
    **{f"{mode}_{stride}_{data_format}": depthwise_case(18, 11, 37, 3, images=2, stride=stride,
                                                        padding=((3, 1), (2, 5)), padding_mode=mode,
                                                        data_format=data_format)
       for mode, stride, data_format in itertools.product(cases.PADDING_MODES, (1, 2, 3), ("NCHW", "NHWC"))},
    **{f"{mode}_{stride}_planes": depthwise_case(16, 11, 20, 3, images=2, stride=stride, padding=((3, 1), (2, 5)),
                                                 padding_mode=mode)
       for mode, stride in itertools.product(cases.PADDING_MODES, (1, 2, 3))},
    **{f"{mode}_band_planes": depthwise_case(16, 11, 20, 4, images=2, padding=((3, 1), (2, 5)), padding_mode=mode)
       for mode in cases.PADDING_MODES},
    **{f"dilation_{stride}_planes": depthwise_case(16, 12, 25, 5, dilation=(2, 3), stride=stride, padding=(3, 6))
       for stride in (1, 2, 3)},
    "several_row_pieces_planes": depthwise_case(16, 90, 40, 5, stride=2, padding=2),
    "several_column_pieces_planes": depthwise_case(16, 4, 560, 3, stride=2, padding=1),
    "several_column_pieces_band_planes": depthwise_case(16, 9, 90, 9, padding=4),
    "multiplier_planes": depthwise_case(8, 12, 10, 3, multiplier=4, images=2, padding=1),
    "padding_value_planes": depthwise_case(16, 9, 8, 7, padding=5, padding_value=-3.0),
    "cropped_planes": depthwise_case(16, 20, 24, 3, padding=((-2, -3), (-1, -5))),
    "only_padding_planes": depthwise_case(16, 2, 2, 3, padding=((4, 0), (5, 0)), padding_value=2.0),
    "padding_value": depthwise_case(2, 11, 37, 3, padding=2, padding_value=-3.0),
    "padding_value_nhwc": depthwise_case(18, 11, 37, 3, padding=2, padding_value=-3.0, data_format="NHWC"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", OTHER_CASES.values(), ids=OTHER_CASES)
def test_named_cases(case, dtype):
    check_exactly(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
@pytest.mark.parametrize("channels, columns, data_format", [
    *((channels, 13, "NHWC") for channels in (2, 3, 4, 5, 7, 20)), (2, 13, "NCHW"), (2, 19, "NCHW"), (16, 6, "NCHW")])
def test_a_nan_reaches_only_the_taps_that_meet_it(channels, columns, data_format, corner, dtype):
    """Lanes that do not count are multiplied by zero, which leaves a NaN a NaN."""
    for size, padding in itertools.product((1, 2, 3, 5), (0, 1)):
        case = depthwise_case(channels, 5, columns, size, padding=padding, data_format=data_format)
        x, _, _, grad_output = case.arrays(dtype=dtype, integers=True)
        x[0, -1, corner[0], corner[1]] = np.nan
        np.testing.assert_array_equal(weight_gradient(case, view(grad_output, data_format), view(x, data_format)),
                                      reference.conv2d_backward(grad_output, x, np.zeros(case.weight_shape),
                                                                **case.window())[1])


@pytest.mark.parametrize("case", [OTHER_CASES[name] for name in (
    "multiplier", "constant_2_NCHW", "constant_1_NHWC", "several_column_blocks", "several_groups_of_channels_nhwc",
    "several_groups_of_channels_band_nhwc", "dilation_1_nhwc", "multiplier_nhwc", "constant_1_planes",
    "several_column_pieces_band_planes", "dilation_2_planes")])
@pytest.mark.parametrize("activation", range(6))
def test_activations(case, activation):
    x, weight, bias, _ = case.arrays(seed=1)
    functions = [lambda y: y, reference.relu, lambda y: reference.leaky_relu(y, 0.2), reference.sigmoid, reference.tanh,
                 reference.relu6]
    y = forward(case, view(x, case.data_format), weight, bias, view(np.zeros(case.output_shape()), case.data_format),
                activation, 0.2)
    np.testing.assert_allclose(y, functions[activation](reference.conv2d(x, weight, bias, **case.window())), rtol=1e-12,
                               atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding(dtype):
    case = depthwise_case(5, 40, 41, 7, images=3, padding=3)
    x, weight, bias, grad_output = case.arrays(dtype=dtype)
    y = forward(case, x, weight, bias, np.empty(case.output_shape(), dtype))
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(y, reference.conv2d(x, weight, bias, **case.window()), rtol=0, atol=4 * 50 * epsilon)
    grad_weight = weight_gradient(case, grad_output, x)
    exact = reference.conv2d_backward(grad_output, x, weight, **case.window())[1]
    np.testing.assert_allclose(grad_weight, exact, rtol=0, atol=np.sqrt(3 * 40 * 41) * 30 * epsilon)


def test_no_bias():
    case = depthwise_case(3, 8, 20, 3, padding=1)
    x, weight, _, _ = case.arrays(integers=True)
    y = forward(case, x, weight, None, np.empty(case.output_shape()))
    np.testing.assert_array_equal(y, reference.conv2d(x, weight, None, **case.window()))


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_views_with_any_strides(stride, channels):
    case = depthwise_case(channels, 12, 20, 3, images=2, stride=stride, padding=1)
    x, weight, bias, grad_output = case.arrays(integers=True)
    wide = np.zeros((16, 16, 24, 60))
    y_wide = np.full((2, channels, 2 * grad_output.shape[2], 3 * grad_output.shape[3]), 7.0)
    for x_view in (wide[:4:-8, :2 * channels:2, ::2, ::-3], wide.transpose(1, 0, 3, 2)[:2, :channels, 4:16, 2:22],
                   wide[2:4, 1:channels + 1, 5:17, 30:50]):
        x_view[...] = x
        for y_view in (y_wide[:, :, 1::2, 1::3], y_wide[::-1, ::-1, ::-2, ::-3],
                       y_wide[:, :, :grad_output.shape[2], 2:2 + grad_output.shape[3]]):
            y_wide[...] = 7.0
            forward(case, x_view, np.flip(np.flip(weight, (2, 3)).copy(), (2, 3)), bias, y_view)
            np.testing.assert_array_equal(y_view, reference.conv2d(x, weight, bias, **case.window()))
            y_view[...] = 7.0
            assert (y_wide == 7.0).all()  # nothing beside the view was written
            y_view[...] = grad_output
            np.testing.assert_array_equal(weight_gradient(case, y_view, x_view),
                                          reference.conv2d_backward(grad_output, x, weight, **case.window())[1])


@pytest.mark.parametrize("size", [3, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_views_of_pixels_with_any_strides(stride, size):
    """Channels side by side, or in x not, or turned around; pixels, rows and images with any strides."""
    case = depthwise_case(20, 12, 14, size, images=2, stride=stride, padding=1, data_format="NHWC")
    x, weight, bias, grad_output = case.arrays(integers=True)
    height, width = grad_output.shape[2:]
    wide = np.zeros((4, 24, 60, 40))
    y_wide = np.full((2, 2 * height, 3 * width, 50), 7.0)
    for x_view in (wide[::-2, ::2, 3:17, 10:30], wide[2:, 5:17, -1:-43:-3, :20], wide[2:, 1:13, :14, ::-2],
                   wide[1:3, 2:14, ::4, 20:][:, :, :14], wide.transpose(0, 3, 1, 2)[:2, 9:21, :14, :20]):
        x_view[...] = x.transpose(0, 2, 3, 1)
        for y_view in (y_wide[:, 1::2, 1::3, 7:27], y_wide[::-1, -1:-1 - height:-1, width - 1::-1, 30:]):
            y_wide[...] = 7.0
            forward(case, cases.to_nchw(x_view, "NHWC"), np.flip(np.flip(weight, (2, 3)).copy(), (2, 3)), bias,
                    cases.to_nchw(y_view, "NHWC"))
            np.testing.assert_array_equal(cases.to_nchw(y_view, "NHWC"),
                                          reference.conv2d(x, weight, bias, **case.window()))
            y_view[...] = 7.0
            assert (y_wide == 7.0).all()  # nothing beside the view was written
            y_view[...] = grad_output.transpose(0, 2, 3, 1)
            np.testing.assert_array_equal(weight_gradient(case, cases.to_nchw(y_view, "NHWC"),
                                                          cases.to_nchw(x_view, "NHWC")),
                                          reference.conv2d_backward(grad_output, x, weight, **case.window())[1])


@pytest.mark.parametrize("step", [1, -1])
def test_filters_in_any_order(step):
    """Packed forwards, backwards (as a data gradient has them) or one by one."""
    for size, channels in itertools.product((1, 3, 5, (1, 7), (7, 1), (2, 9)), (17, 9)):
        case = depthwise_case(channels, 8, 9, size,
                              padding=(reference.pair(size)[0] // 2, reference.pair(size)[1] // 2), data_format="NHWC")
        x, weight, bias, grad_output = case.arrays(integers=True)
        y = view(grad_output, "NHWC")
        for stored in (weight[..., ::step, ::step], weight[..., ::-1], weight.transpose(2, 3, 1, 0)):
            copy = np.ascontiguousarray(stored)
            turned = copy[..., ::step, ::step] if stored.shape == weight.shape else copy.transpose(3, 2, 0, 1)
            forward(case, view(x, "NHWC"), turned, bias, y)
            np.testing.assert_array_equal(y, reference.conv2d(x, turned, bias, **case.window()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [2, 3, 5, 8, 9, 16, 31, 32, 33, 34, 64, 75, 1200])
def test_pairs_of_columns(width, dtype):
    """The data gradient of stride 2: two filters, one for the even and one for the odd columns of y."""
    x = np.random.default_rng(0).integers(-3, 4, (2, 3, 9, 40)).astype(dtype)
    weight = np.random.default_rng(1).integers(-3, 4, (6, 1, 2, 5)).astype(dtype)
    for even, odd, left_even, left_odd in ((1, 2, 0, 1), (3, 1, 2, -1), (4, 5, 3, 3)):
        y = np.full((2, 6, 10, width + 1), np.nan, dtype)
        columns = y[:, :, 1:, :width]
        conv2d_pair(*(Convolution(x, weight[..., :taps], None, columns[..., first::2],
                                  Window((1, 1), (2, 1), (1, left)))
                      for taps, left, first in ((even, left_even, 0), (odd, left_odd, 1))))
        assert np.isnan(y[:, :, 0]).all() and np.isnan(y[..., width]).all()
        for taps, left, first in ((even, left_even, 0), (odd, left_odd, 1)):
            outputs = len(range(first, width, 2))
            padding = ((1, 1 + 9 - (9 - 2 + 2)), (left, outputs + taps - 1 - 40 - left))
            expected = reference.conv2d(x, weight[..., :taps], None, padding=padding, dilation=(2, 1), groups=3)
            np.testing.assert_array_equal(y[:, :, 1:, first:width:2], expected[:, :, :9])


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_empty(data_format):
    none = depthwise_case(18, 5, 6, 3, images=0, padding=1, data_format=data_format)
    x, weight, bias, grad_output = none.arrays()
    forward(none, view(x, data_format), weight, bias, view(grad_output, data_format))
    np.testing.assert_array_equal(weight_gradient(none, view(grad_output, data_format), view(x, data_format)), 0)


def test_steps_far_larger_than_the_image():
    """Nothing as long as the step is laid out."""
    far = 2**31 - 1
    case = depthwise_case(1, 3, 4, 3, dilation=far, padding=far)
    x, weight, bias, grad_output = case.arrays(integers=True)
    y = forward(case, x, weight, bias, np.empty(x.shape))
    np.testing.assert_array_equal(y, x * weight[0, 0, 1, 1] + bias)
    expected = np.zeros((1, 1, 3, 3))
    expected[0, 0, 1, 1] = (x * grad_output).sum()
    np.testing.assert_array_equal(weight_gradient(case, grad_output, x), expected)


@pytest.mark.parametrize("size", [3, 5, 2])
@pytest.mark.parametrize("width", [5, 21])
def test_infinity_and_nan_stay_where_they_belong(size, width):
    """A vector that overlaps its neighbour counts its lanes once, and zero times infinity nowhere."""
    case = depthwise_case(1, 3, width, size, padding=size // 2, bias=False)
    for column, value in itertools.product((0, width // 2, width - 1), (np.inf, np.nan)):
        x, weight, _, grad_output = case.arrays()
        x[0, 0, 1, column] = value
        with np.errstate(invalid="ignore"):
            y = reference.conv2d(x, weight, None, **case.window())
            exact = reference.conv2d_backward(grad_output, x, weight, **case.window())[1]
        np.testing.assert_allclose(forward(case, x, weight, None, np.empty(case.output_shape())), y)
        np.testing.assert_allclose(weight_gradient(case, grad_output, x), exact)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("size", [3, 5, 7, 2])
def test_padding_meets_weights_that_are_not_finite(size, data_format, value):
    """Zero times infinity is not zero, so padding can be left out only where all weights are finite."""
    case = depthwise_case(18, 4, 5, size, padding=2, data_format=data_format)
    x, weight, bias, grad_output = case.arrays()
    weight[17, 0, -1, 0] = value
    y = forward(case, view(x, data_format), weight, bias, view(grad_output, data_format))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(y, reference.conv2d(x, weight, bias, **case.window()), atol=1e-12)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shape", [(4, 33, 60, 61), (9, 2, 90, 90), (1, 203, 6, 5)])
def test_same_bits_for_any_number_of_threads(shape, data_format):
    n, c, h, w = shape
    case = depthwise_case(c, h, w, 5, images=n, padding=2, data_format=data_format)
    x, weight, bias, grad_output = case.arrays(dtype=np.float32)
    x, grad_output = view(x, data_format), view(grad_output, data_format)
    results = []
    before = threads.get_num_threads()
    try:
        for count in (1, 2, 3, 16):
            threads.set_limit(count)
            y = forward(case, x, weight, bias,
                        view(np.empty(case.output_shape(), np.float32), data_format), activation=4)
            results.append((y.tobytes(), weight_gradient(case, grad_output, x).tobytes()))
    finally:
        threads.set_limit(before)
    assert all(result == results[0] for result in results)


def test_no_read_or_write_outside_the_arrays():
    """The arrays end where an unreadable page begins, and begin where one ends."""
    here = Path(__file__).parent
    for name in isa.usable():
        in_new_process("""
            import ctypes, mmap, os, sys
            os.environ["FASTCONV_ISA"] = sys.argv[1]
            sys.path[:0] = sys.argv[2:]
            import numpy as np
            import test_depthwise as test

            protect = ctypes.CDLL(None, use_errno=True).mprotect
            protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

            def guarded(array, at_end):
                size = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
                memory = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
                start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
                for page in (start, start + mmap.PAGESIZE + size):
                    assert protect(page, mmap.PAGESIZE, 0) == 0
                offset = mmap.PAGESIZE + (size - array.nbytes if at_end else 0)
                copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
                copy[...] = array
                return copy

            for case in test.KERNEL_CASES[::3] + list(test.OTHER_CASES.values())[::2]:
                for dtype, at_end in ((np.float32, True), (np.float32, False), (np.float64, True)):
                    arrays = case.arrays(dtype=dtype, integers=True)
                    x, w, b, dy = (guarded(test.cases.to_format(a, case.data_format) if a.ndim == 4 and i != 1 else a,
                                           at_end)
                                   for i, a in enumerate(arrays))
                    x, dy = (test.cases.to_nchw(a, case.data_format) for a in (x, dy))
                    gradient = test.weight_gradient(case, dy, x)
                    test.forward(case, x, w, b, dy)
                    np.testing.assert_array_equal(dy, test.reference.conv2d(x, w, b, **case.window()))
            sys.stdout.flush()
            os._exit(0)  # the guarded maps cannot be closed under their arrays
        """, name, here, here.parent)
