"""One image cut into windows: what each of them holds, and its winner or its mean, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import Padding, Pair
from fastconv.walk.images import check_place, one_image
from fastconv.walk.sizes import OutputSize

__all__ = ["PoolingWalk", "Window", "pooling"]


@dataclass(frozen=True)
class Window:
    """One window of one channel.

    Attributes
    ----------
    channel, row, column : int
        The output's place.
    rows, columns : (int, int)
        The first pixel in the image, and the one behind the last, along either axis: padding is left out.
    pixels : ndarray
        The pixels of the image in it.
    winner : (int, int) or None
        Row and column of the maximum in the image; None for a mean.
    value : float
        The output, by the kernel.
    """

    channel: int
    row: int
    column: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    pixels: NDArray[Any]
    winner: tuple[int, int] | None
    value: Any


@dataclass(frozen=True, eq=False)
class PoolingWalk:
    """What there is to see of one pooling.

    Attributes
    ----------
    x : ndarray (C, H, W)
    kind : {"max", "average"}
    rows, columns : OutputSize
    output : ndarray (C, OH, OW)
    indices : ndarray (C, OH, OW) of int64, or None
        Of maxima: the winner's place in the plane of the image, row by row.
    """

    x: NDArray[Any]
    kind: str
    rows: OutputSize
    columns: OutputSize
    output: NDArray[Any]
    indices: NDArray[np.int64] | None

    def window(self, channel: int, row: int, column: int) -> Window:
        """One window of one channel.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        check_place(self.output.shape, channel=channel, row=row, column=column)

        def ends(axis: OutputSize, index: int) -> tuple[int, int]:
            start = index * axis.stride - axis.before
            return max(0, start), min(axis.size, start + axis.taps)

        rows, columns = ends(self.rows, row), ends(self.columns, column)
        winner = None
        if self.indices is not None:
            place = divmod(int(self.indices[channel, row, column]), self.columns.size)
            winner = place[0], place[1]
        return Window(channel, row, column, rows, columns, self.x[channel, slice(*rows), slice(*columns)], winner,
                      self.output[channel, row, column])


def pooling(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
            ceil_mode: bool = False, kind: Literal["max", "average"] = "max") -> PoolingWalk:
    """Walk through the pooling of one image.

    Parameters
    ----------
    x : array (C, H, W)
        One image.
    kernel_size, stride, padding, ceil_mode
        As in `fastconv.max_pool2d`.
    kind : {"max", "average"}

    Returns
    -------
    PoolingWalk

    Raises
    ------
    TypeError, ValueError
        As `fastconv.max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import walk
    >>> one = walk.pooling(np.arange(16, dtype=np.float32).reshape(1, 4, 4), 2)
    >>> window = one.window(0, 0, 1)
    >>> window.pixels
    array([[2., 3.],
           [6., 7.]], dtype=float32)
    >>> window.winner, float(window.value)
    ((1, 3), 7.0)
    """
    checks.choice(kind, "kind", ("max", "average"))
    image = one_image(x)
    indices: NDArray[np.int64] | None = None
    if kind == "max":
        output, indices = F.max_pool2d(image, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                                       return_indices=True)
    else:
        output = F.avg_pool2d(image, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    taps = checks.pair(kernel_size, "kernel_size")
    steps = taps if stride is None else checks.pair(stride, "stride")
    pads = checks.padding(padding, image.shape[1:], taps, steps, (1, 1))
    rows, columns = (
        OutputSize(size, count, before, after, step, 1, outputs)
        for size, count, (before, after), step, outputs in zip(image.shape[1:], taps, pads, steps, output.shape[1:]))
    return PoolingWalk(image, kind, rows, columns, output, indices)
