/* Softmax and log-softmax, forward and backward, over the first axis of a block of columns or over one contiguous row.
 *
 *   row:      for the row in vectors: maximum; sum of e^(x - maximum); result. Lanes are classes, added up at the end.
 *   columns:  for LANES columns: the same three passes down the rows. Lanes are columns, nothing is added across them.
 *
 * Sums are those of reduce.h, however long the axis is. Of a row four vectors go on at a time, each with a sum of its own.
 * The maximum is subtracted first, so nothing overflows (Goodfellow, Bengio, Courville, "Deep learning", 2016, 4.1).
 * Softmax keeps e^x in its result until the sum is known; log-softmax and the loss need it for the sum alone.
 */
#ifndef LOG_CONSTANTS
#define LOG_CONSTANTS
static const struct {
    float ln2_hi, ln2_lo, root_half, series[5];
} log_f32 = {0.693359375f, -2.12194440e-4f, 0.707106781f, {2.f / 11, 2.f / 9, 2.f / 7, 2.f / 5, 2.f / 3}};
static const struct {
    double ln2_hi, ln2_lo, root_half, series[10];
} log_f64 = {0.693145751953125,
             1.42860682030941723212e-6,
             0.70710678118654752,
             {2. / 21, 2. / 19, 2. / 17, 2. / 15, 2. / 13, 2. / 11, 2. / 9, 2. / 7, 2. / 5, 2. / 3}};
#endif

/* ln x for finite x >= 1 (a sum of exponentials, one of them 1); NaN stays. x = 2^e m with m in [sqrt 1/2, sqrt 2), and
 * ln m = 2 artanh s, s = (m - 1) / (m + 1), by its series. */
INLINE V NAME(vector_log)(V x) {
#if BITS == 32
    enum { MANTISSA = 23, BIAS = 127 };
#else
    enum { MANTISSA = 52, BIAS = 1023 };
#endif
    const M one = (M)NAME(broadcast)(1);
    V m = (V)(((M)x & ((((M){0} + 1) << MANTISSA) - 1)) | one);
    /* The exponent's bits as the last bits of 2^MANTISSA, minus 2^MANTISSA: a whole number without a conversion. */
    const T whole = (T)((int64_t)1 << MANTISSA);
    V e = (V)(((M)x >> MANTISSA) | (M)NAME(broadcast)(whole)) - (whole + BIAS);
    M high = m > 2 * NAME(log).root_half;
    m = NAME(select)(high, m * (T)0.5, m);
    e = e + (V)(high & one);
    V s = (m - 1) / (m + 1), square = s * s, p = NAME(broadcast)(NAME(log).series[0]);
    UNROLL for (unsigned i = 1; i < sizeof NAME(log).series / sizeof(T); i++) p = p * square + NAME(log).series[i];
    V y = e * NAME(log).ln2_lo + s * square * p;
    return NAME(select)(x == x, (y + 2 * s) + e * NAME(log).ln2_hi, x);
}

/* The sum of the lanes, and their maximum, in each lane. */
INLINE V NAME(lane_sum)(V v) {
    UNROLL for (int width = 1; width < LANES; width *= 2) v = NAME(pairs)(v, v);
    return v;
}
INLINE V NAME(lane_maximum)(V v) {
    UNROLL for (int width = 1; width < LANES; width *= 2)
        v = NAME(larger)(SHUFFLE(M, v, v, EVEN_LANES), SHUFFLE(M, v, v, ODD_LANES));
    return v;
}

/* For each vector of a row, the last one padded: the statements on `v`, the one at i, and on what is number j of four. */
#define FOR_ROW(v, source, other, ...)                                                                                 \
    {                                                                                                                  \
        ptrdiff_t at = 0;                                                                                              \
        for (; at + 4 * LANES <= n; at += 4 * LANES) UNROLL for (int j = 0; j < 4; j++) {                              \
                const ptrdiff_t i = at + j * LANES;                                                                    \
                V v = NAME(load)(source + i);                                                                          \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
        for (; at < n; at += LANES) {                                                                                  \
            enum { j = 0 };                                                                                            \
            const ptrdiff_t i = at;                                                                                    \
            V v = i + LANES <= n ? NAME(load)(source + i)                                                              \
                                 : NAME(load_lanes)(source + i, 0, (int)(n - i), NAME(broadcast)(other));              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
INLINE V NAME(load_row)(const T *y, ptrdiff_t i, ptrdiff_t n) {
    return i + LANES <= n ? NAME(load)(y + i) : NAME(load_part)(y + i, n - i);
}
INLINE void NAME(store_row)(T *y, ptrdiff_t i, ptrdiff_t n, V v) {
    if (i + LANES <= n)
        NAME(store)(y + i, v);
    else
        NAME(store_part)(y + i, v, n - i);
}

INLINE V NAME(sum_of_four)(const TOTAL *sums) {
    return NAME(lane_sum)((NAME(sum_of)(sums[0]) + NAME(sum_of)(sums[1])) +
                          (NAME(sum_of)(sums[2]) + NAME(sum_of)(sums[3])));
}

/* The sum over a row of e^(x - *top), *top being its maximum, which go to y where that is not NULL. */
INLINE V NAME(exps_of_row)(const T *x, T *y, ptrdiff_t n, V *top) {
    const T lowest = -__builtin_inf();
    const V least = NAME(broadcast)(lowest);
    V most[4] = {least, least, least, least};
    TOTAL sums[4] = {{{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}};
    FOR_ROW(v, x, lowest, most[j] = NAME(larger)(v, most[j]);)
    const V highest = NAME(lane_maximum)(NAME(larger)(NAME(larger)(most[0], most[1]), NAME(larger)(most[2], most[3])));
    FOR_ROW(v, x, lowest, V e = NAME(exp_below_one)(v - highest); if (y) NAME(store_row)(y, i, n, e);
            NAME(add_term)(&sums[j], e);)
    *top = highest;
    return NAME(sum_of_four)(sums);
}

static void NAME(softmax_row)(const T *x, T *y, ptrdiff_t n, int logarithm) {
    V top;
    if (logarithm) {
        V shift = NAME(vector_log)(NAME(exps_of_row)(x, NULL, n, &top));
        FOR_ROW(v, x, 0, NAME(store_row)(y, i, n, (v - top) - shift);)
    } else {
        V scale = 1 / NAME(exps_of_row)(x, y, n, &top);
        FOR_ROW(e, y, 0, NAME(store_row)(y, i, n, e * scale);)
    }
}

static T NAME(log_sum_exp)(const T *x, ptrdiff_t n, T *top) {
    V highest, shift = NAME(vector_log)(NAME(exps_of_row)(x, NULL, n, &highest));
    *top = highest[0];
    return shift[0];
}

static void NAME(softmax_less)(const T *x, T *y, ptrdiff_t n, T weight, T share) {
    V top, scale = NAME(broadcast)(weight) / NAME(exps_of_row)(x, y, n, &top), less = NAME(broadcast)(weight * share);
    FOR_ROW(e, y, 0, NAME(store_row)(y, i, n, e * scale - less);)
}

static void NAME(softmax_row_backward)(const T *grad, const T *y, T *grad_x, ptrdiff_t n, int logarithm) {
    TOTAL sums[4] = {{{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}};
    if (logarithm) {
        FOR_ROW(g, grad, 0, NAME(add_term)(&sums[j], g);)
        V total = NAME(sum_of_four)(sums);
        FOR_ROW(g, grad, 0, NAME(store_row)(grad_x, i, n, g - NAME(vector_exp)(NAME(load_row)(y, i, n)) * total);)
    } else {
        FOR_ROW(g, grad, 0, NAME(add_term)(&sums[j], g * NAME(load_row)(y, i, n));)
        V total = NAME(sum_of_four)(sums);
        FOR_ROW(g, grad, 0, NAME(store_row)(grad_x, i, n, (g - total) * NAME(load_row)(y, i, n));)
    }
}
#undef FOR_ROW

/* Columns i to i + LANES of rows that are `step` apart; the last block of columns is padded with zeros. */
#define FOR_ROWS(...)                                                                                                  \
    for (ptrdiff_t r = 0; r < n; r++) {                                                                                \
        ptrdiff_t at = r * step + i;                                                                                   \
        __VA_ARGS__                                                                                                    \
    }
#define COLUMN(source) (i + LANES <= columns ? NAME(load)(source + at) : NAME(load_part)(source + at, columns - i))

static void NAME(softmax_columns)(const T *x, T *y, ptrdiff_t n, ptrdiff_t step, ptrdiff_t columns, int logarithm) {
    for (ptrdiff_t i = 0; i < columns; i += LANES) {
        V most = NAME(broadcast)(-__builtin_inf());
        TOTAL sum = {{0}, {0}, {0}, 0};
        FOR_ROWS(most = NAME(larger)(COLUMN(x), most);)
        if (logarithm) {
            FOR_ROWS(NAME(add_term)(&sum, NAME(exp_below_one)(COLUMN(x) - most));)
            V shift = NAME(vector_log)(NAME(sum_of)(sum));
            FOR_ROWS(NAME(store_row)(y + r * step, i, columns, (COLUMN(x) - most) - shift);)
        } else {
            FOR_ROWS(V e = NAME(exp_below_one)(COLUMN(x) - most); NAME(store_row)(y + r * step, i, columns, e);
                     NAME(add_term)(&sum, e);)
            V scale = 1 / NAME(sum_of)(sum);
            FOR_ROWS(NAME(store_row)(y + r * step, i, columns, COLUMN(y) * scale);)
        }
    }
}

static void NAME(log_sum_exp_columns)(const T *x, ptrdiff_t n, ptrdiff_t step, ptrdiff_t columns, T *top, T *shift) {
    for (ptrdiff_t i = 0; i < columns; i += LANES) {
        V most = NAME(broadcast)(-__builtin_inf());
        TOTAL sum = {{0}, {0}, {0}, 0};
        FOR_ROWS(most = NAME(larger)(COLUMN(x), most);)
        FOR_ROWS(NAME(add_term)(&sum, NAME(exp_below_one)(COLUMN(x) - most));)
        NAME(store_row)(top, i, columns, most);
        NAME(store_row)(shift, i, columns, NAME(vector_log)(NAME(sum_of)(sum)));
    }
}

static void NAME(softmax_columns_backward)(const T *grad, const T *y, T *grad_x, ptrdiff_t n, ptrdiff_t step,
                                           ptrdiff_t columns, int logarithm) {
    for (ptrdiff_t i = 0; i < columns; i += LANES) {
        TOTAL sum = {{0}, {0}, {0}, 0};
        if (logarithm) {
            FOR_ROWS(NAME(add_term)(&sum, COLUMN(grad));)
            V total = NAME(sum_of)(sum);
            FOR_ROWS(
                NAME(store_row)(grad_x + r * step, i, columns, COLUMN(grad) - NAME(vector_exp)(COLUMN(y)) * total);)
        } else {
            FOR_ROWS(NAME(add_term)(&sum, COLUMN(grad) * COLUMN(y));)
            V total = NAME(sum_of)(sum);
            FOR_ROWS(NAME(store_row)(grad_x + r * step, i, columns, (COLUMN(grad) - total) * COLUMN(y));)
        }
    }
}
#undef FOR_ROWS
#undef COLUMN
