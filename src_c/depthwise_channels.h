/* Depthwise convolution, lanes = channels: where the channels of a pixel lie side by side in memory (NHWC).
 *
 *   3 x 3, 5 x 5, 7 x 7:       for column of the image: for output that it is part of: for r: for rows (at most 4):
 *                                  y += w[r][s] * x
 *   any filter, from a band:   for rows (4): for columns (5): for s: for band row: for rows that meet it:
 *                                  y += w[r][s] * x
 *                              (fewer rows, filter rows, or a stride: for row: for columns (8): for tap:
 *                                  y += w[tap] * x)
 *
 * The first slides along a row of outputs and reads x in place: neither borders nor strides move any data. A column of
 * the image is loaded once, (rows - 1) * stride + R vectors, for all of the ceil(R / stride) outputs that it is part
 * of; their sums move on by one place with each output. Registers: rows * ceil(R / stride) sums (12 for 3 x 3, 28 for 7
 * x 7) and the column; each weight is loaded once for `rows` FMAs. On a Zen 4 core that is 95 to 115 of 117 GFLOP/s.
 *
 * Rows and columns come as tables: where a row begins, NULL where it is all padding; where a column lies behind that,
 * FC_OUTSIDE where it is padding. Padding is the vector `outside`.
 */

/* Up to LANES taps from tap t on of n filters, lanes = filters; nonfinite becomes NaN in a lane where one is so. */
INLINE void NAME(pack_taps)(const T *w, ptrdiff_t filter, int n, ptrdiff_t t, int taps, T *packed, ptrdiff_t step,
                            V *nonfinite) {
    V r[LANES];
    UNROLL for (int i = 0; i < LANES; i++) r[i] = i >= n          ? (V){0}
                                                  : taps == LANES ? NAME(load)(w + i * filter + t)
                                                                  : NAME(load_part)(w + i * filter + t, taps);
    UNROLL for (int i = 0; i < LANES; i++) *nonfinite += r[i] * 0;
    NAME(transpose_block)(r);
    UNROLL for (int i = 0; i < LANES; i++) if (i < taps) NAME(store)(packed + (t + i) * step, r[i]);
}

static int NAME(pack_filters)(const T *w, ptrdiff_t filter, int n, ptrdiff_t taps, T *packed, ptrdiff_t step) {
    V nonfinite = {0};
    if (taps < LANES) {
        NAME(pack_taps)(w, filter, n, 0, (int)taps, packed, step, &nonfinite);
    } else {
        for (ptrdiff_t t = 0; t < taps; t += LANES)
            NAME(pack_taps)(w, filter, n, t < taps - LANES ? t : taps - LANES, LANES, packed, step, &nonfinite);
    }
    for (int i = 0; i < LANES; i++)
        if (nonfinite[i] != 0) return 0;
    return 1;
}

INLINE V NAME(pixel)(const T *row, ptrdiff_t column, const T *outside) {
    return NAME(load)(row ? row + column : outside);
}

#undef HELD
#define HELD(size) (VECTOR_REGISTERS >= 32 && size == 3) /* whether the weights stay in registers */

/* Constants wherever it is inlined: the filter's size and strides, and rows that are taken together: of outputs, or of
 * the filter in a weight gradient. */
typedef struct {
    int size, stride_h, stride_w, rows;
} NAME(sliding);

/* Adds column t of output 0 to the outputs that it is part of; t is a constant where this is inlined. With stride 2 far
 * more is read than written, and the rows of the next outputs are asked for (24 MB: 0.85 ms without, 0.5 with); with
 * stride 1 the hardware prefetcher keeps up, and does better alone. */
INLINE void NAME(slide_over)(NAME(sliding) q, int t, fc_slide how, const T *const *rows, const T *w, const V *held,
                             V (*acc)[FC_SLIDING_ROWS]) {
    int size = q.size, stride_h = q.stride_h, stride_w = q.stride_w, n_rows = q.rows;
    ptrdiff_t column = how.columns[t], ahead = how.ahead;
    const T *outside = how.outside;
    V x[2 * (FC_SLIDING_ROWS - 1) + 7];
    int n = (n_rows - 1) * stride_h + size;
    if (column != FC_OUTSIDE) {
        UNROLL for (int b = 0; b < n; b++) x[b] = NAME(pixel)(rows[b], column, outside);
        if (stride_h == 2 && ahead) {
            UNROLL for (int b = n - 2 * n_rows; b < n; b++) PREFETCH(rows[b], column + ahead, 0, 2);
        }
    } else {
        if (how.idle) return;
        UNROLL for (int b = 0; b < n; b++) x[b] = NAME(load)(outside);
    }
    UNROLL for (int j = 0; j * stride_w <= t; j++) {
        int s = t - j * stride_w;
        if (s < size) UNROLL for (int r = 0; r < size; r++) {
                V wv = HELD(size) ? held[r * size + s] : NAME(load)(w + (r * size + s) * LANES);
                UNROLL for (int i = 0; i < n_rows; i++) acc[j][i] += wv * x[i * stride_h + r];
            }
    }
}

INLINE void NAME(slide)(NAME(sliding) q, const fc_slide *job, const T *const *row_table, const T *w, const T *bias,
                        T *y) {
    fc_slide how = *job;
    int size = q.size, stride_w = q.stride_w, n_rows = q.rows, channels = how.channels;
    int places = (size + stride_w - 1) / stride_w, n = (n_rows - 1) * q.stride_h + size;
    ptrdiff_t y_row = how.y_row;
    const T *rows[2 * (FC_SLIDING_ROWS - 1) + 7];
    V acc[7][FC_SLIDING_ROWS], held[9], bv = NAME(load)(bias);
    const V least = NAME(broadcast)((T)how.least), most = NAME(broadcast)((T)how.most);
    UNROLL for (int b = 0; b < n; b++) rows[b] = row_table[b];
    if (HELD(size)) { UNROLL for (int t = 0; t < size * size; t++) held[t] = NAME(load)(w + t * LANES); }
    UNROLL for (int j = 0; j < places; j++) UNROLL for (int i = 0; i < n_rows; i++) acc[j][i] = bv;
    UNROLL for (int t = 0; t < size - stride_w; t++) NAME(slide_over)(q, t, how, rows, w, held, acc);
    const ptrdiff_t *end = how.columns + how.width * stride_w; /* and no counter, which would not get a register */
    for (; how.columns < end; how.columns += stride_w, y += how.y_col) {
        UNROLL for (int t = size - stride_w; t < size; t++) NAME(slide_over)(q, t, how, rows, w, held, acc);
        UNROLL for (int i = 0; i < n_rows; i++) acc[0][i] = NAME(smaller)(most, NAME(larger)(least, acc[0][i]));
        if (channels == LANES) {
            UNROLL for (int i = 0; i < n_rows; i++) NAME(store)(y + i * y_row, acc[0][i]);
        } else {
            UNROLL for (int i = 0; i < n_rows; i++) NAME(store_part)(y + i * y_row, acc[0][i], channels);
        }
        UNROLL for (int i = 0; i < n_rows; i++) {
            UNROLL for (int j = 0; j + 1 < places; j++) acc[j][i] = acc[j + 1][i];
            acc[places - 1][i] = bv;
        }
    }
}

#define SLIDE(size, stride_h, stride_w, n_rows)                                                                        \
    static void NAME(slide_##size##_##stride_h##stride_w##_##n_rows)(const fc_slide *how, const T *const *rows,        \
                                                                     const T *w, const T *bias, T *y) {                \
        NAME(slide)((NAME(sliding)){size, stride_h, stride_w, n_rows}, how, rows, w, bias, y);                         \
    }
/* More than two rows, two at a time: in 16 registers of four numbers, where that takes at most 7 % longer, it saves a fifth of
 * the kernels. */
#define SLIDE_IN_TURN(size, stride_h, stride_w, n_rows, rest)                                                          \
    static void NAME(slide_##size##_##stride_h##stride_w##_##n_rows)(const fc_slide *how, const T *const *rows,        \
                                                                     const T *w, const T *bias, T *y) {                \
        NAME(slide_##size##_##stride_h##stride_w##_2)(how, rows, w, bias, y);                                          \
        NAME(slide_##size##_##stride_h##stride_w##_##rest)(how, rows + 2 * stride_h, w, bias, y + 2 * how->y_row);     \
    }
#define SLIDES(size, h, w) SLIDE(size, h, w, 1) SLIDE(size, h, w, 2) SLIDE(size, h, w, 3) SLIDE(size, h, w, 4)
#if VECTOR_REGISTERS < 32 && VECTOR_BYTES == 16
#define LONG_SLIDES(size, h, w)                                                                                        \
    SLIDE(size, h, w, 1) SLIDE(size, h, w, 2) SLIDE_IN_TURN(size, h, w, 3, 1) SLIDE_IN_TURN(size, h, w, 4, 2)
#else
#define LONG_SLIDES SLIDES
#endif
SLIDES(3, 1, 1)
LONG_SLIDES(5, 1, 1)
LONG_SLIDES(7, 1, 1)
SLIDES(3, 2, 2)
LONG_SLIDES(5, 2, 2)
LONG_SLIDES(7, 2, 2)
SLIDES(3, 1, 2)
LONG_SLIDES(5, 1, 2)
LONG_SLIDES(7, 1, 2)
#undef SLIDES
#undef LONG_SLIDES
#undef SLIDE_IN_TURN
#undef SLIDE

/* ---------------------------------------------------------------------------------------------------------------------
 * From a band of vectors */

#undef BAND_TILE_COLUMNS
#define BAND_TILE_COLUMNS (VECTOR_REGISTERS >= 32 ? 5 : 2)

static void NAME(band_pixels)(const fc_pixel_rows *how, const T *src, T value, T *restrict band) {
    const ptrdiff_t *rows = how->rows, *columns = how->columns;
    ptrdiff_t n_rows = how->n_rows, n_columns = how->n_columns, pitch = how->pitch;
    int channels = how->channels;
    V outside = NAME(broadcast)(value);
    for (ptrdiff_t b = 0; b < n_rows; b++, band += pitch)
        for (ptrdiff_t q = 0; q < n_columns; q++) {
            T *dst = band + q * LANES;
            if (rows[b] == FC_OUTSIDE || columns[q] == FC_OUTSIDE)
                NAME(store)(dst, outside);
            else if (channels == LANES)
                NAME(store)(dst, NAME(load)(src + rows[b] + columns[q]));
            else
                NAME(store)(dst, NAME(load_lanes)(src + rows[b] + columns[q], 0, channels, outside));
        }
}

/* n columns of one row. */
INLINE void NAME(band_row)(int n, fc_pixel_block block, const T *band, const T *w, V bias, T *y) {
    ptrdiff_t column = block.column, pitch = block.pitch, tap = block.tap, r_taps = block.r_taps, s_taps = block.s_taps;
    ptrdiff_t y_col = block.y_col;
    int channels = block.channels;
    V acc[8];
    UNROLL for (int j = 0; j < n; j++) acc[j] = bias;
    for (ptrdiff_t r = 0; r < r_taps; r++, band += pitch) {
        const T *x = band;
        for (ptrdiff_t s = 0; s < s_taps; s++, x += tap, w += LANES) {
            V wv = NAME(load)(w);
            UNROLL for (int j = 0; j < n; j++) acc[j] += wv * NAME(load)(x + j * column);
        }
    }
    if (channels == LANES) {
        UNROLL for (int j = 0; j < n; j++) NAME(store)(y + j * y_col, acc[j]);
    } else {
        UNROLL for (int j = 0; j < n; j++) NAME(store_part)(y + j * y_col, acc[j], channels);
    }
}

/* Four rows x n columns, stride 1, at least four filter rows: down each filter column, of which four weights are in
 * registers, so that a load feeds four FMAs. */
INLINE void NAME(band_tile)(int n, fc_pixel_block block, const T *band, const T *w, V bias, T *y) {
    ptrdiff_t column = block.column, pitch = block.pitch, tap = block.tap, r_taps = block.r_taps, s_taps = block.s_taps;
    ptrdiff_t y_row = block.y_row, y_col = block.y_col;
    int channels = block.channels;
    V acc[4][BAND_TILE_COLUMNS];
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < n; j++) acc[i][j] = bias;
    for (ptrdiff_t s = 0; s < s_taps; s++, band += tap, w += LANES) {
        const T *x = band, *weight = w;
        V held[4] = {{0}};
        UNROLL for (int b = 0; b < 3; b++, x += pitch, weight += s_taps * LANES) {
            held[b] = NAME(load)(weight);
            UNROLL for (int j = 0; j < n; j++) {
                V v = NAME(load)(x + j * column);
                UNROLL for (int i = 0; i <= b; i++) acc[i][j] += held[b - i] * v;
            }
        }
        for (ptrdiff_t r = 3; r < r_taps; r++, x += pitch, weight += s_taps * LANES) {
            held[3] = NAME(load)(weight);
            UNROLL for (int j = 0; j < n; j++) {
                V v = NAME(load)(x + j * column);
                UNROLL for (int i = 0; i < 4; i++) acc[i][j] += held[3 - i] * v;
            }
            UNROLL for (int i = 0; i < 3; i++) held[i] = held[i + 1];
        }
        UNROLL for (int b = 1; b < 4; b++, x += pitch) UNROLL for (int j = 0; j < n; j++) {
            V v = NAME(load)(x + j * column);
            UNROLL for (int i = b; i < 4; i++) acc[i][j] += held[2 + b - i] * v;
        }
    }
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < n; j++) {
        if (channels == LANES)
            NAME(store)(y + i * y_row + j * y_col, acc[i][j]);
        else
            NAME(store_part)(y + i * y_row + j * y_col, acc[i][j], channels);
    }
}

static void NAME(depthwise_channels)(const fc_pixel_block *all, const T *band, const T *w, const T *bias, T *y) {
    fc_pixel_block block = *all;
    ptrdiff_t row = block.row, column = block.column, y_row = block.y_row, y_col = block.y_col, rows = block.rows;
    ptrdiff_t width = block.width;
    V bv = NAME(load)(bias);
    if (row == block.pitch && block.r_taps >= 4)
        for (; rows >= 4; rows -= 4, band += 4 * row, y += 4 * y_row) {
            ptrdiff_t j = 0;
            for (; j + BAND_TILE_COLUMNS <= width; j += BAND_TILE_COLUMNS)
                NAME(band_tile)(BAND_TILE_COLUMNS, block, band + j * column, w, bv, y + j * y_col);
            for (; j < width; j++) NAME(band_tile)(1, block, band + j * column, w, bv, y + j * y_col);
        }
    for (; rows > 0; rows--, band += row, y += y_row) {
        ptrdiff_t j = 0;
        for (; j + 8 <= width; j += 8) NAME(band_row)(8, block, band + j * column, w, bv, y + j * y_col);
        for (; j + 4 <= width; j += 4) NAME(band_row)(4, block, band + j * column, w, bv, y + j * y_col);
        for (; j < width; j++) NAME(band_row)(1, block, band + j * column, w, bv, y + j * y_col);
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Weight gradient: what a pixel of grad_output meets of some filter rows stays in registers, beside their sums, and
 * moves on */

/* One row of grad_output against n filter rows. */
INLINE void NAME(slide_weight_row)(NAME(sliding) q, fc_slide how, const T *const *rows, const T *dy, V *acc) {
    int size = q.size, stride = q.stride_h, n = q.rows, channels = how.channels;
    const ptrdiff_t *columns = how.columns;
    const T *outside = how.outside;
    ptrdiff_t width = how.width, dy_col = how.y_col, ahead = how.ahead;
    V x[3][7];
    UNROLL for (int s = stride; s < size; s++) UNROLL for (int r = 0; r < n; r++)
        x[r][s] = NAME(pixel)(columns[s - stride] == FC_OUTSIDE ? NULL : rows[r], columns[s - stride], outside);
    for (; width > 0; width--, columns += stride, dy += dy_col) {
        V g = channels == LANES ? NAME(load)(dy) : NAME(load_part)(dy, channels);
        UNROLL for (int r = 0; r < n; r++) UNROLL for (int s = 0; s < size - stride; s++) x[r][s] = x[r][s + stride];
        UNROLL for (int s = size - stride; s < size; s++) {
            if (columns[s] != FC_OUTSIDE) {
                UNROLL for (int r = 0; r < n; r++) {
                    x[r][s] = NAME(pixel)(rows[r], columns[s], outside);
                    if (stride == 2 && ahead && r >= n - 2) PREFETCH(rows[r], columns[s] + ahead, 0, 2);
                }
            } else {
                UNROLL for (int r = 0; r < n; r++) x[r][s] = NAME(load)(outside);
            }
        }
        UNROLL for (int r = 0; r < n; r++) UNROLL for (int s = 0; s < size; s++) acc[r * size + s] += g * x[r][s];
    }
}

/* All rows of grad_output against filter rows from r on. */
INLINE void NAME(slide_weight_rows)(NAME(sliding) q, int r, fc_slide how, ptrdiff_t n_rows, const T *const *rows,
                                    const T *dy, T *sums) {
    int size = q.size, n = q.rows;
    V acc[3 * 7];
    UNROLL for (int t = 0; t < n * size; t++) acc[t] = (V){0};
    for (ptrdiff_t i = 0; i < n_rows; i++)
        NAME(slide_weight_row)(q, how, rows + i * q.stride_h + r, dy + i * how.y_row, acc);
    sums += r * size * LANES;
    UNROLL for (int t = 0; t < n * size; t++) NAME(store)(sums + t * LANES, NAME(load)(sums + t * LANES) + acc[t]);
}

/* What is read again for the next filter rows is not asked for: only the last ones look ahead. */
#define SLIDE_WEIGHT(size, stride, n)                                                                                  \
    static void NAME(slide_weight_##size##_##stride)(const fc_slide *job, ptrdiff_t n_rows, const T *const *rows,      \
                                                     const T *dy, T *sums) {                                           \
        fc_slide how = *job;                                                                                           \
        int r = 0;                                                                                                     \
        for (; r + n <= size; r += n) {                                                                                \
            how.ahead = r + n == size ? job->ahead : 0;                                                                \
            NAME(slide_weight_rows)((NAME(sliding)){size, stride, stride, n}, r, how, n_rows, rows, dy, sums);         \
        }                                                                                                              \
        how.ahead = job->ahead;                                                                                        \
        if (size % n)                                                                                                  \
            NAME(slide_weight_rows)((NAME(sliding)){size, stride, stride, size % n}, r, how, n_rows, rows, dy, sums);  \
    }
#if VECTOR_REGISTERS >= 32
SLIDE_WEIGHT(3, 1, 3)
SLIDE_WEIGHT(3, 2, 3)
SLIDE_WEIGHT(5, 1, 2)
SLIDE_WEIGHT(5, 2, 2)
SLIDE_WEIGHT(7, 1, 2)
SLIDE_WEIGHT(7, 2, 2)
#else
SLIDE_WEIGHT(3, 1, 2)
SLIDE_WEIGHT(3, 2, 2)
SLIDE_WEIGHT(5, 1, 1)
SLIDE_WEIGHT(5, 2, 1)
SLIDE_WEIGHT(7, 1, 1)
SLIDE_WEIGHT(7, 2, 1)
#endif
#undef SLIDE_WEIGHT

/* From a band: n taps at once, whose sums are independent chains. Lanes that do not count may hold a NaN in the band,
 * and zero times that is NaN, so they are not stored. */
INLINE
void NAME(band_weight)(int n, const ptrdiff_t *taps, fc_pixel_block block, const T *band, const T *dy, T *sums) {
    ptrdiff_t row = block.row, column = block.column, dy_row = block.y_row, dy_col = block.y_col, rows = block.rows;
    ptrdiff_t width = block.width;
    int channels = block.channels;
    V acc[9];
    UNROLL for (int t = 0; t < n; t++) acc[t] = (V){0};
    for (; rows > 0; rows--, band += row, dy += dy_row)
        for (ptrdiff_t j = 0; j < width; j++) {
            V g = channels == LANES ? NAME(load)(dy + j * dy_col) : NAME(load_part)(dy + j * dy_col, channels);
            UNROLL for (int t = 0; t < n; t++) acc[t] += g * NAME(load)(band + taps[t] + j * column);
        }
    UNROLL for (int t = 0; t < n; t++) {
        V sum = NAME(load)(sums + t * LANES) + acc[t];
        if (channels == LANES)
            NAME(store)(sums + t * LANES, sum);
        else
            NAME(store_part)(sums + t * LANES, sum, channels);
    }
}

static void NAME(depthwise_channels_weight)(const fc_pixel_block *all, const T *band, const T *dy, T *sums) {
    fc_pixel_block block = *all;
    ptrdiff_t s_taps = block.s_taps, n_taps = block.r_taps * s_taps;
    for (ptrdiff_t t = 0, n; t < n_taps; t += n, sums += n * LANES) {
        ptrdiff_t taps[9], left = n_taps - t;
        n = left >= 9 ? 9 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (int i = 0; i < n; i++) taps[i] = (t + i) / s_taps * block.pitch + (t + i) % s_taps * block.tap;
        if (n == 9)
            NAME(band_weight)(9, taps, block, band, dy, sums);
        else if (n == 4)
            NAME(band_weight)(4, taps, block, band, dy, sums);
        else if (n == 2)
            NAME(band_weight)(2, taps, block, band, dy, sums);
        else
            NAME(band_weight)(1, taps, block, band, dy, sums);
    }
}

#undef SLIDE_TABLE
#undef SLIDE_ROW
#define SLIDE_ROW(size, strides)                                                                                       \
    {NULL, NAME(slide_##size##_##strides##_1), NAME(slide_##size##_##strides##_2), NAME(slide_##size##_##strides##_3), \
     NAME(slide_##size##_##strides##_4)}
#define SLIDE_TABLE                                                                                                    \
    {                                                                                                                  \
        {{NULL}, SLIDE_ROW(3, 11), SLIDE_ROW(5, 11), SLIDE_ROW(7, 11)},                                                \
            {{NULL}, SLIDE_ROW(3, 22), SLIDE_ROW(5, 22), SLIDE_ROW(7, 22)}, {                                          \
            {NULL}, SLIDE_ROW(3, 12), SLIDE_ROW(5, 12), SLIDE_ROW(7, 12)                                               \
        }                                                                                                              \
    }
#undef SLIDE_WEIGHT_TABLE
#define SLIDE_WEIGHT_TABLE                                                                                             \
    {                                                                                                                  \
        {NULL, NAME(slide_weight_3_1), NAME(slide_weight_5_1), NAME(slide_weight_7_1)}, {                              \
            NULL, NAME(slide_weight_3_2), NAME(slide_weight_5_2), NAME(slide_weight_7_2)                               \
        }                                                                                                              \
    }
