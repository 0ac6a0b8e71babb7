"""A training that ``mpiexec`` or ``srun --mpi`` has started several times over, each time as a rank."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

# What mpiexec tells each process: of Open MPI, and of MPICH and those made from it.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")

# SLURM, of the tasks of one srun. With --mpi=pmix they have PMIX_RANK too; without they are programs by themselves.
_TASKS = "SLURM_STEP_NUM_TASKS"

# The mpiexec of Open MPI since 5 has started this process.
_PRTE = "PRTE_LAUNCHED"


def communicator(environment: Mapping[str, str] = os.environ) -> Any:
    """That of all ranks, or None where the process was not started as one of them.

    Raises
    ------
    ImportError
        If mpi4py is missing.
    OSError
        If it is made for another MPI than that which started the process: then every rank would believe to be alone.
    """
    size = next((int(environment[name]) for name in _SIZES if environment.get(name, "").isdecimal()), 0)
    by, program = "mpiexec", "the mpiexec of that"
    if not size and "PMIX_RANK" in environment and environment.get(_TASKS, "1") != "1":
        size, by, program = int(environment[_TASKS]), "srun", "srun with the --mpi= of that (srun --mpi=list has them)"
    if not size:
        return None
    try:
        MPI = import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # the latter where there is no library of MPI
        raise ImportError(f"{by} has started {size} process{'es' * (size > 1)}, which to train together need mpi4py "
                          f"and the library of the same MPI: pip install fastconv[mpi] ({error})") from error
    comm = MPI.COMM_WORLD
    if comm.Get_size() != size:
        library = MPI.Get_library_version().split("\n")[0].strip(" \0")
        raise OSError(f"{by} has started {size} processes, but mpi4py sees {comm.Get_size()}: it uses {library}, "
                      f"take {program}, or install mpi4py beside the other")
    return comm


def at_terminal(line: str) -> None:
    """Say something at once after Ctrl-C, where it would not be read otherwise: Open MPI's mpiexec then passes on no
    output of the ranks any more, and kills them half a second later."""
    if _PRTE in os.environ:
        with contextlib.suppress(OSError), open("/dev/tty", "w") as terminal:
            terminal.write(f"\r{line}\n")
