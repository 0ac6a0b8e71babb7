"""What looks wrong about the images and labels of a training: in words, with the expression that mends it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastconv.data.datasets import ArrayDataset
from fastconv.data.targets import TargetDataset

__all__ = ["DataWarning", "check_finite", "doubts"]

# Images of 0 to 1, or with mean 0 and standard deviation 1, stay far below these.
_FAR = 10.0
_FAR_IF_CENTRED = 30.0
# From here on the sum of the squares of many float32 values is infinite, and so is their standard deviation.
_NO_SQUARE = 1e12
# What is left of 0 to 255 after a division by 255 too many, and a bit.
_TWICE_DIVIDED = 1.5 / 255


class DataWarning(UserWarning):
    """Images or labels look wrong; the training goes on."""


def check_finite(dataset: ArrayDataset, name: str) -> None:
    """Nothing can be learnt from images that hold NaN or infinity.

    Raises
    ------
    ValueError
        With the number of such images, and the first.
    """
    lowest, highest = _ranges(dataset.images)
    wrong = np.flatnonzero(~(np.isfinite(lowest) & np.isfinite(highest)))
    if len(wrong):
        raise ValueError(f"{name}: images must be finite, {len(wrong)} of {len(dataset)} hold NaN or infinity, "
                         f"the first is number {wrong[0]}: write np.where(np.isfinite(images), images, 0), "
                         "or leave them out with np.isfinite(images).all(axis=(1, 2, 3))")


def doubts(dataset: ArrayDataset) -> list[str]:
    """A sentence for each thing that looks wrong; none for data as models expect them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import ArrayDataset
    >>> from fastconv.data.doubts import doubts
    >>> bytes_as_floats = np.arange(256.0).reshape(4, 8, 8)
    >>> doubts(ArrayDataset(bytes_as_floats, [0, 1, 0, 1]))
    ['the images reach from 0 to 255, where 0 to 1 is expected: write images / 255']
    """
    if not len(dataset):
        return []
    of_labels = [] if isinstance(dataset, TargetDataset) else _doubts_of_labels(dataset)
    return [*_doubts_of_images(dataset.images), *of_labels]


def _ranges(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The least and the largest value of each image."""
    with np.errstate(invalid="ignore"):
        return images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))


def _doubts_of_images(images: NDArray[np.float32]) -> list[str]:
    lowest, highest = _ranges(images)
    low, high = float(lowest.min()), float(highest.max())
    found = []
    if max(-low, high) > (_FAR if low >= 0 else _FAR_IF_CENTRED):
        furthest = max(-low, high)
        largest = next((bound for bound in (16, 255, 65535) if furthest <= bound), furthest)
        centred = low < 0 and largest < _NO_SQUARE
        mended = "(images - images.mean()) / images.std()" if centred else f"images / {largest:g}"
        found.append(f"the images reach from {low:g} to {high:g}, where 0 to 1 is expected: write {mended}")
    elif low == high:
        found.append(f"all pixels of all images are {low:g}: there is nothing to learn")
    elif high - low < _TWICE_DIVIDED:
        found.append(f"the images reach from {low:g} to {high:g} only, where 0 to 1 is expected "
                     "(were they divided by 255 twice?): write (images - images.min()) / (images.max() - images.min())")
    flat = int(np.count_nonzero(lowest == highest))
    if flat > len(images) / 2 and low < high:
        found.append(f"{flat} of {len(images)} images have one value in all pixels")
    return found


def _doubts_of_labels(dataset: ArrayDataset) -> list[str]:
    count = len(dataset.classes)
    present = np.flatnonzero(np.bincount(dataset.labels, minlength=count))
    if len(present) == 1:
        return [f"all labels are {present[0]}: there is nothing to tell apart"]
    missing = count - len(present)
    if not missing:
        return []
    if dataset.classes == [str(number) for number in range(count)]:
        return [f"the labels from {present[0]} to {present[-1]} make {count} classes, {missing} of them without an "
                "image: write labels = np.unique(labels, return_inverse=True)[1]"]
    names = [name for number, name in enumerate(dataset.classes) if number not in present]
    return [f"{missing} of {count} classes have no image: {', '.join(names[:5])}{', ...' if missing > 5 else ''}"]
