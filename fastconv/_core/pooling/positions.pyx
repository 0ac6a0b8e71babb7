"""What goes where positions say: the gradient of max pooling of volumes, max unpooling and its gradient.

    parallel for item, block of channels:
        gradient:            zeros, then grad_x[index] += grad (pool.h's scatter)
        unpooling:           zeros, then y[index] = x
        unpooling, backward: grad_x = grad[index]

Positions count the pixels of a volume, whatever it is made of: an image is one of one depth, and a row one of one row.
Units of work share no pixel of what is written. Where a pixel may get many gradients a running sum in single precision
would not be right to 1e-6: then block of pixels by block of pixels is added up in double.
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastconv._core.runtime.isa cimport scatter
from fastconv._core.runtime.kernels cimport fc_scatter
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, mark, team
from fastconv._core.problem.problem cimport ceildiv, elements
from fastconv._core.pooling.windows cimport VolumeWindows, overlap

cnp.import_array()

cdef enum:
    PIXELS = 16384           # of what is written, for one unit of small volumes
    TOGETHER = 16            # channels of a unit, where they are last: a line of each pixel
    SCATTERED = 1 << 20      # pixels of a block, to each of which any gradient may belong
    RUNNING = 49             # terms of a sum in single precision that are added as they come: it loses at most 8e-7

# About the nanoseconds of an element that is written, for the thread policy.
cdef double COST = 0.8

cdef enum Way:
    ADD, SET, GET

# Elements with a position each, (N, C, D, H, W), their strides and those of the positions; and volumes of `pixels`
# pixels, (N, C, depth, height, width), with their strides. Pixels are `pixel` apart, or 0 where they are not evenly
# so, of which only what is read may have any strides. All in elements.
cdef struct Positions:
    Way way
    void *values
    const int64_t *index
    void *volumes
    Py_ssize_t n, c, d, h, w
    Py_ssize_t[5] value_step
    Py_ssize_t[5] index_step
    Py_ssize_t[5] volume_step
    Py_ssize_t pixels, height, width, pixel, channel, item
    Py_ssize_t channels, groups    # of a unit; so many units are an item
    Py_ssize_t sums                # pixels of a block that is added up in double; else 0
    int wrong                      # whether an index was outside its volume


cdef Positions positions_of(cnp.ndarray values, cnp.ndarray indices, cnp.ndarray volumes, Way way,
                            bint channels_last):
    cdef Positions p
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(values)
    cdef int axis
    p.way, p.values, p.volumes = way, cnp.PyArray_DATA(values), cnp.PyArray_DATA(volumes)
    p.index = <const int64_t *>cnp.PyArray_DATA(indices)
    p.n, p.c, p.d = cnp.PyArray_DIM(values, 0), cnp.PyArray_DIM(values, 1), cnp.PyArray_DIM(values, 2)
    p.h, p.w = cnp.PyArray_DIM(values, 3), cnp.PyArray_DIM(values, 4)
    for axis in range(5):
        p.value_step[axis] = elements(cnp.PyArray_STRIDE(values, axis), size)
        p.index_step[axis] = cnp.PyArray_STRIDE(indices, axis) // 8
        p.volume_step[axis] = elements(cnp.PyArray_STRIDE(volumes, axis), size)
    p.height, p.width = cnp.PyArray_DIM(volumes, 3), cnp.PyArray_DIM(volumes, 4)
    p.pixels = cnp.PyArray_DIM(volumes, 2) * p.height * p.width
    channels_last = channels_last and p.c != 1
    p.channels = min(p.c, TOGETHER if channels_last else max(1, PIXELS // p.pixels))
    p.groups, p.sums, p.wrong = ceildiv(p.c, p.channels), 0, 0
    p.item, p.channel, p.pixel = p.c * p.pixels, p.pixels, 1
    if channels_last:
        p.channel, p.pixel = 1, p.c
    if way == GET:
        p.item, p.channel, p.pixel = p.volume_step[0], p.volume_step[1], p.volume_step[4]
        if p.volume_step[3] != p.width * p.pixel or p.volume_step[2] != p.height * p.volume_step[3]:
            p.pixel = 0
    return p


def max_backward(cnp.ndarray grad, cnp.ndarray indices, cnp.ndarray grad_x, VolumeWindows windows, bint channels_last):
    """Fills grad_x, an (N, C, D, H, W) view of memory without gaps in NCDHW or NDHWC order; False where an index is
    not in the volume: then what is in grad_x is of no use. grad and indices are (N, C, OD, OH, OW) views with any
    strides."""
    if cnp.PyArray_SIZE(grad_x) == 0:
        return True
    cdef Positions p = positions_of(grad, indices, grad_x, ADD, channels_last)
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        if overlap(&windows.depth) * overlap(&windows.plane.rows) * overlap(&windows.plane.cols) > RUNNING:
            p.channels = 1 if p.pixel == 1 else min(p.c, TOGETHER)
            p.groups, p.sums = ceildiv(p.c, p.channels), min(p.pixels, SCATTERED // p.channels)
        run[float](&p, NULL)
    else:
        run[double](&p, NULL)
    return p.wrong == 0


def unpool(cnp.ndarray x, cnp.ndarray indices, cnp.ndarray y, bint channels_last):
    """Fills y, an (N, C, D, H, W) view of memory without gaps in NCDHW or NDHWC order, with zeros and with the elements
    of x where the indices say, which were checked; x and indices are views of one shape. Of equal indices the last
    counts."""
    if cnp.PyArray_SIZE(y):
        move(x, indices, y, SET, channels_last)


def unpool_backward(cnp.ndarray grad, cnp.ndarray indices, cnp.ndarray grad_x, bint channels_last):
    """Fills grad_x with the elements of grad where the indices say; all have any strides."""
    if cnp.PyArray_SIZE(grad_x):
        move(grad_x, indices, grad, GET, channels_last)


cdef move(cnp.ndarray values, cnp.ndarray indices, cnp.ndarray volumes, Way way, bint channels_last):
    cdef Positions p = positions_of(values, indices, volumes, way, channels_last)
    if cnp.PyArray_TYPE(values) == cnp.NPY_FLOAT:
        run[float](&p, NULL)
    else:
        run[double](&p, NULL)


cdef run(Positions *p, floating *unused):
    cdef int threads = team(COST * p.n * p.c * (p.pixels + p.d * p.h * p.w))
    cdef Py_ssize_t sums = p.sums * p.channels
    cdef Block scratch = take(threads * sums * sizeof(double)) if sums else None
    cdef floating *data = <floating *>scratch.data if sums else unused
    with nogil:
        in_parallel(unit[floating], p, p.n * p.groups, threads, EVENLY, data,
                    sums * <Py_ssize_t>(sizeof(double) // sizeof(floating)))


cdef void unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """Neighbouring channels of an item."""
    cdef Positions *p = <Positions *>data
    cdef Py_ssize_t n = index // p.groups, c = index % p.groups * p.channels
    cdef Py_ssize_t channels = min(p.channels, p.c - c)
    cdef floating *values = <floating *>p.values + n * p.value_step[0] + c * p.value_step[1]
    cdef const int64_t *at = p.index + n * p.index_step[0] + c * p.index_step[1]
    cdef floating *volumes = <floating *>p.volumes + n * p.item + c * p.channel
    if p.way != GET and not p.sums:
        clear(p, volumes, channels)
    if p.way != ADD:
        move_unit(p, values, at, volumes, channels)
    elif p.sums:
        if not add_in_double(p, values, at, volumes, channels, <double *>scratch):
            mark(&p.wrong)
    elif not add_unit(p, values, at, volumes, channels):
        mark(&p.wrong)


cdef void clear(const Positions *p, floating *volumes, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i
    if channels == p.c or p.pixel == 1:
        memset(volumes, 0, channels * p.pixels * sizeof(floating))
        return
    for i in range(p.pixels):
        memset(volumes + i * p.pixel, 0, channels * sizeof(floating))


cdef bint add_unit(const Positions *p, const floating *values, const int64_t *at, floating *volumes,
                   Py_ssize_t channels) noexcept nogil:
    """False where an index is outside the volume."""
    cdef Py_ssize_t d, h
    cdef fc_scatter how
    how.n, how.planes, how.pixels, how.pixel, how.plane = p.w, channels, p.pixels, p.pixel, p.channel
    how.grad_step, how.grad_plane = p.value_step[4], p.value_step[1]
    how.index_step, how.index_plane = p.index_step[4], p.index_step[1]
    for d in range(p.d):
        for h in range(p.h):
            if not scatter(&how, values + d * p.value_step[2] + h * p.value_step[3],
                           at + d * p.index_step[2] + h * p.index_step[3], volumes):
                return False
    return True


cdef bint add_in_double(const Positions *p, const floating *values, const int64_t *at, floating *volumes,
                        Py_ssize_t channels, double *sums) noexcept nogil:
    """The same, block of pixels by block of pixels."""
    cdef Py_ssize_t d, h, w, c, i, first = 0, count
    cdef size_t position
    while first < p.pixels:
        count = min(p.sums, p.pixels - first)
        memset(sums, 0, count * channels * sizeof(double))
        for d in range(p.d):
            for h in range(p.h):
                for w in range(p.w):
                    for c in range(channels):
                        position = <size_t>at[d * p.index_step[2] + h * p.index_step[3] + w * p.index_step[4]
                                              + c * p.index_step[1]]
                        if position >= <size_t>p.pixels:
                            return False
                        position -= first    # what lies before the block goes round
                        if position < <size_t>count:
                            sums[position * channels + c] += values[
                                d * p.value_step[2] + h * p.value_step[3] + w * p.value_step[4] + c * p.value_step[1]]
        for i in range(count):
            for c in range(channels):
                volumes[(first + i) * p.pixel + c * p.channel] = <floating>sums[i * channels + c]
        first += count
    return True


cdef void move_unit(const Positions *p, floating *values, const int64_t *at, floating *volumes,
                    Py_ssize_t channels) noexcept nogil:
    """From the values to the volumes, or back: channel by channel, or where channels are neighbours pixel by pixel."""
    cdef Py_ssize_t d, h, w, c
    cdef bint together = p.channel == 1
    for c in range(1 if together else channels):
        for d in range(p.d):
            for h in range(p.h):
                for w in range(p.w):
                    move_pixel(p, values + c * p.value_step[1] + d * p.value_step[2] + h * p.value_step[3]
                               + w * p.value_step[4],
                               at + c * p.index_step[1] + d * p.index_step[2] + h * p.index_step[3]
                               + w * p.index_step[4],
                               volumes + c * p.channel, channels if together else 1)


cdef inline void move_pixel(const Positions *p, floating *values, const int64_t *at, floating *volumes,
                            Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t c, position
    cdef floating *place
    for c in range(channels):
        position = at[c * p.index_step[1]]
        place = volumes + c * p.channel
        if p.pixel:
            place += position * p.pixel
        else:
            place += (position % p.width * p.volume_step[4] + position // p.width % p.height * p.volume_step[3]
                      + position // p.width // p.height * p.volume_step[2])
        if p.way == SET:
            place[0] = values[c * p.value_step[1]]
        else:
            values[c * p.value_step[1]] = place[0]
