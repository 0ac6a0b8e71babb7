"""Two pictures that come with the package, to see filters at work on: one in colour, one in grey."""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks

__all__ = ["SAMPLES", "sample"]

#: Their names.
SAMPLES = ("still-life", "house")


def sample(name: str) -> NDArray[np.float32]:
    """A bundled picture.

    Parameters
    ----------
    name : {"still-life", "house"}
        Fruits on a checked cloth, in colour; or a house with a tree, in grey. ``samples.README.md`` beside the data
        says where they come from.

    Returns
    -------
    ndarray (3, 128, 128) or (1, 128, 128), float32
        From 0 to 1.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from fastconv import data, walk
    >>> image = data.sample("still-life")
    >>> image.shape
    (3, 128, 128)
    >>> edges = walk.convolution(image, walk.FILTERS["sobel-x"][None, None].repeat(3, axis=1))
    >>> edges.channel_maps.shape, edges.sums.shape  # a map for each channel, which add up to one
    ((1, 3, 126, 126), (1, 126, 126))
    """
    chosen: str = checks.choice(name, "name", SAMPLES)
    with resources.files(__package__).joinpath("samples.npz").open("rb") as file, np.load(file) as archive:
        return archive[chosen].astype(np.float32) / np.float32(255)
