"""Builds extension modules against the fastconv that is tested, and speaks to that of client.c."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
COMPILER = os.environ.get("CC", "gcc").split()[0]
DTYPES = {np.dtype(np.float32): 1, np.dtype(np.float64): 2}
LAYOUTS = {"NCHW": 0, "NHWC": 1}

SETUP = """\
import fastconv
from setuptools import Extension, setup

setup(name="client", ext_modules=[Extension("client", ["client.c"], include_dirs=[fastconv.get_include()],
                                            extra_compile_args=["-Wall", "-Werror"])])
"""


def build(folder, *needed):
    """Runs the setup.py of a folder, as its owner would."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"the compiler {COMPILER} is not installed")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("Python's header files are not installed")
    for name in ("setuptools", *needed):
        pytest.importorskip(name, reason=f"{name} is not installed: nothing to build with")
    environment = {key: value for key, value in os.environ.items() if key not in ("CFLAGS", "LDFLAGS")}
    done = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, text=True,
                          capture_output=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def built_client(folder):
    (folder / "setup.py").write_text(SETUP)
    shutil.copy(HERE / "client.c", folder)
    build(folder)
    return folder


def loaded(folder, name):
    path, = folder.glob(f"{name}.*.so")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def address(array):
    return 0 if array is None else array.__array_interface__["data"][0]


def addresses(*arrays):
    return tuple(address(array) for array in arrays)


def planned(client, kind, **fields):
    code, message, plan = client.plan(kind, fields)
    assert (code, message) == (0, "")
    return plan


def run(client, kind, plan, *arrays):
    """In a thread of its own, without the GIL."""
    assert client.run(kind, plan, [addresses(*arrays)], False) == [(0, "")]


# Memory for (N, C, H, W), by name: the layout that the plan is told, and what makes such an array; its strides must be
# told where it has gaps or another order.
def _blank(shape, dtype):
    """What nobody may take for a result."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else -1, dtype)


def _channels_last(shape, dtype):
    n, c, h, w = shape
    return _blank((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def _gaps(shape, dtype):
    return _blank([2 * size + 1 for size in shape], dtype)[1::2, 1::2, 1::2, 1::2]


def _turned(shape, dtype):
    n, c, h, w = shape
    return _blank((w, c, n, h), dtype).transpose(2, 1, 3, 0)[:, ::-1, :, ::-1]


MEMORIES = {"NCHW": ("NCHW", _blank), "NHWC": ("NHWC", _channels_last), "gaps": ("NCHW", _gaps),
            "turned": ("NHWC", _turned)}


def placed(values, memory):
    """A copy of an array in memory of this kind."""
    array = MEMORIES[memory][1](values.shape, values.dtype)
    array[...] = values
    return array


def strides(array, memory):
    """What the plan is told of them."""
    return (0, 0, 0, 0) if memory in LAYOUTS else array.strides


def close(result, expected):
    """float64 to rounding, float32 within the stated error of its fastest algorithm."""
    assert np.isfinite(result).all()
    bound = 2e-5 if result.dtype == np.float32 else 1e-13
    assert np.linalg.norm(result - expected) <= bound * np.linalg.norm(expected)
