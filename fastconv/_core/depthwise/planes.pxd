"""Depthwise convolution of planes with channels in the vector lanes: see planes.pyx."""
from cython cimport floating

from fastconv._core.depthwise.channels cimport ChannelLayout
from fastconv._core.problem.convolution cimport Window
from fastconv._core.problem.problem cimport Problem

cdef bint channels_pay(const Problem *p, Window window, Py_ssize_t size, int lanes) noexcept
cdef double work(const Problem *p) noexcept nogil
cdef Py_ssize_t convolve_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil
cdef Py_ssize_t correlate_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil
cdef convolve(const Problem *p, const ChannelLayout *l, const floating *x)
cdef correlate(const Problem *p, const ChannelLayout *l, const floating *x)
