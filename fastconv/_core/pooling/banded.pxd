"""Windows from a padded band: see banded.pyx."""
from cython cimport floating

from fastconv._core.pooling.problem cimport PoolProblem

# How the work is cut into units: of an image, a block of `planes` channels, a block of `rows` rows and one of `cols`
# columns of outputs. In a thread's scratch are tables, then three buffers; all in elements.
cdef struct BandLayout:
    bint average
    bint lanes                    # whether channels are neighbours in memory, and in the band
    const PoolProblem *shares     # of a gradient: the average that shares out what x is here; else NULL
    Py_ssize_t rows, row_blocks, cols, col_blocks, planes, groups, units
    Py_ssize_t columns_at, band_at, buffer, scratch_size

# False where no block is small enough for a band.
cdef bint lay_out_band(const PoolProblem *g, BandLayout *l, Py_ssize_t size) noexcept
cdef pool_from_bands(const PoolProblem *g, const BandLayout *l, floating *unused)
