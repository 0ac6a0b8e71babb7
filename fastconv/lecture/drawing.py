"""From a drawn digit to an image as MNIST has them: cropped, scaled to 20 x 20, its centre of mass in the middle of
28 x 28."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["centred", "shrunk"]

#: Of the image's side, what the longer side of a digit takes up: 20 of 28.
_PART = 20 / 28


def centred(ink: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """A drawing as MNIST would have it.

    Parameters
    ----------
    ink : ndarray (H, W)
        0 where nothing is drawn; something is.
    size : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray of `size`

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.lecture.drawing import centred
    >>> ink = np.zeros((280, 280), np.float32)
    >>> ink[:40, :8] = 1                                  # a stroke in the corner
    >>> np.argwhere(centred(ink, (28, 28))).min(axis=0), np.argwhere(centred(ink, (28, 28))).max(axis=0)
    (array([ 5, 13]), array([24, 16]))
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cropped = ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = min(size) * _PART / max(cropped.shape)
    box = [max(1, round(side * scale)) for side in cropped.shape]
    small = shrunk(cropped, box)
    image = np.zeros(size, np.float32)
    places = []
    for axis, (side, whole) in enumerate(zip(box, size)):
        mass = small.sum(axis=1 - axis, dtype=np.float64)
        middle = float(mass @ np.arange(side) / mass.sum())  # comes to row or column 14 of 28, counted from 0
        start = min(max(math.floor(whole / 2 - middle + 0.5), 0), whole - side)
        places.append(slice(start, start + side))
    image[tuple(places)] = small
    return image


def shrunk(ink: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """A drawing at another size: each pixel is the mean of what it covers."""
    rows, columns = (_cover(side, new) for side, new in zip(ink.shape, size))
    small: NDArray[np.float32] = (rows @ ink.astype(np.float64) @ columns.T).astype(np.float32)
    return small


def _cover(side: int, new: int) -> NDArray[np.float64]:
    """(new, side): which part of each new pixel the old ones make up, along one axis."""
    edges = np.linspace(0, side, new + 1)
    starts, ends = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    pixels = np.arange(side)
    return np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None) / (ends - starts)
