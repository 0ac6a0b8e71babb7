/* The tile of a weight gradient: outer products of the scalars of x that some taps meet with vectors of grad_output, summed over
 * pixels.
 *
 *   for run: for pixel of the run: for line < g: for i < l: for j < nv:
 *       acc[line][i][j] += broadcast(a[line * a_line + i]) * b[j]
 *
 * A line is l scalars that follow each other in memory: channels of a pixel, or those of several taps of a filter row. Rows of a
 * filter are lines that lie a constant apart, so one pointer and one register reach three of them.
 *
 * Registers: g * l * nv accumulators, nv vectors of B, one broadcast, as in gemm.h. B (nv vectors a pixel) streams from L1 or L2;
 * of A, whose neighbouring pixels share most taps, all is in L1.
 */
#define WEIGHT_TILE(g, l, nv)                                                                                          \
    static void NAME(weight_tile_##g##x##l##x##nv)(const fc_pixel_runs *pixels, const T *restrict a,                   \
                                                   const T *restrict b, T *restrict c, ptrdiff_t c_line) {             \
        const ptrdiff_t a_step = pixels->a_step, a_line = pixels->a_line;                                              \
        V acc[g][l][nv];                                                                                               \
        UNROLL for (int k = 0; k < g; k++) UNROLL for (int i = 0; i < l; i++) UNROLL for (int j = 0; j < nv; j++) {    \
            __builtin_prefetch(c + k * c_line + (i * nv + j) * LANES, 1);                                              \
            acc[k][i][j] = (V){0};                                                                                     \
        }                                                                                                              \
        for (const fc_pixel_run *run = pixels->runs, *end = run + pixels->n_runs; run < end; run++) {                  \
            const T *pa = a + run->a, *pb = b + run->b * (nv * LANES);                                                 \
            for (ptrdiff_t p = run->length; p > 0; p--, pa += a_step, pb += nv * LANES) {                              \
                V bv[nv];                                                                                              \
                UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(pb + j * LANES);                                \
                UNROLL for (int k = 0; k < g; k++) UNROLL for (int i = 0; i < l; i++) {                                \
                    V av = NAME(broadcast)(pa[k * a_line + i]);                                                        \
                    UNROLL for (int j = 0; j < nv; j++) acc[k][i][j] += av * bv[j];                                    \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int k = 0; k < g; k++) UNROLL for (int i = 0; i < l; i++) UNROLL for (int j = 0; j < nv; j++) {    \
            T *sum = c + k * c_line + (i * nv + j) * LANES;                                                            \
            NAME(store)(sum, NAME(load)(sum) + acc[k][i][j]);                                                          \
        }                                                                                                              \
    }
#define WEIGHT_TILES(g, l) WEIGHT_TILE(g, l, 1) WEIGHT_TILE(g, l, 2)

WEIGHT_TILES(1, 1)
WEIGHT_TILES(1, 2)
WEIGHT_TILES(1, 3)
WEIGHT_TILES(1, 4)
WEIGHT_TILES(1, 5)
WEIGHT_TILES(1, 6)
WEIGHT_TILES(2, 1)
WEIGHT_TILES(2, 2)
WEIGHT_TILES(2, 3)
WEIGHT_TILES(3, 1)
WEIGHT_TILES(3, 2)

#undef WEIGHT_TABLE
#if VECTOR_REGISTERS >= 32
WEIGHT_TILES(1, 7)
WEIGHT_TILES(1, 8)
WEIGHT_TILES(1, 9)
WEIGHT_TILES(1, 10)
WEIGHT_TILES(1, 11)
WEIGHT_TILES(1, 12)
WEIGHT_TILES(1, 13)
WEIGHT_TILES(1, 14)
WEIGHT_TILES(2, 4) WEIGHT_TILES(2, 5) WEIGHT_TILES(2, 6) WEIGHT_TILES(2, 7) WEIGHT_TILES(3, 3) WEIGHT_TILES(3, 4)
#define WEIGHT_TABLE(n)                                                                                                \
    {                                                                                                                  \
        {NULL,                                                                                                         \
         NAME(weight_tile_1x1x##n),                                                                                    \
         NAME(weight_tile_1x2x##n),                                                                                    \
         NAME(weight_tile_1x3x##n),                                                                                    \
         NAME(weight_tile_1x4x##n),                                                                                    \
         NAME(weight_tile_1x5x##n),                                                                                    \
         NAME(weight_tile_1x6x##n),                                                                                    \
         NAME(weight_tile_1x7x##n),                                                                                    \
         NAME(weight_tile_1x8x##n),                                                                                    \
         NAME(weight_tile_1x9x##n),                                                                                    \
         NAME(weight_tile_1x10x##n),                                                                                   \
         NAME(weight_tile_1x11x##n),                                                                                   \
         NAME(weight_tile_1x12x##n),                                                                                   \
         NAME(weight_tile_1x13x##n),                                                                                   \
         NAME(weight_tile_1x14x##n)},                                                                                  \
            {NULL,                                                                                                     \
             NAME(weight_tile_2x1x##n),                                                                                \
             NAME(weight_tile_2x2x##n),                                                                                \
             NAME(weight_tile_2x3x##n),                                                                                \
             NAME(weight_tile_2x4x##n),                                                                                \
             NAME(weight_tile_2x5x##n),                                                                                \
             NAME(weight_tile_2x6x##n),                                                                                \
             NAME(weight_tile_2x7x##n)},                                                                               \
        {                                                                                                              \
            NULL, NAME(weight_tile_3x1x##n), NAME(weight_tile_3x2x##n), NAME(weight_tile_3x3x##n),                     \
                NAME(weight_tile_3x4x##n)                                                                              \
        }                                                                                                              \
    }
#else
#define WEIGHT_TABLE(n)                                                                                                \
    {                                                                                                                  \
        {NULL,                                                                                                         \
         NAME(weight_tile_1x1x##n),                                                                                    \
         NAME(weight_tile_1x2x##n),                                                                                    \
         NAME(weight_tile_1x3x##n),                                                                                    \
         NAME(weight_tile_1x4x##n),                                                                                    \
         NAME(weight_tile_1x5x##n),                                                                                    \
         NAME(weight_tile_1x6x##n)},                                                                                   \
            {NULL, NAME(weight_tile_2x1x##n), NAME(weight_tile_2x2x##n), NAME(weight_tile_2x3x##n)}, {                 \
            NULL, NAME(weight_tile_3x1x##n), NAME(weight_tile_3x2x##n)                                                 \
        }                                                                                                              \
    }
#endif
