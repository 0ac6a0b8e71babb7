/* Images at another size whose channels are neighbours in memory: lanes are channels.
 *
 *   mix_pixels:  for pixel of a row of outputs: for vectors of channels: the four pixels of x, mixed -> y
 *   add_pixels:  for vectors of channels: for row, column of outputs that look at a pixel: weighted -> sums in registers
 *
 * Four vectors together hide how long an addition takes.
 */

/* Not a + (b - a) w: the difference of two numbers that can be represented may be none. */
INLINE V NAME(between)(V a, V b, T w) { return a * (1 - w) + b * w; }

INLINE void NAME(copy_pixel)(const T *x, ptrdiff_t n, T *y) {
    ptrdiff_t c = 0;
    for (; c + LANES <= n; c += LANES) NAME(store)(y + c, NAME(load)(x + c));
    if (c < n) NAME(store_part)(y + c, NAME(load_part)(x + c, n - c), n - c);
}

INLINE void NAME(mix_two)(const T *a, const T *b, T w, ptrdiff_t n, T *y) {
    ptrdiff_t c = 0;
    for (; c + LANES <= n; c += LANES) NAME(store)(y + c, NAME(between)(NAME(load)(a + c), NAME(load)(b + c), w));
    if (c < n) {
        const ptrdiff_t rest = n - c;
        NAME(store_part)(y + c, NAME(between)(NAME(load_part)(a + c, rest), NAME(load_part)(b + c, rest), w), rest);
    }
}

INLINE V NAME(mixed_of_four)(V a, V b, V c, V d, T down, T across) {
    return NAME(between)(NAME(between)(a, c, down), NAME(between)(b, d, down), across);
}

static void NAME(mix_pixels)(const fc_mixing *given, const T *upper, const T *lower, double weight, T *y) {
    const fc_mixing how = *given; /* which no store to y can change */
    const T down = (T)weight;
    const ptrdiff_t n = how.channels;
    for (ptrdiff_t p = 0; p < how.pixels; p++, y += how.step) {
        const T across = (T)how.across[p];
        const T *a = upper + how.left[p], *b = upper + how.right[p], *c = lower + how.left[p],
                *d = lower + how.right[p];
        if (across == 0 && down == 0) {
            NAME(copy_pixel)(a, n, y);
        } else if (across == 0) {
            NAME(mix_two)(a, c, down, n, y);
        } else if (down == 0) {
            NAME(mix_two)(a, b, across, n, y);
        } else {
            ptrdiff_t i = 0;
            for (; i + LANES <= n; i += LANES)
                NAME(store)(y + i, NAME(mixed_of_four)(NAME(load)(a + i), NAME(load)(b + i), NAME(load)(c + i),
                                                       NAME(load)(d + i), down, across));
            if (i < n) {
                const ptrdiff_t rest = n - i;
                NAME(store_part)(
                    y + i,
                    NAME(mixed_of_four)(NAME(load_part)(a + i, rest), NAME(load_part)(b + i, rest),
                                        NAME(load_part)(c + i, rest), NAME(load_part)(d + i, rest), down, across),
                    rest);
            }
        }
    }
}

/* Rows are added up by themselves before they are weighted: a sum of few terms of each. */
INLINE void NAME(add_vectors)(const fc_adding *how, const T *grad, T *grad_x, const int vectors, const ptrdiff_t part) {
    V sum[4] = {{0}, {0}, {0}, {0}};
    for (ptrdiff_t r = 0; r < how->rows; r++) {
        const T *at = grad + r * how->row;
        const T down = (T)how->down[r];
        V of_row[4] = {{0}, {0}, {0}, {0}};
        for (ptrdiff_t c = 0; c < how->columns; c++, at += how->column) {
            const T across = (T)how->across[c];
            UNROLL for (int i = 0; i < vectors; i++)
                of_row[i] += across * (part == LANES ? NAME(load)(at + i * LANES) : NAME(load_part)(at, part));
        }
        UNROLL for (int i = 0; i < vectors; i++) sum[i] += down * of_row[i];
    }
    if (part < LANES)
        NAME(store_part)(grad_x, sum[0], part);
    else
        UNROLL for (int i = 0; i < vectors; i++) NAME(store)(grad_x + i * LANES, sum[i]);
}

static void NAME(add_pixels)(const fc_adding *given, const T *grad, T *grad_x, ptrdiff_t n) {
    const fc_adding how = *given;
    ptrdiff_t c = 0;
    for (; c + 4 * LANES <= n; c += 4 * LANES) NAME(add_vectors)(&how, grad + c, grad_x + c, 4, LANES);
    for (; c + LANES <= n; c += LANES) NAME(add_vectors)(&how, grad + c, grad_x + c, 1, LANES);
    if (c < n) NAME(add_vectors)(&how, grad + c, grad_x + c, 1, n - c);
}
