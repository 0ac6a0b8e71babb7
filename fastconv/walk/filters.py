"""Filters that everybody knows, to be slid over an image: what a network has to learn, drawn by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILTERS"]


def _filter(rows: list[list[int]], divisor: int) -> NDArray[np.float32]:
    values = np.array(rows, np.float32) / np.float32(divisor)
    values.flags.writeable = False
    return values


#: By name, each (R, S) in float32. As in a CNN they are not turned; a blur is a mean. Everybody has the same ones, so
#: neither they nor their list can be changed: ``FILTERS["blur"].copy()`` can.
FILTERS: Mapping[str, NDArray[np.float32]] = MappingProxyType({
    name: _filter(rows, divisor)
    for name, divisor, rows in (
        ("identity", 1, [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        ("blur", 9, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        ("gaussian", 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]]),
        ("sharpen", 1, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("sobel-x", 1, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
        ("sobel-y", 1, [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
        ("laplace", 1, [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("emboss", 1, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    )
})
