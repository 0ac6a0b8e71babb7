"""Python that holds an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["literal"]

#: Letters of the numbers in hexadecimal, which somebody scrolls past and copies: pixels of 128 x 128, or 64 x 64 other
#: numbers.
_MOST_LETTERS = 2**15


def literal(array: NDArray[np.float32], name: str) -> str:
    """An expression that makes exactly this array, and where it is too large for one, what reads it from the page's
    NPZ by its name there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.lecture.literal import literal
    >>> literal(np.float32([[0, 1]]), "image")
    'np.float32(np.frombuffer(bytes.fromhex("00ff"), np.uint8)).reshape(1, 2) / 255'
    """
    pixels = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    are_pixels = np.array_equal(pixels.astype(np.float32) / 255, array)
    numbers = pixels if are_pixels else array.astype("<f4")
    if 2 * numbers.nbytes > _MOST_LETTERS:
        return f'np.load("fastconv.npz")["{name}"]  # the NPZ that the page gives'
    text = numbers.tobytes().hex()
    if are_pixels:
        return f'np.float32(np.frombuffer(bytes.fromhex("{text}"), np.uint8)).reshape{array.shape} / 255'
    return f'np.frombuffer(bytes.fromhex("{text}"), "<f4").reshape{array.shape}'
