"""Outputs that belong side by side put there: what subpixel.py computes as channels of one pixel becomes a patch of
pixels.

    parallel for image, row of the grid (L1):
        for channel, row of a patch: for patch along the row: its pixels, side by side

A row of grad_x is written once, from end to end.
"""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memcpy

from fastconv._core.problem.problem cimport elements
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel

cnp.import_array()

cdef enum:
    LONG_RUN = 16    # elements from which on a copy is a call


# Patches of rows x columns pixels on a grid, of y (n, c, rows, columns, grid_h, grid_w) with strides in elements, and
# where they go in x (n, c, h, w): patch (i, j) begins at (i * row_step - top, j * col_step - left).
cdef struct PatchJob:
    const void *y
    void *x
    Py_ssize_t n, c, rows, columns, grid_h, grid_w, h, w, top, left, row_step, col_step
    Py_ssize_t yn, yc, yrow, ycol, yh, yw
    Py_ssize_t xn, xc, xh, xw


cdef inline void copy_each(const floating *y, Py_ssize_t ycol, Py_ssize_t yw, floating *x, Py_ssize_t xcol,
                           Py_ssize_t xw, Py_ssize_t columns, Py_ssize_t count) noexcept nogil:
    """A row of whole patches, whose pixels are xcol and which are xw apart; the callers' constants unroll it."""
    cdef Py_ssize_t j, b
    for j in range(count):
        for b in range(columns):
            x[j * xw + b * xcol] = y[j * yw + b * ycol]


cdef void copy_patches(const PatchJob *job, const floating *y, floating *x, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t j
    cdef bint close = job.xw == 1 and job.col_step == job.columns
    if job.xw == 1 and job.ycol == 1 and job.columns >= LONG_RUN:
        for j in range(count):
            memcpy(x + j * job.col_step, y + j * job.yw, job.columns * sizeof(floating))
    elif close and job.ycol == 1 and job.columns == 2:
        copy_each(y, 1, job.yw, x, 1, 2, 2, count)
    elif close and job.ycol == 1 and job.columns == 4:
        copy_each(y, 1, job.yw, x, 1, 4, 4, count)
    elif close and job.yw == 1 and job.columns == 2:
        copy_each(y, job.ycol, 1, x, 1, 2, 2, count)
    elif close and job.yw == 1 and job.columns == 4:
        copy_each(y, job.ycol, 1, x, 1, 4, 4, count)
    else:
        copy_each(y, job.ycol, job.yw, x, job.xw, job.col_step * job.xw, job.columns, count)


cdef void copy_row(const PatchJob *job, const floating *y, floating *x) noexcept nogil:
    """One row of x from one row of a row of patches, of which the outer ones may lie partly outside."""
    cdef Py_ssize_t j, b, u, first = 0, last = job.grid_w
    while first < last and first * job.col_step < job.left:
        first += 1
    while last > first and (last - 1) * job.col_step + job.columns - job.left > job.w:
        last -= 1
    for j in range(job.grid_w):
        if first <= j < last:
            continue
        for b in range(job.columns):
            u = j * job.col_step + b - job.left
            if 0 <= u < job.w:
                x[u * job.xw] = y[j * job.yw + b * job.ycol]
    if last > first:
        copy_patches(job, y + first * job.yw, x + (first * job.col_step - job.left) * job.xw, last - first)


cdef void interleave_unit(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    cdef const PatchJob *job = <const PatchJob *>data
    cdef Py_ssize_t image = index // job.grid_h, i = index % job.grid_h, c, a, u
    for c in range(job.c):
        for a in range(job.rows):
            u = i * job.row_step + a - job.top
            if 0 <= u < job.h:
                copy_row(job, <const floating *>job.y + image * job.yn + c * job.yc + a * job.yrow + i * job.yh,
                         <floating *>job.x + image * job.xn + c * job.xc + u * job.xh)


cdef run(PatchJob *job, floating *unused):
    cdef int team = threads.team(0.5 * job.n * job.c * job.rows * job.columns * job.grid_h * job.grid_w)
    with nogil:
        in_parallel(interleave_unit[floating], job, job.n * job.grid_h, team, EVENLY, unused, 0)


def interleave(cnp.ndarray y, cnp.ndarray x, tuple origin, tuple steps):
    """Puts patches y (N, C, rows, columns, grid rows, grid columns) into x (N, C, H, W), as far as they lie inside.

    Patch (i, j) begins at pixel (i * steps[0] - origin[0], j * steps[1] - origin[1]). Any strides; nothing is checked.
    """
    cdef PatchJob job
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(y)
    cdef Py_ssize_t *shape = <Py_ssize_t *>cnp.PyArray_DIMS(y)
    cdef Py_ssize_t *strides = <Py_ssize_t *>cnp.PyArray_STRIDES(y)
    job.y, job.x = cnp.PyArray_DATA(y), cnp.PyArray_DATA(x)
    job.top, job.left = origin
    job.row_step, job.col_step = steps
    job.n, job.c, job.rows, job.columns = shape[0], shape[1], shape[2], shape[3]
    job.grid_h, job.grid_w = shape[4], shape[5]
    job.yn, job.yc, job.yrow = elements(strides[0], size), elements(strides[1], size), elements(strides[2], size)
    job.ycol, job.yh, job.yw = elements(strides[3], size), elements(strides[4], size), elements(strides[5], size)
    shape, strides = <Py_ssize_t *>cnp.PyArray_DIMS(x), <Py_ssize_t *>cnp.PyArray_STRIDES(x)
    job.h, job.w = shape[2], shape[3]
    job.xn, job.xc = elements(strides[0], size), elements(strides[1], size)
    job.xh, job.xw = elements(strides[2], size), elements(strides[3], size)
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        run[float](&job, NULL)
    else:
        run[double](&job, NULL)
