/* Weighted sums of rows, for products too small, or of too few rows, to be packed: c[i][j] = sum over p of a[i][p] b[p][j], to
 * which a bias[i] comes; it goes on from what c[i][j] was, or that comes last. Rows of B are as far apart as each other, or
 * begin anywhere.
 *
 *   for SUM_NV vectors of columns at a time: for p < depth: for v < SUM_NV: for i < m:  acc[i][v] += a[i][p] * b[p][v]
 *
 * B and C are read and written along their rows, as they lie in memory, A element by element, with any strides. Registers: m *
 * SUM_NV accumulators, SUM_NV vectors of B, an element of A in all lanes: 6 * 4 + 5 of 32, or 6 * 2 + 3 of 16. Each column is summed
 * in one order, however many rows and columns there are.
 */
#define SUM_PRODUCTS(m, nv, ...)                                                                                       \
    for (ptrdiff_t p = 0, next = 0; p < depth; p++, next += rows->b, a += rows->a_step) {                              \
        const T *row = b + (rows->terms ? rows->terms[p] : next);                                                      \
        V bv[nv];                                                                                                      \
        UNROLL for (int v = 0; v + 1 < nv; v++) bv[v] = NAME(load)(row + v * LANES);                                   \
        bv[nv - 1] = __VA_ARGS__;                                                                                      \
        UNROLL for (int i = 0; i < m; i++) {                                                                           \
            V av = NAME(broadcast)(a[i * rows->a_row]);                                                                \
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] += av * bv[v];                                               \
        }                                                                                                              \
    }

/* What is in row i of c. */
#define SUM_ADD(i, nv)                                                                                                 \
    {                                                                                                                  \
        UNROLL for (int v = 0; v + 1 < nv; v++) acc[i][v] += NAME(load)(c + i * rows->c + v * LANES);                  \
        acc[i][nv - 1] += NAME(load_row)(c + i * rows->c + (nv - 1) * LANES, 0, last);                                 \
    }

/* m rows of nv vectors, of the last of which `last` lanes count. */
#define SUM_TILE(m, nv)                                                                                                \
    INLINE void NAME(sum_tile_##m##x##nv)(const fc_row_sums *rows, ptrdiff_t depth, const T *a, const T *b,            \
                                          ptrdiff_t last, const T *bias, T *c, int accumulate) {                       \
        V acc[m][nv];                                                                                                  \
        UNROLL for (int i = 0; i < m; i++) {                                                                           \
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] = (V){0};                                                    \
            if (accumulate == 1) SUM_ADD(i, nv)                                                                        \
        }                                                                                                              \
        if (last == LANES)                                                                                             \
            SUM_PRODUCTS(m, nv, NAME(load)(row + (nv - 1) * LANES))                                                    \
        else                                                                                                           \
            SUM_PRODUCTS(m, nv, NAME(load_part)(row + (nv - 1) * LANES, last))                                         \
        if (bias)                                                                                                      \
            UNROLL for (int i = 0; i < m; i++) UNROLL for (int v = 0; v < nv; v++)                                     \
                acc[i][v] += NAME(broadcast)(bias[i]);                                                                 \
        UNROLL for (int i = 0; i < m; i++) {                                                                           \
            if (accumulate == 2) SUM_ADD(i, nv)                                                                        \
            UNROLL for (int v = 0; v + 1 < nv; v++) NAME(store)(c + i * rows->c + v * LANES, acc[i][v]);               \
            NAME(store_row)(c + i * rows->c + (nv - 1) * LANES, 0, last, acc[i][nv - 1]);                              \
        }                                                                                                              \
    }

#define SUM_REST(m, nv)                                                                                                \
    NAME(sum_tile_##m##x##nv)(&strides, depth, a, b + j, n - j - (nv - 1) * LANES, bias, c + j, accumulate)
#undef SUM_TILES
#undef SUM_LAST
#undef SUM_NV
#if VECTOR_REGISTERS >= 32
#define SUM_NV 4
#define SUM_TILES(m) SUM_TILE(m, 1) SUM_TILE(m, 2) SUM_TILE(m, 3) SUM_TILE(m, 4)
#define SUM_LAST(m)                                                                                                    \
    if (n - j > 2 * LANES)                                                                                             \
        n - j > 3 * LANES ? SUM_REST(m, 4) : SUM_REST(m, 3);                                                           \
    else if (n > j)                                                                                                    \
        n - j > LANES ? SUM_REST(m, 2) : SUM_REST(m, 1);
#else
#define SUM_NV 2
#define SUM_TILES(m) SUM_TILE(m, 1) SUM_TILE(m, 2)
#define SUM_LAST(m)                                                                                                    \
    if (n > j) n - j > LANES ? SUM_REST(m, 2) : SUM_REST(m, 1);
#endif

/* m rows by all n columns. */
#define SUM_ROWS(m)                                                                                                    \
    SUM_TILES(m)                                                                                                       \
    static void NAME(sum_rows_##m)(const fc_row_sums *rows, ptrdiff_t depth, const T *a, const T *b, ptrdiff_t n,      \
                                   const T *bias, T *c, int accumulate) {                                              \
        const fc_row_sums strides = *rows; /* a copy, which no store to c can change */                                \
        ptrdiff_t j = 0;                                                                                               \
        for (; j + SUM_NV * LANES <= n; j += SUM_NV * LANES) SUM_FULL(m)                                               \
        SUM_LAST(m)                                                                                                    \
    }
#if VECTOR_REGISTERS >= 32
#define SUM_FULL(m) NAME(sum_tile_##m##x4)(&strides, depth, a, b + j, LANES, bias, c + j, accumulate);
#else
#define SUM_FULL(m) NAME(sum_tile_##m##x2)(&strides, depth, a, b + j, LANES, bias, c + j, accumulate);
#endif
SUM_ROWS(1) SUM_ROWS(2) SUM_ROWS(3) SUM_ROWS(4) SUM_ROWS(5) SUM_ROWS(6)
#undef SUM_ROWS
#undef SUM_FULL
#undef SUM_REST
#undef SUM_TILE
#undef SUM_PRODUCTS
#undef SUM_ADD
