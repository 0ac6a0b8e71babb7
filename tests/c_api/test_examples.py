"""The examples and the page of the documentation, compiled and run as a user would."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import reference
from c_api.clients import build, loaded
from processes import run_python

import fastconv as fc

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/adapters/c.md"

checkout = pytest.mark.skipif(not PAGE.exists(), reason="the source tree is not here")

MODULE = """
#include <fastconv.h>
#include <stdio.h>
static const fastconv_api *fc;
#ifdef __cplusplus
extern "C"
#endif
%s
static PyObject *call(PyObject *self, PyObject *arguments) {
    unsigned long long images, filter, result;
    long long count, rows, columns;
    if (!PyArg_ParseTuple(arguments, "KLLLKK", &images, &count, &rows, &columns, &filter, &result)) return NULL;
    return PyLong_FromLong(blur((const float *)images, count, rows, columns, (const float *)filter, (float *)result));
}
static PyMethodDef methods[] = {{"blur", call, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_NAME(void) {
    fc = fastconv_import();
    return fc == NULL ? NULL : PyModule_Create(&module);
}
"""

SETUP = """
import fastconv
from Cython.Build import cythonize
from setuptools import Extension, setup

include_dirs = [fastconv.get_include()]
setup(name="page", ext_modules=[
    Extension("page_c", ["page_c.c"], include_dirs=include_dirs),
    Extension("page_cpp", ["page_cpp.cpp"], include_dirs=include_dirs),
    *cythonize(Extension("page_cython", ["page_cython.pyx"], include_dirs=include_dirs), language_level=3)])
"""


@checkout
def test_the_example_runs(tmp_path):
    folder = tmp_path / "c_client"
    shutil.copytree(ROOT / "examples/c_client", folder,
                    ignore=lambda _, names: [name for name in names if name.endswith((".so", "halves_cython.c"))])
    build(folder, "Cython")
    lines = run_python(folder / "run.py").splitlines()
    assert [line.split(":")[0] for line in lines] == ["edges_c", "halves_cython"]
    assert all("to the bits of" in line for line in lines)


@checkout
def test_the_page_runs_in_c_in_cpp_and_in_cython(tmp_path):
    function, = re.findall(r"```c\n(.*?)```", PAGE.read_text(), re.S)
    module, = re.findall(r"```cython\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "setup.py").write_text(SETUP)
    (tmp_path / "page_cython.pyx").write_text(module)
    for name, suffix in (("page_c", "c"), ("page_cpp", "cpp")):
        (tmp_path / f"{name}.{suffix}").write_text((MODULE % function).replace("NAME", name))
    if shutil.which("g++") is None:
        (tmp_path / "page_cpp.cpp").unlink()
        (tmp_path / "setup.py").write_text(SETUP.replace(
            '    Extension("page_cpp", ["page_cpp.cpp"], include_dirs=include_dirs),\n', ""))
    build(tmp_path, "Cython")

    rng = np.random.default_rng(0)
    images, weight = rng.random((3, 1, 20, 30), np.float32), rng.random((1, 1, 5, 5), np.float32)
    expected = reference.conv2d(images, weight, padding=2)
    for name in ("page_c", "page_cpp") if (tmp_path / "page_cpp.cpp").exists() else ("page_c",):
        result = np.full(expected.shape, np.nan, np.float32)
        assert loaded(tmp_path, name).blur(images.ctypes.data, 3, 20, 30, weight.ctypes.data, result.ctypes.data) == 0
        np.testing.assert_allclose(result, expected, rtol=1e-5)

    image, result = rng.random((8, 10), np.float32), np.full((4, 5), np.nan, np.float32)
    cython = loaded(tmp_path, "page_cython")
    cython.halve(image, result)
    np.testing.assert_array_equal(result, fc.max_pool2d(image[None], 2)[0])
    with pytest.raises(ValueError, match="kernel_size does not fit into x"):
        cython.halve(image[:1], result)
