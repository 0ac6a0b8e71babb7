/* Sums of many terms, each as right as a short one.
 *
 * The error of a running sum grows with its length: 16 equal terms lose at most 3e-7 of their sum in single precision, a million
 * lose a tenth. So at most RUN terms are added one after the other; the sums of such runs are added with what each addition
 * loses taken off the next (W. Kahan, "Further remarks on reducing truncation errors", 1965).
 */
#undef TOTAL
#define TOTAL NAME(total)
#ifndef RUN
#define RUN 16
#endif

/* In each lane: the runs that are finished, what their sum has too much, the run that goes on. Begins as zeros. */
typedef struct {
    V sum, excess, run;
    int terms; /* of the run */
} TOTAL;

INLINE void NAME(add_run)(TOTAL *t, V run) {
    V term = run - t->excess, sum = t->sum + term, excess = (sum - t->sum) - term;
    t->excess = (V)((M)excess & (excess - excess == 0)); /* infinite sums have none */
    t->sum = sum;
}

INLINE void NAME(add_term)(TOTAL *t, V term) {
    t->run += term;
    if (++t->terms == RUN) {
        NAME(add_run)(t, t->run);
        t->run = (V){0}, t->terms = 0;
    }
}

INLINE V NAME(sum_of)(TOTAL t) {
    NAME(add_run)(&t, t.run);
    return t.sum;
}

/* Four vectors of runs at a time; the lanes are added up in double. */
static double NAME(sum)(const T *x, ptrdiff_t n) {
    enum { BLOCK = 4 * RUN * LANES };
    TOTAL total = {{0}, {0}, {0}, 0};
    ptrdiff_t i = 0;
    while (n - i >= 4 * LANES) {
        const ptrdiff_t end = n - i < BLOCK ? n - 4 * LANES : i + BLOCK - 4 * LANES;
        V acc[4] = {{0}, {0}, {0}, {0}};
        for (; i <= end; i += 4 * LANES) UNROLL for (int j = 0; j < 4; j++) acc[j] += NAME(load)(x + i + j * LANES);
        NAME(add_run)(&total, (acc[0] + acc[1]) + (acc[2] + acc[3]));
    }
    double rest = 0;
    for (int l = 0; l < LANES; l++) rest += total.sum[l];
    for (; i < n; i++) rest += x[i];
    return rest;
}
