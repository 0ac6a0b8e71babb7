"""What the layers of one pass for inference have in common, kept beside the model: the memory of their maps, and the
order in which these lie there.

The outermost chain of layers in evaluation mode begins it, if nobody wants to see what comes out of each layer. What it
returns owns its memory, and is C-contiguous.

Maps of an NCHW model have the axes (N, C, H, W) all the way, and are planes or, where the convolutions of the chain are
expected to be done sooner so, lie with their channels last. Which of both follows from the layers and the form of x
alone: each convolution that runs tells what it is expected to take with either order, and a pass that ran in the wrong
one is run again in the other. So what a chain remembers of the pass before is a guess, which saves that. A chain with
layers that are not known here keeps its maps as planes, and none of these layers is run twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from fastconv.functional.rooms import Rooms
from fastconv.nn.blame import NAMED

Kind = TypeVar("Kind", bound=type)

#: What runs layers of a class on maps that lie with channels last: layers that hand on what they get in the order in
#: which it lies, or take no maps, and that do nothing beside that.
_KNOWN: dict[type, Callable[[Any, Any], Any]] = {}

_MOST_FORMS = 32    # of x that a chain remembers the order of
_GAIN = 1.05        # from which on channels last are worth while: below it lies what is not counted
_COPY = 1.0         # nanoseconds of an element of maps that leave the pass

_rooms: ContextVar[Rooms | None] = ContextVar("rooms", default=None)


class _Strange(Exception):
    """A layer that is not known is about to get maps with channels last."""


def rooms() -> Rooms | None:
    """Where the maps of layers that are called here may lie; None where they are to own their memory."""
    return _rooms.get()


def known(run: Callable[[Any, Any], Any], *kinds: type) -> None:
    """Say how layers of these very classes run on maps with channels last."""
    _KNOWN.update(dict.fromkeys(kinds, run))


def as_it_is(layer: Any, x: Any) -> Any:
    """Call a layer that hands on maps in their order by itself."""
    return layer(x)


def turned(layer: Any, x: Any) -> Any:
    """Call a layer that works value by value: on pixels of channels, as what is not C-contiguous would be copied."""
    return as_planes(layer(as_pixels(x))) if lies_in_pixels(x) else layer(x)


def lies_in_pixels(x: Any) -> bool:
    """Whether maps (N, C, H, W) lie in memory as (N, H, W, C), and not as planes."""
    return bool(x.ndim == 4 and not x.flags.c_contiguous and as_pixels(x).flags.c_contiguous)


def as_pixels(x: Any) -> Any:
    """(N, C, H, W) seen as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def as_planes(x: Any) -> Any:
    """The way back."""
    return x.transpose(0, 3, 1, 2)


def call(layer: Any, x: Any, inside: Rooms | None) -> Any:
    """Call one of the layers of a chain, in a pass or in none."""
    if inside is None:
        return layer(x)
    look_at(layer, inside)
    return _KNOWN[type(layer)](layer, x) if inside.channels_last else layer(x)


def look_at(layer: Any, inside: Rooms) -> None:
    """Before a layer runs in a pass: whether maps there may lie with channels last, and the pass may be run again."""
    if (type(layer) in _KNOWN and "forward" not in layer.__dict__ and not layer.training
            and not getattr(layer, "return_indices", False)):
        return
    if inside.channels_last:
        raise _Strange
    inside.in_planes = True


def run(chain: Any, x: Any) -> Any:
    """A pass of x through the layers of a chain: what its _run makes of x."""
    form = np.shape(x)
    guess = chain._orders.get(form)
    if guess is None:    # what has depthwise convolutions has those of 1 x 1 around them, which gain most
        guess = any(getattr(module, "groups", 1) > 1 for _, module in chain.named_modules())
    y, better = _run(chain, x, guess)
    if better != guess:
        again, _ = _run(chain, x, better)
        y = y if again is None else again
    if chain._orders.get(form) != better:    # replaced as one, for other threads
        others = chain._orders if len(chain._orders) < _MOST_FORMS else {}
        chain._orders = {**others, form: better}
    return y


def _run(chain: Any, x: Any, channels_last: bool) -> tuple[Any, bool]:
    """A pass with maps in this order, and whether channels last are the better one; None, and that they are not, where
    a layer must have planes, or refuses what it gets: then it says why of the planes."""
    inside = Rooms(channels_last)
    before = _rooms.set(inside)
    try:
        y = chain._run(x)
    except (_Strange, *NAMED):
        if not channels_last:
            raise
        return None, False
    finally:
        _rooms.reset(before)
    maps = y.size if isinstance(y, np.ndarray) and y.ndim == 4 else 0
    better = not inside.in_planes and inside.pixels * _GAIN + maps * _COPY < inside.planes
    return (np.array(y, order="C") if channels_last or inside.hold(y) else y), better
