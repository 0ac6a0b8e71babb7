"""conv2d: every option against the plain loops, exactly on integers; layouts, strides, out, threads, memory."""

import itertools
import sys

import cases
import numpy as np
import pytest
import reference
from processes import in_new_process, peak_memory

import fastconv as fc

EDGES = cases.conv_edge_cases()
DTYPES = [np.float32, np.float64]
ACTIVATIONS = {None: lambda y: y, "relu": reference.relu, "leaky_relu": reference.leaky_relu,
               "sigmoid": reference.sigmoid, "tanh": reference.tanh, "relu6": reference.relu6}


def forward(case, x, weight, bias, **options):
    """conv2d in the case's data format, seen as (N, K, OH, OW)."""
    y = fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **case.window(), data_format=case.data_format,
                  **options)
    return cases.to_nchw(y, case.data_format)


def check_exactly(case, dtype, algorithm="auto"):
    x, weight, bias, _ = case.arrays(dtype=dtype, integers=True)
    y = forward(case, x, weight, bias, algorithm=algorithm)
    assert y.dtype == dtype and y.shape == case.output_shape()
    if x.size:
        expected = reference.conv2d(x, weight, bias, **case.window())
        if algorithm in ("winograd", "fft") or (algorithm == "auto" and cases.may_be_winograd(case, dtype)):
            cases.assert_close_to_sum(y, expected, f"{algorithm} {case}")
        else:
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for _, case in EDGES], ids=[name for name, _ in EDGES])
def test_edges_exactly(case, dtype):
    check_exactly(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(8))
def test_mixed_options_exactly(seed, dtype):
    for case in cases.random_conv_cases(25, seed):
        check_exactly(case, dtype)


@pytest.mark.parametrize("algorithm", ["gemm", "direct", "fft"])
def test_algorithms_by_name(algorithm):
    for case in cases.random_conv_cases(200, 100):
        check_exactly(case, np.float32, algorithm)


def rounding_bound(case, dtype):
    """What a sum of this length may lose, for products of standard normal numbers."""
    terms = int(np.prod(case.weight_shape[1:])) + 1
    return 4 * np.finfo(dtype).eps * terms


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rounding_and_activation(activation, dtype):
    for case in cases.random_conv_cases(20, 7):
        x, weight, bias, _ = case.arrays(dtype=dtype)
        y = forward(case, x, weight, bias, activation=activation)
        expected = ACTIVATIONS[activation](reference.conv2d(x, weight, bias, **case.window()))
        np.testing.assert_allclose(y, expected, rtol=rounding_bound(case, dtype),
                                   atol=rounding_bound(case, dtype) + 1e-300)


def test_large_channel_sum_keeps_the_direct_bound():
    case = cases.ConvCase((1, 700, 9, 9), (40, 700, 3, 3), padding=1)
    for dtype in DTYPES:
        x, weight, bias, _ = case.arrays(dtype=dtype)
        expected = reference.conv2d(x, weight, bias, **case.window())
        error = np.linalg.norm(forward(case, x, weight, bias) - expected) / np.linalg.norm(expected)
        assert error < 2 * np.finfo(dtype).eps * np.sqrt(case.weight_shape[1] * 9)


# ---------------------------------------------------------------------------------------------------------------------
# Forms of the inputs and of the result


def small(dtype=np.float32):
    return cases.ConvCase((2, 5, 7, 9), (6, 5, 3, 2), stride=(1, 2), padding=1).arrays(dtype=dtype, integers=True)


SMALL = {"stride": (1, 2), "padding": 1}


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_strides(dtype):
    x, weight, bias, _ = small(dtype)
    expected = reference.conv2d(x, weight, bias, **SMALL)
    spread = np.zeros((4, 10, 14, 27), dtype)
    spread[::2, ::2, ::2, ::3] = x
    for view in (spread[::2, ::2, ::2, ::3], np.asfortranarray(x),
                 x[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1]):
        np.testing.assert_array_equal(fc.conv2d(view, weight, bias, **SMALL), expected)
    hwio = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    turned = weight[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1]
    for view in (hwio, turned, np.asfortranarray(weight)):
        np.testing.assert_array_equal(fc.conv2d(x, view, bias, **SMALL), expected)
    np.testing.assert_array_equal(fc.conv2d(x, weight, bias[::-1].copy()[::-1], **SMALL), expected)


def test_broadcast_and_read_only_inputs():
    x, weight, bias, _ = small()
    wide = np.broadcast_to(x[:, :1], x.shape)
    np.testing.assert_array_equal(fc.conv2d(wide, weight, bias, **SMALL),
                                  reference.conv2d(wide, weight, bias, **SMALL))
    for array in (x, weight, bias):
        array.flags.writeable = False
    np.testing.assert_array_equal(fc.conv2d(x, weight, bias, **SMALL), reference.conv2d(x, weight, bias, **SMALL))


def test_foreign_arrays():
    x, weight, bias, _ = small(np.float64)
    expected = reference.conv2d(x, weight, bias, **SMALL)
    np.testing.assert_array_equal(fc.conv2d(x.tolist(), weight.tolist(), bias.tolist(), **SMALL), expected)
    np.testing.assert_array_equal(fc.conv2d(memoryview(x), weight.astype(">f8"), bias, **SMALL), expected)
    record = np.zeros(x.shape, dtype=[("tag", "i1"), ("value", "f8")])
    record["value"] = x
    assert not record["value"].flags.aligned
    np.testing.assert_array_equal(fc.conv2d(record["value"], weight, bias, **SMALL), expected)

    class Exporter:
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    np.testing.assert_array_equal(fc.conv2d(Exporter(), weight, bias, **SMALL), expected)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_one_image_and_batch(data_format):
    x, weight, bias, _ = small()
    batch = cases.to_format(x, data_format)
    y = fc.conv2d(batch, weight, bias, **SMALL, data_format=data_format)
    assert y.flags.c_contiguous and y.ndim == 4
    for image, expected in zip(batch, y):
        one = fc.conv2d(image, weight, bias, **SMALL, data_format=data_format)
        assert one.shape == expected.shape
        np.testing.assert_array_equal(one, expected)
    np.testing.assert_array_equal(cases.to_nchw(y, data_format), reference.conv2d(x, weight, bias, **SMALL))


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_out_is_filled_in_place(data_format):
    x, weight, bias, _ = small()
    x = cases.to_format(x, data_format)
    expected = fc.conv2d(x, weight, bias, **SMALL, data_format=data_format)
    out = np.full(expected.shape, np.nan, np.float32)
    assert fc.conv2d(x, weight, bias, **SMALL, data_format=data_format, out=out) is out
    np.testing.assert_array_equal(out, expected)
    # Beside an input in one buffer is not an overlap.
    buffer = np.zeros(x.size + expected.size, np.float32)
    beside = buffer[:x.size].reshape(x.shape)
    beside[...] = x
    fc.conv2d(beside, weight, bias, **SMALL, data_format=data_format, out=buffer[x.size:].reshape(expected.shape))
    np.testing.assert_array_equal(buffer[x.size:].reshape(expected.shape), expected)
    np.testing.assert_array_equal(beside, x)


def test_inputs_stay_as_they_are():
    arrays = small()[:3]
    before = [array.copy() for array in arrays]
    fc.conv2d(*arrays, **SMALL, activation="relu")
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)


def test_result_is_aligned():
    x, weight, _, _ = small()
    assert fc.conv2d(x, weight).ctypes.data % 64 == 0


def test_empty_batch():
    weight = np.ones((4, 3, 3, 3), np.float32)
    assert fc.conv2d(np.ones((0, 3, 8, 8), np.float32), weight, padding=1).shape == (0, 4, 8, 8)
    assert fc.conv2d(np.ones((0, 8, 9, 3), np.float32), weight, data_format="NHWC").shape == (0, 6, 7, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_go_where_the_sum_sends_them(value):
    for case in (cases.ConvCase((1, 3, 9, 9), (5, 3, 3, 3), padding=1),
                 cases.ConvCase((1, 4, 9, 9), (4, 1, 3, 3), padding=1, groups=4)):
        x, weight, bias, _ = case.arrays(dtype=np.float32)
        x[0, 1, 4, 5] = value
        expected = reference.conv2d(x, weight, bias, **case.window())
        y = forward(case, x, weight, bias)
        np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
        np.testing.assert_array_equal(y[~np.isfinite(y)], expected[~np.isfinite(y)])
        relu = forward(case, x, weight, bias, activation="relu")
        np.testing.assert_array_equal(np.isnan(relu), np.isnan(expected))


def test_non_finite_padding_value():
    x, weight, bias, _ = small()
    y = fc.conv2d(x, weight, bias, padding=1, padding_value=np.nan)
    np.testing.assert_array_equal(np.isnan(y),
                                  np.isnan(reference.conv2d(x, weight, bias, padding=1, padding_value=np.nan)))


# ---------------------------------------------------------------------------------------------------------------------
# Threads, memory


THREADED = {
    "dense": cases.ConvCase((3, 33, 40, 41), (70, 33, 3, 3), padding=1),
    "deep": cases.ConvCase((1, 600, 10, 10), (70, 600, 3, 3), padding=1),
    "one_channel": cases.ConvCase((8, 1, 28, 28), (6, 1, 5, 5), padding=2),
    "depthwise": cases.ConvCase((2, 50, 40, 40), (50, 1, 3, 3), padding=1, groups=50),
    "groups_nhwc": cases.ConvCase((2, 24, 30, 30), (48, 6, 3, 3), stride=2, groups=4, data_format="NHWC"),
}


@pytest.mark.parametrize("case", THREADED.values(), ids=THREADED)
def test_same_bits_for_any_number_of_threads(case):
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    with fc.num_threads(1):
        expected = forward(case, x, weight, bias)
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(forward(case, x, weight, bias), expected)


LARGE = """
x, weight = np.ones((1, 64, 512, 512), np.float32), np.ones((64, 64, 3, 3), np.float32)
fc.conv2d(x[:, :, :16, :16], weight, padding=1)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("threads", [1, 2])
def test_peak_memory(threads):
    output_mb = 64
    assert peak_memory(LARGE, "y = fc.conv2d(x, weight, padding=1)", threads) <= output_mb + 8 * threads


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_peak_memory_with_out_and_nhwc():
    prepare = LARGE + "x, y = x.transpose(0, 2, 3, 1), np.ones((1, 512, 512, 64), np.float32)"
    call = 'fc.conv2d(x, weight, padding=1, padding_mode="reflect", data_format="NHWC", activation="relu", out=y)'
    assert peak_memory(prepare, call, 1) <= 8


GUARDED = """
    import ctypes, mmap, sys
    import numpy as np
    import fastconv as fc

    PAGE = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    keep = []

    def guarded(array, at_end):
        # The array between two pages that may not be touched, against one or the other.
        pages = -(-array.nbytes // PAGE)
        area = mmap.mmap(-1, (pages + 2) * PAGE)
        keep.append(area)
        start = ctypes.addressof(ctypes.c_char.from_buffer(area))
        for page in (start, start + (pages + 1) * PAGE):
            assert libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0
        offset = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
        view = np.frombuffer(area, array.dtype, array.size, offset).reshape(array.shape)
        view[...] = array
        return view

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for at_end in (False, True):
            for n, c, h, w, k, r, stride, padding, groups, layout in {configurations}:
                x_shape = (n, c, h, w) if layout == "NCHW" else (n, h, w, c)
                x = guarded(rng.standard_normal(x_shape).astype(dtype), at_end)
                weight = guarded(rng.standard_normal((k, c // groups, r, r)).astype(dtype), at_end)
                bias = guarded(rng.standard_normal(k).astype(dtype), at_end)
                options = dict(stride=stride, padding=padding, groups=groups, data_format=layout)
                plain = fc.conv2d(x, weight, bias, **options)
                out = guarded(np.zeros_like(plain), at_end)
                fc.conv2d(x, weight, bias, out=out, **options)
                assert np.array_equal(out, plain)
                fc.conv2d_backward(out, x, weight, **options)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects pages with mprotect")
def test_nothing_is_touched_outside_the_arrays():
    configurations = [
        (1, 1, 1, 1, 1, 1, 1, 0, 1, "NCHW"), (1, 3, 5, 7, 5, 3, 1, 1, 1, "NCHW"),
        (2, 17, 9, 15, 33, 3, 1, 1, 1, "NCHW"), (1, 16, 14, 14, 32, 1, 1, 0, 1, "NCHW"),
        (1, 13, 13, 31, 31, 1, 1, 0, 1, "NCHW"), (2, 6, 15, 17, 7, 5, 2, 2, 1, "NCHW"),
        (2, 19, 11, 13, 19, 3, 1, 1, 19, "NCHW"), (1, 5, 17, 18, 5, 3, 2, 1, 5, "NCHW"),
        (1, 12, 9, 9, 8, 3, 1, 1, 4, "NCHW"), (2, 17, 9, 15, 33, 3, 1, 1, 1, "NHWC"),
        (1, 7, 8, 9, 9, 1, 1, 0, 1, "NHWC"), (1, 9, 8, 9, 9, 3, 1, 1, 9, "NHWC"), (2, 16, 8, 8, 32, 3, 1, 0, 1, "NHWC"),
        (1, 40, 9, 13, 24, 3, 2, 0, 1, "NHWC"), (1, 24, 12, 7, 20, 5, 1, 0, 1, "NHWC"),
        (1, 32, 8, 8, 32, 3, 1, 1, 4, "NHWC"), (3, 64, 7, 7, 64, 3, 1, 1, 1, "NCHW"),
    ]
    in_new_process(GUARDED.format(configurations=configurations))


@pytest.mark.parametrize("algorithm", ["auto", "direct", "gemm"])
def test_one_by_one_filters_that_stride_into_padding(algorithm):
    """There are as many outputs as pixels, but they do not meet one pixel each."""
    x = np.array([[[[1, 2, 3, 4]]]], np.float32)
    y = fc.conv2d(x, np.ones((17, 1, 1, 1), np.float32), stride=(1, 2), padding=((0, 0), (0, 3)), algorithm=algorithm)
    np.testing.assert_array_equal(y, np.broadcast_to([1.0, 3, 0, 0], (1, 17, 1, 4)))
    for channels, filters, rows, mode, data_format, dtype in itertools.product(
            (1, 2, 17, 40), (4, 17, 32), (1, 2, 5), ("constant", "replicate"), ("NCHW", "NHWC"), DTYPES):
        case = cases.ConvCase((2, channels, rows, 5), (filters, channels, 1, 1), stride=2,
                              padding=((0, rows - 1), (0, 4)), padding_mode=mode, data_format=data_format)
        assert case.output_shape()[2:] == (rows, 5)
        x, weight, bias, _ = case.arrays(dtype=dtype, integers=True)
        np.testing.assert_array_equal(forward(case, x, weight, bias, algorithm=algorithm),
                                      reference.conv2d(x, weight, bias, **case.window()), str(case))


# ---------------------------------------------------------------------------------------------------------------------
# The formula


def test_output_size():
    for size, taps, stride, padding, dilation in [(224, 7, 2, 3, 1), (28, 5, 1, 0, 1), (9, 3, 4, 1, 3),
                                                  (5, 5, 9, 0, 1)]:
        expected = reference.output_size(size, taps, stride, (padding, padding), dilation)
        assert fc.conv_output_size(size, taps, stride, padding, dilation) == expected
        assert fc.conv_output_size((size, size, size), taps, stride, padding, dilation) == (expected,) * 3
    for padding in ((0, 1), ((0, 1),)):
        assert fc.conv_output_size(10, 3, padding=padding) == fc.conv_output_size((10,), 3, padding=padding)[0] == 9
    assert fc.conv_output_size((10, 11), (3, 4), padding=(1, 2)) == (10, 12)
    assert fc.conv_output_size((10, 11), (3, 4), padding=((1, 0), (2, 3))) == (9, 13)
    assert fc.conv_output_size(10, 3, stride=4, padding="same") == 3
    assert fc.conv_output_size(10, 3, padding="valid") == 8


def test_same_puts_the_odd_pixel_at_the_end():
    x = np.ones((1, 1, 1, 4))
    weight = np.array([[[[1.0, 10.0]]]])
    np.testing.assert_array_equal(fc.conv2d(x, weight, padding="same")[0, 0, 0], [11, 11, 11, 1])
