/* Between the caller's layout and vectors of channels: a pixel of LANES channels is one vector. */

/* dst[at[p] + i] = src[rows[i] + p], channel i < n_rows of pixel p < length; lanes past n_rows become 0. */
static void NAME(to_lanes)(const T *src, const ptrdiff_t *rows, int n_rows, ptrdiff_t length, T *restrict dst,
                           const ptrdiff_t *at) {
    enum { AHEAD = 2 * LANES }; /* as many streams as channels are more than the hardware prefetches */
    ptrdiff_t p = 0;
    if (length >= LANES)
        for (;; p += LANES) {
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

/* dst[rows[i] + p] = src[p * step + i], channel i < n_rows of pixel p < length. */
static void NAME(from_lanes)(const T *restrict src, ptrdiff_t step, ptrdiff_t length, T *dst, const ptrdiff_t *rows, int n_rows) {
    ptrdiff_t p = 0;
    if (length >= LANES)
        for (;; p += LANES) {
            V r[LANES];
            if (p + LANES > length) p = length - LANES;
            UNROLL for (int q = 0; q < LANES; q++) r[q] = NAME(load)(src + (p + q) * step);
            NAME(transpose_block)(r);
            if (n_rows == LANES) {
                UNROLL for (int i = 0; i < LANES; i++) NAME(store)(dst + rows[i] + p, r[i]);
            } else {
                for (int i = 0; i < n_rows; i++) NAME(store)(dst + rows[i] + p, r[i]);
            }
            if (p + LANES == length) return;
        }
    for (; p < length; p++)
        for (int i = 0; i < n_rows; i++) dst[rows[i] + p] = src[p * step + i];
}

/* The tile of m pixels x nv vectors of output channels: A is pixels of input channels, [block][pixel][LANES], whose rows are
 * STEP vectors apart; each scalar is broadcast.
 *
 *   for block of LANES channels: for tap: for p < LANES: for i < m: for j < nv:
 *       acc[i][j] += broadcast(a[block][taps[tap] + i * STEP][p]) * b[block][tap][p][j]
 *
 * Registers as in gemm.h. The rows' distance is a constant of each function: gcc 12 would keep one pointer a row and spill. */
#define CHANNEL_TILE(m, nv, STEP)                                                                                             \
    static void NAME(channel_tile_##m##x##nv##_##STEP)(ptrdiff_t channels, ptrdiff_t block_stride, const ptrdiff_t *taps,     \
                                                       ptrdiff_t n_taps, const T *restrict a0, const T *restrict b,           \
                                                       T *restrict c, ptrdiff_t ldc, const T *bias) {                         \
        V acc[m][nv];                                                                                                         \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (V){0};                            \
        for (; channels > 0; channels -= LANES, a0 += block_stride) {                                                         \
            ptrdiff_t depth = channels < LANES ? channels : LANES;                                                            \
            for (ptrdiff_t t = 0; t < n_taps; t++) {                                                                          \
                const T *a = a0 + taps[t];                                                                                    \
                for (ptrdiff_t p = 0; p < depth; p++, b += nv * LANES) {                                                      \
                    V bv[nv];                                                                                                 \
                    UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j * LANES);                                    \
                    UNROLL for (int i = 0; i < m; i++) {                                                                      \
                        V av = NAME(broadcast)(a[i * STEP * LANES + p]);                                                      \
                        UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                          \
                    }                                                                                                         \
                }                                                                                                             \
            }                                                                                                                 \
        }                                                                                                                     \
        if (bias) { UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                      \
            acc[i][j] += NAME(load)(bias + j * LANES); }                                                                      \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                                \
            NAME(store)(c + i * ldc + j * LANES, acc[i][j]);                                                                  \
    }
#define CHANNEL_TILES(m) CHANNEL_TILE(m, 1, 1) CHANNEL_TILE(m, 2, 1) CHANNEL_TILE(m, 1, 2) CHANNEL_TILE(m, 2, 2)

CHANNEL_TILES(1) CHANNEL_TILES(2) CHANNEL_TILES(3) CHANNEL_TILES(4) CHANNEL_TILES(5) CHANNEL_TILES(6)

#if VECTOR_REGISTERS >= 32
CHANNEL_TILES(7) CHANNEL_TILES(8) CHANNEL_TILES(9) CHANNEL_TILES(10) CHANNEL_TILES(11) CHANNEL_TILES(12) CHANNEL_TILES(13)
CHANNEL_TILES(14)
#define CHANNEL_ROW(n, s)                                                                                                     \
    {NULL, NAME(channel_tile_1x##n##_##s), NAME(channel_tile_2x##n##_##s), NAME(channel_tile_3x##n##_##s),                    \
     NAME(channel_tile_4x##n##_##s), NAME(channel_tile_5x##n##_##s), NAME(channel_tile_6x##n##_##s),                          \
     NAME(channel_tile_7x##n##_##s), NAME(channel_tile_8x##n##_##s), NAME(channel_tile_9x##n##_##s),                          \
     NAME(channel_tile_10x##n##_##s), NAME(channel_tile_11x##n##_##s), NAME(channel_tile_12x##n##_##s),                       \
     NAME(channel_tile_13x##n##_##s), NAME(channel_tile_14x##n##_##s)}
#else
#define CHANNEL_ROW(n, s)                                                                                                     \
    {NULL, NAME(channel_tile_1x##n##_##s), NAME(channel_tile_2x##n##_##s), NAME(channel_tile_3x##n##_##s),                    \
     NAME(channel_tile_4x##n##_##s), NAME(channel_tile_5x##n##_##s), NAME(channel_tile_6x##n##_##s)}
#endif
