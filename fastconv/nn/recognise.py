"""What a file that is no model is instead, told by its ending or its first bytes,
and how to get the weights out of it."""

from __future__ import annotations

from pathlib import Path

_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def by_ending(path: Path) -> str:
    """More for the message about a file with neither of the two endings; empty where there is nothing to say."""
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        return f": a pickle could run any code and is not read; {_from_torch(path)}"
    if suffix == ".npy":
        return f": an .npy file holds one array without a name; read it with np.load({str(path)!r})"
    if suffix in (".h5", ".hdf5", ".keras", ".onnx", ".tflite", ".pb"):
        return f": write the weights of a {suffix} file with np.savez, an array for each parameter under its name"
    return ""


def by_content(path: Path, content: bytes) -> str:
    """What an .npz or .safetensors file holds that could not be read as such;
    empty where its first bytes say nothing."""
    if not content:
        return "it is empty"
    if content.startswith(b"\x93NUMPY"):
        return ("it is an .npy file by another name, one array without a name: "
                f"read it with np.load(open({str(path)!r}, 'rb'))")
    if content.startswith(b"\x89HDF"):
        return "it is an HDF5 file by another name"
    if content.startswith(b"\x80"):
        return f"it is a pickle by another name, which could run any code: {_from_torch(path)}"
    if content.startswith(b"PK") and b"/data.pkl" in content[:4096]:
        return f"it is a PyTorch file by another name: {_from_torch(path)}"
    if content.startswith(b"PK") and path.suffix == ".safetensors":
        return "it is a zip file by another name: rename it to .npz if np.savez wrote it"
    if content[8:9] == b"{" and path.suffix == ".npz":
        return "it is a safetensors file by another name: rename it to .safetensors"
    if not content.startswith(b"PK") and path.suffix == ".npz":
        return "it does not begin as what np.savez writes"
    return ""


def unknown_dtype(name: str, dtype: str, path: Path) -> str:
    """What to do about a tensor of a dtype that NumPy has not, such as bfloat16 or the eight-bit floats."""
    return (f"tensor {name!r} is {dtype}, which NumPy has not: convert the file with PyTorch, "
            "safetensors.torch.save_file({name: value.float() for name, value in "
            f"safetensors.torch.load_file({str(path)!r}).items()}}, 'float32.safetensors')")


def _from_torch(path: Path) -> str:
    return ("with PyTorch, np.savez('converted.npz', **{name: value.float().numpy() for name, value in "
            f"torch.load({str(path)!r}, weights_only=True).items()}}) writes a state dict for fastconv.load_weights")
