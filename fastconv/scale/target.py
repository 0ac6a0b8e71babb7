"""Writing pieces of a result into a memory map, an HDF5 data set, a Zarr array, or anything with `shape`, `dtype` and
slices."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.functional.typing import Array
from fastconv.scale.source import Function, has_batch

_BLOCK = 1 << 16    # numbers that are rounded at a time, in a cache


class Target:
    """An array that takes the pieces of a function's result."""

    def __init__(self, out: Any, function: Function) -> None:
        self.out, self.function = out, function
        lacks = function.shape is not None and out.ndim < len(function.shape)
        self.lacking = function.channel if lacks else None    # the axis of channels that it has not
        self.first = function.places[0] - (self.lacking == 0)    # of the axes of windows

    def write(self, images: slice, outputs: Sequence[tuple[int, int]], piece: Array) -> None:
        """Put a piece, which may be written over, where it belongs."""
        if self.lacking is not None:
            piece = piece.squeeze(self.lacking)
        selected = self._selected(images, outputs)
        expected = tuple(len(range(*some.indices(size))) for some, size in zip(selected, self.out.shape))
        if piece.shape != expected:
            where = ", ".join(f"{first} to {last - 1}" for first, last in outputs)
            raise ValueError(f"fn must return an array of shape {expected} for outputs {where}, as window and out say, "
                             f"got {piece.shape}")
        if self.out.dtype.kind in "iu":
            if self.function.shape is None:    # what a function of one's own returns may be an array that it keeps
                piece = piece.astype(np.promote_types(piece.dtype, np.float32))
            _round(piece, self.out.dtype)
        if isinstance(self.out, np.ndarray):
            with np.errstate(invalid="ignore"):    # NaN as an integer
                np.copyto(self.out[selected], piece, casting="unsafe")
        else:
            self.out[selected] = piece.astype(self.out.dtype, copy=False)

    def checksum(self, images: slice, outputs: Sequence[tuple[int, int]]) -> int:
        """Of the last row of a piece, as it is in the array now."""
        (_, last), *columns = outputs
        row = np.ascontiguousarray(self.out[self._selected(images, [(last - 1, last), *columns])])
        return zlib.crc32(row.view(np.uint8).data if row.size else b"")

    def flush(self) -> None:
        """What was written is on the disk."""
        owner: Any
        for owner in (self.out, getattr(self.out, "file", None)):    # a data set of HDF5, and its file
            if hasattr(owner, "flush"):
                owner.flush()

    def _selected(self, images: slice, outputs: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
        selected = [slice(None)] * self.out.ndim
        if has_batch(self.out.ndim, self.function):
            selected[0] = images
        selected[self.first:self.first + len(outputs)] = (slice(*ends) for ends in outputs)
        return tuple(selected)


def _round(piece: Array, dtype: np.dtype[Any]) -> None:
    """To the nearest integers (of two, to the even one) that the dtype has, in place."""
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    if not piece.flags.c_contiguous:
        np.clip(np.rint(piece, out=piece), lowest, highest, out=piece)
        return
    numbers = piece.reshape(-1)
    for start in range(0, numbers.size, _BLOCK):
        block = numbers[start:start + _BLOCK]
        np.clip(np.rint(block, out=block), lowest, highest, out=block)


def forget_pages(array: Any) -> None:
    """Take the pages of a memory map out of this process: the file's cache keeps what was written to them.

    A private map, whose changes no file has, stays as it is.
    """
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.mode not in ("r", "r+", "w+"):
            return
        array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.madvise(mmap.MADV_DONTNEED)
