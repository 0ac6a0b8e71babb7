/* The gradient of a maximum, by its index: grad_x[index] += grad.
 *
 *   planes:    for plane: for output
 *   channels:  for output: for channel
 *   others:    the same by any steps
 *
 * Where windows overlap, outputs that follow each other in a row mostly have the same index. Then what such a run gives to its
 * pixel is added up in registers, and the pixel is read and written once a run:
 *
 *   plane:     for vector of outputs: a segmented scan (Blelloch, "Prefix sums and their applications", 1990), after which
 *              the last lane of each run has the sum of its lanes; these lanes -> list
 *   channels:  for output: for vector of channels: where the index is the one before, add to the sum of the run (L1);
 *              elsewhere what the sum was -> list
 *   list (L1), whenever it is full: for sum: grad_x[place] += sum
 *
 * So a pixel's terms are added in two levels, those of a run and the runs. An index was seen to be inside before its sum is
 * added.
 */

#if BITS == 32 && MASKED_BYTES >= 32
enum { NAME(LISTED) = 512 };

#if MASKED_BYTES == 32
/* The lanes of each mask in order, four bits a lane. */
#define LANE(mask, i) ((mask) >> (i) & 1 ? (uint32_t)(i) << 4 * __builtin_popcount((mask) & ((1 << (i)) - 1)) : 0)
#define LANES_OF(mask)                                                                                                 \
    LANE(mask, 0) | LANE(mask, 1) | LANE(mask, 2) | LANE(mask, 3) | LANE(mask, 4) | LANE(mask, 5) | LANE(mask, 6) |    \
        LANE(mask, 7)
#define FOUR(mask) LANES_OF(mask), LANES_OF(mask + 1), LANES_OF(mask + 2), LANES_OF(mask + 3)
#define SIXTEEN(mask) FOUR(mask), FOUR(mask + 4), FOUR(mask + 8), FOUR(mask + 12)
#define MANY(mask) SIXTEEN(mask), SIXTEEN(mask + 16), SIXTEEN(mask + 32), SIXTEEN(mask + 48)
static const uint32_t lanes_of_mask[256] = {MANY(0), MANY(64), MANY(128), MANY(192)};
#undef LANE
#undef LANES_OF
#undef FOUR
#undef SIXTEEN
#undef MANY
#endif

/* Sums, and where in grad_x they go. */
typedef struct {
    ptrdiff_t n;
    I place[NAME(LISTED) + LANES];
    T sum[NAME(LISTED) + LANES];
} NAME(list);

/* The lane behind each, and those so many before; LANES is a lane of zeros. */
#undef LANE_BEHIND
#undef LANE_1_BEFORE
#undef LANE_2_BEFORE
#undef LANE_4_BEFORE
#undef LANE_8_BEFORE
#if LANES == 8
#define LANE_BEHIND 1, 2, 3, 4, 5, 6, 7, 8
#define LANE_1_BEFORE 8, 0, 1, 2, 3, 4, 5, 6
#define LANE_2_BEFORE 8, 8, 0, 1, 2, 3, 4, 5
#define LANE_4_BEFORE 8, 8, 8, 8, 0, 1, 2, 3
#elif LANES == 16
#define LANE_BEHIND 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define LANE_1_BEFORE 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
#define LANE_2_BEFORE 16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
#define LANE_4_BEFORE 16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
#define LANE_8_BEFORE 16, 16, 16, 16, 16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7
#endif

/* The lanes that differ, as bits; sum with w added in some lanes; `part` indices with zeros behind them, of which those that do
 * not fit into a lane are outside of any plane. */
#if MASKED_BYTES == 64
INLINE uint32_t NAME(lanes_that_differ)(M a, M b) { return _mm512_cmpneq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE V NAME(add_in_lanes)(V sum, V w, uint32_t lanes) {
    return (V)_mm512_mask_add_ps((__m512)sum, (__mmask16)lanes, (__m512)sum, (__m512)w);
}
INLINE M NAME(load_places)(const int64_t *index, ptrdiff_t part) { return NAME(load_indices)(index, 0, part); }
#else
INLINE uint32_t NAME(lanes_that_differ)(M a, M b) { return (uint32_t)_mm256_movemask_ps((__m256)(a == b)) ^ 255; }
INLINE V NAME(add_in_lanes)(V sum, V w, uint32_t lanes) {
    const M bit = {1, 2, 4, 8, 16, 32, 64, 128};
    return sum + (V)((M)w & ((((M){0} + (I)lanes) & bit) == bit));
}
INLINE M NAME(load_places)(const int64_t *index, ptrdiff_t part) {
    __m256i a, b;
    if (part == LANES) {
        a = _mm256_loadu_si256((const __m256i *)index), b = _mm256_loadu_si256((const __m256i *)(index + 4));
    } else {
        const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3), n = _mm256_set1_epi64x(part);
        const __m256i low = _mm256_cmpgt_epi64(n, lane), high = _mm256_cmpgt_epi64(n, lane + 4);
        a = _mm256_maskload_epi64((const long long *)index, low);
        b = _mm256_maskload_epi64((const long long *)index + 4, high);
    }
    const __m256i k = (__m256i)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
    const __m256i above = (__m256i)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
    const __m256i fits = _mm256_cmpeq_epi32(above, _mm256_setzero_si256());
    return (M)_mm256_permute4x64_epi64(k | ~fits, 0xd8); /* -1 where it does not fit */
}
#endif

/* Appends some lanes in their order. Nothing that counts is behind the last one, where a whole vector is written. */
INLINE void NAME(append)(NAME(list) * list, uint32_t lanes, M place, V sum) {
    I *const places = list->place + list->n;
    T *const sums = list->sum + list->n;
#if MASKED_BYTES == 64
    _mm512_storeu_si512(places, _mm512_maskz_compress_epi32((__mmask16)lanes, (__m512i)place));
    _mm512_storeu_ps(sums, _mm512_maskz_compress_ps((__mmask16)lanes, (__m512)sum));
#else
    const M shift = (M){LANE_NUMBERS} * 4;
    const __m256i order = _mm256_srlv_epi32(_mm256_set1_epi32((int)lanes_of_mask[lanes]), (__m256i)shift);
    *(IV *)places = (M)_mm256_permutevar8x32_epi32((__m256i)place, order);
    NAME(store)(sums, (V)_mm256_permutevar8x32_ps((__m256)sum, order));
#endif
    list->n += __builtin_popcount(lanes);
}

/* Adds what is listed, unless a lane of `outside` is negative: then it returns 0. */
INLINE int NAME(add_listed)(NAME(list) * list, M outside, T *grad_x) {
    if (NAME(any_lane)(outside < 0)) return 0;
    for (ptrdiff_t i = 0; i < list->n; i++) grad_x[list->place[i]] += list->sum[i];
    list->n = 0;
    return 1;
}

/* Negative where k is not 0 .. most. */
#define OUTSIDE(k, most) ((k) | ((most) - (k)))

/* `part` outputs of a plane. Each step adds to the lanes whose run began so many lanes before them or earlier. */
INLINE M NAME(list_runs)(NAME(list) * list, const T *grad, const int64_t *index, I most, const ptrdiff_t part) {
    const uint32_t all = (1u << part) - 1;
    V v = part == LANES ? NAME(load)(grad) : NAME(load_part)(grad, part);
    const M k = NAME(load_places)(index, part);
    const uint32_t last = (NAME(lanes_that_differ)(k, SHUFFLE(M, k, (M){0}, LANE_BEHIND)) | 1u << (part - 1)) & all;
    const uint32_t first = last << 1 | 1, of_2 = first | first << 1, of_4 = of_2 | of_2 << 2;
    v = NAME(add_in_lanes)(v, SHUFFLE(M, v, (V){0}, LANE_1_BEFORE), ~first & all);
    v = NAME(add_in_lanes)(v, SHUFFLE(M, v, (V){0}, LANE_2_BEFORE), ~of_2 & all);
    v = NAME(add_in_lanes)(v, SHUFFLE(M, v, (V){0}, LANE_4_BEFORE), ~of_4 & all);
#if LANES > 8
    v = NAME(add_in_lanes)(v, SHUFFLE(M, v, (V){0}, LANE_8_BEFORE), ~(of_4 | of_4 << 4) & all);
#endif
    NAME(append)(list, last, k, v);
    return OUTSIDE(k, most);
}

static int NAME(scatter_runs_of_plane)(ptrdiff_t n, I pixels, const T *grad, const int64_t *index, T *grad_x) {
    M outside = {0};
    NAME(list) list;
    ptrdiff_t i = 0;
    list.n = 0;
    for (; i + LANES <= n; i += LANES) {
        outside |= NAME(list_runs)(&list, grad + i, index + i, pixels - 1, LANES);
        if (list.n > NAME(LISTED) - LANES && !NAME(add_listed)(&list, outside, grad_x)) return 0;
    }
    if (i < n) outside |= NAME(list_runs)(&list, grad + i, index + i, pixels - 1, n - i);
    return NAME(add_listed)(&list, outside, grad_x);
}

/* So many vectors of channels, along a row of outputs; of the last one `part` lanes. */
INLINE int NAME(scatter_runs_of_channels)(const fc_scatter *how, const T *grad, const int64_t *index, T *grad_x,
                                          const int vectors, const ptrdiff_t part) {
    const I most = (I)how->pixels - 1, pixel = (I)how->pixel;
    const M lane = {LANE_NUMBERS};
    const uint32_t all = (1u << part) - 1;
    M outside = {0}, run[4];
    V sum[4];
    NAME(list) list;
    list.n = 0;
    UNROLL for (int v = 0; v < vectors; v++) run[v] = (M){0}, sum[v] = (V){0};
    for (ptrdiff_t i = 0; i < how->n; i++, grad += how->grad_step, index += how->index_step) {
        UNROLL for (int v = 0; v < vectors; v++) {
            const V g = part == LANES ? NAME(load)(grad + v * LANES) : NAME(load_part)(grad + v * LANES, part);
            const M k = NAME(load_places)(index + v * LANES, part);
            const uint32_t ends = NAME(lanes_that_differ)(k, run[v]) & all;
            NAME(append)(&list, ends, run[v] * pixel + (lane + v * LANES), sum[v]);
            outside |= OUTSIDE(k, most);
            sum[v] = NAME(add_in_lanes)(g, sum[v], ~ends & all);
            run[v] = k;
        }
        if (list.n > NAME(LISTED) - 4 * LANES && !NAME(add_listed)(&list, outside, grad_x)) return 0;
    }
    UNROLL for (int v = 0; v < vectors; v++) NAME(append)(&list, all, run[v] * pixel + (lane + v * LANES), sum[v]);
    return NAME(add_listed)(&list, outside, grad_x);
}
#undef OUTSIDE

/* What scatter does where neighbours of a row share their index. */
static int NAME(scatter_runs)(const fc_scatter *how, const T *grad, const int64_t *index, T *grad_x) {
    ptrdiff_t c = 0;
    int right = 1;
    if (how->pixel == 1) {
        for (ptrdiff_t p = 0; p < how->planes && right; p++)
            right = NAME(scatter_runs_of_plane)(how->n, (I)how->pixels, grad + p * how->grad_plane,
                                                index + p * how->index_plane, grad_x + p * how->plane);
        return right;
    }
#define CHANNELS(vectors, part) NAME(scatter_runs_of_channels)(how, grad + c, index + c, grad_x + c, vectors, part)
    for (; c + 4 * LANES <= how->planes && right; c += 4 * LANES) right = CHANNELS(4, LANES);
    for (; c + LANES <= how->planes && right; c += LANES) right = CHANNELS(1, LANES);
    return right && (c == how->planes || CHANNELS(1, how->planes - c));
#undef CHANNELS
}
#elif BITS == 32
static int NAME(scatter_runs)(const fc_scatter *how, const T *grad, const int64_t *index, T *grad_x) {
    for (ptrdiff_t p = 0; p < how->planes;
         p++, grad += how->grad_plane, index += how->index_plane, grad_x += how->plane) {
        int64_t run = 0;
        T sum = 0;
        for (ptrdiff_t i = 0; i < how->n; i++) {
            const int64_t k = index[i * how->index_step];
            if ((uint64_t)k >= (uint64_t)how->pixels) return 0;
            if (k != run) {
                grad_x[run * how->pixel] += sum;
                run = k, sum = 0;
            }
            sum += grad[i * how->grad_step];
        }
        grad_x[run * how->pixel] += sum;
    }
    return 1;
}
#endif

static int NAME(scatter)(const fc_scatter *how, const T *grad, const int64_t *index, T *grad_x) {
    const ptrdiff_t n = how->n, planes = how->planes, pixel = how->pixel;
    const uint64_t pixels = (uint64_t)how->pixels;
    const int of_planes = how->grad_step == 1 && how->index_step == 1 && pixel == 1;
    const int of_channels = how->grad_plane == 1 && how->index_plane == 1 && how->plane == 1;
#if BITS == 32
    if (how->runs && (of_planes || of_channels)) return NAME(scatter_runs)(how, grad, index, grad_x);
#endif
    if (of_planes) {
        for (ptrdiff_t p = 0; p < planes; p++, grad += how->grad_plane, index += how->index_plane, grad_x += how->plane)
            for (ptrdiff_t i = 0; i < n; i++) {
                if ((uint64_t)index[i] >= pixels) return 0;
                grad_x[index[i]] += grad[i];
            }
    } else if (of_channels) {
        for (ptrdiff_t i = 0; i < n; i++, grad += how->grad_step, index += how->index_step)
            for (ptrdiff_t p = 0; p < planes; p++) {
                if ((uint64_t)index[p] >= pixels) return 0;
                grad_x[index[p] * pixel + p] += grad[p];
            }
    } else
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t p = 0; p < planes; p++) {
                int64_t at = index[i * how->index_step + p * how->index_plane];
                if ((uint64_t)at >= pixels) return 0;
                grad_x[at * pixel + p * how->plane] += grad[i * how->grad_step + p * how->grad_plane];
            }
    return 1;
}
