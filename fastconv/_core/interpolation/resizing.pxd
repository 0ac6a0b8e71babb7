"""One resizing of images as the loops see it, forward and backward, and how what is written is cut into units."""
cimport numpy as cnp

from fastconv._core.interpolation.places cimport ResizedAxis, Rule
from fastconv._core.problem.problem cimport ceildiv, elements

cdef enum:
    COLUMNS = 256       # of a unit at most: what is known of each stays in L1
    PIXELS = 8192       # of a unit, about
    THIN = 8            # channels below which a pixel of its own is not worth its loop

# From images x to images y: grad_x and grad_output in the gradient. Strides are in elements. What is written has height
# and width; a unit is so many planes, or one image where channels are neighbours in memory, rows and columns of it.
cdef struct Resizing:
    void *x
    void *y
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yc, yh, yw
    ResizedAxis rows, cols
    bint channels_last
    Py_ssize_t channels, height, width
    Py_ssize_t planes_at_once, rows_at_once, columns_at_once
    Py_ssize_t plane_blocks, row_blocks, column_blocks, units

# What one unit writes: the ends are the first ones that it does not.
cdef struct Area:
    Py_ssize_t image, plane, plane_end, row, row_end, column, column_end


cdef inline Resizing resizing(cnp.ndarray x, cnp.ndarray y, int rule, double row_scale, double column_scale,
                              bint backward) noexcept:
    cdef Resizing r
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x), channels_at_once
    r.x, r.y = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y)
    r.xn, r.xc = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(x, 1), size)
    r.xh, r.xw = elements(cnp.PyArray_STRIDE(x, 2), size), elements(cnp.PyArray_STRIDE(x, 3), size)
    r.yn, r.yc = elements(cnp.PyArray_STRIDE(y, 0), size), elements(cnp.PyArray_STRIDE(y, 1), size)
    r.yh, r.yw = elements(cnp.PyArray_STRIDE(y, 2), size), elements(cnp.PyArray_STRIDE(y, 3), size)
    r.rows.rule = r.cols.rule = <Rule>rule
    r.rows.size, r.rows.outputs, r.rows.scale = cnp.PyArray_DIM(x, 2), cnp.PyArray_DIM(y, 2), row_scale
    r.cols.size, r.cols.outputs, r.cols.scale = cnp.PyArray_DIM(x, 3), cnp.PyArray_DIM(y, 3), column_scale
    r.channels = cnp.PyArray_DIM(x, 1)
    r.channels_last = r.xc == 1 and r.yc == 1 and r.channels >= THIN
    r.height, r.width = (r.rows.size, r.cols.size) if backward else (r.rows.outputs, r.cols.outputs)
    channels_at_once = r.channels if r.channels_last else 1
    r.columns_at_once = min(r.width, COLUMNS)
    r.rows_at_once = max(1, min(r.height, PIXELS // (r.columns_at_once * channels_at_once)))
    r.planes_at_once = r.channels
    if not r.channels_last:
        r.planes_at_once = max(1, min(r.channels, PIXELS // (r.columns_at_once * r.rows_at_once)))
    r.plane_blocks = ceildiv(r.channels, r.planes_at_once)
    r.row_blocks, r.column_blocks = ceildiv(r.height, r.rows_at_once), ceildiv(r.width, r.columns_at_once)
    r.units = cnp.PyArray_DIM(x, 0) * r.plane_blocks * r.row_blocks * r.column_blocks
    return r


cdef inline Area area_of(const Resizing *r, Py_ssize_t unit) noexcept nogil:
    cdef Area a
    a.column = unit % r.column_blocks * r.columns_at_once
    unit //= r.column_blocks
    a.row = unit % r.row_blocks * r.rows_at_once
    unit //= r.row_blocks
    a.plane, a.image = unit % r.plane_blocks * r.planes_at_once, unit // r.plane_blocks
    a.plane_end = min(a.plane + r.planes_at_once, r.channels)
    a.row_end, a.column_end = min(a.row + r.rows_at_once, r.height), min(a.column + r.columns_at_once, r.width)
    return a
