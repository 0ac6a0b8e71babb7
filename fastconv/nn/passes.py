"""What the layers of one pass for inference have in common, kept beside the model: the memory of their maps.

The outermost chain of layers in evaluation mode begins it, if nobody wants to see what comes out of each layer. What it
returns owns its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastconv.functional.rooms import Rooms

_rooms: ContextVar[Rooms | None] = ContextVar("rooms", default=None)


def rooms() -> Rooms | None:
    """Where the maps of layers that are called here may lie; None where they are to own their memory."""
    return _rooms.get()


def run(forward: Callable[[Any], Any], x: Any) -> Any:
    """A pass of x through the layers of a chain."""
    inside = Rooms()
    before = _rooms.set(inside)
    try:
        y = forward(x)
    finally:
        _rooms.reset(before)
    return np.array(y) if inside.hold(y) else y
