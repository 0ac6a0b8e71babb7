"""What the weight gradient shares with the product: see gemm.pyx."""
from fastconv._core.problem.band cimport Band
from fastconv._core.problem.blocks cimport PixelBlock
from fastconv._core.runtime.kernels cimport fc_run
from fastconv._core.problem.problem cimport Problem

cdef Band band_of(const Problem *g, Py_ssize_t rows, Py_ssize_t cols, int lanes) noexcept nogil
cdef Py_ssize_t runs_of(const PixelBlock *b, Py_ssize_t first, Py_ssize_t count, Py_ssize_t image_stride,
                        Py_ssize_t row_stride, Py_ssize_t col_stride, fc_run *runs) noexcept nogil
cdef double work(const Problem *g) noexcept nogil    # about the nanoseconds on one thread
