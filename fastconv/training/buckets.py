"""Arrays of many ranks added up along the tree of a batch's pieces, on their way while other arrays are still computed.

The arrays lie in a few buckets, one after the other. Of each bucket a rank holds the sums of its branches (see `cut`).
When the last is complete,

    1. it sends each rank a segment of them, and has from each the branches of its own segment (Ialltoallv),
    2. adds these up along the rest of the tree,
    3. sends the sum of its segment to each rank, and so has the whole sum (Iallgatherv).

A bucket goes over the wire twice, as in a ring, whatever the number of ranks. MPI moves the numbers and adds nothing,
so the order of the additions is that of the tree. MPI asks that collective operations begin in the same order on all
ranks: the first and the second step have a communicator each, and buckets begin both in their own order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.training.cut import Branch, Cut, combined

_MOST = 8  # buckets, but where arrays are large
_SMALLEST = 1 << 18  # bytes of a bucket: below this, what it takes to send one at all counts most
_BLOCK = 1 << 15  # numbers that are added up at a time, so that sums on the way to a sum stay in L2


@dataclass
class _Bucket:
    """Arrays of one dtype, one after the other, and where they are on their way."""

    dtype: np.dtype[Any]
    places: dict[Any, tuple[slice, tuple[int, ...]]] = field(default_factory=dict)
    size: int = 0
    waiting: set[Any] = field(default_factory=set)  # arrays that have not come from the last piece
    rows: list[NDArray[Any]] = field(default_factory=list)  # sums of branches
    kept: dict[Any, NDArray[Any]] = field(default_factory=dict)  # arrays of a piece, as they came: the next is added
    received: NDArray[Any] | None = None
    total: NDArray[Any] | None = None
    request: Any = None

    def add(self, key: Any, array: NDArray[Any]) -> None:
        self.places[key] = slice(self.size, self.size + array.size), array.shape
        self.size += array.size


class Buckets:
    """The sum of arrays over all pieces of a batch.

    Parameters
    ----------
    arrays : dict
        What is added up, by a key: shapes and dtypes count alone. In the order in which they are complete.
    first, second : mpi4py.MPI.Comm
        Of the same ranks, for the two steps; nobody else uses them.
    """

    def __init__(self, arrays: Mapping[Any, NDArray[Any]], first: Any, second: Any) -> None:
        self._first, self._second = first, second
        self._rank, self._ranks = first.Get_rank(), first.Get_size()
        self._buckets: list[_Bucket] = []
        self._of: dict[Any, _Bucket] = {}
        enough = max(_SMALLEST, sum(array.nbytes for array in arrays.values()) // _MOST)
        filling: dict[np.dtype[Any], _Bucket] = {}
        for key, array in arrays.items():
            bucket = filling.setdefault(array.dtype, _Bucket(array.dtype))
            bucket.add(key, array)
            self._of[key] = bucket
            if bucket.size * array.itemsize >= enough:
                self._buckets.append(filling.pop(array.dtype))
        self._buckets += filling.values()

    def begin(self, cut: Cut) -> None:
        """The next batch."""
        self._tree: Branch = (0, cut.count)
        self._branches = [cut.branches_of(rank, self._ranks) for rank in range(self._ranks)]
        self._steps = dict(zip(cut.pieces_of(self._rank, self._ranks), cut.steps_of(self._rank, self._ranks)))
        self._last = max(self._steps, default=None)
        self._moving = self._summed = 0
        additions = {piece: count for piece, (_, count) in self._steps.items()}
        self._first_of_two = {piece for piece, count in additions.items() if not count and additions.get(piece + 1)}
        rows = 1 + max((held - count for piece, (held, count) in self._steps.items()
                        if piece not in self._first_of_two), default=-1)
        for bucket in self._buckets:
            bucket.waiting = set(bucket.places) if self._steps else set()
            bucket.kept.clear()
            bucket.rows += [np.empty(bucket.size, bucket.dtype) for _ in range(rows - len(bucket.rows))]

    def put(self, key: Any, piece: int, array: Any) -> None:
        """An array of a piece of this rank, once, and for each key in the order of the pieces; None stands for zeros.

        It is not copied where that of the next piece is added to it, so nobody may change it until then. A bucket whose
        arrays have come from all pieces begins to move.
        """
        bucket = self._of[key]
        place, shape = bucket.places[key]
        if array is not None and np.shape(array) != shape:
            raise ValueError(f"the gradient of {key} must have its shape {shape}, got {np.shape(array)}")
        flat = np.broadcast_to(bucket.dtype.type(0), place.stop - place.start) if array is None else (
            np.asarray(array, bucket.dtype).reshape(-1))
        held, additions = self._steps[piece]
        if piece in self._first_of_two:
            bucket.kept[key] = flat
        elif not additions:
            bucket.rows[held][place] = flat
        else:
            before = [bucket.kept.pop(key)] if piece - 1 in self._first_of_two else []
            rows = [row[place] for row in bucket.rows[held - additions : held - len(before)]]
            _add_up([*rows, *before, flat], bucket.rows[held - additions][place])
        if piece == self._last:
            bucket.waiting.discard(key)
            self.progress()

    def progress(self) -> None:
        """Begin what can begin, and let MPI move what it has: it does so only while it is called."""
        while self._moving < len(self._buckets) and not self._buckets[self._moving].waiting:
            self._scatter(self._buckets[self._moving])
            self._moving += 1
        while self._summed < self._moving and self._buckets[self._summed].request.Test():
            self._gather(self._buckets[self._summed])
            self._summed += 1

    def finish(self) -> dict[Any, NDArray[Any]]:
        """The sums by key, in the shapes of the arrays; they are overwritten by those of the next batch."""
        self.progress()
        while self._summed < len(self._buckets):
            self._buckets[self._summed].request.Wait()
            self.progress()
        sums = {}
        for bucket in self._buckets:
            bucket.request.Wait()
            for key, (place, shape) in bucket.places.items():
                sums[key] = bucket.total[place].reshape(shape)  # type: ignore[index]
        return sums

    def _segments(self, size: int) -> list[slice]:
        """The part of a bucket that each rank adds up."""
        return [slice(size * rank // self._ranks, size * (rank + 1) // self._ranks) for rank in range(self._ranks)]

    def _scatter(self, bucket: _Bucket) -> None:
        """The first step."""
        segments = self._segments(bucket.size)
        own = segments[self._rank]
        height = len(self._branches[self._rank])
        rows = bucket.rows[:height]
        if height == 1:
            packed = rows[0]
        else:
            pieces = [row[segment] for segment in segments for row in rows]
            packed = np.concatenate(pieces) if pieces else np.empty(0, bucket.dtype)
        counts = [height * (segment.stop - segment.start) for segment in segments]
        received = [len(branches) * (own.stop - own.start) for branches in self._branches]
        bucket.received = _room(bucket.received, sum(received), bucket.dtype)
        bucket.request = self._first.Ialltoallv([packed, counts], [bucket.received, received])

    def _gather(self, bucket: _Bucket) -> None:
        """What is between the steps, and the second."""
        segments = self._segments(bucket.size)
        length = segments[self._rank].stop - segments[self._rank].start
        assert bucket.received is not None
        branches = [branch for some in self._branches for branch in some]
        sums = dict(zip(branches, bucket.received.reshape(len(branches), length)))
        bucket.total = _room(bucket.total, bucket.size, bucket.dtype)
        counts = [segment.stop - segment.start for segment in segments]
        bucket.request = self._second.Iallgatherv(combined(self._tree, sums, np.add), [bucket.total, counts])


def _add_up(arrays: list[NDArray[Any]], into: NDArray[Any]) -> None:
    """The first and the sum of all others, of which the same holds: each number is read and written once."""
    first, *others, last = arrays
    for start in range(0, into.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        total = last[block]
        for other in reversed(others):
            total = other[block] + total
        np.add(first[block], total, out=into[block])


def _room(before: NDArray[Any] | None, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of this size: that from before, if it fits."""
    return before if before is not None and before.size == size else np.empty(size, dtype)
