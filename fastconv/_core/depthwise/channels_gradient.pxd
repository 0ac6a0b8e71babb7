"""Weight gradient with channels in the vector lanes: see channels_gradient.pyx."""
from cython cimport floating

from fastconv._core.depthwise.channels cimport ChannelLayout, PieceOutputs
from fastconv._core.problem.problem cimport Problem

cdef Py_ssize_t correlate_bytes(const Problem *p, const ChannelLayout *l, int team) noexcept nogil
cdef correlate(const Problem *p, const ChannelLayout *layout, const floating *x)

# For planes.pyx.
cdef Py_ssize_t correlate_piece(const ChannelLayout *l, const PieceOutputs *outputs, const floating *outside,
                                const floating *source, const floating *dy, floating *sums, double *totals,
                                Py_ssize_t runs) noexcept nogil
cdef void end_run(floating *sums, Py_ssize_t n, double *totals) noexcept nogil
cdef void add_up(const Problem *p, const ChannelLayout *l, Py_ssize_t chunks, Py_ssize_t chunk_size,
                 floating *sums) noexcept nogil
