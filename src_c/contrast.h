/* How much the magnitudes of pixels that a transform mixes differ.
 *
 * A transform's rounding error is relative to the loudest pixel that goes into it, that of a direct sum to the pixels that an
 * output sees. So an output that sees quiet pixels alone, beside one that is louder by many powers of ten, is lost in the error.
 * Loudness is an energy, the sum of squares of a block of pixels, so small that each window of the filter that meets the
 * transform has one of them whole inside. Blocks of nothing but zeros do not count: what sees nothing else may get an error that is
 * small beside its neighbours. An energy that overflows is louder than all that do not.
 *
 *   bands of channel vectors (Winograd): blocks of 2 x 2 pixels and a vector of channels:
 *       for strip: for LANES blocks: squares of 4 vectors each (L1) -> LANES sums over lanes, by a tree of shuffles -> energies
 *                  for LANES columns of blocks: the loudest and the quietest; then those of as many columns as a tile has
 *   planes (Fourier): blocks of 4 pixels below or beside each other; lanes are columns, the loudest and the quietest block stay
 *   in registers
 */
INLINE V NAME(louder)(V a, V b) { return NAME(select)(a > b, a, b); }
INLINE V NAME(quieter)(V a, V b) { return NAME(select)(a < b, a, b); }
INLINE V NAME(none_as_infinite)(V energy) { return NAME(select)(energy == 0, NAME(broadcast)((T)__builtin_inf()), energy); }

INLINE V NAME(add_pairs)(V a, V b) { return SHUFFLE(M, a, b, EVEN_LANES) + SHUFFLE(M, a, b, ODD_LANES); }

/* The sums over the lanes of v[0], v[1], ... side by side. */
INLINE V NAME(sums_of_lanes)(V *v) {
    UNROLL for (int n = LANES / 2; n; n /= 2)
        UNROLL for (int i = 0; i < n; i++) v[i] = NAME(add_pairs)(v[2 * i], v[2 * i + 1]);
    return v[0];
}

/* The energies of 2 x 2 pixels from each of `count` places on; up to LANES - 1 more places are read, and as many energies stored. */
INLINE void NAME(block_energies)(const T *band, ptrdiff_t pitch, const int32_t *at, ptrdiff_t count, T *energy) {
    const T *below = band + pitch;
    for (ptrdiff_t done = 0; done < count; done += LANES) {
        V v[LANES];
        UNROLL for (int i = 0; i < LANES; i++) {
            const ptrdiff_t place = at[done + i];
            V a = NAME(load)(band + place), b = NAME(load)(band + place + LANES);
            V c = NAME(load)(below + place), d = NAME(load)(below + place + LANES);
            v[i] = (a * a + b * b) + (c * c + d * d);
        }
        NAME(store)(energy + done, NAME(sums_of_lanes)(v));
    }
}

static int NAME(band_contrast)(const T *band, ptrdiff_t pitch, const int32_t *at, ptrdiff_t blocks, int window, int known,
                               T *energy, T most) {
    enum { ROOM = FC_CONTRAST_BLOCKS + 3 * LANES + 8 };
    T loud[ROOM], quiet[ROOM];
    const V infinite = NAME(broadcast)((T)__builtin_inf());
    M any = {0};
    for (ptrdiff_t j = 0; j < known * blocks; j += LANES) /* up to where they lie nothing is overwritten that is read later */
        NAME(store)(energy + j, NAME(load)(energy + (window - known) * blocks + j));
    NAME(block_energies)(band, pitch, at + known * blocks, (window - known) * blocks, energy + known * blocks);
    for (ptrdiff_t j = 0; j < blocks; j += LANES) {
        V hi = {0}, lo = infinite;
        for (int r = 0; r < window; r++) {
            V e = NAME(load)(energy + r * blocks + j);
            hi = NAME(louder)(e, hi);
            lo = NAME(quieter)(NAME(none_as_infinite)(e), lo);
        }
        NAME(store)(loud + j, hi), NAME(store)(quiet + j, lo);
    }
    for (ptrdiff_t j = blocks; j < blocks + LANES + window; j += LANES)
        NAME(store)(loud + j, (V){0}), NAME(store)(quiet + j, infinite);
    for (ptrdiff_t j = 0; j < blocks; j += LANES) {
        V hi = NAME(load)(loud + j), lo = NAME(load)(quiet + j);
        for (int i = 1; i < window; i++) {
            hi = NAME(louder)(NAME(load)(loud + j + i), hi);
            lo = NAME(quieter)(NAME(load)(quiet + j + i), lo);
        }
        any |= hi > lo * most;
    }
    int64_t words[VECTOR_BYTES / 8], found = 0;
    __builtin_memcpy(words, &any, sizeof words);
    for (int i = 0; i < VECTOR_BYTES / 8; i++) found |= words[i];
    return found != 0;
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
            hi = NAME(louder)(energy, hi);
            lo = NAME(quieter)(NAME(none_as_infinite)(energy), lo);
        }
    for (int l = 0; l < LANES; l++) {
        if (hi[l] > *loudest) *loudest = hi[l];
        if (lo[l] < *quietest) *quietest = lo[l];
    }
}
