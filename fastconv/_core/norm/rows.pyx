"""Layer normalisation: each row made of mean 0 and variance 1, times a weight and plus a bias for each of its elements.

    parallel for some rows: for row: its sums, then its results (from cache)

    parallel for row: statistics, sums of the gradient, the gradient      (backward)
    parallel for block of columns: for row: sums for weight and bias

Backward, so many rows are taken at a time that what is known of each fits into scratch memory. Means and variances
are kept in double precision.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport isfinite, sqrt
from libc.string cimport memset

from fastconv._core.norm.groups cimport Affine
from fastconv._core.problem.problem cimport ceildiv, rounded
from fastconv._core.runtime.isa cimport norm_gradient_sums, norm_moments, norm_row_sums, normalise, normalise_backward
from fastconv._core.runtime.kernels cimport fc_norm
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    SEEN = 16               # elements that make a first guess at a mean
    MOST_ROWS = 32768       # at a time, backward: 1 MB
    COLUMNS = 512           # of a block

# About the nanoseconds of an element, for the thread policy.
cdef double FORWARD_WORK = 0.3, BACKWARD_WORK = 0.6


# Rows of n elements: from one to the next, in elements. Backward, what each row is mapped with is kept for the sums of
# the columns, whose totals over all rows are `totals`, n for the bias and row_size later n for the weight.
cdef struct RowsCall:
    const void *x
    const void *grad
    void *y
    Py_ssize_t rows, n, x_row, grad_row, y_row, row_size
    const void *weight    # or NULL
    const void *bias
    double eps
    void *centre
    void *scale
    void *shift
    double *totals


def forward(cnp.ndarray x, cnp.ndarray y, Affine affine not None):
    """y = x normalised, rows (R, D) that are not empty, elements side by side; y may be x."""
    cdef RowsCall call = call_of(x, affine)
    call.y, call.y_row = cnp.PyArray_DATA(y), cnp.PyArray_STRIDE(y, 0) // cnp.PyArray_ITEMSIZE(y)
    cdef int threads = team(FORWARD_WORK * call.rows * call.n)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(forward_row[float], &call, call.rows, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(forward_row[double], &call, call.rows, threads, EVENLY, <double *>NULL, 0)


def backward(cnp.ndarray grad, cnp.ndarray x, cnp.ndarray grad_x, cnp.ndarray totals, Affine affine not None):
    """Of rows as those of `forward`: grad_x, which may be grad or None; and adds to totals (2, D), float64 and
    C-contiguous, or None, the gradients of bias and weight."""
    cdef Py_ssize_t first
    for first in range(0, cnp.PyArray_DIM(x, 0), MOST_ROWS):
        some = slice(first, first + MOST_ROWS)
        backward_rows(grad[some], x[some], None if grad_x is None else grad_x[some], totals, affine)


cdef RowsCall call_of(cnp.ndarray x, Affine affine):
    cdef RowsCall call
    memset(&call, 0, sizeof(RowsCall))
    call.x, call.x_row = cnp.PyArray_DATA(x), cnp.PyArray_STRIDE(x, 0) // cnp.PyArray_ITEMSIZE(x)
    call.rows, call.n = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    call.weight = NULL if affine.weight is None else cnp.PyArray_DATA(affine.weight)
    call.bias = NULL if affine.bias is None else cnp.PyArray_DATA(affine.bias)
    call.eps = affine.eps
    return call


cdef backward_rows(cnp.ndarray grad, cnp.ndarray x, cnp.ndarray grad_x, cnp.ndarray totals, Affine affine):
    cdef RowsCall call = call_of(x, affine)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x), kept = rounded(call.rows)
    cdef Block memory = take(3 * kept * size)
    call.centre, call.scale, call.shift = memory.data, memory.data + kept * size, memory.data + 2 * kept * size
    call.grad, call.grad_row = cnp.PyArray_DATA(grad), cnp.PyArray_STRIDE(grad, 0) // size
    if grad_x is not None:
        call.y, call.y_row = cnp.PyArray_DATA(grad_x), cnp.PyArray_STRIDE(grad_x, 0) // size
    if totals is not None:
        call.totals = <double *>cnp.PyArray_DATA(totals)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        in_both_directions[float](&call, NULL)
    else:
        in_both_directions[double](&call, NULL)


cdef in_both_directions(RowsCall *call, const floating *unused):
    """Column sums come first where grad_x overwrites grad."""
    cdef int threads = team(BACKWARD_WORK * call.rows * call.n)
    cdef Block room = take(threads * 2 * rounded(COLUMNS) * sizeof(double))
    with nogil:
        in_parallel(measure_row[floating], call, call.rows, threads, EVENLY, <floating *>NULL, 0)
        if call.totals != NULL:
            in_parallel(sum_columns[floating], call, ceildiv(call.n, COLUMNS), threads, EVENLY, <floating *>room.data,
                        2 * rounded(COLUMNS) * sizeof(double) // sizeof(floating))
        if call.y != NULL:
            in_parallel(backward_row[floating], call, call.rows, threads, EVENLY, <floating *>NULL, 0)


cdef inline void measure(const RowsCall *call, Py_ssize_t row, floating *centre, floating *scale,
                         floating *shift) noexcept nogil:
    """The map of a row, without weight and bias: centred on its mean as far as its precision goes."""
    cdef const floating *x = <const floating *>call.x + row * call.x_row
    cdef double total = 0, squares = 0, mean
    cdef Py_ssize_t i, seen = min(call.n, SEEN)
    cdef fc_norm how
    memset(&how, 0, sizeof(fc_norm))
    for i in range(seen):
        total += x[i]
    centre[0] = <floating>(total / seen) if isfinite(total) else 0
    total = 0
    how.centre, how.planes, how.n, how.sums, how.products = centre, 1, call.n, &total, &squares
    norm_moments(0, &how, x)
    squares = (squares - total * (total / call.n)) / call.n
    mean = centre[0] + total / call.n
    squares = 1 / sqrt((0 if squares < 0 else squares) + call.eps)
    centre[0], scale[0] = <floating>mean, <floating>squares
    shift[0] = <floating>((centre[0] - mean) * squares) if isfinite(mean) else 0


cdef void forward_row(const void *data, Py_ssize_t row, floating *unused) noexcept nogil:
    cdef const RowsCall *call = <const RowsCall *>data
    cdef floating centre, scale, shift
    cdef fc_norm how
    measure(call, row, &centre, &scale, &shift)
    memset(&how, 0, sizeof(fc_norm))
    how.centre, how.scale, how.shift, how.weight, how.bias = &centre, &scale, &shift, call.weight, call.bias
    how.planes, how.n = 1, call.n
    normalise(0, &how, <const floating *>call.x + row * call.x_row, <floating *>call.y + row * call.y_row)


cdef void measure_row(const void *data, Py_ssize_t row, floating *unused) noexcept nogil:
    cdef const RowsCall *call = <const RowsCall *>data
    measure(call, row, <floating *>call.centre + row, <floating *>call.scale + row, <floating *>call.shift + row)


cdef void sum_columns(const void *data, Py_ssize_t block, floating *room) noexcept nogil:
    cdef const RowsCall *call = <const RowsCall *>data
    cdef Py_ssize_t first = block * COLUMNS, i
    cdef fc_norm how
    memset(&how, 0, sizeof(fc_norm))
    how.centre, how.scale, how.shift, how.planes, how.n = call.centre, call.scale, call.shift, call.rows, min(
        COLUMNS, call.n - first)
    how.x, how.grad = call.x_row, call.grad_row
    how.sums, how.products = <double *>room, <double *>room + rounded(COLUMNS)
    memset(room, 0, 2 * rounded(COLUMNS) * sizeof(double))
    norm_row_sums(&how, <const floating *>call.x + first, <const floating *>call.grad + first)
    for i in range(how.n):
        call.totals[first + i] += how.sums[i]
        call.totals[call.n + first + i] += how.products[i]


cdef void backward_row(const void *data, Py_ssize_t row, floating *unused) noexcept nogil:
    """grad_x = rstd g - rstd P / D - rstd^3 Q / D (x - mean), where g is grad times weight, P and Q the sums of it and
    of it times x - mean."""
    cdef const RowsCall *call = <const RowsCall *>data
    cdef const floating *x = <const floating *>call.x + row * call.x_row
    cdef const floating *grad = <const floating *>call.grad + row * call.grad_row
    cdef double total = 0, product = 0, rstd = (<const floating *>call.scale)[row], rest, slope
    cdef floating sloped, offset
    cdef fc_norm how
    memset(&how, 0, sizeof(fc_norm))
    how.centre, how.scale, how.shift = (<const floating *>call.centre + row, <const floating *>call.scale + row,
                                        <const floating *>call.shift + row)
    how.planes, how.n, how.weight, how.sums, how.products = 1, call.n, call.weight, &total, &product
    norm_gradient_sums(0, &how, x, grad)
    rest = (<const floating *>call.shift)[row] / rstd    # centre - mean
    product += rest * total
    slope = -rstd * rstd * rstd * product / call.n
    sloped, offset = <floating>slope, <floating>(rest * slope - rstd * total / call.n)
    how.slope, how.offset = &sloped, &offset
    normalise_backward(0, &how, x, grad, <floating *>call.y + row * call.y_row)
