"""One convolution of arrays: see convolution.pyx."""
cimport numpy as cnp

from fastconv._core.problem.problem cimport Problem

cdef class Window:
    cdef readonly tuple stride, dilation, origin
    cdef readonly int padding_mode
    cdef readonly double padding_value
    cdef Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, top, left

cdef class Epilogue:
    cdef readonly int activation
    cdef readonly bint accumulate
    cdef readonly double negative_slope

cdef class Convolution:
    cdef readonly cnp.ndarray x, w, bias, y
    cdef readonly Window window
    cdef readonly Epilogue epilogue
    cdef Problem problem
    cdef bint single    # precision, else double

cpdef Window window_of(problem, double padding_value=*)
cdef Problem record_of(problem)
cdef Problem problem_of(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w,
                        const Py_ssize_t *w_strides, const Py_ssize_t *y, const Py_ssize_t *y_strides,
                        Py_ssize_t size, Window window)
