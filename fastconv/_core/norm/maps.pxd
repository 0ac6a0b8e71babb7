"""Feature maps (N, C, ...) of any strides, and a block of them as the kernels of norm.h read it.

Planes whose pixels follow each other, or pixels that are evenly spaced and whose channels follow each other, are read
where they are; blocks of all others are copied, to a thread's room.
"""
cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.problem cimport elements

# Strides in elements. `pixel_axes` are the axes of the pixels, those that make one evenly spaced run taken together.
cdef struct Maps:
    void *data
    Py_ssize_t image, channel
    Py_ssize_t sizes[3]
    Py_ssize_t strides[3]
    int pixel_axes
    bint direct
    Py_ssize_t step    # where direct: from one plane, or one pixel, to the next

# Some pixels, from `first` on, of some channels of an image.
cdef struct MapBlock:
    Py_ssize_t image, channel, channels, first, pixels


cdef inline Maps maps_of(cnp.ndarray array, bint lanes):
    """An array (N, C, ...) with at most three axes of pixels; lanes: it is to be read pixel by pixel."""
    cdef Maps maps
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(array), count, stride
    cdef int axis, into = 2
    maps.data = cnp.PyArray_DATA(array)
    maps.image = elements(cnp.PyArray_STRIDE(array, 0), size)
    maps.channel = elements(cnp.PyArray_STRIDE(array, 1), size)
    maps.sizes[0] = maps.sizes[1] = maps.sizes[2] = 1
    maps.strides[0] = maps.strides[1] = maps.strides[2] = 0
    maps.pixel_axes = 0
    for axis in range(cnp.PyArray_NDIM(array) - 1, 1, -1):
        count, stride = cnp.PyArray_DIM(array, axis), elements(cnp.PyArray_STRIDE(array, axis), size)
        if count == 1:
            continue
        if maps.pixel_axes and stride == maps.sizes[into] * maps.strides[into]:
            maps.sizes[into] *= count
            continue
        into = 2 - maps.pixel_axes
        maps.sizes[into], maps.strides[into] = count, stride
        maps.pixel_axes += 1
    if maps.pixel_axes == 0:    # one pixel an image: the next one is that of the next image
        maps.strides[2] = maps.image if lanes else 1
    if lanes:
        maps.direct = maps.pixel_axes < 2 and (maps.channel == 1 or cnp.PyArray_DIM(array, 1) == 1)
        maps.step = maps.strides[2]
    else:
        maps.direct = maps.pixel_axes < 2 and maps.strides[2] == 1
        maps.step = maps.channel
    return maps


cdef inline const floating *block_of(const Maps *maps, const MapBlock *at, bint lanes, floating *room,
                                     Py_ssize_t *step) noexcept nogil:
    """Where a block is read: plane by plane, or pixel by pixel, `step` apart."""
    cdef const floating *source = <const floating *>maps.data + at.image * maps.image + at.channel * maps.channel
    cdef const floating *pixel
    cdef Py_ssize_t width = maps.sizes[2], height = maps.sizes[1]
    cdef Py_ssize_t x = at.first % width, y = at.first // width % height, z = at.first // width // height, p, c
    if maps.direct:
        step[0] = maps.step
        return source + at.first * maps.strides[2]
    for p in range(at.pixels):
        pixel = source + z * maps.strides[0] + y * maps.strides[1] + x * maps.strides[2]
        for c in range(at.channels):
            room[p * at.channels + c if lanes else c * at.pixels + p] = pixel[c * maps.channel]
        x += 1
        if x == width:
            x, y = 0, y + 1
            if y == height:
                y, z = 0, z + 1
    step[0] = at.channels if lanes else at.pixels
    return room


cdef inline floating element_of(const Maps *maps, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t pixel,
                                const floating *unused) noexcept nogil:
    cdef Py_ssize_t x = pixel % maps.sizes[2], y = pixel // maps.sizes[2]
    return (<const floating *>maps.data)[image * maps.image + channel * maps.channel + x * maps.strides[2]
                                         + y % maps.sizes[1] * maps.strides[1] + y // maps.sizes[1] * maps.strides[0]]
