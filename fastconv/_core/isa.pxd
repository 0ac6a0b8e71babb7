from cython cimport floating

from fastconv._core.kernels cimport fc_kernels_f32, fc_kernels_f64, fc_run, fc_table

cdef const fc_table *kernels   # the table in use; set once, when the module is imported

# The kernels of the precision that the arguments have.


cdef inline int vector_length(const floating *unused) noexcept nogil:
    return kernels.f32.vector if floating is float else kernels.f64.vector


cdef inline int tile_rows(const floating *unused) noexcept nogil:
    return kernels.f32.mr if floating is float else kernels.f64.mr


cdef inline void gemm_tile(int vectors, int m, Py_ssize_t depth, const floating *a, const floating *b, floating *c,
                           Py_ssize_t ldc, const floating *bias, int accumulate) noexcept nogil:
    if floating is float:
        kernels.f32.gemm_tile[vectors - 1][m](depth, a, b, c, ldc, bias, accumulate)
    else:
        kernels.f64.gemm_tile[vectors - 1][m](depth, a, b, c, ldc, bias, accumulate)


cdef inline void pack_rows(const floating *src, Py_ssize_t channel_stride, Py_ssize_t channels, const Py_ssize_t *taps,
                           Py_ssize_t n_taps, const fc_run *runs, Py_ssize_t n_runs, floating *dst, Py_ssize_t width,
                           int padded) noexcept nogil:
    if floating is float:
        kernels.f32.pack_rows(src, channel_stride, channels, taps, n_taps, runs, n_runs, dst, width, padded)
    else:
        kernels.f64.pack_rows(src, channel_stride, channels, taps, n_taps, runs, n_runs, dst, width, padded)


cdef inline void transpose(const floating *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, floating *dst,
                           Py_ssize_t step) noexcept nogil:
    if floating is float:
        kernels.f32.transpose(src, rows, n_rows, length, dst, step)
    else:
        kernels.f64.transpose(src, rows, n_rows, length, dst, step)


cdef inline void copy_rows(const floating *src, Py_ssize_t src_stride, Py_ssize_t src_step, Py_ssize_t n_rows,
                           Py_ssize_t length, floating *dst, Py_ssize_t dst_stride) noexcept nogil:
    if floating is float:
        kernels.f32.copy_rows(src, src_stride, src_step, n_rows, length, dst, dst_stride)
    else:
        kernels.f64.copy_rows(src, src_stride, src_step, n_rows, length, dst, dst_stride)


cdef inline void put_tile(const floating *tile, Py_ssize_t width, Py_ssize_t n_rows, const fc_run *runs, Py_ssize_t n_runs,
                          floating *dst, Py_ssize_t row_stride, Py_ssize_t step) noexcept nogil:
    if floating is float:
        kernels.f32.put_tile(tile, width, n_rows, runs, n_runs, dst, row_stride, step)
    else:
        kernels.f64.put_tile(tile, width, n_rows, runs, n_runs, dst, row_stride, step)


cdef inline void get_tile(const floating *src, Py_ssize_t row_stride, Py_ssize_t step, Py_ssize_t n_rows, const fc_run *runs,
                          Py_ssize_t n_runs, floating *tile, Py_ssize_t width) noexcept nogil:
    if floating is float:
        kernels.f32.get_tile(src, row_stride, step, n_rows, runs, n_runs, tile, width)
    else:
        kernels.f64.get_tile(src, row_stride, step, n_rows, runs, n_runs, tile, width)



cdef inline void activation(int kind, const floating *x, floating *y, Py_ssize_t n, double slope) noexcept nogil:
    if floating is float:
        kernels.f32.activation[kind](x, y, n, <floating>slope)
    else:
        kernels.f64.activation[kind](x, y, n, <floating>slope)


cdef inline void activation_backward(int kind, const floating *grad, const floating *v, floating *grad_x, Py_ssize_t n,
                                     double slope) noexcept nogil:
    if floating is float:
        kernels.f32.activation_backward[kind](grad, v, grad_x, n, <floating>slope)
    else:
        kernels.f64.activation_backward[kind](grad, v, grad_x, n, <floating>slope)


cdef inline void softmax_row(const floating *x, floating *y, Py_ssize_t n, bint logarithm) noexcept nogil:
    if floating is float:
        kernels.f32.softmax_row(x, y, n, logarithm)
    else:
        kernels.f64.softmax_row(x, y, n, logarithm)


cdef inline void softmax_row_backward(const floating *grad, const floating *y, floating *grad_x, Py_ssize_t n,
                                      bint logarithm) noexcept nogil:
    if floating is float:
        kernels.f32.softmax_row_backward(grad, y, grad_x, n, logarithm)
    else:
        kernels.f64.softmax_row_backward(grad, y, grad_x, n, logarithm)


cdef inline void softmax_columns(const floating *x, floating *y, Py_ssize_t n, Py_ssize_t step, Py_ssize_t columns,
                                 bint logarithm) noexcept nogil:
    if floating is float:
        kernels.f32.softmax_columns(x, y, n, step, columns, logarithm)
    else:
        kernels.f64.softmax_columns(x, y, n, step, columns, logarithm)


cdef inline void softmax_columns_backward(const floating *grad, const floating *y, floating *grad_x, Py_ssize_t n,
                                          Py_ssize_t step, Py_ssize_t columns, bint logarithm) noexcept nogil:
    if floating is float:
        kernels.f32.softmax_columns_backward(grad, y, grad_x, n, step, columns, logarithm)
    else:
        kernels.f64.softmax_columns_backward(grad, y, grad_x, n, step, columns, logarithm)


cdef inline void sgd(floating *param, const floating *grad, floating *velocity, Py_ssize_t n, double lr, double momentum,
                     double dampening, double weight_decay, bint nesterov, bint first) noexcept nogil:
    if floating is float:
        kernels.f32.sgd(param, grad, velocity, n, lr, momentum, dampening, weight_decay, nesterov, first)
    else:
        kernels.f64.sgd(param, grad, velocity, n, lr, momentum, dampening, weight_decay, nesterov, first)


cdef inline void adam(floating *param, const floating *grad, floating *m, floating *v, Py_ssize_t n, double step_size,
                      double root, double beta1, double beta2, double eps, double weight_decay) noexcept nogil:
    if floating is float:
        kernels.f32.adam(param, grad, m, v, n, step_size, root, beta1, beta2, eps, weight_decay)
    else:
        kernels.f64.adam(param, grad, m, v, n, step_size, root, beta1, beta2, eps, weight_decay)
