"""How the output pixels of a convolution are cut into blocks."""
from fastconv._core.problem.problem cimport Problem, ceildiv

# How the output pixels are cut into blocks: `images` images x `rows` rows x `cols` columns.
cdef struct Blocking:
    Py_ssize_t images, rows, cols
    Py_ssize_t row_blocks, col_blocks, count


# One of these blocks: where it begins, and its size.
cdef struct PixelBlock:
    Py_ssize_t n0, images, row0, rows, col0, cols, pixels


cdef inline Blocking block_pixels(const Problem *g, Py_ssize_t pixels) noexcept nogil:
    """Blocks of about so many pixels: whole images, else whole rows of one image, else pieces of rows."""
    cdef Blocking b
    b.col_blocks = ceildiv(g.ow, 2 * pixels) if g.ow > 2 * pixels else 1
    b.cols = ceildiv(g.ow, b.col_blocks)
    b.col_blocks = ceildiv(g.ow, b.cols)
    b.rows = min(g.oh, max(1, pixels // b.cols))
    b.row_blocks = ceildiv(g.oh, b.rows)
    b.rows = ceildiv(g.oh, b.row_blocks)
    b.row_blocks = ceildiv(g.oh, b.rows)
    b.images = 1
    if b.row_blocks == 1 and b.col_blocks == 1:
        b.images = min(g.n, max(1, pixels // (g.oh * g.ow)))
        b.images = ceildiv(g.n, ceildiv(g.n, b.images))
    b.count = ceildiv(g.n, b.images) * b.row_blocks * b.col_blocks
    return b


cdef inline PixelBlock block_at(const Problem *g, const Blocking *b, Py_ssize_t index) noexcept nogil:
    cdef PixelBlock block
    block.col0 = index % b.col_blocks * b.cols
    block.row0 = index // b.col_blocks % b.row_blocks * b.rows
    block.n0 = index // b.col_blocks // b.row_blocks * b.images
    block.images = min(b.images, g.n - block.n0)
    block.rows = min(b.rows, g.oh - block.row0)
    block.cols = min(b.cols, g.ow - block.col0)
    block.pixels = block.images * block.rows * block.cols
    return block
