"""One step of an optimiser on one parameter, in place: update.h over chunks of contiguous memory and threads."""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport pow, sqrt

from fastconv._core.runtime.isa cimport adam as adam_kernel, sgd as sgd_kernel
from fastconv._core.runtime.threads cimport team

cdef enum:
    CHUNK = 4096    # elements: param, grad and two moments in double fit into 128 KB of L2


def sgd_step(param, grad, velocity, double lr, double momentum=0.0, double dampening=0.0, double weight_decay=0.0,
             bint nesterov=False, bint first=False):
    """param -= lr * step, C-contiguous arrays of one dtype; velocity is None without momentum, unread with first."""
    args = (param.reshape(-1), grad.reshape(-1), None if velocity is None else velocity.reshape(-1))
    if param.dtype == np.float32:
        sgd[float](*args, lr, momentum, dampening, weight_decay, nesterov, first)
    else:
        sgd[double](*args, lr, momentum, dampening, weight_decay, nesterov, first)


cdef sgd(floating[::1] param, const floating[::1] grad, floating[::1] velocity, double lr, double momentum,
         double dampening, double weight_decay, bint nesterov, bint first):
    cdef Py_ssize_t n = param.shape[0], chunks = (n + CHUNK - 1) // CHUNK, i, at, length
    cdef bint has_velocity = velocity is not None
    cdef floating *speed
    cdef int threads = team(n * 0.4)
    for i in prange(chunks, nogil=True, num_threads=threads, schedule="static"):
        at = i * CHUNK
        length = min(CHUNK, n - at)
        speed = &velocity[at] if has_velocity else NULL
        sgd_kernel(&param[at], &grad[at], speed, length, lr, momentum, dampening, weight_decay, nesterov, first)


def adam_step(param, grad, m, v, double lr, double beta1, double beta2, double eps, double weight_decay, int step):
    """param -= lr * Adam's step, C-contiguous arrays of one dtype; step counts from 1, m and v begin as zeros."""
    cdef double size = lr / (1 - pow(beta1, step)), root = sqrt(1 - pow(beta2, step))
    args = (param.reshape(-1), grad.reshape(-1), m.reshape(-1), v.reshape(-1))
    if param.dtype == np.float32:
        adam[float](*args, size, root, beta1, beta2, eps, weight_decay)
    else:
        adam[double](*args, size, root, beta1, beta2, eps, weight_decay)


cdef adam(floating[::1] param, const floating[::1] grad, floating[::1] m, floating[::1] v, double size, double root,
          double beta1, double beta2, double eps, double weight_decay):
    cdef Py_ssize_t n = param.shape[0], chunks = (n + CHUNK - 1) // CHUNK, i, at, length
    cdef int threads = team(n * 0.6)
    for i in prange(chunks, nogil=True, num_threads=threads, schedule="static"):
        at = i * CHUNK
        length = min(CHUNK, n - at)
        adam_kernel(&param[at], &grad[at], &m[at], &v[at], length, size, root, beta1, beta2, eps, weight_decay)
