/* The contract between the micro-kernels and the drivers in fastconv/_core.
 *
 * Each instruction set is one compiled copy of table.c; its only external symbol is its `fc_table`: pointers to the
 * kernels and the tile sizes that go with them. A kernel knows nothing of Python, threads, allocation or options; it never
 * reads or writes outside what its comment here says. Strides and steps count elements, not bytes.
 *
 * To add a kernel: declare it here, define it in the header of its subject, name it in the table of precision.h. What Cython has
 * to know of it is taken from here: see declarations.py.
 */
#ifndef FASTCONV_KERNELS_H
#define FASTCONV_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "pointwise.h"

enum { FC_MAX_LANES = 16 }; /* elements of the longest vector of any instruction set */
enum { FC_MAX_MR = 14, FC_MAX_NV = 2, FC_MAX_NARROW_MR = 18 }; /* the tallest tile; its vectors; and of one vector */
enum { FC_MAX_PAIR_MR = 7 };                                   /* the tallest tile of two panels of FC_MAX_NV vectors */
enum { FC_MAX_LINES = 3 };                 /* most lines of scalars that `weight_tile` takes together */
enum { FC_DOT_ROWS = 4, FC_SUM_ROWS = 6 }; /* most rows that `dot_rows`, that `sum_rows` takes together */
enum { FC_SLIDING_ROWS = 4 };              /* most rows that `slide` computes together */
enum { FC_STRIDE_11, FC_STRIDE_22, FC_STRIDE_12, FC_SLIDING_STRIDES }; /* of rows and of columns, as `slide` has them */

enum { FC_F43, FC_F45, FC_F43_STRIDE_2, FC_F42 }; /* winograd.h and winograd_rows.h have the details */
enum { FC_F43_ROW = 4, FC_F45_ROW, FC_F42_ROW, FC_F43_COLUMN, FC_F45_COLUMN, FC_F42_COLUMN, FC_WINOGRAD_SCHEMES };
enum { FC_MAX_GROUP = 8 }; /* half a vector: channels of the widest group that shares one */

/* What a driver copies as one piece: `length` elements from `src` to `dst`, both counted from a moving base. */
typedef struct {
    ptrdiff_t src, dst, length;
} fc_run;

/* Winograd's `outputs`: from one point, from one tile of M to the next; from one row, from one pixel of y to the next. */
typedef struct {
    ptrdiff_t m_point, m_tile, y_row, y_col;
    fc_activation activation;
} fc_winograd_steps;

/* band_contrast: `rows` rows of `count` blocks; from a vector of one to those beside and below; of a tile, and to the next's. */
typedef struct {
    ptrdiff_t count, beside, below;
    int rows, columns, next, known;
} fc_contrast_blocks;

/* In a table of offsets: what it stands for is all padding. */
#define FC_OUTSIDE PTRDIFF_MIN

/* pack_rows: what it reads of each run. */
typedef struct {
    ptrdiff_t channels, channel_stride;
    const ptrdiff_t *taps; /* n_taps offsets */
    ptrdiff_t n_taps;
} fc_taps;

/* channel_tile, channel_tile_pair and group_tile: where the pixels of A lie, and those of C. */
typedef struct {
    ptrdiff_t channels, block_stride; /* of A: of each output; from one vector of channels to the next */
    const ptrdiff_t *taps, *numbers;  /* n_taps offsets; which of B's n_all they are, or NULL: all (channel_tile) */
    ptrdiff_t n_taps, n_all;
    ptrdiff_t step, ldc;   /* from one pixel to the next, of A and of C */
    const ptrdiff_t *rows; /* channel_tile of FC_MAX_MR / 2 rows at most: where each pixel is in A; or NULL */
    ptrdiff_t b_panel;     /* of a pair: from the first panel of B to the second */
    int accumulate;        /* channel_tile: the sum goes on from what is in C, not from the bias */
    fc_activation activation;
} fc_pixels;

/* outer_tile: from one row of A to the next; from one term of the sum, one vector of B, one row of C to the next. */
typedef struct {
    ptrdiff_t a_row, b, b_vector, c;
} fc_outer_steps;

/* gemm_tile: from one term to the next, of A and of B; from one vector of B, one row of C to the next; whether C is added to. */
typedef struct {
    ptrdiff_t a, b, b_vector, c;
    int accumulate;
    fc_activation activation;
} fc_product;

/* weight_tile: `length` pixels that follow each other: where the first one is in A, and which one it is of B. */
typedef struct {
    ptrdiff_t a, b, length;
} fc_pixel_run;

/* weight_tile: the pixels that a sum runs over. */
typedef struct {
    const fc_pixel_run *runs;
    ptrdiff_t n_runs;
    ptrdiff_t a_step, a_line; /* of A: from one pixel, from one line of scalars to the next */
} fc_pixel_runs;

/* dot_rows: from one row to the next, of the two matrices and of the result. */
typedef struct {
    ptrdiff_t a, b, c;
} fc_row_strides;

/* sum_rows: from one row to the next and from one element of a row of A to the next; from one row of B, and of C, to the next. */
typedef struct {
    ptrdiff_t a_row, a_step, b, c;
    const ptrdiff_t *terms; /* where each row of B begins, if they are not b apart, or NULL */
} fc_row_sums;

/* max_down: the rows that make an output, and where outputs lie. */
typedef struct {
    const ptrdiff_t *rows, *positions; /* [n_rows]: offsets; positions of the plane behind the first */
    int n_rows;
    const void *columns; /* I[n]: the positions of the outputs behind the first one's */
} fc_down;

/* max_channels, mean_channels, spread_channels: from one row, or column, of a window to the next: in memory, and in positions
 * of the plane; the position of its first pixel; by how many an average divides; far: pixels come from memory, not a cache. */
typedef struct {
    ptrdiff_t row, column, far;
    int64_t row_step, column_step, base;
    double count;
} fc_window;

/* scatter: steps from gradient to gradient, index to index and pixel to pixel, of n in a plane and from plane to plane; runs:
 * neighbours mostly share an index, and grad_x has at most INT32_MAX elements. */
typedef struct {
    ptrdiff_t n, planes, grad_step, grad_plane, index_step, index_plane, pixel, plane, runs;
    int64_t pixels;
} fc_scatter;

/* depthwise.h, filling a band: how the rows of a block's band come from a plane. Row b comes from src + rows[b], or is
 * all padding where that is FC_OUTSIDE, and goes to band + places[b]. */
typedef struct {
    const ptrdiff_t *rows, *places; /* [n_rows] */
    ptrdiff_t n_rows;
    ptrdiff_t start, until, width;  /* of each row's `width` elements those from start until `until` are no padding */
    ptrdiff_t ahead;                /* where to prefetch, seen from what is read */
    const ptrdiff_t *columns;       /* where each column is behind a row's start, or FC_OUTSIDE */
    const ptrdiff_t *column_places; /* where it goes behind the row's place */
    const ptrdiff_t *which;         /* [n_columns]: those that band_gather takes */
    ptrdiff_t n_columns;
} fc_band_rows;

/* depthwise.h: a block of outputs, rows x width, y_row apart in y, or in grad_output. Output (i, j) and tap t meet in
 * band[i * pitch + taps[t] + j]. */
typedef struct {
    ptrdiff_t pitch;
    const ptrdiff_t *taps; /* [n_taps] */
    ptrdiff_t n_taps;
    ptrdiff_t r_taps; /* of a tall filter: its rows, pitch apart, of which the taps are the first */
    ptrdiff_t y_row, rows, width;
} fc_plane_block;

/* depthwise_channels.h: how a row of pixels is convolved where they are, `channels` lanes of a vector each. Column j and
 * tap s lie columns[j * stride + s] behind an image row's start, or in the padding where that is FC_OUTSIDE. */
typedef struct {
    const ptrdiff_t *columns;
    const void *outside;    /* the vector that stands for padding */
    int idle, channels;     /* whether padded columns contribute nothing; lanes */
    ptrdiff_t width;        /* outputs, or pixels of grad_output */
    ptrdiff_t y_row, y_col; /* from one to the next */
    ptrdiff_t ahead;        /* where to prefetch, seen from what is read, or 0 */
    double least, most;     /* of an output: what lies beyond becomes these; NaN stays */
} fc_slide;

/* depthwise_channels.h, filling a band of pixels: row b, column q is at src + rows[b] + columns[q], or padding where one
 * of them is FC_OUTSIDE. */
typedef struct {
    const ptrdiff_t *rows, *columns; /* [n_rows], [n_columns] */
    ptrdiff_t n_rows, n_columns;
    ptrdiff_t pitch; /* from one row of the band to the next */
    int channels;    /* of a pixel, a vector at most */
} fc_pixel_rows;

/* depthwise_channels.h: a block of outputs, rows x width, `channels` lanes each, y_row and y_col apart in y, or in
 * grad_output. Output (i, j) and tap (r, s) meet in band[i * row + j * column + r * pitch + s * tap]. */
typedef struct {
    ptrdiff_t row, column, pitch, tap;
    ptrdiff_t r_taps, s_taps;
    ptrdiff_t y_row, y_col, rows, width;
    int channels;
} fc_pixel_block;

#define FC_DECLARE_KERNELS(T, I, NAME)                                                                                                       \
    typedef struct {                                                                                                                         \
        int points,                                                                                                                          \
            filter_points; /* in one dimension, of patches and of filters: filter point min(i, filter_points - 1) */                         \
        int taps, step;    /* filter size; inputs from one patch to the next. A tile is 4 x 4 outputs, or 4. */                              \
        /* V of a row of `tiles` patches: point p of tile t at v + p * point_stride + at[t]; band rows are pitch apart. */                   \
        void (*inputs)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *v, const ptrdiff_t *at,                                           \
                       ptrdiff_t point_stride);                                                                                              \
        /* U of the filters of one vector of output channels, w is [channel][taps * taps][vector]: point p of channel c at    \
         * u + p * point_stride + c * channel_stride. */              \
        void (*filters)(const T *w, ptrdiff_t channels, T *u, ptrdiff_t point_stride, ptrdiff_t channel_stride);                             \
        /* A row of tiles of M to rows x cols pixels at y, each one vector, + bias (one vector or NULL): as many tiles as cols\
         * pixels need, of which the last may be wider. Returns whether all outputs are finite. */              \
        int (*outputs)(const fc_winograd_steps *steps, const T *m, const T *bias, T *y, ptrdiff_t rows,                                      \
                       ptrdiff_t cols);                                                                                                      \
        /* Z of a row of `tiles` tiles of grad_output, 4 pixels apart in a band of 4 rows: as `inputs`, also as many points. */              \
        void (*gradients)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *z, const ptrdiff_t *at,                                        \
                          ptrdiff_t point_stride);                                                                                           \
        /* The gradient of one filter's weights from the sums of Z V: point p < filter_points^2 of vector v of channels at    \
         * u + p * point_stride + v * vector, to w[channel][taps * taps] and up to a vector more, which is overwritten. Returns\
         * whether all are finite. NULL in double precision. Those of one dimension have neither. */              \
        int (*weights)(const T *u, ptrdiff_t vectors, T *w, ptrdiff_t point_stride);                                                         \
    } fc_winograd_##NAME;                                                                                                                    \
                                                                                                                                             \
    typedef struct {                                                                                                                         \
        int vector; /* elements of one vector register */                                                                                    \
        int mr;     /* rows of the tallest GEMM tile; its width is FC_MAX_NV vectors */                                                      \
                                                                                                                                             \
        /* gemm.h: C[m][nv vectors] = activation(the sum of depth outer products + bias[row]), or of that and C: row i is that of  \
         * a[i], vector j of B at b + j * how->b_vector; bias may be NULL. Index: [nv - 1][m], m from 1 to mr. */         \
        void (*gemm_tile[FC_MAX_NV][FC_MAX_MR + 1])(const fc_product *how, ptrdiff_t depth, const T *a, const T *b,                          \
                                                    T *c, const T *bias);                                                                    \
                                                                                                                                             \
        /* gemm.h: C[m][nv vectors] += the same sum, of A as it was written: scalar p of row i is a[i * steps->a_row + p].             \
         * Index as above. */     \
        void (*outer_tile[FC_MAX_NV][FC_MAX_MR + 1])(const fc_outer_steps *steps, ptrdiff_t depth, const T *a,                               \
                                                     const T *b, T *c);                                                                      \
                                                                                                                                             \
        /* pack.h: for each channel and each tap, the runs, each read at src + channel * channel_stride + taps[tap] + run.src \
         * and written to dst + row * width + run.dst, row counting channels * n_taps. Runs ascend in dst. With padded != 0   \
         * whole vectors are moved: up to vector - 1 elements past a run's end may be read, and written (to be overwritten by \
         * what follows; the last row needs that much slack behind it). Otherwise nothing but the run is touched. */              \
        void (*pack_rows)(const fc_taps *rows, const T *src, const fc_run *runs, ptrdiff_t n_runs, T *dst,                                   \
                          ptrdiff_t width, int padded);                                                                                      \
                                                                                                                                             \
        /* pack.h: dst[p * step + i] = src[rows[i] + p] for i < n_rows (at most 2 * vector or mr), p < length. Reads exactly  \
         * that; writes up to vector - 1 elements past the last i, so dst needs that slack behind its last row. */              \
        void (*transpose)(const T *src, const ptrdiff_t *rows, int n_rows, ptrdiff_t length, T *dst, ptrdiff_t step);                        \
                                                                                                                                             \
        /* pack.h: n_rows rows of length elements, src_step apart in src, one after the other in dst; nothing else is touched. */            \
        void (*copy_rows)(const T *src, ptrdiff_t src_stride, ptrdiff_t src_step, ptrdiff_t n_rows, ptrdiff_t length,                        \
                          T *dst, ptrdiff_t dst_stride);                                                                                     \
        /* pack.h: dst[i] = src[i], i < n, past the caches where the instruction set can; the last one waits for all before. */              \
        void (*stream)(const T *src, ptrdiff_t n, T *dst, int last);                                                                         \
                                                                                                                                             \
        /* pack.h: a tile of n_rows rows, `width` apart, to and from where it belongs: element p of run r of row i is         \
         * tile[i * width + run.dst + p] and dst[i * row_stride + run.src + p * step]. */              \
        void (*put_tile)(const T *tile, ptrdiff_t width, ptrdiff_t n_rows, const fc_run *runs, ptrdiff_t n_runs,                             \
                         T *dst, ptrdiff_t row_stride, ptrdiff_t step);                                                                      \
        void (*get_tile)(const T *src, ptrdiff_t row_stride, ptrdiff_t step, ptrdiff_t n_rows, const fc_run *runs,                           \
                         ptrdiff_t n_runs, T *tile, ptrdiff_t width);                                                                        \
                                                                                                                                             \
        /* lanes.h: pixels of the caller's layout to vectors of channels, dst[at[p] + i] = src[rows[i] + p] for i < n_rows (at\
         * most vector), p < length; the other lanes become 0. Back: dst[rows[i] + p] = src[p * step + i]. Nothing else is    \
         * touched. */              \
        void (*to_lanes)(const T *src, const ptrdiff_t *rows, int n_rows, ptrdiff_t length, T *dst,                                          \
                         const ptrdiff_t *at);                                                                                               \
        void (*from_lanes)(const T *src, ptrdiff_t step, ptrdiff_t length, T *dst, const ptrdiff_t *rows, int n_rows);                       \
                                                                                                                                             \
        /* lanes.h: pixels whose channels follow each other to vectors of channels: dst[v * block_stride + p * dst_step + i] =\
         * src[p * step + v * vector + i]; lanes past the last channel become 0. With dst_step < vector there is one vector, of\
         * dst_step channels, and nothing more is written. */              \
        void (*split_pixels)(const T *src, ptrdiff_t step, ptrdiff_t pixels, ptrdiff_t channels, T *dst,                                     \
                             ptrdiff_t dst_step, ptrdiff_t block_stride);                                                                    \
                                                                                                                                             \
        /* lanes.h: back, of one vector: dst[p * dst_step + i] = src[p * step + i] for i < channels (at most vector). Nothing \
         * else is touched. */              \
        void (*join_pixels)(const T *src, ptrdiff_t step, ptrdiff_t pixels, int channels, T *dst, ptrdiff_t dst_step);                       \
                                                                                                                                             \
        /* lanes.h: C[m pixels][nv vectors of output channels] from pixels of input channels: row i of A is the vector at     \
         * a + block * block_stride + taps[tap] + i * step; only the first `channels` lanes of all blocks count and are read. B\
         * is packed [block][tap][lane][nv * vector]; bias is nv vectors or NULL. For each of its lanes a vector is prefetched\
         * from ahead on. Index: [nv - 1][m]. For pairs of panels nv is 4: the last two vectors come from a second B of two   \
         * vectors, b_panel after the first. Index: m, from 1 to pair_mr, which is 0 where registers are too few; of one vector   \
         * up to narrow_mr. The activation follows, here and in group_tile. */              \
        void (*channel_tile[FC_MAX_NV][FC_MAX_NARROW_MR + 1])(const fc_pixels *pixels, const T *a, const T *b, T *c,                         \
                                                              const T *bias, const T *ahead);                                                \
        int pair_mr, narrow_mr;                                                                                                              \
        void (*channel_tile_pair[FC_MAX_PAIR_MR + 1])(const fc_pixels *pixels, const T *a, const T *b, T *c,                                 \
                                                      const T *bias, const T *ahead);                                                        \
                                                                                                                                             \
        /* lanes.h: C[m pixels] for narrow groups, `channels` and as many filters each, that lie side by side in a vector: row i\
         * of A is the vector at a + taps[tap] + i * step, all of whose lanes are read; lane l meets its lanes                \
         * l / channels * channels + p, p < channels. B is packed [tap][p][vector]; bias is a vector or NULL. For each vector of\
         * B one is prefetched from ahead on. Index: [whether a group is half of a vector][m]. */            \
        void (*group_tile[2][FC_MAX_MR + 1])(const fc_pixels *pixels, const T *a, const T *b, T *c, const T *bias,                           \
                                             const T *ahead);                                                                                \
                                                                                                                                             \
        /* weight.h: C[g lines][l][nv vectors] += sum over pixels of A B: l scalars of each line, at a + run.a + p * a_step +     \
         * line * a_line, by the nv vectors of pixel run.b + p of B, packed [pixel][nv * vector]. Lines of C are c_line apart.  \
         * Index: [nv - 1][g - 1][l], g * l from 1 to mr. */          \
        void (*weight_tile[FC_MAX_NV][FC_MAX_LINES][FC_MAX_MR + 1])(const fc_pixel_runs *pixels, const T *a,                                 \
                                                                    const T *b, T *c, ptrdiff_t c_line);                                     \
                                                                                                                                             \
        /* dot.h: c[i][j] = bias[j] + sum over p < depth of a[i][p] * b[j][p], i < m, j < n, rows being `rows` apart; bias may be\
         * NULL. Index: m, from 1 to dot_most. */           \
        int dot_most;                                                                                                                        \
        void (*dot_rows[FC_DOT_ROWS + 1])(const fc_row_strides *rows, ptrdiff_t depth, const T *a, const T *b,                               \
                                          ptrdiff_t n, const T *bias, T *c);                                                                 \
                                                                                                                                             \
        /* row_sums.h: c[i][j] = sum over p < depth of a[i][p] * b[p][j], i < m, j < n, + bias[i], or nothing; it goes on from what  \
         * c was with accumulate = 1, that comes last with 2. Index: m, from 1 on. */       \
        void (*sum_rows[FC_SUM_ROWS + 1])(const fc_row_sums *rows, ptrdiff_t depth, const T *a, const T *b,                                  \
                                          ptrdiff_t n, const T *bias, T *c, int accumulate);                                                 \
                                                                                                                                             \
        /* winograd.h, winograd_rows.h. Index: FC_F43 and so on. */                                                                          \
        fc_winograd_##NAME winograd[FC_WINOGRAD_SCHEMES];                                                                                    \
        /* winograd.h: m[tile][l] = sum over p < d of v[tile][l / d * d + p] * u[p][l] for vectors of narrow groups, one      \
         * behind the other; lanes that no group fills are anything. d vectors are prefetched from ahead on. Index: d, from 1 \
         * to half a vector. */              \
        void (*group_products[FC_MAX_GROUP + 1])(ptrdiff_t tiles, const T *v, const T *u, T *m, const T *ahead);                             \
                                                                                                                                             \
        /* contrast.h: whether somewhere in a strip of tiles, among the blocks of a tile, each of four channel vectors, the energy of      \
         * the loudest is more than `most` times that of the quietest that is not 0. Block i begins at band + at[i]; at and energy have    \
         * a vector more. The last `known` rows in energy are those of the strip before that this one begins with. */ \
        int (*band_contrast)(const fc_contrast_blocks *how, const T *band, const int32_t *at, T *energy, T most);                            \
        /* contrast.h: raises *loudest and lowers *quietest to the energies of blocks of 4 elements, `step` apart, those that are 0\
         * left out: `width` of them that begin side by side in each of so many rows. */         \
        void (*plane_contrast)(const T *x, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t width, ptrdiff_t step, T *loudest,                       \
                               T *quietest);                                                                                                 \
        /* contrast.h: whether in one of `tiles` tiles of 4 x 4 pixels side by side, rows pitch apart, the energy of a pixel, \
         * all vector channels of it, is more than `most` times that of another that is not 0. */              \
        int (*tile_contrast)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T most);                                                       \
                                                                                                                                             \
        /* winograd.h: a row of tiles of M, products of a gradient with stride 2 (FC_F43_STRIDE_2), to the 9 x 9 pixels that  \
         * each tile met, 8 apart, of 9 rows at y, y_row apart, and one vector each. Where patches meet they are added up; with\
         * below != 0 the first row holds that of the row of tiles above and is added to. Returns whether all are finite. */              \
        int (*add_patches)(const fc_winograd_steps *steps, const T *m, T *y, ptrdiff_t tiles, int below);                                    \
                                                                                                                                             \
        /* reduce.h: the sum of n elements, as right as that of a few. */                                                                    \
        double (*sum)(const T *x, ptrdiff_t n);                                                                                              \
                                                                                                                                             \
        /* elementwise.h: y[i] = f(x[i]), i < n; x == y is allowed. Index: FC_RELU and so on; slope is for FC_LEAKY_RELU. */                 \
        void (*activation[FC_ACTIVATIONS])(const T *x, T *y, ptrdiff_t n, T slope);                                                          \
                                                                                                                                             \
        /* elementwise.h: grad_x[i] = grad[i] f'(x[i]); v is x for (leaky) ReLU and ReLU6, else y = f(x). */                                 \
        void (*activation_backward[FC_ACTIVATIONS])(const T *grad, const T *v, T *grad_x, ptrdiff_t n, T slope);                             \
                                                                                                                                             \
        /* curves.h: y[i] = f(x[i]), and grad_x[i] = grad[i] f'(x[i]), i < n; results may be arguments. Index: FC_ELU ... */                 \
        void (*curve[FC_CURVES])(const T *x, T *y, ptrdiff_t n, const fc_curve *how);                                                        \
        void (*curve_backward[FC_CURVES])(const T *grad, const T *x, T *grad_x, ptrdiff_t n, const fc_curve *how);                           \
                                                                                                                                             \
        /* prelu.h: x where it is above 0, else its slope times x: of pixels that have a slope for each channel. Backward of n           \
         * elements of one slope, of which it returns the gradient, and of pixels, whose are in sums. */   \
        void (*prelu_pixels)(const T *x, const T *slopes, T *y, ptrdiff_t pixels, ptrdiff_t channels);                                       \
        double (*prelu_backward)(const T *grad, const T *x, T *grad_x, ptrdiff_t n, T slope);                                                \
        void (*prelu_pixels_backward)(const T *grad, const T *x, const T *slopes, T *grad_x, ptrdiff_t pixels,                               \
                                      ptrdiff_t channels, double *sums);                                                                     \
                                                                                                                                             \
        /* pair_loss.h: the sum of n losses, each of which goes to y where that is not NULL; and the gradients with respect to           \
         * x, times grad, or how->share where that is NULL. Index: FC_SQUARED ... */   \
        double (*pair_loss[FC_PAIR_LOSSES])(const fc_pair_loss *how, const T *x, const T *target, T *y, ptrdiff_t n);                        \
        void (*pair_loss_backward[FC_PAIR_LOSSES])(const fc_pair_loss *how, const T *x, const T *target,                                     \
                                                   const T *grad, T *grad_x, ptrdiff_t n);                                                   \
                                                                                                                                             \
        /* softmax.h: y = softmax(x) of one contiguous row, or its logarithm; x == y is allowed. Backward takes y. */                        \
        void (*softmax_row)(const T *x, T *y, ptrdiff_t n, int logarithm);                                                                   \
        void (*softmax_row_backward)(const T *grad, const T *y, T *grad_x, ptrdiff_t n, int logarithm);                                      \
                                                                                                                                             \
        /* softmax.h: the same down the n rows, `step` apart, of each of `columns` contiguous columns. */                                    \
        void (*softmax_columns)(const T *x, T *y, ptrdiff_t n, ptrdiff_t step, ptrdiff_t columns, int logarithm);                            \
        void (*softmax_columns_backward)(const T *grad, const T *y, T *grad_x, ptrdiff_t n, ptrdiff_t step,                                  \
                                         ptrdiff_t columns, int logarithm);                                                                  \
                                                                                                                                             \
        /* softmax.h, cross-entropy of a contiguous row: ln of the sum of e^(x - *top), *top being its maximum; and of its    \
         * gradient what all classes share, y = weight * (softmax(x) - share). x == y is allowed. */              \
        T (*log_sum_exp)(const T *x, ptrdiff_t n, T *top);                                                                                   \
        void (*softmax_less)(const T *x, T *y, ptrdiff_t n, T weight, T share);                                                              \
                                                                                                                                             \
        /* norm.h, planes of n elements with a centre, scale, ... each, or (index 1) pixels of n channels with one a channel, of         \
         * which a vector past the last may be read, and of the sums written: adds to sums those of x - centre (g, grad), to             \
         * products those of that times x - centre (times the mapped x); the maps. */   \
        void (*norm_moments[2])(const fc_norm *how, const T *x);                                                                             \
        void (*norm_gradient_sums[2])(const fc_norm *how, const T *x, const T *grad);                                                        \
        void (*norm_row_sums)(const fc_norm *how, const T *x, const T *grad); /* of each element of a row */                                 \
        void (*normalise[2])(const fc_norm *how, const T *x, T *y);                                                                          \
        void (*normalise_backward[2])(const fc_norm *how, const T *x, const T *grad, T *grad_x);                                             \
                                                                                                                                             \
        /* softmax.h: the same as log_sum_exp down the n rows, `step` apart, of each of `columns` contiguous columns. */                     \
        void (*log_sum_exp_columns)(const T *x, ptrdiff_t n, ptrdiff_t step, ptrdiff_t columns, T *top, T *shift);                           \
                                                                                                                                             \
        /* update.h: one step on n parameters, in place. velocity may be NULL, and so may m of rmsprop. */                                   \
        void (*sgd)(const fc_sgd *rule, T *param, const T *grad, T *velocity, ptrdiff_t n);                                                  \
        void (*adam)(const fc_adam *rule, T *param, const T *grad, T *m, T *v, ptrdiff_t n);                                                 \
        void (*rmsprop)(const fc_rmsprop *rule, T *param, const T *grad, T *v, T *m, T *velocity, ptrdiff_t n);                              \
        void (*adagrad)(const fc_adagrad *rule, T *param, const T *grad, T *sum, ptrdiff_t n);                                               \
                                                                                                                                             \
        /* depthwise.h, filling a band with rows of whole vectors (how->width is a multiple of vector), padding being value.  \
         * band_copy: a row's elements side by side. band_split: the even ones to its place, the odd ones to place + width.   \
         * band_gather: the columns how->which, one by one. */              \
        void (*band_copy)(const fc_band_rows *how, const T *src, T value, T *band);                                                          \
        void (*band_split)(const fc_band_rows *how, const T *src, T value, T *band);                                                         \
        void (*band_gather)(const fc_band_rows *how, const T *src, T value, T *band);                                                        \
                                                                                                                                             \
        /* depthwise.h: y[i * y_row + j] = bias + sum over taps of w[t] * band[i * pitch + taps[t] + j], i < rows,            \
         * j < width; what lies in the band behind a row's end, less than a vector, is read but does not count. Index:        \
         * [stride - 1][size / 2] for a filter of 3 x 3, 5 x 5 or 7 x 7 whose taps lie side by side, for stride 2 apart by    \
         * even and odd rows and columns; [0][0] for any filter. */              \
        void (*depthwise[2][4])(const fc_plane_block *block, const T *band, const T *w, T bias, T *y);                                       \
                                                                                                                                             \
        /* The same for any filter of four rows and more whose rows of taps are pitch apart. */                                              \
        void (*depthwise_tall)(const fc_plane_block *block, const T *band, const T *w, T bias, T *y);                                        \
                                                                                                                                             \
        /* depthwise.h: the same with any two filters, the first n_even taps and the rest, whose results are the even and the \
         * odd elements of a row of y: y[i * y_row + 2 * j] and y[i * y_row + 2 * j + 1], j < width. */              \
        void (*depthwise_pair)(const fc_plane_block *block, ptrdiff_t n_even, const T *band, const T *w, T *y);                              \
                                                                                                                                             \
        /* depthwise.h: sums[t][vector] += band[i * pitch + taps[t] + j] * dy[i * y_row + j], spread over the lanes. */                      \
        void (*depthwise_weight[2][4])(const fc_plane_block *block, const T *band, const T *dy, T *sums);                                    \
                                                                                                                                             \
        /* depthwise.h: out[t] = sum over the lanes of sums[t][vector], t < n_taps. */                                                       \
        void (*depthwise_weight_sum)(const T *sums, ptrdiff_t n_taps, T *out);                                                               \
                                                                                                                                             \
        /* depthwise_channels.h, lanes = channels: packed[t * step + i] = w[i * filter + t], tap t < taps of filter i < n;    \
         * zeros in the other lanes. Returns whether all are finite. */              \
        int (*pack_filters)(const T *w, ptrdiff_t filter, int n, ptrdiff_t taps, T *packed, ptrdiff_t step);                                 \
                                                                                                                                             \
        /* The first `channels` lanes of a vector: n rows of y (the last index). Row i and tap r meet the image row that      \
         * begins at rows[i * stride + r], or padding where that is NULL. Whole vectors are read. w is [tap][vector], bias    \
         * [vector]. Index: FC_STRIDE_11 and so on (strides of rows and columns), then size / 2 for 3 x 3, 5 x 5, 7 x 7. */              \
        void (*slide[FC_SLIDING_STRIDES][4][FC_SLIDING_ROWS + 1])(const fc_slide *how, const T *const *rows,                                 \
                                                                  const T *w, const T *bias, T *y);                                          \
                                                                                                                                             \
        /* Its weight gradient, with any number of rows: sums[tap][vector] += the sum over the pixels of dy. Index:           \
         * [stride - 1][size / 2]. */              \
        void (*slide_weight[2][4])(const fc_slide *how, ptrdiff_t n_rows, const T *const *rows, const T *dy, T *sums);                       \
                                                                                                                                             \
        /* For any filter, from a band of vectors, which band_pixels fills, with value for padding, and of which whole vectors\
         * are read. */              \
        void (*band_pixels)(const fc_pixel_rows *how, const T *src, T value, T *band);                                                       \
        void (*depthwise_channels)(const fc_pixel_block *block, const T *band, const T *w, const T *bias, T *y);                             \
        void (*depthwise_channels_weight)(const fc_pixel_block *block, const T *band, const T *dy, T *sums);                                 \
                                                                                                                                             \
        /* pool.h, band: best[j] = max of x[taps[s] + j] over s, tap[j] = step times the s that won, where tap is not NULL;   \
         * sum[j] = their sum. For j < n rounded up to whole vectors: x, best, tap and sum must have that slack. */              \
        void (*max_across)(const T *x, const ptrdiff_t *taps, int n_taps, I step, T *best, I *tap, ptrdiff_t n);                             \
        void (*sum_across)(const T *x, const ptrdiff_t *taps, int n_taps, T *sum, ptrdiff_t n);                                              \
                                                                                                                                             \
        /* pool.h, band: best[j] = max of best[j] and best[j + shift], whose tap is `step` more, in place; wider[j] = sum[j] +\
         * sum[j + shift] + last[j + 2 shift], without the third where last is NULL; wider may be sum. n is rounded up. */              \
        void (*max_widen)(T * best, I *tap, ptrdiff_t shift, I step, ptrdiff_t n);                                                           \
        void (*sum_widen)(const T *sum, const T *last, ptrdiff_t shift, T *wider, ptrdiff_t n);                                              \
                                                                                                                                             \
        /* pool.h, band: one row of n outputs. y[j] = max of best[rows[r] + j] over r; index[j] (where index is not NULL) =   \
         * base + columns[j] + positions[r] + tap[rows[r] + j] of the r that won. And y[j] = sum of sum[rows[r] + j] over     \
         * (row_count * column_counts[j]), without a division where column_counts is NULL. Whole vectors are read. */              \
        void (*max_down)(const fc_down *down, const T *best, const I *tap, T *y, int64_t *index, int64_t base,                               \
                         ptrdiff_t n);                                                                                                       \
        void (*mean_down)(const T *sum, const ptrdiff_t *rows, int n_rows, T row_count, const T *column_counts, T *y,                        \
                          ptrdiff_t n);                                                                                                      \
                                                                                                                                             \
        /* pool.h, planes: n outputs of 2 x 2 windows with step 2 from the two rows at x and x + row. base is the index of    \
         * x[0] in its plane, width that of the plane; index may be NULL. Exactly 2 n pixels of each row are read. */              \
        void (*max_2x2)(const T *x, ptrdiff_t row, I width, T *y, int64_t *index, int64_t base, ptrdiff_t n);                                \
        void (*mean_2x2)(const T *x, ptrdiff_t row, T *y, ptrdiff_t n);                                                                      \
                                                                                                                                             \
        /* pool.h, planes: their gradients, 2 n pixels of two rows; all are written. max: returns 0, leaving them undefined,  \
         * where an index is not in its output's own window. */              \
        int (*max_2x2_backward)(const T *grad, const int64_t *index, int64_t base, I width, T *grad_x, ptrdiff_t row,                        \
                                ptrdiff_t n);                                                                                                \
        void (*mean_2x2_backward)(const T *grad, T *grad_x, ptrdiff_t row, ptrdiff_t n);                                                     \
                                                                                                                                             \
        /* pool_scatter.h: grad_x[index * pixel] += grad, of each plane n; returns 0 at an index outside 0 .. pixels - 1. */                 \
        int (*scatter)(const fc_scatter *how, const T *grad, const int64_t *index, T *grad_x);                                               \
                                                                                                                                             \
        /* pool.h: dst[j * stride] = grad[j * step] / (row_count * column_counts[j]), j < n. */                                              \
        void (*spread_row)(const T *grad, ptrdiff_t step, T row_count, const T *column_counts, T *dst,                                       \
                           ptrdiff_t stride, ptrdiff_t n);                                                                                   \
                                                                                                                                             \
        /* pool_channels.h: one output of n contiguous channels from its window of rows x columns pixels. max: index (may be \
         * NULL) = base + r * row_step + s * column_step, which fits into an I without base; mean: the sum over count.        \
         * Backward writes grad over the window's count to its pixels, or adds it to them. */               \
        void (*max_channels)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,                                   \
                             int64_t *index, ptrdiff_t n);                                                                                   \
        void (*mean_channels)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,                                  \
                              ptrdiff_t n);                                                                                                  \
        void (*spread_channels)(const fc_window *window, const T *grad, T *grad_x, ptrdiff_t rows, ptrdiff_t columns,                        \
                                int add, ptrdiff_t n);                                                                                       \
                                                                                                                                             \
        /* pool_channels.h: the gradient of a maximum: grad to the pixel of its window that is the index, 0 to the others.            \
         * Returns 0, the window's pixels being undefined, where an index is not in it. */      \
        int (*max_channels_backward)(const fc_window *window, const T *grad, const int64_t *index, T *grad_x,                                \
                                     ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t n);                                                        \
                                                                                                                                             \
        /* pool_planes.h: the maximum of n >= 1 elements, and its position; of n elements each, `planes` times, `plane` apart: \
         * results follow each other, index may be NULL. pool_rows.h: y[j] = max, sum of x[j * stride + t * dilation] over    \
         * t < taps, j < n. resize.h: see pointwise.h. */             \
        T (*max_of_run)(const T *x, ptrdiff_t n, ptrdiff_t *position);                                                                       \
        void (*max_of_planes)(const T *x, ptrdiff_t plane, ptrdiff_t n, ptrdiff_t planes, T *y, int64_t *index);                             \
        void (*mean_of_planes)(const T *x, ptrdiff_t plane, ptrdiff_t n, ptrdiff_t planes, T *y);                                            \
        void (*max_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t n);                             \
        void (*sum_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t n);                             \
        void (*mix_pixels)(const fc_mixing *how, const T *upper, const T *lower, double down, T *y);                                         \
        void (*add_pixels)(const fc_adding *how, const T *grad, T *grad_x, ptrdiff_t n);                                                     \
    } fc_kernels_##NAME;

FC_DECLARE_KERNELS(float, int32_t, f32)
FC_DECLARE_KERNELS(double, int64_t, f64)

typedef struct {
    const char *name; /* "baseline", "avx2", "avx512", "neon" */
    fc_kernels_f32 f32;
    fc_kernels_f64 f64;
} fc_table;

/* cpu.c: the instruction sets, best last. Each function takes an index from 0 to fc_isa_count() - 1. */
int fc_isa_count(void);
const char *fc_isa_name(int index);
int fc_isa_supported(int index);         /* by the CPU that runs this */
const fc_table *fc_isa_table(int index); /* NULL where it was not compiled in */
int fc_isa_of_intel(void);               /* whether Intel made this CPU */
#endif
