/* Max and average pooling: rows of outputs from rows of pixels. Lanes are columns.
 *
 *   band:      across: for each pixel of a padded band: the best (or the sum) of S taps and which tap it was -> row buffers
 *              widen:  for each pixel: the same of this and a later one's -> the same of a window of nearly twice the size
 *              down:   for each output: the best (or the sum) of R row buffers -> y and the index in the plane
 *              Lanes are elements that follow each other in a row: columns, or columns and channels (NHWC).
 *   2 x 2, step 2: straight from two rows of the image, no band, no buffers
 *
 * Sums of up to RUN terms are added as they come, longer ones as reduce.h says.
 *
 * The two passes need S + R comparisons an output, not S * R, and widening makes that log2 S + log2 R: two windows that
 * overlap have the maximum of their union, two that touch its sum. Nothing is ever taken off a sum, so that what is loud, or
 * not finite, stays in the windows that see it. The buffers stay in L1 or L2. A comparison takes a NaN over
 * anything and a later NaN over an earlier one, and of equal values keeps the first: PyTorch's rules.
 */
#undef I
#undef IV
#define I NAME(index)
#define IV NAME(index_vector)
#if BITS == 32
typedef int32_t I;
#else
typedef int64_t I;
#endif
typedef I IV __attribute__((vector_size(VECTOR_BYTES), aligned(BITS / 8), may_alias));

/* Where the new value replaces the best one. */
INLINE M NAME(wins)(V value, V best) { return (value > best) | (value != value); }
INLINE M NAME(select_index)(M m, M a, M b) { return (m & a) | (~m & b); }

/* index[i] = base + k[i] and back, i < n; lanes from n on are 0, and what does not fit into a lane becomes the largest number
 * that does. GCC 12 turns neither loop into masked moves. */
#if MASKED_BYTES == 64 && BITS == 32
INLINE void NAME(store_indices)(int64_t *index, M k, int64_t base, ptrdiff_t n) {
    const __m512i from = _mm512_set1_epi64(base);
    const uint32_t mask = (1u << n) - 1;
    __m256i lo = _mm512_castsi512_si256((__m512i)k), hi = _mm512_extracti64x4_epi64((__m512i)k, 1);
    _mm512_mask_storeu_epi64(index, (__mmask8)mask, _mm512_add_epi64(_mm512_cvtepi32_epi64(lo), from));
    _mm512_mask_storeu_epi64(index + 8, (__mmask8)(mask >> 8), _mm512_add_epi64(_mm512_cvtepi32_epi64(hi), from));
}
INLINE M NAME(load_indices)(const int64_t *index, int64_t base, ptrdiff_t n) {
    const __m512i from = _mm512_set1_epi64(base);
    const uint32_t mask = (1u << n) - 1;
    __m512i lo = _mm512_mask_loadu_epi64(from, (__mmask8)mask, index);
    __m512i hi = _mm512_mask_loadu_epi64(from, (__mmask8)(mask >> 8), index + 8);
    return (M)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtsepi64_epi32(_mm512_sub_epi64(lo, from))),
                                 _mm512_cvtsepi64_epi32(_mm512_sub_epi64(hi, from)), 1);
}
#else
INLINE void NAME(store_indices)(int64_t *index, M k, int64_t base, ptrdiff_t n) {
    I lane[LANES];
    __builtin_memcpy(lane, &k, sizeof k);
    if (n == LANES) {
        UNROLL for (int i = 0; i < LANES; i++) index[i] = base + lane[i];
    } else
        for (ptrdiff_t i = 0; i < n; i++) index[i] = base + lane[i];
}
INLINE M NAME(load_indices)(const int64_t *index, int64_t base, ptrdiff_t n) {
    I lane[LANES] = {0};
    const I most = (I)(((uint64_t)1 << (BITS - 1)) - 1);
    for (ptrdiff_t i = 0; i < n; i++) {
        int64_t from_base = index[i] - base;
        lane[i] = from_base == (I)from_base ? (I)from_base : most;
    }
    M k;
    __builtin_memcpy(&k, lane, sizeof k);
    return k;
}
#endif

/* n outputs of y in vectors, the last one overlapping the one before where n >= LANES; `part` lanes of it count. */
#define FOR_OUTPUTS(...)                                                                                               \
    for (ptrdiff_t done = 0; done < n; done += LANES) {                                                                \
        const ptrdiff_t j = done + LANES <= n || n < LANES ? done : n - LANES, part = n < LANES ? n : LANES;           \
        __VA_ARGS__                                                                                                    \
    }
INLINE void NAME(store_outputs)(T *y, V v, ptrdiff_t part) {
    if (part == LANES)
        NAME(store)(y, v);
    else
        NAME(store_part)(y, v, part);
}

INLINE void NAME(max_across_taps)(const T *x, const ptrdiff_t *taps, int n_taps, I step, T *best, I *tap, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        V m = NAME(load)(x + taps[0] + j);
        M k = {0};
        for (int s = 1; s < n_taps; s++) {
            V v = NAME(load)(x + taps[s] + j);
            M win = NAME(wins)(v, m);
            m = NAME(select)(win, v, m);
            if (tap) k = NAME(select_index)(win, (M){0} + s * step, k);
        }
        NAME(store)(best + j, m);
        if (tap) *(IV *)(tap + j) = k;
    }
}

#define FOR_TAPS(f, n_taps)                                                                                            \
    if (n_taps == 3) {                                                                                                 \
        f(3);                                                                                                          \
    } else if (n_taps == 2) {                                                                                          \
        f(2);                                                                                                          \
    } else                                                                                                             \
        f(n_taps);

static void NAME(max_across)(const T *x, const ptrdiff_t *taps, int n_taps, I step, T *best, I *tap, ptrdiff_t n) {
#define WITH_TAPS(count) NAME(max_across_taps)(x, taps, count, step, best, tap, n)
#define WITHOUT_TAPS(count) NAME(max_across_taps)(x, taps, count, step, best, NULL, n)
    if (tap) {
        FOR_TAPS(WITH_TAPS, n_taps)
    } else {
        FOR_TAPS(WITHOUT_TAPS, n_taps)
    }
#undef WITH_TAPS
#undef WITHOUT_TAPS
}

/* In place: what is read at j + shift is written later. */
static void NAME(max_widen)(T *best, I *tap, ptrdiff_t shift, I step, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        V m = NAME(load)(best + j), v = NAME(load)(best + j + shift);
        M win = NAME(wins)(v, m);
        if (tap) {
            M later = *(const IV *)(tap + j + shift) + step;
            *(IV *)(tap + j) = NAME(select_index)(win, later, *(const IV *)(tap + j));
        }
        NAME(store)(best + j, NAME(select)(win, v, m));
    }
}

INLINE void NAME(max_down_taps)(const fc_down *down, int n_rows, const T *best, const I *tap, T *y, int64_t *index,
                                int64_t base, ptrdiff_t n) {
    const ptrdiff_t *const rows = down->rows, *const positions = down->positions;
    const I *const columns = down->columns;
    FOR_OUTPUTS(V m = NAME(load)(best + rows[0] + j); M k = {0}; if (index) k = *(const IV *)(tap + rows[0] + j);
                for (int r = 1; r < n_rows; r++) {
                    V v = NAME(load)(best + rows[r] + j);
                    M win = NAME(wins)(v, m);
                    m = NAME(select)(win, v, m);
                    if (index) k = NAME(select_index)(win, *(const IV *)(tap + rows[r] + j) + (I)positions[r], k);
                } NAME(store_outputs)(y + j, m, part);
                if (index) NAME(store_indices)(index + j, k + *(const IV *)(columns + j), base, part);)
}

static void NAME(max_down)(const fc_down *down, const T *best, const I *tap, T *y, int64_t *index, int64_t base,
                           ptrdiff_t n) {
#define WITH_INDICES(count) NAME(max_down_taps)(down, count, best, tap, y, index, base, n)
#define WITHOUT_INDICES(count) NAME(max_down_taps)(down, count, best, tap, y, NULL, base, n)
    if (index) {
        FOR_TAPS(WITH_INDICES, down->n_rows)
    } else {
        FOR_TAPS(WITHOUT_INDICES, down->n_rows)
    }
#undef WITH_INDICES
#undef WITHOUT_INDICES
}
#undef FOR_TAPS

static void NAME(sum_across)(const T *x, const ptrdiff_t *taps, int n_taps, T *sum, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        if (n_taps > RUN) {
            TOTAL total = {{0}, {0}, {0}, 0};
            for (int t = 0; t < n_taps; t++) NAME(add_term)(&total, NAME(load)(x + taps[t] + j));
            NAME(store)(sum + j, NAME(sum_of)(total));
            continue;
        }
        V s = NAME(load)(x + taps[0] + j);
        for (int t = 1; t < n_taps; t++) s += NAME(load)(x + taps[t] + j);
        NAME(store)(sum + j, s);
    }
}

static void NAME(sum_widen)(const T *sum, const T *last, ptrdiff_t shift, T *wider, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        V s = NAME(load)(sum + j) + NAME(load)(sum + j + shift);
        if (last) s += NAME(load)(last + j + 2 * shift);
        NAME(store)(wider + j, s);
    }
}

static void NAME(mean_down)(const T *sum, const ptrdiff_t *rows, int n_rows, T row_count, const T *column_counts, T *y,
                            ptrdiff_t n) {
    FOR_OUTPUTS(
        V s = {0}; if (n_rows <= RUN) {
            for (int r = 0; r < n_rows; r++) s += NAME(load)(sum + rows[r] + j);
        } else {
            TOTAL total = {{0}, {0}, {0}, 0};
            for (int r = 0; r < n_rows; r++) NAME(add_term)(&total, NAME(load)(sum + rows[r] + j));
            s = NAME(sum_of)(total);
        } if (column_counts) s /= row_count * NAME(load)(column_counts + j);
        NAME(store_outputs)(y + j, s, part);)
}

/* The next rows of the image: two rows read in step defeat the hardware's prefetcher (2 x 2 maxima of a 51 MB image: 5.2 ms
 * without, 2.5 with). */
INLINE void NAME(prefetch_rows)(const T *x, ptrdiff_t row) {
    enum { ROWS = 8 };
    const uintptr_t at = (uintptr_t)x, ahead = ROWS * row * sizeof(T);
    UNROLL for (int line = 0; line < 2 * LANES * (int)sizeof(T); line += 64) {
        __builtin_prefetch((const void *)(at + ahead + line));
        __builtin_prefetch((const void *)(at + ahead + row * sizeof(T) + line));
    }
}

/* 2 part elements from x, as the even and the odd ones. */
INLINE void NAME(load_pairs)(const T *x, ptrdiff_t part, V *even, V *odd) {
    V lo, hi = {0};
    if (part == LANES) {
        lo = NAME(load)(x), hi = NAME(load)(x + LANES);
    } else if (2 * part > LANES) {
        lo = NAME(load)(x), hi = NAME(load_part)(x + LANES, 2 * part - LANES);
    } else
        lo = NAME(load_part)(x, 2 * part);
    *even = SHUFFLE(M, lo, hi, EVEN_LANES);
    *odd = SHUFFLE(M, lo, hi, ODD_LANES);
}

INLINE void NAME(store_pairs)(T *x, ptrdiff_t part, V even, V odd) {
    V lo = SHUFFLE(M, even, odd, INTERLEAVED_LO), hi = SHUFFLE(M, even, odd, INTERLEAVED_HI);
    if (part == LANES) {
        NAME(store)(x, lo), NAME(store)(x + LANES, hi);
    } else if (2 * part > LANES) {
        NAME(store)(x, lo), NAME(store_part)(x + LANES, hi, 2 * part - LANES);
    } else
        NAME(store_part)(x, lo, 2 * part);
}

static void NAME(max_2x2)(const T *x, ptrdiff_t row, I width, T *y, int64_t *index, int64_t base, ptrdiff_t n) {
    M lane = (M){LANE_NUMBERS} * 2;
    FOR_OUTPUTS(
        V even, odd, even_below, odd_below; NAME(prefetch_rows)(x + 2 * j, row);
        NAME(load_pairs)(x + 2 * j, part, &even, &odd);
        NAME(load_pairs)(x + row + 2 * j, part, &even_below, &odd_below);
        M right = NAME(wins)(odd, even), right_below = NAME(wins)(odd_below, even_below);
        V m = NAME(select)(right, odd, even), m_below = NAME(select)(right_below, odd_below, even_below);
        M below = NAME(wins)(m_below, m); NAME(store_outputs)(y + j, NAME(select)(below, m_below, m), part);
        if (index) {
            M k = NAME(select_index)(below, width - right_below, -right);
            NAME(store_indices)(index + j, lane + k, base + 2 * j, part);
        })
}

static void NAME(mean_2x2)(const T *x, ptrdiff_t row, T *y, ptrdiff_t n) {
    FOR_OUTPUTS(V even, odd, even_below, odd_below; NAME(prefetch_rows)(x + 2 * j, row);
                NAME(load_pairs)(x + 2 * j, part, &even, &odd);
                NAME(load_pairs)(x + row + 2 * j, part, &even_below, &odd_below);
                NAME(store_outputs)(y + j, ((even + odd) + (even_below + odd_below)) * (T)0.25, part);)
}

static int NAME(max_2x2_backward)(const T *grad, const int64_t *index, int64_t base, I width, T *grad_x, ptrdiff_t row,
                                  ptrdiff_t n) {
    M lane = (M){LANE_NUMBERS} * 2, lost = {0};
    FOR_OUTPUTS(V g = part == LANES ? NAME(load)(grad + j) : NAME(load_part)(grad + j, part);
                M k = NAME(load_indices)(index + j, base + 2 * j, part) - (lane & (lane < 2 * (I)part));
                M here = k == 0, right = k == 1, below = k == width, across = k == width + 1;
                lost |= ~(here | right | below | across);
                NAME(store_pairs)(grad_x + 2 * j, part, (V)((M)g & here), (V)((M)g & right));
                NAME(store_pairs)(grad_x + row + 2 * j, part, (V)((M)g & below), (V)((M)g & across));)
    I any = 0;
    UNROLL for (int i = 0; i < LANES; i++) any |= lost[i];
    return !any;
}

static void NAME(mean_2x2_backward)(const T *grad, T *grad_x, ptrdiff_t row, ptrdiff_t n) {
    FOR_OUTPUTS(V g = (part == LANES ? NAME(load)(grad + j) : NAME(load_part)(grad + j, part)) * (T)0.25;
                NAME(store_pairs)(grad_x + 2 * j, part, g, g); NAME(store_pairs)(grad_x + row + 2 * j, part, g, g);)
}

static void NAME(spread_row)(const T *grad, ptrdiff_t step, T row_count, const T *column_counts, T *dst,
                             ptrdiff_t stride, ptrdiff_t n) {
    ptrdiff_t j = 0;
    if (step == 1 && stride == 1)
        for (; j < n; j += LANES) {
            const ptrdiff_t part = n - j < LANES ? n - j : LANES;
            V g = part == LANES ? NAME(load)(grad + j) : NAME(load_part)(grad + j, part);
            V count = part == LANES ? NAME(load)(column_counts + j) : NAME(load_part)(column_counts + j, part);
            NAME(store_outputs)(dst + j, g / (row_count * count), part);
        }
    for (; j < n; j++) dst[j * stride] = grad[j * step] / (row_count * column_counts[j]);
}
#undef FOR_OUTPUTS
