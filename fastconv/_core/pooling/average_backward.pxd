"""The gradient of average pooling of planes: see average_backward.pyx."""
cimport numpy as cnp

from fastconv._core.pooling.windows cimport Windows

cdef spread(cnp.ndarray grad, cnp.ndarray grad_x, Windows windows, bint channels_last)
