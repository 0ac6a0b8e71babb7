"""SciPy's filters before and after one line: the same calls, computed by fastconv.

    python scipy_patch.py [--size 1024]

Edges of a picture by a difference of Gaussians, as an image-processing script has them: nothing in `edges` knows of
fastconv.
"""

import argparse
import time

import numpy as np
import scipy.ndimage
import scipy.signal

from fastconv.adapters.scipy import patched


def edges(image):
    """Where a smoothed picture changes, sharpened by a filter of 15 x 15."""
    blob = scipy.ndimage.gaussian_filter(image, 2) - scipy.ndimage.gaussian_filter(image, 4)
    window = np.outer(np.hanning(17)[1:-1], np.hanning(17)[1:-1]).astype(image.dtype)
    slope = np.hypot(scipy.ndimage.sobel(blob, 0), scipy.ndimage.sobel(blob, 1))
    return scipy.signal.convolve2d(slope, window, "same", "symm")


def timed(image):
    start = time.perf_counter()
    result = edges(image)
    return result, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1024, help="side of the picture")
    size = parser.parse_args().size
    image = np.random.default_rng(0).random((size, size), np.float32)
    want, before = timed(image)
    with patched() as report:
        timed(image)
        got, after = timed(image)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    print(f"SciPy alone {before * 1e3:.0f} ms, through fastconv {after * 1e3:.0f} ms")
    print(report)


if __name__ == "__main__":
    main()
