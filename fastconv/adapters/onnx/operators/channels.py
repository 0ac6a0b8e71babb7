"""A factor and an offset for each channel of maps, as a convolution with filters of one tap."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv._core.depthwise import forward as depthwise
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv.adapters.onnx.program import Builder, Value

__all__ = ["NOTHING", "scaled"]

NOTHING = (0, 0.0)    # no activation


def scaled(builder: Builder, x: Value, factors: Value, offsets: Value | None = None,
           activation: tuple[int, float] = NOTHING) -> Value:
    """A factor, and an offset, for each channel of maps: filters of one tap, one for each channel.

    factors: (C,), or (1, C, 1, 1) that lies in one piece.
    """
    x = builder.as_maps(x)
    out = builder.maps(x.shape, x.dtype)
    channels, window, epilogue = x.shape[1], Window(), Epilogue(*activation)
    given = [x, factors] if offsets is None else [x, factors, offsets]

    def bind(x: np.ndarray, w: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
        *bias, y = others
        images = [array.reshape(array.shape[0], channels, 1, -1) if array.ndim == 3 else array for array in (x, y)]
        return functools.partial(depthwise.conv2d, Convolution(
            images[0], w.reshape(channels, 1, 1, 1), bias[0] if bias else None, images[1], window, epilogue))

    builder.emit(bind, given, [out], "one tap a channel")
    return out
