"""GridSample: images read at places between their pixels, as networks do that straighten text or follow motion."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS
from fastconv.adapters.onnx.program import Builder, Value

_MODES = {"bilinear": "linear", "linear": "linear", "nearest": "nearest"}    # before opset 20, and since


def GridSample(builder: Builder, node: Node, x: Value, grid: Value) -> Value:
    """y[n, :, i, j] = x[n, :] at the place (x, y) = grid[n, i, j], of which -1 and 1 are the borders; volumes alike."""
    mode, axes = _MODES.get(node.attributes.get("mode", "linear")), x.ndim - 2
    if mode is None:
        raise NotImplementedError("cubic sampling is not supported")
    if x.dtype not in FLOATS or grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != axes:
        raise ValueError(f"X must be floats (N, C, H, W) and grid (N, rows, columns, 2), or of as many more axes both, "
                         f"got {x.dtype} of shape {x.shape} and {grid.shape}")
    padding, aligned = node.attributes.get("padding_mode", "zeros"), bool(node.attributes.get("align_corners", 0))
    out = builder.new((*x.shape[:2], *grid.shape[1:-1]), x.dtype)

    def bind(x: np.ndarray, grid: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        images = np.arange(len(x)).reshape(-1, *(1,) * axes)

        def run() -> None:
            along = [_pixels(_places(grid[..., axes - 1 - axis].astype(x.dtype), size, padding, aligned), size, mode)
                     for axis, size in enumerate(x.shape[2:])]
            total = np.zeros((*grid.shape[:-1], x.shape[1]), x.dtype)
            for corner in itertools.product(*along):
                pixels, shares = zip(*corner)
                total += functools.reduce(np.multiply, shares)[..., None] * x[(images, slice(None), *pixels)]
            np.copyto(y, np.moveaxis(total, -1, 1))

        return run

    builder.emit(bind, [x, grid], [out], "NumPy")
    return out


def _places(along: np.ndarray, size: int, padding: str, aligned: bool) -> np.ndarray:
    """From -1 to 1 to pixels, on the image where the padding repeats it."""
    places = (along + 1) / 2 * (size - 1) if aligned else ((along + 1) * size - 1) / 2
    if padding == "reflection":
        low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
        period = 2 * (high - low) or 1.0
        places = low + (high - low) - np.abs(np.mod(places - low, period) - (high - low))
    return places if padding == "zeros" else np.clip(places, 0, size - 1)


def _pixels(places: np.ndarray, size: int, mode: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pixels beside each place, with their shares; none of one that is not there."""
    first = np.rint(places) if mode == "nearest" else np.floor(places)
    found = []
    for pixel in (first,) if mode == "nearest" else (first, first + 1):
        share = np.ones_like(places) if mode == "nearest" else 1 - np.abs(places - pixel)
        inside = (pixel >= 0) & (pixel < size)
        found.append((np.where(inside, pixel, 0).astype(np.intp), np.where(inside, share, 0)))
    return found


OPERATORS = {"GridSample": GridSample}
