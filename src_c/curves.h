/* Activations that stand by themselves, forward and backward: one pass over contiguous arrays, as in elementwise.h, of whose
 * exponentials they are made. All gradients take x.
 *
 *   for i < n in vectors: everything in registers, branch-free; the last part of a vector goes through a padded copy.
 *
 * Nothing overflows: only e^-|v| is computed. Where the function itself is tiny, the exponent is known to more digits than a
 * number holds, and the power of two is multiplied last, so that small results lose none. Measured in both precisions, in units
 * in the last place: ELU 2, GELU 5.6, SiLU 3.1, softplus 3.5, each down to the smallest numbers.
 *
 * GELU is x Phi(x), and Phi(-a) = e^(-a^2/2) g(a). g(a) (a + pole) is taken for a polynomial of t = scale a / (a + pole) - 1, which
 * goes from -1 to 1 while a goes from 0 to far, by its values at Chebyshev's points (after M. Shepherd and J. Laframboise,
 * "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", 1981). Beyond far nothing is left of x Phi(x).
 */
#ifndef CURVE_CONSTANTS
#define CURVE_CONSTANTS
static const struct {
    float far, pole, scale, tail[10];
} normal_f32 = {15.4f,
                5.0f,
                2.64935065f,
                {3.179216443e-5f, -0.0001960665762f, -2.41236423e-5f, 0.004407708654f, -0.02514648761f, 0.08760623411f,
                 -0.2251204091f, 0.4540070186f, -0.7366066259f, 0.9673092342f}};
static const struct {
    double far, pole, scale, tail[23];
} normal_f64 = {38.9,
                4.5,
                2.23136246786632375,
                {4.28914985384372934e-11,  -1.94073072090933344e-10,  -7.49439974364404752e-10, 1.89897790613018243e-9,
                 7.71130743748800802e-9,   -9.56604010856498544e-9,   -6.48472534809353741e-8,  3.01420517628307106e-8,
                 5.2018333390159563e-7,    -5.74640358164259157e-8,   -4.37373682594734792e-6,  1.05795416954892632e-6,
                 0.0000399441357309859785, -0.0000431288295002520881, -0.000361333946377073031, 0.00116053119256264035,
                 0.00138973215962954358,   -0.0208530264890880997,    0.0836123672250111228,    -0.218230691448472141,
                 0.42801068575626524,      -0.664635277703530566,     0.834711945558748556}};
/* 2 sqrt(2 / pi) and 0.044715 times that, as sums; of the latter the first has half of the digits. */
static const struct {
    float linear_hi, linear_lo, cubic_hi, cubic_lo, far;
} gate_f32 = {1.595769167f, -4.534068042e-8f, 0.07135009765625f, 4.71861635e-6f, 11};
static const struct {
    double linear_hi, linear_lo, cubic_hi, cubic_lo, far;
} gate_f64 = {1.59576912160573081, -9.96930880911092031e-17, 0.07135481573641300201416016, 5.36187246762178596e-10,
              21.6};
#endif

/* The first half of the digits of x: the product of two such numbers is exact. */
#if BITS == 32
INLINE V NAME(head)(V x) { return (V)((M)x & ~0xfff); }
#else
INLINE V NAME(head)(V x) { return (V)((M)x & ~0x7ffffffLL); }
#endif

/* The smaller of |x| and a limit; NaN stays. */
INLINE V NAME(size_up_to)(V x, T limit) { return NAME(smaller)(NAME(broadcast)(limit), NAME(absolute)(x)); }

/* What a * a is more than its rounded value: of one instruction where products are fused with sums. */
#undef REST_OF_SQUARE
#if defined(__AVX512F__) && BITS == 32
#define REST_OF_SQUARE(a, square) (V) _mm512_fmsub_ps((__m512)(a), (__m512)(a), (__m512)(square))
#elif defined(__AVX512F__)
#define REST_OF_SQUARE(a, square) (V) _mm512_fmsub_pd((__m512d)(a), (__m512d)(a), (__m512d)(square))
#elif defined(__AVX2__) && BITS == 32
#define REST_OF_SQUARE(a, square) (V) _mm256_fmsub_ps((__m256)(a), (__m256)(a), (__m256)(square))
#elif defined(__AVX2__)
#define REST_OF_SQUARE(a, square) (V) _mm256_fmsub_pd((__m256d)(a), (__m256d)(a), (__m256d)(square))
#endif

/* e^(-a^2/2) = p 2^n for 0 <= a <= far; returns p. */
INLINE V NAME(bell)(V a, V *n) {
#ifdef REST_OF_SQUARE
    const V square = a * a;
    V low = REST_OF_SQUARE(a, square), x = square * (T)-0.5;
    *n = (x * NAME(exp).log2e + NAME(exp).round) - NAME(exp).round;
    x -= *n * NAME(exp).ln2_hi;
    return 1 + NAME(exp_of_rest)((x - *n * NAME(exp).ln2_lo) + low * (T)-0.5);
#else
    V head = NAME(head)(a), low = (a - head) * (a + head);
    return 1 + NAME(exp_reduced_sum)(head * head * (T)-0.5, low * (T)-0.5, n);
#endif
}

/* Phi(-a) e^(a^2/2) / *r for 0 <= a <= far. */
INLINE V NAME(tail)(V a, V *r) {
    *r = NAME(reciprocal)(a + NAME(normal).pole);
    const V t = (a * *r) * NAME(normal).scale - 1;
    enum { LAST = sizeof NAME(normal).tail / sizeof(T) - 1 }; /* added by itself, so that it is not rounded twice */
    return NAME(polynomial)(NAME(normal).tail, LAST, t, t * t) * t + NAME(normal).tail[LAST];
}

/* x sigmoid(v), where e^-|v| = p 2^n, v has the sign of x, and a is |x|, or less where nothing is left of the negative side. */
INLINE V NAME(gated)(V x, V a, V p, V n) {
    V s = NAME(reciprocal)(1 + NAME(times_power_below_one)(p, n));
    return s * NAME(select)(x < 0, NAME(times_power_below_one)(-a * p, n), x);
}

/* The derivative of that, v' being slope. */
INLINE V NAME(gated_slope)(V x, V a, V e, V slope) {
    V s = NAME(reciprocal)(1 + e), other = e * s;
    M below = x < 0;
    V here = NAME(select)(below, other, s), there = NAME(select)(below, s, other);
    return here * (1 + NAME(select)(below, -a, a) * slope * there);
}

/* The exponent of GELU's approximation by tanh, 2 sqrt(2/pi) (a + 0.044715 a^3), is v + *low. */
INLINE V NAME(gelu_gate)(V a, V *low) {
    V head = NAME(head)(a), square = a * a, square_low = (head * head - square) + (a - head) * (a + head);
    V square_head = NAME(head)(square), term = square_head * NAME(gate).cubic_hi;
    V sum = term + NAME(gate).linear_hi, back = sum - NAME(gate).linear_hi;
    V lost = (NAME(gate).linear_hi - (sum - back)) + (term - back);
    V rest = lost + (((square - square_head) + square_low) * NAME(gate).cubic_hi +
                     (square * NAME(gate).cubic_lo + NAME(gate).linear_lo));
    V sum_head = NAME(head)(sum), sum_rest = (sum - sum_head) + rest;
    *low = head * sum_rest + (a - head) * (sum_head + sum_rest);
    return head * sum_head;
}

/* ln(1 + e) for 0 <= e <= 1, to the relative accuracy of its own size: as vector_log, but of e. */
INLINE V NAME(log1p)(V e) {
    M high = e > (T)0.41421356237309505;
    V s = NAME(select)(high, e - 1, e) / NAME(select)(high, e + 3, e + 2), square = s * s;
    V p = NAME(broadcast)(NAME(log).series[0]), one = (V)(high & (M)NAME(broadcast)(1));
    UNROLL for (unsigned i = 1; i < sizeof NAME(log).series / sizeof(T); i++) p = p * square + NAME(log).series[i];
    return ((one * NAME(log).ln2_lo + s * square * p) + 2 * s) + one * NAME(log).ln2_hi;
}

/* e^x - 1 for x <= 0. */
INLINE V NAME(expm1)(V x) {
    V n, p = NAME(exp_reduced)(NAME(larger)(NAME(broadcast)(-60), x), &n),
         power = NAME(power_of_two)(n + NAME(exp).round);
    return power * p + (power - 1);
}

INLINE V NAME(vector_elu)(V x, const fc_curve *how) { return NAME(select)(x > 0, x, (T)how->alpha * NAME(expm1)(x)); }
INLINE V NAME(vector_elu_backward)(V x, const fc_curve *how) {
    return NAME(select)(x > 0, NAME(broadcast)(1), (T)how->alpha * NAME(exp_below_one)(x));
}

INLINE V NAME(vector_gelu)(V x, const fc_curve *how) {
    (void)how;
    V n, r, a = NAME(size_up_to)(x, NAME(normal).far), p = NAME(bell)(a, &n) * (NAME(tail)(a, &r) * (a * r));
    return NAME(larger)((V){0}, x) - NAME(times_power_below_one)(p, n); /* of either sign: x - x Phi(-x), -a Phi(-a) */
}
INLINE V NAME(vector_gelu_backward)(V x, const fc_curve *how) {
    (void)how;
    V n, r, a = NAME(size_up_to)(x, NAME(normal).far), p = NAME(bell)(a, &n), phi = NAME(tail)(a, &r) * r;
    V d = NAME(times_power_below_one)(p * (phi - a * (T)0.3989422804014327), n); /* at -a */
    return NAME(select)(x < 0, d, 1 - d);
}

INLINE V NAME(vector_gelu_tanh)(V x, const fc_curve *how) {
    (void)how;
    V n, low, a = NAME(size_up_to)(x, NAME(gate).far), v = NAME(gelu_gate)(a, &low);
    V p = 1 + NAME(exp_reduced_sum)(-v, -low, &n);
    return NAME(gated)(x, a, p, n);
}
INLINE V NAME(vector_gelu_tanh_backward)(V x, const fc_curve *how) {
    (void)how;
    V n, low, a = NAME(size_up_to)(x, NAME(gate).far), v = NAME(gelu_gate)(a, &low);
    V p = 1 + NAME(exp_reduced_sum)(-v, -low, &n);
    const T cubic = 3 * (NAME(gate).cubic_hi + NAME(gate).cubic_lo);
    return NAME(gated_slope)(x, a, NAME(times_power_below_one)(p, n), NAME(gate).linear_hi + cubic * a * a);
}

INLINE V NAME(vector_silu)(V x, const fc_curve *how) {
    (void)how;
    V n, a = NAME(size_up_to)(x, -NAME(exp).lowest), p = 1 + NAME(exp_reduced)(-a, &n);
    return NAME(gated)(x, a, p, n);
}
INLINE V NAME(vector_silu_backward)(V x, const fc_curve *how) {
    (void)how;
    V a = NAME(size_up_to)(x, -NAME(exp).lowest);
    return NAME(gated_slope)(x, a, NAME(exp_below_one)(-a), NAME(broadcast)(1));
}

/* Straight beyond -3 and 3, so that infinities are no product of one and 0. */
INLINE V NAME(vector_hardswish)(V x, const fc_curve *how) {
    (void)how;
    V y = NAME(select)(x >= 3, x, x * ((x + 3) * (T)(1. / 6)));
    return (V)((M)y & ~(x <= -3));
}
INLINE V NAME(vector_hardswish_backward)(V x, const fc_curve *how) {
    (void)how;
    V d = NAME(select)(x >= 3, NAME(broadcast)(1), x * (T)(1. / 3) + (T)0.5);
    return (V)((M)d & ~(x <= -3));
}

INLINE V NAME(vector_hardsigmoid)(V x, const fc_curve *how) {
    (void)how;
    return NAME(smaller)(NAME(broadcast)(6), NAME(larger)((V){0}, x + 3)) * (T)(1. / 6);
}
INLINE V NAME(vector_hardsigmoid_backward)(V x, const fc_curve *how) {
    (void)how;
    return (V)((M)NAME(broadcast)((T)(1. / 6)) & ~(NAME(absolute)(x) >= 3));
}

/* e^-|v| of v = x beta, which is rounded: what was lost is added to the exponent. */
INLINE V NAME(softplus_power)(V x, const fc_curve *how, V *v) {
    const V beta = NAME(broadcast)(how->beta), beta_head = NAME(head)(beta), x_head = NAME(head)(x);
    const V beta_rest = (beta - beta_head) + (T)(how->beta - (double)(T)how->beta);
    *v = x * beta;
    V lost = (x_head * beta_head - *v) + (x_head * beta_rest + (x - x_head) * beta), size = NAME(absolute)(*v), n;
    lost = (V)((M)NAME(select)(*v < 0, lost, -lost) & (size < -NAME(exp).lowest));
    V p = NAME(exp_reduced_sum)(NAME(larger)(NAME(broadcast)(NAME(exp).lowest), -size), lost, &n);
    return NAME(times_power_below_one)(1 + p, n);
}

INLINE V NAME(vector_softplus)(V x, const fc_curve *how) {
    V v, l = NAME(log1p)(NAME(softplus_power)(x, how, &v));
    V y = (NAME(larger)((V){0}, v) + l) * (T)(1 / how->beta);
    return NAME(select)(v > (T)how->threshold, x, y);
}
INLINE V NAME(vector_softplus_backward)(V x, const fc_curve *how) {
    V v, e = NAME(softplus_power)(x, how, &v), s = NAME(reciprocal)(1 + e);
    return NAME(select)(v > (T)how->threshold, NAME(broadcast)(1), NAME(select)(v < 0, e * s, s));
}

#define CURVE(name)                                                                                                    \
    static void NAME(name)(const T *x, T *y, ptrdiff_t n, const fc_curve *how) {                                       \
        const fc_curve options = *how;                                                                                 \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + LANES <= n; i += LANES) NAME(store)(y + i, NAME(vector_##name)(NAME(load)(x + i), &options));       \
        if (i < n) NAME(store_part)(y + i, NAME(vector_##name)(NAME(load_part)(x + i, n - i), &options), n - i);       \
    }                                                                                                                  \
    static void NAME(name##_backward)(const T *grad, const T *x, T *grad_x, ptrdiff_t n, const fc_curve *how) {        \
        const fc_curve options = *how;                                                                                 \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + LANES <= n; i += LANES)                                                                             \
            NAME(store)(grad_x + i,                                                                                    \
                        NAME(load)(grad + i) * NAME(vector_##name##_backward)(NAME(load)(x + i), &options));           \
        if (i < n)                                                                                                     \
            NAME(store_part)(grad_x + i,                                                                               \
                             NAME(load_part)(grad + i, n - i) *                                                        \
                                 NAME(vector_##name##_backward)(NAME(load_part)(x + i, n - i), &options),              \
                             n - i);                                                                                   \
    }
CURVE(elu)
CURVE(gelu)
CURVE(gelu_tanh)
CURVE(silu)
CURVE(hardswish)
CURVE(hardsigmoid)
CURVE(softplus)
#undef CURVE
