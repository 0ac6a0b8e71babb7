"""Images with something else than one label: numbers to be found, or a class for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data.datasets import ArrayDataset, as_batch, as_float32
from fastconv.data.framing import Fit
from fastconv.functional.foreign import advice, read

__all__ = ["TargetDataset"]


class TargetDataset(ArrayDataset):
    """Images and what a model should return for each: numbers (regression), or class numbers (segmentation).

    Parameters
    ----------
    images : array_like
        As of `ArrayDataset`.
    targets : array_like
        (N, ...) of floating point, in the shape that the model returns; or (N, H, W) of integers, the class of each
        pixel, where negative ones are none (`fastconv.cross_entropy` ignores -100).
    classes : sequence of str, optional
        Of segmentation: the name of each class.

    Attributes
    ----------
    images : ndarray
        (N, C, H, W) float32, C-contiguous.
    labels : ndarray
        The targets: float32, or int64.
    classes : list of str
        Empty where the targets are numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import TargetDataset
    >>> TargetDataset(np.zeros((6, 8, 8), np.uint8), np.zeros((6, 2)))
    TargetDataset(6 images of 1 x 8 x 8, targets of 2)
    >>> TargetDataset(np.zeros((6, 8, 8), np.uint8), np.ones((6, 8, 8), int), classes=["sky", "tree"])
    TargetDataset(6 images of 1 x 8 x 8, maps of 8 x 8, 2 classes)
    """

    labels: NDArray[Any]

    def __init__(self, images: ArrayLike, targets: ArrayLike, classes: Sequence[str] | None = None, *,
                 fit: Fit | None = None) -> None:
        pixels, wanted = as_batch(images), read(targets, "targets")
        if wanted.ndim == 0 or len(wanted) != len(pixels):
            raise ValueError(f"targets must have one entry for each of {len(pixels)} images, got shape {wanted.shape}")
        if wanted.dtype.kind == "f":
            if classes is not None:
                raise ValueError("classes must be left None for targets that are numbers")
            self.labels, count = np.ascontiguousarray(wanted, np.float32), 0
        elif wanted.dtype.kind in "iu" and wanted.ndim > 1:
            self.labels = np.ascontiguousarray(wanted, np.int64)
            highest = int(self.labels.max(initial=-1))
            count = highest + 1 if classes is None else len(classes)
            if highest >= count:
                raise ValueError(f"targets must be below {count}, the number of classes, got {highest}")
        else:
            raise TypeError("targets must be floating point, or a map of integers for each image, got "
                            f"{wanted.dtype} of shape {wanted.shape}: {advice(wanted, targets, 'targets')}")
        self.images = as_float32(pixels, "images")
        self.classes = [str(label) for label in range(count)] if classes is None else list(classes)
        self.fit = fit

    @property
    def are_maps(self) -> bool:
        """Whether the targets are class numbers."""
        return self.labels.dtype.kind == "i"

    def __repr__(self) -> str:
        size, of_target = (" x ".join(map(str, array.shape[1:])) or "1" for array in (self.images, self.labels))
        targets = f"maps of {of_target}, {len(self.classes)} classes" if self.are_maps else f"targets of {of_target}"
        return f"TargetDataset({len(self)} images of {size}, {targets})"

    def _with(self, images: NDArray[Any], labels: NDArray[Any]) -> TargetDataset:
        return TargetDataset(images, labels, self.classes if self.are_maps else None, fit=self.fit)

    def _target(self, position: int) -> Any:
        return self.labels[position]

    def _strata(self) -> NDArray[Any]:
        return np.zeros(len(self), np.int64)
