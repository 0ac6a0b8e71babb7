/* Winograd's transforms in one dimension, for filters of one row or one column: y = A^T (U V summed over channels) of V = B^T x and
 * U = G w, by the 1-D transforms of winograd.h. A tile is 4 outputs side by side, or one below the other.
 *
 *   f43_row, f43_column  3 taps: 6 products for 12
 *   f45_row, f45_column  5 taps: 8 products for 20
 *   f42_row, f42_column  2 taps: 5 products for 8
 *
 * They take and make what those of two dimensions do, with one pixel in the place of several. Filters that are dilated along the
 * rows are those of columns, of an image whose rows are so long. There is no weight gradient by them.
 */
#define WINOGRAD_LINE(scheme, P, R)                                                                                    \
    INLINE void NAME(scheme##_line_inputs)(const T *band, ptrdiff_t pixel, ptrdiff_t next, ptrdiff_t tiles,            \
                                           T *restrict v, const ptrdiff_t *at, ptrdiff_t point_stride) {               \
        for (ptrdiff_t t = 0; t < tiles; t++, band += next) {                                                          \
            T *out = v + at[t];                                                                                        \
            V d[P], o[P];                                                                                              \
            UNROLL for (int i = 0; i < P; i++) d[i] = NAME(load)(band + i * pixel);                                    \
            NAME(scheme##_input)(o, d);                                                                                \
            UNROLL for (int i = 0; i < P; i++) NAME(store)(out + i * point_stride, o[i]);                              \
        }                                                                                                              \
    }                                                                                                                  \
    static void NAME(scheme##_row_inputs)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *restrict v,              \
                                          const ptrdiff_t *at, ptrdiff_t point_stride) {                               \
        (void)pitch;                                                                                                   \
        NAME(scheme##_line_inputs)(band, LANES, 4 * LANES, tiles, v, at, point_stride);                                \
    }                                                                                                                  \
    static void NAME(scheme##_column_inputs)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *restrict v,           \
                                             const ptrdiff_t *at, ptrdiff_t point_stride) {                            \
        NAME(scheme##_line_inputs)(band, pitch, LANES, tiles, v, at, point_stride);                                    \
    }                                                                                                                  \
    static void NAME(scheme##_line_filters)(const T *w, ptrdiff_t channels, T *restrict u, ptrdiff_t point_stride,     \
                                            ptrdiff_t channel_stride) {                                                \
        for (ptrdiff_t c = 0; c < channels; c++, w += R * LANES, u += channel_stride) {                                \
            V g[R], o[P];                                                                                              \
            UNROLL for (int r = 0; r < R; r++) g[r] = NAME(load)(w + r * LANES);                                       \
            NAME(scheme##_filter)(o, g);                                                                               \
            UNROLL for (int i = 0; i < P; i++) NAME(store)(u + i * point_stride, o[i]);                                \
        }                                                                                                              \
    }                                                                                                                  \
    INLINE int NAME(scheme##_line_outputs)(const fc_winograd_steps *steps, const T *m, const T *bias, T *restrict y,   \
                                           ptrdiff_t rows, ptrdiff_t cols, int down) {                                 \
        const ptrdiff_t pixel = down ? steps->y_row : steps->y_col, next = down ? steps->y_col : 4 * steps->y_col;     \
        const ptrdiff_t tiles = down ? cols : (cols + 3) / 4;                                                          \
        const ptrdiff_t point_stride = steps->m_point, tile_stride = steps->m_tile;                                    \
        V b = bias ? NAME(load)(bias) : (V){0}, odd = {0};                                                             \
        const V least = NAME(broadcast)(steps->activation.kind == FC_RELU ? 0 : -(T)__builtin_inf());                  \
        for (ptrdiff_t t = 0; t < tiles; t++, m += tile_stride, y += next) {                                           \
            const ptrdiff_t count = down ? rows : cols - 4 * t;                                                        \
            V q[P], o[4];                                                                                              \
            UNROLL for (int i = 0; i < P; i++) q[i] = NAME(load)(m + i * point_stride);                                \
            NAME(scheme##_output)(o, q);                                                                               \
            UNROLL for (int j = 0; j < 4; j++) o[j] += b;                                                              \
            UNROLL for (int j = 0; j < 4; j++) {                                                                       \
                if (j >= count) break;                                                                                 \
                odd += o[j] * 0;                                                                                       \
                NAME(store)(y + j * pixel, NAME(larger)(least, o[j]));                                                 \
            }                                                                                                          \
        }                                                                                                              \
        int finite = 1;                                                                                                \
        for (int l = 0; l < LANES; l++) finite &= odd[l] == 0;                                                         \
        return finite;                                                                                                 \
    }                                                                                                                  \
    static int NAME(scheme##_row_outputs)(const fc_winograd_steps *steps, const T *m, const T *bias, T *restrict y,    \
                                          ptrdiff_t rows, ptrdiff_t cols) {                                            \
        int finite = NAME(scheme##_line_outputs)(steps, m, bias, y, rows, cols, 0);                                    \
        if (steps->activation.kind > FC_RELU) NAME(activate_rows)(&steps->activation, y, steps->y_col, cols, LANES);   \
        return finite;                                                                                                 \
    }                                                                                                                  \
    static int NAME(scheme##_column_outputs)(const fc_winograd_steps *steps, const T *m, const T *bias, T *restrict y, \
                                             ptrdiff_t rows, ptrdiff_t cols) {                                         \
        int finite = NAME(scheme##_line_outputs)(steps, m, bias, y, rows, cols, 1);                                    \
        if (steps->activation.kind > FC_RELU)                                                                          \
            for (ptrdiff_t i = 0; i < rows; i++)                                                                       \
                NAME(activate_rows)(&steps->activation, y + i * steps->y_row, steps->y_col, cols, LANES);              \
        return finite;                                                                                                 \
    }

WINOGRAD_LINE(f43, 6, 3)
WINOGRAD_LINE(f45, 8, 5)
WINOGRAD_LINE(f42, 5, 2)

#define WINOGRAD_LINE_SCHEME(scheme, direction, P, R)                                                                  \
    {.points = P,                                                                                                      \
     .filter_points = P,                                                                                               \
     .taps = R,                                                                                                        \
     .step = 4,                                                                                                        \
     .inputs = NAME(scheme##_##direction##_inputs),                                                                    \
     .filters = NAME(scheme##_line_filters),                                                                           \
     .outputs = NAME(scheme##_##direction##_outputs)}
