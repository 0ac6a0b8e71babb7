"""The contrast of samples that go through one Fourier transform: src_c/contrast.h says why it matters."""

import numpy as np

from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.runtime.isa cimport kernels

cdef enum:
    BLOCK = 4    # elements of a block, below or beside each other


cdef inline void plane_contrast(const floating *x, Py_ssize_t rows, Py_ssize_t row, Py_ssize_t width, Py_ssize_t step,
                                floating *loudest, floating *quietest) noexcept nogil:
    if floating is float:
        kernels.f32.plane_contrast(x, rows, row, width, step, loudest, quietest)
    else:
        kernels.f64.plane_contrast(x, rows, row, width, step, loudest, quietest)


cdef bint exceeds(const floating[:, ::1] plane, bint down, double most) noexcept nogil:
    cdef Py_ssize_t rows = plane.shape[0], cols = plane.shape[1]
    cdef floating loudest = 0, quietest = INFINITY
    if down and rows >= BLOCK:
        plane_contrast(&plane[0, 0], rows // BLOCK, BLOCK * cols, cols, cols, &loudest, &quietest)
        if rows % BLOCK:
            plane_contrast(&plane[rows - BLOCK, 0], 1, 0, cols, cols, &loudest, &quietest)
    else:
        plane_contrast(&plane[0, 0], rows, cols, cols - BLOCK + 1, 1, &loudest, &quietest)
    return loudest > <floating>(most * most) * quietest


def images_exceeding(const floating[:, :, :, ::1] samples, bint down, double most):
    """Samples (image, plane, row, column) -> for each image, whether in one of its planes a block of pixels is more
    than `most` times as loud as another; zeros are left out. The pixels of a block are one below the other (`down`) or
    side by side."""
    cdef Py_ssize_t image, plane
    result = np.zeros(samples.shape[0], np.bool_)
    cdef char[::1] found = result.view(np.int8)
    with nogil:
        for image in range(samples.shape[0]):
            for plane in range(samples.shape[1]):
                if exceeds(samples[image, plane], down, most):
                    found[image] = 1
                    break
    return result
