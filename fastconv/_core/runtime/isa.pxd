"""The table of the instruction set in use, and its kernels in the precision that the arguments have.

Here are the calls that choose among kernels or change an argument;
those of all others are in calls.pxi: see src_c/declarations.py.
"""
from cython cimport floating

from fastconv._core.runtime.kernels cimport fc_outer_steps, fc_pixel_runs, fc_pixels, fc_product, fc_table

cdef const fc_table *kernels   # set once, when the module is imported

include "calls.pxi"

# A tile of a weight gradient: so many lines of so many scalars by so many vectors.
cdef struct WeightTile:
    int vectors, lines, scalars


cdef inline int vector_length(const floating *unused) noexcept nogil:
    return kernels.f32.vector if floating is float else kernels.f64.vector


cdef inline int tile_rows(const floating *unused) noexcept nogil:
    return kernels.f32.mr if floating is float else kernels.f64.mr


cdef inline int pair_rows(const floating *unused) noexcept nogil:
    return kernels.f32.pair_mr if floating is float else kernels.f64.pair_mr


cdef inline int narrow_rows(const floating *unused) noexcept nogil:
    return kernels.f32.narrow_mr if floating is float else kernels.f64.narrow_mr


cdef inline int dot_most(const floating *unused) noexcept nogil:
    return kernels.f32.dot_most if floating is float else kernels.f64.dot_most


cdef inline void gemm_tile(int vectors, Py_ssize_t m, const fc_product *how, Py_ssize_t depth, const floating *a,
                           const floating *b, floating *c, const floating *bias) noexcept nogil:
    if floating is float:
        kernels.f32.gemm_tile[vectors - 1][m](how, depth, a, b, c, bias)
    else:
        kernels.f64.gemm_tile[vectors - 1][m](how, depth, a, b, c, bias)


cdef inline void outer_tile(int vectors, Py_ssize_t m, const fc_outer_steps *steps, Py_ssize_t depth, const floating *a,
                            const floating *b, floating *c) noexcept nogil:
    if floating is float:
        kernels.f32.outer_tile[vectors - 1][m](steps, depth, a, b, c)
    else:
        kernels.f64.outer_tile[vectors - 1][m](steps, depth, a, b, c)


cdef inline void weight_tile(const WeightTile *tile, const fc_pixel_runs *pixels, const floating *a, const floating *b,
                             floating *c, Py_ssize_t c_line) noexcept nogil:
    if floating is float:
        kernels.f32.weight_tile[tile.vectors - 1][tile.lines - 1][tile.scalars](pixels, a, b, c, c_line)
    else:
        kernels.f64.weight_tile[tile.vectors - 1][tile.lines - 1][tile.scalars](pixels, a, b, c, c_line)


cdef inline void channel_tile(int vectors, int m, const fc_pixels *pixels, const floating *a, const floating *b,
                              floating *c, const floating *bias, const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.channel_tile[vectors - 1][m](pixels, a, b, c, bias, ahead)
    else:
        kernels.f64.channel_tile[vectors - 1][m](pixels, a, b, c, bias, ahead)


cdef inline void group_tile(int m, const fc_pixels *pixels, const floating *a, const floating *b, floating *c,
                            const floating *bias, const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.group_tile[2 * pixels.channels == kernels.f32.vector][m](pixels, a, b, c, bias, ahead)
    else:
        kernels.f64.group_tile[2 * pixels.channels == kernels.f64.vector][m](pixels, a, b, c, bias, ahead)


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


cdef inline double sum_of_run(const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return kernels.f32.sum(x, n)
    else:
        return kernels.f64.sum(x, n)
