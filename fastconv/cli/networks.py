"""The networks that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastconv import nn


class Network(NamedTuple):
    """One of them: the smallest images that it takes, the shape of those that it is known for, the highest learning
    rate of its training by AdamW, and how it is made of channels, classes, the images' size and a seed."""

    title: str
    smallest: int
    usual: tuple[int, int, int]
    lr: float
    make: Callable[[int, int, int, int | None], nn.Module]


#: The form of ResNet-18 for small images serves up to this size.
SMALL = 64

NETWORKS = {
    "lenet5": Network("LeNet-5", 12, (1, 28, 28), 0.008, lambda channels, classes, size, seed:
                      nn.models.lenet5(channels, classes, size, rng=seed)),
    "resnet-small": Network("ResNet-20", 8, (3, 32, 32), 0.003, lambda channels, classes, size, seed:
                            nn.models.resnet_small(classes, channels, rng=seed)),
    "resnet18": Network("ResNet-18", 8, (3, 224, 224), 0.003, lambda channels, classes, size, seed:
                        nn.models.resnet18(classes, channels, size <= SMALL, rng=seed)),
    "mobilenet-v2": Network("MobileNetV2", 32, (3, 224, 224), 0.003, lambda channels, classes, size, seed:
                            nn.models.mobilenet_v2(classes, channels, rng=seed)),
    "vgg11": Network("VGG-11", 32, (3, 224, 224), 0.003, lambda channels, classes, size, seed:
                     nn.models.vgg11(classes, channels, True, hidden=512, rng=seed)),
}
