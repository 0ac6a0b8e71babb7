"""Gradients of a small network by mygrad: with its own convolution and pooling, and with `fastconv.adapters.mygrad`."""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet import conv_nd, max_pool

import fastconv.adapters.mygrad as fast
from benchmarks.adapters.turns import Comparisons


def gradients(arrays: list[Any]) -> list[Any]:
    """Of conv - ReLU - max pooling - conv, with respect to the images and both filters."""
    images, first, second = map(mg.tensor, arrays)
    maps = max_pool(mg.maximum(conv_nd(images, first, stride=1, padding=1), 0), (2, 2), 2)
    (conv_nd(maps, second, stride=1, padding=1) ** 2).sum().backward()
    return [tensor.grad for tensor in (images, first, second)]


def main() -> None:
    comparisons = Comparisons(__doc__)
    rng = np.random.default_rng(0)
    for batch, size in ((1, 28), (16, 32)):
        arrays = [rng.standard_normal(shape, np.float32)
                  for shape in ((batch, 3, size, size), (16, 3, 3, 3), (16, 16, 3, 3))]

        def before(arrays: Any = arrays) -> Any:
            return gradients(arrays)

        def after(arrays: Any = arrays) -> Any:
            with fast.enabled():
                return gradients(arrays)

        for got, expected in zip(after(), before()):
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
        comparisons.add(f"two convolutions and their gradients, {batch} x 3 x {size} x {size}", before, after)


if __name__ == "__main__":
    main()
