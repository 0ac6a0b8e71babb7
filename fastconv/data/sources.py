"""`load`: any data set, told apart by its name and by what lies on the disk. What the command line reads with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastconv.data.datasets import ArrayDataset
from fastconv.data.files import (
    Part,
    StrPath,
    cifar10,
    digits,
    find_cifar10,
    find_mnist,
    how_to_convert,
    mnist,
    npz,
    npz_parts,
)
from fastconv.data.framing import Fit
from fastconv.data.images import image_files, image_folder, sub_folders
from fastconv.data.parts import find_parts
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.paths import checked_path, refuse_special

__all__ = ["load"]

_KNOWN = (
    "'digits', a directory with MNIST's IDX files, with CIFAR-10's binary files or with a folder of images for each "
    "class (or these in train/ and test/), or an .npz file"
)
_TRAINING_FRACTION = 0.8
_LEAST_DIVIDED = 3  # of fewer images 80 % are none or all
_PARTS = ("train", "validation", "test")
Split = Literal["train", "validation", "test", "all"]

# How to read each part of a source; a source without parts has the one key "all".
_Readers = dict[str, Callable[[], ArrayDataset]]


def load(
    source: StrPath,
    split: Split = "train",
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    background: float | None = None,
    value_range: Sequence[float] = (0.0, 1.0),
    classes: Sequence[str] | None = None,
) -> ArrayDataset:
    """Read a data set from whatever `source` is.

    Parameters
    ----------
    source : str or path
        ``"digits"``: the bundled sample (write ``./digits`` for a folder of that name). A directory: MNIST's IDX files,
        CIFAR-10's binary files, or one sub-folder of images for each class; or folders of parts with such sub-folders,
        ``train``, ``validation`` and ``test``, in any case and under the usual names (``Training``, ``val``, ``dev``,
        ``test_set``, ...). The folders may be the only ones in another (``images/train``). A file: a NumPy archive.
    split : {"train", "validation", "test", "all"}
        The part. Where there is only one of "test" and "validation", it is both. A source that has no parts,
        or a training part only, is divided here: "train" is 80 % of each class, "test" the other 20 %, always the same
        images. "all" is all parts, in this order.
    size, channels, fit, background, value_range
        For folders of images: as of `image_folder`.
    classes : sequence of str, optional
        The names of the classes, in the order of their labels, that a model knows. The source must have the same, or,
        for folders of images, some of them; classes that have only numbers get these names.

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
    checks.choice(split, "split", ("train", "validation", "test", "all"))
    if isinstance(classes, str):
        raise TypeError(f"classes must be a sequence of names, got {shown(classes)}")
    names = None if classes is None else list(classes)
    framing = {"size": size, "channels": channels, "fit": fit, "background": background, "value_range": value_range}
    readers = _find(source, framing, names)
    if split in readers:
        dataset = readers[split]()
    elif "all" in readers and split != "validation":
        dataset = _divided(readers["all"](), source)[split == "test"]
    elif split == "all" and "train" in readers and len(readers) > 1:
        dataset = _join([readers[part]() for part in _PARTS if part in readers], source)
    elif split in ("validation", "test") and (other := "test" if split == "validation" else "validation") in readers:
        dataset = readers[other]()
    else:
        missing = next(part for part in ("train", "test") if part not in readers) if split == "all" else split
        held = "it has no parts" if "all" in readers else f"only {' and '.join(map(repr, readers))}"
        raise ValueError(f"{source}: holds no part {missing!r}, {held}")
    return dataset if names is None else _rename(dataset, names, source)


def has_validation(source: StrPath) -> bool:
    """Whether a source has a validation part beside its test part."""
    return {"validation", "test"} <= set(_find(source, {}, None))


def exists(source: StrPath) -> bool:
    """Whether there is anything at a source."""
    return source == "digits" or Path(source).exists() or find_mnist(Path(source)) is not None


def is_image_folder(source: StrPath) -> bool:
    """Whether a source is a directory of image files, which can be read in any size."""
    path = Path(source)
    return source != "digits" and path.is_dir() and not (find_mnist(path) or find_cifar10(path))


def _find(source: StrPath, framing: dict[str, Any], classes: list[str] | None) -> _Readers:
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source must be a name or a path, got {shown(source)}")
    path = checked_path(source, "source")
    if not os.fspath(source):
        raise ValueError("source must be a name or a path, got '' (write '.' for the current folder)")
    readers: _Readers
    if source != "digits":
        refuse_special(path)
    if source == "digits":
        readers = _both(digits)
    elif find_mnist(path):
        readers = _both(partial(mnist, path))
    elif not path.exists():
        import difflib

        near = " (did you mean 'digits'?)" if difflib.get_close_matches(str(source), ["digits"]) else ""
        raise FileNotFoundError(f"{source}: no such file or directory{near}; a data set is {_KNOWN}")
    elif path.is_file():
        readers = _archive(path)
    elif find_cifar10(path):
        readers = _both(partial(cifar10, path))
    else:
        return _folders(path, framing, classes)
    for name in ("size", "channels", "fit"):
        if framing.get(name) is not None:
            raise ValueError(f"{name} is for folders of images only, got {framing[name]!r} with {source}")
    return readers


def _both(read: Callable[[Part], ArrayDataset]) -> _Readers:
    return {"train": partial(read, "train"), "test": partial(read, "test")}


def _archive(path: Path) -> _Readers:
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: not a data set, expected {_KNOWN}{how_to_convert(path)}")
    parts = npz_parts(path)
    readers: _Readers = {part: partial(npz, path, part) for part in parts if part is not None}
    return readers or {"all": partial(npz, path)}


def _folders(path: Path, framing: dict[str, Any], classes: list[str] | None) -> _Readers:
    if not any(any(image_files(folder)) for folder in sub_folders(path)):
        raise ValueError(f"{path}: no data set in this directory, expected {_KNOWN}{how_to_convert(path)}")
    folders = find_parts(path, classes or ())
    if set(folders) == {"train"}:
        folders = {"all": folders["train"]}
    if classes is None and "train" in folders:
        # A class without a test image must not move the labels of the others.
        classes = [folder.name for folder in sub_folders(folders["train"])]
    return {part: partial(image_folder, folder, classes=classes, **framing) for part, folder in folders.items()}


def _divided(whole: ArrayDataset, source: StrPath) -> tuple[ArrayDataset, ArrayDataset]:
    if len(whole) < _LEAST_DIVIDED:
        raise ValueError(f"{source}: holds {len(whole)} image{'s'[len(whole) == 1 :]}, which cannot be divided into a "
                         f"training and a test part: at least {_LEAST_DIVIDED} are needed "
                         "(split='all' reads fewer as they are)")
    return whole.split(_TRAINING_FRACTION)


def _join(parts: list[ArrayDataset], source: StrPath) -> ArrayDataset:
    first = parts[0]
    for part in parts[1:]:
        if first.images.shape[1:] != part.images.shape[1:] or first.classes != part.classes:
            raise ValueError(f"{source}: the parts differ: {first} and {part}")
    images, labels = ([getattr(part, name) for part in parts] for name in ("images", "labels"))
    fit = next((part.fit for part in parts if part.fit), None)
    return ArrayDataset(np.concatenate(images), np.concatenate(labels), first.classes, fit=fit)


def _rename(dataset: ArrayDataset, classes: list[str], source: StrPath) -> ArrayDataset:
    numbers = [str(label) for label in range(len(dataset.classes))]
    if dataset.classes not in (classes, numbers):
        raise ValueError(f"{source}: classes {', '.join(dataset.classes)}, expected {', '.join(classes)}")
    try:
        return ArrayDataset(dataset.images, dataset.labels, classes, fit=dataset.fit)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
