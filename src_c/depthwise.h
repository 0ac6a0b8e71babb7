/* Depthwise convolution, lanes = columns: one plane with its own filter, from a padded band of a few rows.
 *
 * The band has no borders and no strides (its columns are split into phases): output (i, j) finds tap t at
 * band[i * pitch + j + taps[t]]. Lanes run over columns; the last vector of a row overlaps the one before, and a row
 * that is shorter than a vector is stored in part.
 *
 *   planes, R x R:  for rows (a tile of 7): for columns (a vector): for s: for band row:
 *                       for rows that meet it: y += w[r][s] * x
 *   tall filters:   for rows (4): for columns (4 vectors): for s: for band row:
 *                       for rows that meet it: y += w[r][s] * x
 *   any filter:     for rows (4): for columns (a vector): for tap: y += w[tap] * x
 *
 * Registers of the first: 7 rows of y, the R weights of one filter column, one vector of x, 15 of 16 for 7 x 7; each
 * loaded vector feeds up to R rows. Tap by tap with weights from memory the loads would be the limit (7 x 7: 54 instead
 * of 85 GFLOP/s on a Zen 4 core). The weight gradient keeps rows of grad_output where the forward pass keeps y, and
 * sums R taps. Where channels are contiguous in memory (NHWC), lanes run over channels: depthwise_channels.h.
 */

/* ---------------------------------------------------------------------------------------------------------------------
 * Filling the band. Rows are read in the order of the source, which the prefetcher follows: taken phase by phase
 * instead they cost a 3 x 3 filter of stride 2 on 112 x 112 planes twice the time. */

INLINE ptrdiff_t NAME(clamp)(ptrdiff_t i) { return i < 0 ? 0 : i > LANES ? LANES : i; }

static void NAME(band_copy)(const fc_band_rows *how, const T *src, T value, T *restrict band) {
    const ptrdiff_t *rows = how->rows, *places = how->places;
    ptrdiff_t n_rows = how->n_rows, from = how->start, until = how->until, width = how->width, ahead = how->ahead;
    V outside = NAME(broadcast)(value);
    if (width == LANES) { /* narrow planes: the same lanes of one vector a row */
        int lo = (int)NAME(clamp)(from), hi = (int)NAME(clamp)(until);
        for (ptrdiff_t b = 0; b < n_rows; b++) {
            if (rows[b] == FC_OUTSIDE) {
                NAME(store)(band + places[b], outside);
            } else {
                PREFETCH(src, rows[b] + ahead, 0, 3);
                NAME(store)(band + places[b], NAME(load_lanes)(src + rows[b], lo, hi, outside));
            }
        }
        return;
    }
    ptrdiff_t first = (from + LANES - 1) / LANES * LANES, last = until / LANES * LANES;
    if (first > last) first = last = width;
    for (ptrdiff_t b = 0; b < n_rows; b++) {
        T *restrict dst = band + places[b];
        ptrdiff_t q = 0;
        if (rows[b] == FC_OUTSIDE) {
            for (; q < width; q += LANES) NAME(store)(dst + q, outside);
            continue;
        }
        const T *row = src + rows[b];
        for (; q < first; q += LANES)
            NAME(store)(dst + q, NAME(load_lanes)(row + q, NAME(clamp)(from - q), NAME(clamp)(until - q), outside));
        for (; q < last; q += LANES) {
            PREFETCH(row, q + ahead, 0, 3);
            NAME(store)(dst + q, NAME(load)(row + q));
        }
        for (; q < width; q += LANES)
            NAME(store)(dst + q, NAME(load_lanes)(row + q, NAME(clamp)(from - q), NAME(clamp)(until - q), outside));
    }
}

static void NAME(band_split)(const fc_band_rows *how, const T *src, T value, T *restrict band) {
    const ptrdiff_t *rows = how->rows, *places = how->places;
    ptrdiff_t n_rows = how->n_rows, from = how->start, until = how->until, width = how->width;
    V outside = NAME(broadcast)(value);
    ptrdiff_t first = (from + 2 * LANES - 1) / (2 * LANES) * LANES, last = until / (2 * LANES) * LANES;
    if (first > last) first = last = width;
    for (ptrdiff_t b = 0; b < n_rows; b++) {
        T *restrict dst = band + places[b];
        ptrdiff_t q = 0;
        if (rows[b] == FC_OUTSIDE) {
            for (; q < width; q += LANES) NAME(store)(dst + q, outside), NAME(store)(dst + width + q, outside);
            continue;
        }
        const T *row = src + rows[b];
        while (q < width) {
            V lo, hi;
            for (; q >= first && q < last; q += LANES) {
                lo = NAME(load)(row + 2 * q), hi = NAME(load)(row + 2 * q + LANES);
                NAME(store)(dst + q, SHUFFLE(M, lo, hi, EVEN_LANES));
                NAME(store)(dst + width + q, SHUFFLE(M, lo, hi, ODD_LANES));
            }
            if (q == width) break;
            ptrdiff_t p = 2 * q;
            lo = NAME(load_lanes)(row + p, NAME(clamp)(from - p), NAME(clamp)(until - p), outside);
            p += LANES;
            hi = NAME(load_lanes)(row + p, NAME(clamp)(from - p), NAME(clamp)(until - p), outside);
            NAME(store)(dst + q, SHUFFLE(M, lo, hi, EVEN_LANES));
            NAME(store)(dst + width + q, SHUFFLE(M, lo, hi, ODD_LANES));
            q += LANES;
        }
    }
}

static void NAME(band_gather)(const fc_band_rows *how, const T *src, T value, T *restrict band) {
    const ptrdiff_t *rows = how->rows, *places = how->places, *columns = how->columns;
    const ptrdiff_t *column_places = how->column_places, *which = how->which;
    ptrdiff_t n_rows = how->n_rows, n_columns = how->n_columns;
    for (ptrdiff_t b = 0; b < n_rows; b++)
        for (ptrdiff_t i = 0; i < n_columns; i++) {
            ptrdiff_t q = which[i];
            int outside = rows[b] == FC_OUTSIDE || columns[q] == FC_OUTSIDE;
            band[places[b] + column_places[q]] = outside ? value : src[rows[b] + columns[q]];
        }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Forward, lanes = columns */

/* Constants wherever it is inlined: the filter's size and stride, and rows of y, or of grad_output, that are taken
 * together, against so many columns of the filter. */
typedef struct {
    int size, stride, rows, columns;
} NAME(square);

/* From one row to the next, in the band and in y or grad_output; for stride 2 the band's odd rows and columns lie apart
 * from the even ones. */
typedef struct {
    ptrdiff_t pitch, odd_row, odd_column, y_row;
} NAME(steps);

INLINE NAME(steps) NAME(steps_of)(int size, const fc_plane_block *block) {
    return (NAME(steps)){block->pitch, block->taps[size], block->taps[1], block->y_row};
}

/* Row b and column s of what the outputs of row 0 meet. */
INLINE ptrdiff_t NAME(band_place)(int stride, NAME(steps) to, int b, int s) {
    return stride == 1 ? s + b * to.pitch : s / 2 + s % 2 * to.odd_column + (b / 2 * to.pitch + b % 2 * to.odd_row);
}

/* square.rows rows x one vector. */
INLINE void NAME(depthwise_tile)(NAME(square) q, NAME(steps) to, const T *band, const T *w, T bias, T *y, int count) {
    int size = q.size, stride = q.stride, n_rows = q.rows;
    ptrdiff_t y_row = to.y_row;
    V acc[7];
    UNROLL for (int i = 0; i < n_rows; i++) acc[i] = NAME(broadcast)(bias);
    UNROLL for (int s = 0; s < size; s++) {
        V wv[7];
        UNROLL for (int r = 0; r < size; r++) wv[r] = NAME(broadcast)(w[r * size + s]);
        UNROLL for (int b = 0; b < (n_rows - 1) * stride + size; b++) {
            V v = NAME(load)(band + NAME(band_place)(stride, to, b, s));
            UNROLL for (int i = 0; i < n_rows; i++) if (b - i * stride >= 0 && b - i * stride < size)
                acc[i] += wv[b - i * stride] * v;
        }
    }
    if (count == LANES) {
        UNROLL for (int i = 0; i < n_rows; i++) NAME(store)(y + i * y_row, acc[i]);
    } else {
        UNROLL for (int i = 0; i < n_rows; i++) NAME(store_part)(y + i * y_row, acc[i], count);
    }
}

INLINE void NAME(depthwise_tile_row)(NAME(square) q, NAME(steps) to, const T *band, const T *w, T bias, T *y,
                                     ptrdiff_t width) {
    if (width < LANES) {
        NAME(depthwise_tile)(q, to, band, w, bias, y, (int)width);
        return;
    }
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        if (j > width - LANES) j = width - LANES;
        NAME(depthwise_tile)(q, to, band + j, w, bias, y + j, LANES);
    }
}

#define ROWS(size, stride, n)                                                                                          \
    NAME(depthwise_tile_row)((NAME(square)){size, stride, n, size}, to, band, w, bias, y, width)
#define DEPTHWISE(size, stride)                                                                                        \
    static void NAME(depthwise_##size##_stride_##stride)(const fc_plane_block *block, const T *band, const T *w,       \
                                                         T bias, T *y) {                                               \
        NAME(steps) to = NAME(steps_of)(size, block);                                                                  \
        ptrdiff_t pitch = to.pitch, y_row = to.y_row, rows = block->rows, width = block->width;                        \
        for (; rows >= 7; rows -= 7, band += 7 * pitch, y += 7 * y_row) ROWS(size, stride, 7);                         \
        if (rows >= 4) {                                                                                               \
            ROWS(size, stride, 4);                                                                                     \
            rows -= 4, band += 4 * pitch, y += 4 * y_row;                                                              \
        }                                                                                                              \
        if (rows >= 2) {                                                                                               \
            ROWS(size, stride, 2);                                                                                     \
            rows -= 2, band += 2 * pitch, y += 2 * y_row;                                                              \
        }                                                                                                              \
        if (rows) ROWS(size, stride, 1);                                                                               \
    }
DEPTHWISE(3, 1)
DEPTHWISE(3, 2)
DEPTHWISE(5, 2)
DEPTHWISE(7, 2)
#if VECTOR_REGISTERS >= 32
DEPTHWISE(5, 1)
DEPTHWISE(7, 1)
#endif
#undef DEPTHWISE
#undef ROWS

#undef TALL_VECTORS
#define TALL_VECTORS (VECTOR_REGISTERS >= 32 ? 4 : 2)

INLINE void NAME(depthwise_any_tile)(int n_rows, fc_plane_block block, const T *band, const T *w, T bias, T *y) {
    ptrdiff_t pitch = block.pitch, n_taps = block.n_taps, y_row = block.y_row, width = block.width;
    const ptrdiff_t *taps = block.taps;
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        if (j > width - LANES && width >= LANES) j = width - LANES;
        V acc[4];
        UNROLL for (int i = 0; i < n_rows; i++) acc[i] = NAME(broadcast)(bias);
        for (ptrdiff_t t = 0; t < n_taps; t++) {
            V wv = NAME(broadcast)(w[t]);
            UNROLL for (int i = 0; i < n_rows; i++) acc[i] += wv * NAME(load)(band + taps[t] + j + i * pitch);
        }
        if (width >= LANES) {
            UNROLL for (int i = 0; i < n_rows; i++) NAME(store)(y + j + i * y_row, acc[i]);
        } else {
            UNROLL for (int i = 0; i < n_rows; i++) NAME(store_part)(y + j + i * y_row, acc[i], width);
        }
    }
}

static void NAME(depthwise_any)(const fc_plane_block *all, const T *band, const T *w, T bias, T *y) {
    fc_plane_block block = *all;
    ptrdiff_t rows = block.rows;
    for (; rows >= 4; rows -= 4, band += 4 * block.pitch, y += 4 * block.y_row)
        NAME(depthwise_any_tile)(4, block, band, w, bias, y);
    for (; rows > 0; rows--, band += block.pitch, y += block.y_row)
        NAME(depthwise_any_tile)(1, block, band, w, bias, y);
}

/* m rows x n vectors, stride 1, at least four filter rows: down each filter column, of which m weights are in
 * registers, so that a load, mostly of parts of two cache lines, feeds m FMAs. */
INLINE void NAME(depthwise_tall_tile)(int m, int n, fc_plane_block block, const T *band, const T *w, T bias, T *y,
                                      ptrdiff_t count) {
    ptrdiff_t pitch = block.pitch, r_taps = block.r_taps, s_taps = block.n_taps, y_row = block.y_row;
    const ptrdiff_t *taps = block.taps;
    V acc[4][TALL_VECTORS];
    UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < n; j++) acc[i][j] = NAME(broadcast)(bias);
    for (ptrdiff_t s = 0; s < s_taps; s++) {
        const T *x = band + taps[s], *weight = w + s;
        V held[4] = {{0}};
        UNROLL for (int b = 0; b < m - 1; b++, x += pitch, weight += s_taps) {
            held[b] = NAME(broadcast)(*weight);
            UNROLL for (int j = 0; j < n; j++) {
                V v = NAME(load)(x + j * LANES);
                UNROLL for (int i = 0; i <= b; i++) acc[i][j] += held[b - i] * v;
            }
        }
        for (ptrdiff_t r = m - 1; r < r_taps; r++, x += pitch, weight += s_taps) {
            held[m - 1] = NAME(broadcast)(*weight);
            UNROLL for (int j = 0; j < n; j++) {
                V v = NAME(load)(x + j * LANES);
                UNROLL for (int i = 0; i < m; i++) acc[i][j] += held[m - 1 - i] * v;
            }
            UNROLL for (int i = 0; i < m - 1; i++) held[i] = held[i + 1];
        }
        UNROLL for (int b = 1; b < m; b++, x += pitch) UNROLL for (int j = 0; j < n; j++) {
            V v = NAME(load)(x + j * LANES);
            UNROLL for (int i = b; i < m; i++) acc[i][j] += held[m - 2 + b - i] * v;
        }
    }
    UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < n; j++) {
        if (count >= LANES)
            NAME(store)(y + i * y_row + j * LANES, acc[i][j]);
        else
            NAME(store_part)(y + i * y_row, acc[i][j], count);
    }
}

INLINE void NAME(depthwise_tall_row)(int m, fc_plane_block block, const T *band, const T *w, T bias, T *y) {
    ptrdiff_t j = 0, width = block.width;
    for (; j + TALL_VECTORS * LANES <= width; j += TALL_VECTORS * LANES)
        NAME(depthwise_tall_tile)(m, TALL_VECTORS, block, band + j, w, bias, y + j, LANES);
    for (; j < width; j += LANES) {
        if (j > width - LANES && width >= LANES) j = width - LANES;
        NAME(depthwise_tall_tile)(m, 1, block, band + j, w, bias, y + j, width);
    }
}

static void NAME(depthwise_tall)(const fc_plane_block *all, const T *band, const T *w, T bias, T *y) {
    fc_plane_block block = *all;
    ptrdiff_t rows = block.rows;
    for (; rows >= 4; rows -= 4, band += 4 * block.pitch, y += 4 * block.y_row)
        NAME(depthwise_tall_row)(4, block, band, w, bias, y);
    if (rows == 3) NAME(depthwise_tall_row)(3, block, band, w, bias, y);
    if (rows == 2) NAME(depthwise_tall_row)(2, block, band, w, bias, y);
    if (rows == 1) NAME(depthwise_tall_row)(1, block, band, w, bias, y);
}

#if VECTOR_REGISTERS < 32 /* with 16 registers these go better in tall tiles: 5 x 5 70 to 90 GFLOP/s, 7 x 7 65 to 100 */
#define DEPTHWISE(size)                                                                                                \
    static void NAME(depthwise_##size##_stride_1)(const fc_plane_block *block, const T *band, const T *w, T bias,      \
                                                  T *y) {                                                              \
        fc_plane_block tall = *block;                                                                                  \
        tall.n_taps = tall.r_taps = size;                                                                              \
        NAME(depthwise_tall)(&tall, band, w, bias, y);                                                                 \
    }
DEPTHWISE(5)
DEPTHWISE(7)
#undef DEPTHWISE
#endif

/* Two filters, whose results take turns in a row of y: the input gradient of stride 2. */
INLINE void NAME(depthwise_pair_tile)(int n_rows, fc_plane_block block, ptrdiff_t n_even, const T *band, const T *w,
                                      T *y) {
    ptrdiff_t pitch = block.pitch, n_taps = block.n_taps, y_row = block.y_row, width = block.width;
    const ptrdiff_t *taps = block.taps;
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        if (j > width - LANES && width >= LANES) j = width - LANES;
        V even[4], odd[4];
        UNROLL for (int i = 0; i < n_rows; i++) even[i] = odd[i] = (V){0};
        for (ptrdiff_t t = 0; t < n_even; t++) {
            V wv = NAME(broadcast)(w[t]);
            UNROLL for (int i = 0; i < n_rows; i++) even[i] += wv * NAME(load)(band + taps[t] + j + i * pitch);
        }
        for (ptrdiff_t t = n_even; t < n_taps; t++) {
            V wv = NAME(broadcast)(w[t]);
            UNROLL for (int i = 0; i < n_rows; i++) odd[i] += wv * NAME(load)(band + taps[t] + j + i * pitch);
        }
        ptrdiff_t low = 2 * width < LANES ? 2 * width : LANES, high = 2 * width < 2 * LANES ? 2 * width - low : LANES;
        UNROLL for (int i = 0; i < n_rows; i++) {
            T *out = y + 2 * j + i * y_row;
            V first = SHUFFLE(M, even[i], odd[i], INTERLEAVED_LO), second = SHUFFLE(M, even[i], odd[i], INTERLEAVED_HI);
            if (high == LANES) {
                NAME(store)(out, first);
                NAME(store)(out + LANES, second);
            } else {
                NAME(store_part)(out, first, low);
                NAME(store_part)(out + low, second, high);
            }
        }
    }
}

static void NAME(depthwise_pair)(const fc_plane_block *all, ptrdiff_t n_even, const T *band, const T *w, T *y) {
    fc_plane_block block = *all;
    ptrdiff_t rows = block.rows;
    for (; rows >= 4; rows -= 4, band += 4 * block.pitch, y += 4 * block.y_row)
        NAME(depthwise_pair_tile)(4, block, n_even, band, w, y);
    for (; rows > 0; rows--, band += block.pitch, y += block.y_row)
        NAME(depthwise_pair_tile)(1, block, n_even, band, w, y);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Weight gradient, lanes = columns. Of an overlapping last vector only the lanes that are new count; the others are
 * zeroed in both operands, as zero times infinity is not zero. */

/* square.rows rows x one vector of grad_output; lanes from lo until hi count. */
INLINE void NAME(depthwise_weight_tile)(NAME(square) q, int partial, NAME(steps) to, const T *band, const T *dy, V *acc,
                                        int lo, int hi) {
    int size = q.size, stride = q.stride, n_rows = q.rows, columns = q.columns;
    ptrdiff_t dy_row = to.y_row;
    V g[7];
    M counted = NAME(lanes_between)(lo, hi);
    if (partial) {
        UNROLL for (int i = 0; i < n_rows; i++) g[i] = NAME(load_lanes)(dy + i * dy_row, lo, hi, (V){0});
    } else {
        UNROLL for (int i = 0; i < n_rows; i++) g[i] = NAME(load)(dy + i * dy_row);
    }
    UNROLL for (int b = 0; b < (n_rows - 1) * stride + size; b++) UNROLL for (int s = 0; s < columns; s++) {
        V v = NAME(load)(band + NAME(band_place)(stride, to, b, s));
        if (partial) v = (V)((M)v & counted);
        UNROLL for (int i = 0; i < n_rows; i++) if (b - i * stride >= 0 && b - i * stride < size)
            acc[(b - i * stride) * columns + s] += g[i] * v;
    }
}

INLINE void NAME(depthwise_weight_row)(NAME(square) q, NAME(steps) to, const T *band, const T *dy, ptrdiff_t width,
                                       V *acc) {
    ptrdiff_t j = 0;
    for (; j + LANES <= width; j += LANES) NAME(depthwise_weight_tile)(q, 0, to, band + j, dy + j, acc, 0, LANES);
    if (j == width) return;
    int lo = j ? (int)(LANES - (width - j)) : 0, hi = j ? LANES : (int)width;
    j = j ? width - LANES : 0;
    NAME(depthwise_weight_tile)(q, 1, to, band + j, dy + j, acc, lo, hi);
}

/* 3 x 3: all nine sums in registers; larger filters: one filter column at a time over the whole band. */
#define ROWS(size, stride, n, columns)                                                                                 \
    NAME(depthwise_weight_row)((NAME(square)){size, stride, n, columns}, to, b, d, width, acc)
#define DEPTHWISE_WEIGHT(size, stride, tall, columns)                                                                  \
    static void NAME(depthwise_weight_##size##_stride_##stride)(const fc_plane_block *block, const T *band,            \
                                                                const T *dy, T *sums) {                                \
        NAME(steps) to = NAME(steps_of)(size, block);                                                                  \
        const ptrdiff_t *taps = block->taps;                                                                           \
        ptrdiff_t pitch = to.pitch, dy_row = to.y_row, rows = block->rows, width = block->width;                       \
        for (int s = 0; s < size; s += columns) {                                                                      \
            V acc[size * columns];                                                                                     \
            UNROLL for (int t = 0; t < size * columns; t++)                                                            \
                acc[t] = NAME(load)(sums + (t / columns * size + t % columns + s) * LANES);                            \
            const T *b = band + taps[s], *d = dy;                                                                      \
            ptrdiff_t i = rows;                                                                                        \
            for (; i >= tall; i -= tall, b += tall * pitch, d += tall * dy_row) ROWS(size, stride, tall, columns);     \
            for (; i > 0; i--, b += pitch, d += dy_row) ROWS(size, stride, 1, columns);                                \
            UNROLL for (int t = 0; t < size * columns; t++)                                                            \
                NAME(store)(sums + (t / columns * size + t % columns + s) * LANES, acc[t]);                            \
        }                                                                                                              \
    }
#if VECTOR_REGISTERS >= 32
DEPTHWISE_WEIGHT(3, 1, 7, 3)
DEPTHWISE_WEIGHT(3, 2, 7, 3)
#else
DEPTHWISE_WEIGHT(3, 1, 4, 3)
DEPTHWISE_WEIGHT(3, 2, 4, 3)
#endif
DEPTHWISE_WEIGHT(5, 1, 7, 1)
DEPTHWISE_WEIGHT(5, 2, 7, 1)
DEPTHWISE_WEIGHT(7, 1, 7, 1)
DEPTHWISE_WEIGHT(7, 2, 7, 1)
#undef DEPTHWISE_WEIGHT
#undef ROWS

/* out[t] = the sum over the lanes of sums[t], for LANES taps at a time by a transpose. */
static void NAME(depthwise_weight_sum)(const T *sums, ptrdiff_t n_taps, T *out) {
    for (; n_taps > 0; n_taps -= LANES, sums += LANES * LANES, out += LANES) {
        V r[LANES];
        UNROLL for (int t = 0; t < LANES; t++) r[t] = t < n_taps ? NAME(load)(sums + t * LANES) : (V){0};
        NAME(transpose_block)(r);
        UNROLL for (int half = LANES / 2; half; half /= 2) UNROLL for (int t = 0; t < half; t++) r[t] += r[t + half];
        if (n_taps >= LANES)
            NAME(store)(out, r[0]);
        else
            NAME(store_part)(out, r[0], n_taps);
    }
}

/* n taps at once: grad_output is loaded once for all of them, and their sums are independent chains. */
INLINE void NAME(depthwise_weight_taps)(int n, const ptrdiff_t *taps, fc_plane_block block, const T *band, const T *dy,
                                        T *sums) {
    ptrdiff_t pitch = block.pitch, dy_row = block.y_row, rows = block.rows, width = block.width;
    V acc[4];
    UNROLL for (int t = 0; t < n; t++) acc[t] = NAME(load)(sums + t * LANES);
    ptrdiff_t whole = width / LANES * LANES, tail = whole ? width - LANES : 0;
    int lo = whole ? (int)(whole - tail) : 0, hi = whole ? LANES : (int)width;
    M counted = NAME(lanes_between)(lo, hi);
    for (; rows > 0; rows--, band += pitch, dy += dy_row) {
        for (ptrdiff_t j = 0; j < whole; j += LANES) {
            V g = NAME(load)(dy + j);
            UNROLL for (int t = 0; t < n; t++) acc[t] += g * NAME(load)(band + taps[t] + j);
        }
        if (whole < width) {
            V g = NAME(load_lanes)(dy + tail, lo, hi, (V){0});
            UNROLL for (int t = 0; t < n; t++) acc[t] += g * (V)((M)NAME(load)(band + taps[t] + tail) & counted);
        }
    }
    UNROLL for (int t = 0; t < n; t++) NAME(store)(sums + t * LANES, acc[t]);
}

static void NAME(depthwise_weight_any)(const fc_plane_block *all, const T *band, const T *dy, T *sums) {
    fc_plane_block block = *all;
    ptrdiff_t t = 0;
    for (; t + 4 <= block.n_taps; t += 4)
        NAME(depthwise_weight_taps)(4, block.taps + t, block, band, dy, sums + t * LANES);
    for (; t < block.n_taps; t++) NAME(depthwise_weight_taps)(1, block.taps + t, block, band, dy, sums + t * LANES);
}

#undef DEPTHWISE_TABLE
#define DEPTHWISE_TABLE(kernel)                                                                                        \
    {                                                                                                                  \
        {NAME(kernel##_any), NAME(kernel##_3_stride_1), NAME(kernel##_5_stride_1), NAME(kernel##_7_stride_1)}, {       \
            NAME(kernel##_any), NAME(kernel##_3_stride_2), NAME(kernel##_5_stride_2), NAME(kernel##_7_stride_2)        \
        }                                                                                                              \
    }
