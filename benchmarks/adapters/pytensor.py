"""A convolution and its gradients in PyTensor: with SciPy behind it, and with `fastconv.adapters.pytensor`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.signal import convolve2d

import fastconv.adapters.pytensor as fast
from benchmarks.adapters.turns import Comparisons


def main() -> None:
    comparisons = Comparisons(__doc__)
    image, kernel = pt.dmatrix("image"), pt.dmatrix("kernel")
    y = convolve2d(image, kernel, mode="valid")
    results = [y, *pytensor.grad((y**2).sum(), [image, kernel])]
    own = pytensor.function([image, kernel], results, mode="FAST_COMPILE")
    with fast.enabled():
        function = pytensor.function([image, kernel], results, mode="FAST_COMPILE")
    rng = np.random.default_rng(0)
    for size, taps in ((128, 3), (256, 9)):
        arrays = rng.standard_normal((size, size)), rng.standard_normal((taps, taps))

        def before(arrays: Any = arrays) -> Any:
            return own(*arrays)

        def after(arrays: Any = arrays) -> Any:
            return function(*arrays)

        for got, expected in zip(after(), before()):
            np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
        comparisons.add(f"convolve2d with gradients, {size} x {size}, {taps} x {taps}", before, after)


if __name__ == "__main__":
    main()
