"""A training that ``mpiexec`` has started several times over, each time as a rank."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

# What mpiexec tells each process: of Open MPI, and of MPICH and those made from it.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")

# The mpiexec of Open MPI since 5 has started this process.
_PRTE = "PRTE_LAUNCHED"


def communicator(environment: Mapping[str, str] = os.environ) -> Any:
    """That of all ranks, or None where the process was not started by mpiexec.

    Raises
    ------
    ImportError
        If mpi4py is missing.
    OSError
        If it is made for another MPI than that which started the process: then every rank would believe to be alone.
    """
    size = next((int(environment[name]) for name in _SIZES if environment.get(name, "").isdecimal()), 0)
    if not size:
        return None
    try:
        MPI = import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # the latter where there is no library of MPI
        raise ImportError(f"mpiexec has started {size} process{'es' * (size > 1)}, which to train together need mpi4py "
                          f"and the library of the same MPI: pip install fastconv[mpi] ({error})") from error
    comm = MPI.COMM_WORLD
    if comm.Get_size() != size:
        library = MPI.Get_library_version().split("\n")[0].strip(" \0")
        raise OSError(f"mpiexec has started {size} processes, but mpi4py sees {comm.Get_size()}: it uses {library}, "
                      "take the mpiexec of that, or install mpi4py beside the other")
    return comm


def at_terminal(line: str) -> None:
    """Say something at once after Ctrl-C, where it would not be read otherwise: Open MPI's mpiexec then passes on no
    output of the ranks any more, and kills them half a second later."""
    if _PRTE in os.environ:
        with contextlib.suppress(OSError), open("/dev/tty", "w") as terminal:
            terminal.write(f"\r{line}\n")
