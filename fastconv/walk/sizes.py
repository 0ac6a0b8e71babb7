"""The lecture's formula OH = (H + 2P - FH) / S + 1 along one axis: its terms, and every position of the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.functional.explanation import ConvExplanation
from fastconv.functional.foreign import shown

__all__ = ["OutputSize", "output_size"]


@dataclass(frozen=True)
class OutputSize:
    """One axis of a window that slides.

    Attributes
    ----------
    size, taps : int
        Pixels of the image, and of the filter.
    before, after : int
        Pixels of padding at either end.
    stride, dilation : int
    outputs : int
        How many positions the window has.
    formula : str
        The sum in numbers, such as ``"(28 + 2*2 - 5)/1 + 1 = 28"``, with a floor where the division leaves a rest.
    rest : int
        Pixels at the end that the last step does not reach: the rest of that division.
    starts : ndarray (outputs,), int64
        The first pixel of each position, counted from the first of the padded image.
    """

    size: int
    taps: int
    before: int
    after: int
    stride: int
    dilation: int
    outputs: int

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last."""
        return self.dilation * (self.taps - 1) + 1

    @property
    def padded(self) -> int:
        """Pixels of the padded image."""
        return self.before + self.size + self.after

    @property
    def rest(self) -> int:
        return (self.padded - self.extent) % self.stride

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.arange(self.outputs, dtype=np.int64) * self.stride

    @property
    def uses(self) -> NDArray[np.int64]:
        """How many windows hold each pixel of the padded image: the corner of an image is in fewer than its middle."""
        apart = self.dilation if self.taps > 1 else 1
        ends = self.starts + self.taps * apart  # the first place behind each window, in steps of the dilation
        lines = -(-(max(self.padded, int(ends[-1]) + 1)) // apart)
        marks = np.zeros(lines * apart, np.int64)
        marks[self.starts] += 1
        marks[ends] -= 1
        counts: NDArray[np.int64] = marks.reshape(lines, apart).cumsum(axis=0).ravel()[:self.padded]
        return counts

    @property
    def unvisited(self) -> NDArray[np.int64]:
        """The pixels of the padded image that no window holds: to be hatched in a picture."""
        return np.flatnonzero(self.uses == 0)

    @property
    def formula(self) -> str:
        padding = f"2*{self.before}" if self.before == self.after else f"{self.before} + {self.after}"
        extent = f"{self.taps}" if self.dilation == 1 else f"({self.dilation}*({self.taps} - 1) + 1)"
        division = f"({self.size} + {padding} - {extent})/{self.stride}"
        if self.rest:
            up = (self.outputs - 1) * self.stride > self.padded - self.extent  # ceil_mode, of pooling
            division = f"{'ceil' if up else 'floor'}({division})"
        return f"{division} + 1 = {self.outputs}"


def of_convolution(told: ConvExplanation) -> tuple[OutputSize, OutputSize]:
    """Rows and columns of a convolution of one image, as `fastconv.explain` tells of them."""
    rows, columns = (OutputSize(size, taps, before, after, step, distance, outputs)
                     for size, taps, (before, after), step, distance, outputs
                     in zip(told.x_shape[-2:], told.weight_shape[2:], told.padding, told.stride, told.dilation,
                            told.output_shape[-2:]))
    return rows, columns


def output_size(size: int, kernel_size: int, stride: int = 1, padding: int | tuple[int, int] = 0,
                dilation: int = 1) -> OutputSize:
    """The lecture's formula along one axis, and every position of the window.

    Parameters
    ----------
    size, kernel_size : int
        Pixels of the image, and of the filter.
    stride, dilation : int
    padding : int or (int, int)
        Pixels at either end.

    Returns
    -------
    OutputSize

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv_output_size`.

    Examples
    --------
    >>> from fastconv import walk
    >>> one = walk.output_size(8, 3, stride=2)
    >>> one.formula, one.starts.tolist(), one.unvisited.tolist()
    ('floor((8 + 2*0 - 3)/2) + 1 = 3', [0, 2, 4], [7])
    """
    size = checks.integer(size, "size", 1)
    taps = checks.integer(kernel_size, "kernel_size", 1)
    step, distance = checks.integer(stride, "stride", 1), checks.integer(dilation, "dilation", 1)
    ends = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    if len(ends) != 2:
        raise ValueError(f"padding must be an integer or (before, after), got {shown(padding)}")
    before, after = (checks.integer(end, "padding", 0) for end in ends)
    outputs = checks.window_output((size,), (taps,), (step,), ((before, after),), (distance,),
                                   names=("size", "kernel_size"))[0]
    return OutputSize(size, taps, before, after, step, distance, outputs)
