"""src_c/kernels.h, for Cython."""

from libc.stdint cimport int32_t, int64_t

cdef extern from "kernels.h" nogil:
    enum:
        FC_MAX_LANES
        FC_MAX_MR
        FC_MAX_NV
        FC_MAX_LINES
        FC_DOT_ROWS
        FC_SUM_ROWS
        FC_SLIDING_ROWS
        FC_STRIDE_11
        FC_STRIDE_22
        FC_STRIDE_12
        FC_SLIDING_STRIDES
        FC_IDENTITY
        FC_RELU
        FC_LEAKY_RELU
        FC_SIGMOID
        FC_TANH

    Py_ssize_t FC_OUTSIDE
    enum:
        FC_F43
        FC_F45
        FC_F43_STRIDE_2

    ctypedef struct fc_run:
        Py_ssize_t src, dst, length

    ctypedef struct fc_activation:
        int kind
        double slope

    ctypedef struct fc_winograd_steps:
        Py_ssize_t m_point, m_tile, y_row, y_col
        fc_activation activation

    ctypedef struct fc_taps:
        Py_ssize_t channels, channel_stride
        const Py_ssize_t *taps
        Py_ssize_t n_taps

    ctypedef struct fc_pixels:
        Py_ssize_t channels, block_stride
        const Py_ssize_t *taps
        Py_ssize_t n_taps, step, ldc, b_panel
        fc_activation activation

    ctypedef struct fc_outer_steps:
        Py_ssize_t a_row, b, b_vector, c

    ctypedef struct fc_product:
        Py_ssize_t a, b, b_vector, c
        int accumulate
        fc_activation activation

    ctypedef struct fc_pixel_run:
        Py_ssize_t a, b, length

    ctypedef struct fc_pixel_runs:
        const fc_pixel_run *runs
        Py_ssize_t n_runs, a_step, a_line

    ctypedef struct fc_row_strides:
        Py_ssize_t a, b, c

    ctypedef struct fc_row_sums:
        Py_ssize_t a_row, a_step, b, c

    ctypedef struct fc_down:
        const Py_ssize_t *rows
        const Py_ssize_t *positions
        int n_rows
        const void *columns

    ctypedef struct fc_window:
        Py_ssize_t row, column
        int64_t row_step, column_step, base
        double count

    ctypedef struct fc_scatter:
        Py_ssize_t n, planes
        Py_ssize_t grad_step, grad_plane, index_step, index_plane, pixel, plane
        int64_t pixels

    ctypedef struct fc_sgd:
        double lr, momentum, dampening, weight_decay
        int nesterov, first

    ctypedef struct fc_adam:
        double step_size, root, beta1, beta2, eps, weight_decay, shrink

    ctypedef struct fc_band_rows:
        const Py_ssize_t *rows
        const Py_ssize_t *places
        Py_ssize_t n_rows, start, until, width, ahead
        const Py_ssize_t *columns
        const Py_ssize_t *column_places
        const Py_ssize_t *which
        Py_ssize_t n_columns

    ctypedef struct fc_plane_block:
        Py_ssize_t pitch
        const Py_ssize_t *taps
        Py_ssize_t n_taps, r_taps, y_row, rows, width

    ctypedef struct fc_slide:
        const Py_ssize_t *columns
        const void *outside
        int idle, channels
        Py_ssize_t width, y_row, y_col, ahead

    ctypedef struct fc_pixel_rows:
        const Py_ssize_t *rows
        const Py_ssize_t *columns
        Py_ssize_t n_rows, n_columns, pitch
        int channels

    ctypedef struct fc_pixel_block:
        Py_ssize_t row, column, pitch, tap, r_taps, s_taps, y_row, y_col, rows, width
        int channels

    ctypedef struct fc_winograd_f32:
        int points, filter_points, taps, step
        void (*inputs)(const float *band, Py_ssize_t pitch, Py_ssize_t tiles, float *v, const Py_ssize_t *at,
                       Py_ssize_t point_stride) noexcept nogil
        void (*filters)(const float *w, Py_ssize_t channels, float *u, Py_ssize_t point_stride,
                        Py_ssize_t channel_stride) noexcept nogil
        int (*outputs)(const fc_winograd_steps *steps, const float *m, const float *bias, float *y, Py_ssize_t rows,
                       Py_ssize_t cols) noexcept nogil
        void (*gradients)(const float *band, Py_ssize_t pitch, Py_ssize_t tiles, float *z, const Py_ssize_t *at,
                          Py_ssize_t point_stride) noexcept nogil
        int (*weights)(const float *u, Py_ssize_t vectors, float *w, Py_ssize_t point_stride) noexcept nogil

    ctypedef struct fc_kernels_f32:
        int vector
        int mr
        void (*gemm_tile[2][15])(const fc_product *how, Py_ssize_t depth, const float *a, const float *b, float *c,
                                 const float *bias) noexcept nogil
        void (*outer_tile[2][15])(const fc_outer_steps *steps, Py_ssize_t depth, const float *a, const float *b,
                                  float *c) noexcept nogil
        void (*pack_rows)(const fc_taps *rows, const float *src, const fc_run *runs, Py_ssize_t n_runs, float *dst, Py_ssize_t width,
                          int padded) noexcept nogil
        void (*transpose)(const float *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, float *dst,
                          Py_ssize_t step) noexcept nogil
        void (*copy_rows)(const float *src, Py_ssize_t src_stride, Py_ssize_t src_step, Py_ssize_t n_rows, Py_ssize_t length,
                          float *dst, Py_ssize_t dst_stride) noexcept nogil
        void (*put_tile)(const float *tile, Py_ssize_t width, Py_ssize_t n_rows, const fc_run *runs, Py_ssize_t n_runs,
                         float *dst, Py_ssize_t row_stride, Py_ssize_t step) noexcept nogil
        void (*get_tile)(const float *src, Py_ssize_t row_stride, Py_ssize_t step, Py_ssize_t n_rows, const fc_run *runs,
                         Py_ssize_t n_runs, float *tile, Py_ssize_t width) noexcept nogil
        void (*to_lanes)(const float *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, float *dst,
                         const Py_ssize_t *at) noexcept nogil
        void (*from_lanes)(const float *src, Py_ssize_t step, Py_ssize_t length, float *dst, const Py_ssize_t *rows,
                           int n_rows) noexcept nogil
        void (*split_pixels)(const float *src, Py_ssize_t step, Py_ssize_t pixels, Py_ssize_t channels, float *dst,
                             Py_ssize_t dst_step, Py_ssize_t block_stride) noexcept nogil
        void (*join_pixels)(const float *src, Py_ssize_t step, Py_ssize_t pixels, int channels, float *dst,
                            Py_ssize_t dst_step) noexcept nogil
        void (*channel_tile[2][15])(const fc_pixels *pixels, const float *a, const float *b, float *c, const float *bias,
                                    const float *ahead) noexcept nogil
        int pair_mr
        void (*channel_tile_pair[8])(const fc_pixels *pixels, const float *a, const float *b, float *c, const float *bias,
                                     const float *ahead) noexcept nogil
        void (*group_tile[2][15])(const fc_pixels *pixels, const float *a, const float *b, float *c, const float *bias,
                                  const float *ahead) noexcept nogil
        void (*weight_tile[2][3][15])(const fc_pixel_runs *pixels, const float *a, const float *b, float *c,
                                      Py_ssize_t c_line) noexcept nogil
        int dot_most
        void (*dot_rows[5])(const fc_row_strides *rows, Py_ssize_t depth, const float *a, const float *b, Py_ssize_t n, const float *bias,
                            float *c) noexcept nogil
        void (*sum_rows[7])(const fc_row_sums *rows, Py_ssize_t depth, const float *a, const float *b, Py_ssize_t n, float *c,
                            int accumulate) noexcept nogil
        fc_winograd_f32 winograd[3]
        void (*group_products[9])(Py_ssize_t tiles, const float *v, const float *u, float *m, const float *ahead) noexcept nogil
        int (*band_contrast)(const float *band, Py_ssize_t pitch, const int32_t *at, Py_ssize_t blocks, int window, int known,
                             float *energy, float most) noexcept nogil
        void (*plane_contrast)(const float *x, Py_ssize_t rows, Py_ssize_t row, Py_ssize_t width, Py_ssize_t step, float *loudest,
                               float *quietest) noexcept nogil
        int (*tile_contrast)(const float *band, Py_ssize_t pitch, Py_ssize_t tiles, float most) noexcept nogil
        int (*add_patches)(const fc_winograd_steps *steps, const float *m, float *y, Py_ssize_t tiles, int below) noexcept nogil
        double (*sum)(const float *x, Py_ssize_t n) noexcept nogil
        void (*activation[5])(const float *x, float *y, Py_ssize_t n, float slope) noexcept nogil
        void (*activation_backward[5])(const float *grad, const float *v, float *grad_x, Py_ssize_t n, float slope) noexcept nogil
        void (*softmax_row)(const float *x, float *y, Py_ssize_t n, int logarithm) noexcept nogil
        void (*softmax_row_backward)(const float *grad, const float *y, float *grad_x, Py_ssize_t n, int logarithm) noexcept nogil
        void (*softmax_columns)(const float *x, float *y, Py_ssize_t n, Py_ssize_t step, Py_ssize_t columns, int logarithm) noexcept nogil
        void (*softmax_columns_backward)(const float *grad, const float *y, float *grad_x, Py_ssize_t n, Py_ssize_t step,
                                         Py_ssize_t columns, int logarithm) noexcept nogil
        float (*log_sum_exp)(const float *x, Py_ssize_t n, float *top) noexcept nogil
        void (*softmax_less)(const float *x, float *y, Py_ssize_t n, float weight, float share) noexcept nogil
        void (*sgd)(const fc_sgd *rule, float *param, const float *grad, float *velocity, Py_ssize_t n) noexcept nogil
        void (*adam)(const fc_adam *rule, float *param, const float *grad, float *m, float *v, Py_ssize_t n) noexcept nogil
        void (*max_across)(const float *x, const Py_ssize_t *taps, int n_taps, int32_t step, float *best, int32_t *tap,
                           Py_ssize_t n) noexcept nogil
        void (*sum_across)(const float *x, const Py_ssize_t *taps, int n_taps, float *sum, Py_ssize_t n) noexcept nogil
        void (*max_widen)(float *best, int32_t *tap, Py_ssize_t shift, int32_t step, Py_ssize_t n) noexcept nogil
        void (*sum_widen)(const float *sum, const float *last, Py_ssize_t shift, float *wider, Py_ssize_t n) noexcept nogil
        void (*max_down)(const fc_down *down, const float *best, const int32_t *tap, float *y, int64_t *index, int64_t base,
                         Py_ssize_t n) noexcept nogil
        void (*mean_down)(const float *sum, const Py_ssize_t *rows, int n_rows, float row_count,
                          const float *column_counts, float *y, Py_ssize_t n) noexcept nogil
        void (*max_2x2)(const float *x, Py_ssize_t row, int32_t width, float *y, int64_t *index, int64_t base,
                        Py_ssize_t n) noexcept nogil
        void (*mean_2x2)(const float *x, Py_ssize_t row, float *y, Py_ssize_t n) noexcept nogil
        int (*max_2x2_backward)(const float *grad, const int64_t *index, int64_t base, int32_t width, float *grad_x,
                                Py_ssize_t row, Py_ssize_t n) noexcept nogil
        void (*mean_2x2_backward)(const float *grad, float *grad_x, Py_ssize_t row, Py_ssize_t n) noexcept nogil
        int (*scatter)(const fc_scatter *how, const float *grad, const int64_t *index, float *grad_x) noexcept nogil
        void (*spread_row)(const float *grad, Py_ssize_t step, float row_count, const float *column_counts, float *dst,
                           Py_ssize_t stride, Py_ssize_t n) noexcept nogil
        void (*max_channels)(const fc_window *window, const float *x, Py_ssize_t rows, Py_ssize_t columns, float *y, int64_t *index,
                             Py_ssize_t n) noexcept nogil
        void (*mean_channels)(const fc_window *window, const float *x, Py_ssize_t rows, Py_ssize_t columns, float *y,
                              Py_ssize_t n) noexcept nogil
        void (*spread_channels)(const fc_window *window, const float *grad, float *grad_x, Py_ssize_t rows, Py_ssize_t columns, int add,
                                Py_ssize_t n) noexcept nogil
        int (*max_channels_backward)(const fc_window *window, const float *grad, const int64_t *index, float *grad_x, Py_ssize_t rows,
                                     Py_ssize_t columns, Py_ssize_t n) noexcept nogil
        float (*max_of_run)(const float *x, Py_ssize_t n, Py_ssize_t *position) noexcept nogil
        void (*max_of_planes)(const float *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes, float *y, int64_t *index) noexcept nogil
        void (*mean_of_planes)(const float *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes, float *y) noexcept nogil
        void (*band_copy)(const fc_band_rows *how, const float *src, float value, float *band) noexcept nogil
        void (*band_split)(const fc_band_rows *how, const float *src, float value, float *band) noexcept nogil
        void (*band_gather)(const fc_band_rows *how, const float *src, float value, float *band) noexcept nogil
        void (*depthwise[2][4])(const fc_plane_block *block, const float *band, const float *w, float bias, float *y) noexcept nogil
        void (*depthwise_tall)(const fc_plane_block *block, const float *band, const float *w, float bias, float *y) noexcept nogil
        void (*depthwise_pair)(const fc_plane_block *block, Py_ssize_t n_even, const float *band, const float *w, float *y) noexcept nogil
        void (*depthwise_weight[2][4])(const fc_plane_block *block, const float *band, const float *dy, float *sums) noexcept nogil
        void (*depthwise_weight_sum)(const float *sums, Py_ssize_t n_taps, float *out) noexcept nogil
        int (*pack_filters)(const float *w, Py_ssize_t filter, int n, Py_ssize_t taps, float *packed, Py_ssize_t step) noexcept nogil
        void (*slide[FC_SLIDING_STRIDES][4][FC_SLIDING_ROWS + 1])(const fc_slide *how, const float **rows, const float *w, const float *bias,
                                                                  float *y) noexcept nogil
        void (*slide_weight[2][4])(const fc_slide *how, Py_ssize_t n_rows, const float **rows, const float *dy, float *sums) noexcept nogil
        void (*band_pixels)(const fc_pixel_rows *how, const float *src, float value, float *band) noexcept nogil
        void (*depthwise_channels)(const fc_pixel_block *block, const float *band, const float *w, const float *bias, float *y) noexcept nogil
        void (*depthwise_channels_weight)(const fc_pixel_block *block, const float *band, const float *dy, float *sums) noexcept nogil

    ctypedef struct fc_winograd_f64:
        int points, filter_points, taps, step
        void (*inputs)(const double *band, Py_ssize_t pitch, Py_ssize_t tiles, double *v, const Py_ssize_t *at,
                       Py_ssize_t point_stride) noexcept nogil
        void (*filters)(const double *w, Py_ssize_t channels, double *u, Py_ssize_t point_stride,
                        Py_ssize_t channel_stride) noexcept nogil
        int (*outputs)(const fc_winograd_steps *steps, const double *m, const double *bias, double *y, Py_ssize_t rows,
                       Py_ssize_t cols) noexcept nogil
        void (*gradients)(const double *band, Py_ssize_t pitch, Py_ssize_t tiles, double *z, const Py_ssize_t *at,
                          Py_ssize_t point_stride) noexcept nogil
        int (*weights)(const double *u, Py_ssize_t vectors, double *w, Py_ssize_t point_stride) noexcept nogil

    ctypedef struct fc_kernels_f64:
        int vector
        int mr
        void (*gemm_tile[2][15])(const fc_product *how, Py_ssize_t depth, const double *a, const double *b, double *c,
                                 const double *bias) noexcept nogil
        void (*outer_tile[2][15])(const fc_outer_steps *steps, Py_ssize_t depth, const double *a, const double *b,
                                  double *c) noexcept nogil
        void (*pack_rows)(const fc_taps *rows, const double *src, const fc_run *runs, Py_ssize_t n_runs, double *dst, Py_ssize_t width,
                          int padded) noexcept nogil
        void (*transpose)(const double *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, double *dst,
                          Py_ssize_t step) noexcept nogil
        void (*copy_rows)(const double *src, Py_ssize_t src_stride, Py_ssize_t src_step, Py_ssize_t n_rows, Py_ssize_t length,
                          double *dst, Py_ssize_t dst_stride) noexcept nogil
        void (*put_tile)(const double *tile, Py_ssize_t width, Py_ssize_t n_rows, const fc_run *runs, Py_ssize_t n_runs,
                         double *dst, Py_ssize_t row_stride, Py_ssize_t step) noexcept nogil
        void (*get_tile)(const double *src, Py_ssize_t row_stride, Py_ssize_t step, Py_ssize_t n_rows, const fc_run *runs,
                         Py_ssize_t n_runs, double *tile, Py_ssize_t width) noexcept nogil
        void (*to_lanes)(const double *src, const Py_ssize_t *rows, int n_rows, Py_ssize_t length, double *dst,
                         const Py_ssize_t *at) noexcept nogil
        void (*from_lanes)(const double *src, Py_ssize_t step, Py_ssize_t length, double *dst, const Py_ssize_t *rows,
                           int n_rows) noexcept nogil
        void (*split_pixels)(const double *src, Py_ssize_t step, Py_ssize_t pixels, Py_ssize_t channels, double *dst,
                             Py_ssize_t dst_step, Py_ssize_t block_stride) noexcept nogil
        void (*join_pixels)(const double *src, Py_ssize_t step, Py_ssize_t pixels, int channels, double *dst,
                            Py_ssize_t dst_step) noexcept nogil
        void (*channel_tile[2][15])(const fc_pixels *pixels, const double *a, const double *b, double *c, const double *bias,
                                    const double *ahead) noexcept nogil
        int pair_mr
        void (*channel_tile_pair[8])(const fc_pixels *pixels, const double *a, const double *b, double *c, const double *bias,
                                     const double *ahead) noexcept nogil
        void (*group_tile[2][15])(const fc_pixels *pixels, const double *a, const double *b, double *c, const double *bias,
                                  const double *ahead) noexcept nogil
        void (*weight_tile[2][3][15])(const fc_pixel_runs *pixels, const double *a, const double *b, double *c,
                                      Py_ssize_t c_line) noexcept nogil
        int dot_most
        void (*dot_rows[5])(const fc_row_strides *rows, Py_ssize_t depth, const double *a, const double *b, Py_ssize_t n, const double *bias,
                            double *c) noexcept nogil
        void (*sum_rows[7])(const fc_row_sums *rows, Py_ssize_t depth, const double *a, const double *b, Py_ssize_t n, double *c,
                            int accumulate) noexcept nogil
        fc_winograd_f64 winograd[3]
        void (*group_products[9])(Py_ssize_t tiles, const double *v, const double *u, double *m, const double *ahead) noexcept nogil
        int (*band_contrast)(const double *band, Py_ssize_t pitch, const int32_t *at, Py_ssize_t blocks, int window, int known,
                             double *energy, double most) noexcept nogil
        void (*plane_contrast)(const double *x, Py_ssize_t rows, Py_ssize_t row, Py_ssize_t width, Py_ssize_t step, double *loudest,
                               double *quietest) noexcept nogil
        int (*tile_contrast)(const double *band, Py_ssize_t pitch, Py_ssize_t tiles, double most) noexcept nogil
        int (*add_patches)(const fc_winograd_steps *steps, const double *m, double *y, Py_ssize_t tiles, int below) noexcept nogil
        double (*sum)(const double *x, Py_ssize_t n) noexcept nogil
        void (*activation[5])(const double *x, double *y, Py_ssize_t n, double slope) noexcept nogil
        void (*activation_backward[5])(const double *grad, const double *v, double *grad_x, Py_ssize_t n, double slope) noexcept nogil
        void (*softmax_row)(const double *x, double *y, Py_ssize_t n, int logarithm) noexcept nogil
        void (*softmax_row_backward)(const double *grad, const double *y, double *grad_x, Py_ssize_t n, int logarithm) noexcept nogil
        void (*softmax_columns)(const double *x, double *y, Py_ssize_t n, Py_ssize_t step, Py_ssize_t columns, int logarithm) noexcept nogil
        void (*softmax_columns_backward)(const double *grad, const double *y, double *grad_x, Py_ssize_t n, Py_ssize_t step,
                                         Py_ssize_t columns, int logarithm) noexcept nogil
        double (*log_sum_exp)(const double *x, Py_ssize_t n, double *top) noexcept nogil
        void (*softmax_less)(const double *x, double *y, Py_ssize_t n, double weight, double share) noexcept nogil
        void (*sgd)(const fc_sgd *rule, double *param, const double *grad, double *velocity, Py_ssize_t n) noexcept nogil
        void (*adam)(const fc_adam *rule, double *param, const double *grad, double *m, double *v, Py_ssize_t n) noexcept nogil
        void (*max_across)(const double *x, const Py_ssize_t *taps, int n_taps, int64_t step, double *best, int64_t *tap,
                           Py_ssize_t n) noexcept nogil
        void (*sum_across)(const double *x, const Py_ssize_t *taps, int n_taps, double *sum, Py_ssize_t n) noexcept nogil
        void (*max_widen)(double *best, int64_t *tap, Py_ssize_t shift, int64_t step, Py_ssize_t n) noexcept nogil
        void (*sum_widen)(const double *sum, const double *last, Py_ssize_t shift, double *wider, Py_ssize_t n) noexcept nogil
        void (*max_down)(const fc_down *down, const double *best, const int64_t *tap, double *y, int64_t *index, int64_t base,
                         Py_ssize_t n) noexcept nogil
        void (*mean_down)(const double *sum, const Py_ssize_t *rows, int n_rows, double row_count,
                          const double *column_counts, double *y, Py_ssize_t n) noexcept nogil
        void (*max_2x2)(const double *x, Py_ssize_t row, int64_t width, double *y, int64_t *index, int64_t base,
                        Py_ssize_t n) noexcept nogil
        void (*mean_2x2)(const double *x, Py_ssize_t row, double *y, Py_ssize_t n) noexcept nogil
        int (*max_2x2_backward)(const double *grad, const int64_t *index, int64_t base, int64_t width, double *grad_x,
                                Py_ssize_t row, Py_ssize_t n) noexcept nogil
        void (*mean_2x2_backward)(const double *grad, double *grad_x, Py_ssize_t row, Py_ssize_t n) noexcept nogil
        int (*scatter)(const fc_scatter *how, const double *grad, const int64_t *index, double *grad_x) noexcept nogil
        void (*spread_row)(const double *grad, Py_ssize_t step, double row_count, const double *column_counts,
                           double *dst, Py_ssize_t stride, Py_ssize_t n) noexcept nogil
        void (*max_channels)(const fc_window *window, const double *x, Py_ssize_t rows, Py_ssize_t columns, double *y, int64_t *index,
                             Py_ssize_t n) noexcept nogil
        void (*mean_channels)(const fc_window *window, const double *x, Py_ssize_t rows, Py_ssize_t columns, double *y,
                              Py_ssize_t n) noexcept nogil
        void (*spread_channels)(const fc_window *window, const double *grad, double *grad_x, Py_ssize_t rows, Py_ssize_t columns, int add,
                                Py_ssize_t n) noexcept nogil
        int (*max_channels_backward)(const fc_window *window, const double *grad, const int64_t *index, double *grad_x, Py_ssize_t rows,
                                     Py_ssize_t columns, Py_ssize_t n) noexcept nogil
        double (*max_of_run)(const double *x, Py_ssize_t n, Py_ssize_t *position) noexcept nogil
        void (*max_of_planes)(const double *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes, double *y, int64_t *index) noexcept nogil
        void (*mean_of_planes)(const double *x, Py_ssize_t plane, Py_ssize_t n, Py_ssize_t planes, double *y) noexcept nogil
        void (*band_copy)(const fc_band_rows *how, const double *src, double value, double *band) noexcept nogil
        void (*band_split)(const fc_band_rows *how, const double *src, double value, double *band) noexcept nogil
        void (*band_gather)(const fc_band_rows *how, const double *src, double value, double *band) noexcept nogil
        void (*depthwise[2][4])(const fc_plane_block *block, const double *band, const double *w, double bias, double *y) noexcept nogil
        void (*depthwise_tall)(const fc_plane_block *block, const double *band, const double *w, double bias, double *y) noexcept nogil
        void (*depthwise_pair)(const fc_plane_block *block, Py_ssize_t n_even, const double *band, const double *w, double *y) noexcept nogil
        void (*depthwise_weight[2][4])(const fc_plane_block *block, const double *band, const double *dy, double *sums) noexcept nogil
        void (*depthwise_weight_sum)(const double *sums, Py_ssize_t n_taps, double *out) noexcept nogil
        int (*pack_filters)(const double *w, Py_ssize_t filter, int n, Py_ssize_t taps, double *packed, Py_ssize_t step) noexcept nogil
        void (*slide[FC_SLIDING_STRIDES][4][FC_SLIDING_ROWS + 1])(const fc_slide *how, const double **rows, const double *w, const double *bias,
                                                                  double *y) noexcept nogil
        void (*slide_weight[2][4])(const fc_slide *how, Py_ssize_t n_rows, const double **rows, const double *dy, double *sums) noexcept nogil
        void (*band_pixels)(const fc_pixel_rows *how, const double *src, double value, double *band) noexcept nogil
        void (*depthwise_channels)(const fc_pixel_block *block, const double *band, const double *w, const double *bias, double *y) noexcept nogil
        void (*depthwise_channels_weight)(const fc_pixel_block *block, const double *band, const double *dy, double *sums) noexcept nogil

    ctypedef struct fc_table:
        const char *name
        fc_kernels_f32 f32
        fc_kernels_f64 f64

    int fc_isa_count()
    const char *fc_isa_name(int index)
    int fc_isa_supported(int index)
    const fc_table *fc_isa_table(int index)
