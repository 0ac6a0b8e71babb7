"""ELU, GELU, SiLU and their kin against float64 references: accuracy, special values, strides, `out`, threads."""

from pathlib import Path

import numpy as np
import pytest
import reference
from gradients import numeric_gradient
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
CURVES = {
    "elu": ("elu", {}),
    "elu, alpha": ("elu", {"alpha": 0.3}),
    "gelu": ("gelu", {}),
    "gelu, tanh": ("gelu", {"approximate": "tanh"}),
    "silu": ("silu", {}),
    "hardswish": ("hardswish", {}),
    "hardsigmoid": ("hardsigmoid", {}),
    "softplus": ("softplus", {}),
    "softplus, options": ("softplus", {"beta": 2.5, "threshold": 3.0}),
    "softplus, negative beta": ("softplus", {"beta": -0.5}),
}
SIZES = [0, 1, 7, 8, 15, 16, 17, 33, 1000, 16384, 16385, 40000]


def functions(case):
    name, options = CURVES[case]
    forward, backward = getattr(fc, name), getattr(fc, f"{name}_backward")
    return (lambda x, **more: forward(x, **options, **more),
            lambda grad, x, **more: backward(grad, x, **options, **more),
            lambda x: getattr(reference, name)(np.asarray(x, np.float64), **options))


def arguments(dtype, size=100_000):
    """Of all sizes at which something is left of an exponential, and beyond."""
    rng = np.random.default_rng(0)
    limit = 110 if dtype == np.float32 else 760
    return np.concatenate([rng.uniform(-limit, limit, size), rng.uniform(-20, 20, size), rng.uniform(-4, 4, size),
                           np.logspace(-37, 30, 1000), -np.logspace(-37, 30, 1000)]).astype(dtype)


def units_in_the_last_place(y, exact):
    spacing = np.maximum(np.spacing(np.abs(exact).astype(y.dtype)).astype(np.float64),
                         np.finfo(y.dtype).smallest_subnormal)
    return np.abs(y - exact) / spacing


def check_accuracy():
    """In single precision, whose references are exact: down to the smallest numbers."""
    x = arguments(np.float32)
    with np.errstate(all="ignore"):
        for case in CURVES:
            forward, backward, exact = functions(case)
            y, slope = exact(x)
            assert units_in_the_last_place(forward(x), y).max() <= 6, case
            slopes = backward(np.ones_like(x), x)
            near = np.abs(slope) > 0.1  # elsewhere terms may cancel
            assert units_in_the_last_place(slopes[near], slope[near]).max() <= 8, case
            np.testing.assert_allclose(slopes, slope, atol=4e-7)


def test_accuracy():
    check_accuracy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CURVES)
def test_against_the_reference(case, dtype):
    forward, backward, exact = functions(case)
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(0)
    for size in SIZES:
        x, grad = (rng.standard_normal(size) * 3).astype(dtype), rng.standard_normal(size).astype(dtype)
        y, grad_x = forward(x), backward(grad, x)
        expected, slope = exact(x)
        assert y.dtype == grad_x.dtype == dtype and y.shape == grad_x.shape == x.shape
        lost = 256 * np.finfo(float).eps  # by the reference's own exponents
        np.testing.assert_allclose(y, expected, rtol=16 * eps + lost, atol=np.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(grad_x, grad * slope, rtol=16 * eps, atol=8 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_give_the_limits_and_nan_stays(dtype):
    x = np.array([-np.inf, np.inf, np.nan, -1e30, 1e30], dtype)
    straight = np.array([0, np.inf, np.nan, 0, 1e30], dtype)
    for case in CURVES:
        forward, backward, _ = functions(case)
        y, slopes = forward(x), backward(np.ones_like(x), x)
        assert np.isnan(y[2]) and not np.isnan(y[[0, 1, 3, 4]]).any(), case
        assert not np.isnan(slopes[[0, 1, 3, 4]]).any(), case
        if case in ("gelu", "gelu, tanh", "silu", "hardswish", "softplus"):
            np.testing.assert_array_equal(y, straight)
            np.testing.assert_array_equal(slopes[[0, 1, 3, 4]], [0, 1, 0, 1])
    np.testing.assert_array_equal(fc.elu(x, 0.5), np.array([-0.5, np.inf, np.nan, -0.5, 1e30], dtype))
    np.testing.assert_array_equal(fc.hardsigmoid(x), np.array([0, 1, np.nan, 0, 1], dtype))
    np.testing.assert_array_equal(fc.softplus(x, threshold=np.inf), straight)
    np.testing.assert_array_equal(fc.hardswish(np.array([-3, 3, 0], dtype)), [0, 3, 0])


@pytest.mark.parametrize("case", CURVES)
def test_any_shape_and_strides(case):
    forward, backward, _ = functions(case)
    x, grad = np.random.default_rng(0).standard_normal((2, 4, 5, 6, 7))
    for view in (lambda v: v, lambda v: v.transpose(0, 2, 3, 1), lambda v: v[::2, ::-1, :, ::3], lambda v: v[0, 0, 0],
                 lambda v: v[0, 0, 0, 0], np.asfortranarray, lambda v: np.broadcast_to(v[:, :, :1], v.shape)):
        a, b = view(x), view(grad)
        before = np.array(a)
        y = forward(a)
        np.testing.assert_array_equal(y, forward(before))
        np.testing.assert_array_equal(a, before)
        assert y.flags.c_contiguous and y.shape == np.shape(a)
        for g in (b, np.array(b)):
            np.testing.assert_array_equal(backward(g, a), backward(np.array(b), before))
            np.testing.assert_array_equal(backward(g, before), backward(np.array(b), before))


def test_large_arrays_of_other_strides_are_taken_piece_by_piece():
    x, grad = np.random.default_rng(0).standard_normal((2, 300, 7, 301)).astype(np.float32)
    a, b = x.transpose(2, 0, 1), grad.transpose(2, 0, 1)
    np.testing.assert_array_equal(fc.silu_backward(b, a), fc.silu_backward(np.array(b), np.array(a)))


@pytest.mark.parametrize("case", CURVES)
def test_out_is_filled_also_in_place(case):
    forward, backward, _ = functions(case)
    x, grad = np.random.default_rng(0).standard_normal((2, 5, 37)).astype(np.float32)
    y, grad_x = forward(x), backward(grad, x)
    room = np.empty_like(x)
    assert forward(x, out=room) is room
    np.testing.assert_array_equal(room, y)
    assert backward(grad, x, out=room) is room
    np.testing.assert_array_equal(room, grad_x)
    for inputs in ((grad.copy(), x.copy()), (np.asfortranarray(grad), x.copy())):
        backward(*inputs, out=inputs[1])
        np.testing.assert_array_equal(inputs[1], grad_x)
    inputs = grad.copy(), np.asfortranarray(x)
    backward(*inputs, out=inputs[0])
    np.testing.assert_array_equal(inputs[0], grad_x)
    own = x.copy()
    assert forward(own, out=own) is own
    np.testing.assert_array_equal(own, y)


@pytest.mark.parametrize("case", CURVES)
def test_a_wrong_out_is_refused_before_anything_is_written(case):
    forward, backward, _ = functions(case)
    x = np.random.default_rng(0).standard_normal(40).astype(np.float32)
    before = x.copy()
    for out, error, said in ((np.empty(39, np.float32), ValueError, "out must have shape"),
                             (np.empty(40), ValueError, "out must have the dtype"), ([0.0], TypeError, "out must be a"),
                             (np.empty(80, np.float32)[::2], ValueError, "C-contiguous")):
        with pytest.raises(error, match=said):
            forward(x, out=out)
        with pytest.raises(error, match=said):
            backward(x, x, out=out)
    for function in (lambda: forward(x[:39], out=x[1:]), lambda: backward(x[1:], x[:39], out=x[1:].view())):
        with pytest.raises(ValueError, match="overlap"):
            function()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("case", CURVES)
def test_gradient_by_finite_differences(case):
    forward, backward, _ = functions(case)
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal(19) * 2 + 0.01, rng.standard_normal(19)
    np.testing.assert_allclose(backward(weight, x), numeric_gradient(lambda: (forward(x) * weight).sum(), x), rtol=1e-6,
                               atol=1e-8)


BAD = {
    "alpha is None": (TypeError, "alpha", lambda x: fc.elu(x, None)),
    "alpha is a string": (TypeError, "alpha", lambda x: fc.elu_backward(x, x, "1")),
    "alpha is a bool": (TypeError, "alpha", lambda x: fc.elu(x, True)),
    "approximate is unknown": (ValueError, "approximate", lambda x: fc.gelu(x, approximate="erf")),
    "approximate is None": (ValueError, "approximate", lambda x: fc.gelu_backward(x, x, approximate=None)),
    "approximate is a bool": (TypeError, "approximate", lambda x: fc.gelu(x, approximate=True)),
    "beta is 0": (ValueError, "beta", lambda x: fc.softplus(x, 0)),
    "beta is infinite": (ValueError, "beta", lambda x: fc.softplus(x, np.inf)),
    "beta is NaN": (ValueError, "beta", lambda x: fc.softplus_backward(x, x, np.nan)),
    "beta is an array": (TypeError, "beta", lambda x: fc.softplus(x, np.ones(2))),
    "threshold is NaN": (ValueError, "threshold", lambda x: fc.softplus(x, threshold=np.nan)),
    "threshold is None": (TypeError, "threshold", lambda x: fc.softplus_backward(x, x, threshold=None)),
}
for _name in ("elu", "gelu", "silu", "hardswish", "hardsigmoid", "softplus"):
    _forward, _backward = getattr(fc, _name), getattr(fc, f"{_name}_backward")
    BAD |= {
        f"{_name}: x is None": (TypeError, "x", lambda x, f=_forward: f(None)),
        f"{_name}: x is integer": (TypeError, "x", lambda x, f=_forward: f(np.arange(3))),
        f"{_name}: x is float16": (TypeError, "x", lambda x, f=_forward: f(x.astype(np.float16))),
        f"{_name}: x is ragged": (ValueError, "x", lambda x, f=_forward: f([[1.0], [1.0, 2.0]])),
        f"{_name}: grad_output is None": (TypeError, "grad_output", lambda x, f=_backward: f(None, x)),
        f"{_name}: grad_output is of another shape": (ValueError, "grad_output", lambda x, f=_backward: f(x[:1], x)),
        f"{_name}: grad_output is float64": (TypeError, "grad_output", lambda x, f=_backward: f(x.astype(float), x)),
        f"{_name}: x is complex": (TypeError, "x", lambda x, f=_backward: f(x, x.astype(complex))),
    }


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    error, name, call = BAD[case]
    with pytest.raises(error, match=f"^{name} "):
        call(np.ones((3, 4), np.float32))


def test_same_bits_for_any_number_of_threads():
    x, grad = np.random.default_rng(0).standard_normal((2, 70, 33, 41)).astype(np.float32)

    def results():
        for case in CURVES:
            forward, backward, _ = functions(case)
            yield forward(x)
            yield backward(grad, x)

    with fc.num_threads(1):
        expected = list(results())
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            for result, wanted in zip(results(), expected):
                np.testing.assert_array_equal(result, wanted)


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import test_curves
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    test_curves.check_accuracy()
    for dtype in test_curves.DTYPES:
        test_curves.test_infinities_give_the_limits_and_nan_stays(dtype)
        for case in test_curves.CURVES:
            test_curves.test_against_the_reference(case, dtype)
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
    x, grad = rng.standard_normal((2, *rng.integers(1, 9, rng.integers(0, 4)))) * 3
    options = {"elu": {"alpha": rng.uniform(-2, 2)}, "gelu": {"approximate": rng.choice(["none", "tanh"]).item()},
               "softplus": {"beta": rng.uniform(0.1, 5), "threshold": rng.uniform(1, 30)}}
    for name in ("elu", "gelu", "silu", "hardswish", "hardsigmoid", "softplus"):
        near = {"rtol": 1e-7 if name.startswith("hard") else 1e-11, "atol": 1e-13}  # PyTorch's sixth is a float32
        variable = torch.tensor(x, requires_grad=True)
        expected = getattr(torch.nn.functional, name)(variable, **options.get(name, {}))
        expected.backward(torch.tensor(grad))
        np.testing.assert_allclose(getattr(fc, name)(x, **options.get(name, {})), expected.detach().numpy(), **near)
        np.testing.assert_allclose(getattr(fc, f"{name}_backward")(grad, x, **options.get(name, {})),
                                   variable.grad.numpy(), **near)
