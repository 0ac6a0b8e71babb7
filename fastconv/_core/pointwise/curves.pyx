"""Activations that stand by themselves, and PReLU: the loops over threads around curves.h and prelu.h.

    parallel for chunk of CHUNK elements: y = f(x), or grad_x = grad f'(x)

What is not C-contiguous is copied into the result first and worked on there; where there are two such arguments the
second is copied piece by piece. PReLU sees (outer, channels, inner): a unit is some rows of one channel, or with
inner = 1 some pixels of all channels. The gradients of its slopes are added up unit by unit, in double precision and in
order.
"""

import numpy as np

cimport numpy as cnp
from cython cimport floating

from fastconv._core.pointwise.elementwise import pieces

from fastconv._core.runtime.isa cimport (
    activation, curve as curve_kernel, curve_backward as curve_backward_kernel, prelu_backward as prelu_backward_kernel,
    prelu_pixels, prelu_pixels_backward,
)
from fastconv._core.runtime.kernels cimport (
    FC_ELU, FC_GELU, FC_GELU_TANH, FC_HARDSIGMOID, FC_HARDSWISH, FC_LEAKY_RELU, FC_SILU, FC_SOFTPLUS, fc_curve,
)
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 16384        # elements: two arrays of 64 KB stay in L2
    BLOCK_BYTES = 1 << 20    # of a second argument, at most, that is copied because it is not contiguous
    MOST_ROWS = 64           # of one channel, of a unit of PReLU: lines of memory that all channels share
    MOST_SUMS = 1 << 17      # of PReLU's gradients, before they are added up

# About the nanoseconds of an element, for the thread policy.
cdef double SIMPLE = 0.15, TRANSCENDENTAL = 0.8

# The kinds of curve, for Python.
ELU, GELU, GELU_TANH, SILU, HARDSWISH, HARDSIGMOID, SOFTPLUS = (
    FC_ELU, FC_GELU, FC_GELU_TANH, FC_SILU, FC_HARDSWISH, FC_HARDSIGMOID, FC_SOFTPLUS)

# y = f(x), or of grad the one before f; n elements.
cdef struct CurveCall:
    const void *grad
    const void *x
    void *y
    Py_ssize_t n
    int kind
    fc_curve how


cdef class CurveOptions:
    """The numbers that a curve is made with, by PyTorch's names."""
    cdef fc_curve how

    def __init__(self, double alpha=1.0, double beta=1.0, double threshold=20.0):
        self.how.alpha, self.how.beta, self.how.threshold = alpha, beta, threshold


cdef cnp.ndarray room_of(object out, cnp.ndarray x):
    """`out`, or a new array like x."""
    return new_array(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x)) if out is None else out


cdef const void *source_of(cnp.ndarray x, cnp.ndarray y) except? NULL:
    """Where to read x in C order: itself, or where it is not contiguous the result y, into which it is copied."""
    if cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_C_CONTIGUOUS):
        return cnp.PyArray_DATA(x)
    np.copyto(y, x)
    return cnp.PyArray_DATA(y)


def curve(cnp.ndarray x, int kind, CurveOptions options not None, object out):
    """y = f(x) of an array of any shape and strides. out is None or a C-contiguous array, which x may be."""
    cdef cnp.ndarray y = room_of(out, x)
    cdef CurveCall call
    call.grad, call.x, call.y = NULL, source_of(x, y), cnp.PyArray_DATA(y)
    call.n, call.kind, call.how = cnp.PyArray_SIZE(y), kind, options.how
    run(&call, cnp.PyArray_TYPE(y))
    return y


def curve_backward(cnp.ndarray grad, cnp.ndarray x, int kind, CurveOptions options not None, object out):
    """grad_x = grad f'(x). out is None or a C-contiguous array, which grad or x may be."""
    cdef cnp.ndarray grad_x = room_of(out, x)
    if cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_C_CONTIGUOUS):
        backward_of_piece(grad, x, grad_x, kind, options)
    else:
        for piece in pieces((<object>x).shape, BLOCK_BYTES // cnp.PyArray_ITEMSIZE(x)):
            backward_of_piece(grad[piece], np.ascontiguousarray(x[piece]), grad_x[piece], kind, options)
    return grad_x


cdef backward_of_piece(cnp.ndarray grad, cnp.ndarray x, cnp.ndarray grad_x, int kind, CurveOptions options):
    """Of arrays of which x and grad_x are contiguous."""
    cdef CurveCall call
    if cnp.PyArray_DATA(x) == cnp.PyArray_DATA(grad_x) and not cnp.PyArray_CHKFLAGS(grad, cnp.NPY_ARRAY_C_CONTIGUOUS):
        grad = np.ascontiguousarray(grad)
    call.grad, call.x, call.y = source_of(grad, grad_x), cnp.PyArray_DATA(x), cnp.PyArray_DATA(grad_x)
    call.n, call.kind, call.how = cnp.PyArray_SIZE(x), kind, options.how
    run(&call, cnp.PyArray_TYPE(x))


cdef run(CurveCall *call, int typenum):
    cdef int threads = team(call.n * (SIMPLE if call.kind == FC_HARDSWISH or call.kind == FC_HARDSIGMOID
                                      else TRANSCENDENTAL))
    cdef Py_ssize_t chunks = (call.n + CHUNK - 1) // CHUNK
    if typenum == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(curve_chunk[float], call, chunks, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(curve_chunk[double], call, chunks, threads, EVENLY, <double *>NULL, 0)


cdef void curve_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const CurveCall *call = <const CurveCall *>data
    cdef Py_ssize_t at = index * CHUNK, n = min(CHUNK, call.n - at)
    cdef const floating *x = <const floating *>call.x + at
    cdef floating *y = <floating *>call.y + at
    if call.grad == NULL:
        curve_kernel(call.kind, x, y, n, &call.how)
    else:
        curve_backward_kernel(call.kind, <const floating *>call.grad + at, x, y, n, &call.how)


# ---------------------------------------------------------------------------------------------------------------------
# PReLU: an array is (outer, channels, inner)

# With inner = 1 a unit is `each` pixels; else of one channel, of `each` rows of inner elements, one of `parts` parts.
cdef struct PreluCall:
    const void *grad
    const void *x
    const void *slopes    # one a channel
    void *y
    double *sums          # of backward: those of a unit's channels
    Py_ssize_t outer, channels, inner, each, parts


cdef Py_ssize_t lay_out(PreluCall *call, cnp.ndarray x, int axis) noexcept:
    """The sizes of a call; returns how many units there are. The axis is -1 where all have one slope."""
    cdef int i
    cdef Py_ssize_t units
    call.outer = call.inner = 1
    for i in range(axis):
        call.outer *= cnp.PyArray_DIM(x, i)
    for i in range(axis + 1, cnp.PyArray_NDIM(x)):
        call.inner *= cnp.PyArray_DIM(x, i)
    call.channels = cnp.PyArray_DIM(x, axis) if axis >= 0 else 1
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    call.parts = (call.inner + CHUNK - 1) // CHUNK
    call.each = max(CHUNK // call.channels, 1) if call.inner == 1 else max(1, min(MOST_ROWS, CHUNK // call.inner))
    call.each = max(call.each, call.outer * call.channels * call.parts // MOST_SUMS)
    units = (call.outer + call.each - 1) // call.each
    return units if call.inner == 1 else units * call.channels * call.parts


def prelu(cnp.ndarray x, cnp.ndarray slopes, int axis, object out):
    """x where it is above 0, else its slope times x: slopes, C-contiguous, has one for each position along the axis, or
    one for all, the axis being -1. out is None or a C-contiguous array, which x may be."""
    cdef cnp.ndarray y = room_of(out, x)
    cdef PreluCall call
    cdef Py_ssize_t units = lay_out(&call, x, axis)
    call.x, call.slopes, call.y = source_of(x, y), cnp.PyArray_DATA(slopes), cnp.PyArray_DATA(y)
    cdef int threads = team(cnp.PyArray_SIZE(x) * SIMPLE)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(prelu_unit[float], &call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(prelu_unit[double], &call, units, threads, EVENLY, <double *>NULL, 0)
    return y


cdef void prelu_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const PreluCall *call = <const PreluCall *>data
    cdef const floating *x = <const floating *>call.x
    cdef const floating *slopes = <const floating *>call.slopes
    cdef floating *y = <floating *>call.y
    cdef Py_ssize_t first, channel, start, i, at
    if call.inner == 1:
        first = unit * call.each
        prelu_pixels(x + first * call.channels, slopes, y + first * call.channels, min(call.each, call.outer - first),
                     call.channels)
        return
    start, channel = unit % call.parts * CHUNK, unit // call.parts % call.channels
    first = unit // call.parts // call.channels * call.each
    for i in range(first, min(call.outer, first + call.each)):
        at = (i * call.channels + channel) * call.inner + start
        activation(FC_LEAKY_RELU, x + at, y + at, min(CHUNK, call.inner - start), slopes[channel])


def prelu_backward(cnp.ndarray grad, cnp.ndarray x, cnp.ndarray slopes, int axis, cnp.ndarray grad_x):
    """Fills grad_x, C-contiguous, and returns the gradient of each slope, in double precision."""
    cdef cnp.ndarray totals = np.zeros(cnp.PyArray_SIZE(slopes))
    cdef Py_ssize_t at_once, first
    if cnp.PyArray_CHKFLAGS(grad, cnp.NPY_ARRAY_C_CONTIGUOUS) and cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_C_CONTIGUOUS):
        prelu_backward_of_piece(grad, x, slopes, axis, grad_x, totals)
    else:
        at_once = max(1, BLOCK_BYTES * cnp.PyArray_DIM(x, 0) // max(1, cnp.PyArray_NBYTES(x)))
        for first in range(0, cnp.PyArray_DIM(x, 0), at_once):
            piece = slice(first, first + at_once)
            prelu_backward_of_piece(np.ascontiguousarray(grad[piece]), np.ascontiguousarray(x[piece]), slopes, axis,
                                    grad_x[piece], totals)
    return totals


cdef prelu_backward_of_piece(cnp.ndarray grad, cnp.ndarray x, cnp.ndarray slopes, int axis, cnp.ndarray grad_x,
                             cnp.ndarray totals):
    """Of C-contiguous arrays; adds to totals."""
    cdef PreluCall call
    cdef Py_ssize_t units = lay_out(&call, x, axis), each = call.channels if call.inner == 1 else 1, i
    cdef Block memory = take(units * each * sizeof(double))
    cdef double *sum_of_channel = <double *>cnp.PyArray_DATA(totals)
    call.grad, call.x, call.slopes = cnp.PyArray_DATA(grad), cnp.PyArray_DATA(x), cnp.PyArray_DATA(slopes)
    call.y, call.sums = cnp.PyArray_DATA(grad_x), <double *>memory.data
    cdef int threads = team(cnp.PyArray_SIZE(x) * SIMPLE)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(prelu_backward_unit[float], &call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(prelu_backward_unit[double], &call, units, threads, EVENLY, <double *>NULL, 0)
    for i in range(units * each):
        sum_of_channel[(i if call.inner == 1 else i // call.parts) % call.channels] += call.sums[i]


cdef void prelu_backward_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const PreluCall *call = <const PreluCall *>data
    cdef const floating *grad = <const floating *>call.grad
    cdef const floating *x = <const floating *>call.x
    cdef const floating *slopes = <const floating *>call.slopes
    cdef floating *grad_x = <floating *>call.y
    cdef Py_ssize_t first, channel, start, i, at
    if call.inner == 1:
        first = unit * call.each
        at = first * call.channels
        prelu_pixels_backward(grad + at, x + at, slopes, grad_x + at, min(call.each, call.outer - first), call.channels,
                              call.sums + unit * call.channels)
        return
    start, channel = unit % call.parts * CHUNK, unit // call.parts % call.channels
    first = unit // call.parts // call.channels * call.each
    call.sums[unit] = 0
    for i in range(first, min(call.outer, first + call.each)):
        at = (i * call.channels + channel) * call.inner + start
        call.sums[unit] += prelu_backward_kernel(grad + at, x + at, grad_x + at, min(CHUNK, call.inner - start),
                                                 slopes[channel])
