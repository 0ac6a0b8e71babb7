cimport numpy as cnp


cdef class Affine:
    cdef readonly cnp.ndarray weight
    cdef readonly cnp.ndarray bias
    cdef readonly double eps
    cdef readonly bint relu
