"""PReLU and the gradients of its slopes."""

import numpy as np
import pytest
from gradients import numeric_gradient

import fastconv as fc

DTYPES = [np.float32, np.float64]
SHAPES = [((5,), 1), ((2, 3), 3), ((2, 17), 17), ((64, 40), 40), ((2, 3, 4), 3), ((2, 3, 4, 5), 3), ((3, 8, 1, 1), 8),
          ((2, 5, 130, 131), 5), ((2, 2, 7, 7), 1), ((300, 4, 3), 4), ((0, 3, 2, 2), 3), ((2, 3, 0, 2), 3), ((), 1)]


def expected(grad, x, weight, axis):
    """(y, grad_x, grad_weight) in float64."""
    grad, x, weight = (np.asarray(array, np.float64) for array in (grad, x, weight))
    slopes = weight if weight.size == 1 else weight.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    others = tuple(i for i in range(x.ndim) if weight.size == 1 or i != axis)
    of_slope = np.where(x > 0, 0, grad * x).sum(axis=others)
    return np.where(x > 0, x, slopes * x), np.where(x > 0, grad, slopes * grad), np.reshape(of_slope, weight.shape)


def arguments(shape, channels, dtype, last=False, seed=0):
    rng = np.random.default_rng(seed)
    x, grad = rng.standard_normal((2, *shape)).astype(dtype)
    weight = rng.standard_normal(channels).astype(dtype)
    if last and len(shape) > 1:
        x, grad = (np.ascontiguousarray(np.moveaxis(array, 1, -1)) for array in (x, grad))
    return grad, x, weight, (x.ndim - 1 if last else 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("shape", "channels"), SHAPES)
def test_against_the_formulas(shape, channels, data_format, dtype):
    grad, x, weight, axis = arguments(shape, channels, dtype, data_format == "NHWC")
    y, grad_x, grad_weight = expected(grad, x, weight, axis)
    eps = np.finfo(dtype).eps
    found = fc.prelu(x, weight, data_format=data_format)
    assert found.dtype == dtype and found.shape == x.shape
    np.testing.assert_allclose(found, y, rtol=4 * eps)
    of_x, of_weight = fc.prelu_backward(grad, x, weight, data_format=data_format)
    assert of_x.dtype == of_weight.dtype == dtype and of_weight.shape == weight.shape
    np.testing.assert_allclose(of_x, grad_x, rtol=4 * eps)
    np.testing.assert_allclose(of_weight, grad_weight, rtol=0,
                               atol=8 * eps * max(1, np.abs(np.asarray(grad) * x).sum()))


@pytest.mark.parametrize("view", [np.asfortranarray, lambda v: v[::2, :, ::-1, ::3], lambda v: v.transpose(0, 1, 3, 2),
                                  lambda v: v.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)])
def test_any_strides(view):
    grad, x, weight, _ = arguments((4, 3, 40, 50), 3, np.float64)
    a, b = view(grad), view(x)
    np.testing.assert_array_equal(fc.prelu(b, weight), fc.prelu(np.array(b), weight))
    for found, wanted in zip(fc.prelu_backward(a, b, weight), fc.prelu_backward(np.array(a), np.array(b), weight)):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    np.testing.assert_array_equal(fc.prelu(x, np.repeat(weight, 2)[::2]), fc.prelu(x, weight))


def test_gradients_by_finite_differences():
    for data_format in ("NCHW", "NHWC"):
        grad, x, weight, _ = arguments((2, 3, 4), 3, np.float64, data_format == "NHWC")

        def value(x=x, weight=weight, grad=grad, data_format=data_format):
            return (fc.prelu(x, weight, data_format=data_format) * grad).sum()

        grad_x, grad_weight = fc.prelu_backward(grad, x, weight, data_format=data_format)
        np.testing.assert_allclose(grad_x, numeric_gradient(value, x), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(grad_weight, numeric_gradient(value, weight), rtol=1e-6, atol=1e-8)


def test_out_and_special_values():
    x = np.array([[-np.inf, np.inf, np.nan, -0.0, -1.0]])
    np.testing.assert_array_equal(fc.prelu(x, np.array([0.5])), [[-np.inf, np.inf, np.nan, 0, -0.5]])
    grad, x, weight, _ = arguments((2, 3, 4), 3, np.float32)
    wanted, own = fc.prelu(x, weight), x.copy()
    assert fc.prelu(own, weight, out=own) is own
    np.testing.assert_array_equal(own, wanted)
    with pytest.raises(ValueError, match="out must not overlap"):
        fc.prelu(x.reshape(-1)[:3], weight[:1], out=x.reshape(-1)[1:4])
    with pytest.raises(ValueError, match="out must not overlap"):
        fc.prelu(weight[:1], weight[:1], out=weight[:1])


def test_same_bits_for_any_number_of_threads():
    for shape, channels in SHAPES:
        for last in (False, True):
            grad, x, weight, _ = arguments(shape, channels, np.float32, last)
            wanted = None
            for threads in (1, 2, 3):
                with fc.num_threads(threads):
                    data_format = "NHWC" if last else "NCHW"
                    found = (fc.prelu(x, weight, data_format=data_format),
                             *fc.prelu_backward(grad, x, weight, data_format=data_format))
                wanted = found if wanted is None else wanted
                for a, b in zip(found, wanted):
                    np.testing.assert_array_equal(a, b)


X = np.ones((2, 3, 4), np.float32)
BAD = {
    "weight is too long": (ValueError, "weight", lambda: fc.prelu(X, np.ones(4, np.float32))),
    "weight fits the last axis": (ValueError, "weight",
                                  lambda: fc.prelu(X, np.ones(3, np.float32), data_format="NHWC")),
    "weight is empty": (ValueError, "weight", lambda: fc.prelu(X, np.ones(0, np.float32))),
    "weight is a matrix": (ValueError, "weight", lambda: fc.prelu(X, np.ones((3, 1), np.float32))),
    "weight is float64": (TypeError, "weight", lambda: fc.prelu(X, np.ones(3))),
    "weight is None": (TypeError, "weight", lambda: fc.prelu_backward(X, X, None)),
    "weight is integer": (TypeError, "weight", lambda: fc.prelu_backward(X, X, [1, 2, 3])),
    "x has no channels": (ValueError, "weight", lambda: fc.prelu(X[0, 0], np.ones(4, np.float32))),
    "data_format is unknown": (ValueError, "data_format", lambda: fc.prelu(X, X[0, 0, :1], data_format="CHWN")),
    "data_format is None": (ValueError, "data_format", lambda: fc.prelu_backward(X, X, X[0, 0, :1], data_format=None)),
    "grad_output is of another shape": (ValueError, "grad_output", lambda: fc.prelu_backward(X[:1], X, X[0, 0, :1])),
    "x is complex": (TypeError, "x", lambda: fc.prelu(X.astype(complex), X[0, 0, :1])),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    error, name, call = BAD[case]
    with pytest.raises(error, match=f"^{name} "):
        call()


@pytest.mark.parametrize("seed", range(40))
def test_against_torch(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, rng.integers(2, 6)))
    grad, x, weight, _ = arguments(shape, rng.choice([1, shape[1]]), np.float64, seed=seed)
    x_t, weight_t = torch.tensor(x, requires_grad=True), torch.tensor(weight, requires_grad=True)
    y = torch.nn.functional.prelu(x_t, weight_t)
    y.backward(torch.tensor(grad))
    np.testing.assert_allclose(fc.prelu(x, weight), y.detach().numpy(), rtol=1e-14)
    grad_x, grad_weight = fc.prelu_backward(grad, x, weight)
    np.testing.assert_allclose(grad_x, x_t.grad.numpy(), rtol=1e-14)
    np.testing.assert_allclose(grad_weight, weight_t.grad.numpy(), rtol=1e-11, atol=1e-12)
