"""How a depthwise convolution is computed, by sizes and strides alone: what fills the vector lanes, blocks, tables.

Where y has its channels side by side (NHWC), lanes are channels, and the work is that of channels.pyx; short rows and
strides of planes (NCHW) are transposed for it by planes.pyx. Else lanes are columns: `measure_columns` cuts planes into
blocks, whose band (see band.pyx) fits L1.
"""

cimport numpy as cnp
from libc.string cimport memcpy

from fastconv._core.depthwise cimport channels, planes
from fastconv._core.depthwise.band cimport (
    ColumnLayout, edge_bytes, find_edges, lay_out, list_bytes, measure, table_bytes)
from fastconv._core.problem.convolution cimport Convolution, Window, record_of, window_of
from fastconv._core.problem.problem cimport Problem, ceildiv
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport FC_MAX_LANES
from fastconv._core.runtime.memory cimport Block, take

cnp.import_array()

cdef enum:
    TILE_ROWS = 7              # the tallest tile of the square filters' kernels
    TALL_ROWS = 4              # of the others
    BAND_BYTES = 8 << 10       # of the band: with what it is made from and goes to, it fits L1
    # The same for stride 2: 112 x 112 pixels under 3 x 3 take 1.2 ms with 4 rows, 1.4 with 7, 2.0 with 14.
    SPLIT_BAND_BYTES = 4 << 10
    BLOCK_COLUMNS = 512        # wider rows are cut


cdef void fill_key(Py_ssize_t *key, Convolution conv):
    """All that a layout depends on."""
    cdef Window window = conv.window
    memcpy(key, cnp.PyArray_DIMS(conv.x), 4 * sizeof(Py_ssize_t))
    memcpy(key + 4, cnp.PyArray_STRIDES(conv.x), 4 * sizeof(Py_ssize_t))
    memcpy(key + 8, cnp.PyArray_DIMS(conv.w), 4 * sizeof(Py_ssize_t))
    memcpy(key + 12, cnp.PyArray_STRIDES(conv.w), 4 * sizeof(Py_ssize_t))
    memcpy(key + 16, cnp.PyArray_DIMS(conv.y), 4 * sizeof(Py_ssize_t))
    memcpy(key + 20, cnp.PyArray_STRIDES(conv.y), 4 * sizeof(Py_ssize_t))
    key[24], key[25], key[26], key[27] = window.stride_h, window.stride_w, window.dilation_h, window.dilation_w
    key[28], key[29] = window.top, window.left
    key[30], key[31] = window.padding_mode, cnp.PyArray_ITEMSIZE(conv.x)


cdef class DepthwiseLayout:
    """What is worked out before a convolution. That takes longer than a small one, so it is kept for the next call."""


cdef DepthwiseLayout measured(Convolution conv):
    """The layout of a convolution whose result is not empty, without its tables."""
    cdef DepthwiseLayout layout = DepthwiseLayout.__new__(DepthwiseLayout)
    cdef const Problem *p = &conv.problem
    cdef int lanes = kernels.f32.vector if conv.single else kernels.f64.vector
    cdef bint transposed
    layout.size = sizeof(float) if conv.single else sizeof(double)
    transposed = planes.channels_pay(p, conv.window, layout.size, lanes)
    layout.channel_lanes = transposed or channels.channels_in_lanes(p, conv.window, lanes)
    if layout.channel_lanes:
        channels.measure(p, layout.size, transposed, &layout.channels)
    else:
        measure_columns(p, layout.size, &layout.columns)
    return layout


cdef void add_tables(DepthwiseLayout layout, const Problem *p):
    if layout.channel_lanes:
        layout.tables = channels.lay_out(p, &layout.channels)
    else:
        layout.tables = plan_columns(p, &layout.columns)


def planes_pay(problem):
    """Whether a ConvProblem's planes are transposed, so that lanes are channels."""
    cdef Problem p = record_of(problem)
    cdef bint single = problem.itemsize == sizeof(float)
    return planes.channels_pay(&p, window_of(problem), problem.itemsize,
                               kernels.f32.vector if single else kernels.f64.vector)


# ---------------------------------------------------------------------------------------------------------------------
# Lanes are columns


cdef void measure_columns(const Problem *p, Py_ssize_t size, ColumnLayout *l) noexcept nogil:
    """Sizes and blocks of a problem whose result is not empty."""
    cdef Py_ssize_t dilation_h = 1 if p.r == 1 else p.dilation_h, dilation_w = 1 if p.s == 1 else p.dilation_w
    cdef Py_ssize_t block_columns, block_rows, tile
    cdef bint square = p.r == p.s and p.s in (3, 5, 7) and dilation_h == 1 and dilation_w == 1
    l.size, l.lanes = size, kernels.f32.vector if size == sizeof(float) else kernels.f64.vector
    l.taps = p.r * p.s
    l.tall = p.r >= 4 and p.stride_h == 1 and dilation_h == 1 and not (square and p.stride_w == 1)

    block_columns = ceildiv(p.ow, ceildiv(p.ow, BLOCK_COLUMNS))
    measure(&l.columns, p.ow, block_columns, p.s, p.stride_w, dilation_w, l.lanes)
    l.pitch = l.columns.length
    block_rows = BAND_BYTES if p.stride_h == 1 else SPLIT_BAND_BYTES
    block_rows = max(TALL_ROWS, block_rows // (l.pitch * size * min(p.stride_h, p.r)))
    tile = TALL_ROWS if block_rows < TILE_ROWS or l.tall else TILE_ROWS
    block_rows = min(p.oh, block_rows // tile * tile)
    measure(&l.rows, p.oh, block_rows, p.r, p.stride_h, dilation_h, 0)
    l.ahead = block_rows * p.xh if l.rows.blocks > 1 else 1 if p.groups == 1 and p.k == 1 else p.xc

    l.kernel_stride = l.kernel_size = 0
    if square and (p.stride_h == p.stride_w == 1
                   or (p.stride_h == p.stride_w == 2 and l.columns.segments == 2 and l.rows.segments == 2)):
        l.kernel_stride, l.kernel_size = <int>p.stride_h - 1, <int>p.s // 2
    l.in_place = p.yw == 1 or p.ow == 1
    l.band_size = ceildiv(l.rows.length * l.pitch, 16) * 16 + FC_MAX_LANES   # a row's last vector may run over
    l.tile_size = ceildiv(block_rows * block_columns, 16) * 16


cdef Py_ssize_t most_bytes(const ColumnLayout *l, Py_ssize_t others) noexcept nogil:
    """What plan_columns and then a call that takes `others` take at a time."""
    cdef Py_ssize_t columns = table_bytes(&l.columns), rows = table_bytes(&l.rows)
    return max(columns + rows + edge_bytes(&l.columns) + l.taps * <Py_ssize_t>sizeof(Py_ssize_t) + others,
               max(columns + list_bytes(&l.columns), columns + rows + list_bytes(&l.rows)))


cdef list plan_columns(const Problem *p, ColumnLayout *l):
    """The tables of what is measured. Returns their memory."""
    cdef Py_ssize_t r, s
    cdef list tables = [lay_out(&l.columns, p.left, p.w, 1 if p.w == 1 else p.xw, p.padding, 1),
                        lay_out(&l.rows, p.top, p.h, p.xh, p.padding, l.pitch), find_edges(p, l)]
    cdef Block taps = take(l.taps * sizeof(Py_ssize_t))
    tables.append(taps)
    l.tap_offsets = <Py_ssize_t *>taps.data
    for r in range(p.r):
        for s in range(p.s):
            l.tap_offsets[r * p.s + s] = l.rows.at[r] * l.pitch + l.columns.at[s]
    return tables


cdef int column_team(const Problem *p) noexcept:
    """Threads for a pass, from its ns on one: what an output costs in memory traffic, plus its taps."""
    return threads.team(p.n * p.groups * p.k * p.oh * p.ow * (0.15 + 0.03 * (p.r * p.s)))
