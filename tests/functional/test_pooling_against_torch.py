"""Pooling as PyTorch does it: values, indices and gradients of random windows, and what is refused."""

import numpy as np
import pytest
import reference

import fastconv as fc

torch = pytest.importorskip("torch")
F = torch.nn.functional


def draw(rng, high):
    """One number for both axes, or one for each."""
    return int(rng.integers(*high)) if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(*high, 2))


def case(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 12, 2)
    window = {"kernel_size": draw(rng, (1, 6)), "padding": draw(rng, (0, 3)), "ceil_mode": bool(rng.random() < 0.6)}
    if rng.random() < 0.7:
        window["stride"] = draw(rng, (1, 7))
    x = rng.integers(-5, 6, (2, 3, *size)).astype(np.float64)
    if rng.random() < 0.2:
        x[rng.random(x.shape) < 0.5] = -np.inf
    return x, window, {"dilation": draw(rng, (1, 4))} if rng.random() < 0.4 else {}, bool(rng.random() < 0.5)


def beyond_torch(window, dilation):
    """Whether padding is at most half of the dilated kernel, which is taken here, but not of the kernel,
    which PyTorch wants."""
    return any(k // 2 < p <= (d * (k - 1) + 1) // 2
               for k, p, d in zip(*map(reference.pair, (window["kernel_size"], window["padding"], dilation))))


def result(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except (ValueError, RuntimeError):
        return None


def in_formats(x):
    yield "NCHW", x
    yield "NHWC", np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def to_nchw(x, data_format):
    return x if data_format == "NCHW" else x.transpose(0, 3, 1, 2)


def misses(x, window, dilation):
    """Whether a dilated window of padding and image holds no pixel:
    PyTorch returns -inf and a position outside the plane."""
    kernel_size, padding = reference.pair(window["kernel_size"]), reference.pair(window["padding"])
    stride, dilation = reference.pair(window.get("stride", kernel_size)), reference.pair(dilation)
    return any(not any(0 <= start + r * d < size for r in range(k)) for size, k, s, p, d in
               zip(x.shape[2:], kernel_size, stride, padding, dilation) for start in range(-p, 0, s))


def check_max(seed):
    x, window, dilation, _ = case(seed)
    variable = torch.tensor(x, requires_grad=True)
    expected = result(F.max_pool2d, variable, return_indices=True, **window, **dilation)
    if expected is not None and misses(x, window, dilation.get("dilation", 1)):
        expected = None
    if beyond_torch(window, dilation.get("dilation", 1)):
        return
    for data_format, formatted in in_formats(x):
        options = {**window, **dilation, "data_format": data_format}
        got = result(fc.max_pool2d, formatted, return_indices=True, **options)
        assert (got is None) == (expected is None), (seed, x.shape, options)
        if got is None:
            continue
        np.testing.assert_array_equal(to_nchw(got[0], data_format), expected[0].detach().numpy(), str(seed))
        np.testing.assert_array_equal(to_nchw(got[1], data_format), expected[1].numpy(), str(seed))
        grad = np.random.default_rng(seed).integers(-4, 5, got[0].shape).astype(float)
        variable.grad = None
        expected[0].backward(torch.tensor(to_nchw(grad, data_format).copy()), retain_graph=True)
        grad_x = fc.max_pool2d_backward(grad, got[1], formatted.shape, **options)
        np.testing.assert_array_equal(to_nchw(grad_x, data_format), variable.grad.numpy(), str(seed))


def check_average(seed):
    x, window, _, counted = case(seed)
    x[np.isinf(x)] = 1
    variable = torch.tensor(x, requires_grad=True)
    expected = result(F.avg_pool2d, variable, count_include_pad=counted, **window)
    for data_format, formatted in in_formats(x):
        options = {**window, "count_include_pad": counted, "data_format": data_format}
        got = result(fc.avg_pool2d, formatted, **options)
        assert (got is None) == (expected is None), (seed, x.shape, options)
        if got is None:
            continue
        np.testing.assert_allclose(to_nchw(got, data_format), expected.detach().numpy(), rtol=1e-12, atol=1e-12,
                                   err_msg=str(seed))
        grad = np.random.default_rng(seed).integers(-4, 5, got.shape).astype(float)
        variable.grad = None
        expected.backward(torch.tensor(to_nchw(grad, data_format).copy()), retain_graph=True)
        grad_x = fc.avg_pool2d_backward(grad, formatted.shape, **options)
        np.testing.assert_allclose(to_nchw(grad_x, data_format), variable.grad.numpy(), rtol=1e-12, atol=1e-12,
                                   err_msg=str(seed))


@pytest.mark.parametrize("check", [check_max, check_average])
def test_random_windows(check):
    for seed in range(300):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_max, check_average])
def test_random_windows_at_length(check):
    for seed in range(1000, 9000):
        check(seed)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 2), (2, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ceil_mode_on_images_smaller_than_the_window(size, dtype):
    x = np.arange(2 * np.prod(size), dtype=dtype).reshape(1, 2, *size)
    for mine, theirs in ((fc.max_pool2d, F.max_pool2d), (fc.avg_pool2d, F.avg_pool2d)):
        for data_format, formatted in in_formats(x):
            for kernel_size, stride in ((3, 2), (3, 3), (4, 3), (9, 2), (9, 8)):
                y = result(mine, formatted, kernel_size, stride=stride, ceil_mode=True, data_format=data_format)
                expected = result(theirs, torch.tensor(x), kernel_size, stride, ceil_mode=True)
                assert (y is None) == (expected is None)
                if y is not None:
                    np.testing.assert_allclose(to_nchw(y, data_format), expected.numpy(), rtol=1e-6)
        assert mine(x, 3, stride=3, ceil_mode=True).size
        with pytest.raises(ValueError, match="kernel_size does not fit into x"):
            mine(x, 9, stride=2, ceil_mode=True)
        with pytest.raises(ValueError, match="kernel_size does not fit into x"):
            mine(x, 6, stride=9)
