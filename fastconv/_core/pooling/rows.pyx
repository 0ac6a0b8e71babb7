"""Maxima of windows of few rows, without indices, straight from the rows of x:

    for row of outputs:
        windows of one row: its row of x -> y; windows that meet the border by themselves
        of several:         the best of each column -> a row between two borders of -inf (L1) -> y

No band is filled, and a row is read once for each window that it is in.
"""

from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.pooling.problem cimport PoolProblem
from fastconv._core.pooling.windows cimport PoolAxis, Span, span
from fastconv._core.problem.problem cimport ceildiv, rounded
from fastconv._core.runtime.isa cimport max_down, max_of_row
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_down

cdef enum:
    TAPS = 16    # of a window of one row at most: of more, a band shares what windows have in common
    FEW = 4      # rows, and columns, of other windows at most
    SHORT = 32   # columns of x up to which a band serves windows with step 1 as well, its rows being one


cdef bint reads_rows(const PoolProblem *g) noexcept:
    """Whether these loops serve windows of one size."""
    if g.rows.kernel_size == 1:
        return g.cols.kernel_size <= TAPS
    return (g.rows.kernel_size <= FEW and g.cols.kernel_size <= FEW
            and g.cols.size >= FC_MAX_LANES    # vectors of a row stay inside it
            and (g.cols.stride > 1 or g.cols.size > SHORT))


cdef inline Py_ssize_t border_before(const PoolAxis *a) noexcept nogil:
    """Columns of padding that the first window meets."""
    return max(0, -a.start)


cdef Py_ssize_t row_size(const PoolProblem *g) noexcept nogil:
    """Elements of the row between its borders; 0 for windows of one row."""
    cdef const PoolAxis *a = &g.cols
    cdef Py_ssize_t last = a.start + (a.outputs - 1) * a.stride + (a.kernel_size - 1) * a.dilation + 1
    return rounded(border_before(a) + max(a.size, last)) if g.rows.kernel_size > 1 else 0


cdef void maxima_of_row(const PoolAxis *a, const floating *row, floating *y) noexcept nogil:
    """Outputs of windows of one row; those from `first` until `last` lie inside the image."""
    cdef Py_ssize_t j, at, reach = a.start + (a.kernel_size - 1) * a.dilation
    cdef Py_ssize_t first = min(a.outputs, ceildiv(max(0, -a.start), a.stride)), last = first
    cdef Span s
    if reach < a.size:
        last = max(first, min(a.outputs, (a.size - 1 - reach) // a.stride + 1))
    if last > first:
        max_of_row(row + a.start + first * a.stride, a.kernel_size, a.dilation, a.stride, y + first, last - first)
    for j in range(a.outputs - (last - first)):
        at = j if j < first else j + last - first
        s = span(a, at)
        max_of_row(row + s.first, s.taps, a.dilation, 1, y + at, 1)


cdef void maxima_of_rows(const PoolProblem *g, Py_ssize_t first, Py_ssize_t count, const floating *x, floating *y,
                         floating *scratch) noexcept nogil:
    """So many rows of outputs of a plane, from `first` on. The scratch: row_size(g)."""
    cdef const PoolAxis *a = &g.cols
    cdef Py_ssize_t i, r, before = border_before(a)
    cdef Py_ssize_t rows[FEW]
    cdef floating *best = scratch + before
    cdef Span s
    cdef fc_down down
    if g.rows.kernel_size == 1:
        for i in range(first, first + count):
            maxima_of_row(a, x + span(&g.rows, i).first * g.xh, y + i * g.yh)
        return
    for i in range(row_size(g)):
        scratch[i] = <floating>-INFINITY
    for r in range(g.rows.kernel_size):
        rows[r] = r * g.rows.dilation * g.xh
    down.rows, down.positions, down.columns = rows, NULL, NULL
    for i in range(first, first + count):
        s = span(&g.rows, i)
        down.n_rows = <int>s.taps
        max_down(&down, x + s.first * g.xh, NULL, best, NULL, 0, a.size)
        max_of_row(best + a.start, a.kernel_size, a.dilation, a.stride, y + i * g.yh, a.outputs)
