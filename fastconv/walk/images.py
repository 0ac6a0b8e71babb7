"""What a walk through one image takes: the image, what stands around it, and the place of an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.functional import checks

#: What `numpy.pad` calls the modes.
_PAD = {"constant": "constant", "reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}


def one_image(x: ArrayLike) -> NDArray[Any]:
    """The argument x: one image (C, H, W)."""
    image: NDArray[Any] = checks.array(x, "x")
    if image.ndim != 3:
        raise ValueError(f"x must be one image (C, H, W), got shape {image.shape}"
                         f"{': write x[0]' if image.ndim == 4 else ': write x[None]' if image.ndim == 2 else ''}")
    return image


def padded_image(image: NDArray[Any], padding: Sequence[tuple[int, int]], mode: str, value: float) -> NDArray[Any]:
    """An image (C, H, W) with its padding, ((top, bottom), (left, right))."""
    fill = {"constant_values": value} if mode == "constant" else {}
    return np.pad(image, ((0, 0), *padding), _PAD[mode], **fill)  # type: ignore[call-overload,no-any-return]


def check_place(shape: tuple[int, ...], **place: int) -> None:
    """Whether there is an output at this place, an index along each axis of the output's shape."""
    for (name, value), count in zip(place.items(), shape):
        if not 0 <= checks.integer(value, name) < count:
            raise ValueError(f"{name} must be at least 0 and less than {count}, got {value}")
