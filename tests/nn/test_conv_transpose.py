"""Transposed convolution layers: files, PyTorch's weights, what is counted, what is refused."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

LAYERS = {2: nn.ConvTranspose2d}


def decoder():
    return nn.Sequential(nn.ConvTranspose2d(8, 6, 4, rng=0), nn.ReLU(),
                         nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, rng=1, bias=False), nn.Tanh(),
                         nn.ConvTranspose2d(4, 2, 2, 2, "same", groups=2, rng=2))


def test_files(tmp_path):
    model, x = decoder(), np.random.default_rng(0).standard_normal((2, 8, 1, 1)).astype(np.float32)
    path = tmp_path / "decoder.npz"
    fc.save(model, path)
    again = fc.load(path)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again(x), model.eval()(x))


@pytest.mark.parametrize("axes", LAYERS)
def test_as_torch(axes):
    torch = pytest.importorskip("torch")
    for options in ({}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2, "dilation": 2, "bias": False}):
        theirs = getattr(torch.nn, f"ConvTranspose{axes}d")(4, 6, 3, **options)
        ours = LAYERS[axes](4, 6, 3, **options)
        state = theirs.state_dict()
        assert {name: value.shape for name, value in ours.state_dict().items()} == {
            name: tuple(value.shape) for name, value in state.items()}
        ours.load_state_dict({name: value.numpy() for name, value in state.items()})
        x = np.random.default_rng(0).standard_normal((2, 4, *[5] * axes)).astype(np.float32)
        tx = torch.tensor(x, requires_grad=True)
        ty = theirs(tx)
        y = ours(x)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-5, atol=1e-6)
        ty.sum().backward()
        np.testing.assert_allclose(ours.backward(np.ones_like(y)), tx.grad.numpy(), rtol=1e-5, atol=1e-5)
        for (name, parameter), (_, tensor) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            np.testing.assert_allclose(parameter.grad, tensor.grad.numpy(), rtol=1e-5, atol=1e-4, err_msg=name)


def test_products_are_those_of_the_input():
    for options, size in (({}, 5), ({"stride": 2, "padding": 1, "output_padding": 1}, 5),
                          ({"stride": 3, "padding": "same"}, 4), ({"stride": 4, "padding": "same"}, 6)):
        layer = nn.ConvTranspose2d(4, 6, 3, rng=0, **options)
        y = layer(np.zeros((1, 4, size, size), np.float32))
        assert layer.multiply_adds(y.shape[1:]) == size**2 * layer.weight.data.size
    assert "ConvTranspose2d" in str(decoder().summary((8, 1, 1)))


@pytest.mark.parametrize(("options", "argument"), [
    ({"groups": 3}, "groups"), ({"output_padding": 1}, "output_padding"), ({"stride": 0}, "stride"),
    ({"padding": "full"}, "padding"), ({"data_format": "NHCW"}, "data_format"), ({"bias": 1}, "bias")])
def test_refusals(options, argument):
    with pytest.raises((TypeError, ValueError), match=rf"\b{argument}\b"):
        nn.ConvTranspose2d(4, 6, 3, **options)
