"""Paths that are no regular files: readers and writers of models and checkpoints refuse them at once,
and change nothing."""

import os
import socket
import stat

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn, optim

SUFFIXES = [".npz", ".safetensors"]
READERS = [fc.load, fc.load_weights, nn.load_metadata]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return request.param


def special(folder, suffix):
    """A path of each kind -> the error, and what its message says."""
    os.mkfifo(folder / f"pipe{suffix}")
    os.symlink("/dev/zero", folder / f"endless{suffix}")
    os.symlink("/dev/null", folder / f"nothing{suffix}")
    os.symlink(f"pipe{suffix}", folder / f"linked{suffix}")
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(folder)  # the path of a socket must be short
        server.bind(f"socket{suffix}")
        os.chdir(before)
    (folder / f"folder{suffix}").mkdir()
    other = (ValueError, "a named pipe, a socket or a device, expected a regular file")
    return {**{f"{name}{suffix}": other for name in ("pipe", "endless", "nothing", "linked", "socket")},
            f"folder{suffix}": (IsADirectoryError, "a directory, expected a regular file")}  # fmt: skip


def test_reading_is_refused(tmp_path, suffix):
    for name, (error, message) in special(tmp_path, suffix).items():
        for read in READERS:
            with pytest.raises(error, match=f"{name}: {message}"):
                read(tmp_path / name)
    os.symlink("gone", tmp_path / f"broken{suffix}")
    for read in READERS:
        with pytest.raises(FileNotFoundError, match=f"broken{suffix}: a symbolic link to gone, which is not there"):
            read(tmp_path / f"broken{suffix}")


def test_writing_is_refused(tmp_path, suffix):
    paths = special(tmp_path, suffix)
    before = {name: os.lstat(tmp_path / name).st_mode for name in paths}
    for name, (error, message) in paths.items():
        with pytest.raises(error, match=f"{name}: {message}"):
            fc.save(nn.ReLU(), tmp_path / name)
    assert {name: os.lstat(tmp_path / name).st_mode for name in sorted(os.listdir(tmp_path))} == before
    with pytest.raises(FileNotFoundError, match=f"m{suffix}: there is no directory .*missing$"):
        fc.save(nn.ReLU(), tmp_path / "missing" / f"m{suffix}")


def test_links_to_files_are_read_and_replaced(tmp_path, suffix):
    fc.save(nn.ReLU(), tmp_path / f"m{suffix}")
    os.symlink(f"m{suffix}", tmp_path / f"link{suffix}")
    assert repr(fc.load(tmp_path / f"link{suffix}")) == "ReLU()"
    os.symlink("gone", tmp_path / f"broken{suffix}")
    fc.save(nn.Tanh(), tmp_path / f"broken{suffix}")
    assert repr(fc.load(tmp_path / f"broken{suffix}")) == "Tanh()"


def test_checkpoints_are_refused_before_the_first_step(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, rng=0))
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss())
    before = model[1].weight.data.copy()
    images, labels = np.random.default_rng(0).random((6, 4, 4), np.float32), np.arange(6) % 2
    for name in special(tmp_path, ".npz"):
        for resume in (False, True):
            with pytest.raises(ValueError,
                               match=f"checkpoint must be a regular file, .*{name}' is a directory or a special file"):
                trainer.fit((images, labels), 1, checkpoint=tmp_path / name, resume=resume, progress=False)
    np.testing.assert_array_equal(model[1].weight.data, before)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe.npz").st_mode)
