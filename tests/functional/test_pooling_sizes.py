"""Pooling of very large and odd sizes: what cannot be is said at once, positions are 64-bit, scratch stays small."""

import sys
import time

import cases
import numpy as np
import pytest
import reference
from numpy.lib.stride_tricks import as_strided
from processes import peak_memory

import fastconv as fc

FORMATS = ["NCHW", "NHWC"]


def repeated(rows, width, data_format, dtype=np.float32):
    """A plane (of three equal channels) whose pixels are `rows` along its columns, without their memory."""
    rows = np.repeat(np.asarray(rows, dtype)[:, None], 3, 1)
    row, channel = rows.strides
    if data_format == "NCHW":
        return as_strided(rows, (1, 3, len(rows), width), (0, channel, row, 0), writeable=False)
    return as_strided(rows, (1, len(rows), width, 3), (0, row, 0, channel), writeable=False)


# ---------------------------------------------------------------------------------------------------------------------
# Nothing is done before the checks are through

POOLED = fc.max_pool2d(np.ones((2, 4, 6, 5), np.float32), 2, return_indices=True)
ONE = np.ones((1, 1, 2, 2), np.float32)
HUGE = np.broadcast_to(np.float32(1), (1, 1, 2**26, 2**26))

AT_ONCE = {
    "max gradient": lambda: fc.max_pool2d_backward(*POOLED, (2, 4, 2**31, 5), 2),
    "max gradient, 2**62 rows": lambda: fc.max_pool2d_backward(*POOLED, (2, 4, 2**62, 5), 2),
    "max gradient, 2**63 - 1 columns": lambda: fc.max_pool2d_backward(*POOLED, (2, 4, 6, 2**63 - 1), 2, padding=1),
    "max gradient, NHWC": lambda: fc.max_pool2d_backward(*POOLED, (2, 2**40, 5, 4), 2, data_format="NHWC"),
    "average gradient": lambda: fc.avg_pool2d_backward(ONE, (1, 1, 2**40, 1), 1),
    "average gradient, 2**63 - 1 rows": lambda: fc.avg_pool2d_backward(ONE, (1, 1, 2**63 - 1, 1), 3, padding=1),
    "adaptive gradient": lambda: fc.adaptive_avg_pool2d_backward(ONE, (1, 1, 2**40, 2**40), 3),
    "adaptive max gradient": lambda: fc.adaptive_max_pool2d_backward(*POOLED, (2, 4, 2**31, 5), 7),
    "global gradient": lambda: fc.global_avg_pool2d_backward(ONE, (1, 1, 2**31, 2**31)),
    "indices of another shape": lambda: fc.max_pool2d_backward(POOLED[0], POOLED[1][:1], (2, 4, 6, 5), 2),
    "indices of another dtype": lambda: fc.max_pool2d_backward(POOLED[0], POOLED[1].astype(np.int32), (2, 4, 6, 5), 2),
    "maxima that cannot exist": lambda: fc.max_pool2d(HUGE, 2),
    "averages that cannot exist": lambda: fc.avg_pool2d(HUGE, 3, stride=1),
    "NHWC that cannot exist": lambda: fc.max_pool2d(np.broadcast_to(np.float32(1), (1, 2**26, 2**26, 4)), 2,
                                                    data_format="NHWC"),
    "indices that cannot exist": lambda: fc.max_pool2d(np.broadcast_to(np.float32(1), (1, 1, 1, 2**60)), 1,
                                                       return_indices=True),
    "adaptive that cannot exist": lambda: fc.adaptive_avg_pool2d(ONE, 2**31 - 1),
    "dilation that misses": lambda: fc.max_pool2d(np.broadcast_to(np.float32(1), (1, 1, 1, 2**30)), (1, 2), stride=1,
                                                  dilation=(1, 2**31 - 1), padding=(0, 2**30 - 1)),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_cannot_be_is_said_at_once(name):
    begin = time.perf_counter()
    with pytest.raises((ValueError, TypeError, MemoryError)):
        AT_ONCE[name]()
    assert time.perf_counter() - begin < 5


def test_a_wrong_gradient_is_said_by_shape():
    with pytest.raises(ValueError, match="grad_output must have shape"):
        fc.max_pool2d_backward(*POOLED, (2, 4, 2**31, 5), 2)
    with pytest.raises(MemoryError, match="grad_x would have shape"):
        fc.avg_pool2d_backward(ONE, (1, 1, 2**62, 2**62), 1)
    with pytest.raises(MemoryError, match="the indices would have shape"):
        fc.max_pool2d(np.broadcast_to(np.float32(1), (1, 1, 1, 2**60)), 1, return_indices=True)


# ---------------------------------------------------------------------------------------------------------------------
# Positions


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_window_wider_than_32_bits(dtype, data_format):
    """Its two rows are 2**32 pixels apart, or its two columns."""
    rows = np.zeros(2**15 + 1)
    rows[-1] = 1
    x = repeated(rows, 2**17, data_format, dtype)
    options = {"stride": (1, 2**16), "dilation": (2**15, 1), "data_format": data_format, "return_indices": True}
    y, indices = fc.max_pool2d(x, (2, 1), **options)
    np.testing.assert_array_equal(y, 1)
    np.testing.assert_array_equal(np.unique(indices), [2**32, 2**32 + 2**16])


@pytest.mark.parametrize("data_format", FORMATS)
def test_columns_further_apart_than_32_bits(data_format):
    shape = (1, 2, 1, 2**33) if data_format == "NCHW" else (1, 1, 2**33, 2)
    x = np.broadcast_to(np.float32(1), shape)
    options = {"data_format": data_format, "return_indices": True}
    step = 2**31 - 1
    for taps, outputs in ((3, 3), (2, 4)):
        y, indices = fc.max_pool2d(x, (1, taps), stride=(1, step), dilation=(1, step), **options)
        assert (y == 1).all() and y.size == 2 * outputs
        np.testing.assert_array_equal(np.unique(indices), np.arange(outputs) * step)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kernel_size, stride, dilation",
                         [((3, 3), (2**17, 1), 1), ((3, 3), (2**17, 2), (5, 2)), ((2, 2), (2**17, 3), 1),
                          ((9, 1200), (2**17, 900), 1)], ids=str)
def test_windows_beyond_32_bits(kernel_size, stride, dilation, data_format):
    """Small windows, whose first pixels lie up to 2**32 pixels behind the plane's first."""
    x = repeated(np.arange(2**20 + 7), 2**12, data_format)
    y, indices = fc.max_pool2d(x, kernel_size, stride=stride, dilation=dilation, data_format=data_format,
                               return_indices=True)
    y, indices = cases.to_nchw(y, data_format), cases.to_nchw(indices, data_format)
    last = np.arange(y.shape[2]) * stride[0] + (kernel_size[0] - 1) * np.max(dilation)
    first = np.arange(y.shape[3]) * stride[1]
    np.testing.assert_array_equal(y, np.broadcast_to(last.astype(np.float32)[:, None], y.shape))
    np.testing.assert_array_equal(indices, np.broadcast_to(last[:, None] * 2**12 + first, y.shape))
    assert indices.max() > 2**31


@pytest.mark.slow
@pytest.mark.parametrize("data_format", FORMATS)
def test_a_plane_of_more_than_32_bits(data_format):
    rows = np.zeros(50_000)
    rows[-1] = 1
    x = repeated(rows, 50_000, data_format)
    for indices in (fc.global_max_pool2d(x, data_format=data_format, return_indices=True)[1],
                    fc.max_pool2d(x, 50_000, data_format=data_format, return_indices=True)[1]):
        np.testing.assert_array_equal(indices.ravel(), 49_999 * 50_000)
    np.testing.assert_allclose(fc.global_avg_pool2d(x, data_format=data_format).ravel(), 1 / 50_000, rtol=1e-6)


@pytest.mark.parametrize("data_format", FORMATS)
def test_more_taps_than_32_bits_count(data_format):
    x = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    formatted = np.ascontiguousarray(x.transpose(1, 2, 0)) if data_format == "NHWC" else x
    y = fc.avg_pool2d(formatted, 2**20, stride=1, padding=2**19, data_format=data_format)
    np.testing.assert_allclose(y, 300 / 2**40, rtol=1e-6)
    grad_x = fc.avg_pool2d_backward(np.ones_like(y), formatted.shape, 2**20, stride=1, padding=2**19,
                                    data_format=data_format)
    np.testing.assert_allclose(grad_x, y.size / 2**40, rtol=1e-6)


def test_adaptive_windows_of_sizes_whose_products_need_more_than_64_bits():
    size, outputs = 2**58 + 12345, 2**20 - 3
    x = np.broadcast_to(np.float32(1), (1, 1, size, 1))
    begin = time.perf_counter()
    with pytest.raises((MemoryError, ValueError)):
        fc.adaptive_max_pool2d_backward(ONE, np.zeros(ONE.shape, np.int64), x.shape, (outputs, 1))
    assert time.perf_counter() - begin < 5


# ---------------------------------------------------------------------------------------------------------------------
# Windows by arithmetic: every border, in every loop


def test_many_dilated_taps():
    """More than a band's tables hold: window by window. The reference's loop over 90,300 taps would take a minute."""
    x = np.random.default_rng(0).integers(0, 50, (1, 2, 620, 610)).astype(np.float32)
    for padding in (0, 7):
        y, indices = fc.max_pool2d(x, (301, 300), stride=(5, 3), dilation=2, padding=padding, return_indices=True)
        padded = np.pad(x[0], ((0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
        places = np.pad(np.arange(620 * 610).reshape(620, 610), padding, constant_values=-1)
        for c, i, j in np.ndindex(*y.shape[1:]):
            window = slice(5 * i, 5 * i + 601, 2), slice(3 * j, 3 * j + 599, 2)
            assert y[0, c, i, j] == padded[c][window].max()
            assert indices[0, c, i, j] == places[window].flat[padded[c][window].argmax()]


WIDE = {
    "3, stride 1": (3, 1, 1, 1), "3, stride 2": (3, 2, 1, 1), "2x2": (2, 2, 0, 1), "dilated": (3, 2, (2, 4), (2, 5)),
    "one row": ((1, 5), (1, 2), (0, 2), 1), "wide": ((2, 300), (2, 5), (1, 150), 1),
    "tall": ((40, 3), (30, 1), (20, 1), 1),
}


@pytest.mark.parametrize("name", WIDE)
def test_rows_in_blocks_of_columns(name):
    kernel_size, stride, padding, dilation = WIDE[name]
    rng = np.random.default_rng(0)
    size = {"tall": (41, 1_511), "one row": (1, 20_011), "wide": (3, 6_011)}.get(name, (4, 9_011))
    x = rng.integers(-9, 10, (1, 1, *size)).astype(np.float32)
    x[rng.random(x.shape) < 0.4] = -np.inf
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    y, indices = fc.max_pool2d(x, dilation=dilation, return_indices=True, **window)
    expected, expected_indices = reference.max_pool2d(x, dilation=dilation, **window)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    if dilation == 1:
        x = np.where(np.isinf(x), np.float32(1), x)
        near = {"rtol": 1e-6, "atol": 1e-5}
        y = fc.avg_pool2d(x, count_include_pad=False, **window)
        np.testing.assert_allclose(y, reference.avg_pool2d(x, count_include_pad=False, **window), **near)
        np.testing.assert_allclose(fc.avg_pool2d_backward(y, x.shape, count_include_pad=False, **window),
                                   reference.avg_pool2d_backward(y, x.shape, count_include_pad=False, **window), **near)


# ---------------------------------------------------------------------------------------------------------------------
# Scratch

MEMORY = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SIGNAL = "x = np.ones((1, 1, 1, 8_000_000), np.float32)"
VIEW = "x = np.ones((1, 8, 1000, 2000), np.float32)[..., ::2]"
FORWARD = {
    "long rows, max": (SIGNAL, "y = fc.max_pool2d(x, (1, 3), stride=(1, 2))", 16),
    "long rows, average": (SIGNAL, "y = fc.avg_pool2d(x, (1, 5), stride=(1, 4), padding=(0, 2))", 8),
    "long rows in double": ("x = np.ones((1, 1, 3, 2_000_000))",
                            "y = fc.max_pool2d(x, (3, 40), stride=(1, 8), dilation=(1, 3))", 2),
    "wide windows": ("x = np.ones((1, 1, 2, 1_000_000))", "y = fc.avg_pool2d(x, (2, 20_000), stride=(1, 10))", 1),
    "tall windows": ("x = np.ones((1, 1, 20_000, 40))", "y = fc.max_pool2d(x, (15_000, 3), stride=(400, 1))", 1),
    "strided columns, 2x2": (VIEW, "y = fc.max_pool2d(x, 2)", 8),
    "strided columns, 3x3": (VIEW, "y = fc.avg_pool2d(x, 3, stride=2)", 8),
    "strided columns, whole planes": (VIEW, "y = fc.global_avg_pool2d(x)", 1),
    "strided columns, adaptive": (VIEW, "y = fc.adaptive_max_pool2d(x, 7)", 1),
    "turned planes": ("x = np.ones((1, 8, 1000, 1000), np.float32).swapaxes(2, 3)", "y = fc.global_max_pool2d(x)", 1),
}
BACKWARD = {
    "long rows": ("g = np.ones((1, 1, 1, 3_999_999), np.float32)",
                  "y = fc.avg_pool2d_backward(g, (1, 1, 1, 8_000_000), (1, 3), stride=(1, 2))", 31),
    "tall windows": ("g = np.ones((1, 1, 13, 38))",
                     "y = fc.avg_pool2d_backward(g, (1, 1, 20_000, 40), (15_000, 3), stride=(400, 1))", 7),
    "distant channels": ("g = np.ones((1, 8, 1000, 500), np.float32).transpose(0, 2, 3, 1)",
                         "y = fc.avg_pool2d_backward(g, (1, 1000, 1000, 8), (1, 2), data_format='NHWC')", 31),
    "many windows over a pixel": ("g = np.ones((1, 1, 901, 901), np.float32)\ni = np.zeros(g.shape, np.int64)",
                                  "y = fc.max_pool2d_backward(g, i, (1, 1, 1000, 1000), 100, stride=1)", 4),
}


@MEMORY
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", FORWARD)
def test_scratch_is_small(name, threads):
    prepare, call, result = FORWARD[name]
    assert peak_memory(prepare, call, threads) <= result + 8 * threads + 1


@MEMORY
@pytest.mark.parametrize("name", BACKWARD)
def test_scratch_of_gradients_is_small(name):
    prepare, call, result = BACKWARD[name]
    assert peak_memory(prepare, call, 1) <= result + 17
