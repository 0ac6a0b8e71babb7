/* The GEMM tile: m rows x NV vectors of C held in registers over the whole depth, a sum of outer products.
 *
 *   for p < depth: for i < m: for j < NV:  acc[i][j] += broadcast(a[p][i]) * b[p][j]
 *
 * Registers: m * NV accumulators, NV vectors of B, one broadcast: 14 x 2 + 3 of 32, or 6 x 2 + 3 of 16. A (14 floats a
 * step) and B (NV vectors a step) stream from L1 or L2, packed or as they were written. The row count is a constant of each
 * function: with a run-time row stride gcc 12 keeps one pointer a row and spills. C is fetched while the product is computed.
 */

/* The activation of `rows` rows of n elements that were just stored: what there is no room for beside a tile. */
static __attribute__((noinline)) void NAME(activate_rows)(const fc_activation *how, T *c, ptrdiff_t ldc, ptrdiff_t rows,
                                                          ptrdiff_t n) {
    static void (*const functions[FC_ACTIVATIONS])(const T *, T *, ptrdiff_t, T) = {
        NULL, NAME(relu), NAME(leaky_relu), NAME(sigmoid), NAME(tanh), NAME(relu6)};
    for (ptrdiff_t i = 0; i < rows; i++) functions[how->kind](c + i * ldc, c + i * ldc, n, (T)how->slope);
}

/* Hides from the compiler what it knows of an integer or an address: it would make a copy of the stores for each activation, and
 * keep an address for each row, more than there are registers. */
#undef FORGET
#define FORGET(i) __asm__("" : "+r"(i))

/* For rows of C, ldc apart, each at `row`. */
#undef ROWS_OF_C
#define ROWS_OF_C(m, c, ldc, what)                                                                                     \
    {                                                                                                                  \
        T *row = c;                                                                                                    \
        UNROLL for (int i = 0; i < m; i++, row += ldc) {                                                               \
            FORGET(row);                                                                                               \
            what                                                                                                       \
        }                                                                                                              \
    }

/* The end of a tile of sums, acc[m][nv], of which rows of C are ldc apart: ReLU and ReLU6 in registers, the stores, other activations. */
#undef FINISH_TILE
#define FINISH_TILE(m, nv, how, c, ldc)                                                                                \
    int kind = (how)->kind;                                                                                            \
    if (kind == FC_RELU)                                                                                               \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            acc[i][j] = NAME(vector_relu)(acc[i][j], 0);                                                               \
    else if (kind == FC_RELU6)                                                                                         \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                         \
            acc[i][j] = NAME(vector_relu6)(acc[i][j], 0);                                                              \
    FORGET(kind);                                                                                                      \
    ROWS_OF_C(m, c, ldc, UNROLL for (int j = 0; j < nv; j++) NAME(store)(row + j * LANES, acc[i][j]);)                 \
    if (kind > FC_RELU && kind != FC_RELU6) NAME(activate_rows)(how, c, ldc, m, nv * LANES);

#define GEMM_TILE(m, nv)                                                                                               \
    static void NAME(gemm_tile_##m##x##nv)(const fc_product *how, ptrdiff_t depth, const T *restrict a,                \
                                           const T *restrict b, T *restrict c, const T *restrict bias) {               \
        const ptrdiff_t a_step = how->a, b_step = how->b, b_vector = how->b_vector, ldc = how->c;                      \
        V acc[m][nv];                                                                                                  \
        ROWS_OF_C(m, c, ldc, UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(row + (j + 1) * LANES - 1, 1);)    \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (V){0};                     \
        for (ptrdiff_t p = 0; p < depth; p++, a += a_step, b += b_step) {                                              \
            V bv[nv];                                                                                                  \
            UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j * b_vector);                                  \
            UNROLL for (int i = 0; i < m; i++) {                                                                       \
                V av = NAME(broadcast)(a[i]);                                                                          \
                UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                           \
            }                                                                                                          \
        }                                                                                                              \
        if (bias)                                                                                                      \
            UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++)                                     \
                acc[i][j] += NAME(broadcast)(bias[i]);                                                                 \
        if (how->accumulate)                                                                                           \
            ROWS_OF_C(m, c, ldc, UNROLL for (int j = 0; j < nv; j++) acc[i][j] += NAME(load)(row + j * LANES);)        \
        FINISH_TILE(m, nv, &how->activation, c, ldc)                                                                   \
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

/* The same sum, C[m][nv vectors] += a[i][p] * b[p][j], of rows that lie as they were written, a_row apart. A pointer and their
 * distance reach three of them: gcc would keep a pointer for each. */
#define OUTER_TILE(m, nv)                                                                                              \
    static void NAME(outer_tile_##m##x##nv)(const fc_outer_steps *steps, ptrdiff_t depth, const T *restrict a,         \
                                            const T *restrict b, T *restrict c) {                                      \
        const ptrdiff_t a_row = steps->a_row, b_step = steps->b, b_vector = steps->b_vector, ldc = steps->c;           \
        const T *rows[(m + 2) / 3];                                                                                    \
        V acc[m][nv];                                                                                                  \
        ROWS_OF_C(m, c, ldc, UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(row + (j + 1) * LANES - 1, 1);)    \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (V){0};                     \
        UNROLL for (int i = 0; i < (m + 2) / 3; i++) {                                                                 \
            rows[i] = a + 3 * i * a_row;                                                                               \
            FORGET(rows[i]);                                                                                           \
        }                                                                                                              \
        for (ptrdiff_t p = 0; p < depth; p++, b += b_step) {                                                           \
            V bv[nv];                                                                                                  \
            UNROLL for (int j = 0; j < nv; j++) bv[j] = NAME(load)(b + j * b_vector);                                  \
            UNROLL for (int i = 0; i < m; i++) {                                                                       \
                V av = NAME(broadcast)(rows[i / 3][i % 3 * a_row]);                                                    \
                UNROLL for (int j = 0; j < nv; j++) acc[i][j] += av * bv[j];                                           \
            }                                                                                                          \
            UNROLL for (int i = 0; i < (m + 2) / 3; i++) rows[i]++;                                                    \
        }                                                                                                              \
        ROWS_OF_C(m, c, ldc,                                                                                           \
                  UNROLL for (int j = 0; j < nv; j++)                                                                  \
                      NAME(store)(row + j * LANES, acc[i][j] + NAME(load)(row + j * LANES));)                          \
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
