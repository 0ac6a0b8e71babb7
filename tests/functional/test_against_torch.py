"""Convolution and pooling against PyTorch in float64 on random configurations, all options mixed.

A short run by default; ``pytest -m slow`` compares more than 2,000 configurations in each of float32 and float64.
"""

import cases
import numpy as np
import pytest
import reference

import fastconv as fc

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
functional = torch.nn.functional

DTYPES = [np.float32, np.float64]
SHORT, LONG = 75, 1200  # configurations of convolution, and again as many of pooling, for each dtype
runs = pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])


def tensor(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def close(got, wanted, terms, what):
    """Within the rounding of a sum of `terms` products; `wanted` is a float64 tensor."""
    wanted = wanted.detach().numpy()
    bound = 2 * np.finfo(got.dtype).eps * max(terms, 8)
    np.testing.assert_allclose(got, wanted, rtol=bound,
                               atol=bound * max(1.0, np.abs(wanted).max(initial=0)), err_msg=what)


def padded(x, pads, mode="constant", value=0.0):
    """PyTorch's own padding, which its conv2d does not take uneven and its pooling not at all; of pixels that are
    repeated by an index, as it has no symmetric padding and none that is wider than the image."""
    (top, bottom), (left, right) = pads
    if mode == "constant":
        return functional.pad(x, (left, right, top, bottom), "constant", value)
    rows, columns = (reference.sources(size, of_axis, mode) for size, of_axis in zip(x.shape[2:], pads))
    return x[:, :, rows][:, :, :, columns]


TORCH_ACTIVATIONS = {None: lambda y: y, "relu": torch.relu, "leaky_relu": functional.leaky_relu,
                     "sigmoid": torch.sigmoid, "tanh": torch.tanh}


@runs
@pytest.mark.parametrize("dtype", DTYPES)
def test_convolution(dtype, count):
    for number, case in enumerate(cases.random_conv_cases(count, seed=2024)):
        x, weight, bias, grad_output = case.arrays(number, dtype)
        tx, tw, tb = tensor(x), tensor(weight), None if bias is None else tensor(bias)
        pads = reference.pads(case.padding, x.shape[2:], weight.shape[2:], reference.pair(case.stride),
                              reference.pair(case.dilation))
        ty = functional.conv2d(padded(tx, pads, case.padding_mode, case.padding_value), tw, tb, case.stride, 0,
                               case.dilation, case.groups)
        ty.backward(torch.tensor(grad_output, dtype=torch.float64))

        window = {**case.window(), "data_format": case.data_format}
        y = fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **window, activation=case.activation)
        grad_x, grad_weight, grad_bias = fc.conv2d_backward(
            cases.to_format(grad_output, case.data_format), cases.to_format(x, case.data_format), weight, **window)

        taps = int(np.prod(weight.shape[1:]))
        close(cases.to_nchw(y, case.data_format), TORCH_ACTIVATIONS[case.activation](ty), taps, f"y of {case}")
        close(cases.to_nchw(grad_x, case.data_format), tx.grad, taps * weight.shape[0], f"grad_x of {case}")
        close(grad_weight, tw.grad, y.size // weight.shape[0], f"grad_weight of {case}")
        if tb is not None:
            close(grad_bias, tb.grad, y.size // weight.shape[0], f"grad_bias of {case}")


@runs
@pytest.mark.parametrize("dtype", DTYPES)
def test_max_pooling(dtype, count):
    for number, case in enumerate(cases.random_pool_cases(count, seed=2025)):
        x = case.input(number, dtype)
        h, w = x.shape[2:]
        kernel_size, dilation = reference.pair(case.kernel_size), reference.pair(case.dilation)
        stride = kernel_size if case.stride is None else reference.pair(case.stride)
        pads = reference.pads(case.padding, (h, w), kernel_size, stride, dilation)
        y, indices = fc.max_pool2d(cases.to_format(x, case.data_format), **case.max_window(),
                                   data_format=case.data_format, return_indices=True)
        rng = np.random.default_rng(number)
        grad_output = rng.standard_normal(y.shape).astype(dtype)
        grad_x = fc.max_pool2d_backward(grad_output, indices, cases.to_format(x, case.data_format).shape,
                                        **case.max_window(), data_format=case.data_format)

        # PyTorch pads evenly only, so what is uneven is padded with -infinity before;
        # its indices then lie in that plane.
        even = all(before == after for before, after in pads)
        tx = tensor(x)
        if even:
            source, offset = tx, (0, 0)
        elif case.ceil_mode:
            continue  # the padding of the last window depends on whether it is PyTorch's own
        else:
            source, offset = padded(tx, pads, value=-np.inf), (pads[0][0], pads[1][0])
        ty, ti = functional.max_pool2d(source, kernel_size, stride, [before for before, _ in pads] if even else 0,
                                       dilation, case.ceil_mode, return_indices=True)
        ty.backward(torch.tensor(cases.to_nchw(grad_output, case.data_format), dtype=torch.float64))
        width = source.shape[3]
        rows, columns = ti.numpy() // width - offset[0], ti.numpy() % width - offset[1]
        np.testing.assert_array_equal(cases.to_nchw(y, case.data_format), ty.detach().numpy(), err_msg=str(case))
        np.testing.assert_array_equal(cases.to_nchw(indices, case.data_format), rows * w + columns, err_msg=str(case))
        close(cases.to_nchw(grad_x, case.data_format), tx.grad, kernel_size[0] * kernel_size[1], f"grad_x of {case}")


@runs
@pytest.mark.parametrize("dtype", DTYPES)
def test_average_pooling(dtype, count):
    for number, case in enumerate(cases.random_pool_cases(count, seed=2026)):
        kernel_size = reference.pair(case.kernel_size)
        stride = kernel_size if case.stride is None else reference.pair(case.stride)
        rng = np.random.default_rng(number)
        x = rng.standard_normal(case.x_shape).astype(dtype)
        pads = reference.pads(case.padding, x.shape[2:], kernel_size, stride, (1, 1))
        even = all(before == after for before, after in pads)
        if not even and (case.ceil_mode or not case.count_include_pad):
            continue  # PyTorch pads evenly only, and padding done before is counted
        y = fc.avg_pool2d(cases.to_format(x, case.data_format), **case.avg_window(), data_format=case.data_format)
        grad_output = rng.standard_normal(y.shape).astype(dtype)
        grad_x = fc.avg_pool2d_backward(grad_output, cases.to_format(x, case.data_format).shape, **case.avg_window(),
                                        data_format=case.data_format)

        tx = tensor(x)
        ty = functional.avg_pool2d(tx if even else padded(tx, pads), kernel_size, stride,
                                   [before for before, _ in pads] if even else 0, case.ceil_mode,
                                   case.count_include_pad)
        ty.backward(torch.tensor(cases.to_nchw(grad_output, case.data_format), dtype=torch.float64))
        terms = kernel_size[0] * kernel_size[1]
        close(cases.to_nchw(y, case.data_format), ty, terms, f"y of {case}")
        close(cases.to_nchw(grad_x, case.data_format), tx.grad, terms, f"grad_x of {case}")
