"""Bands of channel vectors: see lanes.pyx."""
from cython cimport floating

from fastconv._core.problem.problem cimport Problem

# Rows and columns of source coordinates, each pixel one vector of channels, or just its channels if they are fewer.
cdef struct LaneBand:
    Py_ssize_t row0, rows, col0, cols    # may lie outside the plane
    Py_ssize_t pixel, pitch              # elements from one pixel, one row to the next
    Py_ssize_t first, last               # band columns inside the plane

cdef LaneBand lane_band(const Problem *g, Py_ssize_t col0, Py_ssize_t cols, Py_ssize_t pixel) noexcept nogil
cdef bint fits_closely(const Problem *g, int lanes) noexcept nogil
cdef Py_ssize_t position_count(const Problem *g, Py_ssize_t rows, Py_ssize_t cols) noexcept nogil
cdef void lane_positions(const Problem *g, const LaneBand *band, Py_ssize_t rows, Py_ssize_t *at) noexcept nogil
cdef void fill_lanes(const Problem *g, const LaneBand *band, const floating *x, int channels, floating value,
                     const Py_ssize_t *at, floating *dst) noexcept nogil
cdef void store_lanes(const Problem *g, floating *y, int channels, Py_ssize_t rows, Py_ssize_t cols,
                      const floating *src, Py_ssize_t step) noexcept nogil
cdef void add_lanes(const Problem *g, const floating *y, int channels, Py_ssize_t rows, Py_ssize_t cols, floating *dst,
                    Py_ssize_t step) noexcept nogil
cdef void fill_pixels(const Problem *g, const LaneBand *band, Py_ssize_t start, Py_ssize_t stop, const floating *x,
                      Py_ssize_t channels, floating *dst, Py_ssize_t channel_pitch) noexcept nogil
