"""One convolution as the loops see it, and how a range is cut into parts."""
from cython cimport floating
from libc.stdint cimport uintptr_t

from fastconv._core.runtime.isa cimport kernels
from fastconv._core.runtime.kernels cimport fc_activation

# One convolution: sizes of a group, strides in elements, and where the arrays begin. Made by convolution.pyx.
cdef struct Problem:
    const void *x
    const void *weights
    const void *bias    # or NULL
    void *y
    Py_ssize_t n, c, h, w, k, r, s, oh, ow, groups
    Py_ssize_t own      # channels that a filter sees: c, unless groups were joined
    Py_ssize_t xn, xc, xh, xw
    Py_ssize_t yn, yk, yh, yw
    Py_ssize_t wk, wc, wr, ws
    Py_ssize_t stride_h, stride_w, dilation_h, dilation_w, top, left
    int padding         # mode, an index into geometry.PADDING_MODES
    bint accumulate     # y is added to, not overwritten
    double value        # of the constant padding
    int activation      # index into the table's activations, 0 for none
    double slope        # of a leaky ReLU
    bint in_place       # rows of x serve as they are: no band


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


cdef inline void flatten(Problem *g) noexcept nogil:
    """For the matrix product: a pointwise convolution sees a plane as one long row, where the arrays allow it;
    and whether rows of x serve in place."""
    cdef bint inside, pointwise
    inside = (g.top == 0 and g.left == 0 and (g.oh - 1) * g.stride_h + (g.r - 1) * g.dilation_h < g.h
              and (g.ow - 1) * g.stride_w + (g.s - 1) * g.dilation_w < g.w)
    pointwise = g.r == 1 and g.s == 1 and g.stride_h == 1 and g.stride_w == 1 and inside and g.oh == g.h and g.ow == g.w
    if pointwise and (g.h == 1 or g.xh == g.w * g.xw) and (g.h == 1 or g.yh == g.ow * g.yw):
        g.w, g.h = g.w * g.h, 1
        g.ow, g.oh = g.w, 1
    g.in_place = inside and g.stride_w == 1 and g.xw == 1 and g.ow >= 16


cdef inline fc_activation activation_of(const Problem *p, bint last) noexcept nogil:
    """What becomes of a tile, by which the sum of an output ends, or goes on."""
    cdef fc_activation activation
    activation.kind, activation.slope = p.activation if last else 0, p.slope
    return activation


cdef inline const floating *beyond(const floating *p, Py_ssize_t elements) noexcept nogil:
    """What lies so many elements behind p, to be prefetched: maybe outside of p's array,
    where pointers do not reach."""
    return <const floating *>(<uintptr_t>p + <uintptr_t>(elements * <Py_ssize_t>sizeof(floating)))


cdef inline void activate(int activation, floating *y, Py_ssize_t n, double slope) noexcept nogil:
    if floating is float:
        kernels.f32.activation[activation](y, y, n, <float>slope)
    else:
        kernels.f64.activation[activation](y, y, n, slope)
