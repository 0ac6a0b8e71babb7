"""One pooling of arrays, for the loops forward and backward."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.pooling.windows cimport PoolAxis, Windows
from fastconv._core.problem.problem cimport ceildiv, elements
from fastconv._core.runtime.memory cimport new_array

cdef enum:
    CHANNELS = 64        # of a unit of work in NHWC at least: a few cache lines of each pixel
    UNITS_A_THREAD = 4

# Where the arrays begin, their sizes, and their strides in elements: of x (or its gradient) and of y (or its gradient),
# and of the indices, in a result as those of y.
cdef struct PoolProblem:
    void *x
    void *y
    int64_t *index    # or NULL
    Py_ssize_t n, c
    PoolAxis rows, cols
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yc, yh, yw


cdef inline PoolProblem pool_problem(cnp.ndarray x, cnp.ndarray y, Windows windows):
    cdef PoolProblem g
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    g.x, g.y, g.index = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y), NULL
    g.n, g.c = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    g.rows, g.cols = windows.rows, windows.cols
    g.xn, g.xc = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(x, 1), size)
    g.xh, g.xw = elements(cnp.PyArray_STRIDE(x, 2), size), elements(cnp.PyArray_STRIDE(x, 3), size)
    g.yn, g.yc = elements(cnp.PyArray_STRIDE(y, 0), size), elements(cnp.PyArray_STRIDE(y, 1), size)
    g.yh, g.yw = elements(cnp.PyArray_STRIDE(y, 2), size), elements(cnp.PyArray_STRIDE(y, 3), size)
    if g.c == 1:    # planes follow each other as images do
        g.xc, g.yc = g.xn, g.yn
    return g


cdef inline void set_steps(PoolProblem *g, bint channels_last) noexcept nogil:
    """Of x without gaps: NumPy leaves open what they are along an axis of one element."""
    if channels_last:
        g.xc, g.xw, g.xh = 1, g.c, g.cols.size * g.c
    else:
        g.xw, g.xh = 1, g.cols.size


cdef inline void join_images(PoolProblem *g) noexcept nogil:
    """Images that follow each other as the channels do are channels."""
    if g.xn == g.c * g.xc and g.yn == g.c * g.yc:
        g.c *= g.n
        g.n = 1


cdef inline cnp.ndarray new_images(Py_ssize_t n, Py_ssize_t c, Py_ssize_t h, Py_ssize_t w, bint channels_last,
                                   int typenum):
    """An (N, C, H, W) view whose memory has the channels last, or in their place."""
    cdef cnp.npy_intp[4] sizes
    sizes[0] = n
    if channels_last:
        sizes[1], sizes[2], sizes[3] = h, w, c
        return new_array(4, sizes, typenum).transpose(0, 3, 1, 2)
    sizes[1], sizes[2], sizes[3] = c, h, w
    return new_array(4, sizes, typenum)


cdef inline void clear_rest(floating *plane, Py_ssize_t h, Py_ssize_t w, Py_ssize_t rows,
                            Py_ssize_t cols) noexcept nogil:
    """Zeros right of and below rows x cols."""
    cdef Py_ssize_t i
    if cols < w:
        for i in range(rows):
            memset(plane + i * w + cols, 0, (w - cols) * sizeof(floating))
    memset(plane + rows * w, 0, (h - rows) * w * sizeof(floating))


cdef inline void clear_pixels(const PoolProblem *g, floating *grad_x, Py_ssize_t channels) noexcept nogil:
    """Zeros in so many neighbouring channels of an image; grad_x is the first of them."""
    if g.xw == 1:
        memset(grad_x, 0, g.rows.size * g.cols.size * channels * sizeof(floating))
    else:
        clear_rows(g, grad_x, channels, 0, g.rows.size)


cdef inline void clear_rows(const PoolProblem *g, floating *grad_x, Py_ssize_t channels, Py_ssize_t first,
                            Py_ssize_t until) noexcept nogil:
    """The same in rows of pixels whose channels are neighbours."""
    cdef Py_ssize_t pixel
    if channels == g.xw:
        memset(grad_x + first * g.xh, 0, (until - first) * g.xh * sizeof(floating))
        return
    for pixel in range(first * g.cols.size, until * g.cols.size):
        memset(grad_x + pixel * g.xw, 0, channels * sizeof(floating))


cdef inline Py_ssize_t channels_of_unit(const PoolProblem *g, int threads) noexcept nogil:
    """Neighbouring channels that go together: all of them, which follow each other in memory, unless threads want
    more units. The result does not depend on it."""
    cdef Py_ssize_t groups = 1 if threads == 1 else ceildiv(UNITS_A_THREAD * threads, g.n)
    return min(g.c, max(CHANNELS, ceildiv(g.c, groups)))
