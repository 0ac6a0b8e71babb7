"""Pieces of a batch side by side, layer by layer: what synchronised batch normalisation needs.

Each piece of a rank has a copy of the model, with the arrays of its parameters, and a thread. One thread runs at a
time: it goes on to the next place where all pieces of the batch must meet, leaves there what it has, and gives way to
the next. The last one sees to it that the ranks exchange what was left, and all go on with that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.runtime import threads
from fastconv.training.cut import combined


class _Stopped(Exception):
    """Another piece failed."""


class Lockstep:
    """The pieces of one rank.

    Parameters
    ----------
    pieces : int
        That the rank has at most.
    comm : mpi4py.MPI.Comm
        For what is exchanged where pieces meet; nobody else uses it.
    """

    def __init__(self, pieces: int, comm: Any) -> None:
        self._comm = comm
        self._own = threading.local()
        limit = threads.get_num_threads()
        self._pool = ThreadPoolExecutor(pieces, "piece", lambda: threads.set_override(limit))

    def close(self) -> None:
        self._pool.shutdown()

    def run(self, pieces: Sequence[Callable[[], None]], counts: Sequence[int]) -> None:
        """Run each function in a thread of its own.

        Parameters
        ----------
        pieces : list of callable
            Of a rank without a piece one that leads past the same places, and whose results nobody takes.
        counts : list of int
            How many pieces each rank has.
        """
        self._counts = counts
        self._turns = [threading.Semaphore(0) for _ in pieces]
        self._left: list[NDArray[np.float64]] = []
        self._error: BaseException | None = None
        running = [self._pool.submit(copy_context().run, self._piece, index, piece)
                   for index, piece in enumerate(pieces)]
        self._turns[0].release()
        for one in running:
            one.result()
        if self._error is not None:
            raise self._error

    def meet(self, row: NDArray[np.float64], combine: Callable[[Any, Any], Any]) -> NDArray[np.float64]:
        """What the rows of all pieces of the batch make together, two and two, as their tree says."""
        index = self._own.index
        self._left.append(row)
        if len(self._left) == len(self._turns):
            self._row = self._exchanged(self._left, combine)
            self._left = []
        self._turns[(index + 1) % len(self._turns)].release()
        self._turns[index].acquire()
        if self._error is not None:
            raise _Stopped
        return self._row

    def _piece(self, index: int, work: Callable[[], None]) -> None:
        self._own.index = index
        self._turns[index].acquire()
        try:
            if self._error is None:
                work()
        except _Stopped:
            pass
        except BaseException as error:
            self._error = error
        if self._error is not None:
            for turn in self._turns:
                turn.release()
        elif index + 1 < len(self._turns):
            self._turns[index + 1].release()

    def _exchanged(self, rows: list[NDArray[np.float64]], combine: Callable[[Any, Any], Any]) -> NDArray[np.float64]:
        own = rows if self._counts[self._comm.Get_rank()] else []
        found = np.empty((sum(self._counts), rows[0].size))
        self._comm.Allgatherv(np.concatenate(own) if own else np.empty(0),
                              [found, [count * rows[0].size for count in self._counts]])
        return combined((0, len(found)), {(i, i + 1): row for i, row in enumerate(found)}, combine)
