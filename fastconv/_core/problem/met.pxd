"""The taps of an axis that meet the image, and not what stands around it."""

from libc.stdint cimport INT64_MAX

from fastconv._core.problem.problem cimport Problem, ceildiv

# Of one axis: taps from `first` on until `until` meet the image, for outputs before `end`.
cdef struct Met:
    Py_ssize_t first, until, end


cdef inline Met met(Py_ssize_t size, Py_ssize_t padding, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t taps,
                    Py_ssize_t output) noexcept nogil:
    """What an output meets, and the first behind it that meets others."""
    cdef Met m
    cdef Py_ssize_t before = padding - output * stride    # of the image, from the first tap on
    m.first = min(taps, ceildiv(before, dilation)) if before > 0 else 0
    m.until = min(taps, ceildiv(before + size, dilation)) if before + size > 0 else 0
    m.end = INT64_MAX
    if m.first > 0:
        m.end = ceildiv(padding - (m.first - 1) * dilation, stride)
    if m.until > 0:
        m.end = min(m.end, ceildiv(padding + size - (m.until - 1) * dilation, stride))
    m.until = max(m.until, m.first)
    return m


cdef inline bint inside_rows(const Problem *p) noexcept nogil:
    """Whether no row of taps meets padding."""
    return p.top <= 0 and (p.oh - 1) * p.stride_h + (p.r - 1) * p.dilation_h - p.top < p.h


cdef inline bint inside_columns(const Problem *p) noexcept nogil:
    """Whether no column of taps meets padding."""
    return p.left <= 0 and (p.ow - 1) * p.stride_w + (p.s - 1) * p.dilation_w - p.left < p.w


cdef inline bint inside(const Problem *p) noexcept nogil:
    """Whether no tap meets padding."""
    return inside_rows(p) and inside_columns(p)
