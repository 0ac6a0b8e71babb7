"""Framing: the one way from a picture of any size to an image that a model takes.

A model must be asked about what it was trained on. So training, evaluation and prediction frame their pictures here, by
the same settings, which a model file keeps: `ArrayDataset.framing` gives them, `load_image`, `image_folder` and `load`
take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.functional.foreign import shown

Fit = Literal["stretch", "pad"]

FITS = ("stretch", "pad")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, what Pillow's "L" is made with

# A plane of more pixels than this, of 1 GB in float32, is taken for a mistake,
# and refused before memory is taken for it.
_MOST_PIXELS = 2**28

# Pixels that differ by less than this part of the value range are one brightness.
_SAME = 0.1


@dataclass(frozen=True)
class Framing:
    """How pictures become images; None is what stays as it is in the picture.

    Attributes
    ----------
    size : (height, width), optional
    channels : {1, 3}, optional
    fit : {"stretch", "pad"}, optional
        How a picture of other proportions gets this size. None: it is stretched.
    background : float, optional
        The brightness that all images stand on. A picture on the opposite is inverted.
    value_range : (float, float)
        The values of black and of white.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: Fit | None = None
    background: float | None = None
    value_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.size is not None and self.size[0] * self.size[1] > _MOST_PIXELS:
            raise ValueError(f"size must be at most {_MOST_PIXELS} pixels, such as 16384 x 16384, got {self.size[0]} x "
                             f"{self.size[1]}")

    @classmethod
    def checked(
        cls, size: Any = None, channels: Any = None, fit: Any = None, background: Any = None,
        value_range: Any = (0.0, 1.0)
    ) -> Framing:
        """From what a user, or a model file, gives."""
        if channels is not None and checks.integer(channels, "channels") not in (1, 3):
            raise ValueError(f"channels must be 1 (grey), 3 (colour) or None (as the file), got {channels!r}")
        checks.choice(fit, "fit", (*FITS, None))
        if background is not None and not np.isfinite(checks.number(background, "background")):
            raise ValueError(f"background must be finite, got {background!r}")
        if isinstance(value_range, (str, bytes)) or not isinstance(value_range, Sequence) or len(value_range) != 2:
            raise TypeError(f"value_range must be two numbers, of black and of white, got {shown(value_range)}")
        black, white = (checks.number(value, "value_range") for value in value_range)
        if not -np.inf < black < white < np.inf:
            raise ValueError("value_range must be finite and ascending, of black and of white, "
                             f"got {shown(value_range)}")
        pair = None if size is None else checks.pair(tuple(size) if isinstance(size, list) else size, "size")
        return cls(pair, channels, fit, None if background is None else float(background), (black, white))

    @classmethod
    def of(cls, images: NDArray[np.float32], fit: Fit | None) -> Framing:
        """The framing that images (N, C, H, W) show; `fit` is how they came to their size,
        None if nothing was distorted."""
        count, channels, height, width = images.shape
        value_range = _value_range(images) if count else (0.0, 1.0)
        background = _background(images, value_range) if count else None
        if fit is None:
            fit = "stretch" if background is None else "pad"
        return cls((height, width), channels, fit, background, value_range)

    def to_dict(self) -> dict[str, Any]:
        """As keywords of `load_image`, of what JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def fitted(self, image: NDArray[np.float32]) -> tuple[int, int]:
        """The largest (rows, columns) in `size` with the proportions of a picture (C, H, W)."""
        if self.size is None:
            return image.shape[1], image.shape[2]
        (height, width), (rows, columns) = self.size, image.shape[1:]
        scale = min(height / rows, width / columns)
        return max(1, round(rows * scale)), max(1, round(columns * scale))

    def distorts(self, image: NDArray[np.float32]) -> bool:
        """Whether a picture (C, H, W) has other proportions than the images."""
        return self.size is not None and self.fitted(image) != self.size

    def frame(self, image: NDArray[np.float32], invert: bool | None = None) -> tuple[NDArray[np.float32], bool]:
        """A picture (C, H, W), whose values are in the range, as an image; and whether it was inverted.

        `invert` says whether to exchange dark and bright; None does so where the picture stands on the opposite of the
        known background, as ink on paper does for a model that knows chalk on a blackboard.
        """
        if self.channels == 3 and len(image) == 1:
            image = np.repeat(image, 3, axis=0)
        elif self.channels == 1 and len(image) == 3:
            image = luma(image)[np.newaxis]
        edges = np.median(_border(image), axis=1)
        if invert is None:
            invert = self.background is not None and self._opposite(edges.mean())
        if self.size is not None:
            image = _resize(image, self.fitted(image) if self.fit == "pad" else self.size)
            image = _pad(image, self.size, edges)
        if invert:
            image = sum(self.value_range) - image
        return np.ascontiguousarray(image, np.float32), invert

    def _opposite(self, edge: float) -> bool:
        black, white = self.value_range
        return self.background is not None and bool(abs(self.background - edge) > (white - black) / 2)


def luma(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The brightness (H, W) of a picture (C, H, W) of one or three channels."""
    grey: NDArray[np.float32] = image[0] if len(image) == 1 else np.tensordot(_LUMA, image, axes=1)
    return grey


def _resize(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear, averaging over the pixels when it gets smaller."""
    if image.shape[1:] == size:
        return image
    library = pillow()
    height, width = size
    planes = [library.fromarray(plane).resize((width, height), library.Resampling.BILINEAR) for plane in image]
    resized: NDArray[np.float32] = np.stack([np.asarray(plane, np.float32) for plane in planes])
    return resized


def pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise ImportError("reading and resizing images needs Pillow: pip install fastconv[images]") from error
    return PIL.Image


def _border(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The border pixels of (..., H, W), as (..., n)."""
    sides = images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]
    return np.concatenate(sides, axis=-1)


def _background(images: NDArray[np.float32], value_range: tuple[float, float]) -> float | None:
    """The brightness of the border, if nearly all its pixels have one and no image stands on the opposite."""
    border, contrast = _border(images), value_range[1] - value_range[0]
    middle = float(np.median(border))
    if np.mean(np.abs(border - middle) < _SAME * contrast) <= 0.9:
        return None
    edges = np.median(border, axis=-1).mean(axis=1)
    return None if (np.abs(edges - middle) > contrast / 2).any() else middle


def _value_range(images: NDArray[np.float32]) -> tuple[float, float]:
    """What black and white are in these images: 0 and 1, -1 and 1, 0 and 255, else their least and largest value.

    What interpolation overshoots 0 and 1 by does not count.
    """
    least, largest = float(images.min()), float(images.max())
    if (-0.5 <= least and largest <= 1.5) or not -np.inf < least < largest < np.inf:
        return 0.0, 1.0
    for black, white in ((-1.0, 1.0), (0.0, 255.0)):
        if black <= least and white / 2 < largest <= white:
            return black, white
    return least, largest


def _pad(image: NDArray[np.float32], size: tuple[int, int], values: NDArray[Any]) -> NDArray[np.float32]:
    """The image in the middle of a plane of the channels' `values`."""
    if image.shape[1:] == size:
        return image
    padded = np.empty((len(image), *size), np.float32)
    padded[...] = values[:, np.newaxis, np.newaxis]
    rows, columns = image.shape[1:]
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    padded[:, top : top + rows, left : left + columns] = image
    return padded
