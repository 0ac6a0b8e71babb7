"""Ctrl-C in a training: between steps, never within one."""

import signal

import pytest
from processes import run_python

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


def test_ctrl_c_is_taken_care_of_before_anything_is_imported():
    assert run_python("-I", "-S", "-c", IMPORTED.replace("PATH", repr(_interrupt.__file__))) == "[]\n"
