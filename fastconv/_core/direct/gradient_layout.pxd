"""How the weight gradient with filters in the lanes cuts a convolution: see gradient_layout.pyx."""
from cython cimport floating

from fastconv._core.problem.blocks cimport Blocking
from fastconv._core.problem.problem cimport Problem

cdef enum:
    RUN = 128    # pixels, and then sums of so many, that are added one after the other: see src_c/reduce.h

# What is the same for all blocks of a call; sizes in elements.
cdef struct WeightLayout:
    Blocking blocking
    int lanes, mr
    Py_ssize_t width, panels                # of grad_output: filters of a panel, panels of a group
    Py_ssize_t pixel, vectors               # of X: from one pixel to the next, vectors of channels
    Py_ssize_t band_rows, band_cols
    Py_ssize_t image_pitch, channel_pitch   # of X
    Py_ssize_t row_step                     # of X: from one row of outputs to the next
    Py_ssize_t pixels                       # of a block
    Py_ssize_t rows, panel_sums             # of a panel's sums: channels x taps, and all with their lanes
    Py_ssize_t chunks, blocks_a_run
    bint long_sums                          # they go to totals in double precision, several chunks' always
    Py_ssize_t x_at, packed_at, sums_at     # in a thread's scratch, behind the runs
    Py_ssize_t at_size, tables_size         # numbers of the table of positions in X, of all tables
    Py_ssize_t totals_size                  # of all chunks


cdef WeightLayout lay_out_weights(const Problem *p, const floating *unused) noexcept nogil


cdef inline Py_ssize_t scratch_of(const WeightLayout *l, Py_ssize_t panels) noexcept nogil:
    """Elements that a thread needs for so many panels."""
    return l.sums_at + panels * l.panel_sums


cdef inline Py_ssize_t filters_of(const Problem *p, const WeightLayout *l, Py_ssize_t panel) noexcept nogil:
    return min(l.width, p.k - panel * l.width)


cdef inline Py_ssize_t channels_of(const Problem *p, const WeightLayout *l, Py_ssize_t vector) noexcept nogil:
    return min(p.c - vector * l.lanes, l.lanes)
