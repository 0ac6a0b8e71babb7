"""The picture that a request means, a bundled one or one that the page sends along; what the model sees of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import data
from fastconv.lecture.drawing import centred, shrunk
from fastconv.lecture.page import Page

__all__ = ["model_image", "picture", "show"]

Sections = Mapping[str, NDArray[np.float32]]

#: As Python writes a number too, for the page shows it as Python.
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")

#: Rows and columns of a drawing: each is a factor of what it takes to shrink it.
_MOST_SIDE = 2048


def picture(page: Page, head: Mapping[str, Any], sections: Sections) -> NDArray[np.float32]:
    """The picture (C, H, W), from 0 to 1, that ``head["image"]`` names: ``"digit:7"`` of the test images,
    ``"sample:house"``, or ``"upload"``, the section image.

    Raises
    ------
    ValueError
        If there is no such picture.
    """
    name = head.get("image", "digit:0")
    kind, _, number = str(name).partition(":")
    image = _test_image(page, head)
    if image is not None:
        black, white = page.framing.value_range if page.shown.own else (0.0, 1.0)
        return image if (black, white) == (0.0, 1.0) else (image - np.float32(black)) / np.float32(white - black)
    if kind == "sample":
        return data.sample(number)
    if kind == "upload":
        sent = sections.get("image")
        if sent is None or sent.ndim != 3 or len(sent) not in (1, 3) or not sent.size:
            raise ValueError(f"section image must be of shape (1, H, W) or (3, H, W), got "
                             f"{None if sent is None else sent.shape}")
        if not np.isfinite(sent).all():
            raise ValueError("section image must be finite")
        return sent
    raise ValueError(f"image must be digit:0 to digit:{len(page.shown.test) - 1}, sample:NAME or upload, got "
                     f"{name!r}")


def model_image(page: Page, head: Mapping[str, Any], sections: Sections) -> NDArray[np.float32]:
    """What the model sees of a picture, or of ``"ink"``, the section image: a drawing (1, H, W), 1 where it is drawn on
    and 0 elsewhere, centred unless ``head["centre"]`` is false.

    Raises
    ------
    ValueError
        If there is no such picture, or nothing is drawn.
    """
    own = _test_image(page, head) if page.shown.own else None
    if own is not None:
        return own
    if head.get("image") != "ink":
        return page.framed(picture(page, head, sections))
    ink = picture(page, {"image": "upload"}, sections)[0]
    if max(ink.shape) > _MOST_SIDE:
        raise ValueError(f"section image must hold a drawing of at most {_MOST_SIDE} x {_MOST_SIDE}, got "
                         f"{ink.shape[0]} x {ink.shape[1]}")
    if ink.min() < 0 or ink.max() > 1:
        raise ValueError(f"section image must hold a drawing, with numbers from 0 to 1, got {ink.min()} to {ink.max()}")
    if not ink.any():
        raise ValueError("section image must hold a drawing, all of it is 0")
    _, *size = page.shape
    drawn = centred(ink, size) if head.get("centre", True) else shrunk(ink, size)
    blank = page.blank()
    ink_value = page.framing.value_range[1] + page.framing.value_range[0] - blank
    seen: NDArray[np.float32] = blank + drawn * (ink_value - blank)
    return seen


def _test_image(page: Page, head: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The one that a head names, if it names one."""
    kind, _, number = str(head.get("image", "digit:0")).partition(":")
    named = kind == "digit" and _NUMBER.fullmatch(number) and int(number) < len(page.shown.test)
    return page.shown.test.images[int(number)] if named else None


def show(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """The call ``picture``: the section image is the picture that the head names."""
    return {}, {"image": picture(page, head, sections)}
