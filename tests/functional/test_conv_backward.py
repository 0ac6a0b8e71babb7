"""conv2d_backward: exactly the gradients of the plain loops, the adjoint of the forward pass,
and finite differences."""

import sys

import cases
import numpy as np
import pytest
import reference
from processes import peak_memory

import fastconv as fc
from fastconv._core.runtime import memory

EDGES = cases.conv_edge_cases()
DTYPES = [np.float32, np.float64]


def backward(case, grad_output, x, weight, **options):
    """conv2d_backward in the case's data format, with grad_x seen as (N, C, H, W)."""
    grad_x, grad_weight, grad_bias = fc.conv2d_backward(
        cases.to_format(grad_output, case.data_format), cases.to_format(x, case.data_format), weight, **case.window(),
        data_format=case.data_format, **options)
    return None if grad_x is None else cases.to_nchw(grad_x, case.data_format), grad_weight, grad_bias


def check_exactly(case, dtype):
    x, weight, _, grad_output = case.arrays(dtype=dtype, integers=True)
    gradients = backward(case, grad_output, x, weight)
    expected = reference.conv2d_backward(grad_output, x, weight, **case.window())
    for name, got, wanted in zip(("grad_x", "grad_weight", "grad_bias"), gradients, expected):
        assert got.dtype == dtype, name
        may_be_winograd = cases.gradient_may_be_winograd if name == "grad_x" else cases.may_be_winograd
        if name != "grad_bias" and may_be_winograd(case, dtype):
            cases.assert_close_to_sum(got, wanted, f"{name} of {case}")
        else:
            np.testing.assert_array_equal(got, wanted, err_msg=f"{name} of {case}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for _, case in EDGES], ids=[name for name, _ in EDGES])
def test_edges_exactly(case, dtype):
    check_exactly(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(8))
def test_mixed_options_exactly(seed, dtype):
    for case in cases.random_conv_cases(20, 50 + seed):
        check_exactly(case, dtype)


def test_every_stride_with_every_dilation_exactly():
    for stride in range(1, 7):
        for dilation in range(1, 7):
            check_exactly(cases.ConvCase((1, 2, 19, 23), (3, 2, 3, 2), stride=(stride, 7 - stride),
                                         dilation=(dilation, dilation), padding=((3, 1), (0, 4))), np.float64)


@pytest.mark.parametrize("mode", cases.PADDING_MODES[1:])
def test_padding_modes_fold_in_blocks(mode):
    # Rows so long that the frame is folded a few rows and images at a time.
    case = cases.ConvCase((3, 40, 12, 2500), (2, 40, 3, 3), padding=((11, 4), (2, 9)), padding_mode=mode)
    check_exactly(case, np.float64)
    check_exactly(case._replace(stride=(2, 3), dilation=(2, 1)), np.float32)


def test_float64_gradients_to_rounding():
    for case in cases.random_conv_cases(30, 8):
        x, weight, _, grad_output = case.arrays()
        for got, wanted in zip(backward(case, grad_output, x, weight),
                               reference.conv2d_backward(grad_output, x, weight, **case.window())):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12 * max(1, np.abs(wanted).max()))


def test_float32_gradients_to_the_bound_of_their_sums():
    for case in cases.random_conv_cases(30, 9):
        x, weight, _, grad_output = case.arrays(dtype=np.float32)
        for got, wanted in zip(backward(case, grad_output, x, weight),
                               reference.conv2d_backward(grad_output, x, weight, **case.window())):
            np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5 * max(1, np.abs(wanted).max()))


def test_adjoint():
    """<conv(x, w), g> = <x, grad_x> = <w, grad_weight> where the padding holds nothing of its own."""
    for case in cases.random_conv_cases(40, 10):
        case = case._replace(padding_value=0.0, bias=False)
        x, weight, _, grad_output = case.arrays()
        y = cases.to_nchw(fc.conv2d(cases.to_format(x, case.data_format), weight, **case.window(),
                                    data_format=case.data_format), case.data_format)
        grad_x, grad_weight, _ = backward(case, grad_output, x, weight)
        inner = np.vdot(y, grad_output)
        scale = np.linalg.norm(y) * np.linalg.norm(grad_output)
        assert abs(inner - np.vdot(x, grad_x)) <= 1e-12 * scale
        assert abs(inner - np.vdot(weight, grad_weight)) <= 1e-12 * scale


@pytest.mark.parametrize("mode", cases.PADDING_MODES)
def test_finite_differences(mode):
    case = cases.ConvCase((1, 4, 5, 6), (4, 2, 3, 2), stride=(2, 1), padding=2, dilation=(1, 2), groups=2,
                          padding_mode=mode, padding_value=0.5 if mode == "constant" else 0.0)
    x, weight, bias, _ = case.arrays()

    def loss():
        return np.sum(np.tanh(fc.conv2d(x, weight, bias, **case.window())))

    y = fc.conv2d(x, weight, bias, **case.window())
    gradients = backward(case, 1 - np.tanh(y) ** 2, x, weight)
    for argument, gradient in zip((x, weight, bias), gradients):
        for index in np.ndindex(argument.shape):
            kept, step = argument[index], 1e-5
            argument[index] = kept + step
            above = loss()
            argument[index] = kept - step
            slope = (above - loss()) / (2 * step)
            argument[index] = kept
            assert abs(slope - gradient[index]) < 1e-7


# ---------------------------------------------------------------------------------------------------------------------
# Forms


SMALL = cases.ConvCase((2, 4, 7, 6), (6, 2, 3, 3), stride=2, padding=1, groups=2)


@pytest.mark.parametrize("wanted", [(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)])
def test_needs(wanted):
    x, weight, _, grad_output = SMALL.arrays(integers=True)
    expected = reference.conv2d_backward(grad_output, x, weight, **SMALL.window())
    for needed, got, gradient in zip(wanted, backward(SMALL, grad_output, x, weight, needs=wanted), expected):
        assert (got is not None) == needed
        if needed:
            np.testing.assert_array_equal(got, gradient)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_one_image(data_format):
    case = SMALL._replace(data_format=data_format, x_shape=(1, *SMALL.x_shape[1:]))
    x, weight, _, grad_output = case.arrays(integers=True)
    batch = [cases.to_format(array, data_format) for array in (grad_output, x)]
    of_batch = fc.conv2d_backward(*batch, weight, **case.window(), data_format=data_format)
    of_image = fc.conv2d_backward(*(array[0] for array in batch), weight, **case.window(), data_format=data_format)
    np.testing.assert_array_equal(of_image[0], of_batch[0][0])
    assert of_image[0].shape == batch[1].shape[1:] and of_image[0].flags.c_contiguous
    np.testing.assert_array_equal(of_image[1], of_batch[1])
    np.testing.assert_array_equal(of_image[2], of_batch[2])


def test_any_strides_and_read_only():
    x, weight, _, grad_output = SMALL.arrays(integers=True)
    expected = backward(SMALL, grad_output, x, weight)
    views = [np.asfortranarray(array)[::-1].copy("K")[::-1] for array in (grad_output, x, weight)]
    for view in views:
        view.flags.writeable = False
    for got, wanted in zip(backward(SMALL, *views), expected):
        np.testing.assert_array_equal(got, wanted)
    constant = np.broadcast_to(np.float64(1), grad_output.shape)
    for got, wanted in zip(fc.conv2d_backward(constant, x, weight, **SMALL.window()),
                           reference.conv2d_backward(constant, x, weight, **SMALL.window())):
        np.testing.assert_array_equal(got, wanted)


def test_empty_batch_has_zero_parameter_gradients():
    grad_x, grad_weight, grad_bias = fc.conv2d_backward(np.ones((0, 4, 6, 6)), np.ones((0, 3, 8, 8)),
                                                        np.ones((4, 3, 3, 3)))
    assert grad_x.shape == (0, 3, 8, 8)
    np.testing.assert_array_equal(grad_weight, np.zeros((4, 3, 3, 3)))
    np.testing.assert_array_equal(grad_bias, np.zeros(4))


# ---------------------------------------------------------------------------------------------------------------------
# Threads, memory


THREADED = {
    "dense": cases.ConvCase((5, 33, 40, 41), (70, 33, 3, 3), padding=1),
    "strided": cases.ConvCase((3, 20, 41, 40), (40, 20, 3, 3), stride=2, padding=1),
    "one_channel": cases.ConvCase((16, 1, 28, 28), (6, 1, 5, 5), padding=2),
    "depthwise": cases.ConvCase((3, 50, 40, 40), (50, 1, 3, 3), padding=1, groups=50),
    "groups_circular": cases.ConvCase((2, 24, 30, 30), (48, 6, 3, 3), padding=2, groups=4, padding_mode="circular"),
}


@pytest.mark.parametrize("case", THREADED.values(), ids=THREADED)
def test_same_bits_for_any_number_of_threads(case):
    x, weight, _, grad_output = case.arrays(dtype=np.float32)
    with fc.num_threads(1):
        expected = backward(case, grad_output, x, weight)
    for threads in (2, 3, 16):
        with fc.num_threads(threads):
            for got, wanted in zip(backward(case, grad_output, x, weight), expected):
                np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_peak_memory(mode):
    prepare = """
    x, weight = np.ones((1, 64, 512, 512), np.float32), np.ones((64, 64, 3, 3), np.float32)
    g = np.ones((1, 64, 512, 512), np.float32)
    fc.conv2d_backward(g[:, :, :16, :16], x[:, :, :16, :16], weight, padding=1)
    """
    results_mb = 64 + 64 * 64 * 9 * 4 / 2**20
    call = f'result = fc.conv2d_backward(g, x, weight, padding=1, padding_mode="{mode}")'
    assert peak_memory(prepare, call, 1) <= results_mb + 16


@pytest.mark.parametrize("gradients", [
    lambda g: fc.conv2d_backward(g[:, :, None], np.ones((2, 3, 9, 9), np.float32), np.ones((4, 3, 9, 1), np.float32)),
    lambda g: fc.linear_backward(g[..., 0], np.ones((2, 5), np.float32), np.ones((4, 5), np.float32)),
], ids=["conv2d", "linear"])
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_nothing_is_computed_where_a_result_has_no_memory(gradients, missing, monkeypatch):
    asked, empty = [], memory.empty

    def scarce(shape, dtype):
        asked.append(empty(shape, dtype))
        asked[-1].fill(7)
        if len(asked) == missing + 1:
            raise MemoryError("no more")
        return asked[-1]

    monkeypatch.setattr(memory, "empty", scarce)
    with pytest.raises(MemoryError, match="no more"):
        gradients(np.ones((2, 4, 9), np.float32))
    assert all((array == 7).all() for array in asked)
