"""The gradient of a bias: grad_output summed over images and pixels.

    parallel for channel: for image, row: a vectorised sum, its total kept in double precision
"""

from cython cimport floating
from cython.parallel cimport prange

from fastconv._core cimport threads
from fastconv._core.isa cimport kernels


def bias_gradient(const floating[:, :, :, :] grad_output, floating[::1] grad_bias):
    """grad_bias[k] = the sum of grad_output over images and pixels."""
    cdef Py_ssize_t k, size = sizeof(floating)
    cdef Py_ssize_t images = grad_output.shape[0], filters = grad_output.shape[1]
    cdef Py_ssize_t rows = grad_output.shape[2], cols = grad_output.shape[3]
    cdef Py_ssize_t sn = grad_output.strides[0] // size, sk = grad_output.strides[1] // size
    cdef Py_ssize_t sh = grad_output.strides[2] // size, sw = grad_output.strides[3] // size
    cdef const floating *dy
    if images == 0 or rows == 0 or cols == 0:
        grad_bias[:] = 0
        return
    if sh == cols * sw:
        rows, cols = 1, rows * cols
    cdef int team = threads.team(0.3 * images * filters * rows * cols)
    if filters == 0:
        return
    dy = &grad_output[0, 0, 0, 0]
    for k in prange(filters, num_threads=team, schedule="static", nogil=True):
        grad_bias[k] = <floating>sum_plane(dy + k * sk, images, rows, cols, sn, sh, sw)


cdef double sum_plane(const floating *x, Py_ssize_t images, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t sn, Py_ssize_t sh,
                      Py_ssize_t sw) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t n, h, w
    for n in range(images):
        for h in range(rows):
            if sw == 1:
                if floating is float:
                    total += kernels.f32.sum(x + n * sn + h * sh, cols)
                else:
                    total += kernels.f64.sum(x + n * sn + h * sh, cols)
            else:
                for w in range(cols):
                    total += x[n * sn + h * sh + w * sw]
    return total
