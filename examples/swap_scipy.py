"""fastconv in the place of two slow convolutions: SciPy's convolve2d, and an im2col in NumPy as courses have it.

    python swap_scipy.py

Each has the signature of what it replaces. The script compares the results and prints both times.
"""

import time

import numpy as np
import scipy.signal

import fastconv as fc


def convolve2d(image, kernel, mode="full", fillvalue=0.0):
    """`scipy.signal.convolve2d` with boundary="fill": the kernel is turned around, the border has a constant value."""
    r, s = kernel.shape
    padding = {
        "full": ((r - 1, r - 1), (s - 1, s - 1)),
        "same": ((r // 2, (r - 1) // 2), (s // 2, (s - 1) // 2)),
        "valid": 0,
    }[mode]
    return fc.conv2d(image[None], kernel[None, None, ::-1, ::-1], padding=padding, padding_value=fillvalue)[0]


def im2col_conv(x, weight, bias, stride=1, pad=0):
    """What is replaced: the patches as a matrix of N*OH*OW rows, and a matrix product."""
    n, c, h, w = x.shape
    k, _, r, s = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    oh, ow = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
    columns = np.empty((n, c, r, s, oh, ow), x.dtype)
    for i in range(r):
        for j in range(s):
            columns[:, :, i, j] = padded[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride]
    columns = columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)
    y = columns @ weight.reshape(k, -1).T + bias
    return y.reshape(n, oh, ow, k).transpose(0, 3, 1, 2)


def conv(x, weight, bias, stride=1, pad=0):
    """The same in one call, without the matrix."""
    return fc.conv2d(x, weight, bias, stride=stride, padding=pad)


def seconds(function, *arguments, **options):
    """The best of five runs."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function(*arguments, **options)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    rng = np.random.default_rng(0)
    image, kernel = rng.standard_normal((512, 512)), rng.standard_normal((9, 9))
    for mode in ("full", "same", "valid"):
        np.testing.assert_allclose(convolve2d(image, kernel, mode),
                                   scipy.signal.convolve2d(image, kernel, mode), atol=1e-10)
    before, after = seconds(scipy.signal.convolve2d, image, kernel), seconds(convolve2d, image, kernel)
    print(f"scipy.signal.convolve2d, 512 x 512, 9 x 9:       {before * 1e3:8.2f} ms, fastconv {after * 1e3:6.2f} ms")

    x = rng.standard_normal((16, 32, 56, 56), np.float32)
    weight, bias = rng.standard_normal((64, 32, 3, 3), np.float32), np.zeros(64, np.float32)
    np.testing.assert_allclose(conv(x, weight, bias, pad=1), im2col_conv(x, weight, bias, pad=1), rtol=1e-3, atol=1e-3)
    before, after = seconds(im2col_conv, x, weight, bias, pad=1), seconds(conv, x, weight, bias, pad=1)
    print(f"im2col, 16 x 32 x 56 x 56, 64 filters of 3 x 3:  {before * 1e3:8.2f} ms, fastconv {after * 1e3:6.2f} ms")


if __name__ == "__main__":
    main()
