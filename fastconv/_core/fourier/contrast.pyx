"""The contrast of samples that go through one Fourier transform: src_c/contrast.h says why it matters."""

import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY

from fastconv._core.runtime.isa cimport plane_contrast

cnp.import_array()

cdef enum:
    BLOCK = 4    # elements of a block, below or beside each other


cdef bint exceeds(const floating *plane, Py_ssize_t rows, Py_ssize_t cols, bint down, double most) noexcept nogil:
    cdef floating loudest = 0, quietest = INFINITY
    if down and rows >= BLOCK:
        plane_contrast(plane, rows // BLOCK, BLOCK * cols, cols, cols, &loudest, &quietest)
        if rows % BLOCK:
            plane_contrast(plane + (rows - BLOCK) * cols, 1, 0, cols, cols, &loudest, &quietest)
    else:
        plane_contrast(plane, rows, cols, cols - BLOCK + 1, 1, &loudest, &quietest)
    return loudest > <floating>(most * most) * quietest


cdef bint any_exceeds(const floating *planes, const cnp.npy_intp *shape, bint down, double most) noexcept nogil:
    """Of the planes of one image."""
    cdef Py_ssize_t plane
    for plane in range(shape[1]):
        if exceeds(planes + plane * shape[2] * shape[3], shape[2], shape[3], down, most):
            return True
    return False


def images_exceeding(cnp.ndarray samples, bint down, double most):
    """Samples (image, plane, row, column), C-contiguous -> for each image, whether in one of its planes a block
    of pixels is more than `most` times as loud as another; zeros are left out. The pixels of a block are one below the
    other (`down`) or side by side."""
    cdef Py_ssize_t image, images = cnp.PyArray_DIM(samples, 0)
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(samples)
    cdef Py_ssize_t size = shape[1] * shape[2] * shape[3]
    cdef bint single = cnp.PyArray_TYPE(samples) == cnp.NPY_FLOAT
    cdef const void *data = cnp.PyArray_DATA(samples)
    cdef cnp.ndarray result = np.zeros(images, np.bool_)
    cdef char *found = <char *>cnp.PyArray_DATA(result)
    with nogil:
        for image in range(images):
            if single:
                found[image] = any_exceeds(<const float *>data + image * size, shape, down, most)
            else:
                found[image] = any_exceeds(<const double *>data + image * size, shape, down, most)
    return result
