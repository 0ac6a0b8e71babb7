"""Forward pass with channels in the vector lanes: see channels_forward.pyx."""
from cython cimport floating

from fastconv._core.depthwise.channels cimport ChannelLayout, PieceOutputs
from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime.kernels cimport FC_RELU, FC_RELU6

# Filters as the kernels take them.
cdef struct ChannelFilters:
    void *w            # [block][tap][lane]
    void *bias         # [block][lane]
    void *outside      # a vector of the padding value; behind it there is scratch
    bint idle          # whether padding contributes nothing
    double least, most  # that the activation leaves of outputs, where the kernels see to that


cdef inline bint clips(const Problem *p, const ChannelLayout *l) noexcept nogil:
    """Whether the kernels apply the activation."""
    return l.strides >= 0 and (p.activation == FC_RELU or p.activation == FC_RELU6)


cdef Py_ssize_t convolve_bytes(const ChannelLayout *l, int team) noexcept nogil
cdef convolve(const Problem *p, const ChannelLayout *layout, const floating *x)

# For planes.pyx.
cdef Py_ssize_t packed_size(const ChannelLayout *l) noexcept nogil
cdef void pack(const Problem *p, const ChannelLayout *l, floating *memory, ChannelFilters *filters) noexcept nogil
cdef void convolve_piece(const ChannelLayout *l, const PieceOutputs *outputs, const ChannelFilters *filters,
                         Py_ssize_t block, const floating *source, floating *y) noexcept nogil
