"""One pooling of volumes, for the loops forward and backward."""
cimport numpy as cnp
from libc.stdint cimport int64_t

from fastconv._core.pooling.windows cimport PoolAxis, VolumeWindows
from fastconv._core.problem.problem cimport elements

cdef enum:
    NEAR = 1 << 20     # bytes of the planes of a block: about L2
    MOST = 6 << 20     # where windows are so large that a block of NEAR would hold little else than what it shares

# Where the arrays begin, their sizes, and their strides in elements: of x (or its gradient), of y (or its gradient) and
# of the indices, in a result as those of y.
cdef struct PooledVolume:
    void *x
    void *y
    int64_t *index    # or NULL
    Py_ssize_t n, c
    PoolAxis depth, rows, cols
    Py_ssize_t xn, xc, xd, xh, xw
    Py_ssize_t yn, yc, yd, yh, yw


cdef inline PooledVolume volume_problem(cnp.ndarray x, cnp.ndarray y, VolumeWindows windows):
    cdef PooledVolume g
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef Py_ssize_t[5] xs
    cdef Py_ssize_t[5] ys
    cdef int axis
    for axis in range(5):
        xs[axis] = elements(cnp.PyArray_STRIDE(x, axis), size)
        ys[axis] = elements(cnp.PyArray_STRIDE(y, axis), size)
    g.x, g.y, g.index = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), NULL
    g.n, g.c = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    g.depth, g.rows, g.cols = windows.depth, windows.plane.rows, windows.plane.cols
    g.xn, g.xc, g.xd, g.xh, g.xw = xs[0], xs[1], xs[2], xs[3], xs[4]
    g.yn, g.yc, g.yd, g.yh, g.yw = ys[0], ys[1], ys[2], ys[3], ys[4]
    return g


cdef inline bint joined(cnp.ndarray x) noexcept:
    """Whether the volumes of an (N, C, D, H, W) view are evenly apart."""
    return (cnp.PyArray_DIM(x, 0) == 1 or cnp.PyArray_DIM(x, 1) == 1
            or cnp.PyArray_STRIDE(x, 0) == cnp.PyArray_DIM(x, 1) * cnp.PyArray_STRIDE(x, 1))


cdef inline cnp.ndarray join_volumes(cnp.ndarray x):
    """As (1, N C, D, H, W)."""
    return x.reshape(1, -1, x.shape[2], x.shape[3], x.shape[4])


cdef inline cnp.ndarray array_in(void *data, Py_ssize_t *sizes, int typenum):
    """A four-dimensional array in memory that is somebody else's."""
    return cnp.PyArray_SimpleNewFromData(4, <cnp.npy_intp *>sizes, typenum, data)
