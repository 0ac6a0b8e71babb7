"""Whole networks: their training steps and predictions are timed, of batches of one image and of 64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

CLASSES = 10


class Conv(NamedTuple):
    """Filters of size x size pixels with a bias, and zeros around the image."""

    filters: int
    size: int
    padding: int = 0


class Linear(NamedTuple):
    features: int


Layer = Conv | Linear | str  # "relu", "pool" (the largest of 2 x 2 pixels) or "flatten"


class Network(NamedTuple):
    """`batch` images of channels, rows and columns; the last layer's scores go through a log-softmax."""

    title: str
    batch: int
    image: tuple[int, int, int]
    layers: tuple[Layer, ...]

    def parts(self) -> Iterator[tuple[Layer, int]]:
        """The layers, each with the channels or the features that it takes."""
        width, rows, cols = self.image
        for layer in self.layers:
            yield layer, width
            if isinstance(layer, Conv):
                shrinks = 2 * layer.padding - layer.size + 1
                width, rows, cols = layer.filters, rows + shrinks, cols + shrinks
            elif isinstance(layer, Linear):
                width = layer.features
            elif layer == "pool":
                rows, cols = rows // 2, cols // 2
            elif layer == "flatten":
                width = width * rows * cols


def _classifier(*features: int) -> list[Layer]:
    hidden = [layer for width in features for layer in (Linear(width), "relu")]
    return ["flatten", *hidden, Linear(CLASSES)]


def _block(*convolutions: Conv) -> list[Layer]:
    return [*(layer for convolution in convolutions for layer in (convolution, "relu")), "pool"]


_NETWORKS = {
    "lenet": ("LeNet-5", (1, 28, 28), [*_block(Conv(6, 5, 2)), *_block(Conv(16, 5)), *_classifier(120, 84)]),
    "mnist": ("two 3 × 3 layers for digits", (1, 28, 28),
              [*_block(Conv(32, 3, 1)), *_block(Conv(64, 3, 1)), *_classifier(128)]),
    "cifar": ("four 3 × 3 layers for CIFAR-10", (3, 32, 32),
              [*_block(Conv(32, 3, 1), Conv(32, 3, 1)), *_block(Conv(64, 3, 1), Conv(64, 3, 1)), *_classifier(256)]),
}
NETWORKS = {f"{name}-net-{batch}": Network(title, batch, image, tuple(layers))
            for name, (title, image, layers) in _NETWORKS.items() for batch in (64, 1)}


def describe(name: str) -> str:
    network = NETWORKS[name]
    return f"{network.title}, batch {network.batch}"
