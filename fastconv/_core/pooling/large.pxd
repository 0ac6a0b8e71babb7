"""Pooling of planes, whatever the windows: see large.pyx."""
cimport numpy as cnp

from fastconv._core.pooling.windows cimport Windows

cdef pool_planes(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices)
