"""SciPy's filters before and after `fastconv.adapters.scipy.patched()`.

    python -m benchmarks.adapters.scipy [--seconds 2] [--only gaussian]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.signal

from benchmarks.adapters.turns import Comparisons
from fastconv.adapters.scipy import patched


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is timed, each with its name."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((5, 5))
    for dtype in (np.float32, np.float64, np.uint8):
        image = (rng.random((2048, 2048)) * 255).astype(dtype)
        about = f"2048 x 2048, {image.dtype}"
        if dtype == np.uint8:
            yield f"correlate 5 x 5 to float32, {about}", lambda x=image: scipy.ndimage.correlate(x, kernel, np.float32)
            continue
        yield f"correlate 5 x 5, {about}", lambda x=image: scipy.ndimage.correlate(x, kernel)
        yield f"gaussian_filter 2, {about}", lambda x=image: scipy.ndimage.gaussian_filter(x, 2)
        yield f"uniform_filter 5, {about}", lambda x=image: scipy.ndimage.uniform_filter(x, 5)
        yield f"sobel, {about}", lambda x=image: scipy.ndimage.sobel(x)
        yield f"laplace, {about}", lambda x=image: scipy.ndimage.laplace(x)
    volume = rng.standard_normal((64, 128, 128), np.float32)
    yield "correlate 3 x 3 x 3, 64 x 128 x 128", lambda: scipy.ndimage.correlate(volume, np.full((3, 3, 3), 1 / 27))
    for dtype in (np.float32, np.float64):
        image, window = rng.standard_normal((1024, 1024)).astype(dtype), rng.standard_normal((15, 15)).astype(dtype)
        yield f"convolve2d 15 x 15, 1024 x 1024, {image.dtype}", lambda x=image, w=window: scipy.signal.convolve2d(x, w)
    small = rng.standard_normal((32, 32))
    yield "correlate 5 x 5, 32 x 32, float64", lambda: scipy.ndimage.correlate(small, kernel)


def main() -> None:
    comparisons = Comparisons(__doc__, seconds=2.0)
    for name, call in calls():

        def after(call: Callable[[], Any] = call) -> None:
            with patched():
                call()

        comparisons.add(name, call, after)


if __name__ == "__main__":
    main()
