"""What the layers of one pass for inference have in common, kept beside the model: the memory of their maps, and the
order in which these lie there.

The outermost chain of layers in evaluation mode begins it, if nobody wants to see what comes out of each layer. What it
returns owns its memory, and is C-contiguous.

Maps of an NCHW model have the axes (N, C, H, W) all the way, and are planes or, where the convolutions of the chain are
expected to be done sooner so, lie with their channels last. Which of both follows from the layers and the form of x
alone: what runs tells what it is expected to take with either order, and a pass that ran in the wrong one is run again
in the other. So what a chain remembers of the pass before is a guess, which saves that. A chain with
layers that are not known here keeps its maps as planes, and none of these layers is run twice.

A pass that found nothing changed becomes a program (programs.py), which the next ones take as long as that is so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.runtime import arrays
from fastconv.functional.rooms import Rooms
from fastconv.nn.blame import NAMED
from fastconv.nn.programs import CALL, Held, Program, Steps, form_of

#: What runs layers of a class on maps that lie with channels last: layers that hand on what they get in the order in
#: which it lies, or take no maps, and that do nothing beside that. And how a program does: by a call of the layer
#: (True), by its own layers' steps (False), or not at all (None).
_KNOWN: dict[type, tuple[Callable[[Any, Any], Any], bool | None]] = {}

_MOST_FORMS = 32    # of x that a chain remembers passes of
_MOST_FAILURES = 4    # to make a program, before a chain leaves it
_GAIN = 1.04        # from which on channels last are worth while: nearer to 1 lies what is not counted
_COPY = 1.0         # nanoseconds of an element of maps that leave the pass


class Pass(Rooms):
    """A pass that goes on: whether a layer in it must have planes, and its steps, or None where it cannot be a
    program."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__(channels_last)
        self.in_planes = False
        self.steps: Steps | None = Steps()


_pass: ContextVar[Pass | None] = ContextVar("pass", default=None)


class _Known(NamedTuple):
    """What a chain remembers of passes for x of one form: the better order, whether it could be a program, that, and
    how often it could not be made, as where somebody holds a parameter's array."""

    channels_last: bool
    steady: bool
    program: Program | None
    failures: int


class Passes:
    """What a chain remembers of its passes, by the form of x. A copy or a pickle of it is empty."""

    def __init__(self) -> None:
        self.known: dict[Any, _Known] = {}

    def keep(self, form: Any, known: _Known) -> None:
        if len(self.known) >= _MOST_FORMS:
            self.known = {}
        self.known[form] = known

    def forget(self) -> None:
        """Frees the memory."""
        self.known = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Passes, ()


class _Strange(Exception):
    """A layer that is not known is about to get maps with channels last."""


def rooms() -> Pass | None:
    """The pass that goes on here, in whose rooms maps may lie; None where they are to own their memory."""
    return _pass.get()


def known(run: Callable[[Any, Any], Any], *kinds: type, in_steps: bool | None = True) -> None:
    """Say how layers of these very classes run on maps with channels last, and in a program."""
    _KNOWN.update(dict.fromkeys(kinds, (run, in_steps)))


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


def call(layer: Any, x: Any, inside: Pass | None) -> Any:
    """Call one of the layers of a chain, in a pass or in none."""
    if inside is None:
        return layer(x)
    look_at(layer, inside)
    if inside.in_planes:
        return layer(x)
    run, in_steps = _KNOWN[type(layer)]
    run = run if inside.channels_last else as_it_is
    y = run(layer, x)
    if in_steps is None:
        inside.steps = None
    elif in_steps:
        note(inside, CALL, run, (layer, form_of(y)))
    return y


def note(inside: Pass | None, does: int, what: Any = None, more: Any = None) -> None:
    """A step of the pass, if there is one that may become a program."""
    if inside is not None and inside.steps is not None:
        inside.steps.append((does, what, more))


def look_at(layer: Any, inside: Pass) -> None:
    """Before a layer runs in a pass: whether maps there may lie with channels last, and the pass may be run again."""
    if (type(layer) in _KNOWN and "forward" not in layer.__dict__ and not layer.training
            and not getattr(layer, "return_indices", False)):
        return
    if inside.channels_last:
        raise _Strange
    inside.in_planes, inside.steps = True, None


def run(chain: Any, x: Any) -> Any:
    """A pass of x through the layers of a chain: what its _run makes of x."""
    plain = arrays.is_plain(x) and x.size > 0
    form = (x.shape, x.strides, x.itemsize) if plain else np.shape(x)
    before = chain._passes.known.get(form)
    if before is not None and before.program is not None and before.program.holds(chain):
        try:
            y = before.program.run(x)
            if y is not None:
                return y
        except NAMED:    # the layers say it better
            pass
    if before is None:    # what has depthwise convolutions has those of 1 x 1 around them, which gain most
        guess = any(getattr(module, "groups", 1) > 1 for _, module in chain.named_modules())
    else:
        guess = before.channels_last
    held = None
    if before is not None and before.steady and before.program is None and before.failures < _MOST_FAILURES:
        held = Held(chain)
    y, inside, better = _run(chain, x, guess)
    if better != guess:
        again, *_ = _run(chain, x, better)
        y = y if again is None else again
    steady = plain and better == guess and bool(inside.steps) and not chain._training
    program = None
    if held is not None and steady and inside.steps is not None and held.steady and held.still():
        program = Program(inside.steps, held)
    failures = 0 if before is None else before.failures
    after = _Known(better, steady, program, failures + (held is not None and program is None))
    if after != before:
        chain._passes.keep(form, after)
    return y


def _run(chain: Any, x: Any, channels_last: bool) -> tuple[Any, Pass, bool]:
    """A pass with maps in this order, and whether channels last are the better one; None, and that they are not, where
    a layer must have planes, or refuses what it gets: then it says why of the planes."""
    inside = Pass(channels_last)
    before = _pass.set(inside)
    try:
        y = chain._run(x)
    except (_Strange, *NAMED):
        if not channels_last:
            raise
        return None, inside, False
    finally:
        _pass.reset(before)
    maps = y.size if isinstance(y, np.ndarray) and y.ndim == 4 else 0
    better = not inside.in_planes and inside.pixels * _GAIN + maps * _COPY < inside.planes
    return _own(y, inside), inside, better


def _own(y: Any, inside: Pass) -> Any:
    """What leaves a pass."""
    return np.array(y, order="C") if inside.channels_last or inside.hold(y) else y
