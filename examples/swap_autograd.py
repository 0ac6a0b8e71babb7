"""autograd's convolution, before and after: the gradient of a convolutional layer.

    python swap_autograd.py
"""

import time

import autograd.numpy as np
import autograd.scipy.signal
from autograd import grad

import fastconv.adapters.autograd as fast


def loss(filters, images):
    """The sum of squares of the maps of 4 images with 3 channels each."""
    maps = autograd.scipy.signal.convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
    return np.sum(maps**2)


def timed(filters, images):
    start = time.perf_counter()
    gradient = grad(loss)(filters, images)
    return gradient, time.perf_counter() - start


def main():
    rng = np.random.RandomState(0)
    images, filters = rng.randn(4, 3, 32, 32), rng.randn(3, 8, 5, 5)
    gradient, before = timed(filters, images)
    with fast.enabled():
        again, after = timed(filters, images)
    assert np.allclose(again, gradient, rtol=1e-10)
    print(f"the gradient by autograd's own {before * 1e3:.2f} ms, fastconv {after * 1e3:.2f} ms")
    print(fast.report())


if __name__ == "__main__":
    main()
