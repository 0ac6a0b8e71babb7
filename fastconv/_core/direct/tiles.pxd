"""The tiles of a block, and the taps that they meet: see tiles.pyx."""
from fastconv._core.problem.blocks cimport Blocking, PixelBlock
from fastconv._core.problem.problem cimport Problem

# How blocks are cut into tiles, which is the same for all of a call.
cdef struct Tiling:
    int mr                         # outputs of a tile, at most,
    int least                      # and as many as take the time of fewer
    bint low                       # tiles are so low that a kernel has a pointer for each of its outputs
    bint one_row                   # 1 x 1: the outputs of a block are one long row
    bint in_planes                 # what counts as a tap is a row of them, of one channel
    Py_ssize_t n_taps
    bint by_rows, by_columns       # whether blocks are cut where others begin to meet the image
    Py_ssize_t image_step          # from one image to the next, where tiles are read


# Outputs of a block that meet the same taps, in rows and columns: taps from `top` on until `bottom`, which is one
# behind the last, and from `left` until `right`.
cdef struct Rectangle:
    Py_ssize_t row, rows, col, cols
    Py_ssize_t top, bottom, left, right

# What a tile of a rectangle takes: neighbours in a row, in a column, the same pixel of several images, or any, row by
# row.
cdef enum Along:
    COLUMNS, ROWS, IMAGES, JOINED

# How the outputs of a rectangle are shared out to tiles: lines of so many.
cdef struct Lines:
    Along along
    Py_ssize_t count, length

# Of all tiles of a block: their number; the taps that they meet, of tiles and of pixels; and the time that they take,
# in products of one pixel by one tap.
cdef struct TileSum:
    Py_ssize_t tiles, tile_taps, pixel_taps, time


cdef Rectangle before_all(const PixelBlock *block) noexcept nogil
cdef bint next_rectangle(const Tiling *tiling, const Problem *p, const PixelBlock *block,
                         Rectangle *rectangle) noexcept nogil
cdef Lines lines_of(const Tiling *tiling, const PixelBlock *block, const Rectangle *rectangle,
                    bint joinable) noexcept nogil
cdef TileSum sum_tiles(const Tiling *tiling, const Problem *p, const PixelBlock *block) noexcept nogil
cdef Py_ssize_t list_taps(const Tiling *tiling, const Problem *p, const Rectangle *rectangle, const Py_ssize_t *taps,
                          Py_ssize_t *at, Py_ssize_t *numbers) noexcept nogil
cdef void choose_rectangles(Tiling *tiling, const Problem *p, const Blocking *blocking) noexcept nogil


cdef inline bint inside_rows(const Problem *p) noexcept nogil:
    """Whether no row of taps meets padding."""
    return p.top <= 0 and (p.oh - 1) * p.stride_h + (p.r - 1) * p.dilation_h - p.top < p.h


cdef inline bint inside_columns(const Problem *p) noexcept nogil:
    """Whether no column of taps meets padding."""
    return p.left <= 0 and (p.ow - 1) * p.stride_w + (p.s - 1) * p.dilation_w - p.left < p.w
