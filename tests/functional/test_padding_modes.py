"""Padding that repeats pixels: beside NumPy's and SciPy's, forward and backward, near and very far."""

import time

import cases
import numpy as np
import pytest
import reference
from processes import peak_memory

import fastconv as fc
from fastconv import nn

IN_NUMPY = {"reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}
IN_SCIPY = {"reflect": "mirror", "symmetric": "reflect", "replicate": "nearest", "circular": "wrap"}
MODES = tuple(IN_NUMPY)
FAR = 2**31 - 1    # the largest padding, stride and dilation


def test_all_modes_are_here():
    assert {"constant", *MODES} == set(cases.PADDING_MODES)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 4)])
def test_as_numpy_pads(size, mode):
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((2, 3, *size)), rng.standard_normal((4, 3, 3, 2))
    for pads in (((1, 1), (1, 1)), ((0, 9), (4, 0)), ((23, 8), (17, 31))):
        padded = np.pad(x, ((0, 0), (0, 0), *pads), IN_NUMPY[mode])
        if padded.shape[2] >= 3 and padded.shape[3] >= 2:
            np.testing.assert_allclose(fc.conv2d(x, weight, padding=pads, padding_mode=mode),
                                       fc.conv2d(padded, weight), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (6, 5)])
def test_as_scipy_filters(size, mode):
    """"same" with an odd filter is SciPy's ndimage.correlate, also where the filter is larger than the image."""
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(4)
    image, kernel = rng.standard_normal(size), rng.standard_normal((5, 9))
    np.testing.assert_allclose(
        fc.conv2d(image[None], kernel[None, None], padding="same", padding_mode=mode)[0],
        ndimage.correlate(image, kernel, mode=IN_SCIPY[mode]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", ["direct", "gemm", "winograd", "fft"])
def test_every_algorithm_pads_beyond_the_image(algorithm, mode):
    for x_shape, weight_shape, groups in (((2, 16, 4, 3), (16, 16, 3, 3), 1), ((1, 8, 2, 5), (8, 1, 3, 3), 8),
                                          ((1, 1, 1, 4), (3, 1, 3, 3), 1)):
        case = cases.ConvCase(x_shape, weight_shape, padding=((13, 5), (8, 26)), padding_mode=mode, groups=groups)
        x, weight, bias, _ = case.arrays(dtype=np.float32)
        wanted = reference.conv2d(x, weight, bias, **case.window())
        for data_format in ("NCHW", "NHWC"):
            got = cases.to_nchw(fc.conv2d(cases.to_format(x, data_format), weight, bias, **case.window(),
                                          data_format=data_format, algorithm=algorithm), data_format)
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_filters_beyond_the_image(mode, dtype):
    """By Fourier transforms, whose tiles are filled turn by turn, and back."""
    for case in (cases.ConvCase((1, 2, 60, 7), (3, 2, 31, 29), padding=((40, 70), (52, 33)), padding_mode=mode),
                 cases.ConvCase((2, 1, 3, 80), (2, 1, 35, 33), padding=((57, 48), (90, 12)), padding_mode=mode,
                                stride=(3, 2))):
        x, weight, _, grad_output = case.arrays(dtype=dtype)
        bound = (2e-5 if dtype is np.float32 else 1e-12)
        wanted = reference.conv2d(x, weight, **case.window())
        got = fc.conv2d(x, weight, **case.window(), algorithm="fft")
        assert np.linalg.norm(got - wanted) <= bound * np.linalg.norm(wanted)
        for got, wanted in zip(fc.conv2d_backward(grad_output, x, weight, **case.window()),
                               reference.conv2d_backward(grad_output, x, weight, **case.window())):
            assert np.linalg.norm(got - wanted) <= bound * np.linalg.norm(wanted)


def far_case(stride, dilation):
    """Three outputs along the columns of a thin image: their taps lie as far apart as options go."""
    return {"stride": (1, stride), "dilation": (1, dilation), "padding": ((0, 0), (FAR, FAR))}


def far_sums(x, weight, stride, dilation, mode):
    """The forward pass of far_case, and for each output and tap the column of x that it meets."""
    turns = {"reflect": [*range(x.shape[3]), *range(x.shape[3] - 2, 0, -1)], "circular": list(range(x.shape[3])),
             "symmetric": [*range(x.shape[3]), *range(x.shape[3] - 1, -1, -1)]}
    taps, size = weight.shape[3], x.shape[3]
    outputs = (size + 2 * FAR - dilation * (taps - 1) - 1) // stride + 1
    columns = np.zeros((outputs, taps), int)
    for j in range(outputs):
        for s in range(taps):
            u = j * stride + s * dilation - FAR
            columns[j, s] = min(max(u, 0), size - 1) if mode == "replicate" else turns[mode][u % len(turns[mode])]
    return np.einsum("nchjs,kcs->nkhj", x[..., columns], weight[:, :, 0]), columns


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stride, dilation, taps", [(FAR, 1, 2), (FAR, FAR, 2), (1, FAR, 3), (2**30, 5, 3),
                                                    (2**29 + 1, 2**29, 4)])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_as_far_as_options_go(width, stride, dilation, taps, mode):
    rng = np.random.default_rng(5)
    x, weight = rng.standard_normal((2, 3, 2, width)), rng.standard_normal((4, 3, 1, taps))
    options = far_case(stride, dilation) | {"padding_mode": mode}
    wanted, columns = far_sums(x, weight, stride, dilation, mode)
    begun = time.perf_counter()
    y = fc.conv2d(x, weight, **options)
    grad_output = rng.standard_normal(y.shape)
    grad_x, grad_weight, grad_bias = fc.conv2d_backward(grad_output, x, weight, **options)
    assert time.perf_counter() - begun < 5
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(grad_weight[:, :, 0], np.einsum("nkhj,nchjs->kcs", grad_output, x[..., columns]),
                               rtol=1e-12, atol=1e-12)
    wanted = np.zeros_like(x)
    for (j, s), column in np.ndenumerate(columns):
        wanted[..., column] += np.einsum("nkh,kc->nch", grad_output[..., j], weight[:, :, 0, s])
    np.testing.assert_allclose(grad_x, wanted, rtol=1e-12, atol=1e-12)
    assert fc.explain(x.shape, weight.shape, **options, dtype="float64").workspace <= 8 << 20


@pytest.mark.parametrize("mode", MODES)
def test_a_thin_image_far_inside_its_padding(mode):
    """A million positions fall on a few pixels, and are added up exactly."""
    x, weight = np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)
    options = {"padding": ((0, 0), (1 << 20, 3 << 19)), "padding_mode": mode}
    y = fc.conv2d(x, weight, **options)
    grad_x, grad_weight, _ = fc.conv2d_backward(np.ones_like(y), x, weight, **options)
    assert grad_x.sum() == grad_weight.sum() == y.size
    assert np.abs(grad_x / (y.size // 2) - 1).max() < (1e-6 if mode != "replicate" else 0.5)


def test_memory_far_away():
    """Nothing is as large as the padding."""
    prepare = """
        x, weight = np.ones((1, 1, 1, 3), np.float32), np.ones((1, 1, 1, 3), np.float32)
        options = dict(padding=((0, 0), (2**31 - 1,) * 2), dilation=(1, 2**31 - 1))

        def call():
            for mode in ("reflect", "symmetric", "replicate", "circular"):
                y = fc.conv2d(x, weight, padding_mode=mode, **options)
                fc.conv2d_backward(y, x, weight, padding_mode=mode, **options)
    """
    assert peak_memory(prepare, "call()", threads=1) < 20


def test_a_result_beyond_memory():
    with pytest.raises(MemoryError):
        fc.conv2d(np.ones((1, 1, 1, 3), np.float32), np.ones((1, 1, 1, 3), np.float32), padding=FAR,
                  padding_mode="reflect")


@pytest.mark.parametrize("mode", MODES)
def test_same_bits_for_any_number_of_threads(mode):
    case = cases.ConvCase((2, 24, 9, 7), (20, 24, 3, 3), padding=((21, 3), (5, 16)), padding_mode=mode, stride=(1, 2))
    x, weight, bias, grad_output = case.arrays(dtype=np.float32)
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results.append((fc.conv2d(x, weight, bias, **case.window()),
                            *fc.conv2d_backward(grad_output, x, weight, **case.window())))
    for others in results[1:]:
        for first, other in zip(results[0], others):
            np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("mode", MODES)
def test_plans_and_layers(mode):
    case = cases.ConvCase((2, 3, 4, 5), (6, 3, 3, 3), padding=(7, 9), padding_mode=mode)
    x, weight, bias, grad_output = case.arrays()
    y = fc.conv2d(x, weight, bias, **case.window())
    np.testing.assert_array_equal(fc.plan_conv2d(x.shape, weight, bias, padding=(7, 9), padding_mode=mode)(x), y)
    assert fc.explain(x.shape, weight.shape, padding=(7, 9), padding_mode=mode).padding_mode == mode
    layer = nn.Conv2d(3, 6, 3, padding=(7, 9), padding_mode=mode, dtype="float64")
    layer.weight.data[...], layer.bias.data[...] = weight, bias
    np.testing.assert_array_equal(layer(x), y)
    grad_x = layer.backward(grad_output)
    np.testing.assert_array_equal(grad_x, fc.conv2d_backward(grad_output, x, weight, **case.window())[0])


def test_non_finite_pixels_go_where_they_are_repeated():
    x = np.array([[[[1.0, np.inf, 2.0]]]])
    y = fc.conv2d(x, np.ones((1, 1, 1, 1)), padding=((0, 0), (4, 4)), padding_mode="symmetric")
    np.testing.assert_array_equal(y[0, 0, 0], np.pad(x[0, 0, 0], 4, "symmetric"))
    grad_output = np.zeros(y.shape)
    grad_output[..., 0] = np.nan    # position -4, which repeats pixel 2
    grad_x = fc.conv2d_backward(grad_output, x, np.ones((1, 1, 1, 1)), padding=((0, 0), (4, 4)),
                                padding_mode="symmetric")[0]
    np.testing.assert_array_equal(grad_x[0, 0, 0], [0, 0, np.nan])


@pytest.mark.parametrize("theirs, ours", [
    ("zeros", "constant"), ("edge", "replicate"), ("nearest", "replicate"), ("wrap", "circular"), ("mirror", "reflect"),
])
def test_names_of_others_are_known(theirs, ours):
    with pytest.raises(ValueError, match=f"padding_mode.*{theirs}.*{ours}"):
        fc.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), padding=1, padding_mode=theirs)
