"""Ctrl-C in a training: between steps, never within one."""

import os
import signal
import subprocess
import sys

import pytest
from processes import run_python, with_ctrl_c

from fastconv import _interrupt
from fastconv.training.interrupt import gated


@pytest.fixture
def python_handles_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_a_step(python_handles_ctrl_c):
    done = []
    with pytest.raises(KeyboardInterrupt), gated() as gate:
        with gate:
            signal.raise_signal(signal.SIGINT)
            done.append("step")
        done.append("next step")
    assert done == ["step"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_between_steps_comes_at_once(python_handles_ctrl_c):
    done = []
    with pytest.raises(KeyboardInterrupt), gated() as gate:
        with gate:
            done.append("step")
        signal.raise_signal(signal.SIGINT)
        done.append("batch")
    assert done == ["step"]


def test_an_error_in_a_step_comes_before_ctrl_c(python_handles_ctrl_c):
    with pytest.raises(ZeroDivisionError), gated() as gate, gate:
        signal.raise_signal(signal.SIGINT)
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_blocks_within_blocks_wait_for_the_outermost(python_handles_ctrl_c):
    done = []
    with pytest.raises(KeyboardInterrupt), gated() as gate, gate:
        with gated() as inner, inner:
            signal.raise_signal(signal.SIGINT)
            done.append("step")
        done.append("after it")
    assert inner is gate and done == ["step", "after it"]


def test_an_opened_gate_lets_ctrl_c_in_at_once(python_handles_ctrl_c):
    done, told = [], []
    with gated() as gate, gate:
        gate.told = lambda: told.append(len(done))
        with pytest.raises(KeyboardInterrupt), gate.opened():
            signal.raise_signal(signal.SIGINT)
            done.append("never")
        signal.raise_signal(signal.SIGINT)
        done.append("closed again")
        with pytest.raises(KeyboardInterrupt), gate.opened():
            done.append("never")
        gate.waiting = False
    assert done == ["closed again"] and told == [0, 0]


def test_sigterm_goes_the_same_way_where_it_is_ctrl_c(python_handles_ctrl_c):
    before, done = signal.signal(signal.SIGTERM, signal.default_int_handler), []
    try:
        with pytest.raises(KeyboardInterrupt), gated() as gate, gate:
            signal.raise_signal(signal.SIGTERM)
            done.append("step")
        assert done == ["step"] and signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_of_ones_own_stays(python_handles_ctrl_c):
    calls = []
    signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    with gated() as gate, gate:
        signal.raise_signal(signal.SIGINT)
    assert calls == [signal.SIGINT]


IMPORTED = """
import os, sys
sys.argv = ["fastconv"]
with open(PATH, encoding="utf-8") as file:
    source = file.read()
before = set(sys.modules)
exec(source)
print(sorted(set(sys.modules) - before - {"_signal"}))
"""


@pytest.mark.parametrize(("number", "said"), [(None, "fastconv: interrupted\n"), ("0", "fastconv: interrupted\n"),
                                             ("1", "")])
@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"])
def test_of_ranks_the_first_alone_speaks(name, number, said):
    """And to ranks SIGTERM is what Ctrl-C is."""
    script = f"""if True:
        import os, sys, _signal
        sys.argv = ["fastconv"]
        exec(open({_interrupt.__file__!r}, encoding="utf-8").read())
        os.kill(os.getpid(), _signal.{"SIGINT" if number is None else "SIGTERM"})
        """
    own = {key: value for key, value in os.environ.items() if key not in _interrupt._NUMBERS}
    done = subprocess.run(with_ctrl_c([sys.executable, "-c", script]), capture_output=True, text=True,
                          env=own | ({} if number is None else {name: number}))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


def test_ctrl_c_is_taken_care_of_before_anything_is_imported():
    assert run_python("-I", "-S", "-c", IMPORTED.replace("PATH", repr(_interrupt.__file__))) == "[]\n"
