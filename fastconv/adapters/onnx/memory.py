"""The memory of a program, planned once: arrays that are never needed at the same time share one place.

Places are given out from the largest array to the smallest, each the lowest one that is free for as long as it is
needed (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020, greedy by size).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastconv.adapters.onnx.program import Step, Value

__all__ = ["Places", "plan"]

ALIGNMENT = 64
ALWAYS = 1 << 60    # a time after all steps


class Places:
    """Where arrays begin, in bytes, by the identity of the value; and how many bytes there are."""

    def __init__(self, offsets: dict[int, int], nbytes: int, unshared: int) -> None:
        self.offsets, self.nbytes, self.unshared = offsets, nbytes, unshared


class _Room:
    """A place, for values that take it one after the other."""

    __slots__ = ("nbytes", "first", "last", "values")

    def __init__(self, value: Value, first: int, last: int) -> None:
        self.nbytes, self.first, self.last, self.values = _rounded(value.nbytes), first, last, [value]


def plan(steps: Sequence[Step], inputs: Iterable[Value], outputs: Iterable[Value]) -> Places:
    """The places of all values that are neither constants nor views."""
    last: dict[int, int] = {}
    for time, step in enumerate(steps):
        for value in (*step.inputs, *step.outputs):
            last[id(value.root)] = time
    for value in outputs:
        last[id(value.root)] = ALWAYS

    rooms: dict[int, _Room] = {}
    for value in inputs:
        rooms[id(value)] = _Room(value, -1, last.get(id(value), -1))
    for time, step in enumerate(steps):
        for position, value in enumerate(step.outputs):
            if value.constant is not None or id(value) in rooms:
                continue
            until = last.get(id(value), time)
            room = _inherited(step, position, rooms, last, time)
            if room is not None and room.nbytes == _rounded(value.nbytes):
                room.last, rooms[id(value)] = until, room
                room.values.append(value)
            else:
                rooms[id(value)] = _Room(value, time, until)

    offsets: dict[int, int] = {}
    given: list[tuple[int, int, _Room]] = []
    distinct = list({id(room): room for room in rooms.values()}.values())
    for room in sorted(distinct, key=lambda each: -each.nbytes):
        offset = 0
        for begin, end, other in given:    # in the order of their beginnings
            if other.first <= room.last and room.first <= other.last:
                if offset + room.nbytes <= begin:
                    break
                offset = max(offset, end)
        given.append((offset, offset + room.nbytes, room))
        given.sort(key=lambda each: each[0])
        offsets.update((id(value), offset) for value in room.values)
    return Places(offsets, max((end for _, end, _ in given), default=0), sum(room.nbytes for room in distinct))


def _inherited(step: Step, position: int, rooms: dict[int, _Room], last: dict[int, int], time: int) -> _Room | None:
    """The place of an input that the step is the last to need, and may overwrite."""
    if step.in_place is None or position:
        return None
    source = step.inputs[step.in_place]
    # What is seen through a view may be needed under another name: it stays.
    if source.base is not None or last[id(source)] != time or rooms.get(id(source)) is None:
        return None
    # Of an array that stands twice among the inputs the other one would be overwritten while it is read.
    if sum(value.root is source for value in step.inputs) > 1:
        return None
    return rooms[id(source)]


def _rounded(nbytes: int) -> int:
    return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
