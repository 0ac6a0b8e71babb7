"""How the data gradient of all phases cuts a convolution into blocks and strips, and where everything lies.

A strip is one row of grad_x in steps of the stride, or, where rows are shorter than tiles, so many that tiles go on
from row to row: over the columns of X between them, and what is computed there is stored nowhere. Where X is small its
rows are copied once for each column that a tap may begin at; between these rows there is nothing, and no tile computes
what nobody wants.
"""

from fastconv._core.problem.blocks cimport block_pixels
from fastconv._core.problem.lanes cimport lane_positions, position_count
from fastconv._core.problem.problem cimport rounded
from fastconv._core.runtime.isa cimport tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_NV

cdef enum:
    PIXELS = 1024                # of grad_output, of a block
    INPUT_BYTES = 4 << 20        # of X at most
    COPIES_BYTES = 512 << 10     # of X with copies of its rows: it stays in L2
    FILTERS_BYTES = 512 << 10    # B of all panels up to this size stays in L2 from block to block
    OUTPUT_BYTES = 512 << 10     # of grad_x, of a block, where a pixel's channels follow each other
    STRIP_BYTES = 64 << 10       # of Y of a strip of several rows


cdef Problem in_steps(const Problem *g, const PhasedLayout *l) noexcept nogil:
    """Rows and columns of grad_x counted in steps of the stride, to be cut into blocks."""
    cdef Problem steps = g[0]
    steps.oh, steps.ow = l.rows.most, l.columns.most
    return steps


cdef PhasedAxis phased(Py_ssize_t size, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t before,
                       AxisPhase *phases) noexcept nogil:
    """As phases in geometry.py; room is for as many as there are taps."""
    cdef PhasedAxis axis
    cdef AxisPhase phase
    cdef Py_ssize_t common = stride, rest = dilation, i, behind, reach = 0
    while rest:
        common, rest = rest, common % rest
    axis.stride, axis.tap_step, axis.dilation = stride, stride // common, dilation // common
    axis.count, axis.most, axis.before, axis.halo, axis.phases = 0, ceildiv(size, stride), 0, 0, phases
    for phase.tap in range(min(axis.tap_step, taps)):
        phase.first = ((phase.tap * dilation - before) % stride + stride) % stride
        if phase.first < size:
            phase.taps = ceildiv(taps - phase.tap, axis.tap_step)
            phase.outputs = ceildiv(size - phase.first, stride)
            phase.at = (phase.first + before - phase.tap * dilation) // stride - (phase.taps - 1) * axis.dilation
            phases[axis.count] = phase
            axis.count += 1
    for i in range(axis.count):
        axis.before = -phases[i].at if i == 0 else max(axis.before, -phases[i].at)
    for i in range(axis.count):
        phases[i].at += axis.before
        behind = phases[i].at + (phases[i].taps - 1) * axis.dilation
        axis.halo = max(axis.halo, behind)
        reach = max(reach, behind - (axis.most - phases[i].outputs))
    axis.length = axis.most + reach
    return axis


cdef PhasedLayout lay_out(const Problem *g, Window window, int team, AxisPhase *phases, Py_ssize_t size) noexcept:
    """Blocks, and the sizes of all arrays. phases: room for those of rows and columns."""
    cdef PhasedLayout l
    cdef Problem steps
    cdef Py_ssize_t row_bytes, rows, i, j
    l.rows = phased(g.oh, g.r, window.stride_h, g.dilation_h, g.top, phases)
    l.columns = phased(g.ow, g.s, window.stride_w, g.dilation_w, g.left, phases + g.r)
    if size == sizeof(float):
        l.lanes, l.mr = vector_length(<float *>NULL), tile_rows(<float *>NULL)
    else:
        l.lanes, l.mr = vector_length(<double *>NULL), tile_rows(<double *>NULL)
    l.width, l.vectors = l.lanes * (1 if g.k <= l.lanes else FC_MAX_NV), ceildiv(g.c, l.lanes)
    l.panels = ceildiv(g.k, l.width)
    l.halo, l.taps = l.rows.halo, 0
    for i in range(l.rows.count):
        for j in range(l.columns.count):
            l.taps += l.rows.phases[i].taps * l.columns.phases[j].taps
    steps = in_steps(g, &l)
    row_bytes = l.columns.length * l.vectors * l.lanes * size
    rows = max(1, INPUT_BYTES // row_bytes - l.halo)
    l.b_size = rounded((g.c * l.taps + l.lanes) * l.width)
    l.beforehand = g.groups * l.panels * l.b_size * size <= FILTERS_BYTES
    if g.yk == 1 and l.beforehand:    # panels write parts of pixels, the rest of which should still be in L2
        rows = max(1, min(rows, OUTPUT_BYTES // (l.rows.stride * g.ow * g.groups * g.k * size)))
    l.blocking = block_pixels(&steps, max(l.columns.most, min(PIXELS, rows * l.columns.most)))
    l.band_rows = l.blocking.rows + l.halo
    lay_out_strips(&l, size)
    l.image_pitch = l.copies * l.band_rows * l.pitch * l.lanes
    if l.image_pitch % 32 == 0:    # lines of images spread over the sets of L1
        l.image_pitch += 16
    l.vector_pitch = l.blocking.images * l.image_pitch + 2 * l.lanes
    l.covers = l.rows.count == min(l.rows.stride, g.oh) and l.columns.count == min(l.columns.stride, g.ow)
    l.stored = g.yk == 1 and l.strip == 1
    l.pieces = 1 if g.groups > 1 or l.panels % team == 0 or l.panels >= 2 * team else team
    l.beforehand = l.beforehand and l.blocking.count > 1
    l.at_size = rounded(max(g.r * g.s, l.lanes) * <Py_ssize_t>sizeof(Py_ssize_t) // size)
    l.y_pitch = l.pitch * l.columns.stride if l.strip > 1 else g.ow
    l.ordered_size = rounded(l.rows.stride * l.strip * g.ow * l.width) if l.strip > 1 and g.yk != 1 else 0
    l.y_size = rounded(l.rows.stride * l.strip * l.y_pitch * l.width) + l.ordered_size
    l.x_size = rounded(l.vectors * l.vector_pitch)
    l.bias_at = l.y_size
    l.at_at = l.bias_at + rounded(l.width)
    l.x_at = l.at_at + l.at_size
    l.b_at = l.x_at + (l.x_size if g.groups > 1 else 0)
    l.thread_size = l.b_at + (0 if l.beforehand else l.b_size)
    l.filters_at = 0 if g.groups > 1 else l.x_size
    l.shared_size = l.filters_at + (g.groups * l.panels * l.b_size if l.beforehand else 0)
    l.table_size = 4 * g.r * g.s + (0 if g.xc == 1 else position_count(g, l.band_rows, l.pitch))
    return l


cdef void lay_out_strips(PhasedLayout *l, Py_ssize_t size) noexcept:
    """Strips of several rows where that makes tiles fewer by far, and how the rows of X lie for them."""
    cdef Py_ssize_t most = l.columns.most, rows = l.blocking.rows, tiles = rows * ceildiv(most, l.mr), of_copies
    l.strip, l.copies, l.pitch, l.column_step = 1, 1, l.columns.length, 1
    if most >= l.mr:
        return
    of_copies = (l.columns.halo + 1) * most
    if (l.blocking.images * l.band_rows * of_copies * l.vectors * l.lanes * size <= COPIES_BYTES
            and 4 * ceildiv(rows * most, l.mr) <= 3 * tiles):
        l.copies, l.pitch, l.column_step = l.columns.halo + 1, most, l.band_rows * most
    elif 4 * ceildiv(rows * l.pitch, l.mr) > 3 * tiles:
        return
    l.strip = max(1, min(rows, STRIP_BYTES // (l.rows.stride * l.pitch * l.columns.stride * l.width * size)))


cdef void leave_out_filters(PhasedLayout *l) noexcept:
    """Filters that were prepared need no room."""
    if l.beforehand:
        l.shared_size = l.filters_at
    else:
        l.thread_size -= l.b_size
    l.beforehand = False


cdef void fill_tables(PhasedCall *call, Py_ssize_t *tables) noexcept nogil:
    cdef const PhasedLayout *l = call.l
    cdef const Problem *g = call.g
    cdef Py_ssize_t taps = g.r * g.s, i, j, r, s, t, before = 0
    cdef const AxisPhase *down
    cdef const AxisPhase *across
    cdef Py_ssize_t *place
    cdef LaneBand band
    call.places, call.offsets, call.positions = tables, tables + 3 * taps, tables + 4 * taps
    for t in range(taps):
        call.places[3 * t] = -1
    for i in range(l.rows.count):
        for j in range(l.columns.count):
            down, across = &l.rows.phases[i], &l.columns.phases[j]
            for r in range(down.taps):
                for s in range(across.taps):
                    t = r * across.taps + s
                    place = call.places + 3 * ((down.tap + r * l.rows.tap_step) * g.s + across.tap
                                               + s * l.columns.tap_step)
                    place[0], place[1], place[2] = before, t, down.taps * across.taps
                    call.offsets[before + t] = ((down.taps - 1 - r) * l.rows.dilation * l.pitch
                                                + (across.taps - 1 - s) * l.columns.dilation * l.column_step) * l.lanes
            before += down.taps * across.taps
    if g.xc != 1:
        band = copy_of_rows(g, l, 0)
        lane_positions(g, &band, l.band_rows, call.positions)
