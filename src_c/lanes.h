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
                    __builtin_prefetch(src + rows[i] + p + AHEAD);
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
static void NAME(from_lanes)(const T *restrict src, ptrdiff_t step, ptrdiff_t length, T *dst, const ptrdiff_t *rows, int n_rows) {
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
                    __builtin_prefetch(dst + rows[i] + p + ahead, 1);
                }
            } else {
                for (int i = 0; i < n_rows; i++) NAME(store)(dst + rows[i] + p, r[i]);
            }
            if (p + LANES == length) return;
        }
    for (; p < length; p++)
        for (int i = 0; i < n_rows; i++) dst[rows[i] + p] = src[p * step + i];
}

static void NAME(split_pixels)(const T *restrict src, ptrdiff_t step, ptrdiff_t pixels, ptrdiff_t channels, T *restrict dst,
                               ptrdiff_t dst_step, ptrdiff_t block_stride) {
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
 * fourth. Four pointers and the step reach all rows, as an address may add 1, 2, 4 or 8 steps to a pointer; gcc 12 would rather
 * keep a pointer for each row and spill, so the loop hides from it that the step is the same every time. A cache line is
 * prefetched to L2 with every vector of B: the next panel's, while this one is multiplied. */
#define CHANNEL_ROW_AT(i)                                                                                                     \
    *(const T *)((i) == 0    ? a0                                                                                             \
                 : (i) == 1  ? a0 + d                                                                                         \
                 : (i) == 2  ? a0 + 2 * d                                                                                     \
                 : (i) == 3  ? a3                                                                                             \
                 : (i) == 4  ? a0 + 4 * d                                                                                     \
                 : (i) == 5  ? a3 + 2 * d                                                                                     \
                 : (i) == 6  ? a5 + d                                                                                         \
                 : (i) == 7  ? a3 + 4 * d                                                                                     \
                 : (i) == 8  ? a0 + 8 * d                                                                                     \
                 : (i) == 9  ? a5 + 4 * d                                                                                     \
                 : (i) == 10 ? a10                                                                                            \
                 : (i) == 11 ? a3 + 8 * d                                                                                     \
                 : (i) == 12 ? a10 + 2 * d                                                                                    \
                             : a5 + 8 * d)
#define CHANNEL_TILE(m, nv)                                                                                                   \
    static void NAME(channel_tile_##m##x##nv)(ptrdiff_t channels, ptrdiff_t block_stride, const ptrdiff_t *taps,              \
                                              ptrdiff_t n_taps, const T *restrict a, ptrdiff_t step, const T *restrict b,     \
                                              ptrdiff_t b_panel, T *restrict c, ptrdiff_t ldc, const T *bias,                 \
                                              const T *ahead) {                                                               \
        enum { WIDTH = nv < 2 ? nv : 2 }; /* of a panel of B, in vectors */                                                   \
        V acc[m][nv];                                                                                                         \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                                \
            __builtin_prefetch(c + i * ldc + (j + 1) * LANES - 1, 1);                                                         \
        UNROLL for (int j = 0; j < nv; j++) acc[0][j] = bias ? NAME(load)(bias + j * LANES) : (V){0};                         \
        UNROLL for (int i = 1; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = acc[0][j];                         \
        for (; channels > 0; channels -= LANES, a += block_stride) {                                                          \
            ptrdiff_t depth = channels < LANES ? channels : LANES;                                                            \
            for (ptrdiff_t t = 0; t < n_taps; t++) {                                                                          \
                ptrdiff_t d = step * (ptrdiff_t)sizeof(T);                                                                    \
                const char *a0 = (const char *)(a + taps[t]), *a3 = a0 + 3 * d, *a5 = a0 + 5 * d, *a10 = a0 + 10 * d;         \
                for (const T *end = b + depth * WIDTH * LANES; b < end; b += WIDTH * LANES, ahead += LANES) {                 \
                    __asm__("" : "+r"(d), "+r"(a0), "+r"(a3), "+r"(a5), "+r"(a10));                                           \
                    V bv[nv];                                                                                                 \
                    UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j / 2 * b_panel + j % 2 * LANES);              \
                    __builtin_prefetch(ahead, 0, 2);                                                                          \
                    UNROLL for (int i = 0; i < m; i++) {                                                                      \
                        V av = NAME(broadcast)(CHANNEL_ROW_AT(i));                                                            \
                        UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                          \
                    }                                                                                                         \
                    a0 += sizeof(T), a3 += sizeof(T), a5 += sizeof(T), a10 += sizeof(T);                                      \
                }                                                                                                             \
            }                                                                                                                 \
        }                                                                                                                     \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                                \
            NAME(store)(c + i * ldc + j * LANES, acc[i][j]);                                                                  \
    }
#define CHANNEL_TILES(m) CHANNEL_TILE(m, 1) CHANNEL_TILE(m, 2)

CHANNEL_TILES(1) CHANNEL_TILES(2) CHANNEL_TILES(3) CHANNEL_TILES(4) CHANNEL_TILES(5) CHANNEL_TILES(6)

#if VECTOR_REGISTERS >= 32
CHANNEL_TILES(7) CHANNEL_TILES(8) CHANNEL_TILES(9) CHANNEL_TILES(10) CHANNEL_TILES(11) CHANNEL_TILES(12) CHANNEL_TILES(13)
CHANNEL_TILES(14)
CHANNEL_TILE(1, 4) CHANNEL_TILE(2, 4) CHANNEL_TILE(3, 4) CHANNEL_TILE(4, 4) CHANNEL_TILE(5, 4) CHANNEL_TILE(6, 4)
CHANNEL_TILE(7, 4)
#define CHANNEL_PAIR_MR 7
#define CHANNEL_PAIR_ROW                                                                                                      \
    {NULL, NAME(channel_tile_1x4), NAME(channel_tile_2x4), NAME(channel_tile_3x4), NAME(channel_tile_4x4),                    \
     NAME(channel_tile_5x4), NAME(channel_tile_6x4), NAME(channel_tile_7x4)}
#define CHANNEL_ROW(n)                                                                                                        \
    {NULL, NAME(channel_tile_1x##n), NAME(channel_tile_2x##n), NAME(channel_tile_3x##n), NAME(channel_tile_4x##n),            \
     NAME(channel_tile_5x##n), NAME(channel_tile_6x##n), NAME(channel_tile_7x##n), NAME(channel_tile_8x##n),                  \
     NAME(channel_tile_9x##n), NAME(channel_tile_10x##n), NAME(channel_tile_11x##n), NAME(channel_tile_12x##n),               \
     NAME(channel_tile_13x##n), NAME(channel_tile_14x##n)}
#else
#define CHANNEL_ROW(n)                                                                                                        \
    {NULL, NAME(channel_tile_1x##n), NAME(channel_tile_2x##n), NAME(channel_tile_3x##n), NAME(channel_tile_4x##n),            \
     NAME(channel_tile_5x##n), NAME(channel_tile_6x##n)}
#define CHANNEL_PAIR_MR 0
#define CHANNEL_PAIR_ROW {NULL}
#endif
