/* Copies and transposes that lay operands out for the kernels. */

/* n elements, exactly: the last piece overlaps the one before. */
INLINE void NAME(copy)(const T *restrict src, T *restrict dst, ptrdiff_t n) {
#define COPY_TWICE(m)                                                                                                  \
    if (n >= m) {                                                                                                      \
        __builtin_memcpy(dst, src, m * sizeof(T));                                                                     \
        __builtin_memcpy(dst + n - m, src + n - m, m * sizeof(T));                                                     \
        return;                                                                                                        \
    }
    if (n >= LANES) {
        ptrdiff_t i = 0;
        for (; i + LANES <= n; i += LANES) NAME(store)(dst + i, NAME(load)(src + i));
        if (i < n) NAME(store)(dst + n - LANES, NAME(load)(src + n - LANES));
        return;
    }
    COPY_TWICE(8)
    COPY_TWICE(4)
    COPY_TWICE(2)
    if (n == 1) *dst = *src;
#undef COPY_TWICE
}

/* n elements or up to LANES - 1 more. */
INLINE void NAME(copy_padded)(const T *restrict src, T *restrict dst, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += LANES) NAME(store)(dst + i, NAME(load)(src + i));
}

static void NAME(pack_rows)(const fc_taps *rows, const T *src, const fc_run *runs, ptrdiff_t n_runs, T *restrict dst,
                            ptrdiff_t width, int padded) {
    const ptrdiff_t channels = rows->channels, channel_stride = rows->channel_stride, n_taps = rows->n_taps;
    const ptrdiff_t *taps = rows->taps;
    int one_vector = 1; /* each run */
    for (ptrdiff_t r = 0; r < n_runs; r++) one_vector &= runs[r].length <= LANES;
#define EACH_ROW                                                                                                       \
    for (ptrdiff_t c = 0; c < channels; c++, src += channel_stride)                                                    \
        for (ptrdiff_t t = 0; t < n_taps; t++, dst += width)
    if (n_runs == 1 && width == 2 * LANES && (runs->length == width || (padded && !one_vector))) {
        src += runs->src;
        EACH_ROW {
            V lo = NAME(load)(src + taps[t]), hi = NAME(load)(src + taps[t] + LANES);
            NAME(store)(dst, lo);
            NAME(store)(dst + LANES, hi);
            if (!padded) PREFETCH(src, taps[t] + 2 * LANES, 0, 3), PREFETCH(src, taps[t] + 3 * LANES, 0, 3);
        }
    } else if (padded && one_vector) {
        EACH_ROW for (ptrdiff_t r = 0; r < n_runs; r++)
            NAME(store)(dst + runs[r].dst, NAME(load)(src + taps[t] + runs[r].src));
    } else if (padded) {
        EACH_ROW for (ptrdiff_t r = 0; r < n_runs; r++)
            NAME(copy_padded)(src + taps[t] + runs[r].src, dst + runs[r].dst, runs[r].length);
    } else {
        EACH_ROW for (ptrdiff_t r = 0; r < n_runs; r++)
            NAME(copy)(src + taps[t] + runs[r].src, dst + runs[r].dst, runs[r].length);
    }
#undef EACH_ROW
}

/* Every second of n elements. */
INLINE void NAME(copy_every_second)(const T *restrict src, T *restrict dst, ptrdiff_t n) {
    enum { HALF = LANES / 2 };
    ptrdiff_t i = 0;
    for (; i + LANES < n;
         i += LANES) /* not i + LANES == n: the second load would end one element behind the last wanted */
        NAME(store)(dst + i, SHUFFLE(M, NAME(load)(src + 2 * i), NAME(load)(src + 2 * i + LANES), EVEN_LANES));
    if (2 * n - 1 >= LANES) {
        if (i + HALF < n) {
            V a = NAME(load)(src + 2 * i), even = SHUFFLE(M, a, a, EVEN_LANES);
            __builtin_memcpy(dst + i, &even, HALF * sizeof(T));
        }
        V z = NAME(load)(src + 2 * n - 1 - LANES), odd = SHUFFLE(M, z, z, ODD_LANES);
        __builtin_memcpy(dst + n - HALF, &odd, HALF * sizeof(T));
    } else
        for (; i < n; i++) dst[i] = src[2 * i];
}

static void NAME(copy_rows)(const T *src, ptrdiff_t src_stride, ptrdiff_t src_step, ptrdiff_t n_rows, ptrdiff_t length,
                            T *restrict dst, ptrdiff_t dst_stride) {
#define EACH_ROW for (ptrdiff_t r = 0; r < n_rows; r++, src += src_stride, dst += dst_stride)
    if (src_step == 1)
        EACH_ROW NAME(copy)(src, dst, length);
    else if (src_step == 2)
        EACH_ROW NAME(copy_every_second)(src, dst, length);
    else
        EACH_ROW for (ptrdiff_t i = 0; i < length; i++) dst[i] = src[i * src_step];
#undef EACH_ROW
}

/* Whole lines of 64 bytes past the caches: an output larger than these need not be read before it is written (x86-64 alone). */
static void NAME(stream)(const T *restrict src, ptrdiff_t n, T *restrict dst, int last) {
    ptrdiff_t i = 0;
    for (; i < n && (uintptr_t)(dst + i) % 64; i++) dst[i] = src[i];
    for (; i + 64 / (ptrdiff_t)sizeof(T) <= n; i += 64 / sizeof(T))
        UNROLL for (int j = 0; j < 64 / VECTOR_BYTES; j++) STREAM(dst + i + j * LANES, NAME(load)(src + i + j * LANES));
    for (; i < n; i++) dst[i] = src[i];
    if (last) AWAIT_STREAMS();
}

static void NAME(put_tile)(const T *restrict tile, ptrdiff_t width, ptrdiff_t n_rows, const fc_run *runs,
                           ptrdiff_t n_runs, T *restrict dst, ptrdiff_t row_stride, ptrdiff_t step) {
    for (ptrdiff_t r = 0; r < n_runs; r++) {
        const T *src = tile + runs[r].dst;
        T *out = dst + runs[r].src;
        if (step == 1)
            for (ptrdiff_t i = 0; i < n_rows; i++) NAME(copy)(src + i * width, out + i * row_stride, runs[r].length);
        else
            for (ptrdiff_t p = 0; p < runs[r].length; p++)
                for (ptrdiff_t i = 0; i < n_rows; i++) out[p * step + i * row_stride] = src[p + i * width];
    }
}

static void NAME(get_tile)(const T *restrict src, ptrdiff_t row_stride, ptrdiff_t step, ptrdiff_t n_rows,
                           const fc_run *runs, ptrdiff_t n_runs, T *restrict tile, ptrdiff_t width) {
    for (ptrdiff_t r = 0; r < n_runs; r++) {
        const T *from = src + runs[r].src;
        T *out = tile + runs[r].dst;
        if (step == 1)
            for (ptrdiff_t i = 0; i < n_rows; i++) NAME(copy)(from + i * row_stride, out + i * width, runs[r].length);
        else
            for (ptrdiff_t p = 0; p < runs[r].length; p++)
                for (ptrdiff_t i = 0; i < n_rows; i++) out[p + i * width] = from[p * step + i * row_stride];
    }
}

/* A LANES x LANES block in registers: log2(LANES) rounds of shuffles. */
INLINE void NAME(transpose_block)(V *r) {
#if LANES == 2
    V a = SHUFFLE(M, r[0], r[1], 0, 2), b = SHUFFLE(M, r[0], r[1], 1, 3);
    r[0] = a, r[1] = b;
#elif LANES == 4
    V t[4];
    t[0] = SHUFFLE(M, r[0], r[1], 0, 4, 1, 5), t[1] = SHUFFLE(M, r[0], r[1], 2, 6, 3, 7);
    t[2] = SHUFFLE(M, r[2], r[3], 0, 4, 1, 5), t[3] = SHUFFLE(M, r[2], r[3], 2, 6, 3, 7);
    r[0] = SHUFFLE(M, t[0], t[2], 0, 1, 4, 5), r[1] = SHUFFLE(M, t[0], t[2], 2, 3, 6, 7);
    r[2] = SHUFFLE(M, t[1], t[3], 0, 1, 4, 5), r[3] = SHUFFLE(M, t[1], t[3], 2, 3, 6, 7);
#elif LANES == 8 && BITS == 64
    V t[8], u[8];
    UNROLL for (int i = 0; i < 4; i++) {
        t[2 * i] = SHUFFLE(M, r[2 * i], r[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        t[2 * i + 1] = SHUFFLE(M, r[2 * i], r[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int q = 0; q < 2; q++) {
        u[4 * i + q] = SHUFFLE(M, t[4 * i + q], t[4 * i + 2 + q], 0, 1, 8, 9, 4, 5, 12, 13);
        u[4 * i + 2 + q] = SHUFFLE(M, t[4 * i + q], t[4 * i + 2 + q], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int q = 0; q < 4; q++) {
        r[q] = SHUFFLE(M, u[q], u[4 + q], 0, 1, 2, 3, 8, 9, 10, 11);
        r[4 + q] = SHUFFLE(M, u[q], u[4 + q], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#elif LANES == 8
    V t[8], u[8];
    UNROLL for (int i = 0; i < 4; i++) {
        t[2 * i] = SHUFFLE(M, r[2 * i], r[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        t[2 * i + 1] = SHUFFLE(M, r[2 * i], r[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL for (int i = 0; i < 2; i++) {
        u[4 * i] = SHUFFLE(M, t[4 * i], t[4 * i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        u[4 * i + 1] = SHUFFLE(M, t[4 * i], t[4 * i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        u[4 * i + 2] = SHUFFLE(M, t[4 * i + 1], t[4 * i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        u[4 * i + 3] = SHUFFLE(M, t[4 * i + 1], t[4 * i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int q = 0; q < 4; q++) {
        r[q] = SHUFFLE(M, u[q], u[4 + q], 0, 1, 2, 3, 8, 9, 10, 11);
        r[4 + q] = SHUFFLE(M, u[q], u[4 + q], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#elif LANES == 16
#define UNPACK_LO 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define UNPACK_HI 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define PAIRS_LO 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define PAIRS_HI 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define QUADS_EVEN 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define QUADS_ODD 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
    V t[16], u[16];
    UNROLL for (int i = 0; i < 8; i++) {
        t[2 * i] = SHUFFLE(M, r[2 * i], r[2 * i + 1], UNPACK_LO);
        t[2 * i + 1] = SHUFFLE(M, r[2 * i], r[2 * i + 1], UNPACK_HI);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        u[4 * i] = SHUFFLE(M, t[4 * i], t[4 * i + 2], PAIRS_LO);
        u[4 * i + 1] = SHUFFLE(M, t[4 * i], t[4 * i + 2], PAIRS_HI);
        u[4 * i + 2] = SHUFFLE(M, t[4 * i + 1], t[4 * i + 3], PAIRS_LO);
        u[4 * i + 3] = SHUFFLE(M, t[4 * i + 1], t[4 * i + 3], PAIRS_HI);
    }
    UNROLL for (int q = 0; q < 4; q++) { /* u[4 i + q]: in quad L, column 4 L + q of rows 4 i to 4 i + 3 */
        t[q] = SHUFFLE(M, u[q], u[4 + q], QUADS_EVEN), t[4 + q] = SHUFFLE(M, u[q], u[4 + q], QUADS_ODD);
        t[8 + q] = SHUFFLE(M, u[8 + q], u[12 + q], QUADS_EVEN), t[12 + q] = SHUFFLE(M, u[8 + q], u[12 + q], QUADS_ODD);
    }
    UNROLL for (int q = 0; q < 4; q++) {
        r[q] = SHUFFLE(M, t[q], t[8 + q], QUADS_EVEN), r[8 + q] = SHUFFLE(M, t[q], t[8 + q], QUADS_ODD);
        r[4 + q] = SHUFFLE(M, t[4 + q], t[12 + q], QUADS_EVEN), r[12 + q] = SHUFFLE(M, t[4 + q], t[12 + q], QUADS_ODD);
    }
#undef UNPACK_LO
#undef UNPACK_HI
#undef PAIRS_LO
#undef PAIRS_HI
#undef QUADS_EVEN
#undef QUADS_ODD
#else
#error "no transpose for this vector length"
#endif
}

/* LANES columns of at most LANES rows, from r on. */
INLINE void NAME(transpose_columns)(const T *src, const ptrdiff_t *rows, int n_rows, V *r) {
    if (n_rows >= LANES) {
        UNROLL for (int i = 0; i < LANES; i++) r[i] = NAME(load)(src + rows[i]);
    } else {
        UNROLL for (int i = 0; i < LANES; i++) r[i] = NAME(load)(src + rows[i < n_rows ? i : 0]);
    }
    NAME(transpose_block)(r);
}

/* Where the last block of rows is not full, its vectors run over into the next row of dst; so rows are stored in ascending
 * order, all blocks of one before the next, and what ran over is overwritten. */
static void NAME(transpose)(const T *src, const ptrdiff_t *rows, int n_rows, ptrdiff_t length, T *restrict dst,
                            ptrdiff_t step) {
    enum {
        MOST_ROWS = FC_MAX_MR > FC_MAX_NV * LANES ? FC_MAX_MR : FC_MAX_NV * LANES,
        BLOCKS = (MOST_ROWS + LANES - 1) / LANES
    };
    int blocks = (n_rows + LANES - 1) / LANES;
    ptrdiff_t p = 0;
    if (blocks == 1 || n_rows % LANES == 0)
        for (; p + LANES <= length; p += LANES)
            for (int k = 0; k < blocks; k++) {
                V r[LANES];
                NAME(transpose_columns)(src + p, rows + k * LANES, n_rows - k * LANES, r);
                UNROLL for (int q = 0; q < LANES; q++) NAME(store)(dst + (p + q) * step + k * LANES, r[q]);
            }
    else
        for (; p + LANES <= length; p += LANES) {
            V r[BLOCKS][LANES];
            for (int k = 0; k < blocks; k++)
                NAME(transpose_columns)(src + p, rows + k * LANES, n_rows - k * LANES, r[k]);
            for (int q = 0; q < LANES; q++)
                for (int k = 0; k < blocks; k++) NAME(store)(dst + (p + q) * step + k * LANES, r[k][q]);
        }
    for (; p < length; p++)
        for (int i = 0; i < n_rows; i++) dst[p * step + i] = src[rows[i] + p];
}
