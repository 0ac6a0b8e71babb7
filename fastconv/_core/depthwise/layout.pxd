"""How a depthwise convolution is computed: see layout.pyx."""
from fastconv._core.depthwise.band cimport ColumnLayout
from fastconv._core.depthwise.channels cimport ChannelLayout
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem

cdef enum:
    KEY_WORDS = 32

cdef class DepthwiseLayout:
    cdef Py_ssize_t key[KEY_WORDS]
    cdef Py_ssize_t size            # of an element in bytes
    cdef bint channel_lanes
    cdef ColumnLayout columns       # where lanes are columns
    cdef ChannelLayout channels     # where they are channels, side by side in memory or in planes
    cdef list tables

cdef void fill_key(Py_ssize_t *key, Convolution conv)
cdef DepthwiseLayout measured(Convolution conv)
cdef void add_tables(DepthwiseLayout layout, const Problem *p)
cdef void measure_columns(const Problem *p, Py_ssize_t size, ColumnLayout *l) noexcept nogil
cdef list plan_columns(const Problem *p, ColumnLayout *l)
cdef Py_ssize_t most_bytes(const ColumnLayout *l, Py_ssize_t others) noexcept nogil
cdef int column_team(const Problem *p) noexcept
