"""Depthwise convolution with channels in the vector lanes: see depthwise_channels.pyx."""
from cython cimport floating

from fastconv._core.memory cimport Block

# Outputs first, first + step, ... of a row or column of outputs, and where their part of the table of offsets begins.
cdef struct Piece:
    Py_ssize_t first, count, table


# One direction: what is cut into pieces, and where each position of a piece lies in the image.
cdef struct Axis:
    Py_ssize_t taps
    Py_ssize_t step            # from one output of a piece to the next
    Py_ssize_t stride          # positions from one output to the next: output i meets tap t at i * stride + t
    Py_ssize_t pieces, longest   # how many; positions of the longest
    Piece *piece
    Py_ssize_t *offsets        # of each position of each piece, in elements, or FC_OUTSIDE


cdef struct Shape:
    Py_ssize_t n, c, k, multiplier, h, w, r, s, oh, ow, taps
    Py_ssize_t xn, xc, xh, xw, yn, yk, yh, yw, wk, wr, ws
    Py_ssize_t lanes, blocks   # vectors of filters; the last one overlaps the one before, where there is one
    Py_ssize_t groups          # of blocks: units of work of their own
    Axis rows, columns
    bint sliding               # the kernels that slide serve this filter
    bint in_place              # ... and read x itself: no band
    Py_ssize_t band_row        # elements from one row of the band to the next
    Py_ssize_t band_size
    Py_ssize_t *band_columns   # where the band's columns are in a row, as a table
    Py_ssize_t *taps_at        # where the band has what output (0, 0) meets
    Py_ssize_t ahead           # from a row of x to what is read one piece later, where that is worth a prefetch
    int activation
    double slope


cdef bint channels_in_lanes(const Py_ssize_t *x_strides, const Py_ssize_t *y_shape, const Py_ssize_t *y_strides, Py_ssize_t size,
                            int lanes) noexcept
cdef list lay_out(Shape *g, const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *w_strides,
                  const Py_ssize_t *y, const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation,
                  tuple origin, int padding)
cdef convolve(const Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value)
cdef correlate(const Shape *g, const floating *x, const floating *dy, floating *gradient, floating value)
