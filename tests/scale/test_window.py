"""Functions of one's own over bands, which their window describes."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

BOX = np.full((1, 1, 5, 5), 1 / 25, np.float32)


def blurred_and_pooled(image):
    return fc.max_pool2d(fc.conv2d(image[None], BOX, algorithm="gemm"), 2)[0]


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "replicate", "circular"])
def test_a_chain_is_one_window(mode):
    x = np.random.default_rng(0).integers(0, 256, (120, 77), np.uint8)
    padded = np.pad(x, 2, {"replicate": "edge", "circular": "wrap"}.get(mode, mode)).astype(np.float32)
    expected = blurred_and_pooled(padded)
    out = fc.blockwise(blurred_and_pooled, x, np.empty((60, 38), np.float32), memory=20_000,
                       window=fc.Window(6, stride=2, padding=2, padding_mode=mode))
    np.testing.assert_array_equal(out, expected)


def test_a_network_without_padding():
    """Windows of 3, of 2 with stride 2, of 3: 3 + 1 + 2 * 2 taps, stride 2."""
    rng = np.random.default_rng(1)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3, rng=rng)).eval()
    x = rng.random((2, 3, 90, 40), np.float32)
    expected = model(x)
    out = fc.blockwise(model, x, np.empty_like(expected), memory=40_000, window=fc.Window(8, stride=2))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("data_format", "shape"), [("NCL", (3, 100)), ("NLC", (100, 3)), ("NCDHW", (2, 30, 5, 6)),
                                                    ("NHWC", (30, 5, 3)), ("NCHW", (30, 5))])
def test_numbers_one_by_one(data_format, shape):
    x = np.random.default_rng(2).random(shape, np.float32)
    out = fc.blockwise(np.sqrt, x, np.empty_like(x), memory=1000, window=fc.Window(1, data_format=data_format))
    np.testing.assert_array_equal(out, np.sqrt(x))


@pytest.mark.parametrize(("window", "words"), [
    (dict(kernel_size=0), "kernel_size must be at least 1"),
    (dict(kernel_size=(3, 3, 3)), "kernel_size must be one integer or 2 of them"),
    (dict(kernel_size=50), "kernel_size does not fit into source"),
    (dict(kernel_size=3, data_format="HW"), "data_format must be one of 'NCL'"),
    (dict(kernel_size=3, data_format="NCDHW"), "source must have 3 to 5 axes"),
    (dict(kernel_size=3, padding_mode="mirror"), "padding_mode must be one of"),
    (dict(kernel_size=5), "out must have 2 axes, and 26 x 16 numbers from axis 0 on"),
])
def test_a_bad_window_is_refused(window, words):
    with pytest.raises(ValueError, match=words):
        fc.blockwise(np.sqrt, np.zeros((30, 20)), np.zeros((28, 18)), window=fc.Window(**window))


def test_a_result_that_the_window_does_not_say():
    with pytest.raises(ValueError, match=r"fn must return an array of shape \(28, 18\).* got \(30, 20\)"):
        fc.blockwise(np.sqrt, np.zeros((30, 20)), np.zeros((28, 18)), window=fc.Window(3))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("written", [False, True])
def test_source_stays_as_it_is(dtype, written):
    """A function may write to its image, and what it returns may be that image, which is rounded for out."""
    def doubled(image):
        if not written:
            return image
        image *= 2
        return image

    image = np.random.default_rng(0).random((20, 9), np.float32)
    before, out = image.copy(), np.empty(image.shape, dtype)
    fc.blockwise(doubled, image, out, window=fc.Window(1), memory=600)
    assert np.array_equal(image, before)
    assert np.array_equal(out, np.rint(before * (1 + written)) if dtype == np.uint8 else before * (1 + written))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float16])
def test_a_result_of_any_numbers(dtype):
    """It is not written to: it may be an array that the function keeps, or a read-only one."""
    kept = np.array([[0, 1], [1, 100]]).astype(dtype)
    kept.flags.writeable = False
    for out in (np.empty((2, 2), np.uint8), np.empty((2, 2), np.uint16), np.empty((2, 2))):
        fc.blockwise(lambda image: kept, np.zeros((2, 2)), out, window=fc.Window(1))
        assert np.array_equal(out, kept)


@pytest.mark.parametrize("dtype", [complex, object, str])
def test_a_result_must_be_real_numbers(dtype):
    with pytest.raises(TypeError, match="fn must return an array of real numbers, got"):
        fc.blockwise(lambda image: image.astype(dtype), np.zeros((3, 3)), np.zeros((3, 3)), window=fc.Window(1))
