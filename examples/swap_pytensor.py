"""PyTensor's convolution, before and after: a function takes what is there when it is compiled.

    python swap_pytensor.py
"""

import time

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.signal import convolve2d

import fastconv.adapters.pytensor as fast


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def main():
    image, kernel = pt.dmatrix("image"), pt.dmatrix("kernel")
    y = convolve2d(image, kernel, method="direct")
    own = pytensor.function([image, kernel], y, mode="FAST_COMPILE")
    with fast.enabled():
        function = pytensor.function([image, kernel], y, mode="FAST_COMPILE")
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((300, 300)), rng.standard_normal((9, 9))
    expected, before = timed(own, *arrays)
    y, after = timed(function, *arrays)
    np.testing.assert_allclose(y, expected, atol=1e-10)
    print(f"SciPy {before * 1e3:.2f} ms, fastconv {after * 1e3:.2f} ms")
    print(fast.report())


if __name__ == "__main__":
    main()
