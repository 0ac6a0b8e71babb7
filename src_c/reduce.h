/* Sums. */

/* Four vectors of partial sums over at most 2048 elements, which are then added up in double: the error of a long sum stays
 * that of a short one. */
static double NAME(sum)(const T *x, ptrdiff_t n) {
    double total = 0;
    while (n > 0) {
        ptrdiff_t block = n < 2048 ? n : 2048, i = 0;
        V acc[4] = {{0}, {0}, {0}, {0}};
        for (; i + 4 * LANES <= block; i += 4 * LANES)
            UNROLL for (int j = 0; j < 4; j++) acc[j] += NAME(load)(x + i + j * LANES);
        V s = (acc[0] + acc[1]) + (acc[2] + acc[3]);
        double rest = 0;
        for (int l = 0; l < LANES; l++) rest += s[l];
        for (; i < block; i++) rest += x[i];
        total += rest;
        x += block, n -= block;
    }
    return total;
}
