"""Time to an accuracy on the bundled digits (28 x 28): scikit-learn's MLPClassifier, and `fastconv.adapters.sklearn`.

Both train epoch by epoch, with `partial_fit` and their default settings, until they recognise so many test digits.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier  # type: ignore[import-untyped]

from fastconv import data
from fastconv.adapters.sklearn import CNNClassifier

TARGET = 0.95
MOST_EPOCHS = 30


def seconds_to_target(model: Any, train: Any, test: Any) -> tuple[int, float, float]:
    """Epochs, seconds and the last accuracy."""
    classes, epoch, seconds, score = np.unique(train[1]), 0, 0.0, 0.0
    while score < TARGET and epoch < MOST_EPOCHS:
        start = time.perf_counter()
        model.partial_fit(*train, classes=classes)
        seconds += time.perf_counter() - start
        epoch, score = epoch + 1, model.score(*test)
    return epoch, seconds, score


def main() -> None:
    train, test = ((digits.images.reshape(len(digits.images), -1), digits.labels)
                   for digits in (data.digits("train"), data.digits("test")))
    for name, model in (("MLPClassifier", MLPClassifier(random_state=0)),
                        ("CNNClassifier", CNNClassifier(image_shape=(28, 28), random_state=0))):
        epochs, seconds, score = seconds_to_target(model, train, test)
        print(f"{name}: {score:.2%} after {epochs} epochs, {seconds:.2f} s")


if __name__ == "__main__":
    main()
