"""Keras's NumPy backend, before and after: the same model, with JAX behind its convolutions and with fastconv.

    python swap_keras.py

Where JAX is not installed there is no before: then it shows that the model runs at all.
"""

import importlib.util
import os
import time

os.environ["KERAS_BACKEND"] = "numpy"

import numpy as np

import fastconv.adapters.keras as fast

fast.enable()
import keras  # noqa: E402


def timed(model, images):
    model.predict(images, verbose=0)
    start = time.perf_counter()
    y = model.predict(images, verbose=0)
    return y, time.perf_counter() - start


def main():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D(),
        keras.layers.SeparableConv2D(32, 3, activation="relu"), keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10, activation="softmax"),
    ])
    images = np.random.default_rng(0).random((32, 64, 64, 3), np.float32)
    y, after = timed(model, images)
    print(f"fastconv {after * 1e3:.1f} ms")
    if importlib.util.find_spec("jax"):
        fast.disable()
        expected, before = timed(model, images)
        np.testing.assert_allclose(y, expected, atol=1e-5)
        print(f"JAX {before * 1e3:.1f} ms")
    print(fast.report())


if __name__ == "__main__":
    main()
