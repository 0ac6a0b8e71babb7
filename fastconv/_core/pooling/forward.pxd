"""Pooling of planes: see forward.pyx."""
cimport numpy as cnp

from fastconv._core.pooling.windows cimport Windows

# Whether channels are neighbours in memory and columns are not.
cdef bint channels_are_lanes(cnp.ndarray x) noexcept
cdef pool_planes(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices)
