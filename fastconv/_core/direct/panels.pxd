"""A block of the driver with channels in the lanes, and what is computed of it at a time: see panels.pyx."""
from cython cimport floating

from fastconv._core.direct.layout cimport DirectLayout
from fastconv._core.problem.blocks cimport PixelBlock
from fastconv._core.problem.problem cimport Problem

# What the units of a call share. `at` and `weights_at` are the tables of fill_lanes and of pack_panel, `taps` where the
# taps lie in X. `packed` is room for the B of all filters, if they are packed before the first block: the first
# thread's, or that of all.
cdef struct DirectCall:
    const Problem *p
    const DirectLayout *l
    const Py_ssize_t *at
    const Py_ssize_t *weights_at
    const Py_ssize_t *taps
    const void *prepared
    void *packed
    bint finite      # all weights that were prepared are

# A block of pixels of a group, on which `team` threads work: its X, unless tiles are read from x, and the B of all
# filters, or NULL where each panel is packed just before its use.
cdef struct DirectUnit:
    const DirectCall *call
    PixelBlock block
    Py_ssize_t group
    int team
    void *x
    const void *filters


cdef inline const floating *first_pixel(const DirectUnit *u, const floating *unused) noexcept nogil:
    """Of a block, where it is read in place."""
    cdef const Problem *p = u.call.p
    return (<const floating *>p.x + u.group * p.c * p.xc + u.block.n0 * p.xn
            + (u.block.row0 * p.stride_h - p.top) * p.xh + (u.block.col0 * p.stride_w - p.left) * p.xw)


cdef inline floating *first_output(const DirectUnit *u, const floating *unused) noexcept nogil:
    """Of a block and group."""
    cdef const Problem *p = u.call.p
    return <floating *>p.y + u.group * p.k * p.yk + u.block.n0 * p.yn + u.block.row0 * p.yh + u.block.col0 * p.yw


cdef void panel_step(const void *data, Py_ssize_t step, floating *scratch) noexcept nogil
