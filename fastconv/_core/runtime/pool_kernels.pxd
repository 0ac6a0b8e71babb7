"""The kernels of windows and planes of the instruction set in use, called for either precision: as in isa.pxd."""
from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport fc_down, fc_scatter, fc_window


cdef inline void max_across(const floating *x, const Py_ssize_t *taps, int n_taps, int64_t step, floating *best,
                            void *tap, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.max_across(x, taps, n_taps, <int32_t>step, best, <int32_t *>tap, n)
    else:
        kernels.f64.max_across(x, taps, n_taps, step, best, <int64_t *>tap, n)


cdef inline void sum_across(const floating *x, const Py_ssize_t *taps, int n_taps, floating *sum,
                            Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.sum_across(x, taps, n_taps, sum, n)
    else:
        kernels.f64.sum_across(x, taps, n_taps, sum, n)


cdef inline void max_widen(floating *best, void *tap, Py_ssize_t shift, int64_t step, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.max_widen(best, <int32_t *>tap, shift, <int32_t>step, n)
    else:
        kernels.f64.max_widen(best, <int64_t *>tap, shift, step, n)


cdef inline void sum_widen(const floating *sum, const floating *last, Py_ssize_t shift, floating *wider,
                           Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.sum_widen(sum, last, shift, wider, n)
    else:
        kernels.f64.sum_widen(sum, last, shift, wider, n)


cdef inline void max_down(const fc_down *down, const floating *best, const void *tap, floating *y, int64_t *index,
                          int64_t base, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.max_down(down, best, <const int32_t *>tap, y, index, base, n)
    else:
        kernels.f64.max_down(down, best, <const int64_t *>tap, y, index, base, n)


cdef inline void mean_down(const floating *sum, const Py_ssize_t *rows, int n_rows, floating row_count,
                           const floating *column_counts, floating *y, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.mean_down(sum, rows, n_rows, row_count, column_counts, y, n)
    else:
        kernels.f64.mean_down(sum, rows, n_rows, row_count, column_counts, y, n)


cdef inline void max_2x2(const floating *x, Py_ssize_t row, int64_t width, floating *y, int64_t *index, int64_t base,
                         Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.max_2x2(x, row, <int32_t>width, y, index, base, n)
    else:
        kernels.f64.max_2x2(x, row, width, y, index, base, n)


cdef inline void mean_2x2(const floating *x, Py_ssize_t row, floating *y, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.mean_2x2(x, row, y, n)
    else:
        kernels.f64.mean_2x2(x, row, y, n)


cdef inline int max_2x2_backward(const floating *grad, const int64_t *index, int64_t base, int64_t width,
                                 floating *grad_x, Py_ssize_t row, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return kernels.f32.max_2x2_backward(grad, index, base, <int32_t>width, grad_x, row, n)
    else:
        return kernels.f64.max_2x2_backward(grad, index, base, width, grad_x, row, n)


cdef inline void mean_2x2_backward(const floating *grad, floating *grad_x, Py_ssize_t row, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.mean_2x2_backward(grad, grad_x, row, n)
    else:
        kernels.f64.mean_2x2_backward(grad, grad_x, row, n)


cdef inline int scatter(const fc_scatter *how, const floating *grad, const int64_t *index,
                        floating *grad_x) noexcept nogil:
    if floating is float:
        return kernels.f32.scatter(how, grad, index, grad_x)
    else:
        return kernels.f64.scatter(how, grad, index, grad_x)


cdef inline void spread_row(const floating *grad, Py_ssize_t step, floating row_count, const floating *column_counts,
                            floating *dst, Py_ssize_t stride, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.spread_row(grad, step, row_count, column_counts, dst, stride, n)
    else:
        kernels.f64.spread_row(grad, step, row_count, column_counts, dst, stride, n)


cdef inline void max_channels(const fc_window *window, const floating *x, Py_ssize_t rows, Py_ssize_t columns,
                              floating *y, int64_t *index, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.max_channels(window, x, rows, columns, y, index, n)
    else:
        kernels.f64.max_channels(window, x, rows, columns, y, index, n)


cdef inline void mean_channels(const fc_window *window, const floating *x, Py_ssize_t rows, Py_ssize_t columns,
                               floating *y, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.mean_channels(window, x, rows, columns, y, n)
    else:
        kernels.f64.mean_channels(window, x, rows, columns, y, n)


cdef inline void spread_channels(const fc_window *window, const floating *grad, floating *grad_x, Py_ssize_t rows,
                                 Py_ssize_t columns, int add, Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.spread_channels(window, grad, grad_x, rows, columns, add, n)
    else:
        kernels.f64.spread_channels(window, grad, grad_x, rows, columns, add, n)


cdef inline int max_channels_backward(const fc_window *window, const floating *grad, const int64_t *index,
                                      floating *grad_x, Py_ssize_t rows, Py_ssize_t columns,
                                      Py_ssize_t n) noexcept nogil:
    if floating is float:
        return kernels.f32.max_channels_backward(window, grad, index, grad_x, rows, columns, n)
    else:
        return kernels.f64.max_channels_backward(window, grad, index, grad_x, rows, columns, n)


cdef inline floating max_of_run(const floating *x, Py_ssize_t n, Py_ssize_t *position) noexcept nogil:
    if floating is float:
        return kernels.f32.max_of_run(x, n, position)
    else:
        return kernels.f64.max_of_run(x, n, position)


cdef inline void max_of_planes(const floating *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes, floating *y,
                               int64_t *index) noexcept nogil:
    if floating is float:
        kernels.f32.max_of_planes(x, plane, n, planes, y, index)
    else:
        kernels.f64.max_of_planes(x, plane, n, planes, y, index)


cdef inline void mean_of_planes(const floating *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes,
                                floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.mean_of_planes(x, plane, n, planes, y)
    else:
        kernels.f64.mean_of_planes(x, plane, n, planes, y)
