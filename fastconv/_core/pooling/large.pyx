"""Windows of images, the largest of which are pooled in two steps; all others at once (forward.pyx).

A large window of R x S that shares its pixels with others would need a band of so many (banded.pyx), in no cache, or,
where that is too large for a band, R S steps. Its rows are pooled first, each by itself, and then the columns of what
that gave: a row serves all windows that it is in, and either step is a band again, of few pixels, whose cost grows with
the logarithm of a side.

    for image: for block of channels, of rows and of columns of outputs:
        rows of x -> best (or mean) of each of their windows of 1 x S, a buffer of NEAR bytes
        the buffer -> best (or mean) of its windows of R x 1 -> y

The first of equal pixels comes from the first row that has it, and there from the first column, as in one pass; a mean
of means is the mean, as all rows of a window count the same. Threads share the work inside of the two steps.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t

from fastconv._core.pooling.forward cimport channels_are_lanes, pool_planes as pool_at_once
from fastconv._core.pooling.problem cimport new_images
from fastconv._core.pooling.windows cimport PoolAxis, Windows, outputs_of, overlapping, part_of
from fastconv._core.runtime.kernels cimport FC_MAX_LANES

cnp.import_array()

cdef enum:
    BAND = 1 << 13      # elements of a window from which on two steps are faster than one band
    LANES = 4           # channels side by side that count as such elements: a band has few pixels of many
    NEAR = 2 << 20      # bytes of a block of what rows gave: a quarter of the scratch that a call may take

# A block of an image: so many channels, and rows and columns of outputs.
cdef struct LargeLayout:
    Py_ssize_t channels, rows, cols


def pool(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices):
    """Pools an (N, C, H, W) view with any strides into y, and into indices where these are not None: (N, C, OH, OW)
    views of memory without gaps, NCHW or NHWC, both the same. Where x has the other order the results are computed in
    that of x first."""
    pool_planes(x, windows, average, y, indices)


def pooled(cnp.ndarray x, Windows windows, bint average, bint with_indices):
    """The same into new arrays in NCHW order: y, or (y, indices)."""
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1)
    cdef Py_ssize_t oh = windows.rows.outputs, ow = windows.cols.outputs
    cdef cnp.ndarray y = new_images(n, c, oh, ow, False, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray indices = new_images(n, c, oh, ow, False, cnp.NPY_INT64) if with_indices else None
    pool_planes(x, windows, average, y, indices)
    return (y, indices) if with_indices else y


cdef pool_planes(cnp.ndarray x, Windows windows, bint average, cnp.ndarray y, cnp.ndarray indices):
    """`pool`, for other Cython modules."""
    cdef LargeLayout l
    cdef Py_ssize_t n, c, i, j, until
    if not is_large(x, windows) or not lay_out(x, windows, indices is not None, &l):
        pool_at_once(x, windows, average, y, indices)
        return
    for n in range(x.shape[0]):
        for c in range(0, x.shape[1], l.channels):
            until = min(c + l.channels, x.shape[1])
            for i in range(0, windows.rows.outputs, l.rows):
                for j in range(0, windows.cols.outputs, l.cols):
                    pool_block(x[n : n + 1, c:until], windows, &l, average, (i, j), y[n : n + 1, c:until],
                               indices[n : n + 1, c:until] if indices is not None else None)


cdef double reach(const PoolAxis *a, Py_ssize_t outputs) noexcept:
    """From where the first window of so many outputs begins to where the last one ends."""
    return <double>(outputs - 1) * a.stride + <double>(a.kernel_size - 1) * a.dilation + 1


cdef bint is_large(cnp.ndarray x, Windows windows) noexcept:
    cdef Py_ssize_t lanes = min(cnp.PyArray_DIM(x, 1), LANES) if channels_are_lanes(x) else 1
    return (windows.rows.kernel_size > 1 and windows.cols.kernel_size > 1
            and reach(&windows.rows, 1) * reach(&windows.cols, 1) * lanes > BAND
            and overlapping(&windows.rows, &windows.cols))


cdef bint lay_out(cnp.ndarray x, Windows windows, bint with_indices, LargeLayout *l) noexcept:
    """False where no block is small enough. Blocks are several times as wide, and as high, as what they share with the
    next, if they can be."""
    cdef PoolAxis *rows = &windows.rows
    cdef PoolAxis *cols = &windows.cols
    cdef Py_ssize_t fewest = FC_MAX_LANES if channels_are_lanes(x) else 1
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x) + (8 if with_indices else 0)
    l.channels, l.rows, l.cols = cnp.PyArray_DIM(x, 1), rows.outputs, cols.outputs
    while min(reach(rows, l.rows), <double>rows.size) * l.cols * l.channels * size > NEAR:
        if l.channels > fewest:
            l.channels = max(fewest, (l.channels + 1) // 2)
        elif l.cols > 1 and <double>l.cols * cols.stride > reach(cols, 1):
            l.cols = (l.cols + 1) // 2
        elif l.rows > 1 and <double>l.rows * rows.stride > reach(rows, 1):
            l.rows = (l.rows + 1) // 2
        elif l.cols > 1:
            l.cols = (l.cols + 1) // 2
        elif l.rows > 1:
            l.rows = (l.rows + 1) // 2
        elif l.channels > 1:
            l.channels = (l.channels + 1) // 2
        else:
            return False
    return True


cdef pool_block(cnp.ndarray x, Windows windows, const LargeLayout *l, bint average, tuple at, cnp.ndarray y,
                cnp.ndarray indices):
    """Of an image's channels; at: the first output."""
    cdef Py_ssize_t i = at[0], j = at[1]
    cdef PoolAxis rows = outputs_of(&windows.rows, i, min(i + l.rows, windows.rows.outputs))
    cdef PoolAxis cols = outputs_of(&windows.cols, j, min(j + l.cols, windows.cols.outputs))
    cdef Py_ssize_t first = max(rows.start, 0)
    cdef Py_ssize_t height = <Py_ssize_t>min(<double>rows.size, rows.start + reach(&rows, rows.outputs)) - first
    cdef PoolAxis each_row = one_by_one(height), each_column = one_by_one(cols.outputs)
    cdef bint channels_last = channels_are_lanes(x)
    cdef cnp.ndarray best = new_images(1, x.shape[1], height, cols.outputs, channels_last, cnp.PyArray_TYPE(x))
    cdef cnp.ndarray found = None
    outputs = (slice(None), slice(None), slice(i, i + rows.outputs), slice(j, j + cols.outputs))
    rows.size, rows.start = height, rows.start - first
    if rows.end:
        rows.end -= first
    if indices is not None:
        found = new_images(1, x.shape[1], height, cols.outputs, channels_last, cnp.NPY_INT64)
        indices = indices[outputs]
    pool_at_once(x[:, :, first : first + height], part_of(&each_row, &cols), average, best, found)
    pool_at_once(best, part_of(&rows, &each_column), average, y[outputs], indices)
    if indices is not None:
        set_positions(found[0], first * x.shape[3], indices[0])


cdef void set_positions(const int64_t[:, :, :] found, int64_t first, int64_t[:, :, :] indices) noexcept:
    """What were positions in the buffer become those in the image, of which `first` is the buffer's."""
    cdef Py_ssize_t c, i, j, width = found.shape[2]
    for c in range(indices.shape[0]):
        for i in range(indices.shape[1]):
            for j in range(indices.shape[2]):
                indices[c, i, j] = first + found[c, indices[c, i, j] // width, indices[c, i, j] % width]


cdef PoolAxis one_by_one(Py_ssize_t size) noexcept:
    """Windows of one pixel each, which averages leave as they are."""
    cdef PoolAxis a
    a.size = a.outputs = a.total = size
    a.kernel_size = a.stride = a.dilation = a.divisor = 1
    a.rest = a.skipped = a.start = a.end = 0
    return a
