"""Runs a script in a Python of its own: for what a test must not do to its own process, or cannot measure in it."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fastconv._core.runtime import isa


def run_python(*arguments):
    """Runs Python with these arguments and returns what it printed; its failure, a crash too, is the test's failure."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return done.stdout


def in_new_process(script, *arguments):
    return run_python("-c", textwrap.dedent(script), *arguments)


def command(*arguments):
    """The command line, as `subprocess` starts it."""
    return [sys.executable, "-m", "fastconv", *(word if isinstance(word, bytes) else str(word) for word in arguments)]


WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def with_ctrl_c(command):
    """The command where Ctrl-C is not ignored, as it is in all that a shell's script has started in the background."""
    return [sys.executable, "-c", WITH_CTRL_C, *command]


WITH_ISA = """
import importlib, os, sys
os.environ["FASTCONV_ISA"] = sys.argv[1]
sys.path[:0] = sys.argv[4:]
getattr(importlib.import_module(sys.argv[2]), sys.argv[3])()
from fastconv._core.runtime import isa
print(isa.in_use())
"""


def check_with_isa(name, check):
    """Calls `check`, a function without arguments of a test module, where instruction set `name` is forced and runs."""
    if name not in isa.usable():
        pytest.skip(f"{name}: " + ("this CPU does not have it" if name in isa.compiled() else "not in this build"))
    here = Path(check.__code__.co_filename)
    folders = dict.fromkeys((here.parent, Path(__file__).parent))
    assert in_new_process(WITH_ISA, name, here.stem, check.__name__, *folders).split()[-1] == name


PEAK_MEMORY = """
import sys
import numpy as np
import fastconv as fc
import fastconv.functional  # which would be imported by the call

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

fc.set_num_threads(int(sys.argv[1]))
{prepare}
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # the peak starts again from here
before = status("VmRSS")
{call}
print(status("VmHWM") - before)
"""


def peak_memory(prepare, call, threads):
    """MB that the statement `call` takes at its peak, beyond what lives after the statements `prepare`."""
    return float(in_new_process(PEAK_MEMORY.format(prepare=textwrap.dedent(prepare), call=call), threads))
