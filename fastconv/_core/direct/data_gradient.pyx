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


cdef void pack_unit(const void *data, Py_ssize_t panel, floating *scratch) noexcept nogil:
    """B of one panel, among that of all."""
    cdef const PhasedCall *call = <const PhasedCall *>data
    pack_phases(call, panel, <Py_ssize_t *>(scratch + call.l.at_at), <floating *>call.b + panel * call.l.b_size)


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


cdef void compute(PhasedCall *call, floating *shared, floating *scratch) noexcept nogil:
    cdef const PhasedLayout *l = call.l
    cdef Problem steps = in_steps(call.g, l)
    cdef Py_ssize_t i
    call.x = shared
    if l.beforehand:
        call.b = shared + l.x_size
        in_parallel(pack_unit[floating], call, l.panels, l.team, EVENLY, scratch, l.thread_size)
    for i in range(l.blocking.count):
        call.block = block_at(&steps, &l.blocking, i)
        in_parallel(input_unit[floating], call, call.block.images if call.g.xc == 1 else l.vectors, l.team,
                    EVENLY, scratch, 0)
        in_parallel(panel_unit[floating], call, l.panels * l.pieces, l.team, WHEN_READY, scratch, l.thread_size)


cdef double work(const Problem *g) noexcept:
    return 2.0 * g.n * g.k * g.h * g.w * g.c * g.r * g.s / 100


cdef Problem problem_of(Convolution conv) noexcept:
    cdef Problem g = conv.problem
    if g.c == 1:
        g.xc = 0    # there is no second one
    return g


cdef Block room_for_phases(const Problem *g):
    return take((g.r + g.s) * sizeof(AxisPhase))


def data_gradient(Convolution conv not None, Block prepared=None):
    """Fills y, which is grad_x, from x, which is grad_output, and w, (C, K, R, S), whose input and output channels are
    swapped; the window is that of the forward pass, padding is constant, and there are no groups. Returns the images
    that must be computed otherwise, which are none."""
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    cdef Block phases = room_for_phases(&g)
    cdef PhasedLayout l = lay_out(&g, conv.window, threads.team(work(&g)), <AxisPhase *>phases.data, size)
    cdef PhasedCall call
    call.g, call.l, call.b = &g, &l, NULL
    if prepared is not None:
        call.b = prepared.data
        leave_out_filters(&l)
    cdef Block tables = take(l.table_size * sizeof(Py_ssize_t))
    cdef Block shared = take(l.shared_size * size), scratch = take(l.team * l.thread_size * size)
    if l.stored and not l.covers:
        lay_ground(conv.y, conv.bias, conv.epilogue)
    with nogil:
        fill_tables(&call, <Py_ssize_t *>tables.data)
        if conv.single:
            compute(&call, <float *>shared.data, <float *>scratch.data)
        else:
            compute(&call, <double *>shared.data, <double *>scratch.data)
    return ()


def prepare(Convolution conv not None):
    """B of all panels, for data_gradient's `prepared`; of x and y the shapes are enough."""
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.w), panel
    cdef Block phases = room_for_phases(&g)
    cdef PhasedLayout l = lay_out(&g, conv.window, 1, <AxisPhase *>phases.data, size)
    cdef Block tables = take(l.table_size * sizeof(Py_ssize_t)), scratch = take(l.thread_size * size)
    cdef Block filters = take(l.panels * l.b_size * size)
    cdef PhasedCall call
    call.g, call.l, call.b = &g, &l, filters.data
    fill_tables(&call, <Py_ssize_t *>tables.data)
    for panel in range(l.panels):
        if conv.single:
            pack_unit(&call, panel, <float *>scratch.data)
        else:
            pack_unit(&call, panel, <double *>scratch.data)
    return filters


def workspace(Convolution conv not None, bint alone):
    """Bytes of scratch that data_gradient takes, on one thread or on those that it would use now."""
    cdef Problem g = problem_of(conv)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(conv.x)
    cdef Block phases = room_for_phases(&g)
    cdef int team = 1 if alone else threads.team(work(&g))
    cdef PhasedLayout l = lay_out(&g, conv.window, team, <AxisPhase *>phases.data, size)
    return (l.shared_size + l.team * l.thread_size) * size + l.table_size * <Py_ssize_t>sizeof(Py_ssize_t)
