"""Where an output looks on one axis of an image: the rules of coordinates, which rows and columns share.

An output between two pixels takes the `weight` part of the second and the rest of the first; where it lies on a pixel,
both are that one and the weight is 0, so that no other pixel, were it infinite, has a part in it.
"""
from libc.math cimport fabs, floor

# NEAREST: the pixel at or before output * scale. HALF_PIXELS: centres lie at i + 1 / 2, of pixels as of outputs.
# CORNERS: the first and the last pixel are the first and the last output.
cdef enum Rule:
    NEAREST, HALF_PIXELS, CORNERS

# `size` pixels seen by `outputs`, `scale` pixels apart.
cdef struct ResizedAxis:
    Rule rule
    Py_ssize_t size, outputs
    double scale

cdef struct Place:
    Py_ssize_t first, second
    double weight


cdef inline Place place(const ResizedAxis *axis, Py_ssize_t output) noexcept nogil:
    """A coordinate that is a whole number but for rounding is one. Neither pixel comes before that of an earlier
    output."""
    cdef Place p
    cdef double at = axis.scale * output, whole
    if axis.rule == HALF_PIXELS:
        at = axis.scale * (output + 0.5) - 0.5
        if at < 0:
            at = 0
    whole = floor(at + 0.5)
    if fabs(at - whole) <= 4e-15 * (at + 1):
        at = whole
    p.first = p.second = min(<Py_ssize_t>at, axis.size - 1)
    p.weight = at - p.first
    if axis.rule == NEAREST or p.first == axis.size - 1 or p.weight == 0:
        p.weight = 0
    else:
        p.second += 1
    return p


cdef inline double part_of(const ResizedAxis *axis, Py_ssize_t output, Py_ssize_t pixel) noexcept nogil:
    """The weight of a pixel in an output that looks at it."""
    cdef Place p = place(axis, output)
    return 1 - p.weight if p.first == pixel else p.weight


cdef inline Py_ssize_t first_to_reach(const ResizedAxis *axis, Py_ssize_t pixel) noexcept nogil:
    """The first output that looks at this pixel or one behind it; `outputs` where none does."""
    cdef Py_ssize_t low = 0, high = axis.outputs, middle
    while low < high:
        middle = low + (high - low) // 2
        if place(axis, middle).second >= pixel:
            high = middle
        else:
            low = middle + 1
    return low


cdef inline Py_ssize_t first_beyond(const ResizedAxis *axis, Py_ssize_t pixel) noexcept nogil:
    """The first output that looks at nothing up to this pixel; `outputs` where all do."""
    cdef Py_ssize_t low = 0, high = axis.outputs, middle
    while low < high:
        middle = low + (high - low) // 2
        if place(axis, middle).first > pixel:
            high = middle
        else:
            low = middle + 1
    return low
