"""The tiles of a block, and the taps that they meet.

A tap that meets nothing but zeros around the image adds nothing, so it is left out. Outputs that meet the same taps
form a rectangle, and a block is cut into these, by rows and columns or by rows alone, whichever takes less time: at the
border they may be one pixel wide, and tiles of few pixels wait for their sums. In a rectangle tiles take neighbours in
a row; or in a column, or the same pixel of several images, where these are fewer tiles.

Of 5 x 5 pixels under 3 x 3 filters with padding a quarter is left out that way, of 13 x 13 with dilation 12 six
sevenths.

Source: the ranges of taps in the direct convolution of oneDNN, and of ONNX Runtime's NCHWc kernels.
"""

from fastconv._core.problem.blocks cimport Blocking, PixelBlock, block_at
from fastconv._core.problem.met cimport Met, inside_columns, inside_rows, met
from fastconv._core.problem.problem cimport Problem, ceildiv

cdef enum:
    NEAR_ELEMENTS = 256    # images a multiple of this apart share sets of L1
    SAVED = 2              # times as many tiles of pixels that are worth while to take tiles of images instead

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

# Of all tiles of blocks: their outputs, and their number; the taps that they meet, of tiles and of pixels; and the time
# that they take, in products of one pixel by one tap.
cdef struct TileSum:
    Py_ssize_t outputs, tiles, tile_taps, pixel_taps, time


cdef inline Rectangle before_all(const PixelBlock *block) noexcept nogil:
    """What `next_rectangle` begins with."""
    cdef Rectangle r
    r.row, r.rows, r.col, r.cols = 0, 0, 0, block.cols
    r.top, r.bottom, r.left, r.right = 0, 0, 0, 0
    return r


cdef inline bint next_rectangle(const Tiling *tiling, const Problem *p, const PixelBlock *block,
                                Rectangle *r) noexcept nogil:
    """The one that follows r, or False."""
    cdef Met m
    r.col += r.cols
    if r.col == block.cols:
        r.col, r.row = 0, r.row + r.rows
        if r.row == block.rows:
            return False
        r.rows, r.top, r.bottom = block.rows, 0, p.r
        if tiling.by_rows:
            m = met(p.h, p.top, p.stride_h, p.dilation_h, p.r, block.row0 + r.row)
            r.rows, r.top, r.bottom = min(block.rows, m.end - block.row0) - r.row, m.first, m.until
    r.cols, r.left, r.right = block.cols, 0, p.s
    if tiling.by_columns:
        m = met(p.w, p.left, p.stride_w, p.dilation_w, p.s, block.col0 + r.col)
        r.cols, r.left, r.right = min(block.cols, m.end - block.col0) - r.col, m.first, m.until
    return True


cdef inline Py_ssize_t list_taps(const Tiling *tiling, const Problem *p, const Rectangle *r, const Py_ssize_t *taps,
                                 Py_ssize_t *at, Py_ssize_t *numbers) noexcept nogil:
    """Of the taps that a rectangle meets where they lie, and their numbers; and how many there are. What counts as one
    tap in planes is a row of one channel, and a row of taps where pixels lie close."""
    cdef Py_ssize_t planes = 1, a_row = tiling.n_taps // p.r, left, right, count = 0, plane, i, j, number
    if tiling.in_planes:
        planes, a_row = a_row, 1
    left, right = r.left, r.right
    if a_row != p.s:
        left, right = 0, a_row
    for plane in range(planes):
        for i in range(r.top, r.bottom):
            for j in range(left, right):
                number = (plane * p.r + i) * a_row + j
                at[count], numbers[count] = taps[number], number
                count += 1
    return count


cdef inline Py_ssize_t time_of(const Tiling *tiling, Py_ssize_t length) noexcept nogil:
    """Of tiles of so many outputs in all, in outputs: small ones wait for their sums."""
    return max(length, ceildiv(length, tiling.mr) * tiling.least)


cdef inline Lines lines_of(const Tiling *tiling, const PixelBlock *block, const Rectangle *r,
                           bint joinable) noexcept nogil:
    """How a rectangle's outputs are shared out; `joinable`: rows of outputs follow each other where they are stored."""
    cdef Py_ssize_t n = block.images, pixels = r.rows * r.cols
    cdef Lines lines
    lines.along, lines.count, lines.length = COLUMNS, n * r.rows, r.cols
    if tiling.one_row:
        lines.count, lines.length = 1, block.pixels
        return lines
    if tiling.low and joinable and r.cols == block.cols:
        if r.rows == block.rows:
            n, pixels = 1, block.pixels
        if n * ceildiv(pixels, tiling.mr) < lines.count * ceildiv(r.cols, tiling.mr):
            lines.along, lines.count, lines.length = JOINED, n, pixels
            return lines
    n = block.images
    if (tiling.image_step % NEAR_ELEMENTS != 0
            and n * ceildiv(r.cols, tiling.mr) > SAVED * r.cols * ceildiv(n, tiling.mr)):
        lines.along, lines.count, lines.length = IMAGES, r.rows * r.cols, n
    elif tiling.by_columns and 4 * r.cols * time_of(tiling, r.rows) < 3 * r.rows * time_of(tiling, r.cols):
        lines.along, lines.count, lines.length = ROWS, n * r.cols, r.rows
    return lines


cdef inline TileSum no_tiles() noexcept nogil:
    cdef TileSum total
    total.outputs, total.tiles, total.tile_taps, total.pixel_taps, total.time = 0, 0, 0, 0, 0
    return total


cdef inline void add_tiles(const Tiling *tiling, const Problem *p, const PixelBlock *block,
                           TileSum *total) noexcept nogil:
    """Of one block, to those before."""
    cdef Rectangle r = before_all(block)
    cdef Lines lines
    cdef Py_ssize_t taps, tiles
    total.outputs += block.pixels
    while next_rectangle(tiling, p, block, &r):
        lines = lines_of(tiling, block, &r, True)
        taps = (r.bottom - r.top) * (r.right - r.left)
        tiles = lines.count * ceildiv(lines.length, tiling.mr)
        total.tiles += tiles
        total.tile_taps += tiles * taps
        total.pixel_taps += block.images * r.rows * r.cols * taps
        total.time += lines.count * time_of(tiling, lines.length) * taps


cdef inline TileSum sum_tiles(const Tiling *tiling, const Problem *p, const PixelBlock *block) noexcept nogil:
    cdef TileSum total = no_tiles()
    add_tiles(tiling, p, block, &total)
    return total


cdef inline void choose_rectangles(Tiling *tiling, const Problem *p, const Blocking *blocking) noexcept nogil:
    """By rows where some taps meet zeros only; by columns too where this saves a tenth."""
    cdef PixelBlock block
    cdef Py_ssize_t time
    tiling.by_rows = tiling.by_columns = False
    if p.padding != 0 or p.value != 0 or p.own != p.c:
        return
    block = block_at(p, blocking, 0)
    tiling.by_rows = not inside_rows(p)
    if tiling.in_planes or tiling.n_taps != p.r * p.s or inside_columns(p):
        return
    time = sum_tiles(tiling, p, &block).time
    tiling.by_columns = True
    if 10 * sum_tiles(tiling, p, &block).time > 9 * time:
        tiling.by_columns = False
