"""The padded band: see band.pyx."""
from cython cimport floating

cdef enum Padding:      # as geometry.PADDING_MODES names them
    CONSTANT = 0
    REFLECT = 1
    REPLICATE = 2
    CIRCULAR = 3
    SYMMETRIC = 4


cdef inline Py_ssize_t source(Py_ssize_t i, Py_ssize_t n, int padding) noexcept nogil:
    """The coordinate inside 0 .. n - 1 that stands for i, or -1 for the padding value. An image is mirrored, or
    repeated, again and again, as far as i goes."""
    if 0 <= i < n:
        return i
    if padding == CONSTANT:
        return -1
    if padding == REPLICATE:
        return 0 if i < 0 else n - 1
    if padding == CIRCULAR:
        i %= n
        return i + n if i < 0 else i
    if padding == SYMMETRIC:
        i %= 2 * n
        if i < 0:
            i += 2 * n
        return i if i < n else 2 * n - 1 - i
    if n == 1:
        return 0
    i %= 2 * (n - 1)
    if i < 0:
        i += 2 * (n - 1)
    return i if i < n else 2 * (n - 1) - i


# Rows, or columns, of the source plane that a block's outputs need, as pieces: output i with filter tap t finds its
# source at element t * dilation // stride + i of piece t % period, or, where taps share nothing, at element i of piece
# t.
cdef struct Axis:
    Py_ssize_t extent                # of the source plane
    Py_ssize_t start                 # source coordinate of output 0 with tap 0; may lie outside the plane
    Py_ssize_t outputs, taps, stride, dilation
    Py_ssize_t pieces, length        # of each piece
    Py_ssize_t period                # taps after which pieces come again; 0 where they share nothing

cdef struct Band:
    Axis rows, cols
    Py_ssize_t row_stride, col_stride    # of the source plane, in elements
    int padding
    Py_ssize_t pitch                     # elements from one row to the next
    Py_ssize_t channel_pitch             # elements from one channel to the next, slack for whole vectors included

cdef Axis axis(Py_ssize_t extent, Py_ssize_t outputs, Py_ssize_t taps, Py_ssize_t stride,
               Py_ssize_t dilation) noexcept nogil
cdef void layout(Band *band, Py_ssize_t slack) noexcept nogil
cdef void tap_offsets(const Band *band, Py_ssize_t *taps) noexcept nogil
cdef void fill(const Band *band, const floating *x, Py_ssize_t channel_stride, Py_ssize_t channels, floating value,
               floating *dst) noexcept nogil
cdef void fill_pixels(const Band *band, const floating *x, Py_ssize_t channels, floating value,
                      floating *dst) noexcept nogil
