/* Activations, forward and backward: one pass over contiguous arrays, y[i] = f(x[i]).
 *
 *   for i < n in vectors: everything in registers, branch-free; the last part of a vector goes through a padded copy.
 *
 * exp and its kin: x = n ln 2 + r with |r| <= ln 2 / 2, e^x = 2^n (1 + p(r)), p the Taylor polynomial of e^r - 1 (Cody and
 * Waite, "Software manual for the elementary functions", 1980). Sigmoid and tanh come out within 2.6 ulp, measured in both precisions.
 */
#ifndef EXP_CONSTANTS
#define EXP_CONSTANTS
static const struct {
    float log2e, ln2_hi, ln2_lo, round, lowest, highest, shift, shifted, taylor[6];
} exp_f32 = {1.44269504f,
             0.693359375f,
             -2.12194440e-4f,
             0x1.8p23f + 127,
             -120,
             89,
             64,
             0x1p-64f,
             {1.f / 5040, 1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 1.f / 2}};
static const struct {
    double log2e, ln2_hi, ln2_lo, round, lowest, highest, shift, shifted, taylor[12];
} exp_f64 = {1.4426950408889634,
             0.693145751953125,
             1.42860682030941723212e-6,
             0x1.8p52 + 1023,
             -760,
             710,
             512,
             0x1p-512,
             {1. / 6227020800, 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320, 1. / 5040,
              1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2}};
#endif

#if BITS == 32
#define MANTISSA 23
#else
#define MANTISSA 52
#endif

/* 2^n for a whole number in x + exp.round: the sum's last bits are n plus the bias of an exponent. */
INLINE V NAME(power_of_two)(V rounded) { return (V)((M)rounded << MANTISSA); }

/* a where it is larger, or smaller, else b, also where one of them is NaN: what the instructions of x86 do. */
#undef CHOOSE
#if defined(__AVX512F__) && BITS == 32
#define CHOOSE(which, order, a, b) (V) _mm512_##which##_ps((__m512)(a), (__m512)(b))
#elif defined(__AVX512F__)
#define CHOOSE(which, order, a, b) (V) _mm512_##which##_pd((__m512d)(a), (__m512d)(b))
#elif defined(__AVX2__) && BITS == 32
#define CHOOSE(which, order, a, b) (V) _mm256_##which##_ps((__m256)(a), (__m256)(b))
#elif defined(__AVX2__)
#define CHOOSE(which, order, a, b) (V) _mm256_##which##_pd((__m256d)(a), (__m256d)(b))
#else
#define CHOOSE(which, order, a, b) NAME(select)((a)order(b), a, b)
#endif
INLINE V NAME(larger)(V a, V b) { return CHOOSE(max, >, a, b); }
INLINE V NAME(smaller)(V a, V b) { return CHOOSE(min, <, a, b); }

/* x into the range where neither 2^n below leaves the exponents; NaN stays NaN. */
INLINE V NAME(exp_range)(V x) {
    return NAME(smaller)(NAME(broadcast)(NAME(exp).highest), NAME(larger)(NAME(broadcast)(NAME(exp).lowest), x));
}

/* The polynomial of t with n coefficients, that of the highest power first; square is t * t. Two coefficients at a time: what holds up
 * these functions is not how many instructions they take but how many wait for one another. */
INLINE V NAME(polynomial)(const T *coefficients, const int n, V t, V square) {
    V p = NAME(broadcast)(coefficients[0]);
    if (n % 2 == 0) p = t * p + coefficients[1];
    UNROLL for (int i = 2 - n % 2; i < n; i += 2) p = p * square + (t * coefficients[i] + coefficients[i + 1]);
    return p;
}

/* e^r - 1 for |r| <= 0.4, to the relative accuracy of its own size. */
INLINE V NAME(exp_of_rest)(V r) {
    const V square = r * r;
    return r + square * NAME(polynomial)(NAME(exp).taylor, sizeof NAME(exp).taylor / sizeof(T), r, square);
}

/* x = *n ln 2 + r; returns e^r - 1. */
INLINE V NAME(exp_reduced)(V x, V *n) {
    *n = (x * NAME(exp).log2e + NAME(exp).round) - NAME(exp).round;
    V r = x - *n * NAME(exp).ln2_hi;
    return NAME(exp_of_rest)(r - *n * NAME(exp).ln2_lo);
}

/* The same for x + low, of which x alone would not tell enough digits. */
INLINE V NAME(exp_reduced_sum)(V x, V low, V *n) {
    *n = ((x + low) * NAME(exp).log2e + NAME(exp).round) - NAME(exp).round;
    V r = x - *n * NAME(exp).ln2_hi;
    return NAME(exp_of_rest)((r - *n * NAME(exp).ln2_lo) + low);
}

/* x 2^n for whole n; results that are subnormal or infinite come out rightly: by one instruction, or else by two factors, each of
 * half the exponent. */
INLINE V NAME(times_power_of_two)(V x, V n) {
#if defined(__AVX512F__) && BITS == 32
    return (V)_mm512_scalef_ps((__m512)x, (__m512)n);
#elif defined(__AVX512F__)
    return (V)_mm512_scalef_pd((__m512d)x, (__m512d)n);
#else
    V half = n * (T)0.5 + NAME(exp).round, rest = n - (half - NAME(exp).round);
    return x * NAME(power_of_two)(half) * NAME(power_of_two)(rest + NAME(exp).round);
#endif
}

/* The same for n <= 0: half of the exponent is that of a constant. */
INLINE V NAME(times_power_below_one)(V x, V n) {
#if defined(__AVX512F__)
    return NAME(times_power_of_two)(x, n);
#else
    return x * NAME(power_of_two)(n + (NAME(exp).round + NAME(exp).shift)) * NAME(exp).shifted;
#endif
}

INLINE V NAME(vector_exp)(V x) {
    V n, p = NAME(exp_reduced)(NAME(exp_range)(x), &n);
    return NAME(times_power_of_two)(p + 1, n);
}

/* e^x for x <= 0. */
INLINE V NAME(exp_below_one)(V x) {
    V n, p = NAME(exp_reduced)(NAME(larger)(NAME(broadcast)(NAME(exp).lowest), x), &n);
    return NAME(times_power_below_one)(p + 1, n);
}

/* 1 / x for x from 1 to 100, to an ulp. A division of 16 numbers takes as long as all else that makes a sigmoid; an approximation to
 * 2^-14 and a step of Newton's method do not. */
INLINE V NAME(reciprocal)(V x) {
#if defined(__AVX512F__) && BITS == 32
    V y = (V)_mm512_rcp14_ps((__m512)x);
    return y + y * (1 - x * y);
#else
    return 1 / x;
#endif
}

INLINE V NAME(absolute)(V x) { return (V)((M)x & ~(M)NAME(broadcast)(-(T)0)); }

/* x < 0 is 0; all else stays, NaN and -0 too. */
INLINE V NAME(vector_relu)(V x, T slope) {
    (void)slope;
    return NAME(larger)((V){0}, x);
}
/* The same with 6 above; NaN stays here too. */
INLINE V NAME(vector_relu6)(V x, T slope) {
    (void)slope;
    return NAME(smaller)(NAME(broadcast)(6), NAME(larger)((V){0}, x));
}
INLINE V NAME(vector_leaky_relu)(V x, T slope) { return NAME(select)(x > 0, x, x * slope); }

/* e = exp(-|x|) never overflows: 1 / (1 + e) for x >= 0, e / (1 + e) below. */
INLINE V NAME(vector_sigmoid)(V x, T slope) {
    (void)slope;
    V e = NAME(exp_below_one)(-NAME(absolute)(x)), s = NAME(reciprocal)(1 + e);
    return NAME(select)(x < 0, e * s, s);
}

/* With m = exp(-2 |x|) - 1: tanh |x| = -m / (2 + m), which keeps its relative accuracy down to zero. */
INLINE V NAME(vector_tanh)(V x, T slope) {
    (void)slope;
    V n, size = NAME(absolute)(x), scaled = size * -2;
    scaled = NAME(select)(scaled < -60, NAME(broadcast)(-60), scaled);
    V p = NAME(exp_reduced)(scaled, &n), power = NAME(power_of_two)(n + NAME(exp).round);
    V m = power * p + (power - 1), y = NAME(absolute)(m / (2 + m));
    return (V)((M)y | ((M)x & (M)NAME(broadcast)(-(T)0)));
}

#define ACTIVATION(name)                                                                                               \
    static void NAME(name)(const T *x, T *y, ptrdiff_t n, T slope) {                                                   \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + LANES <= n; i += LANES) NAME(store)(y + i, NAME(vector_##name)(NAME(load)(x + i), slope));          \
        if (i < n) NAME(store_part)(y + i, NAME(vector_##name)(NAME(load_part)(x + i, n - i), slope), n - i);          \
    }
ACTIVATION(relu)
ACTIVATION(leaky_relu)
ACTIVATION(sigmoid)
ACTIVATION(tanh)
ACTIVATION(relu6)
#undef ACTIVATION

/* The derivatives: v is x for (leaky) ReLU and ReLU6, y = f(x) for sigmoid and tanh. */
INLINE V NAME(vector_relu_backward)(V grad, V v, T slope) {
    (void)slope;
    return (V)((M)grad & ~(v <= 0));
}
INLINE V NAME(vector_relu6_backward)(V grad, V v, T slope) {
    (void)slope;
    return (V)((M)grad & ~(v <= 0) & ~(v >= 6));
}
INLINE V NAME(vector_leaky_relu_backward)(V grad, V v, T slope) { return NAME(select)(v > 0, grad, grad * slope); }
INLINE V NAME(vector_sigmoid_backward)(V grad, V v, T slope) {
    (void)slope;
    return grad * ((1 - v) * v);
}
INLINE V NAME(vector_tanh_backward)(V grad, V v, T slope) {
    (void)slope;
    return grad * (1 - v * v);
}

#define ACTIVATION_BACKWARD(name)                                                                                      \
    static void NAME(name##_backward)(const T *grad, const T *v, T *grad_x, ptrdiff_t n, T slope) {                    \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + LANES <= n; i += LANES)                                                                             \
            NAME(store)(grad_x + i, NAME(vector_##name##_backward)(NAME(load)(grad + i), NAME(load)(v + i), slope));   \
        if (i < n)                                                                                                     \
            NAME(store_part)(grad_x + i,                                                                               \
                             NAME(vector_##name##_backward)(NAME(load_part)(grad + i, n - i),                          \
                                                            NAME(load_part)(v + i, n - i), slope),                     \
                             n - i);                                                                                   \
    }
ACTIVATION_BACKWARD(relu)
ACTIVATION_BACKWARD(leaky_relu)
ACTIVATION_BACKWARD(sigmoid)
ACTIVATION_BACKWARD(tanh)
ACTIVATION_BACKWARD(relu6)
#undef ACTIVATION_BACKWARD
#undef MANTISSA
