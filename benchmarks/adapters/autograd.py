"""Gradients of a convolutional layer by autograd: with its own `convolve`, and with `fastconv.adapters.autograd`."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import autograd.scipy.signal as host
import numpy as np
from autograd import grad

import fastconv.adapters.autograd as fast
from benchmarks.adapters.turns import Comparisons


def loss(filters: Any, images: Any) -> Any:
    maps = host.convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
    return anp.sum(maps**2)


def main() -> None:
    comparisons = Comparisons(__doc__)
    rng = np.random.RandomState(0)
    for x_shape, w_shape in (((16, 1, 28, 28), (1, 6, 5, 5)), ((8, 16, 14, 14), (16, 16, 3, 3))):
        images, filters = rng.standard_normal(x_shape), rng.standard_normal(w_shape)

        def before(filters: Any = filters, images: Any = images) -> Any:
            return grad(loss)(filters, images)

        def after(filters: Any = filters, images: Any = images) -> Any:
            with fast.enabled():
                return grad(loss)(filters, images)

        np.testing.assert_allclose(after(), before(), rtol=1e-9)
        comparisons.add(f"gradient of convolve, {x_shape}, {w_shape}", before, after)


if __name__ == "__main__":
    main()
