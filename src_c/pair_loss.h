/* Losses of pairs of numbers, what a model gives and what it should, and their gradients: one pass over contiguous arrays. Each loss
 * is a function of the two in registers; sums are those of reduce.h, the lanes added up in double.
 *
 * FC_LOGISTIC is the cross-entropy of sigmoid(x) and a target t from 0 to 1: (1 - t) ln(1 + e^x) + t ln(1 + e^-x), without
 * leaving the logarithms, so that neither a large |x| overflows nor a small loss loses digits.
 */

/* How each pair counts at i, of n, by an array that may be missing. */
INLINE V NAME(counts)(const void *array, ptrdiff_t i, ptrdiff_t n) {
    const T *weights = array;
    return weights == NULL  ? NAME(broadcast)(1)
           : i + LANES <= n ? NAME(load)(weights + i)
                            : NAME(load_part)(weights + i, n - i);
}

/* a b, where 0 times infinity is 0. */
INLINE V NAME(times_unless_zero)(V a, V b) { return (V)((M)(a * b) & ~((a == 0) & (b == (T)__builtin_inf()))); }

INLINE V NAME(vector_squared)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how, (void)weight, (void)positive;
    return (x - t) * (x - t);
}
INLINE V NAME(vector_squared_backward)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how, (void)weight, (void)positive;
    return 2 * (x - t);
}

INLINE V NAME(vector_absolute)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how, (void)weight, (void)positive;
    return NAME(absolute)(x - t);
}
/* The sign of d; NaN stays. */
INLINE V NAME(sign)(V d) {
    const M sign_bit = (M)NAME(broadcast)(-(T)0);
    V one = (V)(((M)d & sign_bit) | (M)NAME(broadcast)(1));
    return NAME(select)((d > 0) | (d < 0), one, d);
}
INLINE V NAME(vector_absolute_backward)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how, (void)weight, (void)positive;
    return NAME(sign)(x - t);
}

INLINE V NAME(vector_huber)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)weight, (void)positive;
    const T delta = how->delta, scale = how->scale, slope = how->slope;
    V a = NAME(absolute)(x - t);
    return NAME(select)(a < delta, (a * (T)0.5) * (a * scale), (a - (T)(0.5 * how->delta)) * slope);
}
INLINE V NAME(vector_huber_backward)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)weight, (void)positive;
    const T delta = how->delta, scale = how->scale, slope = how->slope;
    V d = x - t;
    return NAME(select)(NAME(absolute)(d) < delta, d * scale, NAME(sign)(d) * slope);
}

INLINE V NAME(vector_logistic)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how;
    V l = NAME(log1p)(NAME(exp_below_one)(-NAME(absolute)(x)));
    V against = NAME(larger)((V){0}, x) + l, for_it = NAME(larger)((V){0}, -x) + l;
    return weight * (NAME(times_unless_zero)(1 - t, against) + NAME(times_unless_zero)(positive * t, for_it));
}
INLINE V NAME(vector_logistic_backward)(const fc_pair_loss *how, V x, V t, V weight, V positive) {
    (void)how;
    V e = NAME(exp_below_one)(-NAME(absolute)(x)), s = NAME(reciprocal)(1 + e), other = e * s;
    M below = x < 0;
    return weight * ((1 - t) * NAME(select)(below, other, s) - positive * t * NAME(select)(below, s, other));
}

#define PAIR_LOSS(name, weighted)                                                                                      \
    static double NAME(name##_loss)(const fc_pair_loss *how, const T *x, const T *target, T *y, ptrdiff_t n) {         \
        const fc_pair_loss options = *how;                                                                             \
        const void *weight = weighted ? options.weight : NULL, *positive = weighted ? options.pos_weight : NULL;       \
        TOTAL totals[2] = {{{0}, {0}, {0}, 0}, {{0}, {0}, {0}, 0}};                                                    \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + 2 * LANES <= n; i += 2 * LANES) UNROLL for (int j = 0; j < 2; j++) {                                \
                const ptrdiff_t at = i + j * LANES;                                                                    \
                V loss = NAME(vector_##name)(&options, NAME(load)(x + at), NAME(load)(target + at),                    \
                                             NAME(counts)(weight, at, n), NAME(counts)(positive, at, n));              \
                NAME(add_term)(&totals[j], loss);                                                                      \
                if (y) NAME(store)(y + at, loss);                                                                      \
            }                                                                                                          \
        for (; i < n; i += LANES) {                                                                                    \
            const int left = n - i < LANES ? (int)(n - i) : LANES;                                                     \
            V loss = NAME(vector_##name)(&options, NAME(load_row)(x, i, n), NAME(load_row)(target, i, n),              \
                                         NAME(counts)(weight, i, n), NAME(counts)(positive, i, n));                    \
            NAME(add_term)(&totals[0], (V)((M)loss & NAME(lanes_between)(0, left)));                                   \
            if (y) NAME(store_row)(y, i, n, loss);                                                                     \
        }                                                                                                              \
        const V lanes = NAME(sum_of)(totals[0]), more = NAME(sum_of)(totals[1]);                                       \
        double sum = 0;                                                                                                \
        for (int l = 0; l < LANES; l++) sum += (double)lanes[l] + more[l];                                             \
        return sum;                                                                                                    \
    }                                                                                                                  \
    static void NAME(name##_loss_backward)(const fc_pair_loss *how, const T *x, const T *target, const T *grad,        \
                                           T *grad_x, ptrdiff_t n) {                                                   \
        const fc_pair_loss options = *how;                                                                             \
        const void *weight = weighted ? options.weight : NULL, *positive = weighted ? options.pos_weight : NULL;       \
        const V share = NAME(broadcast)(options.share);                                                                \
        for (ptrdiff_t i = 0; i < n; i += LANES) {                                                                     \
            V d = NAME(vector_##name##_backward)(&options, NAME(load_row)(x, i, n), NAME(load_row)(target, i, n),      \
                                                 NAME(counts)(weight, i, n), NAME(counts)(positive, i, n));            \
            NAME(store_row)(grad_x, i, n, d * (grad ? NAME(load_row)(grad, i, n) : share));                            \
        }                                                                                                              \
    }
PAIR_LOSS(squared, 0)
PAIR_LOSS(absolute, 0)
PAIR_LOSS(huber, 0)
PAIR_LOSS(logistic, 1)
#undef PAIR_LOSS
