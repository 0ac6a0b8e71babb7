/* The rectifier whose slope below 0 is learnt. Elements of one slope go through the leaky ReLU of elementwise.h; here are pixels whose
 * channels follow each other, and the gradients, which add up those of the slopes meanwhile.
 *
 *   pixels:  for each vector of channels: its slopes in registers; down the pixels.
 */
INLINE V NAME(load_channels)(const T *p, ptrdiff_t left) {
    return left < LANES ? NAME(load_part)(p, left) : NAME(load)(p);
}
INLINE void NAME(store_channels)(T *p, V v, ptrdiff_t left) {
    if (left < LANES)
        NAME(store_part)(p, v, left);
    else
        NAME(store)(p, v);
}

static void NAME(prelu_pixels)(const T *x, const T *slopes, T *y, ptrdiff_t pixels, ptrdiff_t channels) {
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t left = channels - c;
        const V slope = NAME(load_channels)(slopes + c, left);
        for (ptrdiff_t at = c; at < pixels * channels; at += channels) {
            V v = NAME(load_channels)(x + at, left);
            NAME(store_channels)(y + at, NAME(select)(v > 0, v, v * slope), left);
        }
    }
}

static double NAME(prelu_backward)(const T *grad, const T *x, T *grad_x, ptrdiff_t n, T slope) {
    TOTAL total = {{0}, {0}, {0}, 0};
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t left = n - i;
        V g = NAME(load_channels)(grad + i, left), v = NAME(load_channels)(x + i, left);
        NAME(add_term)(&total, (V)((M)(g * v) & ~(v > 0)));
        NAME(store_channels)(grad_x + i, NAME(select)(v > 0, g, g * slope), left);
    }
    const V lanes = NAME(sum_of)(total);
    double sum = 0;
    for (int l = 0; l < LANES; l++) sum += lanes[l];
    return sum;
}

static void NAME(prelu_pixels_backward)(const T *grad, const T *x, const T *slopes, T *grad_x, ptrdiff_t pixels,
                                        ptrdiff_t channels, double *sums) {
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const ptrdiff_t left = channels - c;
        const V slope = NAME(load_channels)(slopes + c, left);
        TOTAL total = {{0}, {0}, {0}, 0};
        for (ptrdiff_t at = c; at < pixels * channels; at += channels) {
            V g = NAME(load_channels)(grad + at, left), v = NAME(load_channels)(x + at, left);
            NAME(add_term)(&total, (V)((M)(g * v) & ~(v > 0)));
            NAME(store_channels)(grad_x + at, NAME(select)(v > 0, g, g * slope), left);
        }
        const V lanes = NAME(sum_of)(total);
        for (int l = 0; l < LANES && l < left; l++) sums[c + l] = lanes[l];
    }
}
