"""The gradient of maxima whose windows overlap, where neighbours in a row of outputs mostly have the same index."""

import numpy as np
import pytest
from processes import check_with_isa

import fastconv as fc
from fastconv._core.runtime import isa

# Windows whose sums are added in runs, in vectors or one by one, and one whose sums need double precision.
WINDOWS = {"5": (5, 1), "9": (9, 1), "9 / 2": (9, 2), "16": (16, 1), "3": (3, 1), "20": (20, 1)}
CHANNELS = [1, 3, 8, 17, 70]    # a plane, thin pixels, vectors and parts of them, more than four vectors
FORMATS = ["NCHW", "NHWC"]


def runs_of(rng, shape, length, pixels):
    """Indices of which so many neighbours in a row are the same."""
    starts = rng.integers(0, pixels, (*shape[:-1], -(-shape[-1] // length)))
    return np.repeat(starts, length, axis=-1)[..., :shape[-1]]


def in_format(array, data_format):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if data_format == "NHWC" else array


def check(window, channels, data_format):
    (kernel_size, stride), padding = WINDOWS[window], WINDOWS[window][0] // 2
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal((2, channels, 24, 41)), 1).astype(np.float32)    # with pixels that are equal
    options = {"stride": stride, "padding": padding}
    y, maxima = fc.max_pool2d(x, kernel_size, return_indices=True, **options)
    grad = np.abs(rng.standard_normal(y.shape)).astype(np.float32)
    planes = np.arange(2 * channels)[:, None]
    for indices in (maxima, np.zeros_like(maxima), *(runs_of(rng, y.shape, length, 24 * 41) for length in (1, 3, 40))):
        near = 1e-6 if indices is maxima else 1e-5    # a pixel may get far more than there are windows that reach it
        expected = np.zeros((2 * channels, 24 * 41))
        np.add.at(expected, (planes, indices.reshape(2 * channels, -1)),
                  grad.reshape(2 * channels, -1).astype(np.float64))
        grad_x = fc.max_pool2d_backward(in_format(grad, data_format), in_format(indices, data_format),
                                        in_format(x, data_format).shape, kernel_size, **options,
                                        data_format=data_format)
        np.testing.assert_allclose(grad_x, in_format(expected.reshape(x.shape), data_format), rtol=near)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("window", WINDOWS)
def test_gradient(window, channels, data_format):
    check(window, channels, data_format)


def check_all():
    for window in WINDOWS:
        for channels in CHANNELS:
            for data_format in FORMATS:
                check(window, channels, data_format)


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_all)


@pytest.mark.parametrize("wrong", [-1, 24 * 41, 2**31 - 1, 2**31, 2**32, 2**32 + 5, -2**32, -2**63])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("channels", [1, 3, 17, 70])
def test_indices_outside_the_plane(channels, data_format, wrong):
    """Wherever one is, and however many sums are listed before it."""
    x = in_format(np.zeros((1, channels, 24, 41), np.float32), data_format)
    for place in (0, 1, -1, 24 * 41 * channels // 2):
        indices = np.random.default_rng(0).integers(0, 24 * 41, x.shape)
        indices.flat[place] = wrong
        with pytest.raises(ValueError, match="indices"):
            fc.max_pool2d_backward(x, indices, x.shape, 9, stride=1, padding=4, data_format=data_format)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("channels", [1, 17])
def test_what_is_not_finite_stays_in_its_pixel(channels, data_format):
    indices = np.random.default_rng(0).integers(0, 24 * 41 // 2, (1, channels, 24, 41)) * 2    # of even pixels
    grad = np.ones(indices.shape, np.float32)
    grad[0, :, 3, 7], grad[0, :, 9, 0] = np.nan, np.inf
    indices[0, :, 3, 7], indices[0, :, 9, 0] = 11, 13
    grad_x = fc.max_pool2d_backward(*(in_format(a, data_format) for a in (grad, indices)),
                                    in_format(grad, data_format).shape, 9, stride=1, padding=4, data_format=data_format)
    planes = (grad_x if data_format == "NCHW" else grad_x.transpose(0, 3, 1, 2)).reshape(channels, -1)
    assert np.isnan(planes[:, 11]).all()
    assert np.isinf(planes[:, 13]).all()
    assert np.isfinite(np.delete(planes, [11, 13], axis=1)).all()
