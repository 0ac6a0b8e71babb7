"""Gradients held within bounds: against PyTorch, in place, and what is refused."""

import numpy as np
import pytest

from fastconv import nn, optim

SHAPES = [(3, 4), (5,), (1,), (2, 9000)]


def parameters(dtype=np.float64, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    params = [nn.Parameter(np.zeros(shape, dtype), f"p{index}") for index, shape in enumerate([*SHAPES, (7,)])]
    for parameter, shape in zip(params, SHAPES):  # the last has no gradient
        parameter.grad = np.asarray(rng.standard_normal(shape) * scale, dtype)
    return params


def grads(params):
    return [parameter.grad for parameter in params]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, np.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_norms_agree_with_pytorch(norm_type, max_norm, dtype, tolerance):
    torch = pytest.importorskip("torch")
    params = parameters(dtype)
    theirs = [torch.nn.Parameter(torch.tensor(parameter.data)) for parameter in params]
    for one, parameter in zip(theirs, params):
        one.grad = None if parameter.grad is None else torch.tensor(parameter.grad)
    arrays = grads(params)
    total = optim.clip_grad_norm_(params, max_norm, norm_type)
    assert total == pytest.approx(float(torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)), rel=tolerance)
    assert all(parameter.grad is array for parameter, array in zip(params, arrays))
    for parameter, one in zip(params[:-1], theirs):
        assert parameter.grad.dtype == dtype
        np.testing.assert_allclose(parameter.grad, one.grad.numpy(), rtol=10 * tolerance)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_a_norm_of_tiny_or_huge_gradients(scale):
    params = parameters(np.float32, scale)
    exact = np.sqrt(sum((grad.astype(float) ** 2).sum() for grad in grads(params)[:-1]))
    assert optim.clip_grad_norm_(params, 1.0) == pytest.approx(exact, rel=1e-5)
    after = np.sqrt(sum((grad.astype(float) ** 2).sum() for grad in grads(params)[:-1]))
    assert after == pytest.approx(min(1.0, exact), rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, np.inf])
def test_a_norm_that_is_not_finite(value, norm_type):
    torch = pytest.importorskip("torch")
    params = parameters()
    params[1].grad[2] = value
    before = [None if grad is None else grad.copy() for grad in grads(params)]
    with pytest.raises(FloatingPointError, match="the norm of the gradients is (nan|inf)"):
        optim.clip_grad_norm_(params, 1.0, norm_type, error_if_nonfinite=True)
    np.testing.assert_equal(grads(params), before)
    theirs = [torch.nn.Parameter(torch.zeros(grad.shape, dtype=torch.float64)) for grad in before[:-1]]
    for one, grad in zip(theirs, before):
        one.grad = torch.tensor(grad)
    total = optim.clip_grad_norm_(params, 1.0, norm_type)
    np.testing.assert_equal(total, float(torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type)))
    for parameter, one in zip(params, theirs):
        np.testing.assert_array_equal(parameter.grad, one.grad.numpy())


def test_values():
    params = parameters()
    before = [grad.copy() for grad in grads(params)[:-1]]
    params[0].grad[0, 0] = before[0][0, 0] = np.nan
    optim.clip_grad_value_(params, 0.3)
    for parameter, grad in zip(params, before):
        np.testing.assert_array_equal(parameter.grad, np.clip(grad, -0.3, 0.3))


def test_one_parameter_none_and_an_array_of_two():
    p, q = nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros(2))
    assert optim.clip_grad_norm_(p, 1.0) == 0.0 and optim.clip_grad_norm_([], 1.0) == 0.0
    p.grad = q.grad = np.array([3.0, 4.0])
    assert optim.clip_grad_norm_([p, q], 1.0) == pytest.approx(5.0)
    np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-6)  # scaled once
    p.grad = np.zeros((2, 0))
    assert optim.clip_grad_norm_(p, 0.0) == 0.0
    p.grad = np.full((4, 6), 2.0)[:, ::2]
    assert optim.clip_grad_norm_(p, 1.0) == pytest.approx(np.sqrt(48))
    np.testing.assert_allclose(p.grad, 1 / np.sqrt(12), rtol=1e-6)


def spoilt(grad):
    params = parameters()
    params[3].grad = grad
    return params


def read_only():
    grad = np.ones((2, 9000))
    grad.flags.writeable = False
    return grad


BOTH = {"norm": lambda params: optim.clip_grad_norm_(params, 0.1),
        "value": lambda params: optim.clip_grad_value_(params, 0.1)}


@pytest.mark.parametrize("clip", BOTH)
@pytest.mark.parametrize("grad, error, message", [
    (read_only(), ValueError, "the gradient of parameter p3 must be writable"),
    (np.ones((2, 9000), int), TypeError, "the gradient of parameter p3 must be an array of .*, got int64"),
    ([1.0], TypeError, "the gradient of parameter p3 must be an array of float32 or float64, got list"),
])
def test_a_gradient_that_cannot_be_clipped_leaves_all_others(clip, grad, error, message):
    params = spoilt(grad)
    before = [grad.copy() for grad in grads(params)[:3]]
    with pytest.raises(error, match=message):
        BOTH[clip](params)
    for parameter, old in zip(params, before):
        np.testing.assert_array_equal(parameter.grad, old)


@pytest.mark.parametrize("call, error, message", [
    (lambda: optim.clip_grad_norm_(parameters(), -1), ValueError, "max_norm must be at least 0"),
    (lambda: optim.clip_grad_norm_(parameters(), np.nan), ValueError, "max_norm must be at least 0"),
    (lambda: optim.clip_grad_norm_(parameters(), None), TypeError, "max_norm must be a real number"),
    (lambda: optim.clip_grad_norm_(parameters(), 1, 0), ValueError, "norm_type must be above 0"),
    (lambda: optim.clip_grad_norm_(parameters(), 1, "2"), TypeError, "norm_type must be a real number"),
    (lambda: optim.clip_grad_norm_(parameters(), 1, np.nan), ValueError, "norm_type must be above 0"),
    (lambda: optim.clip_grad_norm_(parameters(), 1, error_if_nonfinite=1), TypeError, "error_if_nonfinite must be"),
    (lambda: optim.clip_grad_norm_(None, 1), TypeError, "parameters must be a list of parameters"),
    (lambda: optim.clip_grad_norm_([np.zeros(3).tolist()], 1), TypeError, "parameters must be parameters, .* got list"),
    (lambda: optim.clip_grad_value_(parameters(), -1), ValueError, "clip_value must be at least 0"),
    (lambda: optim.clip_grad_value_(parameters(), True), TypeError, "clip_value must be a real number"),
])  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
