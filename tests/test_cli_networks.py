"""``fastconv train --model``: each network trains, is saved under its name,
and is evaluated and resumed like any other."""

import json
import re

import numpy as np
import pytest

import fastconv as fc
from fastconv.cli import networks


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where images.npz is: two classes, bright at the top or at the bottom."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.uniform(0, 0.3, (40, 32, 32)).astype(np.float32)
    images[labels == 0, :16] += 0.6
    images[labels == 1, 16:] += 0.6
    np.savez(tmp_path / "images.npz", images=images, labels=labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["resnet-small", "mobilenet-v2"])
def test_a_network_trains(name, folder, cli):
    code, stdout, stderr = cli("train", "--model", name, "--data", "images.npz", "--epochs", 1, "--batch-size", 8,
                               "--no-augment")  # fmt: skip
    assert code == 0 and re.fullmatch(r"test accuracy \S+ \(8 images\)\n", stdout), stderr
    assert networks.NETWORKS[name].title in stderr
    assert sorted(path.name for path in folder.iterdir()) == ["images.npz", f"{name}.npz"]
    assert cli("evaluate", f"{name}.npz")[1] == stdout
    assert json.loads(cli("evaluate", f"{name}.npz", "--json")[1])["images"] == 8


@pytest.mark.parametrize(("name", "parameters"),
                         [("lenet5", 82_146), ("resnet-small", 271_666), ("resnet18", 11_168_706),
                          ("mobilenet-v2", 2_225_858), ("vgg11", 22_334_082)])
def test_networks_are_made_for_the_data(name, parameters):
    model = networks.NETWORKS[name].make(1, 2, 32, 0)
    assert sum(parameter.data.size for parameter in model.parameters()) == parameters
    assert model.predict(np.zeros((2, 1, 32, 32), np.float32)).shape == (2,)


def test_resnet18_begins_as_the_images_ask():
    make = networks.NETWORKS["resnet18"].make
    assert "maxpool" not in make(1, 2, 64, 0).layers and "maxpool" in make(1, 2, 65, 0).layers


def test_going_on_gives_the_weights_of_one_run(folder, cli):
    options = ["--model", "resnet-small", "--data", "images.npz", "--batch-size", 8, "--schedule",
               "constant", "--quiet"]
    assert cli("train", *options, "--epochs", 2, "--output", "whole.npz")[0] == 0
    assert cli("train", *options, "--epochs", 1, "--output", "half.npz", "--checkpoint", "c.npz")[0] == 0
    assert cli("train", *options, "--epochs", 2, "--output", "rest.npz", "--checkpoint", "c.npz", "--resume")[0] == 0
    whole, rest = fc.load("whole.npz").state_dict(), fc.load("rest.npz").state_dict()
    for name, value in whole.items():
        np.testing.assert_array_equal(rest[name], value)


def test_what_a_network_cannot_take(folder, cli):
    np.savez("small.npz", images=np.zeros((10, 20, 30)), labels=np.arange(10) % 2)
    code, stdout, stderr = cli("train", "--model", "mobilenet-v2", "--data", "small.npz")
    assert (code, stdout) == (1, "")
    assert "MobileNetV2 takes images of at least 32 x 32 pixels, those of small.npz are 1 x 20 x 30" in stderr
    code, stdout, stderr = cli("train", "--model", "resnet50")
    assert (code, stdout) == (2, "") and "--model" in stderr and "resnet-small" in stderr
