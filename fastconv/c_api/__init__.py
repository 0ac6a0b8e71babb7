"""Convolution and pooling for extension modules: on pointers, from C, C++ and Cython, without the GIL.

::

    include/fastconv.h    the contract: structs, codes, one struct of function pointers, its import
      ^  declared for Cython in declarations.pxd, which ``cimport fastconv`` brings
      |
    capsule.pyx           that struct, filled in: takes the GIL, turns exceptions into codes
      |
      v
    plans.pyx             sees pointers as arrays, and runs a plan on them
      |
      v
    problems.py           the structs of sizes, strides and options, checked -> what a plan runs with
      |
      v
    fastconv.functional   the checks and the plans of ``conv2d`` and of pooling; and the drivers under it

Nothing is computed here, and nothing is decided that ``fastconv.functional`` decides.
"""

from __future__ import annotations

from pathlib import Path

from fastconv.c_api.capsule import C_API as _C_API

__all__ = ["_C_API", "get_include"]


def get_include() -> str:
    """The folder of ``fastconv.h``, for ``include_dirs`` of an extension module that calls fastconv from C or Cython.

    Returns
    -------
    str
        An absolute path.

    Examples
    --------
    >>> import os, fastconv as fc
    >>> os.listdir(fc.get_include())
    ['fastconv.h']
    """
    return str(Path(__file__).resolve().parent / "include")
