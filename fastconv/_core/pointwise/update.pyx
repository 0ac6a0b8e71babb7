"""One step of an optimiser on one parameter, in place: update.h over chunks of contiguous memory and threads."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport pow, sqrt

from fastconv._core.runtime.isa cimport adam, sgd
from fastconv._core.runtime.kernels cimport fc_adam, fc_sgd
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 4096    # elements: param, grad and two moments in double fit into 128 KB of L2


# What the chunks of a step share: n elements, one after the other.
cdef struct UpdateCall:
    const void *rule
    void *param
    const void *grad
    void *velocity    # or NULL
    void *m
    void *v
    Py_ssize_t n


cdef class SgdRule:
    """Stochastic gradient descent, the arguments as PyTorch's."""
    cdef fc_sgd rule

    def __init__(self, double lr, double momentum=0.0, double dampening=0.0, double weight_decay=0.0,
                 bint nesterov=False):
        self.rule.lr, self.rule.momentum, self.rule.dampening = lr, momentum, dampening
        self.rule.weight_decay, self.rule.nesterov = weight_decay, nesterov


cdef class AdamRule:
    """Adam, the arguments as PyTorch's."""
    cdef fc_adam rule
    cdef double lr

    def __init__(self, double lr, tuple betas, double eps, double weight_decay):
        self.lr = lr
        self.rule.beta1, self.rule.beta2 = betas
        self.rule.eps, self.rule.weight_decay = eps, weight_decay


def sgd_step(SgdRule rule, cnp.ndarray param, cnp.ndarray grad, cnp.ndarray velocity, bint first=False):
    """param -= lr * step, C-contiguous arrays of one dtype; velocity is None without momentum, unread with first."""
    cdef UpdateCall call
    rule.rule.first = first
    call.rule, call.param, call.grad = &rule.rule, cnp.PyArray_DATA(param), cnp.PyArray_DATA(grad)
    call.velocity = NULL if velocity is None else cnp.PyArray_DATA(velocity)
    call.n = cnp.PyArray_SIZE(param)
    if cnp.PyArray_TYPE(param) == cnp.NPY_FLOAT:
        descend[float](&call, NULL)
    else:
        descend[double](&call, NULL)


def adam_step(AdamRule rule, cnp.ndarray param, cnp.ndarray grad, cnp.ndarray m, cnp.ndarray v, int count):
    """param -= lr * Adam's step, C-contiguous arrays of one dtype; steps count from 1, m and v begin as zeros."""
    cdef UpdateCall call
    rule.rule.step_size = rule.lr / (1 - pow(rule.rule.beta1, count))
    rule.rule.root = sqrt(1 - pow(rule.rule.beta2, count))
    call.rule, call.param, call.grad = &rule.rule, cnp.PyArray_DATA(param), cnp.PyArray_DATA(grad)
    call.m, call.v, call.n = cnp.PyArray_DATA(m), cnp.PyArray_DATA(v), cnp.PyArray_SIZE(param)
    if cnp.PyArray_TYPE(param) == cnp.NPY_FLOAT:
        adapt[float](&call, NULL)
    else:
        adapt[double](&call, NULL)


cdef descend(const UpdateCall *call, floating *unused):
    cdef int threads = team(call.n * 0.4)
    with nogil:
        in_parallel(sgd_chunk[floating], call, (call.n + CHUNK - 1) // CHUNK, threads, EVENLY, unused, 0)


cdef void sgd_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const UpdateCall *call = <const UpdateCall *>data
    cdef Py_ssize_t at = index * CHUNK
    cdef floating *velocity = NULL
    if call.velocity != NULL:
        velocity = <floating *>call.velocity + at
    sgd(<const fc_sgd *>call.rule, <floating *>call.param + at, <const floating *>call.grad + at, velocity,
        min(CHUNK, call.n - at))


cdef adapt(const UpdateCall *call, floating *unused):
    cdef int threads = team(call.n * 0.6)
    with nogil:
        in_parallel(adam_chunk[floating], call, (call.n + CHUNK - 1) // CHUNK, threads, EVENLY, unused, 0)


cdef void adam_chunk(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const UpdateCall *call = <const UpdateCall *>data
    cdef Py_ssize_t at = index * CHUNK
    adam(<const fc_adam *>call.rule, <floating *>call.param + at, <const floating *>call.grad + at,
         <floating *>call.m + at, <floating *>call.v + at, min(CHUNK, call.n - at))
