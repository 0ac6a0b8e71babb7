"""The gradient of a bias: grad_output summed over images and pixels.

    parallel for channel: for image, row: a vectorised sum, its total kept in double precision

    parallel for chunk of the pixels: for block of pixels: a vectorised sum for each channel, totals in double precision
    add the chunks' totals up, in order                                                        (channels side by side)
"""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memset

from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.problem.problem cimport ceildiv, rounded

cdef enum:
    BLOCK_BYTES = 16 << 10    # of grad_output, summed in its own precision
    MOST_PIXELS = 256         # of a block
    MOST_CHUNKS = 32
    MOST_FILTERS = 16384      # whose totals are kept at a time, where they lie side by side: 4 MB


def bias_gradient(const floating[:, :, :, :] grad_output, floating[::1] grad_bias):
    """grad_bias[k] = the sum of grad_output over images and pixels."""
    cdef Py_ssize_t k, size = sizeof(floating)
    cdef Py_ssize_t images = grad_output.shape[0], filters = grad_output.shape[1]
    cdef Py_ssize_t rows = grad_output.shape[2], cols = grad_output.shape[3]
    cdef Py_ssize_t sn = grad_output.strides[0] // size, sk = grad_output.strides[1] // size
    cdef Py_ssize_t sh = grad_output.strides[2] // size, sw = grad_output.strides[3] // size
    cdef const floating *dy
    if images == 0 or rows == 0 or cols == 0:
        grad_bias[:] = 0
        return
    if filters == 0:
        return
    dy = &grad_output[0, 0, 0, 0]
    if rows == 1 or cols == 1 or sh == cols * sw:
        sw = sh if cols == 1 else sw
        rows, cols = 1, rows * cols
    if sk == 1 and filters > MOST_FILTERS:
        for k in range(0, filters, MOST_FILTERS):
            bias_gradient(grad_output[:, k:k + MOST_FILTERS], grad_bias[k:k + MOST_FILTERS])
        return
    if sk == 1 and filters > 1:
        if rows == 1 and (cols == 1 or sn == cols * sw):
            sw = sn if cols == 1 else sw
            images, cols = 1, images * cols
        sum_pixels(dy, &grad_bias[0], filters, images, rows, cols, sn, sh, sw)
        return
    cdef int team = threads.team(0.3 * images * filters * rows * cols)
    for k in prange(filters, num_threads=team, schedule="static", nogil=True):
        grad_bias[k] = <floating>sum_plane(dy + k * sk, images, rows, cols, sn, sh, sw)


cdef double sum_plane(const floating *x, Py_ssize_t images, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t sn, Py_ssize_t sh,
                      Py_ssize_t sw) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t n, h, w
    for n in range(images):
        for h in range(rows):
            if sw == 1:
                if floating is float:
                    total += kernels.f32.sum(x + n * sn + h * sh, cols)
                else:
                    total += kernels.f64.sum(x + n * sn + h * sh, cols)
            else:
                for w in range(cols):
                    total += x[n * sn + h * sh + w * sw]
    return total


cdef sum_pixels(const floating *dy, floating *grad_bias, Py_ssize_t filters, Py_ssize_t images, Py_ssize_t rows, Py_ssize_t cols,
                Py_ssize_t sn, Py_ssize_t sh, Py_ssize_t sw):
    """For filters side by side in memory."""
    cdef Py_ssize_t size = sizeof(floating), most = max(8, min(MOST_PIXELS, BLOCK_BYTES // (filters * size)))
    cdef Py_ssize_t blocks = images * rows * ceildiv(cols, most), chunks = min(blocks, MOST_CHUNKS), chunk, k
    cdef int team = threads.team(0.1 * images * filters * rows * cols)
    cdef Py_ssize_t row_size = rounded(filters)
    cdef Block memory = take(chunks * row_size * sizeof(double) + team * row_size * size)
    cdef double *totals = <double *>memory.data
    cdef floating *sums = <floating *>(totals + chunks * row_size)
    for chunk in prange(chunks, num_threads=team, schedule="static", nogil=True):
        sum_blocks(dy, filters, rows, cols, sn, sh, sw, most, chunk * blocks // chunks, (chunk + 1) * blocks // chunks,
                   sums + threadid() * row_size, totals + chunk * row_size)
    for chunk in range(1, chunks):
        for k in range(filters):
            totals[k] += totals[chunk * row_size + k]
    for k in range(filters):
        grad_bias[k] = <floating>totals[k]


cdef void sum_blocks(const floating *dy, Py_ssize_t filters, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t sn, Py_ssize_t sh,
                     Py_ssize_t sw, Py_ssize_t most, Py_ssize_t begin, Py_ssize_t end, floating *sums, double *totals) noexcept nogil:
    """Totals of the blocks from begin until end; a block is at most `most` pixels of a row."""
    cdef Py_ssize_t in_row = ceildiv(cols, most), block, row, first, k
    cdef const floating *x
    memset(totals, 0, filters * sizeof(double))
    for block in range(begin, end):
        row, first = block // in_row, block % in_row * most
        x = dy + row // rows * sn + row % rows * sh + first * sw
        if floating is float:
            kernels.f32.mean_channels(x, 0, sw, 1, min(most, cols - first), 1, sums, filters)
        else:
            kernels.f64.mean_channels(x, 0, sw, 1, min(most, cols - first), 1, sums, filters)
        for k in range(filters):
            totals[k] += sums[k]
