"""The ranks of a training: processes that MPI has started, on one machine or on many, and what they agree on."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any, TypeVar

from fastconv._core.runtime import isa, threads
from fastconv.config import __version__, get_num_threads, num_threads
from fastconv.training.diverged import DivergedError
from fastconv.training.interrupt import gated

T = TypeVar("T")

_SAID = ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS")


class RankError(OSError):
    """Another rank failed: the message has its number, and what it said."""


#: What ends a run on all ranks together, after they have agreed on it.
AGREED = (DivergedError, KeyboardInterrupt, RankError)


class Ranks:
    """What a training asks of a communicator. All methods are called by all ranks together.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    """

    def __init__(self, comm: Any) -> None:
        missing = [name for name in ("Ialltoallv", "allgather", "Split_type", "Abort") if not hasattr(comm, name)]
        if missing or getattr(comm, "is_inter", False):
            raise TypeError("comm must be a communicator of mpi4py such as MPI.COMM_WORLD, whose ranks train together, "
                            f"got {type(comm).__name__}: from mpi4py import MPI (pip install fastconv[mpi])")
        self.comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()

    @property
    def leads(self) -> bool:
        """Whether this rank prints and writes."""
        return self.rank == 0

    def agree(self, work: Callable[[], T]) -> T:
        """What `work` returns here. Where it fails on one rank it fails on all, and Ctrl-C on one ends it on all: none
        waits for one that is gone."""
        result, error = None, None
        with gated() as gate, gate:
            try:
                with gate.opened():
                    result = work()
            except (Exception, KeyboardInterrupt) as caught:
                error = caught
            interrupted = gate.waiting or isinstance(error, KeyboardInterrupt)
            said = self.comm.allgather((interrupted, None if error is None else f"{type(error).__name__}: {error}"))
            if any(stops for stops, _ in said):
                raise KeyboardInterrupt
        if error is not None and (self.leads or said[0][1] is None):
            raise error
        for rank, (_, message) in enumerate(said):
            if message is not None:
                raise RankError(f"rank {rank} of {self.size} failed: {message}")
        return result  # type: ignore[return-value]

    def check_alike(self, settings: Mapping[str, Any]) -> None:
        """Whether all ranks were made with the same, and compute alike.

        Raises
        ------
        RankError
            On all ranks, with the first difference.
        """
        own = {"version of fastconv": __version__, "instruction set (FASTCONV_ISA)": isa.in_use(), **settings}
        first, *rest = self.comm.allgather(own)
        for rank, others in enumerate(rest, 1):
            for name in [*first, *(name for name in others if name not in first)]:
                if others.get(name) != first.get(name):
                    raise RankError(f"all ranks must be made alike: rank {rank} has {name} {others.get(name)}, "
                                    f"rank 0 has {first.get(name)}")

    def check_equal(self, number: int) -> None:
        """Whether all ranks have the same checksum of the weights."""
        numbers = self.comm.allgather(number)
        if different := [rank for rank, other in enumerate(numbers) if other != numbers[0]]:
            raise RankError(f"the weights of rank {different[0]} are not those of rank 0: a layer, a loss or an "
                            "augmentation of one's own depends on something else than its arguments, or a machine is "
                            "defective")

    def in_turn(self, found: list[T]) -> list[T]:
        """What the ranks have found, where the first was of rank 0, the second of rank 1, and so on round."""
        lists = self.comm.allgather(found)
        return [one[index] for index in range(len(lists[0])) for one in lists if index < len(one)]

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """An error inside that the others know nothing of ends them too, after its traceback: they would wait for this
        rank for ever. What all ranks raise together is raised."""
        try:
            yield
        except AGREED:
            raise
        except BaseException as error:
            if self.size == 1:
                raise
            if not isinstance(error, (OSError, MemoryError)):
                traceback.print_exc()
            print(f"rank {self.rank} of {self.size} ({_place()}) failed, so that all end: "
                  f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self.comm.Abort(1)
            raise

    def threads(self) -> Any:
        """A context in which calls use the CPUs of this rank: those that it is bound to, where it shares them with
        other ranks its part of them. What the user has said about threads stays."""
        own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        here = self.comm.Split_type(import_module("mpi4py.MPI").COMM_TYPE_SHARED)
        everybody = here.allgather(own)
        here.Free()
        said = threads.set_override(0)
        threads.set_override(said)
        if said or any(os.environ.get(name) for name in _SAID) or get_num_threads() != len(own):
            return nullcontext()
        return num_threads(max(1, int(sum(1 / sum(cpu in one for one in everybody) for cpu in own) + 1e-9)))

    def places(self) -> list[str]:
        """The process, machine and threads of each rank."""
        return self.comm.allgather(f"{_place()}, {get_num_threads()} thread{'s' * (get_num_threads() > 1)}")


def _place() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
