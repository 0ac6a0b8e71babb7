"""The band of the depthwise driver: see depthwise_band.pyx."""
from cython cimport floating

from fastconv._core.runtime.memory cimport Block

# One direction of the band: where each of its rows (or columns) comes from.
cdef struct Axis:
    Py_ssize_t block, blocks   # outputs of a block (the last one may have fewer), blocks
    Py_ssize_t length          # rows (columns) of the band
    Py_ssize_t period          # taps from one to the next of its phase
    bint joined                # those of a phase share source elements
    Py_ssize_t segments, segment   # phases (or distant taps), and the length of each, for columns
    Py_ssize_t first, second   # source coordinate of the first element of segments 0 and 1, for output 0
    Py_ssize_t *taps           # [taps]: where the band has what output 0 of a block needs
    Py_ssize_t *places         # [length]: elements of the band in the order of the source, in steps of the band
    Py_ssize_t *offsets        # [blocks][length]: for each of them its offset in the source, in elements, or FC_OUTSIDE


cdef struct Shape:
    Py_ssize_t n, c, k, multiplier, h, w, r, s, oh, ow, taps
    Py_ssize_t xn, xc, xh, xw, yn, yk, yh, yw, wk, wr, ws
    Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, lanes, pitch
    Axis rows, columns
    Py_ssize_t *tap_offsets    # [taps], in the band
    # How a band row is filled: `copied` or `split` (even and odd columns apart) inside the plane, then `which` one by one.
    bint copied, split
    Py_ssize_t *start          # [column blocks]: columns from start until `until` are inside
    Py_ssize_t *until
    Py_ssize_t *which          # [column blocks][columns.length]
    Py_ssize_t *n_which        # [column blocks]
    Py_ssize_t ahead           # from what is read to what is read one block later
    int kernel_stride, kernel_size   # index of the micro-kernel
    bint square                # 3 x 3, 5 x 5 or 7 x 7 neighbouring taps
    bint tall                  # the kernel for tall filters serves
    Py_ssize_t band_size, tile_size   # scratch, in elements
    bint in_place              # the kernels write to y (read grad_output) itself
    int activation
    double slope


cdef void measure(Axis *axis, Py_ssize_t outputs, Py_ssize_t block, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation,
                  Py_ssize_t multiple) noexcept nogil
cdef Py_ssize_t list_bytes(Py_ssize_t taps) noexcept nogil
cdef Py_ssize_t table_bytes(const Axis *axis, Py_ssize_t taps) noexcept nogil
cdef Py_ssize_t edge_bytes(const Axis *columns) noexcept nogil
cdef Block lay_out(Axis *axis, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t origin, Py_ssize_t size,
                   Py_ssize_t step, int padding, Py_ssize_t pitch)
cdef Block find_edges(Shape *g, int padding)
cdef void fill(const Shape *g, const floating *plane, Py_ssize_t row_block, Py_ssize_t col_block, floating value,
               floating *band) noexcept nogil
