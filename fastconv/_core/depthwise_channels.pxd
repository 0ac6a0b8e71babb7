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
    Py_ssize_t lanes
    Py_ssize_t pixels          # that lie in one vector, side by side in x and y: more than one where there are few channels
    Py_ssize_t shift           # where the second vector of channels begins
    Py_ssize_t blocks          # vectors of channels; the last one may overlap the one before, and the first one the second
    Py_ssize_t groups          # of blocks: units of work of their own
    Axis rows, columns
    int strides                # index of the kernels that slide, -1 where they do not serve this filter
    bint in_place              # they read x itself: no band
    Py_ssize_t pitch, tap      # elements from one row, and one column, of the band to the next
    Py_ssize_t band_size
    Py_ssize_t *band_columns   # where the band's columns are in a row, as a table
    Py_ssize_t ahead           # from a row of x to what is read one piece later, where that is worth a prefetch
    int activation
    double slope


cdef bint channels_in_lanes(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *y, const Py_ssize_t *y_strides,
                            Py_ssize_t size, int lanes, Py_ssize_t stride_w, Py_ssize_t dilation_w) noexcept
cdef list lay_out(Shape *g, const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *w_strides,
                  const Py_ssize_t *y, const Py_ssize_t *y_strides, Py_ssize_t size, int lanes, tuple stride, tuple dilation,
                  tuple origin, int padding)
cdef convolve(Shape *g, const floating *x, const floating *w, const floating *bias, Py_ssize_t bias_step, floating *y,
              floating value)
cdef correlate(Shape *g, const floating *x, const floating *dy, floating *gradient, floating value)
