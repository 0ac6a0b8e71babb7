"""The gradient of a bias: grad_output summed over images and pixels.

    parallel for channel: for image, row: a vectorised sum, its total kept in double precision

    parallel for chunk of the pixels: for block of pixels: a vectorised sum for each channel, totals in double precision
    add the chunks' totals up, in order                                                        (channels side by side)
"""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport mean_channels, sum_of_run
from fastconv._core.runtime.kernels cimport fc_window
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.problem.problem cimport ceildiv, elements, rounded

cnp.import_array()

cdef enum:
    BLOCK_BYTES = 16 << 10    # of grad_output, summed in its own precision
    MOST_PIXELS = 256         # of a block
    MOST_CHUNKS = 32
    MOST_FILTERS = 16384      # whose totals are kept at a time, where they lie side by side: 4 MB


# Sizes and strides of grad_output, in elements. Where filters lie side by side a block is at most `pixels` of a row,
# and each chunk of the blocks has its totals, row_size apart.
cdef struct BiasCall:
    const void *dy
    void *grad_bias
    Py_ssize_t filters, images, rows, cols
    Py_ssize_t sn, sk, sh, sw
    Py_ssize_t pixels, blocks, chunks, row_size
    double *totals


def bias_gradient(cnp.ndarray grad_output, cnp.ndarray grad_bias):
    """grad_bias[k] = the sum of grad_output (N, K, OH, OW), with any strides, over images and pixels; grad_bias is
    contiguous."""
    cdef Py_ssize_t k, size = cnp.PyArray_ITEMSIZE(grad_output)
    cdef BiasCall call
    call.images, call.filters = cnp.PyArray_DIM(grad_output, 0), cnp.PyArray_DIM(grad_output, 1)
    call.rows, call.cols = cnp.PyArray_DIM(grad_output, 2), cnp.PyArray_DIM(grad_output, 3)
    call.sn = elements(cnp.PyArray_STRIDE(grad_output, 0), size)
    call.sk = elements(cnp.PyArray_STRIDE(grad_output, 1), size)
    call.sh = elements(cnp.PyArray_STRIDE(grad_output, 2), size)
    call.sw = elements(cnp.PyArray_STRIDE(grad_output, 3), size)
    if call.images == 0 or call.rows == 0 or call.cols == 0:
        grad_bias.fill(0)
        return
    if call.filters == 0:
        return
    if call.sk == 1 and call.filters > MOST_FILTERS:
        for k in range(0, call.filters, MOST_FILTERS):
            bias_gradient(grad_output[:, k:k + MOST_FILTERS], grad_bias[k:k + MOST_FILTERS])
        return
    call.dy, call.grad_bias = cnp.PyArray_DATA(grad_output), cnp.PyArray_DATA(grad_bias)
    if cnp.PyArray_TYPE(grad_output) == cnp.NPY_FLOAT:
        add_up(&call, <float *>call.grad_bias)
    else:
        add_up(&call, <double *>call.grad_bias)


cdef add_up(BiasCall *call, floating *grad_bias):
    cdef int team
    if call.rows == 1 or call.cols == 1 or call.sh == call.cols * call.sw:
        call.sw = call.sh if call.cols == 1 else call.sw
        call.rows, call.cols = 1, call.rows * call.cols
    if call.sk == 1 and call.filters > 1:
        if call.rows == 1 and (call.cols == 1 or call.sn == call.cols * call.sw):
            call.sw = call.sn if call.cols == 1 else call.sw
            call.images, call.cols = 1, call.images * call.cols
        sum_pixels(call, grad_bias)
    else:
        team = threads.team(0.3 * call.images * call.filters * call.rows * call.cols)
        with nogil:
            in_parallel(sum_planes[floating], call, call.filters, team, EVENLY, grad_bias, 0)


cdef void sum_planes(const void *data, Py_ssize_t k, floating *unused) noexcept nogil:
    """One filter's planes."""
    cdef const BiasCall *call = <const BiasCall *>data
    cdef const floating *row
    cdef double total = 0
    cdef Py_ssize_t n, h, w
    for n in range(call.images):
        for h in range(call.rows):
            row = <const floating *>call.dy + k * call.sk + n * call.sn + h * call.sh
            if call.sw == 1:
                total += sum_of_run(row, call.cols)
            else:
                for w in range(call.cols):
                    total += row[w * call.sw]
    (<floating *>call.grad_bias)[k] = <floating>total


cdef sum_pixels(BiasCall *call, floating *grad_bias):
    """For filters side by side in memory."""
    cdef Py_ssize_t size = sizeof(floating), filters = call.filters, chunk, k
    cdef int team = threads.team(0.1 * call.images * filters * call.rows * call.cols)
    call.pixels = max(8, min(MOST_PIXELS, BLOCK_BYTES // (filters * size)))
    call.blocks = call.images * call.rows * ceildiv(call.cols, call.pixels)
    call.chunks, call.row_size = min(call.blocks, MOST_CHUNKS), rounded(filters)
    cdef Block memory = take(call.chunks * call.row_size * sizeof(double) + team * call.row_size * size)
    call.totals = <double *>memory.data
    with nogil:
        in_parallel(sum_chunk[floating], call, call.chunks, team, EVENLY,
                    <floating *>(call.totals + call.chunks * call.row_size), call.row_size)
    for chunk in range(1, call.chunks):
        for k in range(filters):
            call.totals[k] += call.totals[chunk * call.row_size + k]
    for k in range(filters):
        grad_bias[k] = <floating>call.totals[k]


cdef void sum_chunk(const void *data, Py_ssize_t chunk, floating *sums) noexcept nogil:
    """Totals of a chunk of the blocks; sums: those of one block."""
    cdef const BiasCall *call = <const BiasCall *>data
    cdef Py_ssize_t in_row = ceildiv(call.cols, call.pixels), block, row, first, k
    cdef double *totals = call.totals + chunk * call.row_size
    cdef const floating *x
    cdef fc_window pixels
    pixels.row, pixels.column, pixels.count, pixels.far = 0, call.sw, 1, False
    memset(totals, 0, call.filters * sizeof(double))
    for block in range(chunk * call.blocks // call.chunks, (chunk + 1) * call.blocks // call.chunks):
        row, first = block // in_row, block % in_row * call.pixels
        x = <const floating *>call.dy + row // call.rows * call.sn + row % call.rows * call.sh + first * call.sw
        mean_channels(&pixels, x, 1, min(call.pixels, call.cols - first), sums, call.filters)
        for k in range(call.filters):
            totals[k] += sums[k]
