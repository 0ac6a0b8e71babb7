"""A layer of "Deep Learning from Scratch", before and after.

    python swap_dlfs.py
"""

import time

import numpy as np

from fastconv.adapters import dlfs


class Convolution:
    """As in the book: a matrix of patches, and a product with it."""

    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad

    def forward(self, x):
        fn, _, fh, fw = self.W.shape
        n, _, h, w = x.shape
        oh, ow = (h + 2 * self.pad - fh) // self.stride + 1, (w + 2 * self.pad - fw) // self.stride + 1
        col = dlfs.im2col(x, fh, fw, self.stride, self.pad)
        out = np.dot(col, self.W.reshape(fn, -1).T) + self.b
        return out.reshape(n, oh, ow, -1).transpose(0, 3, 1, 2)


def seconds(layer, x):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        layer.forward(x)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    rng = np.random.default_rng(0)
    x, W, b = rng.random((100, 1, 28, 28)), 0.01 * rng.standard_normal((30, 1, 5, 5)), np.zeros(30)
    before, after = Convolution(W, b), dlfs.Convolution(W, b)
    np.testing.assert_allclose(after.forward(x), before.forward(x), atol=1e-12)
    print(f"the book's {seconds(before, x) * 1e3:.2f} ms, fastconv {seconds(after, x) * 1e3:.2f} ms")
    after.backward(np.ones((100, 30, 24, 24)))
    print("gradients:", after.dW.shape, after.db.shape)


if __name__ == "__main__":
    main()
