/* Between the caller's layout and vectors of channels: a pixel of LANES channels is one vector. */

/* dst[at[p] + i] = src[rows[i] + p], channel i < n_rows of pixel p < length; lanes past n_rows become 0. From the second block on
 * loads are aligned, if the rows are alike: rows a power of two apart share a set of the L1 cache, and a line that two loads
 * share would be gone before the second. */
static void NAME(to_lanes)(const T *src, const ptrdiff_t *rows, int n_rows, ptrdiff_t length, T *restrict dst,
                           const ptrdiff_t *at) {
    enum { AHEAD = 2 * LANES }; /* as many streams as channels are more than the hardware prefetches */
    ptrdiff_t p = 0, next = LANES - (ptrdiff_t)((uintptr_t)(src + rows[0]) / sizeof(T) % LANES);
    if (length >= LANES)
        for (;; p = next, next += LANES) {
            V r[LANES];
            if (p + LANES > length) p = length - LANES; /* the last block overlaps the one before */
            if (n_rows == LANES) {
                UNROLL for (int i = 0; i < LANES; i++) {
                    r[i] = NAME(load)(src + rows[i] + p);
                    PREFETCH(src, rows[i] + p + AHEAD, 0, 3);
                }
            } else {
                UNROLL for (int i = 0; i < LANES; i++) r[i] = i < n_rows ? NAME(load)(src + rows[i] + p) : (V){0};
            }
            NAME(transpose_block)(r);
            UNROLL for (int q = 0; q < LANES; q++) NAME(store)(dst + at[p + q], r[q]);
            if (p + LANES == length) return;
        }
    for (; p < length; p++) {
        V v = {0};
        for (int i = 0; i < n_rows; i++) v[i] = src[rows[i] + p];
        NAME(store)(dst + at[p], v);
    }
}

/* dst[rows[i] + p] = src[p * step + i], channel i < n_rows of pixel p < length. Rows are fetched ahead of their stores, unless all
 * are in the same sets of the L1 cache, which would not keep them. */
static void NAME(from_lanes)(const T *restrict src, ptrdiff_t step, ptrdiff_t length, T *dst, const ptrdiff_t *rows,
                             int n_rows) {
    enum { AHEAD = 3 * LANES, NEAR = 2048 / sizeof(T) };
    ptrdiff_t p = 0, ahead = n_rows == LANES && (rows[1] - rows[0]) % NEAR ? AHEAD : 0;
    if (length >= LANES)
        for (;; p += LANES) {
            V r[LANES];
            if (p + LANES > length) p = length - LANES;
            UNROLL for (int q = 0; q < LANES; q++) r[q] = NAME(load)(src + (p + q) * step);
            NAME(transpose_block)(r);
            if (n_rows == LANES) {
                UNROLL for (int i = 0; i < LANES; i++) {
                    NAME(store)(dst + rows[i] + p, r[i]);
                    PREFETCH(dst, rows[i] + p + ahead, 1, 3);
                }
            } else {
                for (int i = 0; i < n_rows; i++) NAME(store)(dst + rows[i] + p, r[i]);
            }
            if (p + LANES == length) return;
        }
    for (; p < length; p++)
        for (int i = 0; i < n_rows; i++) dst[rows[i] + p] = src[p * step + i];
}

static void NAME(split_pixels)(const T *restrict src, ptrdiff_t step, ptrdiff_t pixels, ptrdiff_t channels,
                               T *restrict dst, ptrdiff_t dst_step, ptrdiff_t block_stride) {
    if (dst_step < LANES) {
        if (step == channels)
            NAME(copy)(src, dst, pixels * channels);
        else
            for (ptrdiff_t p = 0; p < pixels; p++) NAME(copy)(src + p * step, dst + p * channels, channels);
        return;
    }
    for (ptrdiff_t p = 0; p < pixels; p++, src += step, dst += dst_step) {
        T *out = dst;
        ptrdiff_t c = 0;
        for (; c + LANES <= channels; c += LANES, out += block_stride) NAME(store)(out, NAME(load)(src + c));
        if (c < channels) NAME(store)(out, NAME(load_part)(src + c, channels - c));
    }
}

static void NAME(join_pixels)(const T *restrict src, ptrdiff_t step, ptrdiff_t pixels, int channels, T *restrict dst,
                              ptrdiff_t dst_step) {
    for (ptrdiff_t p = 0; p < pixels; p++, src += step, dst += dst_step) {
        if (channels == LANES)
            NAME(store)(dst, NAME(load)(src));
        else
            NAME(store_part)(dst, NAME(load)(src), channels);
    }
}

/* The tile of m pixels x nv vectors of output channels: the rows of A are pixels of input channels, `step` elements apart; each
 * of their scalars is broadcast.
 *
 *   for block of LANES channels: for tap: for p < LANES: for i < m: for j < nv:
 *       acc[i][j] += broadcast(a[block][taps[tap] + i * step][p]) * b[block][tap][p][j]
 *
 * Registers as in gemm.h; for two panels of B 7 x 4 accumulators, three vectors of B and a broadcast: multiplications read the
 * fourth. Where a tile has six rows at most, each has a pointer, and one distance, hidden from the compiler, moves all of them;
 * so rows may lie anywhere. Where it has more, four pointers and the step reach all rows, as an address may add 1, 2, 4 or 8
 * steps to a pointer; gcc 12 would rather keep a pointer for each row and spill, so the loop hides from it that the step is the
 * same every time. A cache line is prefetched to L2 with every vector of B: the next panel's, while this one is multiplied. */
#define CHANNEL_ROW_OF(i, a0, a3, a5, a10)                                                                             \
    *(const T *)((i) == 0    ? a0                                                                                      \
                 : (i) == 1  ? a0 + d                                                                                  \
                 : (i) == 2  ? a0 + 2 * d                                                                              \
                 : (i) == 3  ? a3                                                                                      \
                 : (i) == 4  ? a0 + 4 * d                                                                              \
                 : (i) == 5  ? a3 + 2 * d                                                                              \
                 : (i) == 6  ? a5 + d                                                                                  \
                 : (i) == 7  ? a3 + 4 * d                                                                              \
                 : (i) == 8  ? a0 + 8 * d                                                                              \
                 : (i) == 9  ? a5 + 4 * d                                                                              \
                 : (i) == 10 ? a10                                                                                     \
                 : (i) == 11 ? a3 + 8 * d                                                                              \
                 : (i) == 12 ? a10 + 2 * d                                                                             \
                             : a5 + 8 * d)
#define CHANNEL_ROW_AT(i) CHANNEL_ROW_OF(i, a0, a3, a5, a10)
/* The pointers to rows that a tile of m has. */
#define CHANNEL_ROWS(m)                                                                                                \
    const char *a0 = (const char *)(a + taps[t]), *a3 = a0 + (m > 3 ? 3 : 0) * d, *a5 = a0 + (m > 5 ? 5 : 0) * d,      \
               *a10 = a0 + (m > 10 ? 10 : 0) * d;
#define TALL_ROWS(m)
#define TALL_TAP(m)                                                                                                    \
    ptrdiff_t d = step * (ptrdiff_t)sizeof(T);                                                                         \
    CHANNEL_ROWS(m)
#define TALL_HIDDEN __asm__("" : "+r"(d), "+r"(a0), "+r"(a3), "+r"(a5), "+r"(a10))
#define TALL_ROW(i) CHANNEL_ROW_AT(i)
#define TALL_NEXT a0 += sizeof(T), a3 += sizeof(T), a5 += sizeof(T), a10 += sizeof(T)
/* Up to four rows more than FC_MAX_MR: their pointers begin anew. */
#define HIGH_ROWS(m)
#define HIGH_TAP(m)                                                                                                    \
    TALL_TAP(m)                                                                                                        \
    const char *b0 = a0 + FC_MAX_MR * d, *b3 = b0 + (m > 17 ? 3 : 0) * d;
#define HIGH_HIDDEN __asm__("" : "+r"(d), "+r"(a0), "+r"(a3), "+r"(a5), "+r"(a10), "+r"(b0), "+r"(b3))
#define HIGH_ROW(i) ((i) < FC_MAX_MR ? CHANNEL_ROW_AT(i) : CHANNEL_ROW_OF((i) - FC_MAX_MR, b0, b3, b0, b0))
#define HIGH_NEXT TALL_NEXT, b0 += sizeof(T), b3 += sizeof(T)
#define LOW_ROWS(m)                                                                                                    \
    const char *row[m];                                                                                                \
    UNROLL for (int i = 0; i < m; i++) row[i] = (const char *)(pixels->rows ? pixels->rows[i] + a : i * step + a);     \
    const T *const begin = a;
#define LOW_TAP(m) ptrdiff_t d = (a - begin + taps[t]) * (ptrdiff_t)sizeof(T);
#define LOW_HIDDEN __asm__("" : "+r"(d))
#define LOW_ROW(i) *(const T *)(row[i] + d)
#define LOW_NEXT d += sizeof(T)
#define CHANNEL_TILE(kind, m, nv)                                                                                      \
    static void NAME(channel_tile_##m##x##nv)(const fc_pixels *pixels, const T *restrict a, const T *restrict b,       \
                                              T *restrict c, const T *bias, const T *ahead) {                          \
        const ptrdiff_t block_stride = pixels->block_stride, step = pixels->step, b_panel = pixels->b_panel,           \
                        ldc = pixels->ldc;                                                                             \
        const ptrdiff_t *const taps = pixels->taps, *const numbers = pixels->numbers, n_taps = pixels->n_taps;         \
        ptrdiff_t channels = pixels->channels;                                                                         \
        uintptr_t line = (uintptr_t)ahead; /* which may lie outside of its array */                                    \
        enum { WIDTH = nv < 2 ? nv : 2 };  /* of a panel of B, in vectors */                                           \
        V acc[m][nv];                                                                                                  \
        kind##_ROWS(m) int fetched = 0; /* rows of C: not all at once where there is time, they would delay B */       \
        /* channels that follow each other in A and in B: a low tile is through with a vector of them at once */       \
        const ptrdiff_t run = VECTOR_REGISTERS < 32 && n_taps == 1 && !numbers && block_stride == LANES ? channels     \
                                                                                                        : LANES;       \
        if (channels <= 3 * LANES || run == channels) {                                                                \
            ROWS_OF_C(m, c, ldc,                                                                                       \
                      UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(row + (j + 1) * LANES - 1, 1);)           \
            fetched = m;                                                                                               \
        }                                                                                                              \
        UNROLL for (int j = 0; j < nv; j++) acc[0][j] = bias ? NAME(load)(bias + j * LANES) : (V){0};                  \
        UNROLL for (int i = 1; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = acc[0][j];                  \
        if (pixels->accumulate)                                                                                        \
            ROWS_OF_C(m, c, ldc, UNROLL for (int j = 0; j < nv; j++) acc[i][j] = NAME(load)(row + j * LANES);)         \
        for (; channels > 0; channels -= run, a += block_stride) {                                                     \
            for (int i = 0; i < (m + 3) / 4 && fetched < m; i++, fetched++)                                            \
                UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(c + fetched * ldc + (j + 1) * LANES - 1, 1);    \
            ptrdiff_t depth = channels < run ? channels : run;                                                         \
            const T *const first = b;                                                                                  \
            for (ptrdiff_t t = 0; t < n_taps; t++) {                                                                   \
                if (numbers) b = first + numbers[t] * depth * WIDTH * LANES;                                           \
                kind##_TAP(m) for (const T *end = b + depth * WIDTH * LANES; b < end;                                  \
                                   b += WIDTH * LANES, line += sizeof(V)) {                                            \
                    kind##_HIDDEN;                                                                                     \
                    V bv[nv];                                                                                          \
                    UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j / 2 * b_panel + j % 2 * LANES);       \
                    __builtin_prefetch((const void *)line, 0, 2);                                                      \
                    UNROLL for (int i = 0; i < m; i++) {                                                               \
                        V av = NAME(broadcast)(kind##_ROW(i));                                                         \
                        UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                   \
                    }                                                                                                  \
                    kind##_NEXT;                                                                                       \
                }                                                                                                      \
            }                                                                                                          \
            if (numbers) b = first + pixels->n_all * depth * WIDTH * LANES;                                            \
        }                                                                                                              \
        FINISH_TILE(m, nv, &pixels->activation, c, ldc)                                                                \
    }
/* The tables of tiles, by vectors; and those of up to six rows. */
#define CHANNEL_ROW(n) CHANNEL_ROW_##n
#define CHANNEL_FIRST_SIX(n)                                                                                           \
    NULL, NAME(channel_tile_1x##n), NAME(channel_tile_2x##n), NAME(channel_tile_3x##n), NAME(channel_tile_4x##n),      \
        NAME(channel_tile_5x##n), NAME(channel_tile_6x##n)
#define CHANNEL_TILES(kind, m) CHANNEL_TILE(kind, m, 1) CHANNEL_TILE(kind, m, 2)

#if VECTOR_REGISTERS >= 32
CHANNEL_TILES(TALL, 1)
CHANNEL_TILES(TALL, 2)
CHANNEL_TILES(TALL, 3)
CHANNEL_TILES(TALL, 4)
CHANNEL_TILES(TALL, 5)
CHANNEL_TILES(TALL, 6)
CHANNEL_TILES(TALL, 7)
CHANNEL_TILES(TALL, 8)
CHANNEL_TILES(TALL, 9)
CHANNEL_TILES(TALL, 10)
CHANNEL_TILES(TALL, 11)
CHANNEL_TILES(TALL, 12)
CHANNEL_TILES(TALL, 13)
CHANNEL_TILES(TALL, 14)
CHANNEL_TILE(TALL, 1, 4)
CHANNEL_TILE(TALL, 2, 4)
CHANNEL_TILE(TALL, 3, 4)
CHANNEL_TILE(TALL, 4, 4)
CHANNEL_TILE(TALL, 5, 4)
CHANNEL_TILE(TALL, 6, 4)
CHANNEL_TILE(TALL, 7, 4)
#undef CHANNEL_NARROW_MR
#undef CHANNEL_ROW_1
#if BITS == 32 /* what it gains in double precision is not worth the bytes */
CHANNEL_TILE(HIGH, 15, 1)
CHANNEL_TILE(HIGH, 16, 1)
CHANNEL_TILE(HIGH, 17, 1)
CHANNEL_TILE(HIGH, 18, 1)
#define CHANNEL_NARROW_MR 18
#else
#define CHANNEL_NARROW_MR 14
#endif
#define CHANNEL_PAIR_MR 7
#define CHANNEL_PAIR_ROW                                                                                               \
    {NULL,                                                                                                             \
     NAME(channel_tile_1x4),                                                                                           \
     NAME(channel_tile_2x4),                                                                                           \
     NAME(channel_tile_3x4),                                                                                           \
     NAME(channel_tile_4x4),                                                                                           \
     NAME(channel_tile_5x4),                                                                                           \
     NAME(channel_tile_6x4),                                                                                           \
     NAME(channel_tile_7x4)}
#define CHANNEL_FIRST_14(n)                                                                                            \
    CHANNEL_FIRST_SIX(n), NAME(channel_tile_7x##n), NAME(channel_tile_8x##n), NAME(channel_tile_9x##n),                \
        NAME(channel_tile_10x##n), NAME(channel_tile_11x##n), NAME(channel_tile_12x##n), NAME(channel_tile_13x##n),    \
        NAME(channel_tile_14x##n)
#if BITS == 32
#define CHANNEL_ROW_1                                                                                                  \
    {CHANNEL_FIRST_14(1), NAME(channel_tile_15x1), NAME(channel_tile_16x1), NAME(channel_tile_17x1),                   \
     NAME(channel_tile_18x1)}
#else
#define CHANNEL_ROW_1 {CHANNEL_FIRST_14(1)}
#endif
#define CHANNEL_ROW_2 {CHANNEL_FIRST_14(2)}
#else
CHANNEL_TILES(LOW, 1)
CHANNEL_TILES(LOW, 2)
CHANNEL_TILES(LOW, 3)
CHANNEL_TILES(LOW, 4)
CHANNEL_TILES(LOW, 5)
CHANNEL_TILES(LOW, 6)
#define CHANNEL_ROW_2 {CHANNEL_FIRST_SIX(2)}
#if VECTOR_BYTES >= 32
CHANNEL_TILE(TALL, 7, 1)
CHANNEL_TILE(TALL, 8, 1)
CHANNEL_TILE(TALL, 9, 1)
CHANNEL_TILE(TALL, 10, 1)
CHANNEL_TILE(TALL, 11, 1)
CHANNEL_TILE(TALL, 12, 1)
#define CHANNEL_NARROW_MR 12
#define CHANNEL_ROW_1                                                                                                  \
    {CHANNEL_FIRST_SIX(1),    NAME(channel_tile_7x1),  NAME(channel_tile_8x1), NAME(channel_tile_9x1),                 \
     NAME(channel_tile_10x1), NAME(channel_tile_11x1), NAME(channel_tile_12x1)}
#else /* what SSE gains is not worth the bytes */
#define CHANNEL_NARROW_MR 6
#define CHANNEL_ROW_1 {CHANNEL_FIRST_SIX(1)}
#endif
#define CHANNEL_PAIR_MR 0
#define CHANNEL_PAIR_ROW {NULL}
#endif

/* Lanes of the vector at v, by their numbers modulo LANES. */
INLINE V NAME(pick)(const T *v, M which) {
#if defined(__AVX512F__) && BITS == 32
    return (V)_mm512_permutexvar_ps((__m512i)which, (__m512)NAME(load)(v));
#elif defined(__AVX512F__)
    return (V)_mm512_permutexvar_pd((__m512i)which, (__m512d)NAME(load)(v));
#elif defined(__AVX2__) && BITS == 32
    return (V)_mm256_permutevar8x32_ps((__m256)NAME(load)(v), (__m256i)which);
#elif defined(__AVX2__)
    return (V)_mm256_permutevar8x32_ps((__m256)NAME(load)(v), (__m256i)(2 * which + ((2 * which + 1) << 32)));
#else
    V picked;
    UNROLL for (int l = 0; l < LANES; l++) picked[l] = v[which[l] % LANES];
    return picked;
#endif
}

/* The tile of m pixels for narrow groups, of `own` channels and filters each, side by side in a vector: a lane meets the channels
 * of its own group, one in each step.
 *
 *   for tap: for p < own: for i < m: acc[i][l] += a[taps[tap] + i * step][l / own * own + p] * b[tap][p][l]
 *
 * With AVX-512 shuffles share a port with multiplications. So where a group is half of a vector the halves are computed apart,
 * from channels that loads broadcast. */
#define GROUP_TILE_PARAMETERS                                                                                          \
    const fc_pixels *pixels, const T *restrict a, const T *restrict b, T *restrict c, const T *bias, const T *ahead
#define GROUP_TILE_FIELDS                                                                                              \
    const ptrdiff_t own = pixels->channels, step = pixels->step, ldc = pixels->ldc;                                    \
    const ptrdiff_t *const taps = pixels->taps, n_taps = pixels->n_taps;                                               \
    uintptr_t line = (uintptr_t)ahead;
#define GROUP_TILE(m)                                                                                                  \
    static void NAME(group_tile_##m)(GROUP_TILE_PARAMETERS) {                                                          \
        GROUP_TILE_FIELDS                                                                                              \
        V acc[m][1];                                                                                                   \
        UNROLL for (int i = 0; i < m; i++) acc[i][0] = bias ? NAME(load)(bias) : (V){0};                               \
        M first = ((M){LANE_NUMBERS} * (256 / (int)own + 1) >> 8) * (int)own; /* l / own * own */                      \
        for (ptrdiff_t t = 0; t < n_taps; t++) {                                                                       \
            ptrdiff_t d = step * (ptrdiff_t)sizeof(T);                                                                 \
            CHANNEL_ROWS(m)                                                                                            \
            M which = first;                                                                                           \
            for (const T *end = b + own * LANES; b < end; b += LANES, line += sizeof(V), which += 1) {                 \
                __asm__("" : "+r"(d), "+r"(a0), "+r"(a3), "+r"(a5), "+r"(a10));                                        \
                V bv = NAME(load)(b);                                                                                  \
                __builtin_prefetch((const void *)line, 0, 2);                                                          \
                UNROLL for (int i = 0; i < m; i++) acc[i][0] += NAME(pick)(&CHANNEL_ROW_AT(i), which) * bv;            \
            }                                                                                                          \
        }                                                                                                              \
        FINISH_TILE(m, 1, &pixels->activation, c, ldc)                                                                 \
    }
#define HALF_TILE(m)                                                                                                   \
    static void NAME(half_tile_##m)(GROUP_TILE_PARAMETERS) {                                                           \
        GROUP_TILE_FIELDS                                                                                              \
        enum { HALF = LANES / 2 };                                                                                     \
        NAME(half) acc[m][2];                                                                                          \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int h = 0; h < 2; h++)                                          \
            acc[i][h] = bias ? *(const NAME(half) *)(bias + h * HALF) : (NAME(half)){0};                               \
        for (ptrdiff_t t = 0; t < n_taps; t++) {                                                                       \
            ptrdiff_t d = step * (ptrdiff_t)sizeof(T);                                                                 \
            CHANNEL_ROWS(m)                                                                                            \
            for (const T *end = b + own * LANES; b < end; b += LANES, line += sizeof(V)) {                             \
                __asm__("" : "+r"(d), "+r"(a0), "+r"(a3), "+r"(a5), "+r"(a10));                                        \
                NAME(half) b0 = *(const NAME(half) *)b, b1 = *(const NAME(half) *)(b + HALF);                          \
                __builtin_prefetch((const void *)line, 0, 2);                                                          \
                UNROLL for (int i = 0; i < m; i++) {                                                                   \
                    acc[i][0] += ((&CHANNEL_ROW_AT(i))[0] - (NAME(half)){0}) * b0;                                     \
                    acc[i][1] += ((&CHANNEL_ROW_AT(i))[HALF] - (NAME(half)){0}) * b1;                                  \
                }                                                                                                      \
                a0 += sizeof(T), a3 += sizeof(T), a5 += sizeof(T), a10 += sizeof(T);                                   \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int h = 0; h < 2; h++) *                                        \
            (NAME(half) *)(c + i * ldc + h * HALF) = acc[i][h];                                                        \
        if (pixels->activation.kind) NAME(activate_rows)(&pixels->activation, c, ldc, m, LANES);                       \
    }

GROUP_TILE(1)
GROUP_TILE(2)
GROUP_TILE(3)
GROUP_TILE(4)
GROUP_TILE(5)
GROUP_TILE(6)
#if VECTOR_REGISTERS >= 32
GROUP_TILE(7)
GROUP_TILE(8)
GROUP_TILE(9)
GROUP_TILE(10)
GROUP_TILE(11)
GROUP_TILE(12)
GROUP_TILE(13)
GROUP_TILE(14)
#define GROUP_ROW(kind)                                                                                                \
    {NULL,                                                                                                             \
     NAME(kind##_tile_1),                                                                                              \
     NAME(kind##_tile_2),                                                                                              \
     NAME(kind##_tile_3),                                                                                              \
     NAME(kind##_tile_4),                                                                                              \
     NAME(kind##_tile_5),                                                                                              \
     NAME(kind##_tile_6),                                                                                              \
     NAME(kind##_tile_7),                                                                                              \
     NAME(kind##_tile_8),                                                                                              \
     NAME(kind##_tile_9),                                                                                              \
     NAME(kind##_tile_10),                                                                                             \
     NAME(kind##_tile_11),                                                                                             \
     NAME(kind##_tile_12),                                                                                             \
     NAME(kind##_tile_13),                                                                                             \
     NAME(kind##_tile_14)}
#else
#define GROUP_ROW(kind)                                                                                                \
    {NULL,                                                                                                             \
     NAME(kind##_tile_1),                                                                                              \
     NAME(kind##_tile_2),                                                                                              \
     NAME(kind##_tile_3),                                                                                              \
     NAME(kind##_tile_4),                                                                                              \
     NAME(kind##_tile_5),                                                                                              \
     NAME(kind##_tile_6)}
#endif

#if defined(__AVX512F__)
typedef T NAME(half) __attribute__((vector_size(VECTOR_BYTES / 2), aligned(BITS / 8), may_alias));
HALF_TILE(1)
HALF_TILE(2)
HALF_TILE(3)
HALF_TILE(4)
HALF_TILE(5)
HALF_TILE(6)
HALF_TILE(7) HALF_TILE(8) HALF_TILE(9) HALF_TILE(10) HALF_TILE(11) HALF_TILE(12) HALF_TILE(13) HALF_TILE(14)
#define GROUP_TABLE {GROUP_ROW(group), GROUP_ROW(half)}
#else
#define GROUP_TABLE {GROUP_ROW(group), GROUP_ROW(group)}
#endif
