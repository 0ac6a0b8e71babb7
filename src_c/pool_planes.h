/* Whole planes, and long runs of elements: one output each, lanes are elements.
 *
 *   planes:  for LANES planes: for vector of the plane: best (or sum) of its lanes -> one register a plane
 *            a transpose turns the LANES registers into one, of which lane i is plane i's
 *            where the place matters: for LANES planes: for vector: the first lanes that are equal to the plane's maximum
 *   run:     for block (L1): best of its lanes; a block that has a better one than those before is searched for it
 *
 * So a maximum costs two comparisons and a select a vector, and nothing follows from where it lies but in the plane, or the
 * block, that has it. A NaN is rare: planes and blocks with one are searched element by element, for the last.
 */

INLINE int NAME(any_lane)(M m) {
    I any = 0;
    UNROLL for (int i = 0; i < LANES; i++) any |= m[i];
    return any != 0;
}

/* Lane i: the sum of all lanes of r[i]. r is lost. */
INLINE V NAME(sum_of_each)(V *r) {
    NAME(transpose_block)(r);
    UNROLL for (int i = 0; i < LANES / 2; i++) r[i] += r[i + LANES / 2];
    UNROLL for (int i = 0; i < LANES / 4; i++) r[i] += r[i + LANES / 4];
    V sum = r[0];
    UNROLL for (int i = 1; i < LANES / 4; i++) sum += r[i];
    return sum;
}

/* The same of maxima, NaN where a lane is, and of the smallest numbers. */
INLINE V NAME(max_of_each)(V *r) {
    NAME(transpose_block)(r);
    V best = r[0];
    UNROLL for (int i = 1; i < LANES; i++) best = NAME(select)(NAME(wins)(r[i], best), r[i], best);
    return best;
}
INLINE M NAME(min_of_each)(V *r) {
    NAME(transpose_block)(r);
    M least = (M)r[0];
    UNROLL for (int i = 1; i < LANES; i++) least = NAME(select_index)((M)r[i] < least, (M)r[i], least);
    return least;
}

/* Of n elements, lane by lane. */
INLINE V NAME(sum_by_lanes)(const T *x, ptrdiff_t n) {
    V acc[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        UNROLL for (int j = 0; j < 4; j++) acc[j] += NAME(load)(x + i + j * LANES);
    for (; i + LANES <= n; i += LANES) acc[0] += NAME(load)(x + i);
    if (i < n) acc[1] += NAME(load_part)(x + i, n - i);
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}
INLINE V NAME(winner)(V best, V taken) { return NAME(select)(NAME(wins)(taken, best), taken, best); }
INLINE V NAME(max_by_lanes)(const T *x, ptrdiff_t n) {
    const V lowest = NAME(broadcast)(-(T)__builtin_inf());
    V acc[4] = {lowest, lowest, lowest, lowest};
    ptrdiff_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        UNROLL for (int j = 0; j < 4; j++) acc[j] = NAME(winner)(acc[j], NAME(load)(x + i + j * LANES));
    for (; i + LANES <= n; i += LANES) acc[0] = NAME(winner)(acc[0], NAME(load)(x + i));
    if (i < n) acc[1] = NAME(winner)(acc[1], NAME(load_lanes)(x + i, 0, (int)(n - i), lowest));
    return NAME(winner)(NAME(winner)(acc[0], acc[1]), NAME(winner)(acc[2], acc[3]));
}

/* In each lane the first element that is `value`, or more than any place. */
INLINE M NAME(first_by_lanes)(const T *x, ptrdiff_t n, T value) {
    const V wanted = NAME(broadcast)(value);
    const M lane = {LANE_NUMBERS};
    M at = (M){0} + (I)0x7fffffff;
    ptrdiff_t i = n / LANES * LANES; /* backwards: the first is written last */
    if (i < n) {
        M here = NAME(load_lanes)(x + i, 0, (int)(n - i), NAME(broadcast)((T)__builtin_nan(""))) == wanted;
        at = NAME(select_index)(here, lane + (I)i, at);
    }
    for (i -= LANES; i >= 0; i -= LANES) at = NAME(select_index)(NAME(load)(x + i) == wanted, lane + (I)i, at);
    return at;
}

/* The maximum of a run, element by element, and the place of the first, or of the last NaN. */
INLINE T NAME(max_by_elements)(const T *x, ptrdiff_t n, ptrdiff_t *position) {
    T best = x[0];
    ptrdiff_t at = 0;
    for (ptrdiff_t i = 1; i < n; i++)
        if (x[i] > best || x[i] != x[i]) best = x[i], at = i;
    *position = at;
    return best;
}

static T NAME(max_of_run)(const T *x, ptrdiff_t n, ptrdiff_t *position) {
    enum { BLOCK = 32 * LANES };
    if (n < 2 * LANES) return NAME(max_by_elements)(x, n, position);
    T best = 0;
    ptrdiff_t at = -1;
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        const ptrdiff_t length = n - i < BLOCK ? n - i : BLOCK;
        V m = NAME(max_by_lanes)(x + i, length);
        if (at >= 0 && !NAME(any_lane)(NAME(wins)(m, NAME(broadcast)(best)))) continue;
        ptrdiff_t here = 0;
        if (NAME(any_lane)(m != m)) {
            best = NAME(max_by_elements)(x + i, length, &here);
        } else {
            T most = m[0];
            UNROLL for (int l = 1; l < LANES; l++) most = m[l] > most ? m[l] : most;
            M first = NAME(first_by_lanes)(x + i, length, most);
            here = first[0];
            UNROLL for (int l = 1; l < LANES; l++) here = first[l] < here ? first[l] : here;
            best = x[i + here]; /* of two zeros the first */
        }
        at = i + here;
    }
    *position = at;
    return best;
}

/* Of the planes p until p + part. */
INLINE void NAME(find_maxima)(const T *x, ptrdiff_t plane, ptrdiff_t n, V maxima, ptrdiff_t part, T *y,
                              int64_t *index) {
    V r[LANES] = {{0}};
    I at[LANES];
    for (ptrdiff_t i = 0; i < part; i++) r[i] = (V)NAME(first_by_lanes)(x + i * plane, n, maxima[i]);
    *(IV *)at = NAME(min_of_each)(r);
    for (ptrdiff_t i = 0; i < part; i++) {
        ptrdiff_t here = at[i];
        if (maxima[i] != maxima[i]) NAME(max_by_elements)(x + i * plane, n, &here);
        y[i] = x[i * plane + here];
        if (index) index[i] = here;
    }
}

static void NAME(max_of_planes)(const T *x, ptrdiff_t plane, ptrdiff_t n, ptrdiff_t planes, T *y, int64_t *index) {
    if (n > 32 * LANES) {
        for (ptrdiff_t p = 0; p < planes; p++) {
            ptrdiff_t at;
            y[p] = NAME(max_of_run)(x + p * plane, n, &at);
            if (index) index[p] = at;
        }
        return;
    }
    for (ptrdiff_t p = 0; p < planes; p += LANES) {
        const ptrdiff_t part = planes - p < LANES ? planes - p : LANES;
        V r[LANES];
        for (ptrdiff_t i = 0; i < LANES; i++) r[i] = i < part ? NAME(max_by_lanes)(x + (p + i) * plane, n) : r[0];
        V m = NAME(max_of_each)(r);
        if (index || NAME(any_lane)((M)(m != m) | (M)(m == 0)))
            NAME(find_maxima)(x + p * plane, plane, n, m, part, y + p, index ? index + p : index);
        else if (part == LANES)
            NAME(store)(y + p, m);
        else
            NAME(store_part)(y + p, m, part);
    }
}

static void NAME(mean_of_planes)(const T *x, ptrdiff_t plane, ptrdiff_t n, ptrdiff_t planes, T *y) {
    if (n > 4 * RUN * LANES) {
        for (ptrdiff_t p = 0; p < planes; p++) y[p] = (T)(NAME(sum)(x + p * plane, n) / (double)n);
        return;
    }
    for (ptrdiff_t p = 0; p < planes; p += LANES) {
        const ptrdiff_t part = planes - p < LANES ? planes - p : LANES;
        V r[LANES] = {{0}};
        for (ptrdiff_t i = 0; i < part; i++) r[i] = NAME(sum_by_lanes)(x + (p + i) * plane, n);
        V mean = NAME(sum_of_each)(r) / (T)n;
        if (part == LANES)
            NAME(store)(y + p, mean);
        else
            NAME(store_part)(y + p, mean, part);
    }
}
