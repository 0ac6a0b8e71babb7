"""What travels between page and server: a head in JSON, and behind it arrays of float32 as they lie in memory.

A body is four bytes, the length of the head (little-endian), then the head, filled up with spaces to a multiple of four
bytes, then the arrays in C order. ``head["sections"]`` is a list of ``[name, shape]``, in their order. JSON alone would
take longer than the network that it tells of. The pixels of a picture are ``[name, shape, white]``: a byte each, of
which 255 stand for ``white``, filled up with zeros to a multiple of four bytes; a photo would be four times as long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["WHITES", "Pixels", "pack", "pixels", "unpack"]

_ARRAY = np.dtype("<f4")
#: What 255 may stand for.
WHITES = (1, 255)
#: Sections of a body, and letters of a section's name: more than any view has, and than a ZIP archive can name.
_MOST_SECTIONS, _MOST_LETTERS = 4096, 256


class Pixels(NamedTuple):
    """An array of float32 in bytes, of which 255 stand for `white`."""

    levels: NDArray[np.uint8]
    white: int


def pixels(array: NDArray[np.float32], white: int) -> NDArray[np.float32] | Pixels:
    """An array in bytes, if it is one of pixels of a picture; else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.lecture import wire
    >>> wire.pixels(np.float32([0, 200]), 255), wire.pixels(np.float32([-1, 200]), 255)
    (Pixels(levels=array([  0, 200], dtype=uint8), white=255), array([ -1., 200.], dtype=float32))
    """
    levels = np.rint(np.clip(array, 0, white) * np.float32(255 / white)).astype(np.uint8)
    return Pixels(levels, white) if _values(levels, white).tobytes() == array.tobytes() else array


def _values(levels: NDArray[np.uint8], white: int) -> NDArray[np.float32]:
    """What bytes stand for, each the float32 that is nearest."""
    return levels * np.float32(white) / np.float32(255)


def pack(head: Mapping[str, Any], sections: Mapping[str, ArrayLike | Pixels]) -> bytes:
    """A body of a head and arrays, which become float32.

    Examples
    --------
    >>> from fastconv.lecture import wire
    >>> head, sections = wire.unpack(wire.pack({"k": 3}, {"bias": [0.5, 1]}))
    >>> head, sections["bias"].tolist()
    ({'k': 3}, [0.5, 1.0])
    """
    shapes: list[list[Any]] = []
    arrays: list[bytes] = []
    for name, section in sections.items():
        if isinstance(section, Pixels):
            shapes.append([name, section.levels.shape, section.white])
            arrays.append(section.levels.tobytes() + bytes(-section.levels.size % 4))
        else:
            array = np.asarray(section, _ARRAY, "C")
            shapes.append([name, array.shape])
            arrays.append(array.tobytes())
    try:
        text = json.dumps({**head, "sections": shapes}, allow_nan=False).encode()
    except ValueError as error:
        raise ValueError("the numbers that come out must be finite, and some are not: give smaller ones") from error
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *arrays])


def unpack(body: bytes) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The head and the arrays of a body.

    Raises
    ------
    ValueError
        If it is not one.
    """
    length = int.from_bytes(body[:4], "little")
    if len(body) < 4 + length or len(body) < 4:
        raise ValueError(f"body must begin with the length of its head, got {len(body)} bytes")
    try:
        head = json.loads(body[4:4 + length])
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise ValueError(f"body must have a head in JSON: {error}") from error
    shapes = head.pop("sections", []) if isinstance(head, dict) else None
    if not isinstance(shapes, list) or not all(map(_is_section, shapes)):
        raise ValueError("body must have a head that is an object, with sections [[name, shape], ...]")
    if len(shapes) > _MOST_SECTIONS or len({name for name, *_ in shapes}) < len(shapes):
        raise ValueError(f"body must have at most {_MOST_SECTIONS} sections, each of another name, got {len(shapes)}")
    sections, place = {}, 4 + length
    for name, shape, *white in shapes:
        count = math.prod(shape)
        end = place + (count + -count % 4 if white else count * _ARRAY.itemsize)
        if end > len(body):
            raise ValueError(f"section {name} of shape {shape} goes beyond the end of the body")
        if white:
            sections[name] = _values(np.frombuffer(body[place:end], np.uint8)[:count].reshape(shape), *white)
        else:
            sections[name] = np.frombuffer(body[place:end], _ARRAY).reshape(shape).astype(np.float32)
        place = end
    if place != len(body):
        raise ValueError(f"body has {len(body) - place} bytes behind its sections")
    return head, sections


def _is_section(entry: Any) -> bool:
    return (isinstance(entry, list) and len(entry) in (2, 3) and isinstance(entry[0], str)
            and len(entry[0]) <= _MOST_LETTERS and all(white in WHITES for white in entry[2:])
            and isinstance(entry[1], list) and len(entry[1]) <= 4
            and all(type(size) is int and 0 <= size < 2**24 for size in entry[1]))
