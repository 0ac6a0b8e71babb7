"""CS231n's assignment, before and after: the naive convolution that one writes, and the fast one with its signature.

    python swap_cs231n.py
"""

import time

import numpy as np

from fastconv.adapters.cs231n import conv_backward_fast, conv_forward_fast


def conv_forward_naive(x, w, b, conv_param):
    """The assignment's solution: a sum for each number of the result."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    (n, _, height, width), (f, _, hh, ww) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, f, (height + 2 * pad - hh) // stride + 1, (width + 2 * pad - ww) // stride + 1))
    for image in range(n):
        for k in range(f):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    window = padded[image, :, i * stride:i * stride + hh, j * stride:j * stride + ww]
                    out[image, k, i, j] = np.sum(window * w[k]) + b[k]
    return out, (x, w, b, conv_param)


def main():
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 3, 31, 31)), rng.standard_normal((25, 3, 3, 3)), rng.standard_normal(25)
    conv_param = {"stride": 2, "pad": 1}
    start = time.perf_counter()
    naive, _ = conv_forward_naive(x, w, b, conv_param)
    middle = time.perf_counter()
    fast, cache = conv_forward_fast(x, w, b, conv_param)
    end = time.perf_counter()
    np.testing.assert_allclose(fast, naive, atol=1e-10)
    print(f"naive {(middle - start) * 1e3:.2f} ms, fastconv {(end - middle) * 1e3:.2f} ms")
    dx, dw, db = conv_backward_fast(np.ones_like(fast), cache)
    print("gradients:", dx.shape, dw.shape, db.shape)


if __name__ == "__main__":
    main()
