"""Activations, softmax and the losses of class labels: the loops over threads around elementwise.h and softmax.h.

Arrays are walked in chunks of CHUNK elements, softmax in rows or blocks of columns; neither depends on the number of
threads. What is not C-contiguous is copied into the result first and worked on in place: no second full-size buffer.
Losses are added up in double precision, row after row.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange
from libc.stdint cimport int64_t

from fastconv._core.isa cimport (
    activation as activation_kernel, activation_backward as activation_backward_kernel, softmax_columns,
    softmax_columns_backward, softmax_row, softmax_row_backward,
)
from fastconv._core.kernels cimport FC_LEAKY_RELU, FC_RELU, FC_SIGMOID, FC_TANH
from fastconv._core.threads cimport team

from fastconv._core.memory import empty

cdef enum:
    CHUNK = 16384        # elements: two arrays of 64 KB stay in L2
    COLUMNS = 64         # columns of one unit of softmax: one or a few lines of each row

# About the nanoseconds of an element, for the thread policy.
cdef double SIMPLE = 0.15, TRANSCENDENTAL = 0.6


# The kinds of activation, for Python.
RELU, LEAKY_RELU, SIGMOID, TANH = FC_RELU, FC_LEAKY_RELU, FC_SIGMOID, FC_TANH


def _into_result(x):
    """An array like x to write the result to, and where to read x: from the result itself where x is not contiguous."""
    y = empty(x.shape, x.dtype)
    if x.flags.c_contiguous:
        return y, x
    np.copyto(y, x)
    return y, y


def activation(x, int kind, double slope=0.0):
    """y = f(x) of an array of any shape and strides; kind is FC_RELU, ... of kernels.h."""
    y, source = _into_result(x)
    if x.dtype == np.float32:
        activate[float](source.reshape(-1), y.reshape(-1), kind, slope)
    else:
        activate[double](source.reshape(-1), y.reshape(-1), kind, slope)
    return y


cdef activate(const floating[::1] x, floating[::1] y, int kind, double slope):
    cdef Py_ssize_t n = x.shape[0], chunks = (n + CHUNK - 1) // CHUNK, i, at
    cdef int threads = team(n * (SIMPLE if kind == FC_RELU or kind == FC_LEAKY_RELU else TRANSCENDENTAL))
    for i in prange(chunks, nogil=True, num_threads=threads, schedule="static"):
        at = i * CHUNK
        activation_kernel(kind, &x[at], &y[at], min(CHUNK, n - at), slope)


def activation_backward(grad, v, int kind, double slope=0.0):
    """grad_x = grad f'(x); v is x for (leaky) ReLU, y = f(x) for sigmoid and tanh."""
    grad_x, source = _into_result(grad)
    v = np.ascontiguousarray(v)
    if grad.dtype == np.float32:
        activate_backward[float](source.reshape(-1), v.reshape(-1), grad_x.reshape(-1), kind, slope)
    else:
        activate_backward[double](source.reshape(-1), v.reshape(-1), grad_x.reshape(-1), kind, slope)
    return grad_x


cdef activate_backward(const floating[::1] grad, const floating[::1] v, floating[::1] grad_x, int kind, double slope):
    cdef Py_ssize_t n = grad.shape[0], chunks = (n + CHUNK - 1) // CHUNK, i, at
    cdef int threads = team(n * SIMPLE)
    for i in prange(chunks, nogil=True, num_threads=threads, schedule="static"):
        at = i * CHUNK
        activation_backward_kernel(kind, &grad[at], &v[at], &grad_x[at], min(CHUNK, n - at), slope)


# ---------------------------------------------------------------------------------------------------------------------
# Softmax: an array is (outer, n, inner), n being the axis.


def _around(array, int axis):
    shape = array.shape
    outer = inner = 1
    for size in shape[:axis]:
        outer *= size
    for size in shape[axis + 1:]:
        inner *= size
    return array.reshape(outer, shape[axis], inner)


def softmax(x, int axis, bint logarithm):
    """Softmax or log-softmax along an axis counted from 0."""
    y, source = _into_result(x)
    if x.size:
        if x.dtype == np.float32:
            normalise[float](_around(source, axis), _around(y, axis), logarithm)
        else:
            normalise[double](_around(source, axis), _around(y, axis), logarithm)
    return y


cdef normalise(const floating[:, :, ::1] x, floating[:, :, ::1] y, bint logarithm):
    cdef Py_ssize_t outer = x.shape[0], n = x.shape[1], inner = x.shape[2], blocks = (inner + COLUMNS - 1) // COLUMNS
    cdef Py_ssize_t unit, o, i
    cdef int threads = team(2 * TRANSCENDENTAL * outer * n * inner)
    for unit in prange(outer * blocks, nogil=True, num_threads=threads, schedule="static"):
        o = unit // blocks
        i = unit % blocks * COLUMNS
        if inner == 1:
            softmax_row(&x[o, 0, 0], &y[o, 0, 0], n, logarithm)
        else:
            softmax_columns(&x[o, 0, i], &y[o, 0, i], n, inner, min(COLUMNS, inner - i), logarithm)


def softmax_backward(grad, y, int axis, bint logarithm):
    """grad_x of softmax or log-softmax from its result y."""
    grad_x, source = _into_result(grad)
    y = np.ascontiguousarray(y)
    if grad.size:
        if grad.dtype == np.float32:
            normalise_backward[float](_around(source, axis), _around(y, axis), _around(grad_x, axis), logarithm)
        else:
            normalise_backward[double](_around(source, axis), _around(y, axis), _around(grad_x, axis), logarithm)
    return grad_x


cdef normalise_backward(const floating[:, :, ::1] grad, const floating[:, :, ::1] y, floating[:, :, ::1] grad_x,
                        bint logarithm):
    cdef Py_ssize_t outer = y.shape[0], n = y.shape[1], inner = y.shape[2], blocks = (inner + COLUMNS - 1) // COLUMNS
    cdef Py_ssize_t unit, o, i
    cdef int threads = team(TRANSCENDENTAL * outer * n * inner)
    for unit in prange(outer * blocks, nogil=True, num_threads=threads, schedule="static"):
        o = unit // blocks
        i = unit % blocks * COLUMNS
        if inner == 1:
            softmax_row_backward(&grad[o, 0, 0], &y[o, 0, 0], &grad_x[o, 0, 0], n, logarithm)
        else:
            softmax_columns_backward(&grad[o, 0, i], &y[o, 0, i], &grad_x[o, 0, i], n, inner, min(COLUMNS, inner - i),
                                         logarithm)


# ---------------------------------------------------------------------------------------------------------------------
# Losses of class labels. The target of a row is (1 - smoothing) of its label plus smoothing spread over all classes.


def label_loss(log_probs, const int64_t[::1] target, double smoothing):
    """loss[i] = -sum_j target[i, j] log_probs[i, j], as float64."""
    loss = np.empty(log_probs.shape[0])
    if log_probs.dtype == np.float32:
        add_losses[float](log_probs, target, smoothing, loss)
    else:
        add_losses[double](log_probs, target, smoothing, loss)
    return loss


cdef add_losses(const floating[:, :] log_probs, const int64_t[::1] target, double smoothing, double[::1] loss):
    cdef Py_ssize_t i, j, n = log_probs.shape[0], classes = log_probs.shape[1]
    cdef double all_classes
    for i in range(n):
        loss[i] = -(1 - smoothing) * log_probs[i, target[i]]
        if smoothing != 0:
            all_classes = 0
            for j in range(classes):
                all_classes += log_probs[i, j]
            loss[i] -= smoothing / classes * all_classes


def label_loss_backward(scores, const int64_t[::1] target, const double[::1] weight, double smoothing):
    """scores[i] = weight[i] (scores[i] - target of row i), in place: softmax makes it cross-entropy's gradient, zeros nll's."""
    if scores.dtype == np.float32:
        subtract_targets[float](scores, target, weight, smoothing)
    else:
        subtract_targets[double](scores, target, weight, smoothing)


cdef subtract_targets(floating[:, ::1] scores, const int64_t[::1] target, const double[::1] weight, double smoothing):
    cdef Py_ssize_t i, j, n = scores.shape[0], classes = scores.shape[1]
    cdef floating factor, share = <floating>(smoothing / classes)
    for i in range(n):
        scores[i, target[i]] -= <floating>(1 - smoothing)
        factor = <floating>weight[i]
        for j in range(classes):
            scores[i, j] = factor * (scores[i, j] - share)
