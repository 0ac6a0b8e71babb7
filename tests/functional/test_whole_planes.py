"""Global pooling, and adaptive pooling to a few pixels: planes of every size around a vector's,
many and few of them."""

import numpy as np
import pytest
from processes import check_with_isa

import fastconv as fc
from fastconv._core.runtime import isa

SIZES = [(1, 1), (1, 3), (2, 2), (3, 5), (4, 4), (7, 7), (8, 8), (5, 13), (9, 15), (1, 64), (16, 16), (3, 171),
         (33, 31), (40, 52)]
PLANES = [(1, 1), (1, 2), (1, 15), (2, 8), (1, 17), (3, 11), (5, 64)]


def numbers(shape, dtype, seed=0):
    """Integers: sums are exact, and many maxima equal."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def in_format(x, data_format):
    return np.ascontiguousarray(x if data_format == "NCHW" else x.transpose(0, 2, 3, 1))


def maxima(x):
    """PyTorch's rules, plane by plane: the first of equal maxima, the last NaN."""
    flat = x.reshape(*x.shape[:2], -1)
    index = np.where(np.isnan(flat).any(2), flat.shape[2] - 1 - np.isnan(flat)[..., ::-1].argmax(2), np.nan_to_num(
        flat, nan=0, posinf=np.inf, neginf=-np.inf).argmax(2))
    return np.take_along_axis(flat, index[..., None], 2)[..., 0], index


def check_planes():
    for size in SIZES:
        for n, c in PLANES:
            for dtype in (np.float32, np.float64):
                for data_format in ("NCHW", "NHWC"):
                    x = numbers((n, c, *size), dtype)
                    formatted, options = in_format(x, data_format), {"data_format": data_format}
                    mean = fc.global_avg_pool2d(formatted, **options).reshape(n, c)
                    np.testing.assert_allclose(mean, x.mean((2, 3), dtype=np.float64),
                                               rtol=4 * np.finfo(dtype).eps, atol=0)
                    for seed in range(3):
                        if seed:
                            kind = np.random.default_rng(seed).random(x.shape)
                            x = np.where(kind < 0.05 / size[0], np.nan, np.where(kind < 0.6, -np.inf, x)).astype(dtype)
                        if seed == 2:
                            x = np.where(np.isfinite(x), np.copysign(0, x), x).astype(dtype)    # zeros of both signs
                        formatted = in_format(x, data_format)
                        y, index = fc.global_max_pool2d(formatted, return_indices=True, **options)
                        expected, expected_index = maxima(x)
                        np.testing.assert_array_equal(index.reshape(n, c), expected_index, f"{x.shape} {data_format}")
                        for result in (y, fc.global_max_pool2d(formatted, **options)):
                            np.testing.assert_array_equal(result.reshape(n, c), expected)
                            there = ~np.isnan(expected)
                            np.testing.assert_array_equal(np.signbit(result.reshape(n, c))[there],
                                                          np.signbit(expected)[there])


@pytest.mark.parametrize("name", isa.known())
def test_every_plane(name):
    check_with_isa(name, check_planes)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_grey_planes(data_format):
    """Equal numbers, whose sum loses the same way at each step."""
    for size in (*SIZES, (14, 14), (28, 28), (112, 112)):
        x = in_format(np.full((2, 19, *size), np.float32(0.1)), data_format)
        np.testing.assert_allclose(fc.global_avg_pool2d(x, data_format=data_format), np.float32(0.1), rtol=1e-6)
        np.testing.assert_allclose(fc.adaptive_avg_pool2d(x, 1, data_format=data_format), np.float32(0.1), rtol=1e-6)


@pytest.mark.parametrize("output_size", [(2, 2), (3, 2), (7, 7), (7, 1), (40, 3), (50, 70)], ids=str)
@pytest.mark.parametrize("channels", [1, 2, 16, 21])
def test_adaptive_is_the_same_in_both_orders(channels, output_size):
    """Planes whose channels are transposed into lanes, and pixels that lie like that."""
    for size in ((14, 14), (37, 50), (13, 17), (224, 9)):
        x = np.random.default_rng(0).standard_normal((2, channels, *size), np.float32)
        wide = np.repeat(x, 2, 2)[:, :, ::2]    # rows that do not follow each other
        pixels = in_format(x, "NHWC")
        y, index = fc.adaptive_max_pool2d(x, output_size, return_indices=True)
        for result, indices in (fc.adaptive_max_pool2d(wide, output_size, return_indices=True),
                                (a.transpose(0, 3, 1, 2)
                                 for a in fc.adaptive_max_pool2d(pixels, output_size, data_format="NHWC",
                                                                 return_indices=True))):
            np.testing.assert_array_equal(result, y)
            np.testing.assert_array_equal(indices, index)
        np.testing.assert_array_equal(np.take_along_axis(x.reshape(2, channels, -1), index.reshape(2, channels, -1),
                                                         2).reshape(y.shape), y)
        mean = fc.adaptive_avg_pool2d(x.astype(np.float64), output_size)
        for result in (fc.adaptive_avg_pool2d(x, output_size), fc.adaptive_avg_pool2d(wide, output_size),
                       fc.adaptive_avg_pool2d(pixels, output_size, data_format="NHWC").transpose(0, 3, 1, 2)):
            np.testing.assert_allclose(result, mean, rtol=1e-5, atol=1e-6)


def test_images_that_follow_each_other_in_other_ways():
    """Batches whose images are every second one, the same one, or turned round."""
    x = np.random.default_rng(0).standard_normal((6, 5, 7, 7))
    for view in (x[::2], x[::-1], np.broadcast_to(x[:1], x.shape), x.transpose(1, 0, 2, 3), x.transpose(0, 1, 3, 2)):
        np.testing.assert_allclose(fc.global_avg_pool2d(view)[..., 0, 0], view.mean((2, 3)), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(fc.global_max_pool2d(view)[..., 0, 0], view.max((2, 3)))
        y, index = fc.max_pool2d(view, 3, return_indices=True)
        copy, copy_index = fc.max_pool2d(view.copy(), 3, return_indices=True)
        np.testing.assert_array_equal(y, copy)
        np.testing.assert_array_equal(index, copy_index)
        for grad in (y, np.broadcast_to(y[:1], y.shape), y[::-1]):
            np.testing.assert_array_equal(fc.max_pool2d_backward(grad, index, view.shape, 3),
                                          fc.max_pool2d_backward(grad.copy(), index, view.shape, 3))
