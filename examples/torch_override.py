"""A training in PyTorch before and after one line: the same steps, computed by fastconv.

    python torch_override.py [--steps 10]
"""

import argparse
import time

import torch
from torch import nn

import fastconv.adapters.torch


def network():
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 10))


def train(steps):
    """The losses, and the seconds of a step. Nothing here knows of fastconv."""
    torch.manual_seed(0)
    model, images, labels = network(), torch.randn(32, 3, 32, 32), torch.randint(10, (32,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses, seconds = [], []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return losses, min(seconds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    steps = parser.parse_args().steps
    want, before = train(steps)
    with fastconv.adapters.torch.enabled() as report:
        got, after = train(steps)
    torch.testing.assert_close(torch.tensor(got), torch.tensor(want), rtol=1e-3, atol=1e-3)
    print(f"a step: PyTorch alone {before * 1e3:.0f} ms, through fastconv {after * 1e3:.0f} ms")
    print(f"loss: {got[0]:.3f} to {got[-1]:.3f}")
    print(report)


if __name__ == "__main__":
    main()
