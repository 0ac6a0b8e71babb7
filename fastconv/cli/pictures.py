"""Pictures as a model expects them: data sets read in the shape it takes, and single images framed as it knows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import data
from fastconv.cli.arguments import Parser, UsageError
from fastconv.data.files import find_cifar10, has_mnist
from fastconv.data.images import resize

# Pixels, of 0 to 1, that differ by less than this are one brightness.
_SAME = 0.1


def add_data_option(parser: Parser) -> None:
    parser.option("data", "--data", default="digits", metavar="SOURCE",
                  help="digits (the bundled sample, default); a directory with the files of MNIST or CIFAR-10, or with a "
                       "folder of images for each class; or an .npz file")


def read_dataset(source: str, split: Any, **settings: Any) -> data.ArrayDataset:
    """`fastconv.data.load`, for a source that the user has named.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    """
    try:
        return data.load(source, split, **settings)
    except FileNotFoundError as error:
        raise UsageError(f"--data {error}") from error


def read_dataset_as(
    shape: Sequence[int] | None, classes: Sequence[str] | None, source: str, split: Any
) -> data.ArrayDataset:
    """A part of a data set as a model takes it.

    Parameters
    ----------
    shape : (channels, rows, columns), optional
        Of the model's images: image files are made so; other images must be so.
    classes : sequence of str, optional
        That the model knows.
    source, split
        As of `fastconv.data.load`.

    Raises
    ------
    UsageError
        If there is nothing at `source`.
    ValueError
        If the images are of another shape.
    """
    made = {"channels": shape[0], "size": tuple(shape[1:])} if shape is not None and is_image_folder(source) else {}
    dataset = read_dataset(source, split, classes=classes, **made)
    if shape is not None and dataset.images.shape[1:] != tuple(shape):
        raise ValueError(f"the model takes images of {by(shape)}, those of {source} are {by(dataset.images.shape[1:])} "
                         "(channels x rows x columns)")
    return dataset


def is_image_folder(source: str) -> bool:
    """Whether `source` is a directory of image files, which can be read in any size."""
    path = Path(source)
    return source != "digits" and path.is_dir() and not (has_mnist(path) or find_cifar10(path))


def background(images: NDArray[np.float32]) -> float | None:
    """The brightness of the images' borders, if nearly all border pixels have one: digits on black have 0.

    Parameters
    ----------
    images : ndarray (N, C, H, W)
    """
    border = _border(images)
    middle = float(np.median(border))
    return middle if np.mean(np.abs(border - middle) < _SAME) > 0.9 else None


def read_image(
    path: Path, shape: Sequence[int] | None, known: float | None, invert: bool | None
) -> tuple[NDArray[np.float32], bool]:
    """An image file as a model takes it, and whether it was inverted.

    Parameters
    ----------
    path : path
    shape : (channels, rows, columns), optional
        Of the model's images; None leaves the image as large as it is, in grey.
    known : float, optional
        The `background` that the model was trained with. An image of other proportions is then filled up with its own
        background instead of being stretched.
    invert : bool, optional
        Whether to exchange dark and bright. None does so if the image's background is dark and the known one bright, or
        the other way round: pen on paper becomes white on black.
    """
    image = data.load_image(path, channels=shape[0] if shape is not None else 1)
    edge = float(np.median(_border(image[np.newaxis])))
    if invert is None:
        invert = known is not None and abs(known - edge) > 0.5
    if invert:
        image, edge = 1 - image, 1 - edge
    if shape is not None and image.shape[1:] != tuple(shape[1:]):
        rows, columns = shape[1:]
        if known is not None:
            image = _fill_up(image, rows / columns, edge)
        image = resize(image, (rows, columns))
    return image, invert


def by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _border(images: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]
    return np.concatenate([side.reshape(-1) for side in sides])


def _fill_up(image: NDArray[np.float32], proportion: float, value: float) -> NDArray[np.float32]:
    """Rows or columns of `value` on both sides, until rows / columns is the proportion."""
    rows, columns = image.shape[1:]
    more_rows = max(0, round(columns * proportion) - rows)
    more_columns = max(0, round(rows / proportion) - columns)
    pads = [(more // 2, more - more // 2) for more in (0, more_rows, more_columns)]
    return np.pad(image, pads, constant_values=value)
