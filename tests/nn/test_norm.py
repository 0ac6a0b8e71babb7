"""Normalisation layers: what a training does to their statistics, modes, state, files; beside PyTorch step by step."""

import copy
import pickle

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

RNG = np.random.default_rng(0)
SHAPES = {nn.BatchNorm1d: {"NC": (6, 4), "NCL": (3, 4, 5), "NLC": (3, 5, 4)},
          nn.BatchNorm2d: {"NCHW": (3, 4, 5, 6), "NHWC": (3, 5, 6, 4)},
          nn.BatchNorm3d: {"NCDHW": (2, 4, 3, 5, 2), "NDHWC": (2, 3, 5, 2, 4)}}
CASES = [(kind, data_format, shape) for kind, shapes in SHAPES.items() for data_format, shape in shapes.items()]


def made(kind, data_format, **options):
    return kind(4, data_format="NCL" if data_format == "NC" else data_format, **options)


def drawn(shape, dtype=np.float32):
    return RNG.normal(2, 3, shape).astype(dtype)


@pytest.mark.parametrize(("kind", "data_format", "shape"), CASES)
def test_training_moves_the_statistics_and_evaluation_uses_them(kind, data_format, shape):
    layer = made(kind, data_format)
    axes = tuple(i for i, letter in enumerate(data_format) if letter != "C")
    mean, var = np.zeros(4), np.ones(4)
    for step in range(3):
        x = drawn(shape)
        y = layer(x)
        np.testing.assert_allclose(y.mean(axes), 0, atol=1e-5)
        mean = 0.9 * mean + 0.1 * x.mean(axes)
        var = 0.9 * var + 0.1 * x.var(axes, ddof=1)
        np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-5)
        np.testing.assert_allclose(layer.running_var, var, rtol=1e-5)
        assert layer.num_batches_tracked == step + 1
    before = {name: value.copy() for name, value in layer.state_dict().items()}
    with layer.evaluating():
        y = layer(x)
    np.testing.assert_array_equal(y, layer.eval()(x))
    wide = tuple(4 if letter == "C" else 1 for letter in data_format)
    np.testing.assert_allclose(y, (x - mean.reshape(wide)) / np.sqrt(var.reshape(wide) + 1e-5), rtol=1e-4, atol=1e-5)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_without_momentum_the_statistics_are_averages():
    layer = nn.BatchNorm2d(4, momentum=None)
    batches = [drawn((5, 4, 3, 3)) for _ in range(4)]
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean, np.mean([x.mean((0, 2, 3)) for x in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, np.mean([x.var((0, 2, 3), ddof=1) for x in batches], 0), rtol=1e-5)


def test_without_statistics_each_batch_has_its_own():
    layer = nn.BatchNorm2d(4, track_running_stats=False, affine=False)
    assert not layer.state_dict() and not layer.parameters()
    x = drawn((5, 4, 3, 3))
    np.testing.assert_array_equal(layer(x), layer.eval()(x))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(x[:1, :, :1, :1])


@pytest.mark.parametrize(("make", "x"), [
    (lambda: nn.BatchNorm2d(4), drawn((3, 4, 5))), (lambda: nn.BatchNorm2d(4), drawn((3, 5, 4, 4))),
    (lambda: nn.BatchNorm2d(4, data_format="NHWC"), drawn((3, 4, 5, 5))),
    (lambda: nn.BatchNorm1d(4), drawn((3, 4, 5, 5))), (lambda: nn.BatchNorm1d(4), drawn((3, 5))),
    (lambda: nn.BatchNorm1d(4), drawn((1, 4))), (lambda: nn.BatchNorm2d(4), drawn((1, 4, 1, 1))),
    (lambda: nn.BatchNorm3d(4), drawn((3, 4, 5, 5))), (lambda: nn.BatchNorm2d(4), drawn((3, 4, 5, 5), np.float64)),
    (lambda: nn.GroupNorm(2, 4), drawn((3, 5, 4))), (lambda: nn.LayerNorm((4, 5)), drawn((3, 5, 4)))])
def test_an_input_that_is_refused_changes_nothing(make, x):
    layer = make()
    before = {name: value.copy() for name, value in layer.state_dict().items()}
    with pytest.raises((ValueError, TypeError)) as caught:
        layer(x)
    assert "x" in str(caught.value)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("layer", [
    nn.BatchNorm1d(4, 1e-3, None, data_format="NLC"), nn.BatchNorm2d(4, momentum=0.2, dtype="float64"),
    nn.BatchNorm2d(4, affine=False), nn.BatchNorm3d(4, track_running_stats=False), nn.GroupNorm(2, 4, affine=False),
    nn.GroupNorm(2, 4, data_format="NHWC"), nn.LayerNorm(7), nn.LayerNorm((4, 5), 1e-3, bias=False),
    nn.LayerNorm(3, elementwise_affine=False)])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_layers_come_back_from_files(layer, suffix, tmp_path):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    model = nn.Sequential(nn.Sigmoid(), layer)
    for name, array in model.state_dict().items():
        array[...] = 7 if name.endswith("tracked") else RNG.uniform(0.5, 2, array.shape)
    fc.save(model, tmp_path / f"model{suffix}")
    again = fc.load(tmp_path / f"model{suffix}")
    assert repr(again) == repr(model)
    for copied in (again, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert list(copied.state_dict()) == list(model.state_dict())
        for name, array in copied.state_dict().items():
            np.testing.assert_array_equal(array, model.state_dict()[name])
            assert array.dtype == model.state_dict()[name].dtype


def test_a_step_is_the_same_in_torch():
    torch = pytest.importorskip("torch")

    def pair(momentum):
        ours = nn.Sequential(nn.Conv2d(2, 6, 3, dtype="float64", rng=0), nn.BatchNorm2d(6, momentum=momentum,
                                                                                        dtype="float64"),
                             nn.ReLU(), nn.GroupNorm(3, 6, dtype="float64"), nn.Flatten(),
                             nn.LayerNorm(96, dtype="float64"), nn.Linear(96, 5, dtype="float64", rng=1),
                             nn.BatchNorm1d(5, momentum=momentum, dtype="float64"))
        theirs = torch.nn.Sequential(torch.nn.Conv2d(2, 6, 3), torch.nn.BatchNorm2d(6, momentum=momentum),
                                     torch.nn.ReLU(), torch.nn.GroupNorm(3, 6), torch.nn.Flatten(),
                                     torch.nn.LayerNorm(96), torch.nn.Linear(96, 5),
                                     torch.nn.BatchNorm1d(5, momentum=momentum)).double()
        theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
        return ours, theirs

    for momentum in (0.1, None):
        ours, theirs = pair(momentum)
        sgd, torch_sgd = optim.SGD(ours.parameters(), lr=0.1), torch.optim.SGD(theirs.parameters(), lr=0.1)
        for _ in range(4):
            x, labels = RNG.standard_normal((7, 2, 6, 6)), RNG.integers(0, 5, 7)
            loss, torch_loss = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
            value = loss(ours(x), labels)
            tx = torch.tensor(x, requires_grad=True)
            wanted = torch_loss(theirs(tx), torch.tensor(labels))
            sgd.zero_grad(), torch_sgd.zero_grad()
            grad_x = ours.backward(loss.backward())
            wanted.backward()
            sgd.step(), torch_sgd.step()
            np.testing.assert_allclose(value, wanted.item(), rtol=1e-10)
            np.testing.assert_allclose(grad_x, tx.grad.numpy(), rtol=1e-7, atol=1e-10)
        for name, array in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[name], array.numpy(), rtol=1e-7, atol=1e-10)
            assert ours.state_dict()[name].shape == tuple(array.shape)
        np.testing.assert_allclose(ours.eval()(x), theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-7, atol=1e-9)
        ours.load_state_dict(theirs.state_dict())


def test_a_network_with_batches_of_images_learns():
    data, labels = fc.data.digits("test").images[:256], fc.data.digits("test").labels[:256]
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(8), nn.ReLU(),
                          nn.MaxPool2d(4), nn.Flatten(), nn.Linear(392, 10, rng=1))
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.02, momentum=0.9), nn.CrossEntropyLoss())
    history = trainer.fit((data, labels), epochs=6, batch_size=32, progress=False)
    assert history.train_loss[-1] < 0.3 * history.train_loss[0]
    assert trainer.evaluate((data, labels))["accuracy"] > 0.9
