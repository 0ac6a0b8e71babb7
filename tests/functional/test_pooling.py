"""Pooling against the plain loops: values, indices, gradients; layouts, strides, NaN, threads, instruction sets."""

import sys
from pathlib import Path

import cases
import numpy as np
import pytest
import reference
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
PoolCase = cases.PoolCase

# The loops of the core, and the edges of each: rows shorter and longer than a vector, windows at and beyond the border.
EDGES = {
    "one_pixel": PoolCase((1, 1, 1, 1), 1),
    "2x2": PoolCase((2, 3, 28, 28), 2),
    "2x2_with_a_rest": PoolCase((1, 2, 9, 37), 2),
    "2x2_wide": PoolCase((1, 2, 8, 70), 2, 2),
    "2x2_beyond_the_image": PoolCase((1, 2, 9, 37), 2, ceil_mode=True),
    "3x3_stride_1": PoolCase((2, 20, 14, 14), 3, 1, 1),
    "3x3_stride_2": PoolCase((1, 3, 33, 47), 3, 2, 1),
    "3x3_in_blocks_of_rows": PoolCase((1, 2, 70, 73), 3, 1, 1),
    "5x5": PoolCase((1, 4, 30, 31), 5, 1, 2),
    "1x3": PoolCase((1, 3, 50, 20), (1, 3), (1, 2), (0, 1)),
    "stride_beyond_kernel": PoolCase((1, 2, 40, 40), 2, 3),
    "dilated": PoolCase((1, 2, 25, 27), 3, 1, 1, 2),
    "dilated_beyond_image": PoolCase((1, 1, 4, 5), 2, 1, ((4, 0), (3, 0)), (7, 6)),
    "whole_plane": PoolCase((2, 3, 7, 7), 7),
    "whole_plane_with_padding": PoolCase((2, 3, 7, 7), 9, 1, 1),
    "far_windows": PoolCase((1, 2, 60, 61), 17, 16),
    "large_windows": PoolCase((1, 2, 60, 61), 20, 17, 3, 1, True, False),
    "nhwc": PoolCase((2, 17, 9, 9), 2, 2, data_format="NHWC"),
    "nhwc_3x3": PoolCase((1, 35, 11, 10), 3, 2, 1, data_format="NHWC"),
    "nhwc_one_channel": PoolCase((2, 1, 11, 10), 3, 2, 1, data_format="NHWC"),
    "13x13": PoolCase((1, 2, 18, 19), 13, 1, 6),
    "9x9_small_planes": PoolCase((2, 5, 12, 11), 9, 1, 4),
    "25x3": PoolCase((1, 2, 40, 9), (25, 3), 1, (12, 1)),
    "11x13_stride_2": PoolCase((1, 2, 24, 27), (11, 13), 2, 5),
    "10x12_stride_3": PoolCase((1, 2, 37, 50), (10, 12), 3, 4, ceil_mode=True, count_include_pad=False),
    "7x7_dilated": PoolCase((1, 2, 24, 25), 7, 1, 9, 3),
    "6x9_dilated_stride_2": PoolCase((1, 2, 32, 33), (6, 9), 2, 7, 3),
    "4x4_stride_4": PoolCase((2, 3, 20, 36), 4),
    "3x3_side_by_side_with_a_rest": PoolCase((2, 3, 20, 53), 3),
    "6x5_side_by_side": PoolCase((1, 2, 20, 37), (6, 5)),
    "rows_with_padding": PoolCase((1, 3, 33, 70), (3, 4), (2, 3), 1, ceil_mode=True, count_include_pad=False),
    "rows_dilated": PoolCase((1, 2, 25, 70), 3, 2, 1, 2),
    "rows_far_apart": PoolCase((1, 2, 25, 90), (3, 4), (2, 6), 1),
    "nhwc_13x13": PoolCase((1, 19, 15, 16), 13, 1, 6, data_format="NHWC"),
    "nhwc_9x5": PoolCase((2, 70, 12, 13), (9, 5), 1, (4, 2), count_include_pad=False, data_format="NHWC"),
    "nhwc_9x9_stride_2": PoolCase((1, 33, 21, 22), 9, 2, 4, data_format="NHWC"),
    "nhwc_dilated": PoolCase((1, 5, 17, 18), (5, 7), 1, (4, 6), 2, data_format="NHWC"),
    "nhwc_few_channels": PoolCase((2, 3, 20, 21), 2, data_format="NHWC"),
    "nhwc_few_channels_3x3": PoolCase((2, 3, 20, 51), 3, 2, 1, ceil_mode=True, data_format="NHWC"),
    "nhwc_gaps": PoolCase((2, 20, 11, 13), 2, 3, data_format="NHWC"),
    "asymmetric": PoolCase((1, 2, 11, 12), (4, 3), 2, ((2, 1), (0, 1))),
    "same": PoolCase((1, 2, 11, 12), 3, 2, "same"),
    "2x2_stride_1": PoolCase((2, 3, 9, 20), 2, 1),
    "3x3_stride_2_narrow": PoolCase((3, 5, 7, 7), 3, 2, 1),
    "3x3_stride_2_with_a_rest": PoolCase((1, 3, 12, 36), 3, 2),
    "5x4_stride_2": PoolCase((1, 2, 19, 70), (5, 4), 2, ((2, 1), (1, 2))),
    "rows_of_windows_apart": PoolCase((1, 2, 17, 21), (2, 5), (3, 2), (0, 2)),
    "wider_than_the_image": PoolCase((1, 2, 20, 4), 5, 1, 2),
    "7x7": PoolCase((1, 2, 20, 23), 7, 1, 3),
    "nhwc_3x3_stride_1": PoolCase((2, 35, 11, 10), 3, 1, 1, data_format="NHWC"),
    "nhwc_3x3_many_channels": PoolCase((1, 150, 6, 7), 3, 1, 1, data_format="NHWC"),
    "nhwc_2x3_stride_2": PoolCase((2, 9, 12, 13), (2, 3), (1, 2), (1, 0), data_format="NHWC"),
    "nhwc_5x5_stride_3": PoolCase((1, 64, 17, 19), 5, 3, 2, ceil_mode=True, data_format="NHWC"),
}


def values(case, dtype, seed=0, special=False):
    """Integers, equal ones often; with `special`, many infinities and NaN. As (N, C, H, W)."""
    x = case.input(seed)
    if special:
        which = np.random.default_rng(seed).random(x.shape)
        x[which < 0.5] = -np.inf
        x[which < 0.15] = np.nan
        x[which > 0.97] = np.inf
    return x.astype(dtype)


def spread_out(x):
    """The same numbers, no two of them neighbours in memory."""
    wide = np.full([2 * size for size in x.shape], 7, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def other_order(x):
    """The same numbers with the axes in another order in memory: NHWC for NCHW."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(-1, -2).swapaxes(-2, -3)


def reversed_rows(x):
    return np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1]


LAYOUTS = [lambda x: x, spread_out, other_order, reversed_rows]


def check_max(case, dtype, seed=0, special=False, layout=LAYOUTS[0]):
    x, options = values(case, dtype, seed, special), {**case.max_window(), "data_format": case.data_format}
    formatted = layout(cases.to_format(x, case.data_format))
    y, indices = fc.max_pool2d(formatted, **options, return_indices=True)
    expected, expected_indices = reference.max_pool2d(x, **case.max_window())
    np.testing.assert_array_equal(cases.to_nchw(y, case.data_format), expected)
    np.testing.assert_array_equal(cases.to_nchw(indices, case.data_format), expected_indices)
    assert y.dtype == dtype and indices.dtype == np.int64 and y.flags.c_contiguous and indices.flags.c_contiguous
    np.testing.assert_array_equal(fc.max_pool2d(formatted, **options), y)
    grad = np.random.default_rng(seed).integers(-3, 4, expected.shape).astype(dtype)
    grad_x = fc.max_pool2d_backward(layout(cases.to_format(grad, case.data_format)), layout(indices),
                                    formatted.shape, **options)
    np.testing.assert_array_equal(cases.to_nchw(grad_x, case.data_format),
                                  reference.max_pool2d_backward(grad, expected_indices, x.shape))
    assert grad_x.dtype == dtype and grad_x.flags.c_contiguous


def check_average(case, dtype, seed=0, layout=LAYOUTS[0]):
    x, options = values(case, dtype, seed), {**case.avg_window(), "data_format": case.data_format}
    near = {"rtol": 8 * np.finfo(dtype).eps, "atol": 32 * np.finfo(dtype).eps}
    formatted = layout(cases.to_format(x, case.data_format))
    y = fc.avg_pool2d(formatted, **options)
    expected = reference.avg_pool2d(x, **case.avg_window())
    np.testing.assert_allclose(cases.to_nchw(y, case.data_format), expected, **near)
    assert y.dtype == dtype and y.flags.c_contiguous
    grad = np.random.default_rng(seed).integers(-3, 4, expected.shape).astype(dtype)
    grad_x = fc.avg_pool2d_backward(layout(cases.to_format(grad, case.data_format)), formatted.shape, **options)
    np.testing.assert_allclose(cases.to_nchw(grad_x, case.data_format),
                               reference.avg_pool2d_backward(grad, x.shape, **case.avg_window()), **near)
    assert grad_x.dtype == dtype and grad_x.flags.c_contiguous


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", EDGES.values(), ids=EDGES)
def test_edges(case, dtype):
    for seed, layout in enumerate(LAYOUTS):
        check_max(case, dtype, seed, False, layout)
        check_max(case, dtype, seed, True, layout)
        if case.dilation == 1:
            check_average(case, dtype, seed, layout)


@pytest.mark.parametrize("seed", range(4))
def test_mixed_options(seed):
    for number, case in enumerate(cases.random_pool_cases(20, seed)):
        dtype, layout = DTYPES[number % 2], LAYOUTS[number // 2 % 4]
        check_max(case, dtype, number, number % 3 == 0, layout)
        check_average(case, dtype, number, layout)


@pytest.mark.slow
def test_mixed_options_at_length():
    for number, case in enumerate(cases.random_pool_cases(2000, 100)):
        dtype, layout = DTYPES[number % 2], LAYOUTS[number // 2 % 4]
        check_max(case, dtype, number, number % 3 == 0, layout)
        check_average(case, dtype, number, layout)


# ---------------------------------------------------------------------------------------------------------------------
# Global and adaptive


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("size", [(5, 7), (16, 40), (1, 1)])
@pytest.mark.parametrize("output_size", [1, (2, 3), (5, 7), (7, 9)])
def test_adaptive(output_size, size, data_format, dtype):
    case = PoolCase((2, 5, *size), 1)
    near = {"rtol": 8 * np.finfo(dtype).eps, "atol": 32 * np.finfo(dtype).eps}
    for special, layout in zip((False, True, False, True), LAYOUTS):
        x = values(case, dtype, 1, special)
        formatted, options = layout(cases.to_format(x, data_format)), {"data_format": data_format}
        y, indices = fc.adaptive_max_pool2d(formatted, output_size, **options, return_indices=True)
        expected, expected_indices = reference.adaptive_max_pool2d(x, output_size)
        np.testing.assert_array_equal(cases.to_nchw(y, data_format), expected)
        np.testing.assert_array_equal(cases.to_nchw(indices, data_format), expected_indices)
        np.testing.assert_array_equal(fc.adaptive_max_pool2d(formatted, output_size, **options), y)
        grad = np.random.default_rng(0).integers(-3, 4, expected.shape).astype(dtype)
        formatted_grad = layout(cases.to_format(grad, data_format))
        grad_x = fc.adaptive_max_pool2d_backward(formatted_grad, indices, formatted.shape, output_size, **options)
        np.testing.assert_array_equal(cases.to_nchw(grad_x, data_format),
                                      reference.max_pool2d_backward(grad, expected_indices, x.shape))
        if not special:
            np.testing.assert_allclose(cases.to_nchw(fc.adaptive_avg_pool2d(formatted, output_size, **options),
                                                     data_format),
                                       reference.adaptive_avg_pool2d(x, output_size), **near)
        grad_x = fc.adaptive_avg_pool2d_backward(formatted_grad, formatted.shape, output_size, **options)
        np.testing.assert_allclose(cases.to_nchw(grad_x, data_format),
                                   reference.adaptive_avg_pool2d_backward(grad, x.shape), **near)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_global_is_adaptive_to_one_pixel(data_format):
    x = cases.to_format(values(PoolCase((2, 5, 6, 7), 1), np.float32), data_format)
    options = {"data_format": data_format}
    y, indices = fc.global_max_pool2d(x, **options, return_indices=True)
    expected, expected_indices = fc.adaptive_max_pool2d(x, 1, **options, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(fc.global_avg_pool2d(x, **options), fc.adaptive_avg_pool2d(x, 1, **options))
    np.testing.assert_array_equal(fc.global_max_pool2d_backward(y, indices, x.shape, **options),
                                  fc.adaptive_max_pool2d_backward(y, indices, x.shape, 1, **options))
    np.testing.assert_array_equal(fc.global_avg_pool2d_backward(y, x.shape, **options),
                                  fc.adaptive_avg_pool2d_backward(y, x.shape, 1, **options))


# ---------------------------------------------------------------------------------------------------------------------
# Meaning


@pytest.mark.parametrize("case", EDGES.values(), ids=EDGES)
def test_gradient_of_the_average_is_its_adjoint(case):
    if case.dilation != 1:
        pytest.skip("averages have no dilation")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.x_shape)    # read as (N, C, H, W) also where the case says NHWC
    y = fc.avg_pool2d(x, **case.avg_window())
    grad = rng.standard_normal(y.shape)
    grad_x = fc.avg_pool2d_backward(grad, x.shape, **case.avg_window())
    np.testing.assert_allclose((y * grad).sum(), (x * grad_x).sum(), rtol=1e-10, atol=1e-10)


def test_gradient_of_the_maximum_by_finite_differences():
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8).astype(np.float64)
    y, indices = fc.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    grad, direction = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    moved = fc.max_pool2d(x + 1e-3 * direction, 3, stride=2, padding=1)
    grad_x = fc.max_pool2d_backward(grad, indices, x.shape, 3, stride=2, padding=1)
    np.testing.assert_allclose(((moved - y) * grad).sum() / 1e-3, (grad_x * direction).sum(), rtol=1e-8)


def test_indices_find_the_maxima():
    x = np.random.default_rng(0).standard_normal((2, 3, 30, 41))
    y, indices = fc.max_pool2d(x, (3, 4), stride=(2, 3), padding=1, return_indices=True)
    found = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), axis=2)
    np.testing.assert_array_equal(found.reshape(y.shape), y)


@pytest.mark.parametrize("options",
                         [dict(kernel_size=2), dict(kernel_size=3, stride=2), dict(kernel_size=3, stride=(2, 1))])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_from_elsewhere_in_the_plane(dtype, data_format, options):
    """No forward call gives such indices; their gradients go where they say, even so."""
    shape = (1, 9, 5, 7) if data_format == "NCHW" else (1, 5, 7, 9)
    y = fc.max_pool2d(np.zeros(shape, dtype), **options, data_format=data_format)
    indices = np.random.default_rng(0).integers(0, 35, y.shape)
    grad_x = fc.max_pool2d_backward(np.ones(y.shape, dtype), indices, shape, **options, data_format=data_format)
    expected = reference.max_pool2d_backward(np.ones(cases.to_nchw(y, data_format).shape),
                                             cases.to_nchw(indices, data_format), (1, 9, 5, 7))
    np.testing.assert_array_equal(cases.to_nchw(grad_x, data_format), expected)


@pytest.mark.parametrize("wrong", [-1, 35, 2**31, 2**32 + 8, -2**63])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_outside_the_plane(dtype, data_format, wrong):
    for channels, stride, size in (1, 2, (2, 3)), (1, 1, (4, 6)), (8, 1, (4, 6)):
        indices = np.zeros((*size, channels) if data_format == "NHWC" else (channels, *size), np.int64)
        indices.flat[3] = wrong
        shape = (5, 7, channels) if data_format == "NHWC" else (channels, 5, 7)
        with pytest.raises(ValueError, match="indices"):
            fc.max_pool2d_backward(np.ones(indices.shape, dtype), indices, shape, 2, stride=stride,
                                   data_format=data_format)


def test_windows_without_an_end():
    """Sizes far beyond the image cost nothing."""
    x = np.arange(25.0).reshape(1, 5, 5)
    assert fc.max_pool2d(x, 2**20, stride=1, padding=2**19).max() == 24
    np.testing.assert_allclose(fc.avg_pool2d(x, 2**20, stride=1, padding=2**19, count_include_pad=False), 12)
    with pytest.raises(ValueError, match="kernel_size"):
        fc.max_pool2d(x, 2**10, padding=2**9, dilation=2, stride=1)
    with pytest.raises(MemoryError):
        fc.adaptive_max_pool2d(x, 2**31 - 1)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_empty_batch(data_format):
    shape = (0, 3, 8, 8) if data_format == "NCHW" else (0, 8, 8, 3)
    pooled = (0, 3, 4, 4) if data_format == "NCHW" else (0, 4, 4, 3)
    x, options = np.zeros(shape, np.float32), {"data_format": data_format}
    y, indices = fc.max_pool2d(x, 2, return_indices=True, **options)
    assert y.shape == indices.shape == pooled == fc.avg_pool2d(x, 2, **options).shape
    assert fc.max_pool2d_backward(y, indices, shape, 2, **options).shape == shape
    assert fc.avg_pool2d_backward(y, shape, 2, **options).shape == shape


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_one_image(data_format):
    x = np.random.default_rng(0).standard_normal((3, 9, 10))
    options = {"data_format": data_format}
    y, indices = fc.max_pool2d(x, 2, return_indices=True, **options)
    batch, batch_indices = fc.max_pool2d(x[None], 2, return_indices=True, **options)
    np.testing.assert_array_equal(y, batch[0])
    np.testing.assert_array_equal(indices, batch_indices[0])
    np.testing.assert_array_equal(fc.avg_pool2d(x, 2, **options), fc.avg_pool2d(x[None], 2, **options)[0])
    np.testing.assert_array_equal(fc.max_pool2d_backward(y, indices, x.shape, 2, **options),
                                  fc.max_pool2d_backward(batch, batch_indices, (1, *x.shape), 2, **options)[0])
    np.testing.assert_array_equal(fc.avg_pool2d_backward(y, x.shape, 2, **options),
                                  fc.avg_pool2d_backward(batch, (1, *x.shape), 2, **options)[0])


# ---------------------------------------------------------------------------------------------------------------------
# Threads, instruction sets, memory

THREADED = {
    "2x2": PoolCase((3, 20, 60, 62), 2),
    "band": PoolCase((2, 30, 57, 56), 3, 2, 1),
    "runs": PoolCase((4, 40, 40, 40), 40),
    "nhwc": PoolCase((2, 70, 40, 41), 3, 1, 1, data_format="NHWC"),
    "large windows": PoolCase((2, 6, 60, 61), 17, 1, 8),
    "large windows, nhwc": PoolCase((2, 70, 40, 41), 11, 1, 5, data_format="NHWC"),
    "small planes": PoolCase((64, 40, 4, 4), 2),
    "small planes, sharing pixels": PoolCase((64, 40, 4, 4), 3, 1, 1),
}


@pytest.mark.parametrize("case", THREADED.values(), ids=THREADED)
def test_same_bits_for_any_number_of_threads(case):
    x = cases.to_format(np.random.default_rng(0).standard_normal(case.x_shape, np.float32), case.data_format)
    options = {"data_format": case.data_format}

    def results():
        y, indices = fc.max_pool2d(x, **case.max_window(), return_indices=True, **options)
        grad = x.ravel()[: y.size].reshape(y.shape)
        return (y, indices, fc.avg_pool2d(x, **case.avg_window(), **options),
                fc.max_pool2d_backward(grad, indices, x.shape, **case.max_window(), **options),
                fc.avg_pool2d_backward(grad, x.shape, **case.avg_window(), **options))

    with fc.num_threads(1):
        expected = results()
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            for result, wanted in zip(results(), expected):
                np.testing.assert_array_equal(result, wanted)


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import numpy as np
    import test_pooling
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    for case in test_pooling.EDGES.values():
        for dtype in test_pooling.DTYPES:
            test_pooling.check_max(case, dtype)
            test_pooling.check_max(case, dtype, special=True)
            if case.dilation == 1:
                test_pooling.check_average(case, dtype)
"""


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    if name not in isa.usable():
        pytest.skip(f"{name} is not in this build or this CPU does not have it")
    here = Path(__file__).resolve().parent
    in_new_process(FORCED, name, here, here.parent)


GUARDED = """
    import ctypes, mmap, os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
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
        view = np.frombuffer(area, array.dtype, array.size, PAGE + (pages * PAGE - array.nbytes if at_end else 0))
        view = view.reshape(array.shape)
        view[...] = array
        return view

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for at_end in (False, True):
            for shape, kernel_size, stride, padding, layout in [
                ((1, 1, 2, 2), 2, 2, 0, "NCHW"), ((1, 3, 6, 10), 2, 2, 0, "NCHW"), ((1, 2, 4, 66), 2, 2, 0, "NCHW"),
                ((1, 3, 5, 7), 3, 1, 1, "NCHW"), ((1, 2, 9, 33), 3, 2, 1, "NCHW"), ((1, 2, 7, 7), 7, 1, 0, "NCHW"),
                ((1, 2, 20, 33), 13, 1, 6, "NCHW"), ((1, 20, 33, 19), 13, 1, 6, "NHWC"),
                ((1, 9, 10, 3), 2, 2, 0, "NHWC"), ((3, 17, 4, 4), 2, 2, 0, "NCHW"), ((3, 17, 3, 3), 3, 1, 0, "NCHW"),
                ((2, 5, 6, 19), 2, 2, 0, "NHWC"), ((1, 4, 5, 3), 3, 1, 1, "NHWC"), ((1, 35, 5, 17), 3, 2, 1, "NCHW"),
                ((1, 9, 10, 3), 9, 1, 4, "NHWC"), ((1, 2, 9, 13), 9, 1, 4, "NCHW"),
            ]:
                options = dict(stride=stride, padding=padding, data_format=layout)
                x = guarded(rng.standard_normal(shape).astype(dtype), at_end)
                y, indices = fc.max_pool2d(x, kernel_size, return_indices=True, **options)
                grad, indices = guarded(fc.avg_pool2d(x, kernel_size, **options), at_end), guarded(indices, at_end)
                fc.max_pool2d_backward(grad, indices, x.shape, kernel_size, **options)
                fc.avg_pool2d_backward(grad, x.shape, kernel_size, **options)
            for stride in (1, 2, 3, 4, 5, 8):    # rows without their places
                for kernel_size in (2, 3, stride):
                    for outputs in (1, 2, 4, 7, 9, 16, 33):
                        x = guarded(np.ones((1, 1, (outputs - 1) * stride + kernel_size), dtype), at_end)
                        fc.max_pool1d(x, kernel_size, stride=stride)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects pages with mprotect")
@pytest.mark.parametrize("name", isa.usable())
def test_nothing_is_read_outside_the_arrays(name):
    in_new_process(GUARDED, name)
