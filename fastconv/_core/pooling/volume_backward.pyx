"""The gradient of average pooling of volumes: depths first, then planes.

    for block of volumes, depths and rows of grad_x:            (one after the other)
        parallel for volume, depth of grad_x: the sum of the gradients of the outputs whose windows reach this depth,
            each over what its window counts -> a buffer of planes of outputs
        parallel, as planes are (average_backward.pyx): the gradients of sums over the planes' windows -> grad_x

The buffer has about NEAR bytes. Where the outputs of one row of grad_x are too many for any block, each pixel of grad_x
adds up what it gets by itself. (The gradient of a maximum goes where its position says: positions.pyx.)
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.average_backward cimport spread
from fastconv._core.pooling.volume cimport (
    MOST, NEAR, PooledVolume, array_in, join_volumes, joined, volume_problem,
)
from fastconv._core.pooling.windows cimport (
    PoolAxis, Span, VolumeWindows, first_behind, first_reaching, longest, overlap, part_of, pixels_of_axis, span,
)

cnp.import_array()

cdef enum:
    AT_ONCE = 256    # elements of a row that are added up at a time

# About the nanoseconds of an element of the buffer, and of a window that reaches a pixel, for the thread policy.
cdef double COST = 1.0
cdef double TAP_COST = 3.0

# What a block has at most: volumes (channels, where they are last), depths and rows of grad_x.
cdef struct VolumeBlocks:
    Py_ssize_t volumes, depths, rows
    bint channels_last

# What the units of a block share: `depths` depths of each volume from the first on, and of outputs the rows from
# `first_row` on.
cdef struct ShareCall:
    PooledVolume g
    Py_ssize_t first, depths, first_row, rows, channels
    void *shares
    bint channels_last


def average_backward(cnp.ndarray grad, cnp.ndarray grad_x, VolumeWindows windows, bint channels_last):
    """Fills grad_x, an (N, C, D, H, W) view of memory without gaps in NCDHW or NDHWC order; grad is an
    (N, C, OD, OH, OW) view with any strides."""
    cdef VolumeBlocks b
    cdef Py_ssize_t n, c, d, h
    if cnp.PyArray_SIZE(grad_x) == 0:
        return
    channels_last = channels_last and cnp.PyArray_DIM(grad_x, 1) != 1    # one channel is a volume in either order
    b.channels_last = channels_last
    if not channels_last and joined(grad):
        grad, grad_x = join_volumes(grad), join_volumes(grad_x)
    if not lay_out(grad_x, windows, &b):
        add_each(grad, grad_x, windows)
        return
    buffer = take(NEAR if b.depths > 1 else MOST)
    for n in range(grad_x.shape[0]):
        for c in range(0, grad_x.shape[1], b.volumes):
            for d in range(0, grad_x.shape[2], b.depths):
                for h in range(0, grad_x.shape[3], b.rows):
                    spread_block(grad[n, c : c + b.volumes], grad_x[n, c : c + b.volumes], windows, &b, d, h, buffer)


cdef bint lay_out(cnp.ndarray grad_x, VolumeWindows windows, VolumeBlocks *b) noexcept:
    """False where no block is small enough."""
    cdef PoolAxis *rows = &windows.plane.rows
    cdef Py_ssize_t channels = cnp.PyArray_DIM(grad_x, 1)
    cdef double row = <double>windows.plane.cols.outputs * cnp.PyArray_ITEMSIZE(grad_x), plane
    b.volumes, b.rows = 1, rows.size
    if b.channels_last:
        b.volumes = channels
        row *= channels
    plane = row * rows.outputs
    while plane > NEAR and rows.dilation == 1 and (b.rows > 4 * longest(rows) or plane > MOST and b.rows > 1):
        b.rows = (b.rows + 1) // 2
        plane = row * min(<double>rows.outputs, <double>(b.rows + longest(rows)) / max(1, rows.stride) + 2)
        if rows.stride == 0:
            plane = row * min(<double>rows.outputs, <double>(b.rows + 1) * (rows.total // rows.size + 2))
    b.depths = max(1, min(windows.depth.size, <Py_ssize_t>(NEAR / plane)))
    if not b.channels_last and b.depths == windows.depth.size and b.rows == rows.size:
        b.volumes = max(1, min(channels, <Py_ssize_t>(NEAR / (plane * b.depths))))
    return plane <= MOST


cdef spread_block(cnp.ndarray grad, cnp.ndarray grad_x, VolumeWindows windows, const VolumeBlocks *b, Py_ssize_t d,
                  Py_ssize_t h, Block buffer):
    """The arrays are (C, D, H, W) views of a block's volumes; d, h: its first depth and row of grad_x."""
    cdef Py_ssize_t until = min(h + b.rows, windows.plane.rows.size), volumes = grad.shape[0]
    cdef PoolAxis rows = pixels_of_axis(&windows.plane.rows, h, until)
    cdef PoolAxis cols = pixels_of_axis(&windows.plane.cols, 0, windows.plane.cols.size)
    cdef Py_ssize_t[4] sizes
    cdef ShareCall call
    call.g = volume_problem(grad_x[None], grad[None], windows)
    call.first, call.depths = d, min(b.depths, windows.depth.size - d)
    call.first_row, call.rows = rows.skipped - windows.plane.rows.skipped, rows.outputs
    call.channels, call.channels_last, call.shares = volumes, b.channels_last, buffer.data
    if b.channels_last:
        sizes[0], sizes[1], sizes[2], sizes[3] = call.depths, rows.outputs, cols.outputs, volumes
    else:
        sizes[0], sizes[1], sizes[2], sizes[3] = volumes, call.depths, rows.outputs, cols.outputs
    shares = array_in(buffer.data, sizes, cnp.PyArray_TYPE(grad))
    if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
        share_out[float](&call, NULL)
    else:
        share_out[double](&call, NULL)
    block = grad_x[:, d : d + b.depths, h:until]
    if b.channels_last:
        spread(shares.transpose(0, 3, 1, 2), block.transpose(1, 0, 2, 3), part_of(&rows, &cols), True)
    else:
        spread(shares, block, part_of(&rows, &cols), False)


# ---------------------------------------------------------------------------------------------------------------------
# Depths


cdef share_out(const ShareCall *call, floating *unused):
    cdef Py_ssize_t volumes = 1 if call.channels_last else call.channels
    cdef int threads = team(COST * call.depths * call.channels * call.rows * call.g.cols.outputs
                            * (1 + overlap(&call.g.depth)))
    with nogil:
        in_parallel(share_unit[floating], call, volumes * call.depths, threads, EVENLY, unused, 0)


cdef inline bint meets(const PoolAxis *a, const Span *s, Py_ssize_t position) noexcept nogil:
    """Whether a window holds a position."""
    cdef Py_ssize_t distance = position - s.first
    return distance >= 0 and distance % a.dilation == 0 and distance // a.dilation < s.taps


cdef inline Py_ssize_t first_of(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """No output before this one reaches a position."""
    return first_reaching(a, position) if a.dilation == 1 else 0


cdef inline Py_ssize_t end_of(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """Neither does this one or one behind it."""
    return first_behind(a, position + 1) if a.dilation == 1 else a.outputs


cdef void share_unit(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    """What one depth of a volume, or of an image, gets of each output of the planes."""
    cdef const ShareCall *call = <const ShareCall *>data
    cdef const PooledVolume *g = &call.g
    cdef Py_ssize_t volume = unit // call.depths, depth = call.first + unit % call.depths
    cdef Py_ssize_t pixels = g.cols.outputs if call.channels_last else 1, i, j, p, n, done
    cdef Py_ssize_t first = first_of(&g.depth, depth), until = end_of(&g.depth, depth)
    cdef Py_ssize_t length = call.channels if call.channels_last else g.cols.outputs
    cdef Py_ssize_t step = g.yc if call.channels_last else g.yw
    cdef floating *dst = <floating *>call.shares + unit * call.rows * g.cols.outputs * (
        call.channels if call.channels_last else 1)
    cdef const floating *grad
    cdef Span rows, cols = span(&g.cols, 0), last = span(&g.cols, g.cols.outputs - 1)
    cdef bint alike = g.cols.kernel_size and cols.count == last.count and (
        g.cols.divisor or cols.count == g.cols.kernel_size)
    for i in range(call.first_row, call.first_row + call.rows):
        rows = span(&g.rows, i)
        for p in range(pixels):
            done = 0
            while done < length:
                n = min(length - done, AT_ONCE)
                grad = <const floating *>g.y + i * g.yh + done * step
                if call.channels_last:
                    grad += p * g.yw
                    cols = span(&g.cols, p)
                else:
                    grad += volume * g.yc
                add_depths(g, grad, depth, first, until, step, n, dst)
                if call.channels_last or alike:
                    for j in range(n):
                        dst[j] = <floating>(dst[j] / (<double>rows.count * cols.count))
                else:
                    for j in range(n):
                        dst[j] = <floating>(dst[j] / (<double>rows.count * span(&g.cols, done + j).count))
                dst += n
                done += n


cdef inline void add_depths(const PooledVolume *g, const floating *grad, Py_ssize_t depth, Py_ssize_t first,
                            Py_ssize_t until, Py_ssize_t step, Py_ssize_t n, floating *dst) noexcept nogil:
    """n elements from the outputs `first` until `until` of a depth."""
    cdef double[AT_ONCE] sums
    cdef Py_ssize_t o, j
    cdef Span s
    cdef const floating *of_depth
    for j in range(n):
        sums[j] = 0
    for o in range(first, until):
        s = span(&g.depth, o)
        if not meets(&g.depth, &s, depth):
            continue
        of_depth = grad + o * g.yd
        if step == 1:
            for j in range(n):
                sums[j] += of_depth[j] / <double>s.count
        else:
            for j in range(n):
                sums[j] += of_depth[j * step] / <double>s.count
    for j in range(n):
        dst[j] = <floating>sums[j]


# ---------------------------------------------------------------------------------------------------------------------
# Each pixel by itself


cdef add_each(cnp.ndarray grad, cnp.ndarray grad_x, VolumeWindows windows):
    cdef PooledVolume g = volume_problem(grad_x, grad, windows)
    cdef Py_ssize_t units = g.n * g.c * g.depth.size * g.rows.size
    cdef int threads = team(TAP_COST * units * g.cols.size * overlap(&g.depth) * overlap(&g.rows) * overlap(&g.cols))
    with nogil:
        if cnp.PyArray_TYPE(grad) == cnp.NPY_FLOAT:
            in_parallel(row_of_pixels[float], &g, units, threads, EVENLY, <float *>NULL, 0)
        else:
            in_parallel(row_of_pixels[double], &g, units, threads, EVENLY, <double *>NULL, 0)


cdef void row_of_pixels(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const PooledVolume *g = <const PooledVolume *>data
    cdef Py_ssize_t h = unit % g.rows.size, plane = unit // g.rows.size, d = plane % g.depth.size
    cdef Py_ssize_t c = plane // g.depth.size % g.c, n = plane // g.depth.size // g.c, w, o, i, j
    cdef const floating *grad = <const floating *>g.y + n * g.yn + c * g.yc
    cdef floating *grad_x = <floating *>g.x + n * g.xn + c * g.xc + d * g.xd + h * g.xh
    cdef Span depths, rows, cols
    cdef double total
    for w in range(g.cols.size):
        total = 0
        for o in range(first_of(&g.depth, d), end_of(&g.depth, d)):
            depths = span(&g.depth, o)
            for i in range(first_of(&g.rows, h) if meets(&g.depth, &depths, d) else g.rows.outputs,
                           end_of(&g.rows, h)):
                rows = span(&g.rows, i)
                for j in range(first_of(&g.cols, w) if meets(&g.rows, &rows, h) else g.cols.outputs,
                               end_of(&g.cols, w)):
                    cols = span(&g.cols, j)
                    if meets(&g.cols, &cols, w):
                        total += grad[o * g.yd + i * g.yh + j * g.yw] / (
                            <double>depths.count * rows.count * cols.count)
        grad_x[w * g.xw] = <floating>total
