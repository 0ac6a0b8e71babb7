"""A pass for inference that comes again: its calls one after the other, for as long as nothing of the model changes.

Each layer asks before it runs whether its weights and statistics are what they were, and finds what to do by the form
of its input. Once a pass has gone through a chain in which nothing had changed, all that is known: the form of each map
follows from that of x. So the chain keeps the calls, and asks everything at once, before the first of them: whether the
modules have the attributes that they had, the chains the layers, whether each weight is sealed as it was, and whether
all that is folded into weights has the same bytes. What convolutions read then are copies, as ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv._core.runtime import arrays
from fastconv.functional.rooms import Rooms

#: What a step does with the map x, and with those that wait.
CONVOLVE, CALL, KEEP, SWAP, JOIN = range(5)


class Folded(NamedTuple):
    """A convolution with its normalisation, and what its call was made of: copies of the bias and the statistics, and
    the seal of the weight."""

    conv: Any
    norm: Any
    seal: object
    sources: tuple[Any, ...]


class Steps(list[tuple[int, Any, Any]]):
    """Those of one pass, in their order, and what the convolutions among them were made of."""

    def __init__(self) -> None:
        self.folded: list[Folded] = []

    def fold(self, conv: Any, norm: Any, x: Any, activation: Any, rooms: Rooms) -> None:
        """The step of a convolution that ran with its normalisation on x, from what it keeps."""
        call, bias, seal, sources = conv._folded.found(x, activation, rooms)
        self.append((CONVOLVE, call, bias))
        self.folded.append(Folded(conv, norm, seal, sources))


class Held:
    """What a chain consists of: all modules in it with their attributes, and what the dicts among these hold."""

    def __init__(self, chain: Any) -> None:
        modules = [module for _, module in chain.named_modules()]
        dicts = [value for module in modules for value in vars(module).values() if isinstance(value, dict)]
        self.trains = any(module._training for module in modules)
        held = [*((module, vars(module)) for module in modules), *((each, each) for each in dicts)]
        self._records = tuple([(owner, type(owner), tuple(there), tuple(there.values())) for owner, there in held])

    def still(self) -> bool:
        """Whether it does: the very same objects, in the same order."""
        return arrays.are_held(self._records)


class Program:
    """The steps of a chain for arrays x of one form, and when they may be taken."""

    def __init__(self, steps: Steps, held: Held) -> None:
        self._steps, self._held = tuple(steps), held
        self._sealed = [(each.conv.weight, each.seal) for each in steps.folded]
        # Parameters may get other arrays; those of other modules are attributes, which are held.
        self._parameters: list[Any] = []
        self._buffers: list[Any] = []
        copies: list[Any] = []
        of_buffers: list[Any] = []
        for conv, norm, _, (bias, weight, shift, mean, var, _) in steps.folded:
            for parameter, copy in ((conv.bias, bias), (norm.weight, weight), (norm.bias, shift)):
                if parameter is not None:
                    self._parameters.append(parameter)
                    copies.append(copy)
            self._buffers += norm.running_mean, norm.running_var
            of_buffers += mean, var
        self._copies = (*copies, *of_buffers)

    def holds(self) -> bool:
        """Whether everything is as it was."""
        return (self._held.still() and all(parameter.is_sealed(seal) for parameter, seal in self._sealed)
                and arrays.are_same((*[parameter._array for parameter in self._parameters], *self._buffers),
                                    self._copies))

    def run(self, x: Any, rooms: Rooms) -> Any:
        """What the chain makes of x, where that is so."""
        waiting = []
        for does, what, more in self._steps:
            if does == CONVOLVE:
                x = what.run(x, more, rooms)
            elif does == CALL:
                x = what(more, x)
            elif does == KEEP:
                waiting.append(x)
            elif does == SWAP:
                x, waiting[-1] = waiting[-1], x
            else:
                x = what(x, waiting.pop(), more)
        return x
