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


cdef inline void gather(const floating *src, Py_ssize_t step, Py_ssize_t n, floating *dst) noexcept nogil:
    if floating is float:
        kernels.f32.gather(src, step, n, dst)
    else:
        kernels.f64.gather(src, step, n, dst)
