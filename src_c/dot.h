/* Inner products: both matrices are read along their rows, as they lie in memory; nothing is packed.
 *
 *   for n outputs at a time: for p < depth by vectors: for i < m: for j < n:  acc[i][j] += a[i][p] * b[j][p];  add up the lanes
 *
 * Registers: m * n accumulators, m vectors of A, one of B: 4 * 4 + 5 of 32, or 3 * 4 + 4 of 16. Few rows take more outputs at
 * once, to have as many rows of B on their way from memory. Lanes are added up in pairs, those of four outputs together, and in
 * the same order for any m and n.
 */

/* Keeps a vector in its register: gcc 12 otherwise loads it anew for each of its multiplications, half as fast. */
#undef IN_REGISTER
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v)
#endif

INLINE V NAME(pairs)(V a, V b) { return SHUFFLE(M, a, b, EVEN_LANES) + SHUFFLE(M, a, b, ODD_LANES); }

/* The sums over the lanes of four vectors. */
INLINE void NAME(add_lanes)(V a, V b, V c, V d, T *sums) {
    V ab = NAME(pairs)(a, b), cd = NAME(pairs)(c, d);
#if LANES == 2
    sums[0] = ab[0], sums[1] = ab[1], sums[2] = cd[0], sums[3] = cd[1];
#else
    V all = NAME(pairs)(ab, cd);
#if LANES >= 8
    all = NAME(pairs)(all, all);
#endif
#if LANES == 16
    all = NAME(pairs)(all, all);
#endif
    UNROLL for (int j = 0; j < 4; j++) sums[j] = all[j];
#endif
}

/* n is 1 or a multiple of 4. */
#define DOT_TILE(m, n)                                                                                                 \
    INLINE void NAME(dot_tile_##m##x##n)(const fc_row_strides *rows, ptrdiff_t depth, const T *restrict a,             \
                                         const T *restrict b, const T *restrict bias, T *restrict c) {                 \
        const ptrdiff_t lda = rows->a, ldb = rows->b, ldc = rows->c;                                                   \
        V acc[m][n], av[m];                                                                                            \
        T sums[4];                                                                                                     \
        ptrdiff_t p = 0;                                                                                               \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < n; j++) acc[i][j] = (V){0};                      \
        for (; p + LANES <= depth; p += LANES) {                                                                       \
            UNROLL for (int i = 0; i < m; i++) av[i] = NAME(load)(a + i * lda + p);                                    \
            UNROLL for (int j = 0; j < n; j++) {                                                                       \
                V bv = NAME(load)(b + j * ldb + p);                                                                    \
                IN_REGISTER(bv);                                                                                       \
                UNROLL for (int i = 0; i < m; i++) acc[i][j] += av[i] * bv;                                            \
            }                                                                                                          \
        }                                                                                                              \
        if (p < depth) {                                                                                               \
            UNROLL for (int i = 0; i < m; i++) av[i] = NAME(load_part)(a + i * lda + p, depth - p);                    \
            UNROLL for (int j = 0; j < n; j++) {                                                                       \
                V bv = NAME(load_part)(b + j * ldb + p, depth - p);                                                    \
                UNROLL for (int i = 0; i < m; i++) acc[i][j] += av[i] * bv;                                            \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int j = 0; j < n; j += 4) {                                     \
            NAME(add_lanes)(acc[i][j], acc[i][(j + 1) % n], acc[i][(j + 2) % n], acc[i][(j + 3) % n], sums);           \
            UNROLL for (int k = 0; k < (n < 4 ? n : 4); k++) c[i * ldc + j + k] = bias ? sums[k] + bias[j + k]         \
                                                                                       : sums[k];                      \
        }                                                                                                              \
    }

/* m rows by all n outputs, `at_once` of them in registers. */
#define DOT_ROWS(m, at_once)                                                                                           \
    DOT_TILE(m, at_once)                                                                                               \
    DOT_TILE(m, 1)                                                                                                     \
    static void NAME(dot_rows_##m)(const fc_row_strides *rows, ptrdiff_t depth, const T *a, const T *b, ptrdiff_t n,   \
                                   const T *bias, T *c) {                                                              \
        const fc_row_strides strides = *rows; /* a copy, which no store to c can change */                             \
        ptrdiff_t j = 0;                                                                                               \
        for (; j + at_once <= n; j += at_once)                                                                         \
            NAME(dot_tile_##m##x##at_once)(&strides, depth, a, b + j * strides.b, bias ? bias + j : bias, c + j);      \
        for (; j < n; j++)                                                                                             \
            NAME(dot_tile_##m##x1)(&strides, depth, a, b + j * strides.b, bias ? bias + j : bias, c + j);              \
    }

#undef DOT_TABLE
#undef DOT_MOST
#if VECTOR_REGISTERS >= 32
DOT_ROWS(1, 8) DOT_ROWS(2, 8) DOT_ROWS(3, 8) DOT_ROWS(4, 4)
#define DOT_MOST 4
#define DOT_TABLE {NULL, NAME(dot_rows_1), NAME(dot_rows_2), NAME(dot_rows_3), NAME(dot_rows_4)}
#else
DOT_ROWS(1, 8) DOT_ROWS(2, 4) DOT_ROWS(3, 4)
#define DOT_MOST 3
#define DOT_TABLE {NULL, NAME(dot_rows_1), NAME(dot_rows_2), NAME(dot_rows_3)}
#endif
