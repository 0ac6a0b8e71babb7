/* The GEMM tile: m rows x NV vectors of C held in registers over the whole depth.
 *
 *   for p < depth: for i < m: for j < NV:  acc[i][j] += broadcast(a[p][i]) * b[p][j]
 *
 * Registers: m * NV accumulators, NV vectors of B, one broadcast: 14 x 2 + 3 of 32, or 6 x 2 + 3 of 16. A (14 floats a
 * step) and B (NV vectors a step) stream from L1 or L2. The row count is a constant of each function: with a run-time row
 * stride gcc 12 keeps one pointer a row and spills. C is fetched while the product is computed.
 */
#define GEMM_TILE(m, nv)                                                                                               \
    static void NAME(gemm_tile_##m##x##nv)(ptrdiff_t depth, const T *restrict a, const T *restrict b, T *restrict c,   \
                                           ptrdiff_t ldc, const T *restrict bias, int accumulate) {                    \
        V acc[m][nv];                                                                                                  \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            __builtin_prefetch(c + i * ldc + (j + 1) * LANES - 1, 1);                                                  \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (V){0};                     \
        for (ptrdiff_t p = 0; p < depth; p++, a += m, b += nv * LANES) {                                               \
            V bv[nv];                                                                                                  \
            UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j * LANES);                                     \
            UNROLL for (int i = 0; i < m; i++) {                                                                       \
                V av = NAME(broadcast)(a[i]);                                                                          \
                UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                           \
            }                                                                                                          \
        }                                                                                                              \
        if (accumulate) {                                                                                              \
            UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                     \
                acc[i][j] += NAME(load)(c + i * ldc + j * LANES);                                                      \
        } else if (bias) {                                                                                             \
            UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                     \
                acc[i][j] += NAME(broadcast)(bias[i]);                                                                 \
        }                                                                                                              \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            NAME(store)(c + i * ldc + j * LANES, acc[i][j]);                                                           \
    }
#define GEMM_TILES(m) GEMM_TILE(m, 1) GEMM_TILE(m, 2)

GEMM_TILES(1)
GEMM_TILES(2)
GEMM_TILES(3)
GEMM_TILES(4)
GEMM_TILES(5)
GEMM_TILES(6)

#if VECTOR_REGISTERS >= 32
GEMM_TILES(7)
GEMM_TILES(8)
GEMM_TILES(9)
GEMM_TILES(10)
GEMM_TILES(11)
GEMM_TILES(12)
GEMM_TILES(13)
GEMM_TILES(14)
#define GEMM_MR 14
#define GEMM_ROW(n)                                                                                                    \
    {NULL,                                                                                                             \
     NAME(gemm_tile_1x##n),                                                                                            \
     NAME(gemm_tile_2x##n),                                                                                            \
     NAME(gemm_tile_3x##n),                                                                                            \
     NAME(gemm_tile_4x##n),                                                                                            \
     NAME(gemm_tile_5x##n),                                                                                            \
     NAME(gemm_tile_6x##n),                                                                                            \
     NAME(gemm_tile_7x##n),                                                                                            \
     NAME(gemm_tile_8x##n),                                                                                            \
     NAME(gemm_tile_9x##n),                                                                                            \
     NAME(gemm_tile_10x##n),                                                                                           \
     NAME(gemm_tile_11x##n),                                                                                           \
     NAME(gemm_tile_12x##n),                                                                                           \
     NAME(gemm_tile_13x##n),                                                                                           \
     NAME(gemm_tile_14x##n)}
#else
#define GEMM_MR 6
#define GEMM_ROW(n)                                                                                                    \
    {NULL,                                                                                                             \
     NAME(gemm_tile_1x##n),                                                                                            \
     NAME(gemm_tile_2x##n),                                                                                            \
     NAME(gemm_tile_3x##n),                                                                                            \
     NAME(gemm_tile_4x##n),                                                                                            \
     NAME(gemm_tile_5x##n),                                                                                            \
     NAME(gemm_tile_6x##n)}
#endif

/* What an address is made of stays unknown to the compiler, which keeps it in a register of its own. */
#undef ITS_OWN
#define ITS_OWN(address) __asm__("" : "+r"(address))

/* A sum of outer products, of two operands that lie as they were written: C[m][nv vectors] = the sum over p < depth of
 * a[p][i] * b[p][j]. Loop, registers and streams as above, but for the steps. The scalars of a step lie any distance apart: a
 * pointer and that distance reach three of them, where gcc would keep a pointer for each. With one vector scalars are operands
 * of the multiplication, of which a pointer and an index make two instructions: there those that follow each other have a loop
 * of their own. */
#define OUTER_LOOP(m, nv, scalar, pointers)                                                                            \
    for (ptrdiff_t p = 0; p < depth; p++, b += b_step) {                                                               \
        V bv[nv];                                                                                                      \
        UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j * b_vector);                                      \
        UNROLL for (int i = 0; i < m; i++) {                                                                           \
            V av = NAME(broadcast)(scalar);                                                                            \
            UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                               \
        }                                                                                                              \
        UNROLL for (int i = 0; i < pointers; i++) rows[i] += a_step;                                                   \
    }
#define OUTER_TILE(m, nv)                                                                                              \
    static void NAME(outer_tile_##m##x##nv)(const fc_outer_steps *steps, ptrdiff_t depth, const T *restrict a,         \
                                            const T *restrict b, T *restrict c, int accumulate) {                      \
        const ptrdiff_t a_step = steps->a, b_step = steps->b, b_vector = steps->b_vector, ldc = steps->c;              \
        const ptrdiff_t a_row = steps->a_row;                                                                          \
        const T *rows[(m + 2) / 3];                                                                                    \
        V acc[m][nv];                                                                                                  \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            __builtin_prefetch(c + i * ldc + (j + 1) * LANES - 1, 1);                                                  \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (V){0};                     \
        UNROLL for (int i = 0; i < (m + 2) / 3; i++) {                                                                 \
            rows[i] = a + 3 * i * a_row;                                                                               \
            ITS_OWN(rows[i]);                                                                                          \
        }                                                                                                              \
        if (nv == 1 && a_row == 1) {                                                                                   \
            OUTER_LOOP(m, nv, rows[0][i], 1)                                                                           \
        } else {                                                                                                       \
            OUTER_LOOP(m, nv, rows[i / 3][i % 3 * a_row], (m + 2) / 3)                                                 \
        }                                                                                                              \
        if (accumulate)                                                                                                \
            UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                     \
                acc[i][j] += NAME(load)(c + i * ldc + j * LANES);                                                      \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            NAME(store)(c + i * ldc + j * LANES, acc[i][j]);                                                           \
    }
#define OUTER_TILES(m) OUTER_TILE(m, 1) OUTER_TILE(m, 2)

OUTER_TILES(1)
OUTER_TILES(2)
OUTER_TILES(3)
OUTER_TILES(4)
OUTER_TILES(5)
OUTER_TILES(6)

#if VECTOR_REGISTERS >= 32
OUTER_TILES(7)
OUTER_TILES(8) OUTER_TILES(9) OUTER_TILES(10) OUTER_TILES(11) OUTER_TILES(12) OUTER_TILES(13) OUTER_TILES(14)
#define OUTER_ROW(n)                                                                                                   \
    {NULL,                                                                                                             \
     NAME(outer_tile_1x##n),                                                                                           \
     NAME(outer_tile_2x##n),                                                                                           \
     NAME(outer_tile_3x##n),                                                                                           \
     NAME(outer_tile_4x##n),                                                                                           \
     NAME(outer_tile_5x##n),                                                                                           \
     NAME(outer_tile_6x##n),                                                                                           \
     NAME(outer_tile_7x##n),                                                                                           \
     NAME(outer_tile_8x##n),                                                                                           \
     NAME(outer_tile_9x##n),                                                                                           \
     NAME(outer_tile_10x##n),                                                                                          \
     NAME(outer_tile_11x##n),                                                                                          \
     NAME(outer_tile_12x##n),                                                                                          \
     NAME(outer_tile_13x##n),                                                                                          \
     NAME(outer_tile_14x##n)}
#else
#define OUTER_ROW(n)                                                                                                   \
    {NULL,                                                                                                             \
     NAME(outer_tile_1x##n),                                                                                           \
     NAME(outer_tile_2x##n),                                                                                           \
     NAME(outer_tile_3x##n),                                                                                           \
     NAME(outer_tile_4x##n),                                                                                           \
     NAME(outer_tile_5x##n),                                                                                           \
     NAME(outer_tile_6x##n)}
#endif
