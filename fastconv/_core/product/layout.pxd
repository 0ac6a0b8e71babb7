"""How the matrix product cuts a convolution, and where everything lies in a thread's scratch: see layout.pyx."""
from cython cimport floating

from fastconv._core.problem.band cimport Band
from fastconv._core.problem.blocks cimport Blocking, PixelBlock
from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, FC_MAX_NV, fc_run

cdef enum:
    WIDEST = FC_MAX_NV * FC_MAX_LANES    # lanes of a panel, at most
    MOST_PANELS = 8                      # of pixels that are packed together, at most

# A forward pass: blocks of the reduction, what is packed at a time; and where in a thread's scratch, behind the offsets
# of the taps, the band, packed pixels and a tile begin. Elements, but for packed_size.
cdef struct ProductLayout:
    int team
    Blocking blocking
    bint in_rows                         # rows of x are added up as they lie,
    bint in_band_rows                    # or those of the band, tap by tap
    bint as_written                      # filters are not packed: a tile's are copied as they lie
    Py_ssize_t channels, taps_at_once    # of a slice of the reduction
    Py_ssize_t panels, panel_size        # of the filters of a group
    Py_ssize_t stage                     # filter panels that are packed at a time
    Py_ssize_t group, panel_elements     # panels of pixels that are packed together
    Py_ssize_t terms_at                  # where the terms of a slice lie in the band, or in x
    Py_ssize_t band_at, pixels_at, tile_at
    Py_ssize_t filters_at, filter_pitch  # where a tile's filters are copied to, and how far they are apart
    Py_ssize_t scratch_size              # of a thread
    Py_ssize_t packed_size               # bytes of the packed filters

# A weight gradient: its blocks, and where in a thread's scratch, behind the offsets of the taps, its pieces begin.
# Elements, but for partial_size.
cdef struct GradientLayout:
    Blocking blocking
    Py_ssize_t lanes_at_once, chunks
    bint in_place
    Py_ssize_t panels, panel_size, row_size           # of packed grad_output; of one of its rows
    Py_ssize_t runs_at, rows_at, packed_at, band_at, lanes_at, tile_at
    Py_ssize_t scratch_size                           # of a thread
    Py_ssize_t partial_size                           # bytes of the chunks' sums

cdef double work(const Problem *p) noexcept nogil    # about the nanoseconds on one thread
cdef Band band_of(const Problem *p, Py_ssize_t rows, Py_ssize_t cols, int lanes) noexcept nogil
cdef void cut_filters(const Problem *p, ProductLayout *l, const floating *unused) noexcept
cdef ProductLayout lay_out(const Problem *p, int team, bint prepared, const floating *unused) noexcept
cdef GradientLayout lay_out_gradient(const Problem *p, const floating *unused) noexcept


cdef inline Py_ssize_t runs_of(const PixelBlock *b, Py_ssize_t first, Py_ssize_t count, Py_ssize_t image_stride,
                               Py_ssize_t row_stride, Py_ssize_t col_stride, fc_run *runs) noexcept nogil:
    """Pixels first .. first + count - 1 of a block as runs within rows; src by the given strides. Runs that follow each
    other in memory become one. Returns how many there are, at most count."""
    cdef Py_ssize_t n = 0, done = 0, row = first // b.cols, col = first % b.cols, length, src
    while done < count:
        length = min(b.cols - col, count - done)
        src = row // b.rows * image_stride + row % b.rows * row_stride + col * col_stride
        if n and col_stride == 1 and runs[n - 1].src + runs[n - 1].length == src:
            runs[n - 1].length += length
        else:
            runs[n].src, runs[n].dst, runs[n].length = src, done, length
            n += 1
        done += length
        row += 1
        col = 0
    return n
