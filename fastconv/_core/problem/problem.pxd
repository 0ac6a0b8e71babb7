"""One convolution for the drivers: sizes, strides, and how a range is cut into parts."""
cimport numpy as cnp
from cython cimport floating

from fastconv._core.runtime.isa cimport kernels

# One convolution: sizes a group, strides in elements.
cdef struct Shape:
    Py_ssize_t n, c, h, w, k, r, s, oh, ow, groups
    Py_ssize_t own    # channels that a filter sees: c, unless groups were joined
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yk, yh, yw
    Py_ssize_t wk, wc, wr, ws
    Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, top, left
    int padding
    bint in_place    # rows of x serve as they are: no band


cdef inline Py_ssize_t ceildiv(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline Py_ssize_t part(Py_ssize_t total, Py_ssize_t parts, Py_ssize_t i) noexcept nogil:
    """Where part i of an even split of total begins."""
    return i * (total // parts) + min(i, total % parts)


cdef inline Py_ssize_t rounded(Py_ssize_t elements) noexcept nogil:
    """Elements of one scratch array: a multiple of a cache line, and not of a page, plus a vector of slack."""
    return (elements + 15) // 16 * 16 + 48


cdef inline Py_ssize_t elements(Py_ssize_t bytes, Py_ssize_t size) noexcept nogil:
    return bytes // 4 if size == 4 else bytes // 8    # by a constant, which is a shift


cdef inline Shape shape_of(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w, const Py_ssize_t *w_strides,
                    const Py_ssize_t *y, const Py_ssize_t *y_strides, Py_ssize_t size, tuple stride, tuple dilation,
                    tuple origin, int padding):
    """From the shapes and the strides (in bytes) of x, w and y, whose elements have `size` bytes."""
    cdef Shape g
    g.n, g.h, g.w = x[0], x[2], x[3]
    g.c, g.r, g.s = w[1], w[2], w[3]
    g.own = g.c
    g.groups = x[1] // g.c if g.c else 1
    g.k = w[0] // g.groups
    g.oh, g.ow = y[2], y[3]
    g.xn, g.xc = elements(x_strides[0], size), elements(x_strides[1], size)
    g.xh, g.xw = elements(x_strides[2], size), elements(x_strides[3], size)
    g.yn, g.yk = elements(y_strides[0], size), elements(y_strides[1], size)
    g.yh, g.yw = elements(y_strides[2], size), elements(y_strides[3], size)
    g.wk, g.wc = elements(w_strides[0], size), elements(w_strides[1], size)
    g.wr, g.ws = elements(w_strides[2], size), elements(w_strides[3], size)
    g.stride_h, g.stride_w = stride
    g.dilation_h, g.dilation_w = dilation
    g.top, g.left = origin
    g.padding = padding
    g.in_place = False
    if g.oh == 1:
        g.stride_h = 1
    if g.ow == 1:
        g.stride_w = 1
    return g


cdef inline Shape shape_of_arrays(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, tuple stride, tuple dilation, tuple origin,
                                  int padding):
    return shape_of(<Py_ssize_t *>cnp.PyArray_DIMS(x), <Py_ssize_t *>cnp.PyArray_STRIDES(x),
                    <Py_ssize_t *>cnp.PyArray_DIMS(w), <Py_ssize_t *>cnp.PyArray_STRIDES(w),
                    <Py_ssize_t *>cnp.PyArray_DIMS(y), <Py_ssize_t *>cnp.PyArray_STRIDES(y), cnp.PyArray_ITEMSIZE(x), stride,
                    dilation, origin, padding)


cdef inline Shape filters_alone(const Py_ssize_t *w, const Py_ssize_t *w_strides, Py_ssize_t size, Py_ssize_t groups,
                                tuple stride):
    """What is known from the filters, to prepare them: everything that decides how they are packed."""
    cdef Py_ssize_t x[4]
    cdef Py_ssize_t y[4]
    cdef Py_ssize_t strides[4]
    x[0] = x[2] = x[3] = y[0] = y[2] = y[3] = 1
    x[1], y[1] = w[1] * groups, w[0]
    strides[0] = strides[1] = strides[2] = strides[3] = size
    cdef Shape g = shape_of(x, strides, w, w_strides, y, strides, size, stride, (1, 1), (0, 0), 0)
    g.stride_h, g.stride_w = stride
    return g


cdef inline void flatten(Shape *g) noexcept nogil:
    """For the matrix product: a pointwise convolution sees a plane as one long row, where the arrays allow it; and whether rows
    of x serve in place."""
    cdef bint inside, pointwise
    inside = (g.top == 0 and g.left == 0 and (g.oh - 1) * g.stride_h + (g.r - 1) * g.dilation_h < g.h
              and (g.ow - 1) * g.stride_w + (g.s - 1) * g.dilation_w < g.w)
    pointwise = g.r == 1 and g.s == 1 and g.stride_h == 1 and g.stride_w == 1 and inside and g.oh == g.h and g.ow == g.w
    if pointwise and (g.h == 1 or g.xh == g.w * g.xw) and (g.h == 1 or g.yh == g.ow * g.yw):
        g.w, g.h = g.w * g.h, 1
        g.ow, g.oh = g.w, 1
    g.in_place = inside and g.stride_w == 1 and g.xw == 1 and g.ow >= 16


cdef inline void activate(int activation, floating *y, Py_ssize_t n, double slope) noexcept nogil:
    if floating is float:
        kernels.f32.activation[activation](y, y, n, <float>slope)
    else:
        kernels.f64.activation[activation](y, y, n, slope)
