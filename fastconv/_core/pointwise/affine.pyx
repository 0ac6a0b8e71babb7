"""Images seen through an affine map, with bilinear interpolation: what `fastconv.data.RandomAffine` does to each image.

    parallel for image: for channel: the plane with a frame around it (L1, L2)
        for row, column: where it looks, and the four pixels there, mixed

The frame, one pixel before and two behind, holds the value of everything outside, and what looks further away looks at
it: so the four pixels around every point exist, and no pixel needs a test whether it lies inside.
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

# About the nanoseconds of a pixel, for the thread policy.
cdef double PIXEL = 4


# Images (n, channels, height, width) and results, C-contiguous. The pixel in row i and column j of image m looks at row
# row_of_row[m][i] + row_of_col[m][j] of the framed plane, and so for the column.
cdef struct AffineCall:
    const void *images
    void *out
    const void *row_of_row
    const void *row_of_col
    const void *col_of_row
    const void *col_of_col
    Py_ssize_t channels, height, width, framed
    double fill


def affine(cnp.ndarray images, tuple terms, double fill, cnp.ndarray out):
    """Fills `out`; terms are row_of_row (n, height), row_of_col (n, width), col_of_row and col_of_col; all of one
    dtype, C-contiguous."""
    cdef AffineCall call
    cdef cnp.ndarray row_of_row, row_of_col, col_of_row, col_of_col
    row_of_row, row_of_col, col_of_row, col_of_col = terms
    call.images, call.out = cnp.PyArray_DATA(images), cnp.PyArray_DATA(out)
    call.row_of_row, call.row_of_col = cnp.PyArray_DATA(row_of_row), cnp.PyArray_DATA(row_of_col)
    call.col_of_row, call.col_of_col = cnp.PyArray_DATA(col_of_row), cnp.PyArray_DATA(col_of_col)
    call.channels = cnp.PyArray_DIM(images, 1)
    call.height, call.width = cnp.PyArray_DIM(images, 2), cnp.PyArray_DIM(images, 3)
    call.framed = (call.height + 3) * (call.width + 3)
    call.fill = fill
    if cnp.PyArray_TYPE(images) == cnp.NPY_FLOAT:
        run[float](&call, cnp.PyArray_DIM(images, 0), NULL)
    else:
        run[double](&call, cnp.PyArray_DIM(images, 0), NULL)


cdef run(const AffineCall *call, Py_ssize_t images, const floating *unused):
    cdef int threads = team(PIXEL * images * call.channels * call.height * call.width)
    cdef Block scratch = take(threads * call.framed * sizeof(floating))
    with nogil:
        in_parallel(image_unit[floating], call, images, threads, EVENLY, <floating *>scratch.data, call.framed)


cdef void image_unit(const void *data, Py_ssize_t image, floating *frame) noexcept nogil:
    cdef const AffineCall *call = <const AffineCall *>data
    cdef Py_ssize_t h = call.height, w = call.width, pitch = w + 3, channel, i, j
    cdef const floating *plane
    cdef const floating *row_of_col = <const floating *>call.row_of_col + image * w
    cdef const floating *col_of_col = <const floating *>call.col_of_col + image * w
    cdef floating *out
    cdef floating row, col
    for channel in range(call.channels):
        plane = <const floating *>call.images + (image * call.channels + channel) * h * w
        out = <floating *>call.out + (image * call.channels + channel) * h * w
        for j in range(call.framed):
            frame[j] = <floating>call.fill
        for i in range(h):
            for j in range(w):
                frame[(i + 1) * pitch + 1 + j] = plane[i * w + j]
        for i in range(h):
            row = (<const floating *>call.row_of_row)[image * h + i]
            col = (<const floating *>call.col_of_row)[image * h + i]
            for j in range(w):
                out[i * w + j] = pixel(frame, pitch, within(row + row_of_col[j], h + 1),
                                       within(col + col_of_col[j], w + 1))


cdef inline floating within(floating place, Py_ssize_t last) noexcept nogil:
    return 0 if place < 0 else last if place > last else place


cdef inline floating pixel(const floating *frame, Py_ssize_t pitch, floating row, floating col) noexcept nogil:
    """What lies there, between four pixels."""
    cdef Py_ssize_t top = <Py_ssize_t>row, left = <Py_ssize_t>col
    cdef const floating *at = frame + top * pitch + left
    cdef floating across = col - left, down = row - top
    cdef floating upper = at[0] + (at[1] - at[0]) * across
    cdef floating lower = at[pitch] + (at[pitch + 1] - at[pitch]) * across
    return upper + (lower - upper) * down
