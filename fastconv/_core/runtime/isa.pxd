from cython cimport floating

from fastconv._core.runtime.kernels cimport (
    fc_adam, fc_band_rows, fc_outer_steps, fc_pixel_block, fc_pixel_rows, fc_pixel_runs, fc_pixels, fc_plane_block,
    fc_product, fc_row_strides, fc_row_sums, fc_run, fc_sgd, fc_slide, fc_table, fc_taps,
)

cdef const fc_table *kernels   # the table in use; set once, when the module is imported

# The kernels of the precision that the arguments have.


cdef inline int vector_length(const floating *unused) noexcept nogil:
    return kernels.f32.vector if floating is float else kernels.f64.vector


cdef inline int tile_rows(const floating *unused) noexcept nogil:
    return kernels.f32.mr if floating is float else kernels.f64.mr


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


# A tile of a weight gradient: so many lines of so many scalars by so many vectors.
cdef struct WeightTile:
    int vectors, lines, scalars


cdef inline void weight_tile(const WeightTile *tile, const fc_pixel_runs *pixels, const floating *a, const floating *b,
                             floating *c, Py_ssize_t c_line) noexcept nogil:
    if floating is float:
        kernels.f32.weight_tile[tile.vectors - 1][tile.lines - 1][tile.scalars](pixels, a, b, c, c_line)
    else:
        kernels.f64.weight_tile[tile.vectors - 1][tile.lines - 1][tile.scalars](pixels, a, b, c, c_line)


cdef inline int dot_most(const floating *unused) noexcept nogil:
    return kernels.f32.dot_most if floating is float else kernels.f64.dot_most


cdef inline void dot_rows(int m, const fc_row_strides *rows, Py_ssize_t depth, const floating *a, const floating *b,
                          Py_ssize_t n, const floating *bias, floating *c) noexcept nogil:
    if floating is float:
        kernels.f32.dot_rows[m](rows, depth, a, b, n, bias, c)
    else:
        kernels.f64.dot_rows[m](rows, depth, a, b, n, bias, c)


cdef inline void sum_rows(int m, const fc_row_sums *rows, Py_ssize_t depth, const floating *a, const floating *b,
                          Py_ssize_t n, floating *c, bint accumulate) noexcept nogil:
    if floating is float:
        kernels.f32.sum_rows[m](rows, depth, a, b, n, c, accumulate)
    else:
        kernels.f64.sum_rows[m](rows, depth, a, b, n, c, accumulate)


cdef inline void pack_rows(const fc_taps *rows, const floating *src, const fc_run *runs, Py_ssize_t n_runs,
                           floating *dst, Py_ssize_t width, int padded) noexcept nogil:
    if floating is float:
        kernels.f32.pack_rows(rows, src, runs, n_runs, dst, width, padded)
    else:
        kernels.f64.pack_rows(rows, src, runs, n_runs, dst, width, padded)


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


cdef inline void put_tile(const floating *tile, Py_ssize_t width, Py_ssize_t n_rows, const fc_run *runs,
                          Py_ssize_t n_runs, floating *dst, Py_ssize_t row_stride, Py_ssize_t step) noexcept nogil:
    if floating is float:
        kernels.f32.put_tile(tile, width, n_rows, runs, n_runs, dst, row_stride, step)
    else:
        kernels.f64.put_tile(tile, width, n_rows, runs, n_runs, dst, row_stride, step)


cdef inline void get_tile(const floating *src, Py_ssize_t row_stride, Py_ssize_t step, Py_ssize_t n_rows,
                          const fc_run *runs, Py_ssize_t n_runs, floating *tile, Py_ssize_t width) noexcept nogil:
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


cdef inline floating log_sum_exp(const floating *x, Py_ssize_t n, floating *top) noexcept nogil:
    if floating is float:
        return kernels.f32.log_sum_exp(x, n, top)
    else:
        return kernels.f64.log_sum_exp(x, n, top)


cdef inline void softmax_less(const floating *x, floating *y, Py_ssize_t n, floating weight,
                              floating share) noexcept nogil:
    if floating is float:
        kernels.f32.softmax_less(x, y, n, weight, share)
    else:
        kernels.f64.softmax_less(x, y, n, weight, share)


cdef inline void sgd(const fc_sgd *rule, floating *param, const floating *grad, floating *velocity,
                     Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.sgd(rule, param, grad, velocity, n)
    else:
        kernels.f64.sgd(rule, param, grad, velocity, n)


cdef inline void adam(const fc_adam *rule, floating *param, const floating *grad, floating *m, floating *v,
                      Py_ssize_t n) noexcept nogil:
    if floating is float:
        kernels.f32.adam(rule, param, grad, m, v, n)
    else:
        kernels.f64.adam(rule, param, grad, m, v, n)


cdef inline void to_lanes(const floating *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, floating *dst,
                          const Py_ssize_t *at) noexcept nogil:
    if floating is float:
        kernels.f32.to_lanes(src, rows, n_rows, length, dst, at)
    else:
        kernels.f64.to_lanes(src, rows, n_rows, length, dst, at)


cdef inline void from_lanes(const floating *src, Py_ssize_t step, Py_ssize_t length, floating *dst,
                            const Py_ssize_t *rows, int n_rows) noexcept nogil:
    if floating is float:
        kernels.f32.from_lanes(src, step, length, dst, rows, n_rows)
    else:
        kernels.f64.from_lanes(src, step, length, dst, rows, n_rows)


cdef inline void split_pixels(const floating *src, Py_ssize_t step, Py_ssize_t pixels, Py_ssize_t channels,
                              floating *dst, Py_ssize_t dst_step, Py_ssize_t block_stride) noexcept nogil:
    if floating is float:
        kernels.f32.split_pixels(src, step, pixels, channels, dst, dst_step, block_stride)
    else:
        kernels.f64.split_pixels(src, step, pixels, channels, dst, dst_step, block_stride)


cdef inline void join_pixels(const floating *src, Py_ssize_t step, Py_ssize_t pixels, int channels, floating *dst,
                             Py_ssize_t dst_step) noexcept nogil:
    if floating is float:
        kernels.f32.join_pixels(src, step, pixels, channels, dst, dst_step)
    else:
        kernels.f64.join_pixels(src, step, pixels, channels, dst, dst_step)


cdef inline int pair_rows(const floating *unused) noexcept nogil:
    return kernels.f32.pair_mr if floating is float else kernels.f64.pair_mr


cdef inline void channel_tile(int vectors, int m, const fc_pixels *pixels, const floating *a, const floating *b,
                              floating *c, const floating *bias, const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.channel_tile[vectors - 1][m](pixels, a, b, c, bias, ahead)
    else:
        kernels.f64.channel_tile[vectors - 1][m](pixels, a, b, c, bias, ahead)


cdef inline void channel_tile_pair(int m, const fc_pixels *pixels, const floating *a, const floating *b, floating *c,
                                   const floating *bias, const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.channel_tile_pair[m](pixels, a, b, c, bias, ahead)
    else:
        kernels.f64.channel_tile_pair[m](pixels, a, b, c, bias, ahead)


cdef inline void group_tile(int m, const fc_pixels *pixels, const floating *a, const floating *b, floating *c,
                            const floating *bias, const floating *ahead) noexcept nogil:
    if floating is float:
        kernels.f32.group_tile[2 * pixels.channels == kernels.f32.vector][m](pixels, a, b, c, bias, ahead)
    else:
        kernels.f64.group_tile[2 * pixels.channels == kernels.f64.vector][m](pixels, a, b, c, bias, ahead)


cdef inline double sum_of_run(const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return kernels.f32.sum(x, n)
    else:
        return kernels.f64.sum(x, n)


cdef inline void band_copy(const fc_band_rows *how, const floating *src, floating value, floating *band) noexcept nogil:
    if floating is float:
        kernels.f32.band_copy(how, src, value, band)
    else:
        kernels.f64.band_copy(how, src, value, band)


cdef inline void band_split(const fc_band_rows *how, const floating *src, floating value,
                            floating *band) noexcept nogil:
    if floating is float:
        kernels.f32.band_split(how, src, value, band)
    else:
        kernels.f64.band_split(how, src, value, band)


cdef inline void band_gather(const fc_band_rows *how, const floating *src, floating value,
                             floating *band) noexcept nogil:
    if floating is float:
        kernels.f32.band_gather(how, src, value, band)
    else:
        kernels.f64.band_gather(how, src, value, band)


cdef inline void depthwise(int stride, int size, const fc_plane_block *block, const floating *band, const floating *w,
                           floating bias, floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise[stride][size](block, band, w, bias, y)
    else:
        kernels.f64.depthwise[stride][size](block, band, w, bias, y)


cdef inline void depthwise_tall(const fc_plane_block *block, const floating *band, const floating *w, floating bias,
                                floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_tall(block, band, w, bias, y)
    else:
        kernels.f64.depthwise_tall(block, band, w, bias, y)


cdef inline void depthwise_pair(const fc_plane_block *block, Py_ssize_t n_even, const floating *band, const floating *w,
                                floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_pair(block, n_even, band, w, y)
    else:
        kernels.f64.depthwise_pair(block, n_even, band, w, y)


cdef inline void depthwise_weight(int stride, int size, const fc_plane_block *block, const floating *band,
                                  const floating *dy, floating *sums) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_weight[stride][size](block, band, dy, sums)
    else:
        kernels.f64.depthwise_weight[stride][size](block, band, dy, sums)


cdef inline void depthwise_weight_sum(const floating *sums, Py_ssize_t n_taps, floating *out) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_weight_sum(sums, n_taps, out)
    else:
        kernels.f64.depthwise_weight_sum(sums, n_taps, out)


cdef inline int pack_filters(const floating *w, Py_ssize_t filter, int n, Py_ssize_t taps, floating *packed,
                             Py_ssize_t step) noexcept nogil:
    if floating is float:
        return kernels.f32.pack_filters(w, filter, n, taps, packed, step)
    else:
        return kernels.f64.pack_filters(w, filter, n, taps, packed, step)


cdef inline void slide(int strides, int size, Py_ssize_t n_rows, const fc_slide *how, const floating **rows,
                       const floating *w, const floating *bias, floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.slide[strides][size][n_rows](how, rows, w, bias, y)
    else:
        kernels.f64.slide[strides][size][n_rows](how, rows, w, bias, y)


cdef inline void slide_weight(int stride, int size, const fc_slide *how, Py_ssize_t n_rows, const floating **rows,
                              const floating *dy, floating *sums) noexcept nogil:
    if floating is float:
        kernels.f32.slide_weight[stride][size](how, n_rows, rows, dy, sums)
    else:
        kernels.f64.slide_weight[stride][size](how, n_rows, rows, dy, sums)


cdef inline void band_pixels(const fc_pixel_rows *how, const floating *src, floating value,
                             floating *band) noexcept nogil:
    if floating is float:
        kernels.f32.band_pixels(how, src, value, band)
    else:
        kernels.f64.band_pixels(how, src, value, band)


cdef inline void depthwise_channels(const fc_pixel_block *block, const floating *band, const floating *w,
                                    const floating *bias, floating *y) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_channels(block, band, w, bias, y)
    else:
        kernels.f64.depthwise_channels(block, band, w, bias, y)


cdef inline void depthwise_channels_weight(const fc_pixel_block *block, const floating *band, const floating *dy,
                                           floating *sums) noexcept nogil:
    if floating is float:
        kernels.f32.depthwise_channels_weight(block, band, dy, sums)
    else:
        kernels.f64.depthwise_channels_weight(block, band, dy, sums)
