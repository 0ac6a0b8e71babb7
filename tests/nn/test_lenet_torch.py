"""A LeNet beside PyTorch's: the same weights in, the same outputs, gradients, and weights after 20 steps."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

torch = pytest.importorskip("torch", reason="compares with PyTorch")


@pytest.fixture(autouse=True)
def one_thread_each():
    """Two libraries' threads waiting for each other cost seconds on a small machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with fc.num_threads(1):
        yield
    torch.set_num_threads(threads)


RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((20, 16, 1, 28, 28)).astype(np.float32)
LABELS = RNG.integers(0, 10, (20, 16))


def pair(dtype):
    """The same network twice, with the same weights."""
    ours = nn.models.lenet5(rng=0, dtype=dtype)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(400, 120), torch.nn.ReLU(), torch.nn.Linear(120, 84), torch.nn.ReLU(), torch.nn.Linear(84, 10),
        torch.nn.LogSoftmax(1),
    ).to(getattr(torch, dtype))  # fmt: skip
    theirs.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-12)])
def test_outputs_and_gradients(dtype, tolerance):
    ours, theirs = pair(dtype)
    x = IMAGES[0].astype(dtype)
    x_theirs = torch.from_numpy(x.copy()).requires_grad_()
    loss = nn.NLLLoss()
    output, expected = ours(x), theirs(x_theirs)
    np.testing.assert_allclose(output, expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    value = torch.nn.functional.nll_loss(expected, torch.from_numpy(LABELS[0]))
    value.backward()
    assert float(loss(output, LABELS[0])) == pytest.approx(value.item(), rel=tolerance)
    grad_x = ours.backward(loss.backward())
    grads = [grad_x, *(parameter.grad for parameter in ours.parameters())]
    wanted = [x_theirs.grad, *(parameter.grad for parameter in theirs.parameters())]
    for got, want in zip(grads, wanted, strict=True):
        scale = float(want.abs().max())
        np.testing.assert_allclose(got, want.numpy(), rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name, options", [
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    ("Adam", dict(lr=1e-3)),
])  # fmt: skip
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-3), ("float64", 1e-9)])
def test_weights_after_20_steps(name, options, dtype, tolerance):
    ours, theirs = pair(dtype)
    before = {key: array.copy() for key, array in ours.state_dict().items()}
    optimizer, loss = getattr(optim, name)(ours.parameters(), **options), nn.NLLLoss()
    reference = getattr(torch.optim, name)(theirs.parameters(), **options)
    for x, labels in zip(IMAGES.astype(dtype), LABELS):
        optimizer.zero_grad()
        loss(ours(x), labels)
        ours.backward(loss.backward(), needs_input_grad=False)
        optimizer.step()
        reference.zero_grad()
        torch.nn.functional.nll_loss(theirs(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
        reference.step()
    for key, tensor in theirs.state_dict().items():
        expected = tensor.numpy()
        moved = np.abs(expected - before[key]).max()
        assert moved > 0
        np.testing.assert_allclose(ours.state_dict()[key], expected, rtol=0, atol=tolerance * moved, err_msg=key)
