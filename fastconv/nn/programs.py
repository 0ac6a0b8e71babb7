"""A pass for inference that comes again: its calls one after the other, for as long as nothing of the model changes.

Each layer asks before it runs whether its weights and statistics are what they were, and finds what to do by the form
of its input. Once a pass has gone through a chain in which nothing had changed, all that is known: the form of each map
follows from that of x. So the chain keeps the calls, and asks everything at once, before the first of them: whether the
modules have the attributes that they had, the chains the layers, whether each parameter is sealed as it was, and
whether the statistics that are folded into weights have the same bytes. What convolutions read then are copies, as
ever. Their maps get places in one piece of memory, which is large enough for the system to make its pages large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastconv._core.runtime import arrays, memory, threads
from fastconv.functional.cascade import Cascade, joins
from fastconv.functional.rooms import Rooms, aligned
from fastconv.nn.parameter import are_sealed

#: What a step does with the map x, and with those that wait.
CONVOLVE, CALL, KEEP, SWAP, JOIN = range(5)


class Steps(list[tuple[int, Any, Any]]):
    """Those of one pass, in their order, and the statistics that were folded into weights, with the copies that they
    were compared with."""

    def __init__(self) -> None:
        self.statistics: list[Any] = []
        self.copies: list[Any] = []

    def fold(self, conv: Any, norm: Any, x: Any, activation: Any, rooms: Rooms) -> bool:
        """The step of a convolution that ran with its normalisation on x, from what it keeps; whether it still does:
        another thread may have begun to train it."""
        found = conv._folded.found(x, activation, rooms)
        if found is None:
            return False
        call, bias, (*_, mean, var, _) = found
        self.append((CONVOLVE, call, bias))
        self.statistics += norm.running_mean, norm.running_var
        self.copies += mean, var
        return True


class Held:
    """What a chain consists of: all modules in it with their attributes, what the dicts among these hold, and the
    parameters with their seals."""

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        modules = [module for _, module in chain.named_modules()]
        self._sealed = tuple([(parameter, parameter.seal()) for parameter in chain.parameters()])
        dicts = [value for module in modules for value in vars(module).values() if isinstance(value, dict)]
        names: dict[Any, Any] = {}    # of attributes: the same objects, that many modules have in common
        attributes = [(module, names.setdefault(tuple(vars(module)), tuple(vars(module))), vars(module))
                      for module in modules]
        self._records = tuple([(owner, type(owner), keys, tuple(there.values()))
                               for owner, keys, there in (*attributes, *((each, tuple(each), each) for each in dicts))])
        self.steady = (not any(module._training for module in modules)
                       and all(seal is not None for _, seal in self._sealed))

    def still(self) -> bool:
        """Whether it does: the very same objects, in the same order, and nobody had a parameter's array since."""
        return arrays.are_held(self._records) and are_sealed(self._sealed)


class Program:
    """The steps of a chain for arrays x of one form, and when they may be taken.

    held: from before the pass with these steps, in which everything was compared with what was made of it.
    """

    def __init__(self, steps: Steps, held: Held) -> None:
        self._held = held
        self._statistics, self._copies = tuple(steps.statistics), tuple(steps.copies)
        #: The steps of several threads, and of one, with the places of their maps.
        self.ways = tuple((way, *places(way)) for way in (tuple(steps), tuple(in_cascades(steps))))

    def holds(self, chain: Any) -> bool:
        """Whether everything is as it was, in this very chain, of which a shallow copy has the same program: statistics
        are attributes, which may be changed where they lie."""
        return self._held.chain is chain and self._held.still() and arrays.are_same(self._statistics, self._copies)

    def run(self, x: Any) -> Any:
        """What the chain makes of x, where that is so; None where a layer gives something of another form than it
        did."""
        steps, places_of_maps, nbytes = self.ways[threads.get_num_threads() == 1]
        room = memory.empty((nbytes,), np.uint8)
        waiting: list[Any] = []
        offsets = iter(places_of_maps)
        for does, what, more in steps:
            if does == CONVOLVE:
                x = what.fill(x, more, np.ndarray(what.shape, what.dtype, room, next(offsets), what.strides))
            elif does == CALL:
                layer, form = more
                x = what(layer, x)
                if form_of(x) != form:
                    return None
            elif does == KEEP:
                waiting.append(x)
            elif does == SWAP:
                x, waiting[-1] = waiting[-1], x
            else:
                x = what(x, waiting.pop())
        return np.array(x, order="C") if x.base is room or not x.flags.c_contiguous else x


def form_of(x: Any) -> Any:
    """What the calls of convolutions depend on in x."""
    return x.shape, x.strides, x.dtype


def in_cascades(steps: Steps) -> Iterator[tuple[int, Any, Any]]:
    """The steps, convolutions that are better done together as one."""
    run: list[Any] = []
    for step in [*steps, (None, None, None)]:
        does, call, _ = step
        if run and not (does == CONVOLVE and joins(run[-1][1], call)):
            calls = [(call, bias) for _, call, bias in run]
            yield from [(CONVOLVE, Cascade(calls), None)] if len(run) > 1 else run
            run = []
        if does == CONVOLVE:
            run.append(step)
        elif does is not None:
            yield step


def places(steps: Sequence[tuple[int, Any, Any]]) -> tuple[list[int], int]:
    """Where the results of convolutions begin in one piece of memory, in bytes, and how many there are: what is never
    needed at the same time shares a place.

    From the largest to the smallest, each gets the lowest place that is free for as long as it is needed (Pisarchyk and
    Lee, "Efficient memory management for deep neural net inference", 2020). What a call or a sum makes of a map is
    taken to lie where that lies.
    """
    lives: list[list[int]] = []    # bytes, the first and the last time
    map_now, waiting = -1, []
    for time, (does, what, _) in enumerate(steps):
        if map_now >= 0:
            lives[map_now][2] = time
        if does == CONVOLVE:
            map_now = len(lives)
            lives.append([aligned(what.size), time, time])
        elif does == KEEP:
            waiting.append(map_now)
        elif does == SWAP:
            map_now, waiting[-1] = waiting[-1], map_now
        elif does == JOIN and (other := waiting.pop()) >= 0:
            lives[other][2] = time
    if map_now >= 0:
        lives[map_now][2] = len(steps)
    offsets = [0] * len(lives)
    given: list[tuple[int, int, int]] = []    # from where to where, and to which
    for index in sorted(range(len(lives)), key=lambda each: -lives[each][0]):
        size, first, last = lives[index]
        offset = 0
        for begin, end, other in sorted(given):
            if lives[other][1] <= last and first <= lives[other][2]:
                if offset + size <= begin:
                    break
                offset = max(offset, end)
        offsets[index] = offset
        given.append((offset, offset + size, index))
    return offsets, max((end for _, end, _ in given), default=0)
