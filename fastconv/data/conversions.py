"""What to write where a file holds data in a form that is not read here: the end of an error message."""

from __future__ import annotations

import re
from pathlib import Path

_SAVE = 'np.savez("data.npz", images=images, labels=labels)'
_FROM_TORCH = 'np.savez("data.npz", images=images.numpy(), labels=labels.numpy())'

# By the end of the name.
_BY_NAME = {
    (".npy",): f"one array has no labels: write both with {_SAVE}",
    (".pt", ".pth"): f"with tensors of torch.load: {_FROM_TORCH}",
    (".safetensors",): f"with tensors of safetensors.torch.load_file: {_FROM_TORCH}",
    (".pkl", ".pickle"): f"a pickle can run code and is not read: load it yourself, then {_SAVE}",
    (".mat", ".h5", ".hdf5", ".csv", ".parquet", ".arrow"):
        f"read the arrays with the library of this format, then {_SAVE}",
    (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".7z", ".rar"): "unpack it, then name the folder",
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"):
        "an image is named to fastconv predict; a data set is the folder with a folder of images for each class",
}
_CIFAR = (
    "the pickled version of CIFAR, and a pickle can run code: get the binary one, "
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, or load it yourself, then " + _SAVE
)


def how_to_convert(path: Path) -> str:
    """What to do with a file or a directory that is not read here, to stand behind a message;
    empty where nothing is known."""
    hint = _of_directory(path) if path.is_dir() else _of_file(path)
    return f"; {hint}" if hint else ""


def _of_directory(path: Path) -> str:
    folders = (path, path / "cifar-10-batches-py", path / "cifar-100-python")
    pickled = any((folder / name).is_file() for folder in folders for name in ("data_batch_1", "batches.meta", "meta"))
    return f"this is {_CIFAR}" if pickled else ""


def _of_file(path: Path) -> str:
    start = b""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(6)
    if start.startswith(b"\x93NUMPY"):
        return _BY_NAME[(".npy",)]
    if re.match(rb"\x80[\x02-\x05]", start):
        batch = re.fullmatch(r"data_batch_\d+|test_batch|batches\.meta", path.name)
        return f"this is of {_CIFAR}" if batch else _BY_NAME[(".pkl", ".pickle")]
    name = path.name.lower()
    return next((hint for ends, hint in _BY_NAME.items() if name.endswith(ends)), "")
