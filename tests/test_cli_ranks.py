"""What the command line makes of what mpiexec tells a process."""

import sys
import types

import pytest

from fastconv.cli.ranks import communicator


def mpi(size):
    comm = types.SimpleNamespace(Get_size=lambda: size)
    return types.SimpleNamespace(COMM_WORLD=comm, Get_library_version=lambda: "Open MPI v5.0.11, package: x\0\nmore")


@pytest.fixture
def install(monkeypatch):
    def installed(module):
        monkeypatch.setitem(sys.modules, "mpi4py", types.ModuleType("mpi4py"))
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", module)

    return installed


@pytest.mark.parametrize("environment", [{}, {"PMI_SIZE": ""}, {"SLURM_NTASKS": "4"},
                                         {"SLURM_STEP_NUM_TASKS": "4"},
                                         {"SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"}])
def test_a_process_by_itself_has_no_ranks_and_imports_nothing(environment, install):
    install(None)  # importing it would be an ImportError
    assert communicator(environment) is None


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
@pytest.mark.parametrize("size", [1, 4])
def test_mpiexec_has_started_ranks(name, size, install):
    install(mpi(size))
    assert communicator({name: str(size)}).Get_size() == size


def test_srun_has_started_ranks(install):
    tasks = {"SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "2"}
    install(mpi(4))
    assert communicator(tasks).Get_size() == 4
    install(mpi(1))
    with pytest.raises(OSError, match="srun has started 4 processes, but mpi4py sees 1: .*, take srun with the --mpi="):
        communicator(tasks)
    install(mpi(2))
    assert communicator({**tasks, "OMPI_COMM_WORLD_SIZE": "2"}).Get_size() == 2, "mpiexec within a task of srun"


def test_without_mpi4py_it_says_what_to_install(install, monkeypatch, cli):
    install(None)
    with pytest.raises(ImportError, match=r"mpiexec has started 4 processes, .* pip install fastconv\[mpi\] \("):
        communicator({"PMI_SIZE": "4"})
    monkeypatch.setenv("PMI_SIZE", "4")
    code, stdout, stderr = cli("train")
    assert code == 1 and stdout == "" and stderr.count("\n") == 1 and "mpi4py" in stderr


def test_another_mpi_than_that_of_mpiexec(install):
    install(mpi(1))
    with pytest.raises(OSError, match="4 processes, but mpi4py sees 1: it uses Open MPI v5.0.11, package: x, "):
        communicator({"PMI_SIZE": "4"})
