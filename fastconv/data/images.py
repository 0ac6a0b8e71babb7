"""Image files, through Pillow (``pip install fastconv[images]``): one image to predict, or a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.data.datasets import ArrayDataset, as_float32
from fastconv.data.files import StrPath, channels_first
from fastconv.functional import checks

__all__ = ["image_folder", "load_image"]

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".npy"))
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, what Pillow's "L" is made with


def load_image(
    path: StrPath, *, size: int | tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.float32]:
    """One image as (C, H, W) float32, 0 to 1.

    Parameters
    ----------
    path : path
        Any image that Pillow reads: the first frame, upright as its EXIF entry says, transparency dropped. Or ``.npy``:
        (H, W), (C, H, W) or (H, W, C), uint8 or floating point.
    size : int or (height, width), optional
        Resize to this, if the image is not so already: bilinear, averaging over the pixels when it gets smaller; the
        proportions are not kept. An int means a square.
    channels : {1, 3}, optional
        Grey (ITU-R BT.601 luma) or red, green, blue. By default what the file has.

    Raises
    ------
    ValueError, TypeError
        When the file is not an image, is damaged, or an option is wrong.
    ImportError
        When Pillow is needed and not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from fastconv import data
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "photo.npy")
    ...     np.save(path, np.zeros((48, 64, 3), np.uint8))
    ...     data.load_image(path, channels=1).shape
    (1, 48, 64)
    """
    target = _check_size(size)
    if channels is not None and checks.integer(channels, "channels") not in (1, 3):
        raise ValueError(f"channels must be 1 (grey), 3 (colour) or None (as the file), got {channels!r}")
    return _load(Path(path), target, channels)


def image_folder(
    directory: StrPath,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
) -> ArrayDataset:
    """A dataset from a directory with one sub-folder for each class, named as the class.

    Parameters
    ----------
    directory : path
        Images are the files in a sub-folder, and in folders in it, that end as an image does (.png, .jpg, .jpeg, .bmp,
        .gif, .tif, .tiff, .webp, .pgm, .ppm, .npy). Names that start with a dot are passed over.
    size : int or (height, width), optional
        Resize all images to this; without it they must have one size.
    channels : {1, 3}, optional
        Make all images grey, or red, green, blue; without it all must be one of the two.
    classes : sequence of str, optional
        The names in the order of their labels, as another dataset or a model has them; a folder of another name is an
        error then. By default the names of the sub-folders, sorted.

    Raises
    ------
    ValueError, TypeError
        When there are no classes, a class has no image, a file is not an image, or images differ in size or channels.
    ImportError
        When Pillow is not installed.

    Examples
    --------
    >>> from fastconv import data
    >>> flowers = data.image_folder("flowers", size=64, channels=3)  # doctest: +SKIP
    """
    root = Path(directory)
    target = _check_size(size)
    folders = class_folders(root)
    if not folders:
        raise ValueError(f"{root}: no sub-folders, expected one for each class")
    names = [folder.name for folder in folders] if classes is None else list(classes)
    for folder in folders:
        if folder.name not in names:
            raise ValueError(f"{folder}: not one of the classes {', '.join(names)}")
    paths, labels = [], []
    for folder in folders:
        found = _image_files(folder)
        if not found:
            raise ValueError(f"{folder}: no images, expected at least one (files ending in {' '.join(sorted(_SUFFIXES))})")
        paths += found
        labels += [names.index(folder.name)] * len(found)

    first = load_image(paths[0], size=target, channels=channels)
    images = np.empty((len(paths), *first.shape), np.float32)
    for position, path in enumerate(paths):
        image = _load(path, target, channels)
        if image.shape != first.shape:
            option = "channels" if image.shape[1:] == first.shape[1:] else "size"
            raise ValueError(
                f"{path}: {_shape(image)}, but {paths[0]} is {_shape(first)} (channels x height x width): "
                f"choose one for all with {option}"
            )
        images[position] = image
    return ArrayDataset(images, labels, names)


def class_folders(directory: Path) -> list[Path]:
    """The sub-folders that `image_folder` takes for classes, sorted by name."""
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    found = []
    for parent, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in _SUFFIXES)


def _shape(image: NDArray[Any]) -> str:
    return " x ".join(map(str, image.shape))


def _check_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    pair: tuple[int, int] | None = None if size is None else checks.pair(size, "size")
    return pair


def _load(path: Path, size: tuple[int, int] | None, channels: int | None) -> NDArray[np.float32]:
    image = _read_npy(path) if path.suffix.lower() == ".npy" else _read_image(path)
    if channels == 3 and len(image) == 1:
        image = np.repeat(image, 3, axis=0)
    elif channels == 1 and len(image) == 3:
        image = np.tensordot(_LUMA, image, axes=1)[np.newaxis]
    if size is not None and image.shape[1:] != size:
        image = resize(image, size)
    return np.ascontiguousarray(image, np.float32)


def _read_npy(path: Path) -> NDArray[np.float32]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a size beyond the file is an error, not memory
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a NumPy array file: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{path}: a NumPy archive, expected one array")
    image = channels_first(array[np.newaxis] if array.ndim == 2 else array)
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"{path}: shape {array.shape}, expected (H, W), (C, H, W) or (H, W, C) with 1 or 3 channels")
    return as_float32(np.array(image), f"{path}: pixels")


def _read_image(path: Path) -> NDArray[np.float32]:
    pillow = _pillow()
    from PIL import ImageOps

    with path.open("rb") as file:
        try:
            with pillow.open(file) as opened:
                opened.load()
                image = ImageOps.exif_transpose(opened)
        # Pillow's decoders also let SyntaxError and other errors of a parser through when a file is damaged.
        except (OSError, SyntaxError, ValueError, EOFError, pillow.DecompressionBombError) as error:
            raise ValueError(f"{path}: not an image that can be read: {error}") from error
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow may hold in 32
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"{path}: pixels {wide.min()} to {wide.max()}, expected 0 to 65535")
        grey: NDArray[np.float32] = np.divide(wide, 65535, dtype=np.float32)[np.newaxis]
        return grey
    if image.mode == "F":
        raise ValueError(f"{path}: floating-point pixels, of unknown range: convert the image to 8 or 16 bits")
    if image.mode in ("1", "L", "LA", "La"):
        return as_float32(np.asarray(image.convert("L"))[np.newaxis], "pixels")
    if image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns when it must drop the transparency of a palette
    return as_float32(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0), "pixels")


def resize(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    pillow = _pillow()
    height, width = size
    resized: NDArray[np.float32]
    planes = [pillow.fromarray(plane).resize((width, height), pillow.Resampling.BILINEAR) for plane in image]
    resized = np.stack([np.asarray(plane, np.float32) for plane in planes])
    return resized


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise ImportError("reading and resizing images needs Pillow: pip install fastconv[images]") from error
    return PIL.Image
