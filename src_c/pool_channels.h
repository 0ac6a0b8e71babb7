/* Max and average pooling where channels are neighbours (NHWC): one output from its pixels, and its gradient to them. Lanes are
 * channels.
 *
 *   for vector of channels: for R rows: for S pixels: best or sum, in registers
 *   long pixels, from memory: for R rows: for S pixels: for vector of channels: best or sum so far (L1)
 *
 * Read vector by vector, windows of long pixels come from several places at once, which halves the speed of memory; in a cache
 * it costs nothing. Sums, NaN and equal values are as in pool.h.
 */

#define LOAD_CHANNELS(p) (part == LANES ? NAME(load)(p) : NAME(load_part)(p, part))

/* f(m, j, part) for all n channels: m vectors from j on, of whose last one `part` lanes count. Four vectors together hide how
 * long a comparison takes, and touch lines of memory that follow each other. */
#define FOR_CHANNELS(f)                                                                                                \
    ptrdiff_t j = 0;                                                                                                   \
    for (; j + 4 * LANES <= n; j += 4 * LANES) f(4, j, LANES);                                                         \
    for (; j + LANES <= n; j += LANES) f(1, j, LANES);                                                                 \
    if (j < n && n >= LANES) {                                                                                         \
        f(1, n - LANES, LANES); /* overlaps the one before */                                                          \
    } else if (j < n)                                                                                                  \
        f(1, j, n - j);

/* The same, but that no vector overlaps the one before: where what is there already counts. */
#define FOR_APART(f)                                                                                                   \
    ptrdiff_t j = 0;                                                                                                   \
    for (; j + 4 * LANES <= n; j += 4 * LANES) f(4, j, LANES);                                                         \
    for (; j + LANES <= n; j += LANES) f(1, j, LANES);                                                                 \
    if (j < n) f(1, j, n - j);

enum { NAME(LONG_PIXEL) = 512 / sizeof(T), NAME(PIXEL_BLOCK) = 8 * NAME(LONG_PIXEL) };

INLINE int NAME(pixel_by_pixel)(const fc_window *window, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t n) {
    return window->far && n >= NAME(LONG_PIXEL) && rows <= RUN && columns <= RUN && rows * columns <= RUN &&
           rows * columns > 1;
}

INLINE void NAME(compare_vectors)(const T *x, const int first, I here, T *y, I *tap, const int vectors,
                                  const ptrdiff_t part) {
    UNROLL for (int i = 0; i < vectors; i++) {
        V m = LOAD_CHANNELS(x + i * LANES);
        M k = (M){0} + here;
        if (!first) {
            const V best = LOAD_CHANNELS(y + i * LANES);
            const M win = NAME(wins)(m, best);
            m = NAME(select)(win, m, best);
            if (tap) k = NAME(select_index)(win, k, *(const IV *)(tap + i * LANES));
        }
        NAME(store_outputs)(y + i * LANES, m, part);
        if (tap) *(IV *)(tap + i * LANES) = k;
    }
}

/* At most PIXEL_BLOCK channels. */
INLINE void NAME(max_by_pixel)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,
                               int64_t *index, ptrdiff_t n) {
    I tap[NAME(PIXEL_BLOCK) + LANES];
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = 0; s < columns; s++) {
            const T *pixel = x + r * window->row + s * window->column;
            const I here = (I)(r * window->row_step + s * window->column_step);
#define WITH_TAPS(vectors, j, part)                                                                                    \
    NAME(compare_vectors)(pixel + (j), r + s == 0, here, y + (j), tap + (j), vectors, part)
#define WITHOUT_TAPS(vectors, j, part)                                                                                 \
    NAME(compare_vectors)(pixel + (j), r + s == 0, here, y + (j), NULL, vectors, part)
            if (index) {
                FOR_APART(WITH_TAPS)
            } else {
                FOR_APART(WITHOUT_TAPS)
            }
#undef WITH_TAPS
#undef WITHOUT_TAPS
        }
    if (index)
        for (ptrdiff_t j = 0; j < n; j += LANES)
            NAME(store_indices)(index + j, *(const IV *)(tap + j), window->base, n - j < LANES ? n - j : LANES);
}

INLINE void NAME(sum_vectors)(const T *x, T *y, T count, const int first, const int last, const int vectors,
                              const ptrdiff_t part) {
    UNROLL for (int i = 0; i < vectors; i++) {
        V s = LOAD_CHANNELS(x + i * LANES);
        if (!first) s += LOAD_CHANNELS(y + i * LANES);
        if (last) s /= count;
        NAME(store_outputs)(y + i * LANES, s, part);
    }
}

INLINE void NAME(add_pixel)(const T *x, T *y, ptrdiff_t n, T count, const int first, const int last){
#define ADD(vectors, j, part) NAME(sum_vectors)(x + (j), y + (j), count, first, last, vectors, part)
    FOR_APART(ADD)
#undef ADD
}

INLINE void NAME(max_vectors)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,
                              int64_t *index, const int vectors, const ptrdiff_t part) {
    const ptrdiff_t row = window->row, column = window->column;
    const I row_step = (I)window->row_step, column_step = (I)window->column_step;
    V m[4];
    M k[4] = {{0}, {0}, {0}, {0}};
    UNROLL for (int i = 0; i < vectors; i++) m[i] = LOAD_CHANNELS(x + i * LANES);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = r == 0; s < columns; s++) {
            const T *pixel = x + r * row + s * column;
            const M here = (M){0} + (I)(r * row_step + s * column_step);
            UNROLL for (int i = 0; i < vectors; i++) {
                V v = LOAD_CHANNELS(pixel + i * LANES);
                M win = NAME(wins)(v, m[i]);
                m[i] = NAME(select)(win, v, m[i]);
                if (index) k[i] = NAME(select_index)(win, here, k[i]);
            }
        }
    UNROLL for (int i = 0; i < vectors; i++) {
        NAME(store_outputs)(y + i * LANES, m[i], part);
        if (index) NAME(store_indices)(index + i * LANES, k[i], window->base, part);
    }
}

static void NAME(max_channels)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,
                               int64_t *index, ptrdiff_t n) {
    if (NAME(pixel_by_pixel)(window, rows, columns, n)) {
        for (ptrdiff_t c = 0; c < n; c += NAME(PIXEL_BLOCK))
            NAME(max_by_pixel)(window, x + c, rows, columns, y + c, index ? index + c : NULL,
                               n - c < NAME(PIXEL_BLOCK) ? n - c : NAME(PIXEL_BLOCK));
        return;
    }
#define WITH_INDICES(vectors, j, part)                                                                                 \
    NAME(max_vectors)(window, x + (j), rows, columns, y + (j), index + (j), vectors, part)
#define WITHOUT_INDICES(vectors, j, part)                                                                              \
    NAME(max_vectors)(window, x + (j), rows, columns, y + (j), NULL, vectors, part)
    if (index) {
        FOR_CHANNELS(WITH_INDICES)
    } else {
        FOR_CHANNELS(WITHOUT_INDICES)
    }
#undef WITH_INDICES
#undef WITHOUT_INDICES
}

INLINE void NAME(mean_vectors)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,
                               const int vectors, const ptrdiff_t part) {
    const ptrdiff_t row = window->row, column = window->column;
    V s[4] = {{0}, {0}, {0}, {0}};
    if (rows <= RUN && columns <= RUN && rows * columns <= RUN) {
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t t = 0; t < columns; t++)
                UNROLL for (int i = 0; i < vectors; i++) s[i] += LOAD_CHANNELS(x + r * row + t * column + i * LANES);
    } else {
        TOTAL total[4] = {{{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}};
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t t = 0; t < columns; t++)
                UNROLL for (int i = 0; i < vectors; i++)
                    NAME(add_term)(&total[i], LOAD_CHANNELS(x + r * row + t * column + i * LANES));
        UNROLL for (int i = 0; i < vectors; i++) s[i] = NAME(sum_of)(total[i]);
    }
    UNROLL for (int i = 0; i < vectors; i++) NAME(store_outputs)(y + i * LANES, s[i] / (T)window->count, part);
}

static void NAME(mean_channels)(const fc_window *window, const T *x, ptrdiff_t rows, ptrdiff_t columns, T *y,
                                ptrdiff_t n) {
    if (NAME(pixel_by_pixel)(window, rows, columns, n)) {
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t t = 0; t < columns; t++) {
                const T *pixel = x + r * window->row + t * window->column;
                const T count = (T)window->count;
                if (r + t == 0)
                    NAME(add_pixel)(pixel, y, n, count, 1, 0);
                else if (r + t < rows + columns - 2)
                    NAME(add_pixel)(pixel, y, n, count, 0, 0);
                else
                    NAME(add_pixel)(pixel, y, n, count, 0, 1);
            }
        return;
    }
#define MEANS(vectors, j, part) NAME(mean_vectors)(window, x + (j), rows, columns, y + (j), vectors, part)
    FOR_CHANNELS(MEANS)
#undef MEANS
}

INLINE void NAME(spread_vectors)(const fc_window *window, const T *share, T *grad_x, ptrdiff_t rows, ptrdiff_t columns,
                                 const int add, const int vectors, const ptrdiff_t part) {
    V g[4];
    UNROLL for (int i = 0; i < vectors; i++) g[i] = LOAD_CHANNELS(share + i * LANES) / (T)window->count;
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t t = 0; t < columns; t++) {
            T *to = grad_x + r * window->row + t * window->column;
            UNROLL for (int i = 0; i < vectors; i++) {
                V v = g[i];
                if (add) v += LOAD_CHANNELS(to + i * LANES);
                NAME(store_outputs)(to + i * LANES, v, part);
            }
        }
}

static void NAME(spread_channels)(const fc_window *window, const T *grad, T *grad_x, ptrdiff_t rows, ptrdiff_t columns,
                                  int add, ptrdiff_t n) {
#define ADD(vectors, j, part) NAME(spread_vectors)(window, grad + (j), grad_x + (j), rows, columns, 1, vectors, part)
#define WRITE(vectors, j, part) NAME(spread_vectors)(window, grad + (j), grad_x + (j), rows, columns, 0, vectors, part)
    if (add) {
        FOR_APART(ADD)
    } else {
        FOR_APART(WRITE)
    }
#undef ADD
#undef WRITE
}

INLINE M NAME(max_backward_vector)(const fc_window *window, const T *grad, const int64_t *index, T *grad_x,
                                   ptrdiff_t rows, ptrdiff_t columns, const ptrdiff_t part) {
    const V g = LOAD_CHANNELS(grad);
    const M k = NAME(load_indices)(index, window->base, part);
    M found = {0};
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t s = 0; s < columns; s++) {
            M here = k == (M){0} + (I)(r * window->row_step + s * window->column_step);
            found |= here;
            NAME(store_outputs)(grad_x + r * window->row + s * window->column, (V)((M)g & here), part);
        }
    return found; /* lanes from `part` on have index 0 there, which is in the window */
}

static int NAME(max_channels_backward)(const fc_window *window, const T *grad, const int64_t *index, T *grad_x,
                                       ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t n) {
    M found = ~(M){0};
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES)
        found &= NAME(max_backward_vector)(window, grad + j, index + j, grad_x + j, rows, columns, LANES);
    if (j < n) found &= NAME(max_backward_vector)(window, grad + j, index + j, grad_x + j, rows, columns, n - j);
    I all = ~(I)0;
    UNROLL for (int i = 0; i < LANES; i++) all &= found[i];
    return all != 0;
}
#undef FOR_CHANNELS
#undef FOR_APART
#undef LOAD_CHANNELS
