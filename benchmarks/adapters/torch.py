"""PyTorch before and after `fastconv.adapters.torch.enable()`: steps of training, and inference.

    python -m benchmarks.adapters.torch [--seconds 20] [--only vgg]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.adapters.torch_networks import resnet18, vgg11
from benchmarks.adapters.turns import Comparisons
from fastconv.adapters.torch import disable, enable


def step(model: nn.Module, x: Any, labels: Any) -> Callable[[], None]:
    """A step of gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def run() -> None:
        model.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return run


def inference(model: nn.Module, x: Any) -> Callable[[], None]:
    def run() -> None:
        model.eval()
        with torch.no_grad():
            model(x)

    return run


def calls() -> Iterator[tuple[str, Callable[[], None]]]:
    """What is timed, each with its name."""
    torch.manual_seed(0)
    resnet, images = resnet18(), torch.randn(32, 3, 32, 32)
    labels = torch.randint(10, (32,))
    yield "resnet18 32 x 3 x 32 x 32, training step", step(resnet, images, labels)
    yield "resnet18 32 x 3 x 32 x 32, inference", inference(resnet, images)
    last = resnet18().to(memory_format=torch.channels_last)
    yield "resnet18 channels_last, training step", step(last, images.to(memory_format=torch.channels_last), labels)
    yield "resnet18 channels_last, inference", inference(last, images.to(memory_format=torch.channels_last))
    vgg, images = vgg11(), torch.randn(8, 3, 224, 224)
    yield "vgg11 8 x 3 x 224 x 224, training step", step(vgg, images, torch.randint(1000, (8,)))
    yield "vgg11 8 x 3 x 224 x 224, inference", inference(vgg, images)


def main() -> None:
    comparisons = Comparisons(__doc__, seconds=20.0)
    for name, call in calls():

        def before(call: Callable[[], None] = call) -> None:
            disable()
            call()

        def after(call: Callable[[], None] = call) -> None:
            enable()
            call()

        try:
            comparisons.add(name, before, after)
        finally:
            disable()


if __name__ == "__main__":
    main()
