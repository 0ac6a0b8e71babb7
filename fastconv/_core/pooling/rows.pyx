"""Averages, and maxima without indices, of windows of few rows, straight from the rows of x:

    for row of outputs:
        windows of one row: its row of x -> y; windows that meet the border by themselves
        of several:         the best (or the sum) of each column -> a row between two borders (L1) -> y
        averages:           y over what each window counts

No band is filled, and a row is read once for each window that it is in.
"""

from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.pooling.problem cimport PoolProblem
from fastconv._core.pooling.windows cimport PoolAxis, Span, span
from fastconv._core.problem.problem cimport ceildiv, rounded
from fastconv._core.runtime.isa cimport max_down, max_of_row, mean_down, spread_row, sum_of_row
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


cdef Py_ssize_t rows_scratch(const PoolProblem *g, bint average) noexcept nogil:
    """Elements: the row, and by how many each average divides."""
    return row_size(g) + (rounded(g.cols.outputs) if average else 0)


cdef void begin_rows(const PoolProblem *g, floating *scratch, bint average) noexcept nogil:
    """What the scratch of rows_of_outputs holds whatever the plane: the borders, and by how many averages divide."""
    cdef Py_ssize_t i, length = row_size(g)
    for i in range(length):
        scratch[i] = <floating>0 if average else <floating>-INFINITY
    for i in range(g.cols.outputs if average else 0):
        scratch[length + i] = <floating>span(&g.cols, i).count


cdef inline void windows_of_row(const PoolAxis *a, const floating *x, Py_ssize_t taps, Py_ssize_t stride, floating *y,
                                Py_ssize_t n, bint average) noexcept nogil:
    if average:
        sum_of_row(x, taps, a.dilation, stride, y, n)
    else:
        max_of_row(x, taps, a.dilation, stride, y, n)


cdef void outputs_of_row(const PoolAxis *a, const floating *row, floating *y, bint average) noexcept nogil:
    """Outputs of windows of one row, averages before they are divided; those from `first` until `last` lie inside the
    image."""
    cdef Py_ssize_t j, at, reach = a.start + (a.kernel_size - 1) * a.dilation
    cdef Py_ssize_t first = min(a.outputs, ceildiv(max(0, -a.start), a.stride)), last = first
    cdef Span s
    if reach < a.size:
        last = max(first, min(a.outputs, (a.size - 1 - reach) // a.stride + 1))
    if last > first:
        windows_of_row(a, row + a.start + first * a.stride, a.kernel_size, a.stride, y + first, last - first, average)
    for j in range(a.outputs - (last - first)):
        at = j if j < first else j + last - first
        s = span(a, at)
        windows_of_row(a, row + s.first, s.taps, 1, y + at, 1, average)


cdef void rows_of_outputs(const PoolProblem *g, Py_ssize_t first, Py_ssize_t count, const floating *x, floating *y,
                          floating *scratch, bint average) noexcept nogil:
    """So many rows of outputs of a plane, from `first` on. The scratch: rows_scratch(g, average), begun."""
    cdef const PoolAxis *a = &g.cols
    cdef Py_ssize_t i, r, length = row_size(g)
    cdef Py_ssize_t rows[FEW]
    cdef floating *best = scratch + border_before(a)
    cdef floating *counts = scratch + length
    cdef Span s
    cdef fc_down down
    for r in range(g.rows.kernel_size if length else 0):
        rows[r] = r * g.rows.dilation * g.xh
    down.rows, down.positions, down.columns = rows, NULL, NULL
    for i in range(first, first + count):
        s = span(&g.rows, i)
        if length == 0:
            outputs_of_row(a, x + s.first * g.xh, y + i * g.yh, average)
        else:
            if average:
                mean_down(x + s.first * g.xh, rows, <int>s.taps, <floating>1, <floating *>NULL, best, a.size)
            else:
                down.n_rows = <int>s.taps
                max_down(&down, x + s.first * g.xh, NULL, best, NULL, 0, a.size)
            windows_of_row(a, best + a.start, a.kernel_size, a.stride, y + i * g.yh, a.outputs, average)
        if average:
            spread_row(y + i * g.yh, 1, <floating>s.count, counts, y + i * g.yh, 1, a.outputs)
