"""Losses of pairs of numbers against the formulas and PyTorch: reductions, gradients, weights, strides, threads."""

from pathlib import Path

import numpy as np
import pytest
import reference
from gradients import numeric_gradient
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
REDUCTIONS = ["mean", "sum", "none"]
LOSSES = {
    "mse": ("mse_loss", "squared", {}),
    "l1": ("l1_loss", "absolute", {}),
    "huber": ("huber_loss", "huber", {}),
    "huber, delta": ("huber_loss", "huber", {"delta": 0.3}),
    "smooth l1": ("smooth_l1_loss", "smooth_l1", {}),
    "smooth l1, beta": ("smooth_l1_loss", "smooth_l1", {"beta": 2.5}),
    "smooth l1, no beta": ("smooth_l1_loss", "smooth_l1", {"beta": 0.0}),
    "bce": ("binary_cross_entropy_with_logits", "logistic", {}),
}
SHAPES = [(7,), (), (3, 5), (2, 3, 4, 5), (0, 4), (20000,), (3, 9000)]


def functions(case):
    name, exact, options = LOSSES[case]
    forward, backward = getattr(fc, name), getattr(fc, f"{name}_backward")
    return (lambda x, t, **more: forward(x, t, **options, **more),
            lambda x, t, **more: backward(x, t, **options, **more),
            lambda x, t: getattr(reference, exact)(np.asarray(x, float), np.asarray(t, float), **options))


def pair(shape, dtype=np.float64, case="", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 3
    return x.astype(dtype), (rng.random(shape) if case == "bce" else x + rng.standard_normal(shape) * 2).astype(dtype)


def reduced(losses, reduction):
    if reduction == "mean" and not losses.size:
        return np.nan
    return {"mean": np.mean, "sum": np.sum, "none": np.array}[reduction](losses)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", LOSSES)
def test_against_the_formulas(case, reduction, dtype):
    forward, backward, exact = functions(case)
    eps = np.finfo(dtype).eps
    for shape in SHAPES:
        x, t = pair(shape, dtype, case)
        losses, derivatives = exact(x, t)
        loss = forward(x, t, reduction=reduction)
        assert loss.dtype == dtype and np.shape(loss) == (shape if reduction == "none" else ())
        np.testing.assert_allclose(loss, reduced(losses, reduction), rtol=16 * eps, atol=eps)
        for grad_output in [1.0, -2.5] + ([np.cos(x)] if reduction == "none" and shape else []):
            grad = backward(x, t, reduction=reduction, grad_output=grad_output)
            assert grad.dtype == dtype and grad.shape == shape
            share = np.asarray(grad_output, float) / (max(1, x.size) if reduction == "mean" else 1)
            np.testing.assert_allclose(grad, derivatives * share, rtol=16 * eps, atol=4 * eps * np.abs(share).max(
                initial=0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_yes_or_no(dtype):
    x, t = pair((6, 5, 4), dtype, "bce")
    rng = np.random.default_rng(1)
    shapes = [None, (4,), (5, 1), (6, 5, 4), (1, 5, 4), ()]
    for a in shapes:
        for b in shapes:
            weight, pos_weight = (None if shape is None else rng.random(shape).astype(dtype) * 3 for shape in (a, b))
            options = {name: value for name, value in (("weight", weight), ("pos_weight", pos_weight))
                       if value is not None}
            losses, derivatives = reference.logistic(x.astype(float), t.astype(float), **options)
            eps = np.finfo(dtype).eps
            found = fc.binary_cross_entropy_with_logits(x, t, weight=weight, pos_weight=pos_weight, reduction="none")
            np.testing.assert_allclose(found, losses, rtol=16 * eps)
            grad = fc.binary_cross_entropy_with_logits_backward(x, t, weight=weight, pos_weight=pos_weight)
            np.testing.assert_allclose(grad, derivatives / x.size, rtol=16 * eps, atol=eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extremes(dtype):
    x, t = np.array([np.inf, -np.inf, 1e30, -1e30, -80], dtype), np.array([1, 0, 1, 0, 0], dtype)
    bce, backward = fc.binary_cross_entropy_with_logits, fc.binary_cross_entropy_with_logits_backward
    np.testing.assert_allclose(bce(x, t, reduction="none"), [0, 0, 0, 0, np.exp(-80.0)], rtol=1e-6)
    np.testing.assert_allclose(backward(x, t, reduction="sum"), [0, 0, 0, 0, np.exp(-80.0)], rtol=1e-6)
    np.testing.assert_array_equal(bce(x[:2], 1 - t[:2], reduction="none"), [np.inf, np.inf])
    for case in LOSSES:
        forward, _, _ = functions(case)
        assert np.isnan(forward(np.array([1, np.nan], dtype), np.zeros(2, dtype)))
        assert np.isnan(forward(np.zeros(2, dtype), np.array([1, np.nan], dtype)))
        assert forward(np.array([np.inf], dtype), np.zeros(1, dtype)) == np.inf
        assert np.isnan(forward(np.empty(0, dtype), np.empty(0, dtype)))
        assert forward(np.empty((0, 3), dtype), np.empty((0, 3), dtype), reduction="sum") == 0


def test_sums_keep_the_accuracy_of_double():
    x = np.full(3_000_000, 0.1, np.float32)
    exact = float(np.float32(0.1)) ** 2 * len(x)
    np.testing.assert_allclose(fc.mse_loss(x, np.zeros_like(x), reduction="sum"), exact, rtol=2e-7)


@pytest.mark.parametrize("case", LOSSES)
def test_any_strides_out_and_threads(case):
    forward, backward, _ = functions(case)
    x, t = pair((6, 40, 700), np.float32, case)
    grad = np.cos(x)
    wanted = None
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            found = [forward(x, t), forward(x, t, reduction="none"), backward(x, t),
                     backward(x, t, reduction="none", grad_output=grad)]
        wanted = found if wanted is None else wanted
        for a, b in zip(found, wanted):
            np.testing.assert_array_equal(a, b)
    for view in (lambda v: np.asfortranarray(v), lambda v: np.repeat(v, 2, 2)[..., ::2], lambda v: v[:, ::-1][:, ::-1]):
        a, b, g = view(x), view(t), view(grad)
        np.testing.assert_allclose(forward(a, b), wanted[0], rtol=1e-6)
        np.testing.assert_array_equal(forward(a, b, reduction="none"), wanted[1])
        np.testing.assert_array_equal(backward(a, b), wanted[2])
        np.testing.assert_array_equal(backward(a, b, reduction="none", grad_output=g), wanted[3])
    room = np.empty_like(x)
    assert forward(x, t, reduction="none", out=room) is room and backward(t, x, out=room) is room
    own = x.copy()
    backward(own, t, out=own)
    np.testing.assert_array_equal(own, wanted[2])
    own, view = t.copy(), x[:, ::-1][:, ::-1]
    forward(view, own, reduction="none", out=own[...])    # the same memory, seen otherwise
    np.testing.assert_array_equal(own, wanted[1])
    with pytest.raises(ValueError, match="out must be left None"):
        forward(x, t, out=np.empty(()))
    with pytest.raises(ValueError, match="overlap"):
        backward(x[:3], t[:3], out=x[1:4])


def test_out_may_be_a_weight_but_no_part_of_one():
    bce, (x, t) = fc.binary_cross_entropy_with_logits, pair((40, 70), np.float32, "bce")
    weight = np.abs(np.sin(x)) + 1
    wanted = bce(x, t, weight=weight, reduction="none")
    assert bce(x, t, weight=weight, reduction="none", out=weight) is weight
    np.testing.assert_array_equal(weight, wanted)
    room = np.ones((41, 70), np.float32)
    with pytest.raises(ValueError, match="out must not overlap an input"):
        bce(x, t, weight=room[0], reduction="none", out=room[:40])
    with pytest.raises(ValueError, match="out must not overlap an input"):
        bce(x, t, pos_weight=room[1:], reduction="none", out=room[:40])


@pytest.mark.parametrize("case", LOSSES)
def test_gradient_by_finite_differences(case):
    forward, backward, _ = functions(case)
    x, t = pair((4, 5), case=case)
    for reduction in ("mean", "sum"):
        np.testing.assert_allclose(backward(x, t, reduction=reduction),
                                   numeric_gradient(lambda: forward(x, t, reduction=reduction), x), rtol=1e-5,
                                   atol=1e-8)


X = np.ones((3, 4), np.float32)
BCE = fc.binary_cross_entropy_with_logits
BAD = {
    "delta is 0": (ValueError, "delta", lambda: fc.huber_loss(X, X, delta=0)),
    "delta is infinite": (ValueError, "delta", lambda: fc.huber_loss_backward(X, X, delta=np.inf)),
    "delta is NaN": (ValueError, "delta", lambda: fc.huber_loss(X, X, delta=np.nan)),
    "delta is None": (TypeError, "delta", lambda: fc.huber_loss(X, X, delta=None)),
    "beta is negative": (ValueError, "beta", lambda: fc.smooth_l1_loss(X, X, beta=-1)),
    "beta is a string": (TypeError, "beta", lambda: fc.smooth_l1_loss_backward(X, X, beta="1")),
    "weight does not broadcast": (ValueError, "weight", lambda: BCE(X, X, weight=X[0, :3])),
    "weight is larger": (ValueError, "weight", lambda: BCE(X[0], X[0], weight=X)),
    "weight is float64": (TypeError, "weight", lambda: BCE(X, X, weight=X.astype(float))),
    "weight is a list of integers": (TypeError, "weight", lambda: BCE(X, X, weight=[1, 2, 3, 4])),
    "pos_weight does not broadcast": (ValueError, "pos_weight", lambda: BCE(X, X, pos_weight=X[:2])),
    "pos_weight is bool": (TypeError, "pos_weight", lambda: BCE(X, X, pos_weight=X > 0)),
}
for _name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
    for _function in (getattr(fc, _name), getattr(fc, f"{_name}_backward")):
        BAD |= {f"{_function.__name__}: {what}": (error, name, lambda f=_function, call=call: call(f))
                for what, error, name, call in [
                    ("x is None", TypeError, "x", lambda f: f(None, X)),
                    ("x is integer", TypeError, "x", lambda f: f(X.astype(int), X)),
                    ("target is None", TypeError, "target", lambda f: f(X, None)),
                    ("target is integer", TypeError, "target", lambda f: f(X, X.astype(int))),
                    ("target is bool", TypeError, "target", lambda f: f(X, X > 0)),
                    ("target is float64", TypeError, "target", lambda f: f(X, X.astype(float))),
                    ("target would broadcast", ValueError, "target", lambda f: f(X, X[:1])),
                    ("target is of another rank", ValueError, "target", lambda f: f(X, X[..., None])),
                    ("reduction is unknown", ValueError, "reduction", lambda f: f(X, X, reduction="average")),
                    ("reduction is None", ValueError, "reduction", lambda f: f(X, X, reduction=None)),
                    ("reduction is a bool", TypeError, "reduction", lambda f: f(X, X, reduction=True))]}
    BAD |= {f"{_name}: {what}": (error, "grad_output", lambda f=_function, call=call: call(f))
            for what, error, call in [
                ("grad_output is None", TypeError, lambda f: f(X, X, grad_output=None)),
                ("grad_output is an array", TypeError, lambda f: f(X, X, grad_output=X)),
                ("grad_output would broadcast", ValueError, lambda f: f(X, X, reduction="none", grad_output=X[:1])),
                ("grad_output is float64", TypeError,
                 lambda f: f(X, X, reduction="none", grad_output=X.astype(float)))]}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    error, name, call = BAD[case]
    with pytest.raises(error, match=f"^{name} "):
        call()


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import test_pair_losses as t
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    for dtype in t.DTYPES:
        t.test_weights_of_yes_or_no(dtype)
        t.test_extremes(dtype)
        for case in t.LOSSES:
            for reduction in t.REDUCTIONS:
                t.test_against_the_formulas(case, reduction, dtype)
"""


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    if name not in isa.usable():
        pytest.skip(f"{name} is not in this build or this CPU does not have it")
    here = Path(__file__).resolve().parent
    in_new_process(FORCED, name, here, here.parent)


@pytest.mark.parametrize("seed", range(40))
def test_against_torch(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, rng.integers(0, 4)).tolist())
    reduction = REDUCTIONS[seed % 3]
    options = {"huber_loss": {"delta": rng.uniform(0.1, 3)}, "smooth_l1_loss": {"beta": rng.uniform(0.0, 3)},
               "binary_cross_entropy_with_logits": {"weight": rng.random(shape), "pos_weight": rng.random(shape[-1:])}}
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
        x, t = pair(shape, case="bce" if name.startswith("binary") else "", seed=seed)
        own = options.get(name, {})
        theirs = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in own.items()}
        x_t = torch.tensor(x, requires_grad=True)
        value = getattr(torch.nn.functional, name)(x_t, torch.tensor(t), reduction=reduction, **theirs)
        value.sum().backward()
        np.testing.assert_allclose(getattr(fc, name)(x, t, reduction=reduction, **own), value.detach().numpy(),
                                   rtol=1e-12)
        np.testing.assert_allclose(getattr(fc, f"{name}_backward")(x, t, reduction=reduction, **own),
                                   x_t.grad.numpy(), rtol=1e-11, atol=1e-14)
