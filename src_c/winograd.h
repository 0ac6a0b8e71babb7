/* Winograd's transforms of one vector of channels at a time: V = B^T x B of input patches, U = G w G^T of filters, and
 * y = A^T (U V summed over channels) A. For gradients they are read backwards: Z = A dy A^T of tiles of grad_output, and
 * dw = G^T (Z V summed over tiles) G.
 *
 * A scheme computes 4 x 4 outputs from a P x P patch by P * P products instead of 16 * R * R:
 *   f43    3 x 3 filters, stride 1: 36 products for 144, on the points 0, +-3/4, +-3/2, infinity
 *   f45    5 x 5 filters, stride 1: 64 products for 400, on the points 0, +-1, +-2, +-1/2, infinity
 *   f42    2 x 2 filters, stride 1: 25 products for 64, on the points 0, 1, -1, 2, infinity
 *   f43s2  3 x 3 filters, stride 2: 81 products for 144. In each dimension the even inputs meet a filter of two taps, which
 *          F(4, 2) computes by 5 products on the points 0, 1, -1, 2, infinity; the odd ones meet one tap: 4 plain products, which
 *          share that tap. So there are 9 x 9 products but only 6 x 6 different filter points.
 *
 * Each 1-D transform stands beside its transpose: `output` beside `gradient`, `filter` beside `weight`.
 *
 * The points 3/4 and 3/2 are exact in binary and give half the error of the usual 1 and 2. A 1-D pass runs over columns into an
 * array on the stack (L1), shared by neighbouring patches, then over rows; each pass keeps P inputs and P outputs in registers.
 *
 * Sources: Winograd, "Arithmetic complexity of computations" (1980); Lavin, Gray, "Fast algorithms for convolutional neural
 * networks" (2016); on points Barabasz, Anderson, Soodhalter, Gregg, "Error analysis and improving the accuracy of Winograd
 * convolution for deep neural networks" (2020).
 */
#define A1 ((T)0.75)
#define B1 ((T)1.5)
#define A2 (A1 * A1)
#define B2 (B1 * B1)
#define NA (1 / (2 * A2 * (A2 - B2)))
#define NB (1 / (2 * B2 * (B2 - A2)))

INLINE void NAME(f43_input)(V *o, const V *d) {
    V a = d[4] - B2 * d[2], b = d[3] - B2 * d[1], c = d[4] - A2 * d[2], e = d[3] - A2 * d[1];
    o[0] = (A2 * B2) * d[0] - (A2 + B2) * d[2] + d[4];
    o[1] = a + A1 * b, o[2] = a - A1 * b;
    o[3] = c + B1 * e, o[4] = c - B1 * e;
    o[5] = (A2 * B2) * d[1] - (A2 + B2) * d[3] + d[5];
}
INLINE void NAME(f43_filter)(V *o, const V *g) {
    V s = g[0] * NA + g[2] * (A2 * NA), t = g[1] * (A1 * NA), u = g[0] * NB + g[2] * (B2 * NB), v = g[1] * (B1 * NB);
    o[0] = g[0] * (1 / (A2 * B2));
    o[1] = s + t, o[2] = s - t;
    o[3] = u + v, o[4] = u - v;
    o[5] = g[2];
}
INLINE void NAME(f43_output)(V *o, const V *m) {
    V s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    o[0] = m[0] + s + s2;
    o[1] = A1 * d + B1 * d2;
    o[2] = A2 * s + B2 * s2;
    o[3] = (A2 * A1) * d + ((B2 * B1) * d2 + m[5]);
}
INLINE void NAME(f43_gradient)(V *o, const V *y) {
    V s = y[0] + A2 * y[2], t = A1 * y[1] + (A2 * A1) * y[3], u = y[0] + B2 * y[2], v = B1 * y[1] + (B2 * B1) * y[3];
    o[0] = y[0];
    o[1] = s + t, o[2] = s - t;
    o[3] = u + v, o[4] = u - v;
    o[5] = y[3];
}
INLINE void NAME(f43_weight)(V *o, const V *z) {
    V s = z[1] + z[2], d = z[1] - z[2], s2 = z[3] + z[4], d2 = z[3] - z[4];
    o[0] = z[0] * (1 / (A2 * B2)) + (s * NA + s2 * NB);
    o[1] = d * (A1 * NA) + d2 * (B1 * NB);
    o[2] = s * (A2 * NA) + (s2 * (B2 * NB) + z[5]);
}

INLINE void NAME(f45_input)(V *o, const V *d) {
    V a, b;
    o[0] = (d[0] - d[6]) + (T)5.25 * (d[4] - d[2]);
    a = d[2] + d[6] - (T)4.25 * d[4], b = d[1] + d[5] - (T)4.25 * d[3];
    o[1] = a + b, o[2] = a - b;
    a = d[6] + (T)0.25 * d[2] - (T)1.25 * d[4], b = (T)0.5 * d[1] - (T)2.5 * d[3] + 2 * d[5];
    o[3] = a + b, o[4] = a - b;
    a = d[6] + 4 * d[2] - 5 * d[4], b = 2 * d[1] - (T)2.5 * d[3] + (T)0.5 * d[5];
    o[5] = a + b, o[6] = a - b;
    o[7] = (d[7] - d[1]) + (T)5.25 * (d[3] - d[5]);
}
INLINE void NAME(f45_filter)(V *o, const V *g) {
    V s = (g[0] + g[2] + g[4]) * (T)(-2. / 9), t = (g[1] + g[3]) * (T)(2. / 9);
    V u = (g[0] + 4 * g[2] + 16 * g[4]) * (T)(1. / 90), v = (g[1] + 4 * g[3]) * (T)(1. / 45);
    V p = (g[0] + (T)0.25 * g[2] + (T)0.0625 * g[4]) * (T)(32. / 45), q = (g[1] + (T)0.25 * g[3]) * (T)(16. / 45);
    o[0] = g[0];
    o[1] = s - t, o[2] = s + t;
    o[3] = u + v, o[4] = u - v;
    o[5] = p + q, o[6] = p - q;
    o[7] = g[4];
}
INLINE void NAME(f45_output)(V *o, const V *m) {
    V s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4], s3 = m[5] + m[6], d3 = m[5] - m[6];
    o[0] = m[0] + s + s2 + s3;
    o[1] = d + 2 * d2 + (T)0.5 * d3;
    o[2] = s + 4 * s2 + (T)0.25 * s3;
    o[3] = d + 8 * d2 + (T)0.125 * d3 + m[7];
}
INLINE void NAME(f45_gradient)(V *o, const V *y) {
    V s = y[0] + y[2], t = y[1] + y[3], u = y[0] + 4 * y[2], v = 2 * y[1] + 8 * y[3];
    V p = y[0] + (T)0.25 * y[2], q = (T)0.5 * y[1] + (T)0.125 * y[3];
    o[0] = y[0];
    o[1] = s + t, o[2] = s - t;
    o[3] = u + v, o[4] = u - v;
    o[5] = p + q, o[6] = p - q;
    o[7] = y[3];
}
INLINE void NAME(f45_weight)(V *o, const V *z) {
    V s = (z[1] + z[2]) * (T)(-2. / 9), t = (z[2] - z[1]) * (T)(2. / 9);
    V u = (z[3] + z[4]) * (T)(1. / 90), v = (z[3] - z[4]) * (T)(1. / 45);
    V p = (z[5] + z[6]) * (T)(32. / 45), q = (z[5] - z[6]) * (T)(16. / 45);
    o[0] = (z[0] + s) + (u + p);
    o[1] = t + (v + q);
    o[2] = s + (4 * u + (T)0.25 * p);
    o[3] = t + (4 * v + (T)0.25 * q);
    o[4] = (s + z[7]) + (16 * u + (T)0.0625 * p);
}

INLINE void NAME(f42_input)(V *o, const V *d) {
    V a = d[3] - 2 * d[2], b = d[2] - 2 * d[1], c = d[3] - d[1];
    o[0] = 2 * (d[0] - d[2]) + c;
    o[1] = a + b, o[2] = a - b;
    o[3] = c;
    o[4] = (d[4] - d[2]) - 2 * c;
}
INLINE void NAME(f42_filter)(V *o, const V *g) {
    o[0] = g[0] * (T)0.5;
    o[1] = (g[0] + g[1]) * (T)-0.5;
    o[2] = (g[0] - g[1]) * (T)(-1. / 6);
    o[3] = (g[0] + 2 * g[1]) * (T)(1. / 6);
    o[4] = g[1];
}
INLINE void NAME(f42_output)(V *o, const V *m) {
    V s = m[1] + m[2], d = m[1] - m[2];
    o[0] = m[0] + (s + m[3]);
    o[1] = d + 2 * m[3];
    o[2] = s + 4 * m[3];
    o[3] = (d + m[4]) + 8 * m[3];
}
INLINE void NAME(f42_gradient)(V *o, const V *y) {
    V s = y[0] + y[2], t = y[1] + y[3];
    o[0] = y[0];
    o[1] = s + t, o[2] = s - t;
    o[3] = (y[0] + 2 * y[1]) + 4 * (y[2] + 2 * y[3]);
    o[4] = y[3];
}
INLINE void NAME(f42_weight)(V *o, const V *z) {
    V a = z[1] * (T)-0.5, b = z[2] * (T)(-1. / 6), c = z[3] * (T)(1. / 6);
    o[0] = (z[0] * (T)0.5 + a) + (b + c);
    o[1] = (a - b) + (2 * c + z[4]);
}

INLINE void NAME(f43s2_input)(V *o, const V *d) {
    V a = d[6] - 2 * d[4], b = d[4] - 2 * d[2];
    o[0] = 2 * (d[0] - d[4]) + (d[6] - d[2]);
    o[1] = a + b, o[2] = a - b;
    o[3] = d[6] - d[2];
    o[4] = (d[8] - d[4]) - 2 * (d[6] - d[2]);
    o[5] = d[1], o[6] = d[3], o[7] = d[5], o[8] = d[7];
}
INLINE void NAME(f43s2_filter)(V *o, const V *g) {
    o[0] = g[0] * (T)0.5;
    o[1] = (g[0] + g[2]) * (T)-0.5;
    o[2] = (g[0] - g[2]) * (T)(-1. / 6);
    o[3] = (g[0] + 2 * g[2]) * (T)(1. / 6);
    o[4] = g[2];
    o[5] = g[1];
}
INLINE void NAME(f43s2_output)(V *o, const V *m) {
    V s = m[1] + m[2], d = m[1] - m[2];
    o[0] = (m[0] + m[5]) + (s + m[3]);
    o[1] = d + (2 * m[3] + m[6]);
    o[2] = s + (4 * m[3] + m[7]);
    o[3] = (d + m[4]) + (8 * m[3] + m[8]);
}
/* The transpose of f43s2_input: products of a tile of grad_output to the inputs that its patch has met. */
INLINE void NAME(f43s2_patch)(V *o, const V *z) {
    V s = z[1] + z[2], d = z[1] - z[2];
    o[0] = 2 * z[0];
    o[2] = 2 * (z[4] - d) - (z[0] + z[3]);
    o[4] = d - 2 * (z[0] + s) - z[4];
    o[6] = (z[0] + s) + (z[3] - 2 * z[4]);
    o[8] = z[4];
    o[1] = z[5], o[3] = z[6], o[5] = z[7], o[7] = z[8];
}
INLINE void NAME(f43s2_gradient)(V *o, const V *y) {
    V s = y[0] + y[2], t = y[1] + y[3];
    o[0] = y[0];
    o[1] = s + t, o[2] = s - t;
    o[3] = (y[0] + 2 * y[1]) + 4 * (y[2] + 2 * y[3]);
    o[4] = y[3];
    o[5] = y[0], o[6] = y[1], o[7] = y[2], o[8] = y[3];
}
INLINE void NAME(f43s2_weight)(V *o, const V *z) {
    V a = z[1] * (T)-0.5, b = z[2] * (T)(-1. / 6), c = z[3] * (T)(1. / 6);
    o[0] = (z[0] * (T)0.5 + a) + (b + c);
    o[1] = z[5];
    o[2] = (a - b) + (2 * c + z[4]);
}

/* P points, U of them different for the filter, R taps, patches STEP inputs apart. */
#define WINOGRAD(scheme, P, U, R, STEP)                                                                                \
    static void NAME(scheme##_inputs)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *restrict v,                  \
                                      const ptrdiff_t *at, ptrdiff_t point_stride) {                                   \
        enum { CHUNK = 8 };                                                                                            \
        V tmp[P][CHUNK * STEP + P - STEP];                                                                             \
        for (ptrdiff_t t0 = 0; t0 < tiles; t0 += CHUNK, band += CHUNK * STEP * LANES) {                                \
            ptrdiff_t n = tiles - t0 < CHUNK ? tiles - t0 : CHUNK;                                                     \
            for (ptrdiff_t x = 0; x < n * STEP + P - STEP; x++) {                                                      \
                V d[P], o[P];                                                                                          \
                UNROLL for (int i = 0; i < P; i++) d[i] = NAME(load)(band + i * pitch + x * LANES);                    \
                NAME(scheme##_input)(o, d);                                                                            \
                UNROLL for (int i = 0; i < P; i++) tmp[i][x] = o[i];                                                   \
            }                                                                                                          \
            for (ptrdiff_t t = 0; t < n; t++) {                                                                        \
                T *out = v + at[t0 + t];                                                                               \
                for (int i = 0; i < P; i++) {                                                                          \
                    V o[P];                                                                                            \
                    NAME(scheme##_input)(o, &tmp[i][t * STEP]);                                                        \
                    UNROLL for (int j = 0; j < P; j++) NAME(store)(out + (i * P + j) * point_stride, o[j]);            \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void NAME(scheme##_filters)(const T *w, ptrdiff_t channels, T *restrict u, ptrdiff_t point_stride,          \
                                       ptrdiff_t channel_stride) {                                                     \
        for (ptrdiff_t c = 0; c < channels; c++, w += R * R * LANES, u += channel_stride) {                            \
            V z[U][R];                                                                                                 \
            UNROLL for (int s = 0; s < R; s++) {                                                                       \
                V g[R], o[U];                                                                                          \
                UNROLL for (int r = 0; r < R; r++) g[r] = NAME(load)(w + (r * R + s) * LANES);                         \
                NAME(scheme##_filter)(o, g);                                                                           \
                UNROLL for (int i = 0; i < U; i++) z[i][s] = o[i];                                                     \
            }                                                                                                          \
            UNROLL for (int i = 0; i < U; i++) {                                                                       \
                V o[U];                                                                                                \
                NAME(scheme##_filter)(o, z[i]);                                                                        \
                UNROLL for (int j = 0; j < U; j++) NAME(store)(u + (i * U + j) * point_stride, o[j]);                  \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void NAME(scheme##_gradients)(const T *band, ptrdiff_t pitch, ptrdiff_t tiles, T *restrict z,               \
                                         const ptrdiff_t *at, ptrdiff_t point_stride) {                                \
        for (ptrdiff_t t = 0; t < tiles; t++, band += 4 * LANES) {                                                     \
            T *out = z + at[t];                                                                                        \
            V tmp[P][4];                                                                                               \
            UNROLL for (int j = 0; j < 4; j++) {                                                                       \
                V d[4], o[P];                                                                                          \
                UNROLL for (int i = 0; i < 4; i++) d[i] = NAME(load)(band + i * pitch + j * LANES);                    \
                NAME(scheme##_gradient)(o, d);                                                                         \
                UNROLL for (int i = 0; i < P; i++) tmp[i][j] = o[i];                                                   \
            }                                                                                                          \
            UNROLL for (int i = 0; i < P; i++) {                                                                       \
                V o[P];                                                                                                \
                NAME(scheme##_gradient)(o, tmp[i]);                                                                    \
                UNROLL for (int j = 0; j < P; j++) NAME(store)(out + (i * P + j) * point_stride, o[j]);                \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static int NAME(scheme##_outputs)(const fc_winograd_steps *steps, const T *m, const T *bias, T *restrict y,        \
                                      ptrdiff_t rows, ptrdiff_t cols) {                                                \
        const ptrdiff_t point_stride = steps->m_point, tile_stride = steps->m_tile, tiles = (cols + 3) / 4;            \
        const ptrdiff_t y_row = steps->y_row, y_col = steps->y_col;                                                    \
        const int activation = steps->activation.kind;                                                                 \
        V b = bias ? NAME(load)(bias) : (V){0}, odd = {0};                                                             \
        const V least = NAME(broadcast)(activation == FC_RELU ? 0 : -(T)__builtin_inf()); /* also where o is NaN */    \
        for (ptrdiff_t t = 0; t < tiles; t++, m += tile_stride, y += 4 * y_col) {                                      \
            V z[4][P];                                                                                                 \
            if (y_col != LANES) /* NHWC: stores to lines that lie far apart */                                         \
                UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 4; j++)                                  \
                    PREFETCH(y, i * y_row + (j + 8) * y_col, 1, 3);                                                    \
            UNROLL for (int j = 0; j < P; j++) {                                                                       \
                V q[P], o[4];                                                                                          \
                UNROLL for (int i = 0; i < P; i++) q[i] = NAME(load)(m + (i * P + j) * point_stride);                  \
                NAME(scheme##_output)(o, q);                                                                           \
                UNROLL for (int i = 0; i < 4; i++) z[i][j] = o[i];                                                     \
            }                                                                                                          \
            ptrdiff_t wide = cols - 4 * t < 4 ? cols - 4 * t : 4;                                                      \
            for (ptrdiff_t i = 0; i < rows; i++) {                                                                     \
                V o[4];                                                                                                \
                NAME(scheme##_output)(o, z[i]);                                                                        \
                UNROLL for (int j = 0; j < 4; j++) o[j] += b;                                                          \
                if (wide == 4) {                                                                                       \
                    UNROLL for (int j = 0; j < 4; j++) {                                                               \
                        odd += o[j] * 0;                                                                               \
                        NAME(store)(y + i * y_row + j * y_col, NAME(larger)(least, o[j]));                             \
                    }                                                                                                  \
                } else                                                                                                 \
                    for (ptrdiff_t j = 0; j < wide; j++) {                                                             \
                        odd += o[j] * 0;                                                                               \
                        NAME(store)(y + i * y_row + j * y_col, NAME(larger)(least, o[j]));                             \
                    }                                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
        if (activation > FC_RELU)                                                                                      \
            for (ptrdiff_t i = 0; i < rows; i++)                                                                       \
                NAME(activate_rows)(&steps->activation, y - 4 * tiles * y_col + i * y_row, y_col, cols, LANES);        \
        int finite = 1;                                                                                                \
        for (int l = 0; l < LANES; l++) finite &= odd[l] == 0;                                                         \
        return finite;                                                                                                 \
    }

WINOGRAD(f43, 6, 6, 3, 4)
WINOGRAD(f45, 8, 8, 5, 4)
WINOGRAD(f43s2, 9, 6, 3, 8)
WINOGRAD(f42, 5, 5, 2, 4)

/* Patches of neighbouring tiles have a row or a column in common, in which they are added up: first those beside each other, then
 * those of the row of tiles above. */
static int NAME(f43s2_patches)(const fc_winograd_steps *steps, const T *m, T *restrict y, ptrdiff_t tiles, int below) {
    const ptrdiff_t point_stride = steps->m_point, tile_stride = steps->m_tile, y_row = steps->y_row;
    V odd = {0};
    for (ptrdiff_t t = 0; t < tiles; t++, m += tile_stride, y += 8 * LANES) {
        V z[9][9];
        UNROLL for (int j = 0; j < 9; j++) {
            V q[9], o[9];
            UNROLL for (int i = 0; i < 9; i++) q[i] = NAME(load)(m + (i * 9 + j) * point_stride);
            NAME(f43s2_patch)(o, q);
            UNROLL for (int i = 0; i < 9; i++) z[i][j] = o[i];
        }
        for (int i = 0; i < 9; i++) {
            T *row = y + i * y_row;
            const int meets_row = below && i == 0;
            V o[9];
            NAME(f43s2_patch)(o, z[i]);
            UNROLL for (int j = 0; j < 9; j++) odd += o[j] * 0;
            if (t || meets_row) o[0] += NAME(load)(row);
            if (meets_row) UNROLL for (int j = 1; j < 9; j++) o[j] += NAME(load)(row + j * LANES);
            UNROLL for (int j = 0; j < 9; j++) NAME(store)(row + j * LANES, o[j]);
        }
    }
    int finite = 1;
    for (int l = 0; l < LANES; l++) finite &= odd[l] == 0;
    return finite;
}

/* Single precision alone: there is no other weight gradient by this algorithm. */
#undef WINOGRAD_WEIGHTS
#if BITS == 32
#define TRANSFORM_WEIGHTS(scheme, U, R)                                                                                \
    static int NAME(scheme##_weights)(const T *u, ptrdiff_t vectors, T *restrict w, ptrdiff_t point_stride) {          \
        enum { TAPS = R * R, BLOCKS = (TAPS + LANES - 1) / LANES };                                                    \
        V odd = {0};                                                                                                   \
        for (ptrdiff_t v = 0; v < vectors; v++, u += LANES, w += TAPS * LANES) {                                       \
            V z[R][U], taps[BLOCKS * LANES];                                                                           \
            UNROLL for (int j = 0; j < U; j++) {                                                                       \
                V q[U], o[R];                                                                                          \
                UNROLL for (int i = 0; i < U; i++) q[i] = NAME(load)(u + (i * U + j) * point_stride);                  \
                NAME(scheme##_weight)(o, q);                                                                           \
                UNROLL for (int i = 0; i < R; i++) z[i][j] = o[i];                                                     \
            }                                                                                                          \
            UNROLL for (int i = 0; i < R; i++) NAME(scheme##_weight)(taps + i * R, z[i]);                              \
            UNROLL for (int i = 0; i < TAPS; i++) odd += taps[i] * 0;                                                  \
            UNROLL for (int i = TAPS; i < BLOCKS * LANES; i++) taps[i] = (V){0};                                       \
            UNROLL for (int b = 0; b < BLOCKS; b++) NAME(transpose_block)(taps + b * LANES);                           \
            /* in ascending order: what runs over the taps of a channel is overwritten by the next one's */            \
            for (int c = 0; c < LANES; c++)                                                                            \
                UNROLL for (int b = 0; b < BLOCKS; b++) NAME(store)(w + c * TAPS + b * LANES, taps[b * LANES + c]);    \
        }                                                                                                              \
        int finite = 1;                                                                                                \
        for (int l = 0; l < LANES; l++) finite &= odd[l] == 0;                                                         \
        return finite;                                                                                                 \
    }
TRANSFORM_WEIGHTS(f43, 6, 3)
TRANSFORM_WEIGHTS(f45, 8, 5)
TRANSFORM_WEIGHTS(f43s2, 6, 3)
TRANSFORM_WEIGHTS(f42, 5, 2)
#define WINOGRAD_WEIGHTS(scheme) NAME(scheme##_weights)
#else
#define WINOGRAD_WEIGHTS(scheme) NULL
#endif

#define WINOGRAD_SCHEME(scheme, P, U, R, STEP)                                                                         \
    {.points = P,                                                                                                      \
     .filter_points = U,                                                                                               \
     .taps = R,                                                                                                        \
     .step = STEP,                                                                                                     \
     .inputs = NAME(scheme##_inputs),                                                                                  \
     .filters = NAME(scheme##_filters),                                                                                \
     .outputs = NAME(scheme##_outputs),                                                                                \
     .gradients = NAME(scheme##_gradients),                                                                            \
     .weights = WINOGRAD_WEIGHTS(scheme)}

/* The products of one point for narrow groups, of d channels and d filters each, as many as fit into a vector side by side: a lane
 * meets the channels of its own group, one in each step.
 *
 *   for tile: for p < d: m[tile][l] += v[tile][l / d * d + p] * u[p][l]
 *
 * U stays in registers. Lanes are moved from register to register; but with AVX-512 shuffles share a port with multiplications, so
 * there the halves of a vector of two groups are computed apart, each from channels that loads broadcast (groups of 8 on Zen 4:
 * 2.5 ns a tile, with shuffles 3.1; as one group with zeros for the channels of others 4.5). */
INLINE void NAME(group_tiles)(int d, int n, const T *v, const V *u, T *m) {
    V acc[2];
    UNROLL for (int i = 0; i < n; i++) acc[i] = (V){0};
    UNROLL for (int p = 0; p < d; p++) UNROLL for (int i = 0; i < n; i++)
        acc[i] += NAME(pick)(v + i * LANES, (M){LANE_NUMBERS} / d * d + p) * u[p];
    UNROLL for (int i = 0; i < n; i++) NAME(store)(m + i * LANES, acc[i]);
}
#define GROUP_PRODUCTS(d)                                                                                              \
    static void NAME(group_products_##d)(ptrdiff_t tiles, const T *restrict v, const T *restrict u, T *restrict m,     \
                                         const T *ahead) {                                                             \
        V own[d];                                                                                                      \
        UNROLL for (int p = 0; p < d; p++) {                                                                           \
            own[p] = NAME(load)(u + p * LANES);                                                                        \
            PREFETCH(ahead, p * LANES, 0, 3);                                                                          \
        }                                                                                                              \
        for (; tiles >= 2; tiles -= 2, v += 2 * LANES, m += 2 * LANES) NAME(group_tiles)(d, 2, v, own, m);             \
        if (tiles) NAME(group_tiles)(d, 1, v, own, m);                                                                 \
    }

#if defined(__AVX512F__)
INLINE void NAME(half_tiles)(int n, const T *v, NAME(half) (*u)[LANES / 2], T *m) {
    enum { HALF = LANES / 2 };
    NAME(half) acc[2][2];
    UNROLL for (int i = 0; i < n; i++) acc[i][0] = acc[i][1] = (NAME(half)){0};
    UNROLL for (int p = 0; p < HALF; p++) UNROLL for (int i = 0; i < n; i++) UNROLL for (int h = 0; h < 2; h++)
        acc[i][h] += (v[i * LANES + h * HALF + p] - (NAME(half)){0}) * u[h][p];
    UNROLL for (int i = 0; i < n; i++) UNROLL for (int h = 0; h < 2; h++) *
        (NAME(half) *)(m + i * LANES + h * HALF) = acc[i][h];
}
static void NAME(group_products_half)(ptrdiff_t tiles, const T *restrict v, const T *restrict u, T *restrict m,
                                      const T *ahead) {
    NAME(half) own[2][LANES / 2];
    UNROLL for (int p = 0; p < LANES / 2; p++) {
        UNROLL for (int h = 0; h < 2; h++) own[h][p] = *(const NAME(half) *)(u + p * LANES + h * LANES / 2);
        PREFETCH(ahead, p * LANES, 0, 3);
    }
    for (; tiles >= 2; tiles -= 2, v += 2 * LANES, m += 2 * LANES) NAME(half_tiles)(2, v, own, m);
    if (tiles) NAME(half_tiles)(1, v, own, m);
}
#endif

#undef GROUP_PRODUCTS_TABLE
GROUP_PRODUCTS(1)
#if LANES == 2
#define GROUP_PRODUCTS_TABLE {NULL, NAME(group_products_1)}
#elif LANES == 4
GROUP_PRODUCTS(2)
#define GROUP_PRODUCTS_TABLE {NULL, NAME(group_products_1), NAME(group_products_2)}
#elif LANES == 8
GROUP_PRODUCTS(2) GROUP_PRODUCTS(3)
#if defined(__AVX512F__)
#define GROUP_PRODUCTS_TABLE                                                                                           \
    {NULL, NAME(group_products_1), NAME(group_products_2), NAME(group_products_3), NAME(group_products_half)}
#else
GROUP_PRODUCTS(4)
#define GROUP_PRODUCTS_TABLE                                                                                           \
    {NULL, NAME(group_products_1), NAME(group_products_2), NAME(group_products_3), NAME(group_products_4)}
#endif
#else
GROUP_PRODUCTS(2) GROUP_PRODUCTS(3) GROUP_PRODUCTS(4) GROUP_PRODUCTS(5) GROUP_PRODUCTS(6) GROUP_PRODUCTS(7)
#define GROUP_PRODUCTS_TABLE                                                                                           \
    {NULL,                                                                                                             \
     NAME(group_products_1),                                                                                           \
     NAME(group_products_2),                                                                                           \
     NAME(group_products_3),                                                                                           \
     NAME(group_products_4),                                                                                           \
     NAME(group_products_5),                                                                                           \
     NAME(group_products_6),                                                                                           \
     NAME(group_products_7),                                                                                           \
     NAME(group_products_half)}
#endif

#undef A1
#undef B1
#undef A2
#undef B2
#undef NA
#undef NB
