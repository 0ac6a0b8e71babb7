"""Max and average pooling of volumes: planes first, then their depths.

    for block of volumes, of depths, rows and columns of outputs:
        parallel, as planes are pooled (forward.pyx): the planes that the block's windows reach -> a buffer
        parallel for volume, depth of outputs: the best (or the mean) of the planes in its window -> y

The buffer has about NEAR bytes, so that it stays in L2; blocks share what windows of neighbouring outputs have in
common, so large windows get larger ones. The result does not depend on how many threads there are: blocks do not.

Of equal maxima the first counts, in the order of depths, rows and columns, and of NaN the last: that is so in each
plane, and then among planes. The mean of a plane's window is divided by what it counts there, the sum of these by the
depths that count. With channels last a plane is an image and a buffer has the channels last too.

Where the windows are whole volumes without gaps, a volume is one plane. Where windows see one depth each, planes are
pooled straight to y. Where a block would be too large whatever it is, each window is looked at by itself.
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

import numpy as np

from fastconv._core.runtime.isa cimport max_down, mean_down
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_down
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.large cimport pool_planes
from fastconv._core.pooling.volume cimport (
    MOST, NEAR, PooledVolume, array_in, join_volumes, joined, volume_problem,
)
from fastconv._core.pooling.windows cimport (
    PoolAxis, Span, VolumeWindows, Windows, longest, outputs_of, part_of, span, whole,
)
from fastconv._core.pooling.windows import adaptive_windows

cnp.import_array()

cdef enum:
    AT_ONCE = 1024             # elements of a row that are put together at a time
    SLACK = 2 * FC_MAX_LANES   # elements behind a buffer that whole vectors may touch
    MOST_TAPS = 1 << 17        # depths of a window, whose planes each thread has a table of
    PIXEL = 16                 # channels of a block at least, unless even these are too many

# About the nanoseconds of an element of the buffer, and of a tap of a window by itself, for the thread policy.
cdef double COST = 0.5
cdef double TAP_COST = 1.0

# What a block has at most: volumes (channels, where they are last), depths, rows and columns of outputs.
cdef struct VolumeLayout:
    Py_ssize_t volumes, depths, rows, cols
    Py_ssize_t channels    # of all blocks
    bint channels_last, average, with_indices

# What the units of a block share. In a buffer are `planes` planes of `size` elements for each volume, from depth
# `lowest` of x on. A plane of y is rows of pixels of `length` elements that follow each other.
cdef struct DepthCall:
    PoolAxis depth
    const void *best
    const int64_t *found       # positions in the planes, or NULL
    void *y
    int64_t *index
    Py_ssize_t lowest, planes, size, pixels_of_plane
    Py_ssize_t first, outputs
    Py_ssize_t rows, row_step, pixels, pixel_step, length
    Py_ssize_t y_volume, y_depth
    bint average


cdef bint in_order(cnp.ndarray y, bint channels_last):
    """Whether y is without gaps in the order of x."""
    return (y.transpose(0, 2, 3, 4, 1) if channels_last else y).flags.c_contiguous


def pool(cnp.ndarray x, VolumeWindows windows, bint average, cnp.ndarray y, cnp.ndarray indices):
    """Pools an (N, C, D, H, W) view with any strides into y, and into indices where these are not None:
    (N, C, OD, OH, OW) views of memory without gaps, NCDHW or NDHWC, both the same. Where x has the other order the
    results are computed in that of x first."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef bint channels_last = (cnp.PyArray_DIM(x, 1) > 1 and cnp.PyArray_STRIDE(x, 1) == size
                               and cnp.PyArray_STRIDE(x, 4) != size)
    if cnp.PyArray_DIM(x, 0) == 0:
        return
    if in_order(y, channels_last):
        pool_in_order(x, windows, average, y, indices, channels_last)
        return
    order = (0, 2, 3, 4, 1) if channels_last else (0, 1, 2, 3, 4)
    back = (0, 4, 1, 2, 3) if channels_last else order
    found = np.empty_like(y.transpose(order), order="C").transpose(back)
    positions = np.empty_like(indices.transpose(order), order="C").transpose(back) if indices is not None else None
    pool_in_order(x, windows, average, found, positions, channels_last)
    y[...] = found
    if indices is not None:
        indices[...] = positions


cdef pool_in_order(cnp.ndarray x, VolumeWindows windows, bint average, cnp.ndarray y, cnp.ndarray indices,
                   bint channels_last):
    """The order of y is that of x."""
    cdef PoolAxis *depth = &windows.depth
    cdef Span s = span(depth, 0)
    cdef Py_ssize_t n, c, d, i, j
    cdef VolumeLayout l
    l.channels_last, l.average, l.with_indices = channels_last, average, indices is not None
    if (depth.outputs == 1 and s.first == 0 and s.taps == s.count == depth.size
            and whole(&windows.plane.rows, &windows.plane.cols)
            and cnp.PyArray_STRIDE(x, 2) == cnp.PyArray_DIM(x, 3) * cnp.PyArray_STRIDE(x, 3)):
        plane = x.reshape(x.shape[0], x.shape[1], -1, x.shape[4])
        pool_planes(plane, adaptive_windows(plane.shape[2:], (1, 1)), average, y[:, :, 0],
                    indices[:, :, 0] if indices is not None else None)
        return
    if not channels_last and joined(x):
        x, y = join_volumes(x), join_volumes(y)
        indices = join_volumes(indices) if indices is not None else None
    if depth.kernel_size == depth.stride == 1 and depth.start == 0 and depth.outputs == depth.size:
        pool_depths_apart(x, windows, average, y, indices, channels_last)
        return
    if not lay_out(x, windows, &l):
        pool_each(x, windows, average, y, indices)
        return
    buffer = take(buffer_bytes(x, windows, &l))
    for n in range(x.shape[0]):
        for c in range(0, x.shape[1], l.volumes):
            for d in range(0, depth.outputs, l.depths):
                for i in range(0, windows.plane.rows.outputs, l.rows):
                    for j in range(0, windows.plane.cols.outputs, l.cols):
                        pool_block(x[n, c : c + l.volumes], windows, &l, (d, i, j),
                                   y[n, c : c + l.volumes],
                                   indices[n, c : c + l.volumes] if indices is not None else None, buffer)


cdef pool_depths_apart(cnp.ndarray x, VolumeWindows windows, bint average, cnp.ndarray y, cnp.ndarray indices,
                       bint channels_last):
    """Each output sees one depth."""
    order = (1, 0, 2, 3) if channels_last else (0, 1, 2, 3)
    for n in range(x.shape[0]):
        pool_planes(x[n].transpose(order), windows.plane, average, y[n].transpose(order),
                    indices[n].transpose(order) if indices is not None else None)
    if indices is not None:
        indices += np.arange(x.shape[2])[:, None, None] * (x.shape[3] * x.shape[4])


# ---------------------------------------------------------------------------------------------------------------------
# Blocks


cdef double planes_of(const PoolAxis *depth, Py_ssize_t outputs) noexcept:
    """Depths that so many outputs reach, at most."""
    cdef double reach
    if depth.kernel_size == 0:
        reach = <double>(outputs + 1) * (depth.stride + 1)
    else:
        reach = <double>(outputs - 1) * depth.stride + <double>(depth.kernel_size - 1) * depth.dilation + 1
    return min(reach, <double>depth.size)


cdef double bytes_of(cnp.ndarray x, VolumeWindows windows, const VolumeLayout *l) noexcept:
    """Of the buffer of a block."""
    return (planes_of(&windows.depth, l.depths) * l.volumes * l.rows * l.cols
            * (cnp.PyArray_ITEMSIZE(x) + (8 if l.with_indices else 0)))


cdef Py_ssize_t buffer_bytes(cnp.ndarray x, VolumeWindows windows, const VolumeLayout *l) noexcept:
    return <Py_ssize_t>bytes_of(x, windows, l) + SLACK * 8 + 64


cdef bint reaches_far(const PoolAxis *a, Py_ssize_t outputs, Py_ssize_t times) noexcept:
    """Whether so many outputs reach that many times as far as a window."""
    return outputs > 1 and <double>outputs * max(1, a.stride) > <double>times * longest(a) * a.dilation


cdef bint lay_out(cnp.ndarray x, VolumeWindows windows, VolumeLayout *l) noexcept:
    """False where no block is small enough."""
    cdef PoolAxis *rows = &windows.plane.rows
    cdef PoolAxis *cols = &windows.plane.cols
    cdef double size
    l.channels = cnp.PyArray_DIM(x, 1)
    l.volumes = l.channels if l.channels_last else 1
    l.depths, l.rows, l.cols = windows.depth.outputs, rows.outputs, cols.outputs
    while True:
        size = bytes_of(x, windows, l)
        if size <= NEAR:
            break
        if reaches_far(rows, l.rows, 4):
            l.rows = (l.rows + 1) // 2
        elif reaches_far(&windows.depth, l.depths, 2):
            l.depths = (l.depths + 1) // 2
        elif reaches_far(cols, l.cols, 4):
            l.cols = (l.cols + 1) // 2
        elif l.channels_last and l.volumes > PIXEL:
            l.volumes = max(PIXEL, (l.volumes + 1) // 2)
        elif size <= MOST:
            break
        elif l.rows > 1:
            l.rows = (l.rows + 1) // 2
        elif l.depths > 1:
            l.depths = (l.depths + 1) // 2
        elif l.cols > 1:
            l.cols = (l.cols + 1) // 2
        elif l.volumes > 1:
            l.volumes = (l.volumes + 1) // 2
        else:
            return False
    if not l.channels_last:
        l.volumes = max(1, min(l.channels, <Py_ssize_t>(NEAR / size)))
    return min(windows.depth.size, longest(&windows.depth)) <= MOST_TAPS


cdef pool_block(cnp.ndarray x, VolumeWindows windows, const VolumeLayout *l, tuple at, cnp.ndarray y,
                cnp.ndarray indices, Block buffer):
    """x and y are (C, D, H, W) views of a block's volumes; at: the first output."""
    cdef Py_ssize_t first = at[0], i = at[1], j = at[2], o, until, highest = 0, volumes = x.shape[0]
    cdef Py_ssize_t rows = min(l.rows, windows.plane.rows.outputs - i), size = cnp.PyArray_ITEMSIZE(x)
    cdef Py_ssize_t cols = min(l.cols, windows.plane.cols.outputs - j)
    cdef PoolAxis row_part = outputs_of(&windows.plane.rows, i, i + rows)
    cdef PoolAxis col_part = outputs_of(&windows.plane.cols, j, j + cols)
    cdef Windows plane = windows.plane
    cdef Py_ssize_t[4] sizes
    cdef DepthCall call
    cdef Span s
    until = min(first + l.depths, windows.depth.outputs)
    call.lowest = windows.depth.size
    for o in range(first, until):
        s = span(&windows.depth, o)
        call.lowest = min(call.lowest, s.first)
        highest = max(highest, s.first + (s.taps - 1) * windows.depth.dilation)
    call.planes = highest + 1 - call.lowest
    call.depth, call.first, call.outputs = windows.depth, first, until - first
    call.size, call.average = rows * cols, l.average
    call.pixels_of_plane = windows.plane.rows.size * windows.plane.cols.size
    if rows < windows.plane.rows.outputs or cols < windows.plane.cols.outputs:
        plane = part_of(&row_part, &col_part)
    order = (1, 0, 2, 3) if l.channels_last else (0, 1, 2, 3)
    if l.channels_last:
        sizes[0], sizes[1], sizes[2], sizes[3] = call.planes, rows, cols, volumes
    else:
        sizes[0], sizes[1], sizes[2], sizes[3] = volumes, call.planes, rows, cols
    cdef Py_ssize_t behind = (volumes * call.planes * call.size + SLACK) * size
    best = array_in(buffer.data, sizes, cnp.PyArray_TYPE(x))
    found = array_in(buffer.data + (behind + 7) // 8 * 8, sizes, cnp.NPY_INT64) if indices is not None else None
    call.best = cnp.PyArray_DATA(best)
    call.found = <const int64_t *>cnp.PyArray_DATA(found) if found is not None else NULL
    if l.channels_last:
        best = best.transpose(0, 3, 1, 2)
        found = found.transpose(0, 3, 1, 2) if found is not None else None
    pool_planes(x[:, call.lowest : call.lowest + call.planes].transpose(order), plane, l.average, best, found)
    target = y[:, first:until, i : i + rows, j : j + cols]
    call.y = cnp.PyArray_DATA(target)
    call.index = NULL
    if indices is not None:
        target = indices[:, first:until, i : i + rows, j : j + cols]
        call.index = <int64_t *>cnp.PyArray_DATA(target)
    set_rows(&call, l, windows, rows, cols, volumes)
    if size == sizeof(float):
        join_depths[float](&call, 1 if l.channels_last else volumes, NULL)
    else:
        join_depths[double](&call, 1 if l.channels_last else volumes, NULL)


cdef void set_rows(DepthCall *call, const VolumeLayout *l, VolumeWindows windows, Py_ssize_t rows, Py_ssize_t cols,
                   Py_ssize_t volumes) noexcept:
    """Which elements of a block's plane follow each other in y."""
    cdef Py_ssize_t width = windows.plane.cols.outputs, pixel = l.channels if l.channels_last else 1
    call.rows, call.pixels, call.length, call.pixel_step = rows, 1, cols, pixel
    call.row_step = width * pixel
    call.y_depth = windows.plane.rows.outputs * call.row_step
    call.y_volume = windows.depth.outputs * call.y_depth    # of one, where channels are last
    if l.channels_last:
        call.size *= volumes
        call.length = volumes
        if volumes < pixel:
            call.pixels = cols
        else:
            call.length *= cols
    if cols == width and call.pixels == 1:
        call.length *= rows
        call.rows = 1


# ---------------------------------------------------------------------------------------------------------------------
# Depths


cdef join_depths(const DepthCall *call, Py_ssize_t volumes, floating *unused):
    cdef int threads = team(COST * volumes * call.planes * call.size)
    cdef Py_ssize_t taps = min(call.planes, longest(&call.depth))
    cdef Py_ssize_t scratch_size = ((AT_ONCE + SLACK) * sizeof(floating) + taps * sizeof(Py_ssize_t) + 127) \
        // 64 * 64 // sizeof(floating)
    cdef Block scratch = take(threads * scratch_size * sizeof(floating))
    cdef floating *data = <floating *>scratch.data
    with nogil:
        in_parallel(depth_unit[floating], call, volumes * call.outputs, threads, EVENLY, data, scratch_size)


cdef void depth_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    """One depth of outputs of a volume."""
    cdef const DepthCall *call = <const DepthCall *>data
    cdef Py_ssize_t volume = unit // call.outputs, o = unit % call.outputs, t, r, p, done, n, at
    cdef Span s = span(&call.depth, call.first + o)
    cdef Py_ssize_t *planes = <Py_ssize_t *>(scratch + AT_ONCE + SLACK)
    cdef const floating *best = <const floating *>call.best + volume * call.planes * call.size
    cdef const int64_t *found = call.found
    cdef fc_down down
    if found != NULL:
        found += volume * call.planes * call.size
    for t in range(s.taps):
        planes[t] = (s.first - call.lowest + t * call.depth.dilation) * call.size
    down.rows = down.positions = planes
    down.n_rows = <int>s.taps
    down.columns = scratch
    if call.average:
        for t in range(min(call.length, AT_ONCE) + SLACK):
            scratch[t] = 1
    for r in range(call.rows):
        for p in range(call.pixels):
            done = 0
            while done < call.length:
                n = min(call.length - done, AT_ONCE)
                at = volume * call.y_volume + o * call.y_depth + r * call.row_step + p * call.pixel_step + done
                if call.average:
                    mean_down(best, planes, down.n_rows, <floating>s.count, <const floating *>scratch,
                              <floating *>call.y + at, n)
                elif found == NULL:
                    max_down(&down, best, NULL, <floating *>call.y + at, NULL, 0, n)
                else:
                    best_of_planes(call, &s, planes, best, found, <floating *>call.y + at, call.index + at, n)
                    found += n
                best += n
                done += n


cdef void best_of_planes(const DepthCall *call, const Span *s, const Py_ssize_t *planes, const floating *best,
                         const int64_t *found, floating *y, int64_t *index, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t t, j
    cdef int64_t position = s.first * call.pixels_of_plane
    cdef floating value
    cdef bint wins
    for j in range(n):
        y[j], index[j] = best[planes[0] + j], found[planes[0] + j] + position
    for t in range(1, s.taps):
        position += call.depth.dilation * call.pixels_of_plane
        for j in range(n):
            value = best[planes[t] + j]
            wins = (value > y[j]) | (value != value)
            y[j] = value if wins else y[j]
            index[j] = found[planes[t] + j] + position if wins else index[j]


# ---------------------------------------------------------------------------------------------------------------------
# Each window by itself


# What the units share.
cdef struct EachWindow:
    PooledVolume g
    bint average


cdef pool_each(cnp.ndarray x, VolumeWindows windows, bint average, cnp.ndarray y, cnp.ndarray indices):
    cdef EachWindow call
    cdef PooledVolume *g = &call.g
    call.g, call.average = volume_problem(x, y, windows), average
    if indices is not None:
        g.index = <int64_t *>cnp.PyArray_DATA(indices)
    cdef Py_ssize_t units = g.n * g.c * g.depth.outputs * g.rows.outputs
    cdef int threads = team(TAP_COST * units * longest(&g.depth) * longest(&g.rows) * longest(&g.cols) * g.cols.outputs)
    with nogil:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
            in_parallel(row_of_windows[float], &call, units, threads, EVENLY, <float *>NULL, 0)
        else:
            in_parallel(row_of_windows[double], &call, units, threads, EVENLY, <double *>NULL, 0)


cdef void row_of_windows(const void *data, Py_ssize_t unit, floating *unused) noexcept nogil:
    cdef const PooledVolume *g = &(<const EachWindow *>data).g
    cdef bint average = (<const EachWindow *>data).average
    cdef Py_ssize_t i = unit % g.rows.outputs, plane = unit // g.rows.outputs, o = plane % g.depth.outputs
    cdef Py_ssize_t c = plane // g.depth.outputs % g.c, n = plane // g.depth.outputs // g.c, j, d, h, w, at
    cdef Py_ssize_t position, first
    cdef const floating *x = <const floating *>g.x + n * g.xn + c * g.xc
    cdef Span depths = span(&g.depth, o), rows = span(&g.rows, i), cols
    cdef floating best, value
    cdef double total
    for j in range(g.cols.outputs):
        cols = span(&g.cols, j)
        first = (depths.first * g.rows.size + rows.first) * g.cols.size + cols.first
        at = n * g.yn + c * g.yc + o * g.yd + i * g.yh + j * g.yw
        best = x[depths.first * g.xd + rows.first * g.xh + cols.first * g.xw]
        position, total = first, 0
        for d in range(depths.taps):
            for h in range(rows.taps):
                for w in range(cols.taps):
                    value = x[(depths.first + d * g.depth.dilation) * g.xd + (rows.first + h * g.rows.dilation) * g.xh
                              + (cols.first + w * g.cols.dilation) * g.xw]
                    if average:
                        total += value
                    elif value > best or value != value:
                        best = value
                        position = first + ((d * g.depth.dilation * g.rows.size + h * g.rows.dilation) * g.cols.size
                                            + w * g.cols.dilation)
        if average:
            best = <floating>(total / (<double>depths.count * rows.count * cols.count))
        (<floating *>g.y)[at] = best
        if g.index != NULL:
            g.index[at] = position
