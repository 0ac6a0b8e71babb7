/* How much the magnitudes of pixels that a transform mixes differ.
 *
 * A transform's rounding error is relative to the loudest pixel that goes into it, that of a direct sum to the pixels that an
 * output sees. So an output that sees quiet pixels alone, beside one that is louder by many powers of ten, is lost in the error.
 * Loudness is an energy, the sum of squares of a block of pixels, so small that each window of the filter that meets the
 * transform has one of them whole inside. Blocks of nothing but zeros do not count: what sees nothing else may get an error that is
 * small beside its neighbours. An energy that overflows is louder than all that do not.
 *
 *   bands of channel vectors (Winograd): blocks of 2 x 2 pixels and a vector of channels, in one dimension of 2, or of the only one
 *   that two taps have in common:
 *       for strip: for LANES blocks: squares of 4 vectors each (L1) -> LANES sums over lanes, by a tree of shuffles -> energies
 *                  the loudest and the quietest of the strip; where these differ too much, those of each tile
 *   planes (Fourier): blocks of 4 pixels below or beside each other; lanes are columns, the loudest and the quietest block stay
 *   in registers
 */
INLINE V NAME(louder)(V a, V b) { return NAME(select)(a > b, a, b); }
INLINE V NAME(quieter)(V a, V b) { return NAME(select)(a < b, a, b); }
INLINE V NAME(none_as_infinite)(V energy) {
    return NAME(select)(energy == 0, NAME(broadcast)((T)__builtin_inf()), energy);
}

INLINE V NAME(add_pairs)(V a, V b) { return SHUFFLE(M, a, b, EVEN_LANES) + SHUFFLE(M, a, b, ODD_LANES); }

/* The sums over the lanes of v[0], v[1], ... side by side. */
INLINE V NAME(sums_of_lanes)(V *v) {
    UNROLL for (int n = LANES / 2; n; n /= 2) UNROLL for (int i = 0; i < n; i++)
        v[i] = NAME(add_pairs)(v[2 * i], v[2 * i + 1]);
    return v[0];
}

/* Raises *hi and lowers *lo to the energies in a vector; those that are 0 are none. */
INLINE void NAME(compare)(V energy, V *hi, V *lo) {
    *hi = NAME(louder)(energy, *hi);
    *lo = NAME(quieter)(NAME(none_as_infinite)(energy), *lo);
}

/* Whether the largest lane of hi is more than `most` times the smallest of lo. */
INLINE int NAME(exceeds)(V hi, V lo, T most) {
    UNROLL for (int n = LANES; n > 1; n /= 2) {
        hi = NAME(louder)(SHUFFLE(M, hi, hi, EVEN_LANES), SHUFFLE(M, hi, hi, ODD_LANES));
        lo = NAME(quieter)(SHUFFLE(M, lo, lo, EVEN_LANES), SHUFFLE(M, lo, lo, ODD_LANES));
    }
    return hi[0] > lo[0] * most;
}

static int NAME(band_contrast)(const fc_contrast_blocks *how, const T *band, const int32_t *at, T *energy, T most) {
    const ptrdiff_t beside = how->beside, below = how->below, known = how->known * how->count;
    const ptrdiff_t all = how->rows * how->count;
    const V infinite = NAME(broadcast)((T)__builtin_inf());
    V hi = {0}, lo = infinite;
    ptrdiff_t k = 0;
    for (; k < known; k += LANES) { /* up to where they lie nothing is overwritten that is read later */
        V e = NAME(load)(energy + all - known + k);
        NAME(store)(energy + k, e);
        NAME(compare)(e, &hi, &lo);
    }
    for (k = known; k < all; k += LANES) {
        V v[LANES];
        UNROLL for (int i = 0; i < LANES; i++) {
            const T *place = band + at[k + i];
            V a = NAME(load)(place), b = NAME(load)(place + beside);
            V c = NAME(load)(place + below), d = NAME(load)(place + below + beside);
            v[i] = (a * a + b * b) + (c * c + d * d);
        }
        V e = NAME(sums_of_lanes)(v);
        NAME(store)(energy + k, e);
        NAME(compare)(e, &hi, &lo);
    }
    if (!NAME(exceeds)(hi, lo, most)) return 0;

    /* Somewhere in the strip there is such a contrast: is there one in the blocks of a tile? */
    for (ptrdiff_t first = 0; first + how->columns <= how->count; first += how->next) {
        T loudest = 0, quietest = (T)__builtin_inf();
        for (int r = 0; r < how->rows; r++)
            for (int s = 0; s < how->columns; s++) {
                T e = energy[r * how->count + first + s];
                loudest = e > loudest ? e : loudest;
                quietest = e != 0 && e < quietest ? e : quietest;
            }
        if (loudest > quietest * most) return 1;
    }
    return 0;
}

static void NAME(plane_contrast)(const T *x, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t width, ptrdiff_t step, T *loudest,
                                 T *quietest) {
    V hi = NAME(broadcast)(*loudest), lo = NAME(broadcast)(*quietest);
    for (ptrdiff_t i = 0; i < rows; i++, x += row)
        for (ptrdiff_t j = 0; j < width; j += LANES) {
            const ptrdiff_t n = width - j;
            V energy = {0};
            UNROLL for (int d = 0; d < 4; d++) {
                V v = n >= LANES ? NAME(load)(x + j + d * step) : NAME(load_part)(x + j + d * step, n);
                energy += v * v;
            }
            NAME(compare)(energy, &hi, &lo);
        }
    for (int l = 0; l < LANES; l++) {
        if (hi[l] > *loudest) *loudest = hi[l];
        if (lo[l] < *quietest) *quietest = lo[l];
    }
}

/* Tiles of grad_output, of which an input meets as little as one pixel: blocks are single pixels, and a vector of channels. */
static int NAME(tile_contrast)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T most) {
    enum { AT_ONCE = LANES < 16 ? LANES : 16 };
    for (ptrdiff_t t = 0; t < tiles; t++, band += 4 * LANES) {
        V hi = {0}, lo = NAME(broadcast)((T)__builtin_inf());
        for (int p = 0; p < 16; p += AT_ONCE) {
            V v[AT_ONCE];
            UNROLL for (int i = 0; i < AT_ONCE; i++) {
                V a = NAME(load)(band + (p + i) / 4 * pitch + (p + i) % 4 * LANES);
                v[i] = a * a;
            }
            NAME(compare)(NAME(sums_of_lanes)(v), &hi, &lo);
        }
        if (NAME(exceeds)(hi, lo, most)) return 1;
    }
    return 0;
}
