/* Normalisation: the sums that it needs of maps and of their gradients, and the affine maps that come of them.
 *
 *   planes:    for plane: for vector of its elements:                   one centre, scale, ... a plane, in all lanes
 *   channels:  for pixel, of sums for 4 pixels together: for vector of channels:     a centre, scale, ... in each lane
 *
 * Sums are taken in double precision, those of x about a centre, the mean of a few elements: where that is near the mean, nothing cancels in the
 * variance (T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", 1983).
 * So are the maps written, (x - centre) * scale + shift: where x lies far from zero, x * scale + shift would lose the digits in
 * which it differs from the mean.
 */

/* As many doubles as a vector register takes, and elements made doubles. A vector of elements makes WIDE_PARTS of them. */
#undef W
#undef WIDE_LANES
#undef WIDE_PARTS
#define W NAME(wide)
#define WIDE_LANES (VECTOR_BYTES / 8)
#define WIDE_PARTS (LANES / WIDE_LANES)
typedef double W __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
#if BITS == 32
typedef float NAME(narrow) __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4), may_alias));
INLINE W NAME(widened)(const T *p) { return __builtin_convertvector(*(const NAME(narrow) *)p, W); }
#else
INLINE W NAME(widened)(const T *p) { return *(const W *)p; }
#endif

INLINE double NAME(sum_of_lanes)(W v) {
    double lanes[WIDE_LANES];
    *(W *)lanes = v;
    UNROLL for (int half = WIDE_LANES / 2; half; half /= 2) UNROLL for (int l = 0; l < half; l++)
        lanes[l] += lanes[l + half];
    return lanes[0];
}

/* A vector at p, of which n elements are there: where these are too few, in `room`, with `others` behind them. */
INLINE const T *NAME(whole)(const T *p, ptrdiff_t n, V others, T *room) {
    if (n >= LANES) return p;
    NAME(store)(room, NAME(load_lanes)(p, 0, (int)n, others));
    return room;
}

/* The sums of distances from the centre, and of their squares, of a vector of elements. */
INLINE void NAME(add_moments)(W *sum, W *product, const T *x, const W *centre) {
    UNROLL for (int h = 0; h < WIDE_PARTS; h++) {
        const W distance = NAME(widened)(x + h * WIDE_LANES) - centre[h];
        sum[h] += distance;
        product[h] += distance * distance;
    }
}

/* The affine map of a channel, and the same of gradients. */
typedef struct {
    V centre, scale, shift, slope, offset;
} NAME(affine);

INLINE V NAME(affine_of)(const NAME(affine) * a, V x) { return (x - a->centre) * a->scale + a->shift; }
INLINE V NAME(affine_gradient_of)(const NAME(affine) * a, V x, V grad) {
    return grad * a->scale + ((x - a->centre) * a->slope + a->offset);
}

/* The gradient in front of a ReLU behind the map. */
INLINE V NAME(rectified_gradient)(const NAME(affine) * a, V x, V grad) {
    return NAME(vector_relu_backward)(grad, NAME(affine_of)(a, x), 0);
}

/* Those of plane p; those of a vector of channels. What a kernel has no use for it may be given as NULL. */
INLINE V NAME(in_all_lanes)(const void *of, ptrdiff_t p) { return of ? NAME(broadcast)(((const T *)of)[p]) : (V){0}; }
INLINE NAME(affine) NAME(affine_of_plane)(const fc_norm *how, ptrdiff_t p) {
    return (NAME(affine)){NAME(in_all_lanes)(how->centre, p), NAME(in_all_lanes)(how->scale, p),
                          NAME(in_all_lanes)(how->shift, p), NAME(in_all_lanes)(how->slope, p),
                          NAME(in_all_lanes)(how->offset, p)};
}
INLINE V NAME(in_each_lane)(const void *of, ptrdiff_t c) { return of ? NAME(load)((const T *)of + c) : (V){0}; }
INLINE NAME(affine) NAME(affine_of_channels)(const fc_norm *how, ptrdiff_t c) {
    return (NAME(affine)){NAME(in_each_lane)(how->centre, c), NAME(in_each_lane)(how->scale, c),
                          NAME(in_each_lane)(how->shift, c), NAME(in_each_lane)(how->slope, c),
                          NAME(in_each_lane)(how->offset, c)};
}

/* ------------------------------------------------------------------------------------------------------------------
 * Planes: how->planes of how->n elements each */

static void NAME(plane_moments)(const fc_norm *how, const T *x) {
    T room[LANES];
    for (ptrdiff_t p = 0; p < how->planes; p++, x += how->x) {
        const V centre = NAME(in_all_lanes)(how->centre, p);
        const W wide = (W){0} + ((const T *)how->centre)[p], centres[2] = {wide, wide};
        W sum[4] = {{0}, {0}, {0}, {0}}, product[4] = {{0}, {0}, {0}, {0}};
        ptrdiff_t i = 0;
        for (; i + 2 * LANES <= how->n; i += 2 * LANES) {
            NAME(add_moments)(sum, product, x + i, centres);
            NAME(add_moments)(sum + 2, product + 2, x + i + LANES, centres);
        }
        for (; i < how->n; i += LANES)
            NAME(add_moments)(sum, product, NAME(whole)(x + i, how->n - i, centre, room), centres);
        how->sums[p] += NAME(sum_of_lanes)((sum[0] + sum[1]) + (sum[2] + sum[3]));
        how->products[p] += NAME(sum_of_lanes)((product[0] + product[1]) + (product[2] + product[3]));
    }
}

/* One plane; along: there are weights, or a bias, along it, or both; relu. Both are constants here. */
INLINE void NAME(normalise_plane)(const fc_norm *how, NAME(affine) a, const T *x, T *y, const int along,
                                  const int relu) {
    const T *weight = how->weight, *bias = how->bias;
    ptrdiff_t i = 0;
    for (; i + LANES <= how->n; i += LANES) {
        V v = NAME(affine_of)(&a, NAME(load)(x + i));
        if (along && weight) v *= NAME(load)(weight + i);
        if (along && bias) v += NAME(load)(bias + i);
        NAME(store)(y + i, relu ? NAME(vector_relu)(v, 0) : v);
    }
    if (i < how->n) {
        const ptrdiff_t rest = how->n - i;
        V v = NAME(affine_of)(&a, NAME(load_part)(x + i, rest));
        if (along && weight) v *= NAME(load_part)(weight + i, rest);
        if (along && bias) v += NAME(load_part)(bias + i, rest);
        NAME(store_part)(y + i, relu ? NAME(vector_relu)(v, 0) : v, rest);
    }
}

static void NAME(plane_normalise)(const fc_norm *how, const T *x, T *y) {
    const fc_norm copy = *how; /* which no store to y can change */
    for (ptrdiff_t p = 0; p < copy.planes; p++, x += copy.x, y += copy.y) {
        const NAME(affine) a = NAME(affine_of_plane)(&copy, p);
        if (copy.weight || copy.bias)
            NAME(normalise_plane)(&copy, a, x, y, 1, 0);
        else if (copy.relu)
            NAME(normalise_plane)(&copy, a, x, y, 0, 1);
        else
            NAME(normalise_plane)(&copy, a, x, y, 0, 0);
    }
}

/* The gradient that a plane is summed with, of a vector of elements. */
INLINE V NAME(inner_gradient)(const NAME(affine) * a, V x, V grad, V weight, const int along, const int relu) {
    if (along) grad *= weight;
    return relu ? NAME(rectified_gradient)(a, x, grad) : grad;
}

/* Adds a vector of short sums to longer ones. */
INLINE void NAME(add_wide)(W *sum, V v) {
    T lanes[LANES];
    NAME(store)(lanes, v);
    UNROLL for (int h = 0; h < WIDE_PARTS; h++) sum[h] += NAME(widened)(lanes + h * WIDE_LANES);
}

/* About the mean itself few digits cancel: RUN terms are summed in their own precision. */
INLINE void NAME(sum_plane)(const fc_norm *how, ptrdiff_t p, const T *x, const T *grad, const int along,
                            const int relu) {
    const NAME(affine) a = NAME(affine_of_plane)(how, p);
    const T *weight = how->weight;
    W sum[2] = {{0}, {0}}, product[2] = {{0}, {0}};
    ptrdiff_t i = 0;
    while (i < how->n) {
        const ptrdiff_t end = how->n - i < 2 * RUN * LANES ? how->n : i + 2 * RUN * LANES;
        V sums[2] = {{0}, {0}}, products[2] = {{0}, {0}};
        for (; i + 2 * LANES <= end; i += 2 * LANES) UNROLL for (int j = 0; j < 2; j++) {
                const V v = NAME(load)(x + i + j * LANES),
                        g = NAME(inner_gradient)(&a, v, NAME(load)(grad + i + j * LANES),
                                                 along ? NAME(load)(weight + i + j * LANES) : a.scale, along, relu);
                sums[j] += g;
                products[j] += g * (v - a.centre);
            }
        for (; i < end; i += LANES) {
            const int rest = end - i < LANES ? (int)(end - i) : LANES;
            const V v = rest == LANES ? NAME(load)(x + i) : NAME(load_lanes)(x + i, 0, rest, a.centre),
                    g = rest == LANES ? NAME(load)(grad + i) : NAME(load_part)(grad + i, rest),
                    w = !along          ? a.scale
                        : rest == LANES ? NAME(load)(weight + i)
                                        : NAME(load_part)(weight + i, rest),
                    inner = NAME(inner_gradient)(&a, v, g, w, along, relu);
            sums[0] += inner;
            products[0] += inner * (v - a.centre);
        }
        NAME(add_wide)(sum, sums[0] + sums[1]);
        NAME(add_wide)(product, products[0] + products[1]);
    }
    how->sums[p] += NAME(sum_of_lanes)(sum[0] + sum[1]);
    how->products[p] += NAME(sum_of_lanes)(product[0] + product[1]);
}

static void NAME(plane_gradient_sums)(const fc_norm *how, const T *x, const T *grad) {
    for (ptrdiff_t p = 0; p < how->planes; p++, x += how->x, grad += how->grad)
        if (how->weight)
            NAME(sum_plane)(how, p, x, grad, 1, 0);
        else if (how->relu)
            NAME(sum_plane)(how, p, x, grad, 0, 1);
        else
            NAME(sum_plane)(how, p, x, grad, 0, 0);
}

INLINE void NAME(plane_gradient_of)(const fc_norm *how, NAME(affine) a, const T *x, const T *grad, T *grad_x,
                                    const int along, const int relu) {
    const T *weight = how->weight;
    ptrdiff_t i = 0;
    for (; i + LANES <= how->n; i += LANES) {
        const V v = NAME(load)(x + i), g = NAME(inner_gradient)(&a, v, NAME(load)(grad + i),
                                                                along ? NAME(load)(weight + i) : a.scale, along, relu);
        NAME(store)(grad_x + i, NAME(affine_gradient_of)(&a, v, g));
    }
    if (i < how->n) {
        const ptrdiff_t rest = how->n - i;
        const V v = NAME(load_part)(x + i, rest),
                g = NAME(inner_gradient)(&a, v, NAME(load_part)(grad + i, rest),
                                         along ? NAME(load_part)(weight + i, rest) : a.scale, along, relu);
        NAME(store_part)(grad_x + i, NAME(affine_gradient_of)(&a, v, g), rest);
    }
}

static void NAME(plane_gradient)(const fc_norm *how, const T *x, const T *grad, T *grad_x) {
    const fc_norm copy = *how;
    for (ptrdiff_t p = 0; p < copy.planes; p++, x += copy.x, grad += copy.grad, grad_x += copy.y) {
        const NAME(affine) a = NAME(affine_of_plane)(&copy, p);
        if (copy.weight)
            NAME(plane_gradient_of)(&copy, a, x, grad, grad_x, 1, 0);
        else if (copy.relu)
            NAME(plane_gradient_of)(&copy, a, x, grad, grad_x, 0, 1);
        else
            NAME(plane_gradient_of)(&copy, a, x, grad, grad_x, 0, 0);
    }
}

/* Of layer normalisation: sums and products of its gradient with what came out of the rows, for each element of a row. */
INLINE void NAME(add_rows)(const fc_norm *how, ptrdiff_t p, const T *x, const T *grad, const int rows) {
    for (ptrdiff_t i = 0; i < how->n; i += LANES) {
        const ptrdiff_t rest = how->n - i;
        V sums = {0}, products = {0};
        UNROLL for (int r = 0; r < rows; r++) {
            const NAME(affine) a = NAME(affine_of_plane)(how, p + r);
            const T *v = x + r * how->x + i, *g = grad + r * how->grad + i;
            const V inner = rest >= LANES ? NAME(load)(g) : NAME(load_part)(g, rest);
            sums += inner;
            products += inner * NAME(affine_of)(&a, rest >= LANES ? NAME(load)(v) : NAME(load_part)(v, rest));
        }
        NAME(add_wide)((W *)(how->sums + i), sums);
        NAME(add_wide)((W *)(how->products + i), products);
    }
}

static void NAME(row_gradient_sums)(const fc_norm *given, const T *x, const T *grad) {
    const fc_norm copy = *given, *how = &copy;
    ptrdiff_t p = 0;
    for (; p + 4 <= how->planes; p += 4, x += 4 * how->x, grad += 4 * how->grad) NAME(add_rows)(how, p, x, grad, 4);
    for (; p < how->planes; p++, x += how->x, grad += how->grad) NAME(add_rows)(how, p, x, grad, 1);
}

/* ------------------------------------------------------------------------------------------------------------------
 * Channels: how->planes pixels of how->n channels each */

/* A function of `rows` pixels, for all of them, four at a time. */
#define FOR_PIXELS(of_rows, ...)                                                                                       \
    ptrdiff_t p = 0;                                                                                                   \
    for (; p + 4 <= how->planes; p += 4) NAME(of_rows)(how, p, __VA_ARGS__, 4);                                        \
    for (; p < how->planes; p++) NAME(of_rows)(how, p, __VA_ARGS__, 1);

/* The sums of a vector of channels, taken up and put back. */
#define TAKE_UP(c)                                                                                                     \
    W sum[WIDE_PARTS], product[WIDE_PARTS], centres[WIDE_PARTS];                                                       \
    UNROLL for (int h = 0; h < WIDE_PARTS; h++) {                                                                      \
        sum[h] = *(W *)(how->sums + (c) + h * WIDE_LANES);                                                             \
        product[h] = *(W *)(how->products + (c) + h * WIDE_LANES);                                                     \
        centres[h] = NAME(widened)((const T *)how->centre + (c) + h * WIDE_LANES);                                     \
    }
#define PUT_BACK(c)                                                                                                    \
    UNROLL for (int h = 0; h < WIDE_PARTS; h++) {                                                                      \
        *(W *)(how->sums + (c) + h * WIDE_LANES) = sum[h];                                                             \
        *(W *)(how->products + (c) + h * WIDE_LANES) = product[h];                                                     \
    }

INLINE void NAME(moments_of_pixels)(const fc_norm *how, ptrdiff_t p, const T *x, const int rows) {
    T room[LANES];
    x += p * how->x;
    for (ptrdiff_t c = 0; c < how->n; c += LANES) {
        const V centre = NAME(load)((const T *)how->centre + c);
        TAKE_UP(c)
        UNROLL for (int r = 0; r < rows; r++)
            NAME(add_moments)(sum, product, NAME(whole)(x + r * how->x + c, how->n - c, centre, room), centres);
        PUT_BACK(c)
    }
}
static void NAME(channel_moments)(const fc_norm *given, const T *x) {
    const fc_norm copy = *given, *how = &copy;
    FOR_PIXELS(moments_of_pixels, x)
}

INLINE void NAME(sums_of_pixels)(const fc_norm *how, ptrdiff_t p, const T *x, const T *grad, const int relu,
                                 const int rows) {
    x += p * how->x, grad += p * how->grad;
    for (ptrdiff_t c = 0; c < how->n; c += LANES) {
        const NAME(affine) a = NAME(affine_of_channels)(how, c);
        const ptrdiff_t rest = how->n - c;
        V sums = {0}, products = {0};
        UNROLL for (int r = 0; r < rows; r++) {
            const T *at = x + r * how->x + c, *from = grad + r * how->grad + c;
            const V v = rest >= LANES ? NAME(load)(at) : NAME(load_part)(at, rest),
                    g = rest >= LANES ? NAME(load)(from) : NAME(load_part)(from, rest),
                    inner = relu ? NAME(rectified_gradient)(&a, v, g) : g;
            sums += inner;
            products += inner * (v - a.centre);
        }
        NAME(add_wide)((W *)(how->sums + c), sums);
        NAME(add_wide)((W *)(how->products + c), products);
    }
}
static void NAME(channel_gradient_sums)(const fc_norm *given, const T *x, const T *grad) {
    const fc_norm copy = *given, *how = &copy;
    if (how->relu) {
        FOR_PIXELS(sums_of_pixels, x, grad, 1)
    } else {
        FOR_PIXELS(sums_of_pixels, x, grad, 0)
    }
}

/* A few pixels by one vector of channels' maps, which stay in registers. */
INLINE void NAME(normalise_pixels)(const fc_norm *how, ptrdiff_t p, const T *x, T *y, const int relu, const int rows) {
    x += p * how->x, y += p * how->y;
    ptrdiff_t c = 0;
    for (; c + LANES <= how->n; c += LANES) {
        const NAME(affine) a = NAME(affine_of_channels)(how, c);
        UNROLL for (int r = 0; r < rows; r++) {
            const V v = NAME(affine_of)(&a, NAME(load)(x + r * how->x + c));
            NAME(store)(y + r * how->y + c, relu ? NAME(vector_relu)(v, 0) : v);
        }
    }
    if (c < how->n) {
        const NAME(affine) a = NAME(affine_of_channels)(how, c);
        UNROLL for (int r = 0; r < rows; r++) {
            const V v = NAME(affine_of)(&a, NAME(load_part)(x + r * how->x + c, how->n - c));
            NAME(store_part)(y + r * how->y + c, relu ? NAME(vector_relu)(v, 0) : v, how->n - c);
        }
    }
}
static void NAME(channel_normalise)(const fc_norm *given, const T *x, T *y) {
    const fc_norm copy = *given, *how = &copy;
    if (copy.relu) {
        FOR_PIXELS(normalise_pixels, x, y, 1)
    } else {
        FOR_PIXELS(normalise_pixels, x, y, 0)
    }
}

INLINE void NAME(gradient_of_pixels)(const fc_norm *how, ptrdiff_t p, const T *x, const T *grad, T *grad_x,
                                     const int relu, const int rows) {
    x += p * how->x, grad += p * how->grad, grad_x += p * how->y;
    for (ptrdiff_t c = 0; c < how->n; c += LANES) {
        const NAME(affine) a = NAME(affine_of_channels)(how, c);
        const ptrdiff_t rest = how->n - c;
        UNROLL for (int r = 0; r < rows; r++) {
            const T *at = x + r * how->x + c, *from = grad + r * how->grad + c;
            const V v = rest >= LANES ? NAME(load)(at) : NAME(load_part)(at, rest),
                    g = rest >= LANES ? NAME(load)(from) : NAME(load_part)(from, rest),
                    result = NAME(affine_gradient_of)(&a, v, relu ? NAME(rectified_gradient)(&a, v, g) : g);
            if (rest >= LANES)
                NAME(store)(grad_x + r * how->y + c, result);
            else
                NAME(store_part)(grad_x + r * how->y + c, result, rest);
        }
    }
}
static void NAME(channel_gradient)(const fc_norm *given, const T *x, const T *grad, T *grad_x) {
    const fc_norm copy = *given, *how = &copy;
    if (copy.relu) {
        FOR_PIXELS(gradient_of_pixels, x, grad, grad_x, 1)
    } else {
        FOR_PIXELS(gradient_of_pixels, x, grad, grad_x, 0)
    }
}
#undef FOR_PIXELS
#undef TAKE_UP
#undef PUT_BACK
