"""The dataset class: labelled images in memory. Everything that reads data gives an `ArrayDataset`."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data.framing import FITS, Fit, Framing
from fastconv.functional import checks
from fastconv.functional.foreign import advice, read, shown

__all__ = ["ArrayDataset"]

# Class names are made up from the labels only as far as this, so that one stray label cannot fill the memory.
_MOST_UNNAMED_CLASSES = 65536


class ArrayDataset:
    """Images and their labels, as two arrays.

    Parameters
    ----------
    images : array_like
        (N, C, H, W), or (N, H, W) for grey images. uint8 is divided by 255; floating point is taken as it is (0 to 1 is
        what models expect). A C-contiguous float32 array is used without a copy.
    labels : array_like
        (N,) integers, 0 to number of classes - 1.
    classes : sequence of str, optional
        The name of each class. Without it the classes are "0", "1", ... up to the largest label.
    fit : {"stretch", "pad"}, optional
        How pictures of other proportions came to the images' size, for `framing`; None where none was distorted.

    Attributes
    ----------
    images : ndarray
        (N, C, H, W) float32, C-contiguous.
    labels : ndarray
        (N,) int64.
    classes : list of str
    fit : {"stretch", "pad"} or None

    Raises
    ------
    ValueError, TypeError
        When a shape, dtype or label does not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import ArrayDataset
    >>> dataset = ArrayDataset(np.zeros((6, 8, 8), np.uint8), [0, 1, 2, 0, 1, 2], classes=["ant", "bee", "cat"])
    >>> dataset
    ArrayDataset(6 images of 1 x 8 x 8, 3 classes)
    >>> image, label = dataset[4]
    >>> image.shape, dataset.classes[label]
    ((1, 8, 8), 'bee')
    >>> dataset[:2], dataset[dataset.labels == 2]
    (ArrayDataset(2 images of 1 x 8 x 8, 3 classes), ArrayDataset(2 images of 1 x 8 x 8, 3 classes))
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: list[str]

    def __init__(
        self, images: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None = None, *, fit: Fit | None = None
    ) -> None:
        pixels = as_batch(images)
        targets = read(labels, "labels")
        count = _number_of_classes(targets, classes)
        self.labels = checks.labels(targets, "labels", len(pixels), count)
        self.images = as_float32(pixels, "images")
        self.classes = [str(label) for label in range(count)] if classes is None else list(classes)
        self.fit: Fit | None = checks.choice(fit, "fit", (*FITS, None))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.images.shape[1:]))
        return f"ArrayDataset({len(self)} images of {size}, {len(self.classes)} classes)"

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        return (self[position] for position in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> tuple[NDArray[np.float32], int]: ...
    @overload
    def __getitem__(self, index: slice | list[int] | list[bool] | NDArray[Any]) -> ArrayDataset: ...
    def __getitem__(self, index: Any) -> tuple[NDArray[np.float32], int] | ArrayDataset:
        """One ``(image, label)`` for an integer; a dataset for a slice, integers or a mask of bools."""
        if not isinstance(index, (slice, list, np.ndarray)):
            try:
                position = operator.index(index)
            except TypeError:
                raise TypeError(f"index must be an integer, a slice or an array, got {shown(index)}") from None
            return self.images[position], self._target(position)
        chosen = index if isinstance(index, slice) else np.asarray(index, dtype=None if len(index) else np.intp)
        return self._with(self.images[chosen], self.labels[chosen])

    def _target(self, position: int) -> Any:
        return int(self.labels[position])

    def _strata(self) -> NDArray[Any]:
        """A number for each image: of images of one number a split takes its share."""
        return self.labels

    def _with(self, images: NDArray[Any], labels: NDArray[Any]) -> ArrayDataset:
        """Other images and labels of the same kind."""
        return ArrayDataset(images, labels, self.classes, fit=self.fit)

    @property
    def framing(self) -> dict[str, Any]:
        """How a picture becomes an image like these, as keywords of `load_image`, `image_folder` and `load`.

        Keep it in the model's file, and prediction sees what training saw: ``size`` and ``channels``; ``fit``,
        "stretch" or "pad" (where no picture was distorted: "pad" if all stand on one background, else "stretch");
        ``background``, the brightness of the borders if nearly all their pixels have one and no image the opposite
        (a picture on the opposite is inverted), else None; ``value_range``, what black and white are: 0 and 1,
        -1 and 1, 0 and 255, or the least and largest value.

        Examples
        --------
        >>> import fastconv as fc, os, tempfile
        >>> from fastconv import data, nn
        >>> train = data.digits()
        >>> train.framing
        {'size': [28, 28], 'channels': 1, 'fit': 'pad', 'background': 0.0, 'value_range': [0.0, 1.0]}
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> fc.save(nn.models.lenet5(), path, {"framing": train.framing})
        >>> kept = nn.load_metadata(path)["framing"]
        >>> image = data.load_image("seven.jpg", **kept)  # doctest: +SKIP
        """
        return Framing.of(self.images, self.fit).to_dict()

    def split(self, fraction: float, seed: int = 0) -> tuple[ArrayDataset, ArrayDataset]:
        """Two datasets at random: `fraction` of the images of each class, and the rest.

        Parameters
        ----------
        fraction : float
            Between 0 and 1. The first part has ``round(fraction * N)`` images, each class as near to its share as whole
            images allow; the parts keep the order of the dataset.
        seed : int
            Chooses the images.

        Raises
        ------
        ValueError, TypeError
            When `fraction` is not between 0 and 1 or leaves a part without an image.

        Examples
        --------
        >>> from fastconv import data
        >>> train, validation = data.digits().split(0.9, seed=1)
        >>> len(train), len(validation)
        (3600, 400)
        """
        fraction, seed = checks.number(fraction, "fraction"), checks.integer(seed, "seed", 0, maximum=None)
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, got {fraction!r}")
        first = round(fraction * len(self))
        if not 0 < first < len(self):
            raise ValueError(f"fraction {fraction!r} of {len(self)} image{'s'[len(self) == 1 :]} leaves "
                             "one part without an image")
        # Each class is spread evenly over 0 to 1, in a random order. The smallest `first` of all are then as many of
        # each class as its share.
        order = np.random.default_rng(seed).permutation(len(self))
        place, strata = np.empty(len(self)), self._strata()
        for label in np.unique(strata):
            members = order[strata[order] == label]
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
        ranked = order[np.argsort(place[order], kind="stable")]
        return self[np.sort(ranked[:first])], self[np.sort(ranked[first:])]

    def mean_std(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of each channel, over all images and pixels: two arrays (C,).

        Examples
        --------
        >>> from fastconv import data
        >>> mean, std = data.digits().mean_std()
        >>> print(f"{mean[0]:.2f} {std[0]:.2f}")
        0.13 0.31
        """
        if not len(self):
            raise ValueError("mean_std needs at least one image, the dataset has none")
        mean = self.images.mean(axis=(0, 2, 3), dtype=np.float64)
        std = self.images.std(axis=(0, 2, 3), dtype=np.float64)
        return mean.astype(np.float32), std.astype(np.float32)

    def normalize(self, mean: ArrayLike, std: ArrayLike) -> ArrayDataset:
        """A dataset of ``(images - mean) / std``, channel by channel.

        Parameters
        ----------
        mean, std : array_like
            One number, or one for each channel. Use the training images' `mean_std` for the test images too.

        Raises
        ------
        ValueError
            When there are not as many numbers as channels, one is not finite, or `std` is not above 0.

        Examples
        --------
        >>> from fastconv import data
        >>> train, test = data.digits("train"), data.digits("test")
        >>> mean, std = train.mean_std()
        >>> train, test = train.normalize(mean, std), test.normalize(mean, std)
        """
        channels = self.images.shape[1]
        values = []
        for name, value in (("mean", mean), ("std", std)):
            number = np.asarray(value, np.float32)
            if number.shape not in ((), (1,), (channels,)) or not np.isfinite(number).all():
                raise ValueError(f"{name} must be one finite number or {channels} (one a channel), got {shown(value)}")
            values.append(number.reshape(-1, 1, 1))
        if not (values[1] > 0).all():
            raise ValueError(f"std must be above 0, got {shown(std)}")
        return self._with((self.images - values[0]) / values[1], self.labels)


def as_batch(images: ArrayLike) -> NDArray[Any]:
    """(N, C, H, W) of images in any form that a dataset takes."""
    pixels = read(images, "images")
    if pixels.ndim == 3:
        pixels = pixels[:, np.newaxis]
    if pixels.ndim != 4 or 0 in pixels.shape[1:]:
        raise ValueError(f"images must have shape (N, C, H, W) or (N, H, W), got {np.shape(images)}")
    return pixels


def as_float32(images: NDArray[Any], name: str) -> NDArray[np.float32]:
    """C-contiguous float32: uint8 divided by 255, floating point as it is."""
    if images.dtype == np.uint8:
        scaled: NDArray[np.float32] = np.divide(images, 255, dtype=np.float32, order="C")
        return scaled
    if images.dtype.kind != "f":
        written = (_written(images, name.split()[-1]) if images.dtype.kind in "biu"
                   else advice(images, images, name.split()[-1]))
        raise TypeError(f"{name} must be uint8 (0 to 255) or floating point (0 to 1), got {images.dtype}: {written}")
    with np.errstate(over="ignore"):
        floats: NDArray[np.float32] = np.ascontiguousarray(images, np.float32)
    if images.dtype.itemsize > floats.itemsize and (np.isinf(floats) & np.isfinite(images)).any():
        written, largest = name.split()[-1], np.abs(images[np.isfinite(images)]).max()
        raise ValueError(f"{name} must be within float32, at most {np.finfo(np.float32).max:.1e}, got {largest:.1e}: "
                         f"write {written} / np.abs({written}).max()")
    return floats


def _written(images: NDArray[Any], name: str) -> str:
    """What to write for whole numbers that are no uint8, as far as their values tell what is white."""
    if images.dtype.kind == "b":
        return f"write {name}.astype(np.float32)"
    lowest, highest = (int(images.min()), int(images.max())) if images.size else (0, 0)
    if 0 <= lowest and highest <= 255:
        return f"write {name}.astype(np.uint8)"
    if 0 <= lowest and highest <= 65535:
        return f"their values are {lowest} to {highest}, write {name}.astype(np.float32) / 65535, or / what white is"
    return f"their values are {lowest} to {highest}, write {name}.astype(np.float32), brought to 0 to 1"


def _number_of_classes(labels: NDArray[Any], classes: Sequence[str] | None) -> int:
    """As many as there are names; without names, the largest label tells."""
    if classes is not None:
        names = isinstance(classes, Sequence) and not isinstance(classes, str)
        if not (names and all(isinstance(name, str) for name in classes)):
            raise TypeError(f"classes must be a sequence of names (str), got {shown(classes)}")
        return len(classes)
    if labels.dtype.kind not in "iu" or not labels.size:
        return 0
    count, lowest = int(labels.max()) + 1, int(labels.min())
    if lowest < 0:
        raise ValueError(f"labels must be at least 0, got {lowest}")
    if count > _MOST_UNNAMED_CLASSES:
        raise ValueError(
            f"labels must be below {_MOST_UNNAMED_CLASSES} when classes are not named, got {count - 1}: give classes"
        )
    return count
