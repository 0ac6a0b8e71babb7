"""The data gradient with a stride, channels of grad_x in the lanes: all phases in one call. problem/geometry.py has the
derivation.

Each phase is a sum over other taps of the same pixels of grad_output. So these are packed once for all phases,
and so is a filter, whose taps lie together in memory; and the tiles of a phase go where its pixels lie between
those of the others, so that whole rows of grad_x are stored. Rows and columns are counted in steps of the stride:
row m stands for the rows of grad_x that begin at m times the stride, one of each phase.

    for block of rows (of several images where these are small):
        parallel for vector of filters (NHWC: image): bands of grad_output -> X[vector][image][row][column] (L2, L3)
        parallel for panel of 2 vectors of channels, and part of the strips:
            weights -> B[phase][vector of filters][tap][filter][2 vectors] (L2), unless they were packed before
            for strip: for phase: for tile of pixels: micro-kernel over all filters and taps
                -> Y[row of grad_x][column][2 vectors] (L1) -> grad_x (NHWC: straight there)

Where there are groups, a block of one of them is computed by one thread alone, and all groups of a block follow each
other: in NHWC they share its lines.

How it is cut stands in phased_layout.pyx, B in phased_filters.pyx, X and Y in phased_strips.pyx.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from fastconv._core.problem.finish import lay_ground

cimport numpy as cnp
from cython cimport floating

from fastconv._core.direct.phased_filters cimport pack_phases
from fastconv._core.direct.phased_layout cimport (
    AxisPhase, PhasedCall, PhasedLayout, fill_tables, in_steps, lay_out, leave_out_filters,
)
from fastconv._core.direct.phased_strips cimport fill_input, strips_of_panel
from fastconv._core.problem.blocks cimport block_at
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, WHEN_READY, in_parallel

cnp.import_array()


# What the units of a call share: the problem of all groups, whose sizes are those of one; that of the first, and its
# layout, which is that of each; the threads; B of all panels of all groups, or NULL.
cdef struct Groups:
    Problem whole, first
    PhasedLayout l
    PhasedCall call    # of the first: others have another g, another b
    int team
    void *b


cdef Problem of_group(const Problem *whole, Py_ssize_t group, const floating *unused) noexcept nogil:
    """That of one group, from that of all."""
    cdef Problem g = whole[0]
    g.x = <const floating *>g.x + group * g.c * g.xc
    g.weights = <const floating *>g.weights + group * g.c * g.wc
    g.y = <floating *>g.y + group * g.k * g.yk
    if g.bias != NULL:
        g.bias = <const floating *>g.bias + group * g.k
    if g.c == 1:
        g.xc = 0    # there is no second one
    return g


cdef void pack_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """B of one panel, counted over all groups, among that of all."""
    cdef const Groups *groups = <const Groups *>data
    cdef const PhasedLayout *l = &groups.l
    cdef PhasedCall call = groups.call
    cdef Problem g = of_group(&groups.whole, index // l.panels, scratch)
    call.g = &g
    pack_phases(&call, index % l.panels, <Py_ssize_t *>(scratch + l.at_at), <floating *>groups.b + index * l.b_size)


cdef void input_unit(const void *data, Py_ssize_t i, floating *unused) noexcept nogil:
    """X of one vector of filters, or of one image."""
    fill_input(<const PhasedCall *>data, i, unused)


cdef void panel_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """One panel, and a part of the strips of a block."""
    cdef const PhasedCall *call = <const PhasedCall *>data
    cdef const PhasedLayout *l = call.l
    cdef Py_ssize_t panel = unit // l.pieces
    cdef const floating *b = <const floating *>call.b + panel * l.b_size
    if call.b == NULL:
        pack_phases(call, panel, <Py_ssize_t *>(scratch + l.at_at), scratch + l.b_at)
        b = scratch + l.b_at
    strips_of_panel(call, panel, unit % l.pieces, b, scratch)


cdef void compute_block(PhasedCall *call, Py_ssize_t block, int team, floating *scratch) noexcept nogil:
    """One block of one group; there is room for its X."""
    cdef const PhasedLayout *l = call.l
    cdef Problem steps = in_steps(call.g, l)
    call.block = block_at(&steps, &l.blocking, block)
    in_parallel(input_unit[floating], call, call.block.images if call.g.xc == 1 else l.vectors, team, EVENLY, scratch,
                0)
    in_parallel(panel_unit[floating], call, l.panels * l.pieces, team, WHEN_READY, scratch, l.thread_size)


cdef void group_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """A block of one group, all of which follow each other."""
    cdef const Groups *groups = <const Groups *>data
    cdef const PhasedLayout *l = &groups.l
    cdef Py_ssize_t count = groups.whole.groups, group = index % count
    cdef PhasedCall call = groups.call
    cdef Problem g = of_group(&groups.whole, group, scratch)
    call.g, call.x = &g, scratch + l.x_at
    if groups.b != NULL:
        call.b = <floating *>groups.b + group * l.panels * l.b_size
    compute_block(&call, index // count, 1, scratch)


cdef void compute(Groups *groups, floating *shared, floating *scratch) noexcept nogil:
    cdef const PhasedLayout *l = &groups.l
    cdef PhasedCall call
    cdef Py_ssize_t i
    if l.beforehand:
        groups.b = shared + l.filters_at
        in_parallel(pack_unit[floating], groups, groups.whole.groups * l.panels, groups.team, EVENLY, scratch,
                    l.thread_size)
    if groups.whole.groups > 1:
        in_parallel(group_unit[floating], groups, l.blocking.count * groups.whole.groups, groups.team, WHEN_READY,
                    scratch, l.thread_size)
        return
    call = groups.call
    call.x, call.b = shared, groups.b
    for i in range(l.blocking.count):
        compute_block(&call, i, groups.team, scratch)


cdef Block room_for_phases(Convolution conv):
    return take((conv.problem.r + conv.problem.s) * sizeof(AxisPhase))


cdef Groups cut(Convolution conv, bint alone, Block phases):
    """How a call is cut, on one thread or on those that it would use now. phases: `room_for_phases`."""
    cdef Groups groups
    cdef Problem g = conv.problem    # a filter of its w has the channels of one group
    g.groups = cnp.PyArray_DIM(conv.y, 1) // g.k
    g.c //= g.groups
    cdef double work = 2.0 * g.n * g.groups * g.k * g.h * g.w * g.c * g.r * g.s / 100
    groups.whole, groups.first = g, of_group(&g, 0, <const float *>NULL)
    groups.team, groups.b = 1 if alone else threads.team(work), NULL
    groups.l = lay_out(&groups.first, conv.window, groups.team, <AxisPhase *>phases.data,
                       cnp.PyArray_ITEMSIZE(conv.w))
    return groups


cdef Block room_for_tables(const Groups *groups):
    return take(groups.l.table_size * sizeof(Py_ssize_t))


cdef void begin(Groups *groups, Block tables) noexcept:
    """The call of the first group, with tables that are the same for all; tables: `room_for_tables`."""
    groups.call.g, groups.call.l, groups.call.b = &groups.first, &groups.l, NULL
    fill_tables(&groups.call, <Py_ssize_t *>tables.data)


def data_gradient(Convolution conv not None, Block prepared=None):
    """Fills y, which is grad_x, from x, which is grad_output, and w, (C / groups, K, R, S), whose input and output
    channels are swapped; the window is that of the forward pass, and padding is constant. Returns the images
    that must be computed otherwise, which are none."""
    cdef Block phases = room_for_phases(conv)
    cdef Groups groups = cut(conv, False, phases)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    if prepared is not None:
        groups.b = prepared.data
        leave_out_filters(&groups.l)
    cdef Block tables = room_for_tables(&groups)
    cdef Block shared = take(groups.l.shared_size * size), scratch = take(groups.team * groups.l.thread_size * size)
    begin(&groups, tables)
    if groups.l.stored and not groups.l.covers:
        lay_ground(conv.y, conv.bias, conv.epilogue)
    with nogil:
        if conv.single:
            compute(&groups, <float *>shared.data, <float *>scratch.data)
        else:
            compute(&groups, <double *>shared.data, <double *>scratch.data)
    return ()


def prepare(Convolution conv not None):
    """B of all panels, for data_gradient's `prepared`; of x and y the shapes are enough."""
    cdef Block phases = room_for_phases(conv)
    cdef Groups groups = cut(conv, True, phases)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.w), i
    cdef Block tables = room_for_tables(&groups), scratch = take(groups.l.thread_size * size)
    cdef Block filters = take(groups.whole.groups * groups.l.panels * groups.l.b_size * size)
    begin(&groups, tables)
    groups.b = filters.data
    for i in range(groups.whole.groups * groups.l.panels):
        if conv.single:
            pack_unit(&groups, i, <float *>scratch.data)
        else:
            pack_unit(&groups, i, <double *>scratch.data)
    return filters


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that data_gradient takes, on one thread or on those that it would use now."""
    cdef Block phases = room_for_phases(conv)
    cdef Groups groups = cut(conv, alone, phases)
    return ((groups.l.shared_size + groups.team * groups.l.thread_size) * cnp.PyArray_ITEMSIZE(conv.x)
            + groups.l.table_size * <Py_ssize_t>sizeof(Py_ssize_t))
