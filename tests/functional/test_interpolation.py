"""interpolate and its gradient: the plain formulas, PyTorch, the adjoint, layouts, strides, threads, memory."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from processes import check_with_isa, peak_memory

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
RULES = [("nearest", False), ("bilinear", False), ("bilinear", True)]


def places(length, outputs, scale_factor, mode, align_corners):
    """For each output of an axis the pixels that it shows and their weights; fractions, so that nothing is rounded."""
    step = Fraction(length, outputs)
    if scale_factor is not None and outputs != length and not (mode == "nearest" and outputs == 2 * length):
        step = 1 / Fraction(scale_factor).limit_denominator(10**6)
    result = []
    for i in range(outputs):
        if mode == "nearest":
            at = Fraction(min(math.floor(i * step), length - 1))
        elif align_corners:
            at = i * Fraction(length - 1, outputs - 1) if outputs > 1 else Fraction(0)
        else:
            at = min(max((i + Fraction(1, 2)) * step - Fraction(1, 2), Fraction(0)), Fraction(length - 1))
        below = math.floor(at)
        result.append([(below, 1 - (at - below))] + ([(below + 1, at - below)] if at > below else []))
    return result


def matrices(height, width, size, scale_factor, mode, align_corners):
    """The result is rows @ plane @ columns.T."""
    factors = (None, None) if scale_factor is None else np.broadcast_to(scale_factor, 2).tolist()
    made = []
    for length, outputs, factor in zip((height, width), size, factors):
        matrix = np.zeros((outputs, length))
        for i, pixels in enumerate(places(length, outputs, factor, mode, align_corners)):
            for pixel, weight in pixels:
                matrix[i, pixel] += float(weight)
        made.append(matrix)
    return made


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_factors_that_leave_the_size_or_double_it(data_format):
    """As in PyTorch, the pixels are then those of the sizes, whatever the factor."""
    x = np.arange(24.0).reshape(1, 2, 4, 3)
    for factors, wanted in (((1.2, 1.3), x), ((2.2, 1.1), x.repeat(2, 2)), ((1, 2.3), x.repeat(2, 3))):
        y = fc.interpolate(in_format(x, data_format), scale_factor=factors, data_format=data_format)
        np.testing.assert_array_equal(to_nchw(y, data_format), wanted)
        grad_x = fc.interpolate_backward(y, in_format(x, data_format).shape, scale_factor=factors,
                                         data_format=data_format)
        np.testing.assert_array_equal(to_nchw(grad_x, data_format), x * (wanted.size // x.size))
    y = fc.interpolate(in_format(x, data_format), scale_factor=(1.2, 1.3), mode="bilinear", data_format=data_format)
    np.testing.assert_array_equal(to_nchw(y, data_format), x)


def in_format(x, data_format):
    return x if data_format == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def to_nchw(y, data_format):
    return y if data_format == "NCHW" else y.transpose(0, 3, 1, 2)


def draw(seed):
    rng = np.random.default_rng(seed)
    n, c, height, width = (int(high ** rng.random()) for high in (4, 40, 30, 600 if seed % 3 == 0 else 30))
    if rng.random() < 0.5:
        size, factor = tuple(int(most ** rng.random()) for most in (60, 1500 if seed % 3 == 1 else 60)), None
    else:
        # Halves, thirds and the like.
        factor = tuple(int(rng.integers(1, 9)) / int(rng.integers(1, 5)) for _ in range(2))
        size = tuple(math.floor(length * one) for length, one in zip((height, width), factor))
        if 0 in size:
            factor, size = 2, (2 * height, 2 * width)
    x = rng.standard_normal((n, c, height, width))
    return x, size, factor, rng.standard_normal((n, c, *size)), "NHWC" if rng.random() < 0.5 else "NCHW"


def check(seed, dtype, mode, align_corners):
    x, size, factor, grad, data_format = draw(seed)
    x, grad = x.astype(dtype), grad.astype(dtype)
    rows, columns = matrices(*x.shape[2:], size, factor, mode, align_corners)
    chosen = {"size": size} if factor is None else {"scale_factor": factor}
    options = {**chosen, "mode": mode, "align_corners": align_corners, "data_format": data_format}
    y = fc.interpolate(in_format(x, data_format), **options)
    grad_x = fc.interpolate_backward(in_format(grad, data_format), in_format(x, data_format).shape, **options)
    assert y.dtype == grad_x.dtype == dtype and y.flags.c_contiguous and grad_x.flags.c_contiguous
    # Of a number, and of a coordinate.
    tolerance = 8 * np.finfo(dtype).eps + 4 * np.finfo(float).eps * max(*x.shape, *size)
    expected, expected_grad = rows @ x.astype(float) @ columns.T, rows.T @ grad.astype(float) @ columns
    if mode == "nearest":
        np.testing.assert_array_equal(to_nchw(y, data_format), expected.astype(dtype), str(seed))
    np.testing.assert_allclose(to_nchw(y, data_format), expected, rtol=0, atol=tolerance * np.abs(x).max(),
                               err_msg=str(seed))
    np.testing.assert_allclose(to_nchw(grad_x, data_format), expected_grad, rtol=tolerance,
                               atol=tolerance * np.abs(rows.T @ np.abs(grad) @ columns).max(), err_msg=str(seed))


@pytest.mark.parametrize(("mode", "align_corners"), RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_the_formulas(dtype, mode, align_corners):
    for seed in range(60):
        check(seed, dtype, mode, align_corners)


@pytest.mark.parametrize(("mode", "align_corners"), RULES)
def test_against_torch(mode, align_corners):
    torch = pytest.importorskip("torch")
    for seed in range(200, 300):
        x, size, factor, grad, data_format = draw(seed)
        variable = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.interpolate(
            variable, size=size if factor is None else None, scale_factor=factor, mode=mode,
            align_corners=align_corners if mode == "bilinear" else None)
        expected.backward(torch.tensor(grad))
        chosen = {"size": size} if factor is None else {"scale_factor": factor}
        options = {**chosen, "mode": mode, "align_corners": align_corners, "data_format": data_format}
        y = fc.interpolate(in_format(x, data_format), **options)
        grad_x = fc.interpolate_backward(in_format(grad, data_format), in_format(x, data_format).shape, **options)
        np.testing.assert_allclose(to_nchw(y, data_format), expected.detach().numpy(), rtol=0, atol=1e-12,
                                   err_msg=str(seed))
        np.testing.assert_allclose(to_nchw(grad_x, data_format), variable.grad.numpy(), rtol=1e-11, atol=1e-11,
                                   err_msg=str(seed))


@pytest.mark.parametrize(("mode", "align_corners"), RULES)
def test_sizes_at_the_edges(mode, align_corners):
    """One pixel, one output, the same size, more than a block of columns, more channels than a block."""
    for size, outputs, channels in itertools.product((1, 2, 3, 257), (1, 2, 3, 256, 513), (1, 3, 300)):
        if size * outputs * channels > 100_000:
            continue
        x = np.random.default_rng(0).standard_normal((1, channels, 2, size))
        rows, columns = matrices(2, size, (3, outputs), None, mode, align_corners)
        for data_format in ("NCHW", "NHWC"):
            options = {"size": (3, outputs), "mode": mode, "align_corners": align_corners, "data_format": data_format}
            y = fc.interpolate(in_format(x, data_format), **options)
            np.testing.assert_allclose(to_nchw(y, data_format), rows @ x @ columns.T, atol=1e-13)
            grad_x = fc.interpolate_backward(y, in_format(x, data_format).shape, **options)
            expected = rows.T @ (rows @ x @ columns.T) @ columns
            np.testing.assert_allclose(to_nchw(grad_x, data_format), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("mode", "align_corners"), RULES)
def test_the_gradient_is_the_adjoint(mode, align_corners):
    rng = np.random.default_rng(0)
    for size in ((17, 40), (5, 3), (11, 13)):
        x, grad = rng.standard_normal((2, 3, 11, 13)), rng.standard_normal((2, 3, *size))
        options = {"mode": mode, "align_corners": align_corners}
        there = float((fc.interpolate(x, size, **options) * grad).sum())
        back = float((x * fc.interpolate_backward(grad, x.shape, size, **options)).sum())
        assert there == pytest.approx(back, rel=1e-12)


def check_bits():
    """The same for any strides, both layouts, any number of threads, and with `out`."""
    rng = np.random.default_rng(0)
    for dtype, (mode, align_corners), size in itertools.product(DTYPES, RULES, ((41, 70), (9, 7), (80, 1100))):
        x = rng.standard_normal((2, 5, 20, 33)).astype(dtype)
        grad = rng.standard_normal((2, 5, *size)).astype(dtype)
        options = {"mode": mode, "align_corners": align_corners}
        with fc.num_threads(1):
            y = fc.interpolate(x, size, **options)
            grad_x = fc.interpolate_backward(grad, x.shape, size, **options)
        for threads in (2, 3):
            with fc.num_threads(threads):
                np.testing.assert_array_equal(fc.interpolate(x, size, **options), y)
                np.testing.assert_array_equal(fc.interpolate_backward(grad, x.shape, size, **options), grad_x)
        for view in (x[::-1, ::-1], np.repeat(x, 2, axis=3)[..., ::2], x[..., ::-1].copy()[..., ::-1],
                     np.asfortranarray(x), in_format(x, "NHWC").transpose(0, 3, 1, 2)):
            order = (slice(None, None, -1),) * 2 if view.strides[0] < 0 else ()
            np.testing.assert_array_equal(fc.interpolate(view, size, **options), y[order])
        for view in (np.repeat(grad, 2, axis=2)[:, :, ::2], in_format(grad, "NHWC").transpose(0, 3, 1, 2)):
            np.testing.assert_allclose(fc.interpolate_backward(view, x.shape, size, **options), grad_x, rtol=0,
                                       atol=1e-5 if dtype == np.float32 else 1e-12)
        nhwc = fc.interpolate(in_format(x, "NHWC"), size, data_format="NHWC", **options)
        np.testing.assert_array_equal(to_nchw(nhwc, "NHWC"), y)
        out = np.full_like(y, 7)
        assert fc.interpolate(x, size, out=out, **options) is out
        np.testing.assert_array_equal(out, y)
        np.testing.assert_array_equal(fc.interpolate(x[0], size, **options), y[0])
        np.testing.assert_array_equal(fc.interpolate_backward(grad[0], x.shape[1:], size, **options), grad_x[0])


def check_channels():
    """Channels that are neighbours: sizes around vectors, four of them and blocks; as many outputs as a kernel adds up
    at once, and more; single precision to the rounding of a few terms."""
    rng, counts = np.random.default_rng(3), (8, 9, 16, 31, 33, 64, 130)
    for dtype, (mode, align_corners), channels in itertools.product(DTYPES, RULES, counts):
        for size in ((10, 14), (3, 4), (5, 7), (95, 30)):
            x, grad = rng.standard_normal((2, 5, 7, channels)), rng.standard_normal((2, *size, channels))
            x, grad = x.astype(dtype), grad.astype(dtype)
            options = {"mode": mode, "align_corners": align_corners, "data_format": "NHWC"}
            rows, columns = matrices(5, 7, size, None, mode, align_corners)
            y = fc.interpolate(x, size, **options)
            grad_x = fc.interpolate_backward(grad, x.shape, size, **options)
            tolerance = 8 * np.finfo(dtype).eps + 4 * np.finfo(float).eps * max(size)    # of a number, of a coordinate
            np.testing.assert_allclose(y, np.einsum("ih,nhwc,jw->nijc", rows, x, columns), rtol=0,
                                       atol=tolerance * np.abs(x).max())
            wanted = np.einsum("ih,nijc,jw->nhwc", rows, grad, columns)
            terms = np.einsum("ih,nijc,jw->nhwc", rows, np.abs(grad), columns)
            np.testing.assert_allclose(grad_x, wanted, rtol=0, atol=tolerance * terms.max())
            for threads in (2, 3):
                with fc.num_threads(threads):
                    np.testing.assert_array_equal(fc.interpolate(x, size, **options), y)
                    np.testing.assert_array_equal(fc.interpolate_backward(grad, x.shape, size, **options), grad_x)
            apart = np.repeat(x, 2, axis=3)[..., ::2]
            np.testing.assert_allclose(fc.interpolate(apart, size, **options), y, rtol=0,
                                       atol=tolerance * np.abs(x).max())
            padded = np.pad(x, ((0, 0), (0, 1), (0, 2), (0, 3)))[:, :5, :7, :channels]    # rows and pixels apart
            np.testing.assert_array_equal(fc.interpolate(padded, size, **options), y)


@pytest.mark.parametrize("name", isa.usable())
def test_channels_by_every_instruction_set(name):
    check_with_isa(name, check_channels)


def test_the_bits_depend_on_nothing_else():
    check_bits()


@pytest.mark.parametrize("name", isa.usable())
def test_every_instruction_set(name):
    check_with_isa(name, check_bits)


def test_values_of_weight_zero_do_not_count():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = np.inf
    for data_format in ("NCHW", "NHWC"):
        for channels in (1, 4):
            images = in_format(np.repeat(x, channels, axis=1), data_format)
            y = fc.interpolate(images, (5, 5), mode="bilinear", align_corners=True, data_format=data_format)
            infinite = np.isinf(to_nchw(y, data_format))[0, 0]
            np.testing.assert_array_equal(infinite, np.pad(np.ones((3, 3), bool), 1))
            assert not np.isnan(y).any()
            y = fc.interpolate(images, scale_factor=3, mode="bilinear", data_format=data_format)
            assert not np.isnan(y).any() and np.isinf(y).sum() == 25 * channels
    x[0, 0, 1, 1] = np.nan
    y = fc.interpolate(x, (5, 5), mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(np.isnan(y)[0, 0], np.pad(np.ones((3, 3), bool), 1))


def test_numbers_at_the_limit_do_not_overflow():
    largest = np.finfo(np.float32).max
    x = np.array([[[[largest, -largest]]]], np.float32)
    assert np.isfinite(fc.interpolate(x, (1, 7), mode="bilinear")).all()


def test_empty_batches():
    for data_format, shape in (("NCHW", (0, 3, 4, 5)), ("NHWC", (0, 4, 5, 3))):
        y = fc.interpolate(np.zeros(shape), scale_factor=2, data_format=data_format)
        assert y.shape == ((0, 3, 8, 10) if data_format == "NCHW" else (0, 8, 10, 3))
        assert fc.interpolate_backward(y, shape, scale_factor=2, data_format=data_format).shape == shape


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_sum_of_millions(mode):
    """One pixel that all outputs show."""
    grad = np.full((1, 1, 1500, 1500), 0.1, np.float32)
    grad_x = fc.interpolate_backward(grad, (1, 1, 1, 1), 1500, mode=mode)
    assert float(grad_x[0, 0, 0, 0]) == pytest.approx(float(np.float32(0.1)) * 1500 * 1500, rel=1e-6)


def test_scratch_is_bounded():
    """Long rows take no tables: beside the result, 31 MB and 15, nothing."""
    prepare = """
        x, grad = np.zeros((1, 1, 1, 4_000_000), np.float32), np.zeros((1, 1, 1, 8_000_000), np.float32)
        fc.interpolate(x[..., :9], (1, 18), mode="bilinear")
        fc.interpolate_backward(grad[..., :18], (1, 1, 1, 9), (1, 18), mode="bilinear")
    """
    assert peak_memory(prepare, 'fc.interpolate(x, (1, 8_000_000), mode="bilinear")', 1) < 31 + 8
    assert peak_memory(prepare, 'fc.interpolate_backward(grad, x.shape, (1, 8_000_000), mode="bilinear")', 1) < 16 + 8
