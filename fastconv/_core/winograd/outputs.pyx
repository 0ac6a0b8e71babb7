"""The products of Winograd's algorithm transformed back: M[point][tile][vectors of a panel] to y, for forward.pyx.

    for strip, vector of output channels: M -> transform, + bias (+ y), activation -> y

For NHWC it goes there from registers, for NCHW, or to be added to y, by way of 4 rows of one vector (L1). A transform
spreads a value that is not finite over its tile: rows of tiles that have one are marked, to be computed again.
"""

from cython cimport floating

from fastconv._core.problem.lanes cimport add_lanes, store_lanes
from fastconv._core.problem.problem cimport Problem, activate, activation_of, ceildiv
from fastconv._core.problem.sums cimport add_pixels
from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport fc_winograd_steps
from fastconv._core.runtime.threads cimport mark_byte
from fastconv._core.winograd.layout cimport WinogradBlock, WinogradLayout, filters_of


cdef inline int output_tiles(int scheme, const fc_winograd_steps *steps, const floating *m, const floating *bias,
                             floating *y, Py_ssize_t rows, Py_ssize_t cols) noexcept nogil:
    if floating is float:
        return kernels.f32.winograd[scheme].outputs(steps, m, bias, y, rows, cols)
    else:
        return kernels.f64.winograd[scheme].outputs(steps, m, bias, y, rows, cols)


cdef void place_bias(const WinogradLayout *l, const Problem *g, floating *bias) noexcept nogil:
    """The bias of all panels, with zeros behind that of a group's last filter."""
    cdef Py_ssize_t group, i
    for group in range(l.groups):
        for i in range(l.panels * l.width):
            bias[group * l.panels * l.width + i] = (
                (<const floating *>g.bias)[group * l.filters + i] if i < filters_of(l, g, group) else 0)


cdef void transform_outputs(const WinogradLayout *l, const Problem *g, const WinogradBlock *block, Py_ssize_t panel,
                            floating *scratch) noexcept nogil:
    """M of a block and one panel of its group, in the scratch, to y."""
    cdef Py_ssize_t strips = block.last - block.first, first = panel * l.width
    cdef Py_ssize_t filters = min(l.width, filters_of(l, g, block.group) - first), vectors = ceildiv(filters, l.lanes)
    cdef Py_ssize_t i, k, strip, row, n, col, rows, cols
    cdef int channels
    cdef bint in_place
    cdef fc_winograd_steps steps
    cdef const floating *m = scratch + l.m_at
    cdef const floating *bias = NULL
    cdef floating *y = <floating *>g.y + (block.group * l.filters + first) * g.yk
    cdef floating *out
    cdef floating *place
    if l.bias != NULL:
        bias = <const floating *>l.bias + (block.group * l.panels + panel) * l.width
    steps.m_point, steps.m_tile, steps.activation = l.m_point, l.width, activation_of(g, not g.accumulate)
    for i in range(strips * vectors):
        if g.yk == 1:    # strip by strip, or plane by plane
            strip, k = block.first + i // vectors, i % vectors * l.lanes
        else:
            strip, k = block.first + i % strips, i // strips * l.lanes
        n = strip // l.tile_rows
        row = strip % l.tile_rows * l.tile_high
        col = n % l.col_blocks * l.tiles * l.tile_wide
        n = n // l.col_blocks
        rows, cols = min(l.tile_high, g.oh - row), min(l.tile_wide * l.tiles, g.ow - col)
        if cols <= 0:
            continue
        place = y + n * g.yn + k * g.yk + row * g.yh + col * g.yw
        channels = <int>min(l.lanes, filters - k)
        in_place = g.yk == 1 and channels == l.lanes and not g.accumulate
        if in_place:
            out, steps.y_row, steps.y_col = place, g.yh, g.yw
        else:
            out, steps.y_row, steps.y_col = scratch + l.strip_at, cols * l.lanes, l.lanes
        if not output_tiles(l.scheme, &steps, m + (strip - block.first) * l.tiles * l.width + k,
                            bias + k if bias != NULL else bias, out, rows, cols):
            mark_byte(&l.again[n * l.tile_rows + strip % l.tile_rows])
        if g.accumulate and g.yk == 1:
            add_pixels(g, rows, cols, channels, <const floating *>out, l.lanes, place)
            continue
        if g.accumulate:
            add_lanes(g, place, channels, rows, cols, out, l.lanes)
            if g.activation:
                activate(g.activation, out, rows * cols * l.lanes, g.slope)
        if not in_place:
            store_lanes(g, place, channels, rows, cols, out, l.lanes)
