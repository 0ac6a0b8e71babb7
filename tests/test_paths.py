"""Arguments that name a file or a folder: what is no path is refused by the argument's name, and what cannot be
written before there is anything to write."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import VALUES, is_refused_well

import fastconv as fc
from fastconv import data, nn, optim
from fastconv.cli.arguments import UsageError, check_place
from fastconv.nn.serialization import check_writable


class Foreign:
    """Stands for no path at all, in three ways."""

    def __init__(self, answer):
        self.answer = answer

    def __fspath__(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


NO_PATHS = {**{name: value for name, value in VALUES.items() if not isinstance(value, str)},
            "NUL": "a\0b.npz", "a path of bytes": Foreign(b"a.npz"), "a path of nothing": Foreign(None),
            "a path that fails": Foreign(KeyError("no answer"))}

READERS = {
    "load": (fc.load, "path"), "load_weights": (fc.load_weights, "path"), "load_metadata": (nn.load_metadata, "path"),
    "save": (lambda path: fc.save(nn.ReLU(), path), "path"),
    "History.load": (fc.History.load, "path"), "History.save": (fc.History().save, "path"),
    "data.load": (data.load, "source"), "npz": (data.npz, "path"), "load_image": (data.load_image, "path"),
    "image_folder": (data.image_folder, "directory"), "mnist": (data.mnist, "directory"),
    "cifar10": (data.cifar10, "directory"), "idx": (lambda path: data.idx(path, "labels"), "images_path"),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_path(name):
    call, argument = READERS[name]
    for value in NO_PATHS.values():
        assert is_refused_well(lambda: call(value), argument)


def fit(checkpoint):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.LogSoftmax())
    before = model.state_dict()["1.weight"].copy()
    try:
        fc.Trainer(model, optim.SGD(model.parameters(), 0.1), nn.NLLLoss()).fit(
            (np.ones((8, 1, 2, 2), np.float32), np.zeros(8, int)), 1, 4, progress=False, checkpoint=checkpoint)
    finally:
        np.testing.assert_array_equal(model.state_dict()["1.weight"], before)


def test_a_checkpoint_that_is_no_path():
    for key, value in NO_PATHS.items():
        assert key == "None" or is_refused_well(lambda: fit(value), "checkpoint")


def unwritable():
    """Folders in which no file can be made, although root may write to all."""
    return [Path(folder) for folder in ("/proc", "/sys") if sys.platform == "linux" and Path(folder).is_dir()]


@pytest.mark.skipif(not unwritable(), reason="no folder here in which nobody can make a file")
def test_what_cannot_be_written_is_said_before_anything_is_computed(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in unwritable():
        with pytest.raises(ValueError, match="checkpoint must be a file that can be written"):
            fit(folder / "c.npz")
        for option, ending in (("--history", "csv"), ("--output", "npz"), ("--checkpoint", "npz"), ("--plot", "png")):
            code, printed, said = cli("train", option, folder / f"a.{ending}")
            assert code == 2 and not printed
            assert f"{option} {folder}/a.{ending}: such a file cannot be written: " in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long(tmp_path):
    path = tmp_path / ("a" * 300 + ".npz")
    with pytest.raises(UsageError, match="--output .*: such a file cannot be written: "):
        check_place(path, "--output")
    with pytest.raises(ValueError, match="checkpoint must be a file that can be written"):
        fit(path)


def test_the_look_leaves_nothing_and_changes_nothing(tmp_path):
    path = tmp_path / "a.npz"
    check_writable(path)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"kept")
    os.utime(path, (1, 1))
    check_writable(path)
    assert path.read_bytes() == b"kept" and path.stat().st_mtime == 1 and list(tmp_path.iterdir()) == [path]
