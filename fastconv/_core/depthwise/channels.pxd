"""Depthwise convolution with channels in the vector lanes: see depthwise_channels.pyx."""
from cython cimport floating

from fastconv._core.runtime.memory cimport Block

# Outputs first, first + step, ... of a row or column of outputs, and where their part of the table of offsets begins.
cdef struct Piece:
    Py_ssize_t first, count, table


# One direction: what is cut into pieces, and where each position of a piece lies in the image.
cdef struct Axis:
    Py_ssize_t taps, outputs
    Py_ssize_t most            # outputs of a piece
    Py_ssize_t step            # from one output of a piece to the next
    Py_ssize_t stride          # positions from one output to the next: output i meets tap t at i * stride + t
    Py_ssize_t pieces, longest, positions   # how many; positions of the longest, of all
    Piece *piece
    Py_ssize_t *offsets        # of each position of each piece, in elements, or FC_OUTSIDE


cdef struct Shape:
    Py_ssize_t n, c, k, multiplier, h, w, r, s, oh, ow, taps
    Py_ssize_t xn, xc, xh, xw, yn, yk, yh, yw, wk, wr, ws
    Py_ssize_t stride_h, stride_w, lanes
    Py_ssize_t pixels          # that lie in one vector, side by side in x and y: more than one where there are few channels
    Py_ssize_t shift           # where the second vector of channels begins
    Py_ssize_t blocks          # vectors of channels; the last one may overlap the one before, and the first one the second
    Py_ssize_t groups          # of blocks: units of work of their own
    Axis rows, columns
    int strides                # index of the kernels that slide, -1 where they do not serve this filter
    bint planes                # channels do not lie side by side: depthwise_planes.pyx transposes, each block by itself
    bint in_place              # the kernels read pixels where they are: no band
    Py_ssize_t pitch, tap      # elements from one row, and one column, of the band to the next
    Py_ssize_t band_size
    Py_ssize_t *band_columns   # where the band's columns are in a row, as a table
    Py_ssize_t ahead           # from a row of x to what is read one piece later, where that is worth a prefetch
    int activation
    double slope


cdef bint channels_in_lanes(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *y, const Py_ssize_t *y_strides,
                            Py_ssize_t size, int lanes, Py_ssize_t stride_w, Py_ssize_t dilation_w) noexcept
cdef void measure(Shape *g, const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *w_strides,
                  const Py_ssize_t *y, const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation,
                  bint planes)
cdef Py_ssize_t table_bytes(const Shape *g) noexcept nogil
cdef list lay_out(Shape *g, tuple origin, int padding)
cdef double work(const Shape *g) noexcept nogil
cdef Py_ssize_t convolve_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil
cdef Py_ssize_t correlate_bytes(const Shape *g, Py_ssize_t size, int team) noexcept nogil
cdef convolve(Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value)
cdef correlate(Shape *g, const floating *x, const floating *dy, floating *gradient, floating value)

# For depthwise_planes.pyx.

# The filters as the kernels take them.
cdef struct Filters:
    void *w            # [block][tap][lane]
    void *bias         # [block][lane]
    void *outside      # a vector of the padding value; behind it there is scratch
    bint idle          # whether padding contributes nothing


cdef Py_ssize_t packed_size(const Shape *g) noexcept nogil
cdef void pack(const Shape *g, const floating *w, const floating *bias, Py_ssize_t bias_step, floating value, floating *memory,
               Filters *filters) noexcept nogil
cdef void slide_piece(const Shape *g, Py_ssize_t n_rows, const Piece *columns, const Py_ssize_t *row_offsets, const floating *x,
                      const Filters *filters, Py_ssize_t block, floating *y, Py_ssize_t y_row, Py_ssize_t y_col,
                      Py_ssize_t lanes) noexcept nogil
cdef void convolve_band(const Shape *g, const Filters *filters, Py_ssize_t block, Py_ssize_t n_rows, Py_ssize_t width, floating *y,
                        Py_ssize_t y_row, Py_ssize_t y_col, Py_ssize_t lanes, const floating *band) noexcept nogil
cdef void slide_weight_piece(const Shape *g, Py_ssize_t n_rows, const Piece *columns, const Py_ssize_t *row_offsets,
                             const floating *x, const floating *outside, const floating *dy, Py_ssize_t dy_row, Py_ssize_t dy_col,
                             Py_ssize_t lanes, floating *sums) noexcept nogil
cdef void correlate_band(const Shape *g, const floating *outside, Py_ssize_t n_rows, Py_ssize_t width, const floating *dy,
                         Py_ssize_t dy_row, Py_ssize_t dy_col, Py_ssize_t lanes, const floating *band, floating *sums) noexcept nogil
cdef enum:
    RUN = 256              # pixels that are added one after the other: see src_c/reduce.h
cdef void add_run(const floating *sums, Py_ssize_t n, double *totals) noexcept nogil
cdef void add_up(const Shape *g, Py_ssize_t chunks, Py_ssize_t chunk_size, floating *sums, floating *gradient) noexcept nogil
