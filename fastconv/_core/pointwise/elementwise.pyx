"""Activations and softmax: the loops over threads around elementwise.h and softmax.h.

Arrays are walked in chunks of CHUNK elements, softmax in rows or blocks of columns; neither depends on the number of
threads. What is not C-contiguous is copied into the result first and worked on in place, and where there are two such
arguments the second is copied piece by piece: no second full-size buffer.
"""

import numpy as np

cimport numpy as cnp
from cython cimport floating

from fastconv._core.runtime.isa cimport (
    activation as activation_kernel, activation_backward as activation_backward_kernel, max_of_run, softmax_columns,
    softmax_columns_backward, softmax_row, softmax_row_backward,
)
from fastconv._core.runtime.kernels cimport FC_LEAKY_RELU, FC_RELU, FC_RELU6, FC_SIGMOID, FC_TANH
from fastconv._core.runtime.memory cimport new_array
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 16384        # elements: two arrays of 64 KB stay in L2
    COLUMNS = 64         # columns of one unit of softmax: one or a few lines of each row
    BLOCK_BYTES = 1 << 20    # of a second argument, at most, that is copied because it is not contiguous

# About the nanoseconds of an element, for the thread policy.
cdef double SIMPLE = 0.15, TRANSCENDENTAL = 0.6


# y = f(x), or of a gradient x the one before f, of n elements; v is what f was applied to, or what it gave.
cdef struct ActivationCall:
    const void *x
    const void *v
    void *y
    Py_ssize_t n
    int kind
    double slope


# The kinds of activation, for Python.
RELU, LEAKY_RELU, SIGMOID, TANH, RELU6 = FC_RELU, FC_LEAKY_RELU, FC_SIGMOID, FC_TANH, FC_RELU6


cdef cnp.ndarray result_like(cnp.ndarray x):
    return new_array(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))


cdef void *source_of(cnp.ndarray x, cnp.ndarray y) except? NULL:
    """Where to read x in C order: itself, or where it is not contiguous the result y, into which it is copied."""
    if cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_C_CONTIGUOUS):
        return cnp.PyArray_DATA(x)
    np.copyto(y, x)
    return cnp.PyArray_DATA(y)


def activation(cnp.ndarray x, int kind, double slope=0.0, cnp.ndarray out=None):
    """y = f(x) of an array of any shape and strides; kind is FC_RELU, ... of kernels.h. y is `out`, C-contiguous, which
    may be x."""
    cdef cnp.ndarray y = result_like(x) if out is None else out
    activate(source_of(x, y), y, kind, slope)
    return y


def activate_in_place(cnp.ndarray y, int kind, double slope):
    """y = f(y), whose elements are one piece of memory in any order."""
    activate(cnp.PyArray_DATA(y), y, kind, slope)


cdef activate(const void *x, cnp.ndarray y, int kind, double slope):
    cdef ActivationCall call
    call.x, call.y, call.n, call.kind, call.slope = x, cnp.PyArray_DATA(y), cnp.PyArray_SIZE(y), kind, slope
    cdef int threads = team(call.n * (TRANSCENDENTAL if kind == FC_SIGMOID or kind == FC_TANH else SIMPLE))
    cdef Py_ssize_t chunks = (call.n + CHUNK - 1) // CHUNK
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(activation_chunk[float], &call, chunks, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(activation_chunk[double], &call, chunks, threads, EVENLY, <double *>NULL, 0)


cdef void activation_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const ActivationCall *call = <const ActivationCall *>data
    cdef Py_ssize_t at = index * CHUNK
    activation_kernel(call.kind, <const floating *>call.x + at, <floating *>call.y + at, min(CHUNK, call.n - at),
                      call.slope)


def activation_backward(cnp.ndarray grad, cnp.ndarray v, int kind, double slope=0.0, cnp.ndarray out=None):
    """grad_x = grad f'(x); v is x for (leaky) ReLU and ReLU6, y = f(x) for sigmoid and tanh. grad_x is `out`,
    C-contiguous, which may be grad or v."""
    cdef cnp.ndarray grad_x = result_like(grad) if out is None else out
    cdef bint in_v = cnp.PyArray_DATA(grad_x) == cnp.PyArray_DATA(v)
    if in_v and not cnp.PyArray_CHKFLAGS(grad, cnp.NPY_ARRAY_C_CONTIGUOUS):
        for piece in pieces((<object>grad).shape, BLOCK_BYTES // cnp.PyArray_ITEMSIZE(v)):
            backward_of_piece(np.ascontiguousarray(grad[piece]), v[piece], grad_x[piece], kind, slope)
    elif cnp.PyArray_CHKFLAGS(v, cnp.NPY_ARRAY_C_CONTIGUOUS):
        backward_of_piece(grad, v, grad_x, kind, slope)
    else:
        for piece in pieces((<object>grad).shape, BLOCK_BYTES // cnp.PyArray_ITEMSIZE(v)):
            backward_of_piece(grad[piece], np.ascontiguousarray(v[piece]), grad_x[piece], kind, slope)
    return grad_x


def pieces(tuple shape, Py_ssize_t most):
    """Indices that cut a C-contiguous array into pieces that are contiguous too, in order, each of at most so many
    elements."""
    cdef Py_ssize_t inner = 1, axis = len(shape), at_once
    while axis and inner * shape[axis - 1] <= most:
        axis -= 1
        inner *= shape[axis]
    if axis == 0:
        yield ...
        return
    at_once = max(1, most // inner)
    for index in np.ndindex(*shape[:axis - 1]):
        for first in range(0, shape[axis - 1], at_once):
            yield (*index, slice(first, first + at_once))


cdef backward_of_piece(cnp.ndarray grad, cnp.ndarray v, cnp.ndarray grad_x, int kind, double slope):
    """Of arrays of which v and grad_x are contiguous."""
    cdef ActivationCall call
    call.x, call.v, call.y = source_of(grad, grad_x), cnp.PyArray_DATA(v), cnp.PyArray_DATA(grad_x)
    call.n, call.kind, call.slope = cnp.PyArray_SIZE(grad), kind, slope
    cdef int threads = team(call.n * SIMPLE)
    cdef Py_ssize_t chunks = (call.n + CHUNK - 1) // CHUNK
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(backward_chunk[float], &call, chunks, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(backward_chunk[double], &call, chunks, threads, EVENLY, <double *>NULL, 0)


cdef void backward_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const ActivationCall *call = <const ActivationCall *>data
    cdef Py_ssize_t at = index * CHUNK
    activation_backward_kernel(call.kind, <const floating *>call.x + at, <const floating *>call.v + at,
                               <floating *>call.y + at, min(CHUNK, call.n - at), call.slope)


def highest(cnp.ndarray x):
    """The largest element of a C-contiguous array that is not empty; NaN where there is one."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x), position
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return max_of_run(<const float *>cnp.PyArray_DATA(x), n, &position)
    return max_of_run(<const double *>cnp.PyArray_DATA(x), n, &position)


# ---------------------------------------------------------------------------------------------------------------------
# Softmax: an array is (outer, n, inner), n being the axis. Work comes in units of a row, or of a block of columns.


cdef struct SoftmaxAxes:
    Py_ssize_t outer, n, inner, blocks    # blocks of columns

# y = softmax(x), or of a gradient x the one before it; result is what softmax gave.
cdef struct SoftmaxCall:
    const void *x
    const void *result
    void *y
    SoftmaxAxes axes
    bint logarithm


cdef SoftmaxAxes around(cnp.ndarray array, int axis) noexcept:
    cdef SoftmaxAxes a
    cdef int i
    a.outer = a.inner = 1
    for i in range(axis):
        a.outer *= cnp.PyArray_DIM(array, i)
    for i in range(axis + 1, cnp.PyArray_NDIM(array)):
        a.inner *= cnp.PyArray_DIM(array, i)
    a.n = cnp.PyArray_DIM(array, axis)
    a.blocks = (a.inner + COLUMNS - 1) // COLUMNS
    return a


def softmax(cnp.ndarray x, int axis, bint logarithm, cnp.ndarray out=None):
    """Softmax or log-softmax along an axis counted from 0, in `out`, C-contiguous."""
    cdef cnp.ndarray y = result_like(x) if out is None else out
    cdef SoftmaxCall call
    call.x, call.y, call.axes, call.logarithm = source_of(x, y), cnp.PyArray_DATA(y), around(x, axis), logarithm
    if cnp.PyArray_SIZE(x) == 0:
        return y
    cdef Py_ssize_t units = call.axes.outer * call.axes.blocks
    cdef int threads = team(2 * TRANSCENDENTAL * call.axes.outer * call.axes.n * call.axes.inner)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(normalise[float], &call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(normalise[double], &call, units, threads, EVENLY, <double *>NULL, 0)
    return y


cdef void normalise(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const SoftmaxCall *call = <const SoftmaxCall *>data
    cdef const SoftmaxAxes *a = &call.axes
    cdef Py_ssize_t column = unit % a.blocks * COLUMNS, at = unit // a.blocks * a.n * a.inner + column
    cdef const floating *x = <const floating *>call.x + at
    cdef floating *y = <floating *>call.y + at
    if a.inner == 1:
        softmax_row(x, y, a.n, call.logarithm)
    else:
        softmax_columns(x, y, a.n, a.inner, min(COLUMNS, a.inner - column), call.logarithm)


def softmax_backward(cnp.ndarray grad, cnp.ndarray y, int axis, bint logarithm, cnp.ndarray out=None):
    """grad_x of softmax or log-softmax from its result y, in `out`, C-contiguous."""
    cdef cnp.ndarray grad_x = result_like(grad) if out is None else out
    if cnp.PyArray_SIZE(grad) == 0:
        return grad_x
    if not cnp.PyArray_CHKFLAGS(y, cnp.NPY_ARRAY_C_CONTIGUOUS):
        if cnp.PyArray_NBYTES(y) > BLOCK_BYTES:
            softmax_backward_in_blocks(np.moveaxis(grad, axis, 0), np.moveaxis(y, axis, 0),
                                       np.moveaxis(grad_x, axis, 0), logarithm)
            return grad_x
        y = np.ascontiguousarray(y)
    cdef SoftmaxCall call
    call.x, call.result, call.y = source_of(grad, grad_x), cnp.PyArray_DATA(y), cnp.PyArray_DATA(grad_x)
    call.axes, call.logarithm = around(grad, axis), logarithm
    cdef Py_ssize_t units = call.axes.outer * call.axes.blocks
    cdef int threads = team(TRANSCENDENTAL * call.axes.outer * call.axes.n * call.axes.inner)
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(normalise_backward[float], &call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(normalise_backward[double], &call, units, threads, EVENLY, <double *>NULL, 0)
    return grad_x


cdef softmax_backward_in_blocks(grad, y, grad_x, bint logarithm):
    """The same along the first axis of large arrays with any strides, a block at a time: once for the sums, then for
    the results."""
    for piece in pieces(grad.shape[1:], COLUMNS * COLUMNS):
        columns = (slice(None),) if piece is ... else (slice(None), *piece)
        of_grad, of_y, of_grad_x = grad[columns], y[columns], grad_x[columns]
        rows = max(1, CHUNK * len(of_grad) // of_grad.size)
        blocks = [slice(first, first + rows) for first in range(0, len(of_grad), rows)]
        with np.errstate(all="ignore"):
            total = sum(np.sum(of_grad[some] if logarithm else of_grad[some] * of_y[some], axis=0, dtype=np.float64)
                        for some in blocks)
            total = np.asarray(total).astype(grad.dtype)
            for some in blocks:
                if logarithm:
                    of_grad_x[some] = of_grad[some] - np.exp(of_y[some]) * total
                else:
                    of_grad_x[some] = (of_grad[some] - total) * of_y[some]


cdef void normalise_backward(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const SoftmaxCall *call = <const SoftmaxCall *>data
    cdef const SoftmaxAxes *a = &call.axes
    cdef Py_ssize_t column = unit % a.blocks * COLUMNS, at = unit // a.blocks * a.n * a.inner + column
    cdef const floating *grad = <const floating *>call.x + at
    cdef const floating *y = <const floating *>call.result + at
    cdef floating *grad_x = <floating *>call.y + at
    if a.inner == 1:
        softmax_row_backward(grad, y, grad_x, a.n, call.logarithm)
    else:
        softmax_columns_backward(grad, y, grad_x, a.n, a.inner, min(COLUMNS, a.inner - column), call.logarithm)
