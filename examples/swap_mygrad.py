"""mygrad's convolution and pooling, before and after: the gradient of a small network.

    python swap_mygrad.py
"""

import time

import mygrad as mg
import numpy as np
from mygrad.nnet import conv_nd, max_pool

import fastconv.adapters.mygrad as fast


def gradient(images, filters):
    """Of the sum of squares of the largest of each four numbers of the maps; the shortest time of three."""
    times = []
    for _ in range(3):
        tensor, start = mg.tensor(filters), time.perf_counter()
        (max_pool(conv_nd(images, tensor, stride=1, padding=1), (2, 2), 2) ** 2).sum().backward()
        times.append(time.perf_counter() - start)
    return tensor.grad, min(times)


def main():
    rng = np.random.default_rng(0)
    images, filters = rng.standard_normal((8, 3, 32, 32)), rng.standard_normal((16, 3, 3, 3))
    own, before = gradient(images, filters)
    with fast.enabled():
        ours, after = gradient(images, filters)
    np.testing.assert_allclose(ours, own, rtol=1e-10)
    print(f"the gradient by mygrad's own {before * 1e3:.2f} ms, fastconv {after * 1e3:.2f} ms")
    print(fast.report())


if __name__ == "__main__":
    main()
