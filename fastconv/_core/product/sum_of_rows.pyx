"""The product of one row by a matrix, y = x w, as a sum of the rows of w: w is read once, in the order in which it lies.

    parallel for part of the columns (BLOCK_BYTES of y, L1):
        for four rows of w: y += the four, times four elements of x

Each element of y is summed in one order, whatever the number of threads.
"""

from cython cimport floating

from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel

cdef enum:
    BLOCK_BYTES = 16 << 10    # of y
    ROWS = 4                  # that are added to y at a time


cdef struct RowsCall:
    const void *x
    const void *w
    void *y
    Py_ssize_t rows, columns, block


cdef void sum_block(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    """One part of the columns."""
    cdef const RowsCall *call = <const RowsCall *>data
    cdef Py_ssize_t first = index * call.block, n = min(call.block, call.columns - first), k = 0, j
    cdef const floating *x = <const floating *>call.x
    cdef const floating *w0 = <const floating *>call.w + first
    cdef const floating *w1
    cdef const floating *w2
    cdef const floating *w3
    cdef floating *y = <floating *>call.y + first
    cdef floating a, b, c, d
    for j in range(n):
        y[j] = 0
    while k + ROWS <= call.rows:
        w1, w2, w3 = w0 + call.columns, w0 + 2 * call.columns, w0 + 3 * call.columns
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        for j in range(n):
            y[j] += (a * w0[j] + b * w1[j]) + (c * w2[j] + d * w3[j])
        w0 += ROWS * call.columns
        k += ROWS
    while k < call.rows:
        a = x[k]
        for j in range(n):
            y[j] += a * w0[j]
        w0 += call.columns
        k += 1


def sum_of_rows(const floating[::1] x, const floating[:, ::1] w, floating[::1] y):
    """y[j] = the sum over k of x[k] w[k, j]; nothing is checked."""
    cdef RowsCall call
    cdef int team = threads.team(0.25 * w.shape[0] * w.shape[1])    # about the nanoseconds
    if y.shape[0] == 0:
        return
    call.x, call.w, call.y = &x[0], &w[0, 0], &y[0]
    call.rows, call.columns, call.block = w.shape[0], w.shape[1], BLOCK_BYTES // <Py_ssize_t>sizeof(floating)
    with nogil:
        in_parallel(sum_block[floating], &call, ceildiv(call.columns, call.block), team, EVENLY, &y[0], 0)
