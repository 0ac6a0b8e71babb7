"""Two extension modules that call fastconv without Python: one in C, one in Cython.

    pip install setuptools cython numpy fastconv
    python setup.py build_ext --inplace
    python run.py
"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import fastconv

include_dirs = [fastconv.get_include()]
setup(name="c_client", ext_modules=[
    Extension("edges_c", ["edges_c.c"], include_dirs=include_dirs),
    *cythonize(Extension("halves_cython", ["halves_cython.pyx"], include_dirs=include_dirs,
                         extra_compile_args=["-fopenmp"], extra_link_args=["-fopenmp"]), language_level=3)])
