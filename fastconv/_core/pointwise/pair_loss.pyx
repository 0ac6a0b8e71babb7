"""Losses of pairs of numbers, forward and backward: the loops over threads around pair_loss.h.

    parallel for chunk of CHUNK pairs: their losses, the sum of these, or the gradient with respect to the first of each

Sums are added up in double precision, chunk by chunk and in order. What is not C-contiguous, as weights that are seen
through broadcasting, is copied piece by piece.
"""

import numpy as np

cimport numpy as cnp
from cython cimport floating

from fastconv._core.pointwise.elementwise import pieces

from fastconv._core.runtime.isa cimport (
    pair_loss as pair_loss_kernel, pair_loss_backward as pair_loss_backward_kernel,
)
from fastconv._core.runtime.kernels cimport FC_ABSOLUTE, FC_HUBER, FC_LOGISTIC, FC_SQUARED, fc_pair_loss
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 8192           # pairs: four arrays of 32 KB stay in L2
    PIECE = 1 << 17        # pairs of which an argument is copied at a time
    UNITS = 65536          # about the most of a call, each with a sum: longer ones where there are so many pairs

# About the nanoseconds of a pair, for the thread policy.
cdef double SIMPLE = 0.2, TRANSCENDENTAL = 1.0

# The kinds of loss, for Python.
SQUARED, ABSOLUTE, HUBER, LOGISTIC = FC_SQUARED, FC_ABSOLUTE, FC_HUBER, FC_LOGISTIC

# What the units of a call share: forward has `sums` and may have `result`, backward has `result` and may have `grad`.
cdef struct PairLossCall:
    const void *x
    const void *target
    const void *grad
    void *result
    double *sums
    Py_ssize_t n, length    # of a unit
    int kind
    fc_pair_loss how


cdef class PairLoss:
    """A kind of loss with its numbers, see pair_loss.h, and for LOGISTIC the weights, in the shape of x, or None."""
    cdef int kind
    cdef fc_pair_loss how
    cdef readonly object weight, pos_weight

    def __init__(self, int kind, double delta=0.0, double scale=1.0, double slope=1.0, weight=None, pos_weight=None):
        self.kind, self.weight, self.pos_weight = kind, weight, pos_weight
        self.how.delta, self.how.scale, self.how.slope = delta, scale, slope
        self.how.weight = self.how.pos_weight = NULL
        self.how.share = 1


cdef bint contiguous(object array):
    return array is None or cnp.PyArray_CHKFLAGS(<cnp.ndarray>array, cnp.NPY_ARRAY_C_CONTIGUOUS)


cdef object piece_of(object array, object piece):
    return None if array is None else np.ascontiguousarray(array[piece])


def total(PairLoss loss not None, cnp.ndarray x, cnp.ndarray target, cnp.ndarray losses):
    """The sum of the losses, each of which goes to losses, C-contiguous, where that is not None."""
    cdef double found = 0
    if contiguous(x) and contiguous(target) and contiguous(loss.weight) and contiguous(loss.pos_weight):
        return total_of_piece(loss, x, target, losses, loss.weight, loss.pos_weight)
    for piece in pieces((<object>x).shape, PIECE):
        found += total_of_piece(loss, piece_of(x, piece), piece_of(target, piece),
                                None if losses is None else losses[piece], piece_of(loss.weight, piece),
                                piece_of(loss.pos_weight, piece))
    return found


cdef double total_of_piece(PairLoss loss, cnp.ndarray x, cnp.ndarray target, cnp.ndarray losses, cnp.ndarray weight,
                           cnp.ndarray pos_weight) except? -1:
    """The same of C-contiguous arrays."""
    cdef PairLossCall call = call_of(loss, x, target, weight, pos_weight)
    cdef Py_ssize_t units = (call.n + call.length - 1) // call.length, i
    cdef Block sums = take(units * sizeof(double))
    cdef double found = 0
    call.result, call.sums = NULL if losses is None else cnp.PyArray_DATA(losses), <double *>sums.data
    run(&call, cnp.PyArray_TYPE(x))
    for i in range(units):
        found += call.sums[i]
    return found


def gradient(PairLoss loss not None, cnp.ndarray x, cnp.ndarray target, double share, cnp.ndarray grad,
             cnp.ndarray grad_x):
    """The gradient with respect to x, times grad, in the shape of x, or times share where that is None, to grad_x,
    C-contiguous, or a new array where that is None."""
    if grad_x is None:
        grad_x = new_array(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    if (contiguous(x) and contiguous(target) and contiguous(grad) and contiguous(loss.weight)
            and contiguous(loss.pos_weight)):
        gradient_of_piece(loss, x, target, share, grad, grad_x, (loss.weight, loss.pos_weight))
        return grad_x
    for piece in pieces((<object>x).shape, PIECE):
        weights = piece_of(loss.weight, piece), piece_of(loss.pos_weight, piece)
        gradient_of_piece(loss, piece_of(x, piece), piece_of(target, piece), share, piece_of(grad, piece),
                          grad_x[piece], weights)
    return grad_x


cdef gradient_of_piece(PairLoss loss, cnp.ndarray x, cnp.ndarray target, double share, cnp.ndarray grad,
                       cnp.ndarray grad_x, tuple weights):
    """The same of C-contiguous arrays."""
    cdef PairLossCall call = call_of(loss, x, target, weights[0], weights[1])
    call.how.share = share
    call.grad, call.result = NULL if grad is None else cnp.PyArray_DATA(grad), cnp.PyArray_DATA(grad_x)
    run(&call, cnp.PyArray_TYPE(x))


cdef PairLossCall call_of(PairLoss loss, cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight,
                          cnp.ndarray pos_weight) noexcept:
    cdef PairLossCall call
    call.x, call.target, call.n = cnp.PyArray_DATA(x), cnp.PyArray_DATA(target), cnp.PyArray_SIZE(x)
    call.length, call.kind, call.how = max(CHUNK, call.n // UNITS), loss.kind, loss.how
    call.how.weight = NULL if weight is None else cnp.PyArray_DATA(weight)
    call.how.pos_weight = NULL if pos_weight is None else cnp.PyArray_DATA(pos_weight)
    call.grad = call.result = NULL
    call.sums = NULL
    return call


cdef run(PairLossCall *call, int typenum):
    cdef int threads = team(call.n * (TRANSCENDENTAL if call.kind == FC_LOGISTIC else SIMPLE))
    cdef Py_ssize_t units = (call.n + call.length - 1) // call.length
    if typenum == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(pair_loss_unit[float], call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(pair_loss_unit[double], call, units, threads, EVENLY, <double *>NULL, 0)


cdef void pair_loss_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const PairLossCall *call = <const PairLossCall *>data
    cdef Py_ssize_t at = unit * call.length, n = min(call.length, call.n - at)
    cdef const floating *x = <const floating *>call.x + at
    cdef const floating *target = <const floating *>call.target + at
    cdef const floating *grad = NULL if call.grad == NULL else <const floating *>call.grad + at
    cdef floating *result = NULL if call.result == NULL else <floating *>call.result + at
    cdef fc_pair_loss how = call.how
    if how.weight != NULL:
        how.weight = <const floating *>how.weight + at
    if how.pos_weight != NULL:
        how.pos_weight = <const floating *>how.pos_weight + at
    if call.sums != NULL:
        call.sums[unit] = pair_loss_kernel(call.kind, &how, x, target, result, n)
    else:
        pair_loss_backward_kernel(call.kind, &how, x, target, grad, result, n)
