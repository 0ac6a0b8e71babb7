"""A filter over an image in chunks: by hand with Dask's map_overlap, and by fastconv.

    python swap_dask.py
"""

import time

import dask.array as da
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastconv.adapters import dask as fast


def by_hand(chunk, weights):
    """Correlation of a chunk that has the pixels around it, which map_overlap takes off again."""
    rows, columns = (size // 2 for size in weights.shape)
    inside = np.einsum("ijrs,rs->ij", sliding_window_view(chunk, weights.shape), weights)
    return np.pad(inside, ((rows, rows), (columns, columns)))


def timed(array):
    start = time.perf_counter()
    result = array.compute()
    return result, time.perf_counter() - start


def main():
    rng = np.random.default_rng(0)
    image = da.from_array(rng.random((1500, 1500)), chunks=(500, 500))
    weights = rng.standard_normal((9, 9))
    expected, before = timed(da.map_overlap(by_hand, image, depth=4, boundary="reflect", dtype=image.dtype,
                                            weights=weights))
    y, after = timed(fast.correlate(image, weights))
    np.testing.assert_allclose(y, expected, atol=1e-9)
    print(f"NumPy {before * 1e3:.0f} ms, fastconv {after * 1e3:.0f} ms")
    print(fast.report())


if __name__ == "__main__":
    main()
