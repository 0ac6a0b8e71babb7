"""Planes of numbers drawn in a terminal: half blocks in colour, or characters from light to dark."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHADES = " .,:;i1tfLCG08@#"  # 16, from empty to full


def in_colour() -> bool:
    """Whether stdout is a terminal that may have colours: NO_COLOR and TERM=dumb say no."""
    return (sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb")


def tiles(planes: NDArray[Any], columns: int, colour: bool) -> list[str]:
    """Planes (N, H, W) of numbers from -1 to 1 beside each other, and below where the terminal is not wide enough.

    In colour each character is two pixels, red above 0 and blue below; else it is a pixel twice, by its magnitude.
    """
    _, height, width = planes.shape
    wide = width if colour else 2 * width
    across = max(1, (columns + 1) // (wide + 1))
    lines = []
    for first in range(0, len(planes), across):
        row = planes[first:first + across]
        drawn = [_half_blocks(plane) if colour else _characters(plane) for plane in row]
        lines += [" ".join(parts) for parts in zip(*drawn)]
        lines.append("")
    return lines[:-1]


def _characters(plane: NDArray[Any]) -> list[str]:
    steps = np.rint(np.clip(abs(plane), 0, 1) * (len(_SHADES) - 1)).astype(int)
    return ["".join(2 * _SHADES[step] for step in row) for row in steps]


def _half_blocks(plane: NDArray[Any]) -> list[str]:
    if len(plane) % 2:
        plane = np.concatenate([plane, np.zeros_like(plane[:1])])
    lines = []
    for upper, lower in zip(_rgb(plane[::2]), _rgb(plane[1::2])):
        cells = ["\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*above, *below) for above, below in zip(upper, lower)]
        lines.append("".join(cells) + "\x1b[0m")
    return lines


def _rgb(plane: NDArray[Any]) -> list[list[list[int]]]:
    """White at 0, red at 1, blue at -1."""
    value = np.clip(plane, -1, 1)[..., None]
    red, blue = np.array([178, 24, 43]), np.array([33, 102, 172])
    mixed = 255 + abs(value) * (np.where(value > 0, red, blue) - 255)
    colours: list[list[list[int]]] = np.rint(mixed).astype(int).tolist()
    return colours
