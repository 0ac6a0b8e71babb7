"""What is added to what lies in memory already: to the kernel, a sum of one row with a weight of one."""
from cython cimport floating

from fastconv._core.problem.problem cimport Problem, activate
from fastconv._core.runtime.isa cimport sum_rows
from fastconv._core.runtime.kernels cimport fc_row_sums


cdef inline void add_run(Py_ssize_t n, const floating *a, floating *y) noexcept nogil:
    """y += a."""
    cdef floating one = 1
    cdef fc_row_sums single
    single.a_row = single.a_step = single.b = single.c = 0
    single.terms = NULL
    sum_rows(1, &single, 1, <const floating *>&one, a, n, <const floating *>NULL, y, True)


cdef inline void add_pixels(const Problem *p, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t channels,
                            const floating *src, Py_ssize_t step, floating *y) noexcept nogil:
    """Adds rows x cols pixels, step elements apart, to those of y, whose channels follow each other; then the
    activation."""
    cdef Py_ssize_t row, col
    cdef floating *pixel
    for row in range(rows):
        for col in range(cols):
            pixel = y + row * p.yh + col * p.yw
            add_run(channels, src, pixel)
            if p.activation:
                activate(p.activation, pixel, channels, p.slope)
            src += step
