"""`load`: any data set, told apart by its name and by what lies on the disk. What the command line reads with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from fastconv.data.datasets import ArrayDataset
from fastconv.data.files import Part, StrPath, cifar10, digits, find_cifar10, has_mnist, mnist, npz, npz_parts
from fastconv.data.images import class_folders, image_folder
from fastconv.functional import checks

__all__ = ["load"]

_KNOWN = (
    "'digits', a directory with MNIST's IDX files, with CIFAR-10's binary files or with a folder of images for each "
    "class (or these in train/ and test/), or an .npz file"
)
_TRAINING_FRACTION = 0.8
_TEST_FOLDERS = ("test", "val", "valid", "validation")

# How to read each part of a source; a source without parts has the one key "all".
_Readers = dict[Literal["train", "test", "all"], Callable[[], ArrayDataset]]


def load(
    source: StrPath,
    split: Literal["train", "test", "all"] = "train",
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
) -> ArrayDataset:
    """Read a data set from whatever `source` is.

    Parameters
    ----------
    source : str or path
        ``"digits"``: the bundled sample (write ``./digits`` for a folder of that name). A directory: MNIST's IDX files,
        CIFAR-10's binary files, or one sub-folder of images for each class; or folders ``train`` and ``test`` (or
        ``val``, ``valid``, ``validation``) with such sub-folders. A file: a NumPy archive.
    split : {"train", "test", "all"}
        The part. A source that has no parts is divided here: "train" is 80 % of each class, "test" the other 20 %, always
        the same images. "all" is both parts, the training part first.
    size : int or (height, width), optional
        For folders of images: resize to this.
    channels : {1, 3}, optional
        For folders of images: grey, or red, green, blue.
    classes : sequence of str, optional
        The names of the classes, in the order of their labels, that a model knows. The source must have the same, or, for
        folders of images, some of them; classes that have only numbers get these names.

    Raises
    ------
    FileNotFoundError
        When there is nothing at `source`, or a file of the part is missing.
    ValueError, TypeError
        When it is no known data set, or a file in it is damaged; see the functions for each format.

    Examples
    --------
    >>> from fastconv import data
    >>> data.load("digits", "test")
    ArrayDataset(1000 images of 1 x 28 x 28, 10 classes)
    >>> len(data.load("digits", "all"))
    5000
    """
    checks.choice(split, "split", ("train", "test", "all"))
    if isinstance(classes, str):
        raise TypeError(f"classes must be a sequence of names, got {classes!r}")
    names = None if classes is None else list(classes)
    readers = _find(source, size, channels, names)
    if split in readers:
        dataset = readers[split]()
    elif "all" in readers:
        dataset = readers["all"]().split(_TRAINING_FRACTION)[split == "test"]
    elif len(readers) == 2:
        dataset = _join(readers["train"](), readers["test"](), source)
    else:
        raise ValueError(f"{source}: holds no part {'test' if 'train' in readers else 'train'!r}")
    return dataset if names is None else _rename(dataset, names, source)


def _find(source: StrPath, size: int | tuple[int, int] | None, channels: int | None, classes: list[str] | None) -> _Readers:
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source must be a name or a path, got {source!r}")
    path = Path(source)
    readers: _Readers
    if source == "digits":
        readers = _both(digits)
    elif not path.exists():
        import difflib

        near = " (did you mean 'digits'?)" if difflib.get_close_matches(str(source), ["digits"]) else ""
        raise FileNotFoundError(f"{source}: no such file or directory{near}; a data set is {_KNOWN}")
    elif path.is_file():
        readers = _archive(path)
    elif has_mnist(path):
        readers = _both(partial(mnist, path))
    elif find_cifar10(path):
        readers = _both(partial(cifar10, path))
    else:
        return _folders(path, size, channels, classes)
    if size is not None or channels is not None:
        name, value = ("size", size) if size is not None else ("channels", channels)
        raise ValueError(f"{name} is for folders of images only, got {value!r} with {source}")
    return readers


def _both(read: Callable[[Part], ArrayDataset]) -> _Readers:
    return {"train": partial(read, "train"), "test": partial(read, "test")}


def _archive(path: Path) -> _Readers:
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: not a data set, expected {_KNOWN}")
    parts = npz_parts(path)
    readers: _Readers = {part: partial(npz, path, part) for part in parts if part is not None}
    return readers or {"all": partial(npz, path)}


def _folders(path: Path, size: int | tuple[int, int] | None, channels: int | None, classes: list[str] | None) -> _Readers:
    inside = {folder.name: folder for folder in class_folders(path)}
    if not inside:
        raise ValueError(f"{path}: no data set in this directory, expected {_KNOWN}")
    test = next((inside[name] for name in _TEST_FOLDERS if name in inside), None)
    if "train" not in inside or test is None:
        return {"all": partial(image_folder, path, size=size, channels=channels, classes=classes)}
    # A class without a test image must not move the labels of the others.
    names = classes or [folder.name for folder in class_folders(inside["train"])]
    read = partial(image_folder, size=size, channels=channels, classes=names)
    return {"train": partial(read, inside["train"]), "test": partial(read, test)}


def _join(train: ArrayDataset, test: ArrayDataset, source: StrPath) -> ArrayDataset:
    if train.images.shape[1:] != test.images.shape[1:] or train.classes != test.classes:
        raise ValueError(f"{source}: the parts differ: {train} and {test}")
    return ArrayDataset(
        np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]), train.classes
    )


def _rename(dataset: ArrayDataset, classes: list[str], source: StrPath) -> ArrayDataset:
    numbers = [str(label) for label in range(len(dataset.classes))]
    if dataset.classes not in (classes, numbers):
        raise ValueError(f"{source}: classes {', '.join(dataset.classes)}, expected {', '.join(classes)}")
    try:
        return ArrayDataset(dataset.images, dataset.labels, classes)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
