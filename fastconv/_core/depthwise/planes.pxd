"""Depthwise convolution of planes with channels in the vector lanes: see depthwise_planes.pyx."""
from cython cimport floating

from fastconv._core.depthwise.channels cimport Shape

cdef bint channels_pay(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *y,
                       const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation)
cdef double work(const Shape *g) noexcept nogil
cdef Py_ssize_t convolve_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil
cdef Py_ssize_t correlate_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil
cdef convolve(const Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value)
cdef correlate(const Shape *g, const floating *x, const floating *dy, floating *gradient, floating value)
