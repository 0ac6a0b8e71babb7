"""Losses of class labels, forward and backward, in one pass over the scores (N, classes).

    parallel for block of rows, of about CHUNK scores: for row: loss, or gradient, by softmax.h

The target of a row is (1 - smoothing) of its label plus smoothing spread over all classes. Losses are added up in
double precision, row by row and then block by block. A row whose scores do not follow each other in memory is copied,
PIECE of them at a time; a label that is no class ends the call.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY, NAN, exp, isinf, log
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.runtime.isa cimport log_sum_exp, softmax_less, sum_of_run
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, mark, team

cnp.import_array()

cdef enum:
    CHUNK = 16384    # scores of a unit, of whole rows
    UNITS = 65536    # about the most, each with a sum: longer ones where there are so many rows
    PIECE = 65536    # scores that are copied at a time

# About the nanoseconds of a score, for the thread policy.
cdef double READING = 0.05, TRANSCENDENTAL = 0.5

# What the units of a call share. Without softmax the scores are log-probabilities. Backward has a weight for each row,
# or one for all, and `grad`, C-contiguous; forward has `losses`, one a row, or `sums`, one a unit.
cdef struct LossCall:
    const void *scores
    const int64_t *target
    Py_ssize_t rows, classes, row_stride, step    # strides in elements
    Py_ssize_t rows_at_once
    bint softmax
    double smoothing
    const void *weights    # [rows], or NULL
    double weight
    void *grad
    void *losses           # [rows], or NULL
    double *sums
    int wrong              # whether a label was no class


cdef LossCall call_of(cnp.ndarray scores, cnp.ndarray target, bint softmax, double smoothing) noexcept:
    cdef LossCall call
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(scores)
    call.scores, call.target = cnp.PyArray_DATA(scores), <const int64_t *>cnp.PyArray_DATA(target)
    call.rows, call.classes = cnp.PyArray_DIM(scores, 0), cnp.PyArray_DIM(scores, 1)
    call.row_stride, call.step = cnp.PyArray_STRIDE(scores, 0) // size, cnp.PyArray_STRIDE(scores, 1) // size
    call.rows_at_once = max(1, max(CHUNK // max(1, call.classes), call.rows // UNITS))
    call.softmax, call.smoothing, call.weight, call.wrong = softmax, smoothing, 0, False
    call.weights = call.grad = call.losses = NULL
    call.sums = NULL
    return call


cdef int threads_of(const LossCall *call, double nanoseconds) noexcept:
    return team(nanoseconds * call.rows * call.classes)


cdef Block row_scratch(const LossCall *call, int threads, Py_ssize_t *length):
    """For rows that must be copied: so many elements a thread, or none."""
    length[0] = 0 if call.step == 1 or call.classes == 1 else min(PIECE, call.classes)
    return take(threads * length[0] * sizeof(double))


# ---------------------------------------------------------------------------------------------------------------------
# Forward


def label_losses(cnp.ndarray scores, cnp.ndarray target, bint softmax, double smoothing):
    """The loss of each row, as scores has it; None where a label is no class. target is C-contiguous int64."""
    cdef LossCall call = call_of(scores, target, softmax, smoothing)
    cdef cnp.ndarray losses = new_array(1, cnp.PyArray_DIMS(scores), cnp.PyArray_TYPE(scores))
    call.losses = cnp.PyArray_DATA(losses)
    run_forward(&call, cnp.PyArray_TYPE(scores))
    return None if call.wrong else losses


def label_loss(cnp.ndarray scores, cnp.ndarray target, bint softmax, double smoothing):
    """The sum of the losses; None where a label is no class."""
    cdef LossCall call = call_of(scores, target, softmax, smoothing)
    cdef Py_ssize_t units = (call.rows + call.rows_at_once - 1) // call.rows_at_once, i
    cdef Block sums = take(units * sizeof(double))
    cdef double total = 0
    call.sums = <double *>sums.data
    run_forward(&call, cnp.PyArray_TYPE(scores))
    for i in range(units):
        total += call.sums[i]
    return None if call.wrong else total


cdef run_forward(LossCall *call, int typenum):
    cdef Py_ssize_t length
    cdef int threads = threads_of(call, TRANSCENDENTAL if call.softmax else READING / call.classes)
    cdef Block scratch = row_scratch(call, threads, &length)
    cdef Py_ssize_t units = (call.rows + call.rows_at_once - 1) // call.rows_at_once
    if typenum == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(loss_unit[float], call, units, threads, EVENLY, <float *>scratch.data, length)
    else:
        with nogil:
            in_parallel(loss_unit[double], call, units, threads, EVENLY, <double *>scratch.data, length)


cdef void loss_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    cdef LossCall *call = <LossCall *>data
    cdef Py_ssize_t first = unit * call.rows_at_once, i
    cdef double loss, total = 0
    for i in range(first, min(call.rows, first + call.rows_at_once)):
        if call.target[i] < 0 or call.target[i] >= call.classes:
            mark(&call.wrong)
            return
        loss = loss_of_row(call, <const floating *>call.scores + i * call.row_stride, call.target[i], scratch)
        total += loss
        if call.losses != NULL:
            (<floating *>call.losses)[i] = <floating>loss
    if call.sums != NULL:
        call.sums[unit] = total


cdef double loss_of_row(const LossCall *call, const floating *x, Py_ssize_t label, floating *scratch) noexcept nogil:
    """-(1 - smoothing) log p[label] - smoothing / classes * the sum of log p."""
    cdef floating top = 0, shift = 0
    cdef double log_p = x[label * call.step], all_classes, logarithm = 0
    cdef bint contiguous = call.step == 1 or call.classes == 1
    if (call.softmax or call.smoothing != 0) and not contiguous and call.classes <= PIECE:
        copy_piece(call, x, 0, scratch)
        x, contiguous = scratch, True
    if call.softmax and contiguous:
        shift = log_sum_exp(x, call.classes, &top)
        log_p = <floating>(<floating>(x[label] - top) - shift)    # to the bit what log-softmax gives
        logarithm = <double>top + shift
    elif call.softmax:
        logarithm = log_sum_exp_of_pieces(call, x, scratch)
        log_p -= logarithm
    if call.smoothing == 0:
        return -log_p
    all_classes = sum_of_run(x, call.classes) if contiguous else sum_of_pieces(call, x, scratch)
    all_classes -= call.classes * logarithm
    return -(1 - call.smoothing) * log_p - call.smoothing / call.classes * all_classes


cdef Py_ssize_t copy_piece(const LossCall *call, const floating *x, Py_ssize_t first, floating *scratch) noexcept nogil:
    """Scores of a row from number `first` on; returns how many."""
    cdef Py_ssize_t i, n = min(PIECE, call.classes - first)
    for i in range(n):
        scratch[i] = x[(first + i) * call.step]
    return n


cdef double log_sum_exp_of_pieces(const LossCall *call, const floating *x, floating *scratch) noexcept nogil:
    cdef Py_ssize_t first = 0, n
    cdef floating top
    cdef double highest = -INFINITY, total = 0, of_piece
    while first < call.classes:
        n = copy_piece(call, x, first, scratch)
        first += n
        of_piece = log_sum_exp(<const floating *>scratch, n, &top)
        of_piece += top
        if isinf(top) and top < 0:    # nothing but -inf, which adds nothing, or NaN
            total += 0 if isinf(sum_of_run(<const floating *>scratch, n)) else NAN
        elif of_piece <= highest:
            total += exp(of_piece - highest)
        else:
            total = total * exp(highest - of_piece) + 1
            highest = of_piece
    return highest + log(total)


cdef double sum_of_pieces(const LossCall *call, const floating *x, floating *scratch) noexcept nogil:
    cdef Py_ssize_t first = 0, n
    cdef double total = 0
    while first < call.classes:
        n = copy_piece(call, x, first, scratch)
        first += n
        total += sum_of_run(<const floating *>scratch, n)
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Backward


def label_loss_backward(cnp.ndarray scores, cnp.ndarray target, bint softmax, double smoothing, double weight,
                        cnp.ndarray weights, cnp.ndarray out=None):
    """weights[i] (softmax(scores[i]) - target of row i), or without softmax weights[i] (0 - target of row i): the
    gradient with respect to the scores; None where a label is no class. weights, C-contiguous, may be None: then it is
    `weight`. The gradient is `out`, C-contiguous."""
    cdef LossCall call = call_of(scores, target, softmax, smoothing)
    cdef cnp.ndarray grad = out
    if out is None:
        grad = new_array(2, cnp.PyArray_DIMS(scores), cnp.PyArray_TYPE(scores))
    call.grad, call.weight = cnp.PyArray_DATA(grad), weight
    call.weights = NULL if weights is None else cnp.PyArray_DATA(weights)
    cdef int threads = threads_of(&call, TRANSCENDENTAL if softmax else READING)
    cdef Py_ssize_t units = (call.rows + call.rows_at_once - 1) // call.rows_at_once
    if cnp.PyArray_TYPE(scores) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(gradient_unit[float], &call, units, threads, EVENLY, <float *>NULL, 0)
    else:
        with nogil:
            in_parallel(gradient_unit[double], &call, units, threads, EVENLY, <double *>NULL, 0)
    return None if call.wrong else grad


cdef void gradient_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef LossCall *call = <LossCall *>data
    cdef Py_ssize_t first = unit * call.rows_at_once, i, j
    cdef const floating *x
    cdef floating *grad
    cdef floating weight = <floating>call.weight, share = <floating>(call.smoothing / call.classes)
    for i in range(first, min(call.rows, first + call.rows_at_once)):
        if call.target[i] < 0 or call.target[i] >= call.classes:
            mark(&call.wrong)
            return
        x, grad = <const floating *>call.scores + i * call.row_stride, <floating *>call.grad + i * call.classes
        if call.weights != NULL:
            weight = (<const floating *>call.weights)[i]
        if call.softmax:
            if call.step != 1 and call.classes != 1:
                for j in range(call.classes):
                    grad[j] = x[j * call.step]
                x = grad
            softmax_less(x, grad, call.classes, weight, share)
        else:
            memset(grad, 0, call.classes * sizeof(floating))
        grad[call.target[i]] -= weight * <floating>(1 - call.smoothing)
