"""Prediction by a small network on Keras's NumPy backend: with JAX behind its convolutions, and with
`fastconv.adapters.keras`. Needs JAX for the former."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import fastconv.adapters.keras as fast
from benchmarks.adapters.turns import Comparisons

os.environ["KERAS_BACKEND"] = "numpy"


def main() -> None:
    comparisons = Comparisons(__doc__)
    fast.enable()
    import keras

    model = keras.Sequential([
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(),
        keras.layers.SeparableConv2D(64, 3, activation="relu"), keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10, activation="softmax"),
    ])
    for batch in (1, 32):
        images = np.random.default_rng(0).random((batch, 64, 64, 3), np.float32)

        def before(images: Any = images) -> Any:
            fast.disable()
            return model(images)

        def after(images: Any = images) -> Any:
            with fast.enabled():
                return model(images)

        np.testing.assert_allclose(after(), before(), atol=1e-4)
        comparisons.add(f"prediction of {batch} images of 64 x 64", before, after)


if __name__ == "__main__":
    main()
