"""Files of models: both formats, PyTorch's, damaged ones."""

import errno
import json
import os
import sys

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

SUFFIXES = [".npz", ".safetensors"]


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"model{request.param}"


def everything():
    """A model with each layer that can be saved, and arguments that JSON has no tuple for."""
    return nn.Sequential({
        "conv": nn.Conv2d(2, 4, (3, 2), padding=((1, 0), (2, 1)), padding_value=0.5, groups=2, bias=False, rng=0),
        "act": nn.LeakyReLU(0.2),
        "body": nn.Sequential(
            nn.MaxPool2d((2, 2), stride=np.int64(1), padding=1), nn.ReLU(), nn.Sigmoid(), nn.Tanh(),
            nn.AvgPool2d(2, count_include_pad=False), nn.AdaptiveAvgPool2d((7, 6)), nn.AdaptiveMaxPool2d((7, 6)),
            nn.Conv2d(4, 3, 3, stride=(1, 2), padding="same", padding_mode="replicate", rng=1),
        ),
        "global": nn.Sequential(nn.GlobalMaxPool2d(), nn.GlobalAvgPool2d()),
        "flatten": nn.Flatten(),
        "drop": nn.Dropout(0.3),
        "linear": nn.Linear(3, 5, rng=2),
        "softmax": nn.Softmax(),
        "log": nn.LogSoftmax(axis=1),
    })  # fmt: skip


@pytest.mark.parametrize("layers, x", [
    ((nn.MaxPool1d(3, 2, (1, 0)), nn.AvgPool1d(2, divisor_override=3), nn.LPPool1d(2.5, 2), nn.AdaptiveMaxPool1d(3),
      nn.AdaptiveAvgPool1d((2,)), nn.GlobalMaxPool1d(), nn.GlobalAvgPool1d()), (2, 3, 40)),
    ((nn.MaxPool3d((1, 2, 2)), nn.AvgPool3d(2, 1, wide_padding=True), nn.LPPool3d(2, 2),
      nn.AdaptiveMaxPool3d((1, 2, 2)), nn.AdaptiveAvgPool3d(1), nn.GlobalMaxPool3d(), nn.GlobalAvgPool3d()),
     (2, 3, 6, 12, 12)),
    ((nn.LPPool2d(2, 2), nn.AvgPool2d(3, 1, 2, dilation=2, divisor_override=4, wide_padding=True)), (2, 3, 8, 8))],
    ids=["rows", "volumes", "images"])
def test_poolings_come_back(path, layers, x):
    model, x = nn.Sequential(*layers), np.random.default_rng(0).random(x, np.float32)
    fc.save(model, path)
    again = fc.load(path)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again(x), model(x))


def test_a_model_comes_back(path):
    model = everything()
    x = np.random.default_rng(0).standard_normal((2, 2, 7, 6)).astype(np.float32)
    fc.save(model, path)
    again = fc.load(path)
    assert not again.training
    np.testing.assert_array_equal(again(x), model.eval()(x))
    assert repr(again).replace("stride=1,", "stride=np.int64(1),") == repr(model)
    assert os.listdir(path.parent) == [path.name]


def test_float64_and_a_single_layer(path):
    layer = nn.Linear(3, 2, dtype="float64", rng=0)
    fc.save(layer, str(path))
    again = fc.load(str(path))
    assert again.weight.data.dtype == np.float64
    np.testing.assert_array_equal(again.weight.data, layer.weight.data)


def test_weights_by_name(path):
    model = nn.models.lenet5(rng=0)
    fc.save(model, path)
    weights = fc.load_weights(path)
    assert set(weights) == set(model.state_dict())
    assert weights["0.weight"].shape == (6, 1, 5, 5)
    other = nn.models.lenet5(rng=1)
    other.load_state_dict(weights)
    np.testing.assert_array_equal(other[-2].weight.data, model[-2].weight.data)


def test_metadata(path):
    fc.save(nn.ReLU(), path, metadata={"classes": ["a", "é"], "input_shape": (1, 28, 28), "mean": np.float64(0.5)})
    assert nn.load_metadata(path) == {"classes": ["a", "é"], "input_shape": [1, 28, 28], "mean": 0.5}
    assert nn.load_metadata(path) is not None
    fc.save(nn.ReLU(), path)
    assert nn.load_metadata(path) == {}
    with pytest.raises(TypeError, match="metadata must hold only what JSON can"):
        fc.save(nn.Tanh(), path, metadata={"rng": object()})
    assert repr(fc.load(path)) == "ReLU()"  # the failed save left the file alone


def test_layers_of_ones_own_are_saved_as_weights(path):
    class Twice(nn.Linear):
        pass

    model = nn.Sequential(Twice(2, 2, rng=0))
    for architecture in (True, False):
        fc.save(model, path, {"a": 1}, architecture=architecture)
        assert set(fc.load_weights(path)) == {"0.weight", "0.bias"}
        assert nn.load_metadata(path) == {"a": 1}
        with pytest.raises(ValueError, match="holds weights only"):
            fc.load(path)
    with pytest.raises(ValueError, match="holds weights only"):
        fc.load(path, classes=[Twice])
    with pytest.raises(TypeError, match="architecture must be True or False, got None"):
        fc.save(model, path, architecture=None)


def test_every_item_of_an_npz_is_for_torch(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "m.npz"
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten())
    fc.save(model, path, metadata={"classes": ["é", "b"]})
    with np.load(path) as file:
        state = {name: torch.from_numpy(array) for name, array in file.items()}
    document = state.pop("fastconv.json")
    assert json.loads(bytes(document.numpy()))["metadata"] == {"classes": ["é", "b"]}
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten())
    theirs.load_state_dict(state)
    x = np.random.default_rng(0).random((1, 1, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(model(x), theirs(torch.from_numpy(x)).detach(), rtol=1e-5, atol=1e-6)


def test_files_of_older_versions(tmp_path):
    """The text was an array of text; nothing else has changed."""
    path = tmp_path / "m.npz"
    model = nn.Sequential(nn.Conv2d(1, 2, (3, 3), padding=((1, 0), (0, 1)), rng=0), nn.Sequential(nn.ReLU()))
    document = {"format": 1, "metadata": {"é": [1]}, "architecture": {"layer": "Sequential", "layers": {
        "0": {"layer": "Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": [3, 3],
              "padding": [[1, 0], [0, 1]]},
        "1": {"layer": "Sequential", "layers": {"0": {"layer": "ReLU"}}}}}}
    np.savez(path, **model.state_dict(), **{"fastconv.json": np.array(json.dumps(document))})
    again = fc.load(path)
    assert repr(again) == repr(model) and nn.load_metadata(path) == {"é": [1]}
    np.testing.assert_array_equal(again[0].weight.data, model[0].weight.data)


def test_names_that_an_npz_has_no_room_for(tmp_path):
    model = nn.Module()
    for attribute, name in (("file", "file"), ("fastconv", "fastconv.json")):
        model = nn.Module()
        setattr(model, attribute, nn.Parameter([1.0]) if attribute == name else {"json": nn.Parameter([1.0])})
        with pytest.raises(ValueError, match=f"no room for an array named '{name}'"):
            fc.save(model, tmp_path / "m.npz", architecture=False)
    assert os.listdir(tmp_path) == []


def test_weights_from_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1, groups=1), torch.nn.ReLU(), torch.nn.Flatten(),
                                 torch.nn.Linear(4 * 5 * 5, 7))  # fmt: skip
    path = tmp_path / "torch.safetensors"
    save_file(theirs.state_dict(), path)
    ours = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 7))
    ours.load_state_dict(fc.load_weights(path))
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 5)).astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-5, atol=1e-5)
    ours.load_state_dict({name: tensor.numpy() * 0 for name, tensor in theirs.state_dict().items()})
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(ours(x), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="holds weights only"):
        fc.load(path)


def test_weights_go_to_pytorch(tmp_path):
    load_file = pytest.importorskip("safetensors.torch").load_file
    torch = pytest.importorskip("torch")
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0))
    fc.save(model, tmp_path / "m.safetensors")
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))
    theirs.load_state_dict(load_file(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(theirs[0].weight.detach().numpy(), model[0].weight.data)


def test_damaged_files(path):
    fc.save(nn.models.lenet5(rng=0), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [content[:size] for size in (0, 1, 7, 100, len(content) // 2, len(content) - 1)]
    damaged += [rng.bytes(1000), b"\xff" * 64]
    for start in range(0, 600, 25):  # heads of the formats: sizes, names, checksums
        flipped = bytes(byte ^ 0x5A for byte in content[start : start + 8])
        damaged.append(content[:start] + flipped + content[start + 8 :])
    raised = 0
    for bad in damaged:
        path.write_bytes(bad)
        for read in (fc.load, fc.load_weights, nn.load_metadata):
            try:
                read(path)
            except ValueError as error:
                assert str(path) in str(error)
                raised += 1
    assert raised >= 8 * 3


def rewrite(path, document):
    """The file again with another JSON text."""
    arrays = fc.load_weights(path)
    np.savez(path, **arrays, **{"fastconv.json": np.array(document)})


@pytest.mark.parametrize("architecture, message", [
    ({"layer": "Linear", "in_features": 2, "out_features": 3, "dtype": "float32"}, "weight has shape"),
    ({"layer": "Linear", "in_features": 2, "out_features": 2, "bias": False}, "unknown bias"),
    ({"layer": "Linear", "in_features": 2}, "out_features"),
    ({"layer": "Linear", "in_features": 2, "out_features": 2, "rng": 0}, "Linear has no argument rng"),
    ({"layer": "Linear", "in_features": -2, "out_features": 2}, "in_features must be at least 1"),
    ({"layer": "os.system", "command": "true"}, "unknown layer 'os.system'"),
    ({"layer": ["Linear"]}, "unknown layer"),
    ({"layer": "Sequential", "layers": [1]}, "Sequential must have layers"),
    ({"layer": "Sequential", "layers": {"0": 1}}, "a layer must be an object"),
    ("Linear", "a layer must be an object"),
])  # fmt: skip
def test_an_architecture_that_is_not_one(tmp_path, architecture, message):
    path = tmp_path / "m.npz"
    fc.save(nn.Linear(2, 2), path)
    rewrite(path, json.dumps({"format": 1, "architecture": architecture}))
    with pytest.raises(ValueError, match=f"m.npz does not describe a model: .*{message}"):
        fc.load(path)


def test_a_document_that_is_not_one(tmp_path):
    path = tmp_path / "m.npz"
    fc.save(nn.Linear(2, 2), path)
    for document in ("[]", "{", ""):
        np.savez(path, weight=np.zeros(2), **{"fastconv.json": np.array(document)})
        with pytest.raises(ValueError, match="m.npz is not a readable .npz file"):
            fc.load(path)
    np.savez(path, weight=np.zeros(2))
    assert list(fc.load_weights(path)) == ["weight"]
    assert nn.load_metadata(path) == {}


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, weight=np.array([object()]))
    with pytest.raises(ValueError, match="not a readable .npz file"):
        fc.load_weights(path)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="path must end in .npz or .safetensors, got 'm.pt'"):
        fc.save(nn.ReLU(), "m.pt")
    with pytest.raises(ValueError, match="path must end in .npz or .safetensors"):
        fc.load("m")
    with pytest.raises(TypeError, match="model must be a fastconv.nn module, got dict"):
        fc.save({}, tmp_path / "m.npz")
    for suffix in SUFFIXES:
        with pytest.raises(FileNotFoundError):
            fc.load(tmp_path / f"missing{suffix}")
        with pytest.raises(FileNotFoundError):
            fc.save(nn.ReLU(), tmp_path / "missing" / f"m{suffix}")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    fc.save(nn.ReLU(), path)
    monkeypatch.setattr(np, "savez", lambda file, **arrays: file.write(b"half") / 0)
    with pytest.raises(ZeroDivisionError):
        fc.save(nn.Tanh(), path)
    assert os.listdir(tmp_path) == ["m.npz"]
    assert repr(fc.load(path)) == "ReLU()"


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install fastconv\[safetensors\]"):
        fc.save(nn.ReLU(), tmp_path / "m.safetensors")


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "model.npz"
    fc.save(nn.Linear(2, 2, rng=0), path)
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        fc.save(nn.Linear(3, 3), path)
    assert caught.value.filename == str(path) and caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["model.npz"]
