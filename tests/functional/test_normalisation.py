"""Batch, group and layer normalisation against their formulas in float64: layouts, strides, sizes around the vectors
and the blocks, data that is hard, gradients by finite differences, threads."""

import itertools

import numpy as np
import pytest
from gradients import numeric_gradient

import fastconv as fc

F32, F64 = np.float32, np.float64
FORMATS = {2: ("NC",), 3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


def channels_second(x, data_format):
    return x if data_format[1] == "C" else np.moveaxis(x, -1, 1)


def normalised(x, axes, weight, bias, eps, mean=None, var=None):
    """The formula, in float64; weight and bias broadcast."""
    x = x.astype(F64)
    mean = x.mean(axes, keepdims=True) if mean is None else mean
    var = ((x - mean) ** 2).mean(axes, keepdims=True) if var is None else var
    return (x - mean) / np.sqrt(var + eps) * weight + bias, mean, var


def gradients(grad, x, axes, weight, eps, mean=None, var=None):
    """grad_x, and the gradients of weight and bias before they are added up; float64. Where mean and variance are
    given they do not depend on x."""
    training = mean is None
    y, mean, var = normalised(x, axes, 1, 0, eps, mean, var)
    inner = grad.astype(F64) * weight
    through = 0
    if training:
        through = inner.mean(axes, keepdims=True) + y * (inner * y).mean(axes, keepdims=True)
    return (inner - through) / np.sqrt(var + eps), grad * y, grad.astype(F64)


def close(got, wanted, dtype, times=1, terms=0.0):
    """Relative to the result, or to the norm of the terms that cancel in it."""
    bound = {F32: 1e-6, F64: 2e-14}[dtype] * times
    assert got.dtype == dtype and got.shape == wanted.shape
    error = np.linalg.norm(got.astype(F64) - wanted)
    assert error <= bound * max(np.linalg.norm(wanted), 0.1 * np.sqrt(wanted.size), terms), error


def direct_terms(grad, x, axes, weight, eps):
    """The norm of the part of grad_x that does not go through the statistics, which in training it may cancel."""
    return np.linalg.norm(gradients(grad, x, axes, weight, eps, 0, x.astype(F64).var(axes, keepdims=True))[0])


def along_channels(array, ndim):
    return array.astype(F64).reshape(-1, *(1,) * (ndim - 2))


# (N, C, ...): vectors and their neighbours, blocks of planes and of pixels, one of everything, large parts.
SHAPES = [
    (2, 1), (5, 3), (64, 16), (33, 100), (4, 5, 1), (3, 17, 9), (2, 3, 16), (1, 4, 31), (4, 8, 33), (2, 2, 1, 1),
    (2, 3, 7, 5), (5, 16, 4, 4), (3, 33, 8, 8), (1, 2, 100, 90), (2, 70, 3, 3), (16, 6, 30, 31), (2, 3, 2, 3, 4),
    (1, 1, 3, 5, 7), (3, 20, 4, 4, 4), (1, 3, 300, 301), (2, 2, 520, 260),
]
OPTIONS = list(itertools.product([F32, F64], [False, True]))


def drawn(shape, dtype, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x * rng.uniform(0.5, 2, (1, shape[1], *(1,) * (len(shape) - 2))) + offset).astype(dtype)


def laid_out(x, data_format):
    """The maps in a format, contiguous."""
    return np.ascontiguousarray(x if data_format[1] == "C" else np.moveaxis(x, 1, -1))


def test_known_statistics_may_be_double():
    """Of values far from zero, whose mean a float32 rounds."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(8, 3, 5, 5)) + 1e4).astype(np.float32)
    expected, statistics = fc.batch_norm(x, None, None, training=True, return_statistics=True)
    np.testing.assert_array_equal(fc.batch_norm(x, *statistics), expected)
    grad, weight = drawn(x.shape, np.float32, 2), np.ones(3, np.float32)
    for own, other in zip(fc.batch_norm_backward(grad, x, *statistics, weight, needs=(False, True, True)),
                          fc.batch_norm_backward(grad, x, None, None, weight, training=True, statistics=statistics,
                                                 needs=(False, True, True)), strict=True):
        np.testing.assert_equal(own, other)


@pytest.mark.parametrize(("dtype", "affine"), OPTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_is_its_formula(shape, dtype, affine):
    ndim, channels = len(shape), shape[1]
    axes = (0, *range(2, ndim))
    rng = np.random.default_rng(1)
    weight, bias = (rng.uniform(0.5, 1.5, (2, channels)).astype(dtype)) if affine else (None, None)
    w, b = (along_channels(weight, ndim), along_channels(bias, ndim)) if affine else (1, 0)
    plain, received = drawn(shape, dtype), drawn(shape, dtype, 2)
    running = rng.uniform(0.5, 1.5, (2, channels)).astype(dtype)
    for data_format in FORMATS[ndim]:
        x, grad = laid_out(plain, data_format), laid_out(received, data_format)
        mean, var = running.copy()
        y, statistics = fc.batch_norm(x, mean, var, weight, bias, training=True, momentum=0.3, return_statistics=True,
                                      data_format=data_format)
        wanted, true_mean, true_var = normalised(plain, axes, w, b, 1e-5)
        close(channels_second(y, data_format), wanted, dtype)
        count = plain.size // channels
        np.testing.assert_allclose(statistics[0], true_mean.ravel(), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(statistics[1], true_var.ravel(), rtol=1e-12)
        np.testing.assert_allclose(mean, 0.7 * running[0] + 0.3 * true_mean.ravel(), rtol=1e-6)
        np.testing.assert_allclose(var, 0.7 * running[1] + 0.3 * true_var.ravel() * count / (count - 1), rtol=1e-6)
        of_x, of_weight, of_bias = gradients(received, plain, axes, w, 1e-5)
        for known in (statistics, None):
            grad_x, grad_weight, grad_bias = fc.batch_norm_backward(
                grad, x, None, None, weight, bias, training=True, statistics=known, data_format=data_format)
            close(channels_second(grad_x, data_format), of_x, dtype, 4, direct_terms(received, plain, axes, w, 1e-5))
            close(grad_weight, of_weight.sum(axes), dtype, 4)
            close(grad_bias, of_bias.sum(axes), dtype, 4)

        mean, var = running.copy()
        y = fc.batch_norm(x, mean, var, weight, bias, data_format=data_format)
        given = along_channels(mean, ndim), along_channels(var, ndim)
        close(channels_second(y, data_format), normalised(plain, axes, w, b, 1e-5, *given)[0], dtype)
        np.testing.assert_array_equal((mean, var), running)
        of_x, of_weight, of_bias = gradients(received, plain, axes, w, 1e-5, *given)
        grad_x, grad_weight, grad_bias = fc.batch_norm_backward(grad, x, mean, var, weight, data_format=data_format)
        close(channels_second(grad_x, data_format), of_x, dtype)
        close(grad_weight, of_weight.sum(axes), dtype, 4)
        close(grad_bias, of_bias.sum(axes), dtype, 4)


@pytest.mark.parametrize(("dtype", "affine"), OPTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_group_norm_is_its_formula(shape, dtype, affine):
    ndim, channels = len(shape), shape[1]
    rng = np.random.default_rng(1)
    weight, bias = (rng.uniform(0.5, 1.5, (2, channels)).astype(dtype)) if affine else (None, None)
    plain, received = drawn(shape, dtype), drawn(shape, dtype, 2)
    for groups in {1, channels, next(g for g in range(channels // 2 or 1, 0, -1) if channels % g == 0)}:
        axes = tuple(range(2, ndim + 1))
        cut = (shape[0], groups, channels // groups, *shape[2:])
        w, b = (v.astype(F64).reshape(cut[1:3] + (1,) * (ndim - 2)) if affine else d
                for v, d in ((weight, 1), (bias, 0)))
        wanted = normalised(plain.reshape(cut), axes, w, b, 1e-3)[0].reshape(shape)
        of_x, of_weight, of_bias = gradients(received.reshape(cut), plain.reshape(cut), axes, w, 1e-3)
        others = (0, *range(2, ndim))
        for data_format in FORMATS[ndim]:
            x, grad = laid_out(plain, data_format), laid_out(received, data_format)
            y = fc.group_norm(x, groups, weight, bias, eps=1e-3, data_format=data_format)
            close(channels_second(y, data_format), wanted, dtype)
            grad_x, grad_weight, grad_bias = fc.group_norm_backward(grad, x, groups, weight, eps=1e-3,
                                                                    data_format=data_format)
            close(channels_second(grad_x, data_format), of_x.reshape(shape), dtype, 4,
                  direct_terms(received.reshape(cut), plain.reshape(cut), axes, w, 1e-3))
            close(grad_weight, of_weight.reshape(shape).sum(others), dtype, 4)
            close(grad_bias, of_bias.reshape(shape).sum(others), dtype, 4)


@pytest.mark.parametrize(("dtype", "affine"), OPTIONS)
@pytest.mark.parametrize(("shape", "axes"), [
    ((3,), 1), ((4, 1), 1), ((2, 17), 1), ((5, 16), 1), ((40, 7, 9), 1), ((6, 3, 5), 2), ((3, 2, 3, 4), 4),
    ((3, 1000), 1), ((2, 3, 33, 65), 2), ((40000, 3), 1), ((2, 70001), 1)], ids=str)
def test_layer_norm_is_its_formula(shape, axes, dtype, affine):
    inner = shape[len(shape) - axes:]
    over, others = tuple(range(len(shape) - axes, len(shape))), tuple(range(len(shape) - axes))
    rng = np.random.default_rng(1)
    weight, bias = (rng.uniform(0.5, 1.5, (2, *inner)).astype(dtype)) if affine else (None, None)
    w, b = (weight.astype(F64), bias.astype(F64)) if affine else (1, 0)
    x, grad = rng.standard_normal((2, *shape)).astype(dtype)
    close(fc.layer_norm(x, inner, weight, bias), normalised(x, over, w, b, 1e-5)[0], dtype)
    close(fc.layer_norm(x, inner, weight), normalised(x, over, w, 0, 1e-5)[0], dtype)
    close(fc.layer_norm(x, inner, bias=bias), normalised(x, over, 1, b, 1e-5)[0], dtype)
    of_x, of_weight, of_bias = gradients(grad, x, over, w, 1e-5)
    grad_x, grad_weight, grad_bias = fc.layer_norm_backward(grad, x, inner, weight)
    close(grad_x, of_x, dtype, 4, direct_terms(grad, x, over, w, 1e-5))
    close(grad_weight, of_weight.sum(others), dtype, 4)
    close(grad_bias, of_bias.sum(others), dtype, 4)


def views(x):
    """The same numbers in memory otherwise: reversed, every second, transposed, cut out of larger ones."""
    reverse = (slice(None, None, -1),) * x.ndim
    yield x[reverse].copy()[reverse]
    yield np.repeat(x, 2, -1)[..., ::2]
    yield np.repeat(x, 2, 1)[:, ::2]
    yield np.asfortranarray(x)
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    yield np.pad(x, [(1, 1)] * x.ndim)[(slice(1, -1),) * x.ndim]


@pytest.mark.parametrize("shape", [(5, 3), (4, 5, 9), (3, 17, 8, 7), (2, 3, 4, 5, 6), (2, 2, 100, 99)], ids=str)
@pytest.mark.parametrize("dtype", [F32, F64])
def test_any_strides(shape, dtype):
    plain, received = drawn(shape, dtype), drawn(shape, dtype, 2)
    weight = np.linspace(0.5, 1.5, shape[1]).astype(dtype)
    for data_format in FORMATS[len(shape)]:
        channels = shape[1] if data_format[1] == "C" else shape[-1]
        weight = np.linspace(0.5, 1.5, channels).astype(dtype)
        options = dict(training=True, data_format=data_format)
        whole = fc.batch_norm(plain, None, None, weight, **options)
        back = fc.batch_norm_backward(received, plain, None, None, weight, **options)
        rows = fc.layer_norm(plain, shape[-1])
        rows_back = fc.layer_norm_backward(received, plain, shape[-1])
        groups = fc.group_norm(plain, 1, weight, data_format=data_format)
        groups_back = fc.group_norm_backward(received, plain, 1, weight, data_format=data_format)
        for x, grad in zip(views(plain), views(received)):
            before = x.copy()
            close(fc.batch_norm(x, None, None, weight, **options), whole.astype(F64), dtype)
            for pair in ((grad, x), (received, x), (grad, plain)):
                for got, wanted in zip(fc.batch_norm_backward(*pair, None, None, weight, **options), back):
                    close(got, wanted.astype(F64), dtype, 4)
            close(fc.layer_norm(x, shape[-1]), rows.astype(F64), dtype)
            for got, wanted in zip(fc.layer_norm_backward(grad, x, shape[-1]), rows_back):
                close(got, wanted.astype(F64), dtype, 4)
            close(fc.group_norm(x, 1, weight, data_format=data_format), groups.astype(F64), dtype)
            for got, wanted in zip(fc.group_norm_backward(grad, x, 1, weight, data_format=data_format), groups_back):
                close(got, wanted.astype(F64), dtype, 4)
            np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("offset", "scale"), [(1e4, 1.0), (-1e4, 1.0), (1e6, 30.0), (1e3, 1e-2), (0.0, 1e-4),
                                               (1e-3, 1e4)])
def test_far_from_zero_nothing_is_lost(data_format, offset, scale):
    """Of what float32 holds of the data."""
    x = (np.random.default_rng(3).standard_normal((8, 16, 20, 24)) * scale + offset).astype(F32)
    axes = (0, 2, 3) if data_format == "NCHW" else (0, 1, 2)
    wanted = normalised(x, axes, 1, 0, 0)[0]
    close(fc.batch_norm(x, None, None, training=True, eps=0.0, data_format=data_format), wanted, F32)
    grad = np.random.default_rng(4).standard_normal(x.shape).astype(F32)
    got = fc.batch_norm_backward(grad, x, None, None, training=True, eps=0.0, data_format=data_format)
    of_x, of_weight, _ = gradients(grad, x, axes, 1, 0)
    close(got[0], of_x, F32, 2)
    close(got[1], of_weight.sum(axes), F32, 10)
    close(fc.layer_norm(x, 24, eps=0.0), normalised(x, 3, 1, 0, 0)[0], F32)
    grouped = normalised(x.reshape(8, 4, 4, 20, 24), (2, 3, 4), 1, 0, 0)[0].reshape(x.shape)
    close(fc.group_norm(x, 4, eps=0.0), grouped, F32)


def test_the_first_values_may_be_nothing_like_the_others():
    """They make the first guess at the mean."""
    x = np.random.default_rng(5).standard_normal((4, 2, 64, 64))
    x[:, :, 0, :8] = 1e6
    for dtype in (F32, F64):
        close(fc.batch_norm(x.astype(dtype), None, None, training=True),
              normalised(x.astype(dtype), (0, 2, 3), 1, 0, 1e-5)[0], dtype, 1 if dtype is F32 else 50)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_squares_beyond_single_precision(data_format):
    """A mean far from the first pixels', squares beyond the largest float32, and below the smallest where nothing is
    added to the variance; beside channels for which it is all the same."""
    rng = np.random.default_rng(2)
    for large, eps in ((1e25, 1e-5), (1e-24, 0.0), (1.0, 1e-5)):
        for shape in ((9, 12, 8, 8), (3, 19, 40, 30)):
            x = rng.standard_normal(shape) * 1.5
            x[:, 3] *= large
            x[:, 5] += 100000
            x[:4, 5].reshape(min(4, len(x)), -1)[:, :8] = 0
            x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if data_format == "NHWC" else x
            x = x.astype(F32)
            y, (mean, var) = fc.batch_norm(x, None, None, training=True, eps=eps, data_format=data_format,
                                           return_statistics=True)
            seen = channels_second(x, data_format).astype(F64)
            assert (np.abs(mean - seen.mean((0, 2, 3))) <= 1e-12 * seen.std((0, 2, 3))).all()
            np.testing.assert_allclose(var, seen.var((0, 2, 3)), rtol=1e-11)
            wanted = normalised(seen, (0, 2, 3), 1, 0, eps)[0]
            close(channels_second(y, data_format), wanted, F32, times=4)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e4, 1e30, 123456.789])
def test_constant_channels_become_the_bias(value):
    for data_format, dtype in itertools.product(("NCHW", "NHWC"), (F32, F64)):
        x = np.full((3, 4, 5, 4), value, dtype)
        weight, bias = np.arange(1, 5).astype(dtype), np.arange(4).astype(dtype)
        options = dict(training=True, data_format=data_format)
        y = fc.batch_norm(x, None, None, weight, bias, **options)
        wanted = np.broadcast_to(bias[:, None, None] if data_format == "NCHW" else bias, x.shape)
        np.testing.assert_array_equal(y, wanted)
        grad_x, grad_weight, _ = fc.batch_norm_backward(np.ones_like(x), x, None, None, weight, **options)
        np.testing.assert_allclose(grad_x, 0, atol=1e-4 if dtype is F32 else 1e-12)
        np.testing.assert_allclose(grad_weight, 0, atol=1e-12)
        np.testing.assert_array_equal(fc.layer_norm(x, 4, weight, bias), np.broadcast_to(bias, x.shape))
        np.testing.assert_array_equal(fc.group_norm(x, 2, weight, bias, data_format=data_format), wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_what_is_not_finite_stays_where_it_belongs(bad, training, data_format):
    channel = 5
    plain = drawn((3, 20, 6, 7), F32)
    spoilt = plain.copy()
    spoilt[1, channel, 2, 3] = bad
    grad = laid_out(drawn(plain.shape, F32, 2), data_format)
    results = []
    for maps in (plain, spoilt):
        x, mean, var = laid_out(maps, data_format), np.zeros(20, F32), np.ones(20, F32)
        options = dict(training=training, data_format=data_format)
        y = fc.batch_norm(x, mean, var, **options)
        back = fc.batch_norm_backward(grad, x, mean, var, **options)
        results.append([channels_second(y, data_format), channels_second(back[0], data_format),
                        back[1][None], back[2][None], mean[None], var[None]])
    for clean, other in zip(*results):
        rest = np.arange(20) != channel
        np.testing.assert_array_equal(clean[:, rest], other[:, rest])
    y, grad_x = results[1][:2]
    if training:
        assert np.isnan(y[:, channel]).all() and np.isnan(grad_x[:, channel]).all()
    else:
        assert np.array_equal(y[1, channel, 2, 3], F32(bad), equal_nan=True)
        assert np.isfinite(np.delete(y[:, channel].ravel(), 42 + 17)).all()
        np.testing.assert_array_equal(grad_x, results[0][1])


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 3, 0, 4), (2, 0, 4, 4), (0, 4, 4, 3)], ids=str)
def test_nothing_to_normalise(shape):
    x = np.empty(shape, F32)
    data_format = "NHWC" if shape == (0, 4, 4, 3) else None
    channels = 3 if data_format else shape[1]
    mean, var = np.full(channels, 2, F32), np.full(channels, 3, F32)
    for training in (False, True):
        options = dict(training=training, data_format=data_format)
        assert fc.batch_norm(x, mean, var, **options).shape == shape
        grad_x, grad_weight, grad_bias = fc.batch_norm_backward(x, x, mean, var, **options)
        assert grad_x.shape == shape and not grad_weight.any() and not grad_bias.any()
        assert len(grad_weight) == len(grad_bias) == channels
    assert (mean == 2).all() and (var == 3).all()
    assert fc.group_norm(x, 1, data_format=data_format).shape == shape
    assert not fc.group_norm_backward(x, x, 1, data_format=data_format)[1].any()
    assert fc.layer_norm(x, shape[-1]).shape == shape
    assert not fc.layer_norm_backward(x, x, shape[-1])[2].any()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (2, 4, 3, 2)], ids=str)
def test_gradients_are_the_derivatives(shape):
    x, grad = drawn(shape, F64), drawn(shape, F64, 2)
    rng = np.random.default_rng(3)
    weight, bias, mean, var = rng.uniform(0.5, 1.5, (4, shape[1]))
    rows, columns = rng.uniform(0.5, 1.5, (2, shape[-1]))
    pairs = [
        (lambda: fc.batch_norm(x, None, None, weight, bias, training=True),
         lambda: fc.batch_norm_backward(grad, x, None, None, weight, training=True), (x, weight, bias)),
        (lambda: fc.batch_norm(x, None, None, weight, bias, training=True, activation="relu"),
         lambda: fc.batch_norm_backward(grad, x, None, None, weight, bias, training=True, activation="relu"),
         (x, weight, bias)),
        (lambda: fc.batch_norm(x, mean, var, weight, bias),
         lambda: fc.batch_norm_backward(grad, x, mean, var, weight), (x, weight, bias)),
        (lambda: fc.batch_norm(x, mean, var, weight, bias, activation="relu"),
         lambda: fc.batch_norm_backward(grad, x, mean, var, weight, bias, activation="relu"), (x, weight, bias)),
        (lambda: fc.group_norm(x, 1, weight, bias), lambda: fc.group_norm_backward(grad, x, 1, weight),
         (x, weight, bias)),
        (lambda: fc.layer_norm(x, shape[-1], rows, columns),
         lambda: fc.layer_norm_backward(grad, x, shape[-1], rows), (x, rows, columns)),
    ]
    for forward, backward, arguments in pairs:
        for argument, got in zip(arguments, backward()):
            wanted = numeric_gradient(lambda: float((forward() * grad).sum()), argument)
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("training", [True, False])
def test_a_fused_relu_is_one_behind(data_format, training):
    for dtype, shape in itertools.product((F32, F64), ((4, 17, 9, 8), (8, 3, 100, 101))):
        x, grad = (laid_out(drawn(shape, dtype, seed), data_format) for seed in (0, 2))
        rng = np.random.default_rng(3)
        weight, bias, mean, var = rng.uniform(0.5, 1.5, (4, shape[1])).astype(dtype)
        options = dict(training=training, data_format=data_format)
        plain = fc.batch_norm(x, mean.copy(), var.copy(), weight, bias, **options)
        y = fc.batch_norm(x, mean.copy(), var.copy(), weight, bias, activation="relu", **options)
        np.testing.assert_array_equal(y, fc.relu(plain))
        wanted = fc.batch_norm_backward(fc.relu_backward(grad, y), x, mean, var, weight, bias, **options)
        got = fc.batch_norm_backward(grad, x, mean, var, weight, bias, activation="relu", **options)
        for one, other in zip(got, wanted):
            close(one, other.astype(F64), dtype)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_the_same_bits_for_any_number_of_threads(data_format):
    for shape, dtype in itertools.product(((16, 24, 30, 31), (2, 3, 300, 310), (64, 40, 8, 8), (256, 300)), (F32, F64)):
        layout = data_format if len(shape) == 4 else "NC"
        x, grad = (laid_out(drawn(shape, dtype, seed), layout) for seed in (0, 2))
        if len(shape) == 4:
            x = x[:, :, ::-1]
        results = []
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                mean, var = np.zeros(shape[1], dtype), np.ones(shape[1], dtype)
                options = dict(training=True, data_format=layout)
                results.append([fc.batch_norm(x, mean, var, **options), mean, var,
                                *fc.batch_norm_backward(grad, x, None, None, **options),
                                fc.batch_norm(x, mean, var, data_format=layout),
                                fc.group_norm(x, 1, data_format=layout),
                                *fc.group_norm_backward(grad, x, shape[1], data_format=layout),
                                fc.layer_norm(x, x.shape[-1]), *fc.layer_norm_backward(grad, x, x.shape[-1])])
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_results_into_out():
    x = drawn((3, 4, 5, 6), F32)
    for function in (lambda **o: fc.batch_norm(x, None, None, training=True, **o),
                     lambda **o: fc.group_norm(x, 2, **o), lambda **o: fc.layer_norm(x, 6, **o)):
        out = np.full_like(x, np.nan)
        assert function(out=out) is out
        np.testing.assert_array_equal(out, function())


def test_a_refused_call_updates_nothing():
    x, mean, var = drawn((3, 4, 5, 6), F32), np.zeros(4, F32), np.ones(4, F32)
    for options in ({"weight": np.ones(3, F32)}, {"eps": -1.0}, {"out": x}, {"momentum": 2.0},
                    {"data_format": "NCL"}, {"bias": np.ones(4)}):
        with pytest.raises((TypeError, ValueError)):
            fc.batch_norm(x, mean, var, training=True, **options)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        fc.batch_norm(x[:1, :, :1, :1], mean, var, training=True)
    assert (mean == 0).all() and (var == 1).all()


def test_more_channels_than_are_worked_on_at_a_time():
    x, grad = drawn((3, 16385, 2), F32), drawn((3, 16385, 2), F32, 2)
    for data_format in ("NCL", "NLC"):
        maps, received = laid_out(x, data_format), laid_out(grad, data_format)
        wanted = normalised(x, (0, 2), 1, 0, 1e-5)[0]
        y = fc.batch_norm(maps, None, None, training=True, data_format=data_format)
        close(channels_second(y, data_format), wanted, F32, 10)
        grad_x, grad_weight, _ = fc.batch_norm_backward(received, maps, None, None, training=True,
                                                        data_format=data_format)
        of_x, of_weight, _ = gradients(grad, x, (0, 2), 1, 1e-5)
        close(channels_second(grad_x, data_format), of_x, F32, 100)
        close(grad_weight, of_weight.sum((0, 2)), F32, 10)


def test_only_what_is_needed():
    x, grad = drawn((3, 4, 5, 6), F32), drawn((3, 4, 5, 6), F32, 2)
    calls = (lambda needs: fc.batch_norm_backward(grad, x, None, None, training=True, needs=needs),
             lambda needs: fc.batch_norm_backward(grad, x, np.zeros(4, F32), np.ones(4, F32), needs=needs),
             lambda needs: fc.group_norm_backward(grad, x, 2, needs=needs),
             lambda needs: fc.layer_norm_backward(grad, x, 6, needs=needs))
    for call in calls:
        everything = call((True, True, True))
        for needs in itertools.product((True, False), repeat=3):
            for got, wanted, needed in zip(call(needs), everything, needs, strict=True):
                assert (got is not None) == needed
                if needed:
                    np.testing.assert_array_equal(got, wanted)
