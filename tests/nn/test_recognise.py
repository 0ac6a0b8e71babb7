"""Files that are no models: the message says what they are and how to get the weights out of them."""

import os
import pickle
import re
import zipfile

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

WEIGHTS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(2, np.float32)}


def npy(path):
    with open(path, "wb") as file:
        np.save(file, WEIGHTS["weight"])


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("read.me", "no array")


def safetensors(path):
    content = pytest.importorskip("safetensors.numpy").save(WEIGHTS)
    path.write_bytes(content)


def cut(path):
    with open(path, "wb") as file:
        np.savez(file, **WEIGHTS)
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(("name", "write", "message"), [
    ("m.npz", npy, "it is an .npy file by another name"),
    ("m.npz", lambda path: path.write_bytes(b""), "it is empty"),
    ("m.npz", lambda path: path.write_text("weights"), "does not begin as what np.savez writes"),
    ("m.npz", lambda path: path.write_bytes(pickle.dumps(WEIGHTS)), "it is a pickle by another name.*torch.load"),
    ("m.npz", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "it is an HDF5 file"),
    ("m.npz", other_zip, "read.me in it is no array"),
    ("m.npz", safetensors, "rename it to .safetensors"),
    ("m.npz", cut, "is not a readable .npz file"),
    ("m.safetensors", lambda path: path.write_bytes(b""), "it is empty"),
    ("m.safetensors", npy, "it is an .npy file by another name"),
    ("m.safetensors", other_zip, "rename it to .npz"),
    ("m.npy", npy, r"must end in .npz or .safetensors.*np\.load\("),
    ("m.pt", lambda path: path.write_bytes(pickle.dumps(WEIGHTS)), "must end in .npz or .safetensors.*torch.load"),
    ("m.ckpt", lambda path: path.write_bytes(b"x"), "torch.load"),
    ("m.h5", lambda path: path.write_bytes(b"\x89HDF"), "np.savez"),
    ("m.onnx", lambda path: path.write_bytes(b"x"), "np.savez"),
    ("m", npy, "must end in .npz or .safetensors, got"),
])
@pytest.mark.parametrize("read", [fc.load, fc.load_weights, nn.load_metadata])
def test_the_message_says_what_it_is(tmp_path, name, write, message, read):
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [fc.load, fc.load_weights, nn.load_metadata, lambda path: fc.save(nn.ReLU(), path)])
@pytest.mark.parametrize("path", [None, 3, b"m.npz", ["m.npz"]])
def test_a_path_is_a_text_or_a_path(read, path):
    with pytest.raises(TypeError, match="path must be a str or a path, got"):
        read(path)


@pytest.mark.parametrize("name", ["m.pt", "m.npz"])
def test_the_expression_for_a_pytorch_file_works(tmp_path, monkeypatch, name):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    theirs = torch.nn.Linear(3, 2).bfloat16()
    torch.save(theirs.state_dict(), name)
    with pytest.raises(ValueError) as caught:
        fc.load_weights(name)
    exec(re.search(r"np\.savez\(.*\)\.items\(\)\}\)", str(caught.value)).group(), {"np": np, "torch": torch})
    ours = nn.Linear(3, 2)
    ours.load_state_dict(fc.load_weights("converted.npz"))
    np.testing.assert_array_equal(ours.weight.data, theirs.weight.detach().float().numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_the_expression_for_dtypes_that_numpy_has_not_works(tmp_path, monkeypatch, dtype):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    monkeypatch.chdir(tmp_path)
    library.save_file({"a": torch.ones(2), "b": torch.full((2, 2), 1.5).to(getattr(torch, dtype))}, "m.safetensors")
    with pytest.raises(ValueError, match="tensor 'b' is (BF16|F8_E4M3|F8_E5M2), which NumPy has not") as caught:
        fc.load_weights("m.safetensors")
    import safetensors
    exec(re.search(r"safetensors\.torch\.save_file\(.*\)", str(caught.value)).group(), {"safetensors": safetensors})
    np.testing.assert_array_equal(fc.load_weights("float32.safetensors")["b"], np.full((2, 2), 1.5, np.float32))


def test_tensors_that_need_a_step_are_named_in_a_state_dict():
    torch = pytest.importorskip("torch")
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    before = ours.weight.data.copy()
    with pytest.raises(TypeError, match=r"state\['weight'\].*that requires grad: pass state\['weight'\]\.detach\(\)"):
        ours.load_state_dict(dict(theirs.named_parameters()))
    with pytest.raises(TypeError, match=r"state\['weight'\].*bfloat16: pass state\['weight'\]\.float\(\)"):
        ours.load_state_dict(theirs.bfloat16().state_dict())
    np.testing.assert_array_equal(ours.weight.data, before)


def test_a_directory_or_a_missing_file_is_the_systems_error(tmp_path):
    os.mkdir(tmp_path / "m.npz")
    with pytest.raises(IsADirectoryError, match="m.npz"):
        fc.load(tmp_path / "m.npz")
    with pytest.raises(FileNotFoundError, match="n.npz"):
        fc.load(tmp_path / "n.npz")
