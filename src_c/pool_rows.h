/* Maxima of windows along one row, without their places, or sums: straight from the row, no band and no buffer in L1.
 *
 *   windows side by side:  for vector of outputs: 2, 4 or 8 vectors of x, in pairs of neighbours, until one is left
 *   step 1, 2:             for vector of outputs: best of the taps of one vector, or of two, of which every second lane counts
 *   step 3, 4:             so many vectors, of which every third or fourth lane counts
 *   other steps:           for output: best of its taps
 *
 * A comparison that lets no NaN through would take twice the instructions. So all that is read is added up beside: where that sum
 * is NaN, which happens by infinities too, a chunk of maxima is computed again, with care.
 */

enum { NAME(CHUNK_OF_ROW) = 32 * LANES };

/* Lanes 0, 2, ... of a vector, then lanes 1, 3, ... of one that begins LANES - 1 elements later. */
#undef EVERY_SECOND
#if LANES == 2
#define EVERY_SECOND 0, 3
#elif LANES == 4
#define EVERY_SECOND 0, 2, 5, 7
#elif LANES == 8
#define EVERY_SECOND 0, 2, 4, 6, 9, 11, 13, 15
#elif LANES == 16
#define EVERY_SECOND 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31
#endif

/* The larger of two, or their sum where `seen`, which is a constant then, is NULL. */
INLINE V NAME(both)(V a, V b, const V *seen) {
    if (seen) return NAME(larger)(a, b);
    return a + b;
}

INLINE V NAME(taps_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, V *seen) {
    V m = NAME(load)(x);
    if (seen) *seen += m;
    for (ptrdiff_t t = 1; t < taps; t++) {
        const V v = NAME(load)(x + t * dilation);
        if (seen) *seen += v;
        m = NAME(both)(v, m, seen);
    }
    return m;
}

/* Of each two neighbours. */
INLINE V NAME(neighbours)(V a, V b, const V *seen) {
    return NAME(both)(SHUFFLE(M, a, b, ODD_LANES), SHUFFLE(M, a, b, EVEN_LANES), seen);
}

/* LANES outputs; side: windows lie side by side. Stride, side and often taps are constants here. */
INLINE V NAME(windows_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, const int stride, const int side,
                              V *seen) {
    if (side) {
        V v[8];
        UNROLL for (int i = 0; i < stride; i++) {
            v[i] = NAME(load)(x + i * LANES);
            if (seen) *seen += v[i];
        }
        UNROLL for (int count = stride / 2; count; count /= 2) UNROLL for (int i = 0; i < count; i++)
            v[i] = NAME(neighbours)(v[2 * i], v[2 * i + 1], seen);
        return v[0];
    }
    if (stride == 1) return NAME(taps_of_row)(x, taps, dilation, seen);
    if (stride == 2) {
        const V lo = NAME(taps_of_row)(x, taps, dilation, seen),
                hi = NAME(taps_of_row)(x + LANES - 1, taps, dilation, seen);
        return SHUFFLE(M, lo, hi, EVERY_SECOND);
    }
    T best[4 * LANES];
    UNROLL for (int i = 0; i < stride; i++) {
        /* the last element that counts is the last one read */
        const int last = (stride - 1) * (LANES - 1), at = i * LANES < last ? i * LANES : last;
        NAME(store)(best + at, NAME(taps_of_row)(x + at, taps, dilation, seen));
    }
    V m;
    UNROLL for (int i = 0; i < LANES; i++) m[i] = best[i * stride];
    return m;
}

/* One output. */
INLINE T NAME(window_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, T *seen) {
    T m = x[0], sum = m;
    for (ptrdiff_t t = 1; t < taps; t++) {
        const T v = x[t * dilation];
        sum += v;
        m = v > m ? v : m;
    }
    if (!seen) return sum;
    *seen += sum;
    return m;
}
INLINE T NAME(max_of_window)(const T *x, ptrdiff_t taps, ptrdiff_t dilation) {
    T m = x[0];
    for (ptrdiff_t t = 1; t < taps; t++) {
        const T v = x[t * dilation];
        m = v > m || v != v ? v : m;
    }
    return m;
}

/* n outputs; a NaN may be missing among maxima, but not in the sum of all that is read, which is added to `seen`. */
INLINE void NAME(row_of_windows)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t n,
                                 V *seen) {
    const int side = taps == stride && dilation == 1 && (stride == 2 || stride == 4 || stride == 8);
    if (n < LANES || (stride > 4 && !side)) {
        T sum = 0;
        for (ptrdiff_t j = 0; j < n; j++)
            y[j] = NAME(window_of_row)(x + j * stride, taps, dilation, seen ? &sum : NULL);
        if (seen) *seen += sum;
        return;
    }
#define OUTPUTS(taps, stride, side)                                                                                    \
    for (ptrdiff_t j = 0; j < n; j += LANES) {                                                                         \
        const ptrdiff_t at = j + LANES <= n ? j : n - LANES;                                                           \
        NAME(store)(y + at, NAME(windows_of_row)(x + at * (stride), taps, dilation, stride, side, seen));              \
    }
#define WITH_TAPS(stride)                                                                                              \
    if (taps == 3) {                                                                                                   \
        OUTPUTS(3, stride, 0)                                                                                          \
    } else                                                                                                             \
        OUTPUTS(taps, stride, 0)
    if (side && stride == 2) {
        OUTPUTS(2, 2, 1)
    } else if (side && stride == 4) {
        OUTPUTS(4, 4, 1)
    } else if (side) {
        OUTPUTS(8, 8, 1)
    } else if (stride == 1) {
        WITH_TAPS(1)
    } else if (stride == 2) {
        WITH_TAPS(2)
    } else if (stride == 3) {
        WITH_TAPS(3)
    } else
        WITH_TAPS(4)
#undef WITH_TAPS
#undef OUTPUTS
}

static void NAME(max_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t n) {
    for (ptrdiff_t first = 0; first < n; first += NAME(CHUNK_OF_ROW)) {
        const ptrdiff_t count = n - first < NAME(CHUNK_OF_ROW) ? n - first : NAME(CHUNK_OF_ROW);
        V seen = {0};
        NAME(row_of_windows)(x + first * stride, taps, dilation, stride, y + first, count, &seen);
        if (NAME(any_lane)(seen != seen))
            for (ptrdiff_t j = first; j < first + count; j++)
                y[j] = NAME(max_of_window)(x + j * stride, taps, dilation);
    }
}

static void NAME(sum_of_row)(const T *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t n) {
    NAME(row_of_windows)(x, taps, dilation, stride, y, n, NULL);
}
