"""PyTensor's convolution beside its own, with gradients, and what is handed on."""

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("pytensor", reason="PyTensor is not installed")

import pytensor  # noqa: E402
import pytensor.tensor as pt  # noqa: E402
from pytensor.tensor.signal import convolve2d  # noqa: E402

from fastconv.adapters import pytensor as fast  # noqa: E402


def compiled(dtype, mode):
    """The convolution of two matrices, and the gradients of the sum of its squares, as a function."""
    image, kernel = pt.matrix("image", dtype=dtype), pt.matrix("kernel", dtype=dtype)
    y = convolve2d(image, kernel, mode=mode, method="direct")
    results = [y, *pytensor.grad((y**2).sum(), [image, kernel])] if dtype.startswith("float") else [y]
    return pytensor.function([image, kernel], results, mode="FAST_COMPILE")


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_random_calls_give_what_pytensor_gives(mode, dtype):
    own, rng = compiled(dtype, mode), np.random.default_rng(0)
    with fast.enabled():
        function = compiled(dtype, mode)
    fast.report().reset()
    for _ in range(12):
        sizes = rng.integers(1, 12, 2)
        image = (9 * rng.standard_normal(sizes + rng.integers(0, 9, 2))).astype(dtype)
        kernel = (9 * rng.standard_normal(sizes)).astype(dtype)
        pairs = [(image, kernel)] if mode == "same" else [(image, kernel), (kernel, image)]
        for pair in pairs:
            for each, wanted in zip(function(*pair), own(*pair)):
                assert each.dtype == wanted.dtype and each.shape == wanted.shape
                scale = np.abs(wanted).max() + 1e-30
                np.testing.assert_allclose(each / scale, wanted / scale, atol=1e-5 if dtype == "float32" else 1e-12)
    if dtype == "int64" and mode != "same":  # which PyTensor pads, and makes floats of integers by that
        assert set(fast.report().handed_on) == {("convolve2d", "numbers of type int64")}
    else:
        assert fast.report().served["convolve2d"] >= 12 * len(own(*pair)) and fast.report().handed_on == {}


def test_the_switch_goes_back():
    operation = fast.Convolve2d
    before = operation.perform
    with fast.enabled():
        assert operation.perform is fast._perform
    assert operation.perform is before
