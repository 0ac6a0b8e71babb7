"""The small ResNets learn as PyTorch's do from the same weights: digits at 32 x 32, step by step."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim

torch = pytest.importorskip("torch")

STEPS, BATCH = 20, 8


def batches(count):
    """Digits as images of 32 x 32, in double precision."""
    digits = data.digits("train")
    for i in range(count):
        some = slice(i * BATCH, (i + 1) * BATCH)
        images = fc.interpolate(np.asarray(digits.images[some], np.float64), (32, 32), mode="bilinear")
        yield images, np.asarray(digits.labels[some], np.int64)


def networks(widths, depth):
    import torch_models

    torch.manual_seed(0)
    theirs = torch_models.ResNet(10, 1, widths=widths, depth=depth, small=True).double().train()
    made = nn.models.resnet18 if widths[0] == 64 else nn.models.resnet_small
    options = {"small": True} if widths[0] == 64 else {}
    ours = made(10, 1, dtype="float64", **options)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return ours, theirs


def curves(ours, theirs, steps):
    """The losses of both, step by step."""
    descent = optim.SGD(ours.parameters(), lr=0.02, momentum=0.9)
    their_descent = torch.optim.SGD(theirs.parameters(), lr=0.02, momentum=0.9)
    loss, losses = nn.CrossEntropyLoss(), []
    for images, labels in batches(steps):
        descent.zero_grad()
        value = loss(ours(images), labels)
        ours.backward(loss.backward(), False)
        descent.step()
        their_descent.zero_grad()
        their_value = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(images)), torch.from_numpy(labels))
        their_value.backward()
        their_descent.step()
        losses.append((value, their_value.item()))
    return np.array(losses).T


def test_resnet_small_learns_as_pytorchs():
    mine, wanted = curves(*networks((16, 32, 64), 3), STEPS)
    np.testing.assert_allclose(mine, wanted, rtol=0.01)
    assert wanted[-5:].mean() < wanted[:5].mean()


@pytest.mark.slow
def test_resnet18_learns_as_pytorchs():
    mine, wanted = curves(*networks((64, 128, 256, 512), 2), STEPS)
    np.testing.assert_allclose(mine, wanted, rtol=0.01)
    assert wanted[-5:].mean() < wanted[:5].mean()
