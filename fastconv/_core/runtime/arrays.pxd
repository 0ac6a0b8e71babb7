"""What the NumPy C API says about an array at once: see arrays.pyx."""
cimport numpy as cnp
from cpython.object cimport PyObject

cdef PyObject *float32    # NumPy's own descriptors of native float32 and float64
cdef PyObject *float64


cdef inline bint plain(object value) noexcept:
    """An ndarray and no subclass, of native float32 or float64, aligned:
    what the drivers take, of any shape and strides."""
    cdef PyObject *dtype
    if not cnp.PyArray_CheckExact(value):
        return False
    dtype = <PyObject *>cnp.PyArray_DESCR(<cnp.ndarray>value)
    return (dtype == float32 or dtype == float64) and cnp.PyArray_CHKFLAGS(<cnp.ndarray>value, cnp.NPY_ARRAY_ALIGNED)
