"""Pooling of rows, images and volumes, unpooling and power sums as PyTorch does them: values, indices, gradients of
random windows with all options mixed, and what is refused."""

import numpy as np
import pooling_cases as cases
import pytest

import fastconv as fc

torch = pytest.importorskip("torch")
F = torch.nn.functional

RANKS = [1, 2, 3]


def mine(name, rank):
    return getattr(fc, name.replace("Nd", f"{rank}d"))


def theirs(name, rank):
    return getattr(F, name.replace("Nd", f"{rank}d"))


def result(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except (ValueError, RuntimeError):
        return None


def draw_window(rng, rank):
    window = {"kernel_size": cases.draw(rng, rank, 1, 5), "padding": cases.draw(rng, rank, 0, 3),
              "ceil_mode": bool(rng.random() < 0.6)}
    if rng.random() < 0.7:
        window["stride"] = cases.draw(rng, rank, 1, 6)
    return window


def draw_input(rng, rank):
    size = rng.integers(1, {1: 30, 2: 11, 3: 7}[rank], rank)
    return rng.integers(-5, 6, (2, 3, *size)).astype(np.float64), cases.FORMATS[rank][int(rng.random() < 0.5)]


def gradient(expected, variable, grad, data_format):
    variable.grad = None
    expected.backward(torch.tensor(cases.from_format(grad, data_format).copy()), retain_graph=True)
    return variable.grad.numpy()


def only_torch_refuses(x, window, rank, dilation=1):
    """In three dimensions, and nowhere else, PyTorch refuses windows that are larger than a volume without its
    padding, whatever ceil_mode says."""
    extent = np.array(dilation) * (np.array(window["kernel_size"]) - 1) + 1
    return rank == 3 and bool((extent > np.array(x.shape[2:])).any())


def misses(x, window, dilation):
    """Whether a dilated window holds no element, of which PyTorch returns -inf and a position that there is not."""
    plain = {**window, "dilation": dilation, "wide_padding": True}
    try:
        return not cases.possible(x.shape[2:], plain)
    except IndexError:
        return True


def check_max(seed, rank):
    rng = np.random.default_rng(seed)
    x, data_format = draw_input(rng, rank)
    window, dilation = draw_window(rng, rank), cases.draw(rng, rank, 1, 4) if rng.random() < 0.4 else 1
    if rng.random() < 0.2:
        x[rng.random(x.shape) < 0.5] = -np.inf
    if rng.random() < 0.1:
        x[rng.random(x.shape) < 0.2] = np.nan
    variable = torch.tensor(x, requires_grad=True)
    expected = result(theirs("max_poolNd", rank), variable, return_indices=True, dilation=dilation, **window)
    options = {**window, "dilation": dilation, "data_format": data_format}
    formatted = cases.to_format(x, data_format)
    got = result(mine("max_poolNd", rank), formatted, return_indices=True, **options)
    if expected is None or misses(x, window, dilation):
        # PyTorch measures padding by the kernel without its dilation.
        assert got is None or dilation != 1 or only_torch_refuses(x, window, rank), (seed, x.shape, options)
        return False
    assert got is not None, (seed, x.shape, options)
    np.testing.assert_array_equal(cases.from_format(got[0], data_format), expected[0].detach().numpy(), str(seed))
    np.testing.assert_array_equal(cases.from_format(got[1], data_format), expected[1].numpy(), str(seed))
    grad = rng.integers(-4, 5, got[0].shape).astype(float)
    grad_x = mine("max_poolNd_backward", rank)(grad, got[1], formatted.shape, **options)
    np.testing.assert_array_equal(cases.from_format(grad_x, data_format),
                                  gradient(expected[0], variable, grad, data_format), str(seed))
    return True


def check_average(seed, rank):
    rng = np.random.default_rng(seed)
    x, data_format = draw_input(rng, rank)
    window, counted = draw_window(rng, rank), {"count_include_pad": bool(rng.random() < 0.5)}
    if rank > 1 and rng.random() < 0.4:
        counted["divisor_override"] = int(rng.integers(-5, 30)) or 1
    variable = torch.tensor(x, requires_grad=True)
    expected = result(theirs("avg_poolNd", rank), variable, **window, **counted)
    options, formatted = {**window, **counted, "data_format": data_format}, cases.to_format(x, data_format)
    got = result(mine("avg_poolNd", rank), formatted, **options)
    if expected is None and only_torch_refuses(x, window, rank):
        return False
    assert (got is None) == (expected is None), (seed, x.shape, options)
    if got is None:
        return False
    near = {"rtol": 1e-12, "atol": 1e-12, "err_msg": str(seed)}
    np.testing.assert_allclose(cases.from_format(got, data_format), expected.detach().numpy(), **near)
    grad = rng.integers(-4, 5, got.shape).astype(float)
    grad_x = mine("avg_poolNd_backward", rank)(grad, formatted.shape, **options)
    np.testing.assert_allclose(cases.from_format(grad_x, data_format), gradient(expected, variable, grad, data_format),
                               **near)
    return True


def check_adaptive(seed, rank):
    rng = np.random.default_rng(seed)
    x, data_format = draw_input(rng, rank)
    output_size, formatted = cases.draw(rng, rank, 1, 9), cases.to_format(x, data_format)
    options = {"output_size": output_size, "data_format": data_format}
    variable = torch.tensor(x, requires_grad=True)
    expected, where = theirs("adaptive_max_poolNd", rank)(variable, output_size, return_indices=True)
    got, indices = mine("adaptive_max_poolNd", rank)(formatted, **options, return_indices=True)
    np.testing.assert_array_equal(cases.from_format(got, data_format), expected.detach().numpy(), str(seed))
    np.testing.assert_array_equal(cases.from_format(indices, data_format), where.numpy(), str(seed))
    grad = rng.integers(-4, 5, got.shape).astype(float)
    grad_x = mine("adaptive_max_poolNd_backward", rank)(grad, indices, formatted.shape, **options)
    np.testing.assert_array_equal(cases.from_format(grad_x, data_format),
                                  gradient(expected, variable, grad, data_format), str(seed))
    expected = theirs("adaptive_avg_poolNd", rank)(variable, output_size)
    near = {"rtol": 1e-12, "atol": 1e-12, "err_msg": str(seed)}
    got = mine("adaptive_avg_poolNd", rank)(formatted, **options)
    np.testing.assert_allclose(cases.from_format(got, data_format), expected.detach().numpy(), **near)
    grad_x = mine("adaptive_avg_poolNd_backward", rank)(grad, formatted.shape, **options)
    np.testing.assert_allclose(cases.from_format(grad_x, data_format), gradient(expected, variable, grad, data_format),
                               **near)
    return True


def check_unpool(seed, rank):
    rng = np.random.default_rng(seed)
    x, data_format = draw_input(rng, rank)
    window = draw_window(rng, rank)
    pooled = result(theirs("max_poolNd", rank), torch.tensor(x), return_indices=True, **window)
    if pooled is None:
        return False
    values, where = pooled[0].numpy() + 0.5, pooled[1].numpy()
    window.pop("ceil_mode")
    if rng.random() < 0.6:
        window["output_size"] = x.shape[2:]
    variable = torch.tensor(values, requires_grad=True)
    expected = result(theirs("max_unpoolNd", rank), variable, torch.tensor(where), **window)
    if expected is not None and expected.numel() == 0:
        expected = None
    formatted, indices = cases.to_format(values, data_format), cases.to_format(where, data_format)
    got = result(mine("max_unpoolNd", rank), formatted, indices, data_format=data_format, **window)
    assert (got is None) == (expected is None), (seed, x.shape, window)
    if got is None:
        return False
    # Of equal positions all have the same number here.
    np.testing.assert_array_equal(cases.from_format(got, data_format), expected.detach().numpy(), str(seed))
    grad = rng.integers(-4, 5, got.shape).astype(float)
    grad_x = mine("max_unpoolNd_backward", rank)(grad, indices, data_format=data_format)
    np.testing.assert_array_equal(cases.from_format(grad_x, data_format),
                                  gradient(expected, variable, grad, data_format), str(seed))
    return True


def check_power_sums(seed, rank):
    rng = np.random.default_rng(seed)
    x, data_format = draw_input(rng, rank)
    p = float(rng.choice([1, 2, 3, 0.5, 1.7, 4]))
    if p != 2 and p != 4:
        x = np.abs(x) + (0.1 if p < 1 else 0)
    window = draw_window(rng, rank)
    window.pop("padding")
    if rank == 1:    # PyTorch's takes no tuples
        window = {name: int(np.max(value)) if name != "ceil_mode" else value for name, value in window.items()}
    variable = torch.tensor(x, requires_grad=True)
    expected = result(theirs("lp_poolNd", rank), variable, p, **window)
    formatted = cases.to_format(x, data_format)
    y = result(mine("lp_poolNd", rank), formatted, p, data_format=data_format, **window)
    if expected is None and only_torch_refuses(x, window, rank):
        return False
    assert (y is None) == (expected is None), (seed, x.shape, window)
    if y is None:
        return False
    near = {"rtol": 1e-11, "atol": 1e-11, "err_msg": f"{seed} {p} {window}"}
    np.testing.assert_allclose(cases.from_format(y, data_format), expected.detach().numpy(), **near)
    grad = rng.integers(-4, 5, y.shape).astype(float)
    grad_x = mine("lp_poolNd_backward", rank)(grad, formatted, y, p, data_format=data_format, **window)
    np.testing.assert_allclose(cases.from_format(grad_x, data_format), gradient(expected, variable, grad, data_format),
                               **near)
    return True


CHECKS = [check_max, check_average, check_adaptive, check_unpool, check_power_sums]


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("check", CHECKS)
def test_random_options(check, rank):
    assert sum(check(seed, rank) for seed in range(250)) > 40


@pytest.mark.slow
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("check", CHECKS)
def test_random_options_at_length(check, rank):
    for seed in range(10_000, 12_000):
        check(seed, rank)


@pytest.mark.parametrize("rank", RANKS)
def test_ceil_mode_on_items_smaller_than_the_window(rank):
    rng = np.random.default_rng(0)
    taken = 0
    for _ in range(300):
        x = rng.standard_normal((1, 2, *rng.integers(1, 6, rank)))
        window = {"kernel_size": int(rng.integers(1, 9)), "stride": int(rng.integers(1, 7)), "ceil_mode": True}
        for name in ("max_poolNd", "avg_poolNd"):
            expected = result(theirs(name, rank), torch.tensor(x), **window)
            got = result(mine(name, rank), x, **window)
            if expected is None and only_torch_refuses(x, window, rank):
                continue
            assert (got is None) == (expected is None), (x.shape, window)
            if got is not None:
                taken += 1
                np.testing.assert_allclose(got, expected.numpy(), rtol=1e-12)
    assert taken > 100
