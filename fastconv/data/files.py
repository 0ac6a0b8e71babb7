"""Readers of data set files: the bundled digits, IDX (MNIST), CIFAR-10's binary files and NumPy archives.

A file that is not what it claims to be is a ValueError that names the file, what was found and what was expected; one
that is missing is a FileNotFoundError. Sizes in a header are compared with the file before memory is taken for them.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastconv.data.conversions import how_to_convert
from fastconv.data.datasets import ArrayDataset
from fastconv.functional import checks
from fastconv.functional.paths import checked_path, refuse_all_but_directories, refuse_all_but_files

if TYPE_CHECKING:
    from gzip import GzipFile

    from numpy.lib.npyio import NpzFile

__all__ = ["cifar10", "digits", "idx", "mnist", "npz"]

StrPath = str | os.PathLike[str]
Part = Literal["train", "test"]

_CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_CIFAR10_RECORD = 1 + 3 * 32 * 32  # label, then the red, green and blue planes

_DIGITS = "0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_EMNIST_CLASSES = {
    "byclass": [*_DIGITS, *_CAPITALS, *_CAPITALS.lower()],
    **dict.fromkeys(("bymerge", "balanced"), [*_DIGITS, *_CAPITALS, *"abdefghnqrt"]),
    "letters": ["N/A", *_CAPITALS.lower()],  # its labels begin with 1
}
_IDX_PARTS: dict[Part, tuple[str, ...]] = {"train": ("train",), "test": ("t10k", "test")}
_IDX_IMAGES = re.compile(r"((?:.+-)?)(?:train|t10k|test)-images[-.]idx3-ubyte(?:\.gz)?")
_MNIST_FOLDER = re.compile("mnist|^raw$|^gzip$", re.IGNORECASE)

# The most that DEFLATE can expand: one 258-byte match in 2 bits (zlib's Technical Details, "Maximum Expansion Factor").
_GZIP_EXPANSION = 1032
_READ_STEP = 1 << 20


def digits(split: Part = "train") -> ArrayDataset:
    """The bundled handwritten digits: 4,000 to train with, 1,000 to test with, grey, 28 x 28, balanced classes.

    A selection from the MNIST database of Y. LeCun, C. Cortes and C. J. C. Burges;
    ``mnist5k.README.md`` beside the data says where it comes from.

    Parameters
    ----------
    split : {"train", "test"}

    Raises
    ------
    ValueError
        When `split` is neither.

    Examples
    --------
    >>> from fastconv import data
    >>> data.digits()
    ArrayDataset(4000 images of 1 x 28 x 28, 10 classes)
    >>> data.digits("test")
    ArrayDataset(1000 images of 1 x 28 x 28, 10 classes)
    """
    part: Part = checks.choice(split, "split", ("train", "test"))
    from importlib import resources

    with resources.files(__package__).joinpath("mnist5k.npz").open("rb") as file, np.load(file) as archive:
        return ArrayDataset(archive[f"{part}_images"], archive[f"{part}_labels"], list(_DIGITS))


def _hex(start: bytes) -> str:
    """The first bytes of a file, for a message."""
    return f"0x{start.hex()}" if start else "nothing (it is empty)"


# --- IDX ------------------------------------------------------------------------------------------------------------


def idx(images_path: StrPath, labels_path: StrPath) -> ArrayDataset:
    """Images and labels from a pair of IDX files, the format of MNIST; plain or gzipped, whatever their names.

    Parameters
    ----------
    images_path : path
        Unsigned bytes in 3 dimensions: number, rows, columns (magic number 0x00000803).
    labels_path : path
        Unsigned bytes in 1 dimension (magic number 0x00000801). The classes are named "0", "1", ...

    Returns
    -------
    ArrayDataset
        (N, 1, H, W).

    Raises
    ------
    ValueError
        When a file is not of this format, is shorter or longer than its header says, or is damaged,
        or when there is not one label for each image.

    Examples
    --------
    >>> import struct
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastconv import data
    >>> with TemporaryDirectory() as folder:
    ...     images, labels = Path(folder, "images"), Path(folder, "labels")
    ...     _ = images.write_bytes(struct.pack(">4i", 0x803, 2, 4, 4) + bytes(32))
    ...     _ = labels.write_bytes(struct.pack(">2i", 0x801, 2) + bytes([0, 1]))
    ...     data.idx(images, labels)
    ArrayDataset(2 images of 1 x 4 x 4, 2 classes)
    """
    images = _read_idx(checked_path(images_path, "images_path"), 3)
    labels = _read_idx(checked_path(labels_path, "labels_path"), 1)
    if len(images) != len(labels):
        raise ValueError(f"{labels_path}: {len(labels)} labels, but {images_path} holds {len(images)} images")
    return ArrayDataset(images, labels)


def mnist(directory: StrPath, split: Part = "train") -> ArrayDataset:
    """MNIST, or another set under the same file names (Fashion-MNIST, KMNIST, EMNIST).

    Parameters
    ----------
    directory : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, each plain or ending in ``.gz``; the spelling ``train-images.idx3-ubyte`` is found
        too. Or the root folder that torchvision was given: the files are found in ``MNIST/raw``, ``FashionMNIST/raw``,
        ... Of EMNIST, whose files are called ``emnist-letters-train-images-idx3-ubyte`` and so on, a folder may hold
        several sets: name one as a file without its end, ``EMNIST/raw/emnist-letters``. Its images are put upright.
    split : {"train", "test"}
        "test" is what the files call "t10k".

    Raises
    ------
    FileNotFoundError
        When a file is missing.
    ValueError
        When a file is not what `idx` expects, a label is beyond the set's classes,
        there are several sets, or `split` is unknown.

    Examples
    --------
    >>> from fastconv import data
    >>> train = data.mnist("MNIST/raw")  # doctest: +SKIP
    """
    part: Part = checks.choice(split, "split", ("train", "test"))
    root = checked_path(directory, "directory")
    folder, prefix = find_mnist(root) or (root, "")
    refuse_all_but_directories(folder, "MNIST's IDX files, train-images-idx3-ubyte and so on")
    labels_path = _find_idx(folder, prefix, part, "labels", 1)
    found = idx(_find_idx(folder, prefix, part, "images", 3), labels_path)
    emnist = prefix.removeprefix("emnist-").removesuffix("-") if prefix.startswith("emnist-") else ""
    classes = _EMNIST_CLASSES.get(emnist, list(_DIGITS))
    if len(found.classes) > len(classes):
        raise ValueError(f"{labels_path}: a label {len(found.classes) - 1}, expected 0 to {len(classes) - 1}: "
                         "read other sets with idx()")
    # EMNIST's files hold the images turned and mirrored.
    images = found.images.swapaxes(2, 3) if emnist else found.images
    return ArrayDataset(images, found.labels, classes)


def find_mnist(path: Path) -> tuple[Path, str] | None:
    """The folder with a set of IDX files that `mnist` reads, and what comes before "train-images..." in their names.

    Raises
    ------
    ValueError
        When there are several sets; the message names them.
    """
    if path.is_dir():
        inside = [folder for folder in path.iterdir() if folder.is_dir() and _MNIST_FOLDER.search(folder.name)]
        folders = [path, *sorted(inside), *sorted(folder / "raw" for folder in inside if (folder / "raw").is_dir())]
        sets = [(folder, prefix) for folder in folders for prefix in sorted(_idx_prefixes(folder))]
    elif path.parent.is_dir() and not path.exists() and (prefix := f"{path.name}-") in _idx_prefixes(path.parent):
        sets = [(path.parent, prefix)]
    else:
        sets = []
    if len(sets) > 1:
        names = ", ".join(str(folder / prefix.removesuffix("-")) for folder, prefix in sets)
        raise ValueError(f"{path}: holds {len(sets)} data sets, name one of {names}")
    return sets[0] if sets else None


def _idx_prefixes(folder: Path) -> set[str]:
    return {match[1] for path in folder.iterdir() if (match := _IDX_IMAGES.fullmatch(path.name)) and path.is_file()}


def _find_idx(folder: Path, prefix: str, part: Part, kind: str, ndim: int) -> Path:
    names = [f"{prefix}{word}-{kind}{dot}idx{ndim}-ubyte{end}"
             for word in _IDX_PARTS[part] for dot in "-." for end in ("", ".gz")]  # fmt: skip
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: no file {' or '.join(names[:4])}")


def _read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    refuse_all_but_files(path)
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        size = path.stat().st_size
        if not compressed:
            return _parse_idx(path, raw, ndim, size, "file")
        import gzip

        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                return _parse_idx(path, stream, ndim, size * _GZIP_EXPANSION, "gzip file")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file: {error}") from error


def _parse_idx(path: Path, stream: IO[bytes] | GzipFile, ndim: int, at_most: int, kind: str) -> NDArray[np.uint8]:
    """The array in `stream`, of which at most `at_most` bytes can come."""
    header = stream.read(4 + 4 * ndim)
    expected = bytes([0, 0, 8, ndim])
    if header[:4] != expected:
        raise ValueError(
            f"{path}: starts with {_hex(header[:4])}, expected the magic number {_hex(expected)} "
            f"(IDX, unsigned bytes, {ndim} dimension{'s'[: ndim > 1]})"
        )
    if len(header) != 4 + 4 * ndim:
        raise ValueError(f"{path}: {len(header)} bytes, expected a header of {4 + 4 * ndim}")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
    sizes = " x ".join(map(str, shape))
    if 0 in shape:
        raise ValueError(f"{path}: its header says {sizes} bytes of data, expected no size of 0")
    count = math.prod(shape)
    if count > at_most - len(header):
        raise ValueError(
            f"{path}: its header says {sizes} = {count} bytes of data, this {kind} can hold {at_most - len(header)}"
        )
    data = bytearray()
    while len(data) <= count and (block := stream.read(min(_READ_STEP, count + 1 - len(data)))):
        data += block
    if len(data) != count:
        found = "more" if len(data) > count else f"{len(data)}"
        raise ValueError(f"{path}: its header says {sizes} = {count} bytes of data, found {found}")
    return np.frombuffer(data, np.uint8).reshape(shape)


# --- CIFAR-10 -------------------------------------------------------------------------------------------------------


def cifar10(directory: StrPath, split: Part = "train") -> ArrayDataset:
    """CIFAR-10 from its "binary version": 32 x 32 colour images of ten classes.

    Parameters
    ----------
    directory : path
        Holds ``data_batch_1.bin``, ``data_batch_2.bin``, ... (the training part, all there are),
        ``test_batch.bin`` and, for the names of the classes, ``batches.meta.txt`` (without it, the well-known ten).
        A folder ``cifar-10-batches-bin`` inside it, as the download unpacks, is found too.
    split : {"train", "test"}

    Returns
    -------
    ArrayDataset
        (N, 3, 32, 32), red, green, blue.

    Raises
    ------
    FileNotFoundError
        When a file is missing.
    ValueError
        When a file is not made of whole records of 3,073 bytes, a label is above 9, or `split` is unknown.

    Notes
    -----
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of Toronto,
    2009. The "Python version" is pickled, and a pickle can run code: it is not read.

    Examples
    --------
    >>> from fastconv import data
    >>> train = data.cifar10("cifar-10-batches-bin")  # doctest: +SKIP
    """
    part: Part = checks.choice(split, "split", ("train", "test"))
    root = checked_path(directory, "directory")
    folder = find_cifar10(root) or root
    refuse_all_but_directories(folder,
                               "CIFAR-10's binary files, data_batch_1.bin to data_batch_5.bin and test_batch.bin")
    paths = [_test_batch(folder)] if part == "test" else _training_batches(folder)
    records = [_read_cifar10(path) for path in paths]
    labels = np.concatenate([batch[:, 0] for batch in records])
    images = np.concatenate([batch[:, 1:] for batch in records]).reshape(-1, 3, 32, 32)
    return ArrayDataset(images, labels, _read_cifar10_classes(folder / "batches.meta.txt"))


def find_cifar10(directory: Path) -> Path | None:
    """The folder with CIFAR-10's binary files: `directory`, the one that the download unpacks in it, or none."""
    for folder in (directory, directory / "cifar-10-batches-bin"):
        if (folder / "test_batch.bin").is_file() or any(folder.glob("data_batch_*.bin")):
            return folder
    return None


def _training_batches(folder: Path) -> list[Path]:
    found = {}
    for path in folder.glob("data_batch_*.bin"):
        if match := re.fullmatch(r"data_batch_([1-9]\d*)\.bin", path.name):
            found[int(match[1])] = path
    for number in range(1, max(found, default=1) + 1):
        if number not in found:
            raise FileNotFoundError(f"{folder}: no file data_batch_{number}.bin{how_to_convert(folder)}")
    return [found[number] for number in sorted(found)]


def _test_batch(folder: Path) -> Path:
    path = folder / "test_batch.bin"
    if not path.exists():
        raise FileNotFoundError(f"{folder}: no file test_batch.bin{how_to_convert(folder)}")
    return path


def _read_cifar10(path: Path) -> NDArray[np.uint8]:
    refuse_all_but_files(path)
    size = path.stat().st_size
    if size == 0 or size % _CIFAR10_RECORD:
        raise ValueError(f"{path}: {size} bytes, expected a multiple of {_CIFAR10_RECORD} "
                         "(1 label, 3 x 32 x 32 pixels)")
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, _CIFAR10_RECORD)
    labels = records[:, 0]
    if labels.max() > 9:
        raise ValueError(f"{path}: label {labels.max()} in record {labels.argmax()}, expected 0 to 9")
    return records


def _read_cifar10_classes(path: Path) -> list[str]:
    if not path.is_file():
        return list(_CIFAR10_CLASSES)
    names = path.read_text(encoding="utf-8", errors="replace").split()
    if len(names) != 10:
        raise ValueError(f"{path}: {len(names)} names of classes, expected 10")
    return names


# --- NumPy archives -------------------------------------------------------------------------------------------------

# The names of (images, labels): of a training part, of a test part, and in an archive without parts.
_NPZ_NAMES: dict[Part | None, tuple[tuple[str, str], ...]] = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train"), ("X_train", "y_train")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test"), ("X_test", "y_test")),
    None: (("images", "labels"), ("x", "y"), ("X", "y")),
}

# So many names of other arrays are in a message.
_MOST_NAMES = 8

# What to write for arrays of Python objects, by the end of their names; `np.savez` keeps them as a pickle.
_WITHOUT_OBJECTS = {
    ("images", "x", "x_train", "x_test"): "write {name}.astype(np.float32), "
                                          "or np.stack(list({name})) where it holds arrays",
    ("labels", "y", "y_train", "y_test"): "write {name}.astype(np.int64), or number names with "
    "np.unique({name}.astype(str), return_inverse=True)[1]",
    ("classes",): "write {name}.astype(str)",
}


def npz(path: StrPath, split: Part | None = None) -> ArrayDataset:
    """A dataset from a NumPy archive (`numpy.savez`), read without pickle.

    Parameters
    ----------
    path : path
        The archive. Its arrays are named ``images, labels`` (or ``x, y``); with two parts
        ``train_images, train_labels, test_images, test_labels`` (or ``x_train, y_train, x_test, y_test``,
        as Keras writes them); ``classes``, an array of names, may be added. Images are (N, H, W), (N, C, H, W) or,
        with 1 or 3 channels at the end, (N, H, W, C); uint8 or floating point.
    split : {"train", "test"}, optional
        The part; None for an archive without parts.

    Raises
    ------
    ValueError, TypeError
        When the file is no such archive, has not the arrays of `split`, or they do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastconv import data
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "shapes.npz"), images=np.zeros((5, 16, 16)), labels=[0, 1, 0, 1, 1])
    ...     data.npz(Path(folder, "shapes.npz"))
    ArrayDataset(5 images of 1 x 16 x 16, 2 classes)
    """
    part: Part | None = checks.choice(split, "split", ("train", "test", None))
    path = checked_path(path, "path")
    with _open_npz(path) as archive:
        pair = _npz_pair(archive, part)
        if pair is None:
            wanted = " or ".join(map(", ".join, _NPZ_NAMES[part]))
            found = (", ".join(archive.files[:_MOST_NAMES])
                     + (", ..." if len(archive.files) > _MOST_NAMES else "") or "(none)")
            model = "; it is a model or a checkpoint, no data set" if "fastconv.json" in archive.files else ""
            raise ValueError(f"{path}: arrays {found}, expected {wanted}{model or how_to_convert(path)}")
        images, labels = (_npz_array(path, archive, name) for name in pair)
        classes = _npz_classes(path, archive)
    try:
        return ArrayDataset(channels_first(images), labels, classes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error


def npz_parts(path: Path) -> set[Part | None]:
    """The values of `split` for which `npz` finds arrays in this file."""
    with _open_npz(path) as archive:
        return {part for part in _NPZ_NAMES if _npz_pair(archive, part)}


def _npz_pair(archive: NpzFile, part: Part | None) -> tuple[str, str] | None:
    return next((pair for pair in _NPZ_NAMES[part] if set(pair) <= set(archive.files)), None)


def _npz_classes(path: Path, archive: NpzFile) -> list[str] | None:
    """The names in the archive. Without names, numbers up to the largest label of any part: all parts have one list."""
    if "classes" in archive.files:
        names = _npz_array(path, archive, "classes")
        if names.dtype.kind != "U" or names.ndim != 1:
            raise ValueError(f"{path}: classes is {names.dtype} {names.shape}, expected an array (n,) of names")
        return [str(name) for name in names]
    pairs = (_npz_pair(archive, part) for part in _NPZ_NAMES)
    labels = [_npz_array(path, archive, pair[1]) for pair in pairs if pair]
    filled = [array for array in labels if array.size]
    if len(labels) < 2 or not filled or any(array.dtype.kind not in "iu" for array in filled):
        return None
    largest = max(int(array.max()) for array in filled)
    return [str(label) for label in range(largest + 1)] if largest < 65536 else None


@contextmanager
def _open_npz(path: Path) -> Iterator[NpzFile]:
    import zipfile

    refuse_all_but_files(path)
    # Opened here, since `np.load` leaves a file that it opened itself to the garbage collector when it is damaged.
    with path.open("rb") as file:
        start = file.read(4)
        if start not in (b"PK\x03\x04", b"PK\x05\x06"):
            raise ValueError(f"{path}: starts with {_hex(start)}, expected a NumPy archive "
                             f"(.npz){how_to_convert(path)}")
        file.seek(0)
        try:
            archive = np.load(file, allow_pickle=False)
        except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path}: damaged NumPy archive: {error}") from error
        with archive:
            yield archive


def _npz_array(path: Path, archive: NpzFile, name: str) -> NDArray[Any]:
    import zipfile

    try:
        return np.asarray(archive[name])
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            ends = next(ends for ends in _WITHOUT_OBJECTS if name.lower().endswith(ends))
            raise ValueError(f"{path}: array {name} has dtype object, and is a pickle, "
                             "which can run code and is not read: "
                             + _WITHOUT_OBJECTS[ends].format(name=name)) from error
        raise ValueError(f"{path}: array {name} cannot be read: {error}") from error


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """(..., C, H, W) from (..., H, W, C), told by the 1 or 3 channels at one end; anything else as it is."""
    if images.ndim >= 3 and images.shape[-1] in (1, 3) and images.shape[-3] not in (1, 3):
        return np.moveaxis(images, -1, -3)
    return images
