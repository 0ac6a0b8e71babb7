"""The windows of a function of one's own, which `blockwise` cannot know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.pieces import Axis
from fastconv.functional.typing import Array, PaddingMode

# What np.pad calls the padding modes.
_PAD = {"constant": "constant", "reflect": "reflect", "symmetric": "symmetric", "replicate": "edge",
        "circular": "wrap"}


@dataclass(frozen=True)
class Window:
    """What one number of a function's result sees of an image: for `blockwise`.

    A chain of windows is one window: of 31 x 31 taps, and then 2 x 2 ones with stride 2, it is 32 x 32 with stride 2.
    (Another of k taps adds k - 1, times the strides before it; strides are multiplied.)

    Parameters
    ----------
    kernel_size : int or tuple of int
        Of the window, in rows and columns (of volumes: planes, rows and columns).
    stride, dilation : int or tuple of int
        As in `conv2d`.
    padding : int, tuple of int, tuple of pairs, "same" or "valid"
        As in `conv2d`. It is put around the image before the function sees it, which adds none itself.
    padding_mode : {"constant", "reflect", "symmetric", "replicate", "circular"}
    padding_value : float
        As in `conv2d`.
    data_format : str
        "NCHW", "NHWC"; of signals "NCL", "NLC", of volumes "NCDHW", "NDHWC". An image may lack N, or N and C.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> def steepness(image):
    ...     return image[1:] - image[:-1]
    >>> image, out = np.arange(12).reshape(4, 3) ** 2, np.empty((3, 3), np.float32)
    >>> fc.blockwise(steepness, image, out, window=fc.Window((2, 1)))
    array([[ 9., 15., 21.],
           [27., 33., 39.],
           [45., 51., 57.]], dtype=float32)
    """

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: Any = 0
    dilation: int | tuple[int, ...] = 1
    padding_mode: PaddingMode = "constant"
    padding_value: float = 0.0
    data_format: str = "NCHW"

    def of(self, function: Callable[[Array], Array], shape: tuple[int, ...], dtype: np.dtype[Any]) -> OwnFunction:
        """A function with this window, on an image of this shape."""
        rank = next((rank for rank, formats in checks.FORMATS.items() if self.data_format in formats), None)
        if rank is None:
            known = [name for formats in checks.FORMATS.values() for name in formats]
            raise ValueError(f"data_format must be one of {', '.join(map(repr, known))}, got {shown(self.data_format)}")
        if not rank <= len(shape) <= rank + 2:
            raise ValueError(f"source must have {rank} to {rank + 2} axes with data_format={self.data_format!r}, "
                             f"got shape {shape}")
        first = max(0, len(shape) - rank - 1) + (len(shape) > rank and not self.data_format.endswith("C"))
        size = shape[first:first + rank]
        taps, stride, dilation = (checks.per_axis(value, name, rank) for value, name in (
            (self.kernel_size, "kernel_size"), (self.stride, "stride"), (self.dilation, "dilation")))
        pads = checks.padding(self.padding, size, taps, stride, dilation)
        checks.padding_mode(self.padding_mode, self.padding_value, pads, size)
        outputs = checks.window_output(size, taps, stride, pads, dilation, names=("source", "kernel_size"))
        axes = tuple(Axis(*each, *sides) for *each, sides in zip(size, outputs, taps, stride, dilation, pads))
        return OwnFunction(function, axes, tuple(range(first, first + rank)), dtype, self.padding_mode,
                           float(self.padding_value))


class OwnFunction:
    """A function of one's own, as `fastconv.functional.pieces.Windowed` is one of fastconv's."""

    channel: int | None = None
    shape: tuple[int, ...] | None = None    # which the result has is seen when there is a piece of it

    def __init__(self, function: Callable[[Array], Array], axes: tuple[Axis, ...], places: tuple[int, ...],
                 dtype: np.dtype[Any], mode: str, fill: float) -> None:
        self.function, self.axes, self.places, self.dtype = function, axes, places, dtype
        self.mode, self.fill, self.aligned = mode, fill, (1,) * len(axes)

    @property
    def pads_itself(self) -> bool:
        return self.mode == "constant"

    def compute(self, piece: Array, pads: Sequence[tuple[int, int]]) -> Array:
        """The result of a piece, around which the padding is put first."""
        if any(map(any, pads)):
            sides = [(0, 0)] * piece.ndim
            sides[self.places[0]:self.places[-1] + 1] = pads
            options = {"constant_values": self.fill} if self.mode == "constant" else {}
            piece = np.pad(piece, sides, _PAD[self.mode], **options)    # type: ignore[call-overload]
        result = np.asarray(self.function(piece))
        if result.dtype.kind not in "biuf":
            raise TypeError(f"fn must return an array of real numbers, got {result.dtype}")
        return result
