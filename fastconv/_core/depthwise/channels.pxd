"""Pieces of outputs with channels in the vector lanes: see channels.pyx."""
from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.problem.convolution cimport Window
from fastconv._core.problem.problem cimport Problem, part
from fastconv._core.runtime.kernels cimport FC_OUTSIDE, FC_SLIDING_ROWS, fc_pixel_block, fc_slide

# Outputs first, first + step, ... of a row or column of outputs, and where their part of the table of offsets begins.
cdef struct Piece:
    Py_ssize_t first, count, table


# One direction: what is cut into pieces, and where each position of a piece lies in the image.
cdef struct PieceAxis:
    Py_ssize_t taps, outputs
    Py_ssize_t most            # outputs of a piece
    Py_ssize_t step            # from one output of a piece to the next
    Py_ssize_t stride          # positions from one output to the next: output i meets tap t at i * stride + t
    Py_ssize_t image_stride    # that of the window
    Py_ssize_t pieces, longest, positions   # how many; positions of the longest, of all
    Piece *piece
    Py_ssize_t *offsets        # of each position of each piece, in elements, or FC_OUTSIDE


# What a convolution with channels in the lanes adds to its problem: pieces, the band, their tables.
cdef struct ChannelLayout:
    int lanes
    Py_ssize_t size            # of an element in bytes
    Py_ssize_t filters, taps   # filters of all groups
    Py_ssize_t pixels          # that lie in one vector, side by side in x and y: several where there are few channels
    Py_ssize_t shift           # where the second vector of channels begins
    Py_ssize_t blocks          # vectors of channels; the last may overlap the one before, and the first the second
    Py_ssize_t shares          # of blocks: units of work of their own
    PieceAxis rows, columns
    int strides                # index of the kernels that slide, -1 where they do not serve this filter
    bint planes                # channels do not lie side by side: planes.pyx transposes, each block by itself
    bint in_place              # the kernels read pixels where they are: no band
    Py_ssize_t pitch, tap      # elements from one row, and one column, of the band to the next
    Py_ssize_t band_size
    Py_ssize_t *band_columns   # where the band's columns are in a row, as a table
    Py_ssize_t ahead           # from a row of x to what is read one piece later, where that is worth a prefetch


# Outputs of a piece for one vector of filters: rows x width vectors, of which `lanes` lanes count, y_row and y_col
# apart in y, or in grad_output.
cdef struct PieceOutputs:
    Py_ssize_t rows, width, y_row, y_col
    int lanes
    const Py_ssize_t *row_offsets    # of the positions that they meet, where these are read in place
    const Py_ssize_t *columns


# Where a unit of work lies: a piece of rows and one of columns of an image, for some vectors of filters.
cdef struct PieceUnit:
    const Piece *rows
    const Piece *columns
    Py_ssize_t image, share


cdef inline PieceUnit unit_at(const ChannelLayout *l, Py_ssize_t index, Py_ssize_t shares) noexcept nogil:
    """Of (image, share, piece of columns, piece of rows), rows fastest."""
    cdef PieceUnit unit
    cdef Py_ssize_t rest = index // (l.rows.pieces * l.columns.pieces)
    unit.rows = l.rows.piece + index % l.rows.pieces
    unit.columns = l.columns.piece + index // l.rows.pieces % l.columns.pieces
    unit.share, unit.image = rest % shares, rest // shares
    return unit


cdef inline PieceOutputs outputs_of(const Problem *p, const ChannelLayout *l, const PieceUnit *unit) noexcept nogil:
    """All of a piece, as they lie in y."""
    cdef PieceOutputs outputs
    outputs.rows, outputs.width = unit.rows.count, unit.columns.count // l.pixels    # whole vectors
    outputs.y_row, outputs.y_col = l.rows.step * p.yh, l.columns.step * p.yw * l.pixels
    outputs.lanes = <int>min(l.lanes, l.filters * l.pixels)
    outputs.row_offsets, outputs.columns = l.rows.offsets + unit.rows.table, l.columns.offsets + unit.columns.table
    return outputs


cdef inline Py_ssize_t first_channel(const ChannelLayout *l, Py_ssize_t block) noexcept nogil:
    """The first channel of a vector. Only the first and the last two vectors overlap, those of planes do not."""
    if l.planes:
        return block * l.lanes
    return min(l.shift + (block - 1) * l.lanes, max(0, l.filters - l.lanes)) if block else 0


cdef inline Py_ssize_t first_block(const ChannelLayout *l, Py_ssize_t share) noexcept nogil:
    """Of a share. Vectors that overlap belong to one share."""
    return l.blocks if share == l.shares else part(l.blocks - 1, l.shares, share)


cdef inline fc_slide slide_of(const ChannelLayout *l, const PieceOutputs *outputs) noexcept nogil:
    """How a row of outputs is computed in place; what stands for padding is left to the caller."""
    cdef fc_slide how
    how.columns = outputs.columns if l.in_place else l.band_columns
    how.channels, how.width, how.y_row, how.y_col = outputs.lanes, outputs.width, outputs.y_row, outputs.y_col
    how.ahead = l.ahead if l.in_place else 0
    how.least, how.most = -INFINITY, INFINITY
    return how


cdef inline fc_pixel_block band_block(const ChannelLayout *l, const PieceOutputs *outputs) noexcept nogil:
    """How outputs are computed from a band."""
    cdef fc_pixel_block block
    block.row, block.column = l.rows.stride * l.pitch, l.columns.stride * l.pixels * l.tap
    block.pitch, block.tap, block.r_taps, block.s_taps = l.pitch, l.tap, l.rows.taps, l.columns.taps
    block.y_row, block.y_col, block.rows, block.width = outputs.y_row, outputs.y_col, outputs.rows, outputs.width
    block.channels = outputs.lanes
    return block


cdef inline void find_rows(const ChannelLayout *l, const PieceOutputs *outputs, Py_ssize_t first, Py_ssize_t count,
                           const floating *source, const floating **rows) noexcept nogil:
    """Where the rows begin that `count` rows of outputs from `first` on meet, in place or in a band; NULL: padding."""
    cdef Py_ssize_t b, n = (count - 1) * l.rows.stride + l.rows.taps
    cdef const Py_ssize_t *offsets = outputs.row_offsets + first * l.rows.stride
    if l.in_place:
        for b in range(n):
            rows[b] = source + offsets[b] if offsets[b] != FC_OUTSIDE else NULL
    else:
        for b in range(n):
            rows[b] = source + (first * l.rows.stride + b) * l.pitch


cdef bint channels_in_lanes(const Problem *p, Window window, int lanes) noexcept
cdef void measure(const Problem *p, Py_ssize_t size, bint planes, ChannelLayout *l) noexcept nogil
cdef Py_ssize_t table_bytes(const ChannelLayout *l) noexcept nogil
cdef list lay_out(const Problem *p, ChannelLayout *l)
cdef void align(const Problem *p, ChannelLayout *l) noexcept nogil
cdef double work(const Problem *p) noexcept nogil
cdef void fill_band(const Problem *p, const ChannelLayout *l, const PieceUnit *unit, const floating *image,
                    Py_ssize_t k0, floating *band) noexcept nogil
cdef enum:
    MOST_ROWS = 2 * (FC_SLIDING_ROWS - 1) + 7   # of the image that so many rows of outputs meet: stride 2, 7 taps
