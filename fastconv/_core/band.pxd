"""The padded band: see band.pyx."""
from cython cimport floating

cdef enum Padding:
    CONSTANT = 0
    REFLECT = 1
    REPLICATE = 2
    CIRCULAR = 3

cdef struct Band:
    # the plane it is read from, in elements
    Py_ssize_t height, width, row_stride, col_stride
    int padding
    # the rows and columns of it that a block of rows x cols outputs needs
    Py_ssize_t rows, cols                 # outputs
    Py_ssize_t r, s                       # filter
    Py_ssize_t stride_h, stride_w, dilation_h, dilation_w
    Py_ssize_t row0, col0                 # source coordinates of the first row and column; may lie outside the plane
    # its layout, from layout()
    Py_ssize_t group                      # rows that one filter row needs
    Py_ssize_t tap_row                    # rows from one filter row's to the next one's
    Py_ssize_t band_rows, band_cols
    Py_ssize_t phase_pitch                # elements from one column phase to the next
    Py_ssize_t pitch                      # elements from one row to the next
    Py_ssize_t channel_pitch              # elements from one channel to the next, slack for whole vectors included

cdef void layout(Band *band, Py_ssize_t slack) noexcept nogil
cdef void tap_offsets(const Band *band, Py_ssize_t *taps) noexcept nogil
cdef void fill(const Band *band, const floating *x, Py_ssize_t channel_stride, Py_ssize_t channels, floating value,
               floating *dst) noexcept nogil
