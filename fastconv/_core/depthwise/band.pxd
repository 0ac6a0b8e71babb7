"""The band where lanes are columns: see band.pyx."""
from cython cimport floating

from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime.memory cimport Block

# One direction of the band: where each of its rows (or columns) comes from.
cdef struct BandAxis:
    Py_ssize_t outputs, taps, stride, dilation
    Py_ssize_t block, blocks   # outputs of a block (the last one may have fewer), blocks
    Py_ssize_t length          # rows (columns) of the band
    Py_ssize_t period          # taps from one to the next of its phase
    bint joined                # those of a phase share source elements
    Py_ssize_t segments, segment   # phases (or distant taps), and the length of each, for columns
    Py_ssize_t first, second   # source coordinate of the first element of segments 0 and 1, for output 0
    Py_ssize_t *at             # [taps]: where the band has what output 0 of a block needs
    Py_ssize_t *places         # [length]: elements of the band in the order of the source, in steps of the band
    Py_ssize_t *offsets        # [blocks][length]: for each of them its offset in the source, in elements, or FC_OUTSIDE


# What a convolution with columns in the lanes adds to its problem: blocks, the band, its tables, a thread's scratch.
cdef struct ColumnLayout:
    int lanes
    Py_ssize_t size            # of an element in bytes
    Py_ssize_t taps, pitch
    BandAxis rows, columns
    Py_ssize_t *tap_offsets    # [taps], in the band
    # How a band row is filled: `copied` or `split` (even and odd columns apart) inside the plane, `which` one by one.
    bint copied, split
    Py_ssize_t *start          # [column blocks]: columns from start until `until` are inside
    Py_ssize_t *until
    Py_ssize_t *which          # [column blocks][columns.length]
    Py_ssize_t *n_which        # [column blocks]
    Py_ssize_t ahead           # from what is read to what is read one block later
    int kernel_stride, kernel_size   # index of the micro-kernel
    bint tall                  # the kernel for tall filters serves
    Py_ssize_t band_size, tile_size   # scratch, in elements
    bint in_place              # the kernels write to y (read grad_output) itself


# One block of outputs of one plane.
cdef struct BandBlock:
    Py_ssize_t plane                # what is counted outside the blocks of a plane
    Py_ssize_t row_block, col_block
    Py_ssize_t row0, rows, col0, cols


cdef inline BandBlock block_at(const ColumnLayout *l, Py_ssize_t index) noexcept nogil:
    cdef BandBlock b
    b.col_block = index % l.columns.blocks
    b.row_block = index // l.columns.blocks % l.rows.blocks
    b.plane = index // (l.columns.blocks * l.rows.blocks)
    b.row0, b.col0 = b.row_block * l.rows.block, b.col_block * l.columns.block
    b.rows, b.cols = min(l.rows.block, l.rows.outputs - b.row0), min(l.columns.block, l.columns.outputs - b.col0)
    return b


cdef void measure(BandAxis *axis, Py_ssize_t outputs, Py_ssize_t block, Py_ssize_t taps, Py_ssize_t stride,
                  Py_ssize_t dilation, Py_ssize_t multiple) noexcept nogil
cdef Py_ssize_t list_bytes(const BandAxis *axis) noexcept nogil
cdef Py_ssize_t table_bytes(const BandAxis *axis) noexcept nogil
cdef Py_ssize_t edge_bytes(const BandAxis *columns) noexcept nogil
cdef Block lay_out(BandAxis *axis, Py_ssize_t origin, Py_ssize_t size, Py_ssize_t step, int padding, Py_ssize_t pitch)
cdef Block find_edges(const Problem *p, ColumnLayout *l)
cdef void fill(const Problem *p, const ColumnLayout *l, const BandBlock *block, const floating *plane,
               floating *band) noexcept nogil
