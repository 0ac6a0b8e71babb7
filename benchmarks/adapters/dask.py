"""Arrays of Dask: a filter by map_overlap and SciPy, and by `fastconv.adapters.dask`, on threads; then a large image on
a cluster of one worker and of two, each with one thread.

    python -m benchmarks.adapters.dask [--seconds 3] [--size 20000]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import dask.array as da
import numpy as np
import scipy.ndimage
from dask.distributed import Client, LocalCluster

import fastconv.adapters.dask as fast
from benchmarks.adapters.turns import HEADING, in_turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison (default: %(default)s)")
    parser.add_argument("--size", type=int, default=20_000, help="of the large image (default: %(default)s)")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    image = da.from_array(rng.random((2000, 2000)), chunks=(500, 500))
    print(HEADING)
    for taps in (3, 9):
        weights = rng.standard_normal((taps, taps))
        by_scipy = da.map_overlap(scipy.ndimage.correlate, image, depth=taps // 2, boundary="reflect",
                                  dtype=image.dtype, weights=weights)
        ours = fast.correlate(image, weights)
        np.testing.assert_allclose(ours.compute(), by_scipy.compute(), atol=1e-9)
        print(in_turn(f"correlate, 2000 x 2000 in chunks of 500, {taps} x {taps}", by_scipy.compute, ours.compute,
                      options.seconds).row)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = list(client.scheduler_info()["workers"])
        times = [seconds(client, options.size, workers[:count]) for count in (1, 2, 1, 2)]
    one, two = min(times[::2]), min(times[1::2])
    print(f"{options.size} x {options.size}, 31 x 31 and 2 x 2 maxima: one worker {one:.1f} s, two {two:.1f} s, "
          f"{one / two:.2f} times as fast")


def seconds(client: Any, size: int, workers: list[str]) -> float:
    """Until the sum of the blurred, pooled image is there."""
    image = da.random.default_rng(1).random((1, size, size), dtype=np.float32, chunks=(1, 2000, 2000))
    box = np.full((1, 1, 31, 31), 1 / 31**2, np.float32)
    y = fast.max_pool2d(fast.conv2d(image, box, padding="same", padding_mode="reflect"), 2).sum()
    start = time.perf_counter()
    client.compute(y, workers=workers, allow_other_workers=False).result()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
