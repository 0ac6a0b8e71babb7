"""Transposed convolution against PyTorch in float64 on random configurations, all options mixed, forward and backward.

A short run by default; ``pytest -m slow`` compares a thousand configurations in each of float32 and float64.
"""

import numpy as np
import pytest
import transposed

import fastconv as fc

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
functional = torch.nn.functional

ACTIVATE = {None: lambda y: y, "relu": torch.relu, "leaky_relu": functional.leaky_relu, "sigmoid": torch.sigmoid,
            "tanh": torch.tanh}


def torch_result(case, x, weight, bias):
    """PyTorch has even padding alone: what is uneven is cut off afterwards, and output_padding comes to what was cut."""
    axes = case.axes
    stride, dilation = (transposed.per_axis(value, axes) for value in (case.stride, case.dilation))
    pads = transposed.pads_of(case.padding, x.shape[2:], weight.shape[2:], stride, dilation)
    more = transposed.per_axis(case.output_padding, axes)
    if case.padding == "same":
        size = [length * step for length, step in zip(x.shape[2:], stride)]
    else:
        size = transposed.result_size(x.shape[2:], weight.shape[2:], stride, pads, more, dilation)
    conv = getattr(functional, f"conv_transpose{axes}d")
    if case.padding not in ("same", "valid") and all(before == after for before, after in pads):
        return conv(x, weight, bias, stride, [before for before, _ in pads], more, case.groups, dilation)
    whole = conv(x, weight, None, stride, 0, 0, case.groups, dilation)
    for axis, (length, (before, _)) in enumerate(zip(size, pads), 2):
        missing = max(0, before + length - whole.shape[axis])
        widths = [0, 0] * (whole.ndim - 1 - axis) + [0, missing]
        whole = functional.pad(whole, widths).narrow(axis, before, length)
    return whole if bias is None else whole + bias.reshape(-1, *[1] * axes)


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axes", [2])
def test_against_torch(axes, dtype, count):
    forward, backward = (getattr(fc, f"conv_transpose{axes}d{name}") for name in ("", "_backward"))
    for number, case in enumerate(transposed.random_cases(count, axes, 90 + axes, 14 if axes < 3 else 7)):
        rng = np.random.default_rng(number)
        x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (case.x_shape, case.weight_shape))
        bias = rng.standard_normal(weight.shape[1] * case.groups).astype(dtype) if case.bias else None
        tx, tw, tb = (None if array is None else torch.tensor(array, dtype=torch.float64, requires_grad=True)
                      for array in (x, weight, bias))
        ty = torch_result(case, tx, tw, tb)
        grad_output = rng.standard_normal(tuple(ty.shape)).astype(dtype)
        ty.backward(torch.tensor(grad_output, dtype=torch.float64))

        options = {**case.window(), "data_format": case.data_format}
        y = forward(case.form(x), weight, bias, **options, activation=case.activation)
        grad_x, grad_weight, grad_bias = backward(case.form(grad_output), case.form(x), weight, **options)
        found = [(case.back(y), ACTIVATE[case.activation](ty).detach()), (case.back(grad_x), tx.grad),
                 (grad_weight, tw.grad)]
        if bias is not None:
            found.append((grad_bias, tb.grad))
        for name, (got, wanted) in zip(("y", "grad_x", "grad_weight", "grad_bias"), found):
            wanted = wanted.numpy()
            bound = 2e-5 if dtype == np.float32 else 1e-13
            assert got.dtype == dtype and got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=bound, atol=bound * max(1.0, np.abs(wanted).max(initial=0)),
                                       err_msg=f"{name} of {case}")
