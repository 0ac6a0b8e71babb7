"""How a batch is cut into pieces, whose gradients are added up along a tree. Neither depends on the number of ranks.

A rank computes a run of neighbouring pieces, and adds up the largest whole branches of the tree that lie in its run.
Here eight pieces and three ranks; what is in brackets is added up by a rank alone, the rest from what all of them sent:

    ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))        rank 0: [0 + 1]    rank 1: [2 + 3], [4]    rank 2: [5], [6 + 7]

So each sum has the same two terms on any number of ranks, and the result the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

#: A branch of the tree: its first piece, and the one behind its last.
Branch = tuple[int, int]

_FEWEST = 2  # images of a piece, where the batch has as many: one alone has no variance for batch normalisation


@dataclass(frozen=True)
class Cut:
    """A batch in pieces of nearly the same number of images.

    Parameters
    ----------
    images : int
        In the batch.
    pieces : int
        At most; a small batch has fewer.
    """

    images: int
    pieces: int

    @property
    def count(self) -> int:
        """The number of pieces."""
        return max(1, min(self.pieces, self.images // _FEWEST))

    def images_of(self, piece: int) -> slice:
        """Where in the batch a piece lies."""
        return slice(piece * self.images // self.count, (piece + 1) * self.images // self.count)

    def pieces_of(self, rank: int, ranks: int) -> range:
        """The run of pieces that a rank computes; there may be none."""
        return range(rank * self.count // ranks, (rank + 1) * self.count // ranks)

    def branches_of(self, rank: int, ranks: int) -> list[Branch]:
        """The largest branches of the tree in the run of a rank, from its first piece to its last."""
        run = self.pieces_of(rank, ranks)
        return list(_inside((0, self.count), run.start, run.stop))

    def steps_of(self, rank: int, ranks: int) -> list[tuple[int, int]]:
        """For each piece of a rank: how many sums of branches the rank has before it, and how many additions follow,
        of the last sum and the piece, and of sums that are complete with it."""
        run, steps, held = self.pieces_of(rank, ranks), [], 0
        for piece in run:
            additions = self._additions_after(piece, run.start)
            steps.append((held, additions))
            held += 1 - additions
        return steps

    def _additions_after(self, piece: int, first: int) -> int:
        branch, found = (0, self.count), 0
        while branch[1] - branch[0] > 1:
            found += branch[1] == piece + 1 and branch[0] >= first
            left, right = halves(branch)
            branch = left if piece < left[1] else right
        return found


def halves(branch: Branch) -> tuple[Branch, Branch]:
    """The two branches that a branch of several pieces is the sum of: the first is the largest power of two."""
    first, last = branch
    middle = first + (1 << ((last - first - 1).bit_length() - 1))
    return (first, middle), (middle, last)


def combined(branch: Branch, parts: Mapping[Branch, T], combine: Callable[[T, T], T]) -> T:
    """What becomes of a branch, of which parts are known: two and two are combined as the tree says."""
    if branch in parts:
        return parts[branch]
    left, right = halves(branch)
    return combine(combined(left, parts, combine), combined(right, parts, combine))


def _inside(branch: Branch, first: int, last: int) -> Iterator[Branch]:
    if first >= branch[1] or last <= branch[0]:
        return
    if first <= branch[0] and branch[1] <= last:
        yield branch
        return
    for half in halves(branch):
        yield from _inside(half, first, last)
