"""Where the outputs of a pooling look, and which driver loop serves them.

Which pixels output i sees, and by how many an average divides, follows from i in a few integer operations (`span`), so
there is nothing to keep for a geometry but its numbers. The padding of a pooling never holds a value, so nothing else
is needed for a border.

The loops for planes (of pixels that are neighbours in memory along a row) are PAIRS: 2 x 2 windows with step 2,
straight from pairs of rows; BAND: from a padded copy, a few rows at a time; RUNS: each window by itself, for windows
that are large, or far apart, or of different sizes. Where x lies otherwise in memory, or a window is the plane, the
loops forward choose another (forward.pyx).
"""

cdef enum:
    FAR = 16         # columns between windows from which on a padded band, a row for each of them, does not pay
    LARGE = 32768    # rows and columns of a window from which on the tables of a band do not pay

cdef Py_ssize_t WIDEST = 2**31 - 256    # columns of PAIRS, which keep positions in 32 bits


cdef class Windows:
    """The windows of a pooling along rows and columns."""

    @property
    def output_size(self):
        return self.rows.outputs, self.cols.outputs


cdef class VolumeWindows:
    """The windows of a pooling along depths, and those in each plane."""

    @property
    def output_size(self):
        return self.depth.outputs, *self.plane.output_size


cdef PoolAxis sliding(size, kernel_size, stride, pads, dilation, outputs, count_include_pad, divisor):
    cdef PoolAxis a
    before, after = pads
    a.size, a.outputs, a.kernel_size, a.stride, a.dilation = size, outputs, kernel_size, stride, dilation
    a.rest, a.total, a.skipped, a.start, a.divisor = 0, outputs, 0, -before, divisor
    # A window of ceil_mode may reach beyond the padding: that part never counts.
    a.end = size + after if count_include_pad else 0
    return a


cdef Windows chosen(const PoolAxis *rows, const PoolAxis *cols):
    """The windows, with the method that serves them."""
    cdef Windows w = Windows.__new__(Windows)
    w.rows, w.cols = rows[0], cols[0]
    if rows.kernel_size == 0 or cols.kernel_size == 0:
        w.method = RUNS
    elif (rows.kernel_size == cols.kernel_size == 2 and side_by_side(rows) and side_by_side(cols)
          and cols.size <= WIDEST and rows.divisor == cols.divisor == 0):
        w.method = PAIRS
    elif (<double>rows.kernel_size + cols.kernel_size > LARGE
          or rows.dilation == cols.dilation == 1 and (cols.outputs == 1 or cols.stride >= FAR)):
        w.method = RUNS
    else:
        w.method = BAND
    return w


cdef Windows part_of(const PoolAxis *rows, const PoolAxis *cols):
    """Windows whose axes are parts of those of others."""
    return chosen(rows, cols)


def sliding_windows(size, kernel_size, stride, pads, dilation, outputs, count_include_pad, divisor):
    """The windows of max_pool2d and avg_pool2d; all arguments but the last two are pairs, pads of pairs. An average
    divides by `divisor`, or where that is 0 by what it counts."""
    cdef PoolAxis rows = sliding(size[0], kernel_size[0], stride[0], pads[0], dilation[0], outputs[0],
                                 count_include_pad, divisor)
    cdef PoolAxis cols = sliding(size[1], kernel_size[1], stride[1], pads[1], dilation[1], outputs[1],
                                 count_include_pad, 1 if divisor else 0)
    return chosen(&rows, &cols)


def sliding_volumes(size, kernel_size, stride, pads, dilation, outputs, count_include_pad, divisor):
    """The same of max_pool3d and avg_pool3d, with triples."""
    cdef VolumeWindows w = VolumeWindows.__new__(VolumeWindows)
    w.depth = sliding(size[0], kernel_size[0], stride[0], pads[0], dilation[0], outputs[0], count_include_pad,
                      1 if divisor else 0)
    w.plane = sliding_windows(size[1:], kernel_size[1:], stride[1:], pads[1:], dilation[1:], outputs[1:],
                              count_include_pad, divisor)
    return w


cdef PoolAxis adaptive(Py_ssize_t size, Py_ssize_t outputs):
    cdef PoolAxis a
    a.size, a.outputs, a.kernel_size, a.dilation, a.start, a.end = size, outputs, 0, 1, 0, 0
    a.stride, a.rest, a.total, a.skipped, a.divisor = size // outputs, size % outputs, outputs, 0, 0
    if a.rest == 0:    # all of one size
        a.kernel_size = a.stride
    return a


def adaptive_windows(size, outputs):
    """The windows of adaptive and global pooling: output i sees floor(i size / outputs) to ceil((i + 1) size /
    outputs)."""
    cdef PoolAxis rows = adaptive(size[0], outputs[0]), cols = adaptive(size[1], outputs[1])
    cdef Windows w = chosen(&rows, &cols)
    return w


def adaptive_volumes(size, outputs):
    """The same of volumes."""
    cdef VolumeWindows w = VolumeWindows.__new__(VolumeWindows)
    w.depth = adaptive(size[0], outputs[0])
    w.plane = adaptive_windows(size[1:], outputs[1:])
    return w
